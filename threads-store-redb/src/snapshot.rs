//! Read transactions.

use std::borrow::Cow;
use std::sync::Arc;

use redb::{AccessGuard, StorageError};
use threads_core::Result;
use threads_core::datastore::{
    Direction, KeyRange, Keyspace, Layer, ReadTxn, Row, Scan, check_key, merged, range_is_empty,
    unseal_row,
};

use crate::disk::Disk;
use crate::fault::guarded;
use crate::pending::Outcome;
use crate::table::Tables;

/// The rows on disk and the layers that lay over them when it was taken.
pub(crate) struct Snapshot<'a> {
    pub(crate) rows: Arc<Tables>,
    pub(crate) disk: &'a Disk,
    /// Newest first.
    pub(crate) layers: Vec<Arc<Layer>>,
    /// What becomes of the commits in it that are not on disk yet.
    pub(crate) foundations: Vec<Arc<Outcome>>,
}

type Entry = (
    AccessGuard<'static, &'static [u8]>,
    AccessGuard<'static, &'static [u8]>,
);

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
            None => Ok(self.get_row(space, key)?.map(Cow::Owned)),
        }
    }

    fn get_row(&self, space: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if check_key(key).is_err() {
            return Ok(None);
        }
        let table = self.rows.of(space)?;
        let sealed = guarded(|| {
            let row = table.get(key)?;
            Ok::<_, StorageError>(row.map(|row| row.value().to_vec()))
        });
        match sealed.map_err(|failure| self.disk.fault(&failure).to_error())? {
            Some(sealed) => Ok(Some(unseal_row(space.name(), key, &sealed)?.to_vec())),
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
        if range_is_empty(&range) {
            return Ok(Box::new(std::iter::empty()));
        }
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
        let table = self.rows.of(space)?;
        let mut entries = guarded(|| table.range::<&[u8]>(range))
            .map_err(|failure| self.disk.fault(&failure).to_error())?;
        let mut ended = false;
        // After an error there is nothing more: where a damaged tree leads, nobody knows.
        Ok(Box::new(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let next = guarded(|| -> Result<_, StorageError> {
                let entry = match direction {
                    Direction::Forward => entries.next(),
                    Direction::Reverse => entries.next_back(),
                };
                entry.map(|entry| Ok(owned(&entry?))).transpose()
            });
            let row = match next {
                Ok(entry) => Ok(entry?),
                Err(failure) => Err(self.disk.fault(&failure).to_error()),
            };
            let row = row.and_then(|entry| unsealed(space, entry));
            ended = row.is_err();
            Some(row)
        })))
    }
}

fn owned((key, sealed): &Entry) -> (Vec<u8>, Vec<u8>) {
    (key.value().to_vec(), sealed.value().to_vec())
}

fn unsealed<'a>(space: Keyspace, (key, sealed): (Vec<u8>, Vec<u8>)) -> Result<Row<'a>> {
    let value = unseal_row(space.name(), &key, &sealed)?.to_vec();
    Ok((Cow::Owned(key), Cow::Owned(value)))
}

impl ReadTxn for Snapshot<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.get_under(None, space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        self.scan_under(None, space, range, direction)
    }
}
