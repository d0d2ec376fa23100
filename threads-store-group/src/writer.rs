//! Write transactions: changes kept in memory until they are committed.

use std::borrow::Cow;
use std::fmt;

use threads_core::datastore::{
    Direction, Durability, KeyRange, Keyspace, Layer, ReadTxn, Scan, WriteTxn, check_key,
};
use threads_core::{Error, Result};

use crate::group::{Carrier, Turn};
use crate::snapshot::Snapshot;

/// The longest value, in bytes. Stores could take longer ones, and a value is held in memory.
const VALUE_BYTES_MAX: usize = 1 << 30;

/// A write transaction: changes in memory over a snapshot, and the one writer's turn.
///
/// ```
/// use threads_core::Result;
/// use threads_core::datastore::{ReadTxn, WriteTxn};
/// use threads_store_group::{Carrier, Group, View, Writer};
///
/// /// What a store does in `Datastore::write`.
/// fn write<'a>(
///     store: &'a dyn Carrier,
///     group: &'a Group<()>,
///     rows: impl ReadTxn + 'a,
/// ) -> Result<Box<dyn WriteTxn + 'a>> {
///     let turn = group.turn()?;
///     let snapshot = group.lock().snapshot(rows, 0, View::Writer);
///     Ok(Box::new(Writer::new(store, snapshot, turn)))
/// }
/// ```
pub struct Writer<'a, Own, R> {
    carrier: &'a dyn Carrier,
    changes: Layer,
    snapshot: Snapshot<R>,
    turn: Turn<'a, Own>,
}

impl<'a, Own, R> Writer<'a, Own, R> {
    /// A transaction of no changes yet, over a snapshot that was taken in this turn as a
    /// [`Writer`](crate::View::Writer) sees it.
    ///
    /// ```
    /// use threads_store_group::{Carrier, Snapshot, Turn, Writer};
    ///
    /// fn begin<'a, R>(
    ///     store: &'a dyn Carrier,
    ///     snapshot: Snapshot<R>,
    ///     turn: Turn<'a, ()>,
    /// ) -> Writer<'a, (), R> {
    ///     Writer::new(store, snapshot, turn)
    /// }
    /// ```
    pub fn new(carrier: &'a dyn Carrier, snapshot: Snapshot<R>, turn: Turn<'a, Own>) -> Self {
        Self {
            carrier,
            changes: Layer::default(),
            snapshot,
            turn,
        }
    }
}

impl<Own, R: ReadTxn> ReadTxn for Writer<'_, Own, R> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.snapshot.get_under(Some(&self.changes), space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.snapshot
            .scan_under(Some(&self.changes), space, range, direction)
    }
}

impl<Own, R: ReadTxn> WriteTxn for Writer<'_, Own, R> {
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
            carrier,
            changes,
            snapshot,
            turn,
        } = *self;
        let foundations = snapshot.foundations;
        // First, so that neither copying a layer nor making room on disk finds them in the way.
        drop((snapshot.rows, snapshot.layers));
        turn.commit(carrier, changes, &foundations, durability)
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}

impl<Own, R> fmt::Debug for Writer<'_, Own, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("bytes", &self.changes.bytes())
            .finish_non_exhaustive()
    }
}
