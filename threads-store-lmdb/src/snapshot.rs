//! The rows in LMDB.

use std::borrow::Cow;
use std::ops::Bound;

use heed::{RoTxn, WithoutTls};
use threads_core::Result;
use threads_core::datastore::{
    Direction, KeyRange, Keyspace, ReadTxn, Row, Scan, check_key, range_is_empty, unseal_row,
};

use crate::check::{self, Watch};
use crate::env::Tables;
use crate::fault::heed_error;
use crate::store::Guest;

/// An LMDB snapshot.
pub(crate) struct Rows<'a> {
    pub(crate) txn: RoTxn<'a, WithoutTls>,
    pub(crate) tables: &'a Tables<'static>,
    /// Asked before LMDB touches a page. `None` when all pages are in order.
    pub(crate) watch: Option<Watch<'a>>,
    /// Declared after the transaction, so that it is counted out when the transaction is gone.
    pub(crate) _guest: Guest<'a>,
}

impl ReadTxn for Rows<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
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

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let Some(range) = normal(range) else {
            return Ok(Box::new(std::iter::empty()));
        };
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
