//! Books: typed views over the datastore, to be used within its transactions.
//!
//! | Book | Keeps | By |
//! |---|---|---|
//! | [`AddrBook`] | addresses, with their time to live | thread, log |
//! | [`KeyBook`] | log keys; the read and the replica key of each epoch | thread, log, epoch |
//! | [`HeadBook`] | the last record | thread, log |
//! | [`MetadataBook`] | small values | thread, name |
//!
//! Each has a reader over a [`ReadTxn`] and a writer, `…Mut`, over a
//! [`WriteTxn`]: what a book writes is committed with everything
//! else of the transaction.
//!
//! ```
//! use threads_core::books::{HeadBook, KeyBook, KeyBookMut};
//! use threads_core::datastore::{Datastore, DatastoreExt, Durability, Memory};
//! use threads_core::{ReadKey, ThreadId};
//!
//! let store = Memory::new();
//! let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
//! let key = ReadKey::from_bytes(&[7; 32]);
//! store.transact(Durability::Group, |txn| KeyBookMut::new(txn).add_read_key(&thread, &key)).unwrap();
//!
//! let snapshot = store.read().unwrap();
//! assert_eq!(KeyBook::new(&*snapshot).read_key(&thread).unwrap(), Some(key));
//! assert!(HeadBook::new(&*snapshot).all(&thread).unwrap().is_empty());
//! ```

use std::ops::Bound;

use crate::datastore::{Direction, Keyspace, ReadTxn, WriteTxn, prefix_range};
use crate::{Error, LogId, Result, ThreadId};

mod addr;
mod addr_stream;
mod head;
mod key;
mod metadata;

pub use addr::{
    ADDRS_PER_LOG_MAX, ADDRS_PER_THREAD_MAX, AddrBook, AddrBookMut, AddrChange, TTL_MAX,
};
pub use addr_stream::{AddrEvent, AddrStream, AddrWatch, PENDING_EVENTS_MAX, WATCHERS_MAX};
pub use head::{Head, HeadBook, HeadBookMut};
pub use key::{KeyBook, KeyBookMut};
pub use metadata::{METADATA_BYTES_MAX, MetadataBook, MetadataBookMut};

/// The bytes of a log in a key.
const LOG_BYTES: usize = 32;

/// Where the rows of a thread begin: its id, behind its length, so that no thread's rows are
/// within another's.
fn thread_key(thread: &ThreadId) -> Vec<u8> {
    let id = thread.as_bytes();
    // An id has at most 66 bytes.
    [&[id.len() as u8], id].concat()
}

fn log_key(thread: &ThreadId, log: &LogId) -> Vec<u8> {
    [&thread_key(thread)[..], log.key_bytes()].concat()
}

/// The rows of `thread`, each as what its key has behind the thread, and its value.
fn rows(txn: &dyn ReadTxn, space: Keyspace, thread: &ThreadId) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let first = LogId::from_key_bytes([0; LOG_BYTES]);
    rows_from(txn, space, thread, &first, None)
}

/// Those of them that are about logs from one on, up to another if there is one.
fn rows_from(
    txn: &dyn ReadTxn,
    space: Keyspace,
    thread: &ThreadId,
    from: &LogId,
    upto: Option<&LogId>,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let prefix = thread_key(thread);
    let start = log_key(thread, from);
    let end = match upto {
        Some(upto) => Some(log_key(thread, upto)),
        None => prefix_range(&prefix).1,
    };
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    txn.scan(space, (Bound::Included(&start), end), Direction::Forward)?
        .map(|row| row.map(|(key, value)| (key[prefix.len()..].to_vec(), value.into_owned())))
        .collect()
}

/// Removes every row of `thread`.
fn clear(txn: &mut dyn WriteTxn, space: Keyspace, thread: &ThreadId) -> Result<()> {
    let prefix = thread_key(thread);
    for (key, _) in rows(txn.as_read(), space, thread)? {
        txn.delete(space, &[&prefix[..], &key].concat())?;
    }
    Ok(())
}

/// The log at the front of what a key has behind the thread, and what follows it.
fn split_log(key: &[u8]) -> Option<(LogId, &[u8])> {
    let (log, rest) = key.split_first_chunk::<LOG_BYTES>()?;
    Some((LogId::from_key_bytes(*log), rest))
}

fn corrupt(what: &'static str) -> Error {
    Error::corrupt("a row of a book is damaged: restore from a copy or a peer").with("row", what)
}
