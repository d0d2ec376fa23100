//! A store that fails on demand, for tests of whoever uses one: engines, reducers, tools.
//!
//! Run what you test with its first operation failing, then with its second, until it passes.
//! Each time it has to say so, leave nothing half done, and work the next time:
//!
//! ```
//! use threads_conformance::faulty::{Fails, Faulty};
//! use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, Memory, ReadTxn};
//!
//! let store = Faulty::new(Memory::new(), Fails::Writing);
//! let step = || store.transact(Durability::Group, |txn| {
//!     txn.put(Keyspace::Views, b"a", b"1")?;
//!     txn.put(Keyspace::Views, b"b", b"2")
//! });
//! for nth in 1.. {
//!     store.arm(nth);
//!     let result = step();
//!     if !store.disarm() {
//!         assert_eq!((nth, result.is_ok()), (4, true), "two puts and a commit can fail");
//!         break;
//!     }
//!     assert!(result.unwrap_err().is_retryable());
//!     assert!(store.inner().read().unwrap().get(Keyspace::Views, b"a").unwrap().is_none());
//! }
//! ```

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use threads_core::datastore::{
    Capability, Datastore, Direction, Durability, KeyRange, Keyspace, ReadTxn, Scan, WriteTxn,
};
use threads_core::{Error, Result};

use crate::datastore::model::{Change, apply};

/// Which operations of a [`Faulty`] store count, and fail.
///
/// ```
/// use threads_conformance::faulty::Fails;
/// assert_ne!(Fails::Reading, Fails::Writing);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    /// Puts, deletes and commits.
    Writing,
    /// Gets, scans and their rows.
    Reading,
    /// Commits, and the one that fails is torn: the first half of its changes is there all the
    /// same. No store may do that; it shows whether you would notice.
    Torn,
}

/// A store that fails once, when it is told to, and works before and after.
///
/// ```
/// use threads_conformance::faulty::{Fails, Faulty};
/// use threads_core::datastore::{DatastoreExt, Memory};
///
/// let store = Faulty::new(Memory::new(), Fails::Writing);
/// store.arm(1);
/// assert!(store.sync().is_err());
/// assert!(store.sync().is_ok());
/// ```
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    fails: Fails,
    /// How many operations until the one that fails; 0 when none does.
    left: AtomicU64,
}

impl<S: Datastore> Faulty<S> {
    /// A store that does what `inner` does until it is [armed](Self::arm).
    ///
    /// ```
    /// # use threads_conformance::faulty::{Fails, Faulty};
    /// # use threads_core::datastore::{DatastoreExt, Memory};
    /// assert!(Faulty::new(Memory::new(), Fails::Writing).sync().is_ok());
    /// ```
    pub fn new(inner: S, fails: Fails) -> Self {
        Self {
            inner,
            fails,
            left: AtomicU64::new(0),
        }
    }

    /// The store within, which does not fail.
    ///
    /// ```
    /// # use threads_conformance::faulty::{Fails, Faulty};
    /// # use threads_core::datastore::{DatastoreExt, Memory};
    /// let store = Faulty::new(Memory::new(), Fails::Writing);
    /// store.arm(1);
    /// assert!(store.inner().sync().is_ok());
    /// ```
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Which operations fail.
    ///
    /// ```
    /// # use threads_conformance::faulty::{Fails, Faulty};
    /// # use threads_core::datastore::Memory;
    /// assert_eq!(Faulty::new(Memory::new(), Fails::Torn).fails(), Fails::Torn);
    /// ```
    pub fn fails(&self) -> Fails {
        self.fails
    }

    /// Makes the `nth` operation from now fail, counted from 1.
    ///
    /// ```
    /// # use threads_conformance::faulty::{Fails, Faulty};
    /// # use threads_core::datastore::{DatastoreExt, Memory};
    /// let store = Faulty::new(Memory::new(), Fails::Writing);
    /// store.arm(2);
    /// assert!(store.sync().is_ok());
    /// assert!(store.sync().is_err());
    /// ```
    pub fn arm(&self, nth: u64) {
        self.left.store(nth, Ordering::SeqCst);
    }

    /// Makes no operation fail; says whether one did since [`Faulty::arm`].
    ///
    /// ```
    /// # use threads_conformance::faulty::{Fails, Faulty};
    /// # use threads_core::datastore::{DatastoreExt, Memory};
    /// let store = Faulty::new(Memory::new(), Fails::Writing);
    /// store.arm(2);
    /// store.sync().unwrap();
    /// assert!(!store.disarm(), "one operation of two");
    /// ```
    pub fn disarm(&self) -> bool {
        self.left.swap(0, Ordering::SeqCst) == 0
    }

    fn pass(&self, operation: Fails) -> Result<()> {
        if operation != self.fails {
            return Ok(());
        }
        let count_down = |left: u64| left.checked_sub(1);
        match self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down)
        {
            Ok(1) => Err(Error::unavailable("the store was made to fail: try again")),
            _ => Ok(()),
        }
    }

    fn txn<T: ?Sized>(&self, inner: Box<T>) -> FaultyTxn<'_, S, T> {
        FaultyTxn {
            inner,
            store: self,
            changes: Vec::new(),
        }
    }
}

impl<S: Datastore> Datastore for Faulty<S> {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        Ok(Box::new(self.txn(self.inner.read()?)))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        Ok(Box::new(self.txn(self.inner.write()?)))
    }
}

struct FaultyTxn<'a, S, T: ?Sized> {
    inner: Box<T>,
    store: &'a Faulty<S>,
    /// What the transaction changed, for the commit that is torn.
    changes: Vec<Change>,
}

impl<S: Datastore, T: ReadTxn + ?Sized> ReadTxn for FaultyTxn<'_, S, T> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.store.pass(Fails::Reading)?;
        self.inner.get(space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.store.pass(Fails::Reading)?;
        let rows = self.inner.scan(space, range, direction)?;
        Ok(Box::new(
            rows.map(|row| self.store.pass(Fails::Reading).and(row)),
        ))
    }
}

impl<S: Datastore, T: WriteTxn + ?Sized> FaultyTxn<'_, S, T> {
    fn note(&mut self, change: impl FnOnce() -> Change) -> Result<()> {
        if self.store.fails == Fails::Torn {
            self.changes.push(change());
        }
        self.store.pass(Fails::Writing)
    }
}

impl<S: Datastore, T: WriteTxn + ?Sized> WriteTxn for FaultyTxn<'_, S, T> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        self.note(|| Change::Put(space, key.to_vec(), value.to_vec()))?;
        self.inner.put(space, key, value)
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        self.note(|| Change::Delete(space, key.to_vec()))?;
        self.inner.delete(space, key)
    }

    fn commit(self: Box<Self>, durability: Durability) -> Result<()> {
        self.store.pass(Fails::Writing)?;
        let Err(error) = self.store.pass(Fails::Torn) else {
            return self.inner.commit(durability);
        };
        drop(self.inner);
        let mut half = self.store.inner.write()?;
        for change in &self.changes[..self.changes.len().div_ceil(2)] {
            apply(&mut *half, change)?;
        }
        half.commit(durability)?;
        Err(error)
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}
