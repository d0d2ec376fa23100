//! The store: opening it, beginning transactions, and closing it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::time::Duration;

use heed::{Env, MdbError, RoTxn, WithoutTls};
use threads_core::datastore::{Capability, Datastore, ReadTxn, WriteTxn};
use threads_core::{Error, Result};
use threads_store_group::{DirLock, Group, Snapshot, State, View, Writer};

use crate::check::{Guard, Watch};
use crate::env::{DATA_FILE, Tables};
use crate::fault::heed_error;
use crate::options::LmdbOptions;
use crate::reserve::Reserve;
use crate::snapshot::Rows;
use crate::state::Own;

/// How often a read transaction follows the map to a new size before it gives up.
const REMAPS_MAX: u32 = 3;
pub(crate) const READ_ONLY: &str =
    "the store was opened for reading only: open it for writing to change it";

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
    pub(crate) group: Group<Own>,
    /// The last reader left.
    pub(crate) drained: Condvar,
    /// The map has its new size, or will not get it.
    pub(crate) remapped: Condvar,
}

/// What only a store that was opened for writing has.
pub(crate) struct Writing {
    pub(crate) map_bytes_max: usize,
    pub(crate) reserve: Reserve,
    pub(crate) _lock: DirLock,
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
        let counts = state.counts();
        Stats {
            commits: counts.commits,
            syncs: counts.syncs,
            unsynced: counts.unsynced,
            map_bytes: if state.own.unmapped.is_some() {
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
        self.snapshot(View::Reader)?.verify()
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
        let own = Own::new(guard.filter(|guard| !guard.is_done()));
        Self {
            env,
            tables,
            dir: dir.to_owned(),
            capability,
            writing,
            readers_wait,
            group: Group::new(own),
            drained: Condvar::new(),
            remapped: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<Own>> {
        self.group.lock()
    }

    /// What a transaction must ask about pages, while that is needed.
    pub(crate) fn watch(&self, own: &mut Own) -> Option<Watch<'_>> {
        let guard = own.guard.as_ref()?;
        if !guard.is_done() {
            return Some(Watch::new(Arc::clone(guard), &self.tables));
        }
        // Its map of the file is a second one, and its pages count as this process's. Whoever reads
        // what another process writes begins the next guard at it.
        if self.writing.is_some() {
            own.guard = None;
        }
        None
    }

    fn snapshot(&self, view: View) -> Result<Snapshot<Rows<'_>>> {
        let mut state = self.lock();
        for _ in 0..REMAPS_MAX {
            state = self
                .remapped
                .wait_while(state, |state| state.own.remapping)
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(fault) = &state.own.unmapped {
                return Err(fault.to_error());
            }
            match self.env.read_txn() {
                Ok(txn) => {
                    if self.follow(&mut state.own, txn.id())? {
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
    fn follow(&self, own: &mut Own, transaction: usize) -> Result<bool> {
        let Some(guard) = &own.guard else {
            return Ok(true);
        };
        if self.writing.is_some() || guard.transaction == transaction as u64 {
            return Ok(true);
        }
        let next = guard.follow(transaction as u64)?;
        let found = next.is_some();
        if let Some(next) = next {
            own.guard = Some(Arc::new(next));
        }
        Ok(found)
    }

    /// What belongs to an LMDB snapshot is the rest of the same moment, seen under one lock.
    fn enter<'a>(
        &'a self,
        state: &mut State<Own>,
        txn: RoTxn<'a, WithoutTls>,
        view: View,
    ) -> Snapshot<Rows<'a>> {
        let carried = state.own.carried(txn.id());
        state.own.readers += 1;
        let rows = Rows {
            txn,
            tables: &self.tables,
            watch: self.watch(&mut state.own),
            _guest: Guest(self),
        };
        state.snapshot(rows, carried, view)
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
            return Err(Error::unsupported(READ_ONLY));
        }
        let turn = self.group.turn()?;
        let snapshot = self.snapshot(View::Writer)?;
        Ok(Box::new(Writer::new(self, snapshot, turn)))
    }
}

/// Counts one LMDB read transaction; the map changes its size only when none is left.
pub(crate) struct Guest<'a>(&'a Lmdb);

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.own.readers -= 1;
        if state.own.readers == 0 && state.own.remapping {
            self.0.drained.notify_all();
        }
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
            self.group.close(self);
        }
    }
}
