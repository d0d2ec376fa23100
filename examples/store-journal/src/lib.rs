//! A durable store to start from: all rows in memory, every commit in a journal.
//!
//! Reading is reading a map that never changes: a commit makes a new one. That copies the tree of
//! keys once for each write transaction, which is fine for some thousands of rows. Every commit is
//! synced, whatever its durability asks for: a promise may be kept better than it was given.
//!
//! ```
//! use example_store_journal::Journal;
//! use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let dir = dir.path();
//! let store = Journal::open(dir).unwrap();
//! store.transact(Durability::Group, |txn| txn.put(Keyspace::Views, b"k", b"v")).unwrap();
//! drop(store);
//!
//! let store = Journal::open(dir).unwrap();
//! let read = store.read().unwrap();
//! assert_eq!(read.get(Keyspace::Views, b"k").unwrap().as_deref(), Some(&b"v"[..]));
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound::{Excluded, Included};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, ThreadId};

use threads_core::datastore::{
    Capability, Datastore, Direction, Durability, KeyRange, Keyspace, ReadTxn, Scan, WriteTxn,
    check_key,
};
use threads_core::{Error, Result};

mod file;

use file::{Change, JournalFile};

/// The rows of every keyspace. Values are shared by all copies of the map.
type Rows = BTreeMap<Keyspace, BTreeMap<Vec<u8>, Arc<[u8]>>>;

/// A [`Datastore`] in a directory.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// let store = example_store_journal::Journal::open(dir.path()).unwrap();
/// ```
pub struct Journal {
    capability: Capability,
    committed: RwLock<Arc<Rows>>,
    file: Mutex<JournalFile>,
    /// The thread that has the write transaction.
    turn: Mutex<Option<ThreadId>>,
    turn_free: Condvar,
}

impl Journal {
    /// Opens the store in `dir`, or makes one there.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](threads_core::ErrorKind::Unavailable) when it is open already or the disk
    /// fails, [`Corrupt`](threads_core::ErrorKind::Corrupt) when it is damaged.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = example_store_journal::Journal::open(dir.path()).unwrap();
    /// assert!(example_store_journal::Journal::open(dir.path()).is_err(), "it is open");
    /// ```
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, u64::MAX)
    }

    /// The same, with at most `bytes_max` bytes of journal.
    ///
    /// # Errors
    ///
    /// As [`Journal::open`]. A commit that has no room fails with
    /// [`Full`](threads_core::ErrorKind::Full).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = example_store_journal::Journal::open_with(dir.path(), 1 << 20).unwrap();
    /// ```
    pub fn open_with(dir: &Path, bytes_max: u64) -> Result<Self> {
        let (file, rows) = JournalFile::open(dir, bytes_max)?;
        Ok(Self {
            capability: file.capability(),
            committed: RwLock::new(Arc::new(rows)),
            file: Mutex::new(file),
            turn: Mutex::new(None),
            turn_free: Condvar::new(),
        })
    }

    fn snapshot(&self) -> Snapshot {
        // Every change of what these locks guard is one assignment, so a panic breaks nothing.
        let rows = self
            .committed
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Snapshot(Arc::clone(&rows))
    }

    fn turn(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl Datastore for Journal {
    fn capability(&self) -> Capability {
        self.capability
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        Ok(Box::new(self.snapshot()))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        let me = thread::current().id();
        let mut holder = self.turn();
        if *holder == Some(me) {
            return Err(Error::invalid(
                "this thread has a write transaction already: use that one, or end it first",
            ));
        }
        holder = self
            .turn_free
            .wait_while(holder, |holder| holder.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        *holder = Some(me);
        drop(holder);
        let turn = Turn(self);
        // Only now: what the one before committed has to be in it.
        let rows = self.snapshot();
        Ok(Box::new(Writer {
            rows,
            changes: Vec::new(),
            turn,
        }))
    }
}

/// The right to write, until it is dropped.
struct Turn<'a>(&'a Journal);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.turn() = None;
        self.0.turn_free.notify_one();
    }
}

struct Snapshot(Arc<Rows>);

impl ReadTxn for Snapshot {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let value = self.0.get(&space).and_then(|rows| rows.get(key));
        Ok(value.map(|value| Cow::Borrowed(&**value)))
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let Some(rows) = self.0.get(&space).filter(|_| !is_inverted(range)) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let rows = rows
            .range::<[u8], _>(range)
            .map(|(key, value)| Ok((Cow::Borrowed(&**key), Cow::Borrowed(&**value))));
        Ok(match direction {
            Direction::Forward => Box::new(rows),
            Direction::Reverse => Box::new(rows.rev()),
        })
    }
}

/// Whether a range ends before it starts, for which a `BTreeMap` panics.
fn is_inverted(range: KeyRange<'_>) -> bool {
    match range {
        (Excluded(start), Excluded(end)) => start >= end,
        (Included(start) | Excluded(start), Included(end) | Excluded(end)) => start > end,
        _ => false,
    }
}

struct Writer<'a> {
    rows: Snapshot,
    changes: Vec<Change>,
    turn: Turn<'a>,
}

impl ReadTxn for Writer<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.rows.get(space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.rows.scan(space, range, direction)
    }
}

impl Writer<'_> {
    fn change(&mut self, change: Change) -> Result<()> {
        check_key(&change.key)?;
        change.apply(Arc::make_mut(&mut self.rows.0));
        self.changes.push(change);
        Ok(())
    }
}

impl WriteTxn for Writer<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        self.change(Change {
            space,
            key: key.to_vec(),
            value: Some(value.into()),
        })
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        self.change(Change {
            space,
            key: key.to_vec(),
            value: None,
        })
    }

    fn commit(self: Box<Self>, _durability: Durability) -> Result<()> {
        let store = self.turn.0;
        if !self.changes.is_empty() {
            let mut file = store.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.append(&self.changes)?;
        }
        // On disk first, visible then. The turn ends after both.
        let mut committed = store
            .committed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *committed = Arc::clone(&self.rows.0);
        Ok(())
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}
