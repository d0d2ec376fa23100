//! Where everything is kept: ordered bytes, snapshot reads, one serializable writer.
//!
//! # Contract
//!
//! What is in brackets is the law in `threads-conformance` that checks the sentence.
//!
//! * Keys order bytewise (DS-1). A key is 1 to [`KEY_BYTES_MAX`] bytes (DS-2); readers may name
//!   any (DS-3). The same key in two keyspaces is two rows (DS-9).
//! * A value is any bytes, also none (DS-4), and at least 1 MiB of them (DS-5).
//! * A read transaction is a snapshot of everything committed (DS-16): later commits do not
//!   change what it sees (DS-14), nor a scan that has begun (DS-15).
//! * A write transaction sees its own writes (DS-17, DS-18) and everything committed before it
//!   began (DS-19). At most one exists at a time; a second [`Datastore::write`] waits for it
//!   (DS-25), and sees what it waited for (DS-26).
//! * Commit is atomic: all of a transaction's changes are visible afterwards, or none (DS-27).
//!   Nobody else sees them before (DS-20).
//! * Dropping a write transaction leaves no trace of it (DS-21).
//! * When a commit of [`Durability::Immediate`] (DS-28) or [`Durability::Group`] (DS-29) returns,
//!   it and every commit before it (DS-30) survive `kill -9` and power loss. What was not
//!   committed by then leaves no trace (DS-34). A store that is dropped loses nothing (DS-33).
//! * A value that does not read back as it was written is an error of kind
//!   [`Corrupt`](crate::ErrorKind::Corrupt), never a wrong value (DS-35).
//! * Whatever is done in whatever order, a store shows what [`Memory`] shows (DS-37).
//!
//! # For implementers
//!
//! The traits are synchronous on purpose: embedded stores are, and a transaction that crosses an
//! `.await` is a deadlock in waiting. If your store's transactions are bound to a thread, buffer
//! the writes in a [`Layer`], read through it with [`merged`], and apply it at commit. Where your
//! store does not find flipped bits by itself, keep values as [`seal_row`] makes them.
//!
//! Run the laws: `threads_conformance::datastore_laws!` makes a test of each, and the guide
//! `docs/writing-a-store.md` leads there in an hour.
//!
//! # For users
//!
//! Use [`DatastoreExt::transact`], which commits on `Ok` and leaves no trace on `Err`.
//!
//! # Example
//!
//! ```
//! use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, Memory, ReadTxn, WriteTxn};
//!
//! let store = Memory::new();
//! store.transact(Durability::Group, |txn| txn.put(Keyspace::Views, b"answer", b"42")).unwrap();
//! let read = store.read().unwrap();
//! assert_eq!(read.get(Keyspace::Views, b"answer").unwrap().as_deref(), Some(&b"42"[..]));
//! ```

use std::borrow::Cow;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use crate::{Error, Result};

mod instance;
mod layer;
mod memory;
mod merge;
mod range;
mod row;

pub use layer::{Change, Changes, Layer};
pub use memory::Memory;
pub use merge::merged;
pub use range::{KeyRange, prefix_range, range_is_empty};
pub use row::{seal_row, unseal_row};

/// The longest key, in bytes: the smallest bound among the embedded stores in use.
pub const KEY_BYTES_MAX: usize = 511;

/// The named keyspaces. They are few because a store opens each of them; composite keys do the rest.
///
/// ```
/// use threads_core::datastore::Keyspace;
/// assert!(Keyspace::ALL.iter().any(|space| space.name() == "entities"));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keyspace {
    /// Small facts about the node and its threads.
    Meta,
    /// Addresses of logs, with their time-to-live.
    Addresses,
    /// Keys of threads and logs.
    Keys,
    /// The head of each log.
    Heads,
    /// Records with their blocks, by thread, log and sequence number.
    Blocks,
    /// From the CID of a block to where it is kept.
    Links,
    /// What happened to each entity, in its order.
    History,
    /// The present state of each entity.
    Entities,
    /// Secondary indexes.
    Indexes,
    /// What was committed, in local order: the feed that listeners follow.
    Feed,
    /// The keyspaces of reducers.
    Views,
    /// Records that verified and cannot be applied now.
    Held,
    /// With whom each thread is shared, and what they have.
    Peers,
    /// Large content, by what it is, apart from records.
    Blobs,
}

impl Keyspace {
    /// Every keyspace, in a fixed order.
    ///
    /// ```
    /// assert_eq!(threads_core::datastore::Keyspace::ALL.len(), 14);
    /// ```
    pub const ALL: &'static [Self] = &[
        Self::Meta,
        Self::Addresses,
        Self::Keys,
        Self::Heads,
        Self::Blocks,
        Self::Links,
        Self::History,
        Self::Entities,
        Self::Indexes,
        Self::Feed,
        Self::Views,
        Self::Held,
        Self::Peers,
        Self::Blobs,
    ];

    /// The name a store files it under. Names are part of the on-disk format.
    ///
    /// ```
    /// assert_eq!(threads_core::datastore::Keyspace::Meta.name(), "meta");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Addresses => "addresses",
            Self::Keys => "keys",
            Self::Heads => "heads",
            Self::Blocks => "blocks",
            Self::Links => "links",
            Self::History => "history",
            Self::Entities => "entities",
            Self::Indexes => "indexes",
            Self::Feed => "feed",
            Self::Views => "views",
            Self::Held => "held",
            Self::Peers => "peers",
            Self::Blobs => "blobs",
        }
    }
}

/// What a commit promises when it returns.
///
/// ```
/// use threads_core::datastore::Durability;
/// assert_eq!(Durability::default(), Durability::Group);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// On disk, by a sync of its own.
    Immediate,
    /// On disk, by a sync shared with the commits that waited at the same time.
    #[default]
    Group,
    /// Visible, and on disk with some later commit. A crash of the process or the machine may
    /// lose the latest such commits, always from the end and never in part (DS-31).
    Relaxed,
}

/// What a datastore can promise.
///
/// ```
/// use threads_core::datastore::{Datastore, Memory};
/// assert!(!Memory::new().capability().durable);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Commits survive the process and the machine.
    pub durable: bool,
    /// Flipped bits in stored values are found when they are read.
    pub checksums: bool,
    /// Which copy of the store this is, as far as that can be told: a copy in another place has
    /// another number, the same store opened again has the same (DS-38). `None` where it cannot be
    /// told.
    pub instance: Option<u64>,
}

impl Capability {
    /// A store that forgets with the process.
    ///
    /// ```
    /// assert!(!threads_core::datastore::Capability::volatile().durable);
    /// ```
    pub fn volatile() -> Self {
        Self {
            durable: false,
            checksums: false,
            instance: None,
        }
    }

    /// A store that keeps its promises across crashes and finds flipped bits.
    ///
    /// ```
    /// assert!(threads_core::datastore::Capability::durable().checksums);
    /// ```
    pub fn durable() -> Self {
        Self {
            durable: true,
            checksums: true,
            instance: None,
        }
    }

    /// The same, of a store that keeps its data in the file that `about` describes: when the file
    /// was made and its number in its file system tell it from its copies.
    ///
    /// A file keeps both when it is renamed and when it is written to; `cp`, `rsync`, `tar` and moving
    /// to another file system make a new file. A snapshot or an image of a whole disk has the same.
    ///
    /// ```
    /// # use threads_core::datastore::Capability;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (data, copy) = (dir.path().join("data"), dir.path().join("copy"));
    /// std::fs::write(&data, b"rows").unwrap();
    /// std::fs::copy(&data, &copy).unwrap();
    /// let of = |path| Capability::durable().in_file(&std::fs::metadata(path).unwrap());
    /// assert_eq!(of(&data), of(&data));
    /// # #[cfg(unix)]
    /// assert_ne!(of(&data).instance, of(&copy).instance);
    /// ```
    #[must_use]
    pub fn in_file(mut self, about: &std::fs::Metadata) -> Self {
        self.instance = instance::of_file(about);
        self
    }
}

/// Which way a scan goes.
///
/// ```
/// use threads_core::datastore::Direction;
/// assert_ne!(Direction::Forward, Direction::Reverse);
/// ```
#[expect(
    clippy::exhaustive_enums,
    reason = "an ordered scan has two directions and no third"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key to the largest.
    Forward,
    /// From the largest key to the smallest.
    Reverse,
}

/// One row of a scan: key and value.
pub type Row<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The rows of a scan, in key order.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<Row<'a>>> + 'a>;

/// An ordered, transactional store of bytes. See the [module](self) for its contract.
pub trait Datastore: fmt::Debug + Send + Sync + 'static {
    /// What this store can promise.
    fn capability(&self) -> Capability;

    /// A snapshot of everything committed.
    fn read(&self) -> Result<Box<dyn ReadTxn + '_>>;

    /// The one write transaction. Waits while another exists; dropping it leaves no trace.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when this thread has the write
    /// transaction already: waiting for oneself would be for ever (DS-24).
    fn write(&self) -> Result<Box<dyn WriteTxn + '_>>;
}

/// A snapshot. See the [module](self) for its contract.
pub trait ReadTxn {
    /// The value of `key`, if there is one.
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>>;

    /// The rows whose keys are in `range`, in `direction`: all of them (DS-13), and no others
    /// (DS-10). Reverse is forward, last row first (DS-11). A range whose end is before its start
    /// holds nothing (DS-12); [`range_is_empty`] tells, for a map that would panic.
    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>>;
}

/// The writer. See the [module](self) for its contract.
pub trait WriteTxn: ReadTxn {
    /// Sets the value of `key`, whatever it was (DS-6). An empty value is a value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a key that is empty or too long. A
    /// refused change takes nothing with it: the transaction goes on (DS-22).
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()>;

    /// Removes `key` and no other (DS-7), if it is there (DS-8).
    ///
    /// # Errors
    ///
    /// As [`WriteTxn::put`].
    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()>;

    /// Makes every change visible at once, as durable as `durability` says.
    ///
    /// On an error nothing of the transaction is visible, now or after a crash (DS-36).
    fn commit(self: Box<Self>, durability: Durability) -> Result<()>;

    /// This transaction as a reader, for code that only reads: it sees the same (DS-23).
    fn as_read(&self) -> &dyn ReadTxn;
}

/// Conveniences on every [`Datastore`].
///
/// ```
/// use threads_core::datastore::{DatastoreExt, Durability, Keyspace, Memory};
/// let store = Memory::new();
/// store.transact(Durability::Group, |txn| txn.put(Keyspace::Views, b"k", b"v")).unwrap();
/// ```
pub trait DatastoreExt: Datastore {
    /// Runs `work` in a write transaction: commits on `Ok`, leaves no trace on `Err`.
    ///
    /// ```
    /// use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, Memory, ReadTxn, WriteTxn};
    /// use threads_core::Error;
    ///
    /// let store = Memory::new();
    /// let failed: threads_core::Result<()> = store.transact(Durability::Group, |txn| {
    ///     txn.put(Keyspace::Views, b"k", b"v")?;
    ///     Err(Error::invalid("changed my mind"))
    /// });
    /// assert!(failed.is_err());
    /// assert!(store.read().unwrap().get(Keyspace::Views, b"k").unwrap().is_none());
    /// ```
    fn transact<R>(
        &self,
        durability: Durability,
        work: impl FnOnce(&mut dyn WriteTxn) -> Result<R>,
    ) -> Result<R> {
        let mut txn = self.write()?;
        let result = work(&mut *txn)?;
        txn.commit(durability)?;
        Ok(result)
    }

    /// Makes every earlier [`Durability::Relaxed`] commit durable (DS-32).
    ///
    /// ```
    /// use threads_core::datastore::{DatastoreExt, Memory};
    /// Memory::new().sync().unwrap();
    /// ```
    fn sync(&self) -> Result<()> {
        self.transact(Durability::Immediate, |_| Ok(()))
    }
}

impl<T: Datastore + ?Sized> DatastoreExt for T {}

impl<T: Datastore + ?Sized> Datastore for Arc<T> {
    fn capability(&self) -> Capability {
        (**self).capability()
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        (**self).read()
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        (**self).write()
    }
}

/// Refuses a key that some store could not hold. Every store calls this before it writes.
///
/// ```
/// assert!(threads_core::datastore::check_key(b"k").is_ok());
/// assert!(threads_core::datastore::check_key(b"").is_err());
/// ```
pub fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(
            Error::invalid("a datastore key must have 1 to 511 bytes").with("bytes", key.len())
        );
    }
    Ok(())
}

/// Borrows a pair of owned bounds. Stores keep bounds while an iterator lives.
pub(crate) fn owned_bound(bound: Bound<&[u8]>) -> Bound<Vec<u8>> {
    match bound {
        Bound::Included(key) => Bound::Included(key.to_vec()),
        Bound::Excluded(key) => Bound::Excluded(key.to_vec()),
        Bound::Unbounded => Bound::Unbounded,
    }
}
