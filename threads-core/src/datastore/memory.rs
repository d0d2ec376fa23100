//! The reference datastore: correct, in memory, gone with the process.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::ThreadId;

use rpds::RedBlackTreeMapSync;

use super::range::range_is_empty;
use super::{
    Capability, Datastore, Direction, Durability, KeyRange, Keyspace, ReadTxn, Scan, WriteTxn,
    check_key, owned_bound,
};
use crate::{Error, Result};

/// A persistent map: a snapshot is a clone, and a clone shares everything.
type Tree = RedBlackTreeMapSync<(Keyspace, Vec<u8>), Arc<[u8]>>;

/// A [`Datastore`] in memory: the reference that other stores are compared with.
///
/// Snapshots cost nothing and never block the writer. Nothing outlives the value, so every
/// [`Durability`] is the same here.
///
/// ```
/// use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, Memory, ReadTxn, WriteTxn};
///
/// let store = Memory::new();
/// let before = store.read().unwrap();
/// store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v")).unwrap();
/// assert!(before.get(Keyspace::Meta, b"k").unwrap().is_none());
/// assert!(store.read().unwrap().get(Keyspace::Meta, b"k").unwrap().is_some());
/// ```
#[derive(Default)]
pub struct Memory {
    committed: RwLock<Tree>,
    writer: Mutex<()>,
    /// The thread that has the write transaction.
    holder: Mutex<Option<ThreadId>>,
}

impl Memory {
    /// An empty store.
    ///
    /// ```
    /// let store = threads_core::datastore::Memory::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Another store that begins with the rows of this one, as they are committed now. It costs
    /// nothing, however many there are; what is written to one of them later is not in the other.
    ///
    /// ```
    /// use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, Memory, ReadTxn, WriteTxn};
    ///
    /// let store = Memory::new();
    /// store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v")).unwrap();
    /// let before = store.fork();
    /// store.transact(Durability::Group, |txn| txn.delete(Keyspace::Meta, b"k")).unwrap();
    /// assert!(before.read().unwrap().get(Keyspace::Meta, b"k").unwrap().is_some());
    /// ```
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            committed: RwLock::new(self.snapshot()),
            ..Self::default()
        }
    }

    fn holder(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Tree {
        self.committed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("rows", &self.snapshot().size())
            .finish()
    }
}

impl Datastore for Memory {
    fn capability(&self) -> Capability {
        Capability::volatile()
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        Ok(Box::new(Snapshot(self.snapshot())))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        let this = std::thread::current().id();
        if *self.holder() == Some(this) {
            // Waiting for oneself would be for ever.
            return Err(Error::invalid(
                "this thread has a write transaction already: use that one, or end it first",
            ));
        }
        // The lock guards no data of its own, so a panic while it was held broke nothing.
        let turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        *self.holder() = Some(this);
        Ok(Box::new(Writer {
            tree: Snapshot(self.snapshot()),
            turn: Turn {
                store: self,
                _lock: turn,
            },
        }))
    }
}

struct Snapshot(Tree);

impl ReadTxn for Snapshot {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(self
            .0
            .get(&(space, key.to_vec()))
            .map(|value| Cow::Borrowed(&**value)))
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        if range_is_empty(&range) {
            return Ok(Box::new(std::iter::empty()));
        }
        let rows = self
            .0
            .range((lower(space, range), upper(space, range)))
            .map(|((_, key), value)| Ok((Cow::Borrowed(&**key), Cow::Borrowed(&**value))));
        Ok(match direction {
            Direction::Forward => Box::new(rows),
            Direction::Reverse => Box::new(rows.rev()),
        })
    }
}

type TreeBound = std::ops::Bound<(Keyspace, Vec<u8>)>;

fn lower(space: Keyspace, range: KeyRange<'_>) -> TreeBound {
    match owned_bound(range.0) {
        // Keys are never empty, so the empty key is before all keys of its space.
        std::ops::Bound::Unbounded => std::ops::Bound::Excluded((space, Vec::new())),
        bound => bound.map(|key| (space, key)),
    }
}

fn upper(space: Keyspace, range: KeyRange<'_>) -> TreeBound {
    match owned_bound(range.1) {
        std::ops::Bound::Unbounded => match Keyspace::ALL.iter().find(|next| **next > space) {
            Some(next) => std::ops::Bound::Excluded((*next, Vec::new())),
            None => std::ops::Bound::Unbounded,
        },
        bound => bound.map(|key| (space, key)),
    }
}

/// The right to write, until it is dropped.
struct Turn<'a> {
    store: &'a Memory,
    _lock: MutexGuard<'a, ()>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.store.holder() = None;
    }
}

struct Writer<'a> {
    tree: Snapshot,
    turn: Turn<'a>,
}

impl ReadTxn for Writer<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.tree.get(space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.tree.scan(space, range, direction)
    }
}

impl WriteTxn for Writer<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        self.tree.0.insert_mut((space, key.to_vec()), value.into());
        Ok(())
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        check_key(key)?;
        self.tree.0.remove_mut(&(space, key.to_vec()));
        Ok(())
    }

    fn commit(self: Box<Self>, _durability: Durability) -> Result<()> {
        let mut committed = self
            .turn
            .store
            .committed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *committed = self.tree.0;
        Ok(())
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound::{Excluded, Included, Unbounded};

    use super::*;
    use crate::datastore::DatastoreExt;

    #[test]
    fn a_second_writer_on_one_thread_is_refused_instead_of_waiting_for_ever() {
        let store = Memory::new();
        let first = store.write().unwrap();
        assert!(store.write().is_err());
        drop(first);
        assert!(store.write().is_ok());
    }

    #[test]
    fn a_range_that_holds_nothing_gives_nothing() {
        let store = Memory::new();
        store
            .transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"b", b""))
            .unwrap();
        let txn = store.read().unwrap();
        let ranges: [KeyRange<'_>; 6] = [
            (Unbounded, Excluded(b"")),
            (Unbounded, Included(b"")),
            (Included(b""), Excluded(b"")),
            (Included(b"c"), Included(b"a")),
            (Excluded(b"b"), Excluded(b"b")),
            (Excluded(b"b"), Included(b"b")),
        ];
        for range in ranges {
            for direction in [Direction::Forward, Direction::Reverse] {
                let rows = txn.scan(Keyspace::Meta, range, direction).unwrap();
                assert_eq!(rows.count(), 0, "{range:?}");
            }
        }
    }
}
