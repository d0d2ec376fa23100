//! The store: opening it, beginning transactions, and closing it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use redb::{Database, StorageBackend};
use threads_core::Result;
use threads_core::datastore::{Capability, Datastore, ReadTxn, WriteTxn};
use threads_store_group::{Group, Snapshot, View, Writer};

use crate::disk::Disk;
use crate::lock::Lock;
use crate::options::RedbOptions;
use crate::snapshot::Rows;
use crate::table::Tables;

/// A [`Datastore`] in a directory. See the [crate] for what it promises.
///
/// ```
/// use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};
/// use threads_store_redb::Redb;
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path().join("store");
/// let store = Redb::open(&dir).unwrap();
/// store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v")).unwrap();
/// drop(store);
///
/// let store = Redb::open(&dir).unwrap();
/// let read = store.read().unwrap();
/// assert_eq!(read.get(Keyspace::Meta, b"k").unwrap().as_deref(), Some(&b"v"[..]));
/// ```
pub struct Redb {
    /// First, so that its rows are gone before redb closes.
    pub(crate) group: Group<OnDisk>,
    /// Empty after a failure from which redb could not start again. Only a leader takes it, and
    /// never while it has the group locked.
    pub(crate) db: Mutex<Option<Database>>,
    pub(crate) disk: Disk,
    pub(crate) cache_bytes: usize,
    pub(crate) capability: Capability,
    /// Last, so that it is given up when redb is closed. `None` when there is no directory.
    pub(crate) lock: Option<Lock>,
}

/// What redb has.
pub(crate) struct OnDisk {
    /// The rows as of the last landing.
    pub(crate) tables: Arc<Tables>,
    /// The number of the last flight that they have.
    pub(crate) carried: u64,
}

/// What a store has done since it was opened.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// let store = threads_store_redb::Redb::open(dir.path()).unwrap();
/// assert_eq!(store.stats().commits, 0);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Commits that changed something and succeeded or still wait.
    pub commits: u64,
    /// Syncs of the disk; each carried one commit or many.
    pub syncs: u64,
    /// Relaxed commits that are acknowledged and not on disk yet.
    pub unsynced: usize,
    /// The length of the data, in bytes.
    pub data_bytes: u64,
}

impl Redb {
    /// Opens the store in `dir`, or makes one there, with the default [`RedbOptions`].
    ///
    /// # Errors
    ///
    /// [`Unavailable`](threads_core::ErrorKind::Unavailable) when another process, or this one,
    /// has it open; [`Corrupt`](threads_core::ErrorKind::Corrupt) when it is damaged;
    /// [`Invalid`](threads_core::ErrorKind::Invalid) when another program's redb database is
    /// there; [`Unsupported`](threads_core::ErrorKind::Unsupported) when another version wrote it.
    ///
    /// ```
    /// use threads_store_redb::Redb;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = Redb::open(dir.path()).unwrap();
    /// assert!(Redb::open(dir.path()).unwrap_err().to_string().contains("in use"));
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        RedbOptions::default().open(dir)
    }

    /// What this store has done since it was opened.
    ///
    /// ```
    /// use threads_core::datastore::{DatastoreExt, Durability, Keyspace};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = threads_store_redb::Redb::open(dir.path()).unwrap();
    /// store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v")).unwrap();
    /// assert_eq!((store.stats().commits, store.stats().syncs), (1, 1));
    /// ```
    pub fn stats(&self) -> Stats {
        let data_bytes = self.disk.len().unwrap_or_default();
        let counts = self.group.lock().counts();
        Stats {
            commits: counts.commits,
            syncs: counts.syncs,
            unsynced: counts.unsynced,
            data_bytes,
        }
    }

    /// Reads every row and checks it against its checksum; gives the number of rows.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](threads_core::ErrorKind::Corrupt) at the first row that is not what was
    /// written; the error names its keyspace and key.
    ///
    /// ```
    /// use threads_core::datastore::{DatastoreExt, Durability, Keyspace};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = threads_store_redb::Redb::open(dir.path()).unwrap();
    /// store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v")).unwrap();
    /// assert_eq!(store.verify().unwrap(), 1);
    /// ```
    pub fn verify(&self) -> Result<u64> {
        self.snapshot(View::Reader).verify()
    }

    pub(crate) fn new(db: Database, tables: Tables, disk: Disk, cache_bytes: usize) -> Self {
        Self {
            group: Group::new(OnDisk {
                tables: Arc::new(tables),
                carried: 0,
            }),
            db: Mutex::new(Some(db)),
            disk,
            cache_bytes,
            capability: Capability::durable(),
            lock: None,
        }
    }

    /// The rows and the layers of the same moment, seen under one lock.
    fn snapshot(&self, view: View) -> Snapshot<Rows<'_>> {
        let state = self.group.lock();
        let rows = Rows {
            tables: Arc::clone(&state.own.tables),
            disk: &self.disk,
        };
        state.snapshot(rows, state.own.carried, view)
    }
}

impl Datastore for Redb {
    fn capability(&self) -> Capability {
        self.capability
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        Ok(Box::new(self.snapshot(View::Reader)))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        let turn = self.group.turn()?;
        let snapshot = self.snapshot(View::Writer);
        Ok(Box::new(Writer::new(self, snapshot, turn)))
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb")
            .field("lock", &self.lock)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Writes what is acknowledged and not on disk yet, as far as the disk lets it.
impl Drop for Redb {
    fn drop(&mut self) {
        self.group.close(self);
    }
}
