//! Looking for what rules speak of: entities by their tags, the records of an entity.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::access::EntityTag;
use threads_core::datastore::{Datastore, Direction, Keyspace};
use threads_core::{Cid, CollectionName, EntityId, Result};

use crate::chain;
use crate::db::Db;
use crate::history;
use crate::layout::{self, Prefix, meta};

impl Db {
    /// Which entities have these tags, of those that are or were here. It looks at every entity of the
    /// thread, until all tags are found.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_core::access::EntityTag;
    /// let (people, bob) = ("Person".parse().unwrap(), "bob".parse().unwrap());
    /// let tag = EntityTag::of(db.id(), &people, &bob);
    /// let found = db.entities_tagged([tag]).unwrap();
    /// assert_eq!(found[&tag], (people, bob));
    /// ```
    pub fn entities_tagged(
        &self,
        tags: impl IntoIterator<Item = EntityTag>,
    ) -> Result<BTreeMap<EntityTag, (CollectionName, EntityId)>> {
        let mut wanted: BTreeSet<EntityTag> = tags.into_iter().collect();
        let mut found = BTreeMap::new();
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        for (number, collection) in layout::collections(&*txn, thread.number)? {
            let prefix = layout::collection_prefix(thread.number, number);
            let bounds = Prefix::new(&prefix);
            for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
                if wanted.is_empty() {
                    return Ok(found);
                }
                let id = layout::entity_id(&row?.0, prefix.len())?;
                let tag = EntityTag::of(&thread.id, &collection, &id);
                if wanted.remove(&tag) {
                    found.insert(tag, (collection.clone(), id));
                }
            }
        }
        Ok(found)
    }

    /// The records that changed an entity, those that were undone among them, in the order of their
    /// events. Records that were never applied are among [`Db::held`].
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let (people, bob) = ("Person".parse().unwrap(), "bob".parse().unwrap());
    /// assert_eq!(db.records_of(&people, &bob).unwrap(), [db.log(None).unwrap()[0].record]);
    /// ```
    pub fn records_of(&self, collection: &CollectionName, entity: &EntityId) -> Result<Vec<Cid>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let number = layout::number(&*txn, &meta::collection(thread.number, collection))?;
        let Some(number) = number else {
            return Ok(Vec::new());
        };
        let (_, prefix) = history::keys(thread.number, number, entity.as_str());
        let mut records = Vec::new();
        for row in history::all(&*txn, thread, &prefix)? {
            let record = chain::expect(&*txn, row.place.of_record(thread.number))?.record_id();
            if records.last() != Some(&record) {
                records.push(record);
            }
        }
        Ok(records)
    }
}
