//! The rows on disk.

use std::borrow::Cow;
use std::sync::Arc;

use redb::{AccessGuard, StorageError};
use threads_core::Result;
use threads_core::datastore::{
    Direction, KeyRange, Keyspace, ReadTxn, Row, Scan, check_key, unseal_row,
};

use crate::disk::Disk;
use crate::fault::guarded;
use crate::table::Tables;

/// The rows on disk as of one landing.
pub(crate) struct Rows<'a> {
    pub(crate) tables: Arc<Tables>,
    pub(crate) disk: &'a Disk,
}

type Entry = (
    AccessGuard<'static, &'static [u8]>,
    AccessGuard<'static, &'static [u8]>,
);

impl ReadTxn for Rows<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        if check_key(key).is_err() {
            return Ok(None);
        }
        let table = self.tables.of(space)?;
        let sealed = guarded(|| {
            let row = table.get(key)?;
            Ok::<_, StorageError>(row.map(|row| row.value().to_vec()))
        });
        match sealed.map_err(|failure| self.disk.fault(&failure).to_error())? {
            Some(sealed) => {
                let value = unseal_row(space.name(), key, &sealed)?.to_vec();
                Ok(Some(Cow::Owned(value)))
            }
            None => Ok(None),
        }
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let table = self.tables.of(space)?;
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
