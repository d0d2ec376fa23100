//! The store: opening it, beginning transactions, and closing it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use heed::{Env, MdbError, RoTxn, WithoutTls};
use threads_core::datastore::{
    Capability, Datastore, Direction, Keyspace, Layer, ReadTxn, WriteTxn,
};
use threads_core::{Error, Result};

use crate::check::{Guard, Watch};
use crate::env::{DATA_FILE, Tables};
use crate::fault::heed_error;
use crate::lock::WriterLock;
use crate::options::LmdbOptions;
use crate::reserve::Reserve;
use crate::snapshot::Snapshot;
use crate::state::{State, View};
use crate::writer::Writer;

/// How often a read transaction follows the map to a new size before it gives up.
const REMAPS_MAX: u32 = 3;

/// A [`Datastore`] in a directory. See the [crate](crate) for what it promises.
///
/// ```
/// use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};
/// use threads_store_lmdb::Lmdb;
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path().join("store");
/// let store = Lmdb::open(&dir).unwrap();
/// store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v")).unwrap();
/// drop(store);
///
/// let store = Lmdb::open(&dir).unwrap();
/// let read = store.read().unwrap();
/// assert_eq!(read.get(Keyspace::Meta, b"k").unwrap().as_deref(), Some(&b"v"[..]));
/// ```
pub struct Lmdb {
    /// First, so that the environment is closed before the writer lock is given up.
    pub(crate) env: Env<WithoutTls>,
    pub(crate) tables: Tables<'static>,
    pub(crate) dir: PathBuf,
    capability: Capability,
    /// `None` when opened for reading only.
    pub(crate) writing: Option<Writing>,
    pub(crate) readers_wait: Duration,
    pub(crate) state: Mutex<State>,
    /// The writer's turn is free.
    pub(crate) turn_free: Condvar,
    /// A flight landed.
    pub(crate) landed: Condvar,
    /// The last reader left.
    pub(crate) drained: Condvar,
    /// The map has its new size, or will not get it.
    pub(crate) remapped: Condvar,
}

/// What only a store that was opened for writing has.
pub(crate) struct Writing {
    pub(crate) map_bytes_max: usize,
    pub(crate) reserve: Reserve,
    pub(crate) _lock: WriterLock,
}

/// What a store has done since it was opened.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// let store = threads_store_lmdb::Lmdb::open(dir.path()).unwrap();
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
    /// The size of the map, in bytes.
    pub map_bytes: usize,
}

impl Lmdb {
    /// Opens the store in `dir`, or makes one there, with the default [`LmdbOptions`].
    ///
    /// # Errors
    ///
    /// [`Unavailable`](threads_core::ErrorKind::Unavailable) when another process, or this one,
    /// has it open for writing; [`Corrupt`](threads_core::ErrorKind::Corrupt) when it is damaged;
    /// [`Invalid`](threads_core::ErrorKind::Invalid) when another program's LMDB database is there.
    ///
    /// ```
    /// use threads_store_lmdb::Lmdb;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = Lmdb::open(dir.path()).unwrap();
    /// assert!(Lmdb::open(dir.path()).unwrap_err().to_string().contains("in use by process"));
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        LmdbOptions::default().open(dir)
    }

    /// Opens the store in `dir` to read what another process writes.
    ///
    /// It sees commits once they are on disk. [`Datastore::write`] is refused.
    ///
    /// # Errors
    ///
    /// [`NotFound`](threads_core::ErrorKind::NotFound) when there is no store; otherwise as
    /// [`Lmdb::open`].
    ///
    /// ```
    /// use threads_core::ErrorKind;
    /// use threads_core::datastore::Datastore;
    /// use threads_store_lmdb::Lmdb;
    /// # let dir = tempfile::tempdir().unwrap();
    /// assert_eq!(Lmdb::open_read_only(dir.path()).unwrap_err().kind(), ErrorKind::NotFound);
    /// drop(Lmdb::open(dir.path()).unwrap());
    /// let store = Lmdb::open_read_only(dir.path()).unwrap();
    /// assert_eq!(store.write().err().unwrap().kind(), ErrorKind::Unsupported);
    /// ```
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<Self> {
        LmdbOptions::default().open_read_only(dir)
    }

    /// What this store has done since it was opened.
    ///
    /// ```
    /// use threads_core::datastore::{DatastoreExt, Durability, Keyspace};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = threads_store_lmdb::Lmdb::open(dir.path()).unwrap();
    /// store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v")).unwrap();
    /// assert_eq!((store.stats().commits, store.stats().syncs), (1, 1));
    /// ```
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        let flying = state
            .flight
            .as_ref()
            .map_or(0, |flight| flight.acknowledged.commits);
        Stats {
            commits: state.commits,
            syncs: state.syncs,
            unsynced: state.acknowledged.commits + flying,
            map_bytes: if state.unmapped.is_some() {
                0
            } else {
                self.env.info().map_size
            },
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
    /// let store = threads_store_lmdb::Lmdb::open(dir.path()).unwrap();
    /// store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v")).unwrap();
    /// assert_eq!(store.verify().unwrap(), 1);
    /// ```
    pub fn verify(&self) -> Result<u64> {
        use std::ops::Bound::Unbounded;
        let snapshot = self.snapshot(View::Reader)?;
        let mut rows = 0;
        for space in Keyspace::ALL {
            for row in snapshot.scan(*space, (Unbounded, Unbounded), Direction::Forward)? {
                row?;
                rows += 1;
            }
        }
        Ok(rows)
    }

    pub(crate) fn new(
        (env, tables): (Env<WithoutTls>, Tables<'static>),
        dir: &Path,
        writing: Option<Writing>,
        guard: Option<Guard>,
        readers_wait: Duration,
    ) -> Self {
        let mut capability = Capability::durable();
        // What cannot be told is left open.
        if let Ok(about) = fs::metadata(dir.join(DATA_FILE)) {
            capability = capability.in_file(&about);
        }
        let state = State {
            guard: guard.filter(|guard| !guard.is_done()).map(Arc::new),
            ..State::default()
        };
        Self {
            env,
            tables,
            dir: dir.to_owned(),
            capability,
            writing,
            readers_wait,
            state: Mutex::new(state),
            turn_free: Condvar::new(),
            landed: Condvar::new(),
            drained: Condvar::new(),
            remapped: Condvar::new(),
        }
    }

    /// A panic elsewhere while the lock was held broke nothing: each change of the state is one
    /// assignment or ends in a consistent state before anything can panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a transaction must ask about pages, while that is needed.
    pub(crate) fn watch(&self, state: &mut State) -> Option<Watch<'_>> {
        let guard = state.guard.as_ref()?;
        if !guard.is_done() {
            return Some(Watch::new(Arc::clone(guard), &self.tables));
        }
        // Its map of the file is a second one, and its pages count as this process's. Whoever reads
        // what another process writes begins the next guard at it.
        if self.writing.is_some() {
            state.guard = None;
        }
        None
    }

    fn snapshot(&self, view: View) -> Result<Snapshot<'_>> {
        let mut state = self.lock();
        for _ in 0..REMAPS_MAX {
            state = wait_while(&self.remapped, state, |state| state.remapping);
            if let Some(fault) = &state.unmapped {
                return Err(fault.to_error());
            }
            match self.env.read_txn() {
                Ok(txn) => {
                    if self.follow(&mut state, txn.id())? {
                        return Ok(self.enter(&mut state, txn, view));
                    }
                }
                Err(heed::Error::Mdb(MdbError::MapResized)) => {
                    drop(state);
                    self.remap(0).map_err(|fault| fault.to_error())?;
                    state = self.lock();
                }
                Err(error) => return Err(heed_error(error)),
            }
        }
        Err(Error::unavailable(
            "the store grows faster than it can be followed: try again",
        ))
    }

    /// Whether there is a guard for this commit, or none is needed. Only commits of another process
    /// need a guard of their own.
    fn follow(&self, state: &mut State, transaction: usize) -> Result<bool> {
        let Some(guard) = &state.guard else {
            return Ok(true);
        };
        if self.writing.is_some() || guard.transaction == transaction as u64 {
            return Ok(true);
        }
        let next = guard.follow(transaction as u64)?;
        let found = next.is_some();
        if let Some(next) = next {
            state.guard = Some(Arc::new(next));
        }
        Ok(found)
    }

    /// What belongs to an LMDB snapshot is the rest of the same moment, seen under one lock.
    fn enter<'a>(
        &'a self,
        state: &mut State,
        txn: RoTxn<'a, WithoutTls>,
        view: View,
    ) -> Snapshot<'a> {
        let layers = state.layers(txn.id(), view);
        let foundations = state.foundations(view);
        state.readers += 1;
        Snapshot {
            txn,
            tables: &self.tables,
            watch: self.watch(state),
            layers,
            foundations,
            _guest: Guest(self),
        }
    }
}

impl Datastore for Lmdb {
    fn capability(&self) -> Capability {
        self.capability
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        Ok(Box::new(self.snapshot(View::Reader)?))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        if self.writing.is_none() {
            return Err(Error::unsupported(
                "the store was opened for reading only: open it for writing to change it",
            ));
        }
        let me = thread::current().id();
        let mut state = self.lock();
        if state.turn == Some(me) {
            return Err(Error::invalid(
                "this thread holds the write transaction already: commit or drop it first",
            ));
        }
        state = wait_while(&self.turn_free, state, |state| state.turn.is_some());
        state.turn = Some(me);
        drop(state);
        let turn = Turn(self);
        if let Some(fault) = &self.lock().broken {
            return Err(fault.to_error());
        }
        let snapshot = self.snapshot(View::Writer)?;
        Ok(Box::new(Writer {
            store: self,
            changes: Layer::default(),
            snapshot,
            turn,
        }))
    }
}

/// Waits for `condvar` as long as `blocked` holds.
pub(crate) fn wait_while<'a>(
    condvar: &Condvar,
    state: MutexGuard<'a, State>,
    blocked: impl Fn(&State) -> bool,
) -> MutexGuard<'a, State> {
    condvar
        .wait_while(state, |state| blocked(state))
        .unwrap_or_else(PoisonError::into_inner)
}

/// Counts one LMDB read transaction; the map changes its size only when none is left.
pub(crate) struct Guest<'a>(&'a Lmdb);

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.readers -= 1;
        if state.readers == 0 && state.remapping {
            self.0.drained.notify_all();
        }
    }
}

/// The one writer's turn.
pub(crate) struct Turn<'a>(&'a Lmdb);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().turn = None;
        self.0.turn_free.notify_one();
    }
}

impl fmt::Debug for Lmdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lmdb")
            .field("dir", &self.dir)
            .field("stats", &self.stats())
            .finish()
    }
}

/// Writes what is acknowledged and not on disk yet, as far as the disk lets it.
impl Drop for Lmdb {
    fn drop(&mut self) {
        if self.writing.is_some() {
            self.flush_at_last();
        }
    }
}
