//! What the files of a store still hold of what was purged.

use threads_core::Result;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace};

use crate::layout::meta;
use crate::node::Node;

impl Node {
    /// Whether the files of a store may still hold what was purged, in pages that are free: until somebody
    /// has them written over, as `Lmdb::wipe` and `RedbOptions::wipe` do, and [says so](Node::note_wiped).
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let store = node.datastore();
    /// assert!(!threads_db::Node::is_wipe_due(&*store).unwrap());
    /// db.purge([("Person".parse().unwrap(), "bob".parse().unwrap())]).unwrap();
    /// assert!(threads_db::Node::is_wipe_due(&*store).unwrap());
    /// ```
    pub fn is_wipe_due(store: &dyn Datastore) -> Result<bool> {
        let txn = store.read()?;
        Ok(txn.get(Keyspace::Meta, meta::UNWIPED)?.is_some())
    }

    /// Notes that the files of a store hold nothing any more of what was purged before.
    ///
    /// # Errors
    ///
    /// Those of a commit.
    ///
    /// ```
    /// use threads_core::datastore::Memory;
    /// // Here it would be written over.
    /// threads_db::Node::note_wiped(&Memory::new()).unwrap();
    /// ```
    pub fn note_wiped(store: &dyn Datastore) -> Result<()> {
        store.transact(Durability::Immediate, |txn| {
            txn.delete(Keyspace::Meta, meta::UNWIPED)
        })
    }
}
