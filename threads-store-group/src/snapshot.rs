//! The rows on disk at one moment, and the layers that lay over them when they were taken.
//!
//! ```
//! use threads_core::datastore::{Keyspace, ReadTxn};
//! use threads_store_group::{Snapshot, View, Group};
//!
//! fn read(group: &Group<()>, rows: impl ReadTxn) -> threads_core::Result<u64> {
//!     let snapshot: Snapshot<_> = group.lock().snapshot(rows, 0, View::Reader);
//!     assert!(snapshot.get(Keyspace::Meta, b"no such key")?.is_none());
//!     snapshot.verify()
//! }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::ops::Bound::Unbounded;
use std::sync::Arc;

use threads_core::Result;
use threads_core::datastore::{
    Direction, KeyRange, Keyspace, Layer, ReadTxn, Scan, merged, range_is_empty,
};

use crate::flight::Outcome;

/// Who takes a snapshot, and so which layers are in it. See the [module](self).
#[expect(clippy::exhaustive_enums, reason = "a transaction reads or writes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// What has been acknowledged.
    Reader,
    /// Everything, since a writer comes after all that is queued.
    Writer,
}

/// A read transaction: rows, and layers over them. See the [module](self).
pub struct Snapshot<R> {
    pub(crate) rows: R,
    /// Newest first.
    pub(crate) layers: Vec<Arc<Layer>>,
    /// What becomes of the commits in it that are not on disk yet.
    pub(crate) foundations: Vec<Arc<Outcome>>,
}

impl<R: ReadTxn> Snapshot<R> {
    /// Reads every row, which the rows check as they are read; gives the number of rows. See the
    /// [module](self).
    ///
    /// # Errors
    ///
    /// The first one of the rows.
    pub fn verify(&self) -> Result<u64> {
        let mut rows = 0;
        for space in Keyspace::ALL {
            for row in self.scan(*space, (Unbounded, Unbounded), Direction::Forward)? {
                row?;
                rows += 1;
            }
        }
        Ok(rows)
    }

    /// The value of a key under one more layer, the newest.
    pub(crate) fn get_under<'s>(
        &'s self,
        top: Option<&'s Layer>,
        space: Keyspace,
        key: &[u8],
    ) -> Result<Option<Cow<'s, [u8]>>> {
        match self
            .layers_under(top)
            .find_map(|layer| layer.get(space, key))
        {
            Some(change) => Ok(change.as_deref().map(Cow::Borrowed)),
            None => self.rows.get(space, key),
        }
    }

    /// The rows of a range under one more layer, the newest.
    pub(crate) fn scan_under<'s>(
        &'s self,
        top: Option<&'s Layer>,
        space: Keyspace,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Result<Scan<'s>> {
        if range_is_empty(&range) {
            return Ok(Box::new(std::iter::empty()));
        }
        let changes = self
            .layers_under(top)
            .filter_map(|layer| layer.range(space, range, direction))
            .collect();
        let rows = self.rows.scan(space, range, direction)?;
        Ok(merged(changes, rows, direction))
    }

    fn layers_under<'s>(&'s self, top: Option<&'s Layer>) -> impl Iterator<Item = &'s Layer> {
        let layers = self.layers.iter().map(|layer| &**layer);
        top.into_iter().chain(layers)
    }
}

impl<R: ReadTxn> ReadTxn for Snapshot<R> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.get_under(None, space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.scan_under(None, space, range, direction)
    }
}

impl<R> fmt::Debug for Snapshot<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}
