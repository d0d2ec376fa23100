//! The tables of redb: one for each keyspace, and one that says whose file it is.

use redb::WriteTransaction;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableDefinition, TableHandle,
};
use threads_core::datastore::{Keyspace, Layer, seal_row, unseal_row};
use threads_core::{Error, Result};

use crate::disk::Disk;
use crate::fault::{Failure, guarded};

pub(crate) type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;
type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// The table that is in every store of ours and in nobody else's.
const OWN: &str = "threads";
const FORMAT_KEY: &[u8] = b"format";
/// The version of what lies in the tables.
const FORMAT: u32 = 1;

/// The rows on disk as of one commit, for every reader until the next.
pub(crate) struct Tables {
    /// In the order of [`Keyspace::ALL`].
    tables: Vec<Table>,
}

impl Tables {
    pub(crate) fn read(db: &Database) -> Result<Self, Failure> {
        guarded(|| -> Result<_, redb::Error> {
            let txn = db.begin_read()?;
            let tables = Keyspace::ALL
                .iter()
                .map(|space| Ok(txn.open_table(of(*space))?));
            Ok(Self {
                tables: tables.collect::<Result<_, redb::Error>>()?,
            })
        })
    }

    pub(crate) fn of(&self, space: Keyspace) -> Result<&Table> {
        let place = Keyspace::ALL.iter().position(|known| *known == space);
        place
            .and_then(|place| self.tables.get(place))
            .ok_or_else(|| Error::unsupported("this store does not know the keyspace: update it"))
    }
}

fn of<'a>(space: Keyspace) -> Definition<'a> {
    TableDefinition::new(space.name())
}

/// Checks whose file it is, and makes the tables that are not there yet.
pub(crate) fn prepare(db: &Database, disk: &Disk) -> Result<()> {
    let failed = |failure: Failure| disk.fault(&failure).to_error();
    let (names, format) = guarded(|| -> Result<_, redb::Error> {
        let txn = db.begin_read()?;
        let names: Vec<_> = txn
            .list_tables()?
            .map(|table| table.name().to_owned())
            .collect();
        let format = if names.iter().any(|name| name == OWN) {
            format_row(&txn)?
        } else {
            None
        };
        Ok((names, format))
    })
    .map_err(failed)?;
    match format {
        Some(row) => check_format(&row)?,
        // A file whose making was cut short has no tables, and is ours to finish.
        None if names.is_empty() => {}
        None => {
            return Err(Error::invalid(
                "another program's redb database is here: use another directory",
            ));
        }
    }
    let wanted = Keyspace::ALL.iter().map(|space| space.name()).chain([OWN]);
    if wanted
        .clone()
        .all(|name| names.iter().any(|known| known == name))
    {
        return Ok(());
    }
    guarded(|| -> Result<_, redb::Error> {
        let txn = db.begin_write()?;
        for name in wanted {
            txn.open_table(Definition::new(name))?;
        }
        stamp(&txn)?;
        txn.commit()?;
        Ok(())
    })
    .map_err(failed)
}

fn format_row(txn: &ReadTransaction) -> Result<Option<Vec<u8>>, redb::Error> {
    let row = txn.open_table(Definition::new(OWN))?.get(FORMAT_KEY)?;
    Ok(row.map(|row| row.value().to_vec()))
}

fn stamp(txn: &WriteTransaction) -> Result<(), redb::Error> {
    let mut sealed = Vec::new();
    seal_row(OWN, FORMAT_KEY, &FORMAT.to_le_bytes(), &mut sealed);
    txn.open_table(Definition::new(OWN))?
        .insert(FORMAT_KEY, &*sealed)?;
    Ok(())
}

fn check_format(row: &[u8]) -> Result<()> {
    let found = unseal_row(OWN, FORMAT_KEY, row)?;
    if found == FORMAT.to_le_bytes() {
        return Ok(());
    }
    Err(Error::unsupported(
        "the store was written by another version: open it with that one",
    ))
}

/// Writes layers, oldest first, as one synced transaction of redb.
pub(crate) fn write<'l>(
    db: &Database,
    layers: impl Iterator<Item = &'l Layer>,
) -> Result<(), Failure> {
    guarded(|| -> Result<_, redb::Error> {
        let txn = db.begin_write()?;
        let mut sealed = Vec::new();
        for layer in layers {
            for space in Keyspace::ALL {
                write_space(&txn, layer, *space, &mut sealed)?;
            }
        }
        txn.commit()?;
        Ok(())
    })
}

fn write_space(
    txn: &WriteTransaction,
    layer: &Layer,
    space: Keyspace,
    sealed: &mut Vec<u8>,
) -> Result<(), redb::Error> {
    use std::ops::Bound::Unbounded;
    use threads_core::datastore::Direction::Forward;
    let Some(changes) = layer.range(space, (Unbounded, Unbounded), Forward) else {
        return Ok(());
    };
    let mut table = txn.open_table(of(space))?;
    for (key, change) in changes {
        match change {
            Some(value) => {
                seal_row(space.name(), key, value, sealed);
                table.insert(key, sealed.as_slice())?;
            }
            None => {
                table.remove(key)?;
            }
        }
    }
    Ok(())
}
