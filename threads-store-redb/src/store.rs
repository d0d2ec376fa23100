//! The store: opening it, beginning transactions, and closing it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use redb::{Database, StorageBackend};
use threads_core::datastore::{
    Capability, Datastore, Direction, Keyspace, Layer, ReadTxn, WriteTxn,
};
use threads_core::{Error, Result};

use crate::disk::Disk;
use crate::lock::Lock;
use crate::options::RedbOptions;
use crate::pending::{Pending, State, View};
use crate::snapshot::Snapshot;
use crate::table::Tables;
use crate::writer::Writer;

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
    pub(crate) state: Mutex<State>,
    /// Empty after a failure from which redb could not start again. Only a leader takes it, and
    /// never while it holds `state`.
    pub(crate) db: Mutex<Option<Database>>,
    pub(crate) disk: Disk,
    pub(crate) cache_bytes: usize,
    pub(crate) capability: Capability,
    /// The writer's turn is free.
    turn_free: Condvar,
    /// A flight landed.
    pub(crate) landed: Condvar,
    /// Last, so that it is given up when redb is closed. `None` when there is no directory.
    pub(crate) lock: Option<Lock>,
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
        let state = self.lock();
        let flying = state.pending.flight.as_ref();
        Stats {
            commits: state.commits,
            syncs: state.syncs,
            unsynced: state.pending.acknowledged.commits
                + flying.map_or(0, |flight| flight.acknowledged.commits),
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
        use std::ops::Bound::Unbounded;
        let snapshot = self.snapshot(View::Reader);
        let mut rows = 0;
        for space in Keyspace::ALL {
            for row in snapshot.scan(*space, (Unbounded, Unbounded), Direction::Forward)? {
                row?;
                rows += 1;
            }
        }
        Ok(rows)
    }

    pub(crate) fn new(db: Database, rows: Tables, disk: Disk, cache_bytes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                turn: None,
                rows: Arc::new(rows),
                pending: Pending::default(),
                commits: 0,
                syncs: 0,
            }),
            db: Mutex::new(Some(db)),
            disk,
            cache_bytes,
            capability: Capability::durable(),
            turn_free: Condvar::new(),
            landed: Condvar::new(),
            lock: None,
        }
    }

    /// A panic elsewhere while the lock was held broke nothing: each change of the state is one
    /// assignment or ends in a consistent state before anything can panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows and the layers of the same moment, seen under one lock.
    fn snapshot(&self, view: View) -> Snapshot<'_> {
        let state = self.lock();
        Snapshot {
            rows: Arc::clone(&state.rows),
            disk: &self.disk,
            layers: state.pending.layers(view),
            foundations: state.pending.foundations(view),
        }
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
        let me = thread::current().id();
        let mut state = self.lock();
        if state.turn == Some(me) {
            return Err(Error::invalid(
                "this thread holds the write transaction already: commit or drop it first",
            ));
        }
        state = self
            .turn_free
            .wait_while(state, |state| state.turn.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        state.turn = Some(me);
        drop(state);
        let turn = Turn(self);
        if let Some(fault) = &self.lock().pending.broken {
            return Err(fault.to_error());
        }
        Ok(Box::new(Writer {
            store: self,
            changes: Layer::default(),
            snapshot: self.snapshot(View::Writer),
            turn,
        }))
    }
}

/// The one writer's turn.
pub(crate) struct Turn<'a>(&'a Redb);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().turn = None;
        self.0.turn_free.notify_one();
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
        self.flush_at_last();
    }
}
