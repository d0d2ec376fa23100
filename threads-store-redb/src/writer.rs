//! Write transactions: changes kept in memory until they are committed.

use std::borrow::Cow;
use std::mem;

use threads_core::datastore::{
    Direction, Durability, KeyRange, Keyspace, Layer, ReadTxn, Scan, WriteTxn, check_key,
};
use threads_core::{Error, Result};

use crate::snapshot::Snapshot;
use crate::store::{Redb, Turn};

/// The longest value, in bytes. redb's own bound is 3 GiB, and a value is held in memory.
const VALUE_BYTES_MAX: usize = 1 << 30;

pub(crate) struct Writer<'a> {
    pub(crate) store: &'a Redb,
    pub(crate) changes: Layer,
    pub(crate) snapshot: Snapshot<'a>,
    pub(crate) turn: Turn<'a>,
}

impl ReadTxn for Writer<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.snapshot.get_under(Some(&self.changes), space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.snapshot
            .scan_under(Some(&self.changes), space, range, direction)
    }
}

impl WriteTxn for Writer<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(
                Error::invalid("a value is too long for the store: split it")
                    .with("bytes", value.len())
                    .with("most", VALUE_BYTES_MAX),
            );
        }
        self.changes.set(space, key, Some(value.into()));
        Ok(())
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        check_key(key)?;
        self.changes.set(space, key, None);
        Ok(())
    }

    fn commit(self: Box<Self>, durability: Durability) -> Result<()> {
        let Self {
            store,
            changes,
            mut snapshot,
            turn,
        } = *self;
        let foundations = mem::take(&mut snapshot.foundations);
        // First, so that neither copying a layer nor growing the map finds it in the way.
        drop(snapshot);
        store.commit(changes, &foundations, durability, turn)
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}
