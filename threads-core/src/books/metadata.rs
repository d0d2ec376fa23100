//! Small values about a thread.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::thread_key;
use crate::datastore::{Keyspace, ReadTxn, WriteTxn};
use crate::{Error, Result, ThreadId};

/// The largest value, in bytes of DAG-CBOR.
pub const METADATA_BYTES_MAX: usize = 64 * 1024;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Tells these rows from others about the thread in the same keyspace.
const KIND: u8 = b'm';

fn row(thread: &ThreadId, name: &str) -> Result<Vec<u8>> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(
            Error::invalid("the name of a value has 1 to 64 bytes").with("bytes", name.len())
        );
    }
    Ok([&thread_key(thread)[..], &[KIND], name.as_bytes()].concat())
}

/// Small values about threads, to read.
///
/// ```
/// use threads_core::{books::MetadataBook, datastore::{Datastore, Memory}};
/// let store = Memory::new();
/// let snapshot = store.read().unwrap();
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// let title: Option<String> = MetadataBook::new(&*snapshot).get(&thread, "title").unwrap();
/// assert_eq!(title, None);
/// ```
#[derive(Clone, Copy)]
pub struct MetadataBook<'a>(&'a dyn ReadTxn);

impl<'a> MetadataBook<'a> {
    /// The book as `txn` sees it.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// let metadata = MetadataBook::new(&*txn);
    /// ```
    pub fn new(txn: &'a dyn ReadTxn) -> Self {
        Self(txn)
    }

    /// The value of `name`, if there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the name has no or too many bytes,
    /// or the value is not a `T`.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// let count: Option<u64> = MetadataBook::new(&*txn).get(&thread, "count").unwrap();
    /// assert_eq!(count, None);
    /// ```
    pub fn get<T: DeserializeOwned>(&self, thread: &ThreadId, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.0.get(Keyspace::Meta, &row(thread, name)?)? else {
            return Ok(None);
        };
        let value = serde_ipld_dagcbor::from_slice(&bytes).map_err(|cause| {
            Error::invalid("a value is of another type")
                .with("name", name)
                .caused_by(cause)
        })?;
        Ok(Some(value))
    }
}

impl fmt::Debug for MetadataBook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetadataBook")
    }
}

/// Small values about threads, to write.
///
/// ```
/// use threads_core::{books::MetadataBookMut, datastore::{Datastore, Memory}};
///
/// let store = Memory::new();
/// let mut txn = store.write().unwrap();
/// let mut metadata = MetadataBookMut::new(&mut *txn);
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// metadata.put(&thread, "title", "Holidays").unwrap();
/// let title: Option<String> = metadata.as_read().get(&thread, "title").unwrap();
/// assert_eq!(title.as_deref(), Some("Holidays"));
/// ```
pub struct MetadataBookMut<'a>(&'a mut dyn WriteTxn);

impl<'a> MetadataBookMut<'a> {
    /// The book as `txn` sees and changes it.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let metadata = MetadataBookMut::new(&mut *txn);
    /// ```
    pub fn new(txn: &'a mut dyn WriteTxn) -> Self {
        Self(txn)
    }

    /// The same book, to read.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let metadata = MetadataBookMut::new(&mut *txn);
    /// assert_eq!(metadata.as_read().get::<bool>(&thread, "open").unwrap(), None);
    /// ```
    pub fn as_read(&self) -> MetadataBook<'_> {
        MetadataBook(self.0.as_read())
    }

    /// Sets the value of `name`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the name has no or too many bytes,
    /// or the value is larger than [`METADATA_BYTES_MAX`] or has no form in DAG-CBOR.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// MetadataBookMut::new(&mut *txn).put(&thread, "open", &true).unwrap();
    /// ```
    pub fn put<T: Serialize + ?Sized>(
        &mut self,
        thread: &ThreadId,
        name: &str,
        value: &T,
    ) -> Result<()> {
        let bytes = serde_ipld_dagcbor::to_vec(value).map_err(|cause| {
            Error::invalid("a value cannot be written")
                .with("name", name)
                .caused_by(cause)
        })?;
        if bytes.len() > METADATA_BYTES_MAX {
            return Err(Error::invalid("a value is too large: keep it as an entity")
                .with("name", name)
                .with("bytes", bytes.len())
                .with("most", METADATA_BYTES_MAX));
        }
        self.0.put(Keyspace::Meta, &row(thread, name)?, &bytes)
    }

    /// Removes the value of `name`, if there is one.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// MetadataBookMut::new(&mut *txn).delete(&thread, "open").unwrap();
    /// ```
    pub fn delete(&mut self, thread: &ThreadId, name: &str) -> Result<()> {
        self.0.delete(Keyspace::Meta, &row(thread, name)?)
    }
}

impl fmt::Debug for MetadataBookMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetadataBookMut")
    }
}
