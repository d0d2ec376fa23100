//! A disk whose power can fail: what was not synced is lost.
//!
//! ```
//! use threads_conformance::sim::store::Disk;
//! use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
//!
//! let disk = Disk::new();
//! disk.transact(Durability::Group, |txn| txn.put(Keyspace::Views, b"synced", b"")).unwrap();
//! disk.transact(Durability::Relaxed, |txn| txn.put(Keyspace::Views, b"late", b"")).unwrap();
//! let after = disk.after_power_loss();
//! let txn = after.read().unwrap();
//! assert!(txn.get(Keyspace::Views, b"synced").unwrap().is_some());
//! assert!(txn.get(Keyspace::Views, b"late").unwrap().is_none());
//! ```

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use threads_core::datastore::{
    Capability, Datastore, Direction, Durability, KeyRange, Keyspace, Memory, ReadTxn, Scan,
    WriteTxn,
};
use threads_core::{Error, Result};

/// How a disk breaks its promise, to see that it is found. See the [module](self).
///
/// ```
/// use threads_conformance::sim::store::Lie;
/// assert_ne!(Lie::SyncsLater, Lie::SkipsEmptyCommits);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// No commit waits for the disk; every twentieth syncs all of them.
    SyncsLater,
    /// A commit that changes nothing returns at once, also when earlier ones are not on disk.
    SkipsEmptyCommits,
}

/// Every how many commits a disk syncs that [syncs later](Lie::SyncsLater).
const SYNC_EVERY: u64 = 20;

/// A [`Datastore`] in memory that tells what is on disk from what is not. Commits of
/// [`Durability::Relaxed`] are on disk with the next other one. See the [module](self) for an example.
#[derive(Debug)]
pub struct Disk {
    visible: Memory,
    state: Mutex<State>,
    lie: Option<Lie>,
}

#[derive(Debug)]
struct State {
    synced: Memory,
    commits: u64,
    /// How many commits there is power for.
    power: Option<u64>,
}

impl Default for Disk {
    fn default() -> Self {
        Self::over(Memory::new(), None)
    }
}

impl Disk {
    /// An empty disk. See the [module](self) for an example.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with a defect.
    ///
    /// ```
    /// use threads_conformance::sim::store::{Disk, Lie};
    /// use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
    ///
    /// let disk = Disk::new().that_lies(Lie::SyncsLater);
    /// disk.transact(Durability::Immediate, |txn| txn.put(Keyspace::Views, b"k", b"")).unwrap();
    /// let after = disk.after_power_loss();
    /// assert!(after.read().unwrap().get(Keyspace::Views, b"k").unwrap().is_none());
    /// ```
    #[must_use]
    pub fn that_lies(mut self, lie: Lie) -> Self {
        self.lie = Some(lie);
        self
    }

    pub(super) fn over(rows: Memory, lie: Option<Lie>) -> Self {
        let state = State {
            synced: rows.fork(),
            commits: 0,
            power: None,
        };
        Self {
            visible: rows,
            state: Mutex::new(state),
            lie,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What it guards is whole between any two of its operations.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is on disk now. See the [module](self) for an example.
    pub fn after_power_loss(&self) -> Self {
        Self::over(self.synced(), self.lie)
    }

    /// What is on disk now, as a store to look into.
    ///
    /// ```
    /// use threads_core::datastore::Datastore;
    /// let disk = threads_conformance::sim::store::Disk::new();
    /// assert!(disk.synced().read().is_ok());
    /// ```
    pub fn synced(&self) -> Memory {
        self.state().synced.fork()
    }

    /// How many commits there were.
    ///
    /// ```
    /// use threads_core::datastore::DatastoreExt;
    /// let disk = threads_conformance::sim::store::Disk::new();
    /// disk.sync().unwrap();
    /// assert_eq!(disk.commits(), 1);
    /// ```
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// Has the power fail after so many more commits: every later one fails.
    ///
    /// ```
    /// use threads_core::datastore::DatastoreExt;
    /// let disk = threads_conformance::sim::store::Disk::new();
    /// disk.fail_after(1);
    /// assert!(disk.sync().is_ok());
    /// assert!(disk.sync().is_err());
    /// assert!(disk.has_failed());
    /// ```
    pub fn fail_after(&self, commits: u64) {
        self.state().power = Some(commits);
    }

    /// Whether the power has failed, or does with the next commit. See [`Disk::fail_after`].
    ///
    /// ```
    /// assert!(!threads_conformance::sim::store::Disk::new().has_failed());
    /// ```
    pub fn has_failed(&self) -> bool {
        self.state().power == Some(0)
    }

    /// Whether the power is about to fail, or has failed. See [`Disk::fail_after`].
    ///
    /// ```
    /// let disk = threads_conformance::sim::store::Disk::new();
    /// disk.fail_after(3);
    /// assert!(disk.is_failing() && !disk.has_failed());
    /// disk.repair();
    /// assert!(!disk.is_failing());
    /// ```
    pub fn is_failing(&self) -> bool {
        self.state().power.is_some()
    }

    /// The power does not fail after all. See [`Disk::is_failing`] for an example.
    ///
    /// ```
    /// threads_conformance::sim::store::Disk::new().repair();
    /// ```
    pub fn repair(&self) {
        self.state().power = None;
    }
}

impl Datastore for Disk {
    fn capability(&self) -> Capability {
        Capability::durable()
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        self.visible.read()
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        Ok(Box::new(Writer {
            inner: self.visible.write()?,
            disk: self,
            changed: false,
        }))
    }
}

struct Writer<'a> {
    inner: Box<dyn WriteTxn + 'a>,
    disk: &'a Disk,
    changed: bool,
}

impl ReadTxn for Writer<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.inner.get(space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.inner.scan(space, range, direction)
    }
}

impl WriteTxn for Writer<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        self.changed = true;
        self.inner.put(space, key, value)
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        self.changed = true;
        self.inner.delete(space, key)
    }

    fn commit(self: Box<Self>, durability: Durability) -> Result<()> {
        let mut state = self.disk.state();
        if let Some(power) = &mut state.power {
            *power = power
                .checked_sub(1)
                .ok_or_else(|| Error::unavailable("the power has failed"))?;
        }
        self.inner.commit(durability)?;
        state.commits += 1;
        let syncs = match self.disk.lie {
            None => durability != Durability::Relaxed,
            Some(Lie::SyncsLater) => state.commits.is_multiple_of(SYNC_EVERY),
            Some(Lie::SkipsEmptyCommits) => durability != Durability::Relaxed && self.changed,
        };
        if syncs {
            state.synced = self.disk.visible.fork();
        }
        Ok(())
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}
