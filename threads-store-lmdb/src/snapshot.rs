//! Read transactions.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use heed::{RoTxn, WithoutTls};
use threads_core::Result;
use threads_core::datastore::{
    Direction, KeyRange, Keyspace, Layer, ReadTxn, Row, Scan, check_key, merged, range_is_empty,
    unseal_row,
};

use crate::check::{self, Watch};
use crate::env::Tables;
use crate::fault::heed_error;
use crate::state::Outcome;
use crate::store::Guest;

/// An LMDB snapshot and the layers that lay over it when it was taken.
pub(crate) struct Snapshot<'a> {
    pub(crate) txn: RoTxn<'a, WithoutTls>,
    pub(crate) tables: &'a Tables<'static>,
    /// Asked before LMDB touches a page. `None` when all pages are in order.
    pub(crate) watch: Option<Watch<'a>>,
    /// Newest first.
    pub(crate) layers: Vec<Arc<Layer>>,
    /// What becomes of the commits in it that are not on disk yet.
    pub(crate) foundations: Vec<Arc<Outcome>>,
    /// Declared after the transaction, so that it is counted out when the transaction is gone.
    pub(crate) _guest: Guest<'a>,
}

impl Snapshot<'_> {
    /// The value of a key under one more layer, the newest.
    pub(crate) fn get_under<'s>(
        &'s self,
        top: Option<&'s Layer>,
        space: Keyspace,
        key: &[u8],
    ) -> Result<Option<Cow<'s, [u8]>>> {
        let mut layers = top
            .into_iter()
            .chain(self.layers.iter().map(|layer| &**layer));
        match layers.find_map(|layer| layer.get(space, key)) {
            Some(change) => Ok(change.as_deref().map(Cow::Borrowed)),
            None => self.get_row(space, key),
        }
    }

    fn get_row(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        if check_key(key).is_err() {
            return Ok(None);
        }
        let table = self.tables.of(space)?;
        if let Some(watch) = &self.watch {
            watch.get(&self.txn, space, key)?;
        }
        match table.get(&self.txn, key).map_err(heed_error)? {
            Some(sealed) => Ok(Some(Cow::Borrowed(unseal_row(space.name(), key, sealed)?))),
            None => Ok(None),
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
        let Some(range) = normal(range) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let layers = top
            .into_iter()
            .chain(self.layers.iter().map(|layer| &**layer));
        let changes = layers
            .filter_map(|layer| layer.range(space, range, direction))
            .collect();
        let rows = self.rows(space, range, direction)?;
        Ok(merged(changes, rows, direction))
    }

    fn rows(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let table = self.tables.of(space)?;
        let open = move |row| unsealed(space, row);
        let watch = self.watch.as_ref().filter(|watch| watch.is_needed());
        let walk = watch.map(|watch| watch.scan(&self.txn, space, range, direction));
        let walk = walk.transpose()?;
        let rows: Scan<'_> = match direction {
            Direction::Forward => Box::new(
                table
                    .range(&self.txn, &range)
                    .map_err(heed_error)?
                    .map(open),
            ),
            Direction::Reverse => Box::new(
                table
                    .rev_range(&self.txn, &range)
                    .map_err(heed_error)?
                    .map(open),
            ),
        };
        Ok(match walk {
            Some(walk) => Box::new(Watched {
                rows,
                walk: Some(walk),
                last: None,
            }),
            None => rows,
        })
    }
}

/// Rows under the guard of their pages.
struct Watched<'a> {
    rows: Scan<'a>,
    /// Gone after the last row, or an error.
    walk: Option<check::Scan<'a>>,
    last: Option<Cow<'a, [u8]>>,
}

impl<'a> Iterator for Watched<'a> {
    type Item = Result<Row<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut walk = self.walk.take()?;
        if let Some(last) = &self.last
            && let Err(error) = walk.step_from(last)
        {
            return Some(Err(error));
        }
        match self.rows.next() {
            Some(Ok((key, value))) => {
                self.last = Some(key.clone());
                self.walk = Some(walk);
                Some(Ok((key, value)))
            }
            None => walk.finish().err().map(Err),
            failed => failed,
        }
    }
}

fn unsealed<'a>(space: Keyspace, row: heed::Result<(&'a [u8], &'a [u8])>) -> Result<Row<'a>> {
    let (key, sealed) = row.map_err(heed_error)?;
    let value = unseal_row(space.name(), key, sealed)?;
    Ok((Cow::Borrowed(key), Cow::Borrowed(value)))
}

/// The range in a form that LMDB takes, which refuses an empty key as a bound: `None` when no
/// key can be in it.
fn normal(range: KeyRange<'_>) -> Option<KeyRange<'_>> {
    let start = match range.0 {
        Bound::Included([]) | Bound::Excluded([]) => Bound::Unbounded,
        start => start,
    };
    (!range_is_empty(&range)).then_some((start, range.1))
}

impl ReadTxn for Snapshot<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.get_under(None, space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.scan_under(None, space, range, direction)
    }
}
