//! What restores that were cut short left behind.

use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};
use threads_core::{Error, Result, ThreadId};

use crate::base::marks;
use crate::held;
use crate::kept;
use crate::layout::{Number, Prefix, meta, thread_prefix};
use crate::node::Node;
use crate::thread::books;

/// How many rows of an abandoned restore one commit clears.
const CLEAR_ROWS: usize = 10_000;
/// The keyspaces whose rows come of records.
const OF_RECORDS: [Keyspace; 7] = [
    Keyspace::Blocks,
    Keyspace::Links,
    Keyspace::History,
    Keyspace::Entities,
    Keyspace::Indexes,
    Keyspace::Feed,
    Keyspace::Held,
];

impl Node {
    /// Clears what restores that were cut short left behind.
    pub(super) fn clear_abandoned(&self) -> Result<()> {
        let mut abandoned = Vec::new();
        {
            let txn = self.inner.store.read()?;
            let prefix = Prefix::new(meta::RESTORING);
            for row in txn.scan(Keyspace::Meta, prefix.range(), Direction::Forward)? {
                let (key, id) = row?;
                let number = key[meta::RESTORING.len()..]
                    .try_into()
                    .map_err(|_| Error::corrupt("the mark of a restore is damaged"))?;
                abandoned.push((Number::from_be_bytes(number), ThreadId::from_bytes(&id)?));
            }
        }
        for (number, id) in abandoned {
            self.clear_records(number)?;
            for space in [Keyspace::Peers, Keyspace::Blobs] {
                self.clear_rows(space, &thread_prefix(number))?;
            }
            self.inner.store.transact(Durability::Group, |txn| {
                txn.delete(Keyspace::Meta, &meta::base(number))?;
                marks::forget(txn, number)?;
                books::clear(txn, &id)?;
                kept::forget(txn, number)?;
                txn.delete(Keyspace::Meta, &meta::restoring(number))
            })?;
        }
        Ok(())
    }

    /// Clears what came of the records of a thread, but for what the books and the keyspace of metadata have.
    pub(crate) fn clear_records(&self, thread: Number) -> Result<()> {
        let store = &self.inner.store;
        store.transact(Durability::Group, |txn| held::forget(txn, thread))?;
        let mut spaces = OF_RECORDS.iter();
        spaces.try_for_each(|space| self.clear_rows(*space, &thread_prefix(thread)))
    }

    /// Removes the rows under a prefix, a bounded number in each commit.
    pub(crate) fn clear_rows(&self, space: Keyspace, prefix: &[u8]) -> Result<()> {
        let bounds = Prefix::new(prefix);
        loop {
            // Ends: every turn removes at least one of finitely many rows.
            let cleared = self.inner.store.transact(Durability::Group, |txn| {
                let rows = txn.scan(space, bounds.range(), Direction::Forward)?;
                let keys = rows
                    .take(CLEAR_ROWS)
                    .map(|row| row.map(|(key, _)| key.into_owned()))
                    .collect::<Result<Vec<_>>>()?;
                for key in &keys {
                    txn.delete(space, key)?;
                }
                Ok(keys.len())
            })?;
            if cleared < CLEAR_ROWS {
                return Ok(());
            }
        }
    }
}
