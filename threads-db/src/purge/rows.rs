//! What was purged, and by what, as rows.

use serde::{Deserialize, Serialize};
use threads_core::access::Statement;
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::Dep;
use threads_core::{Cid, CollectionName, EntityId, Error, PeerId, Result, block};

use crate::chain;
use crate::layout::{self, Number, Place, Prefix, meta, purged};
use crate::thread::Thread;

/// A record that states a purge, as far as it is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PurgeRow {
    pub(crate) record: Cid,
    /// Which of its statements of a purge count, by their order among those.
    pub(crate) counts: Vec<u64>,
    /// Which of the records that it lists is to be looked at next; none when all were.
    pub(crate) next: Option<u64>,
    /// Whether some were kept that may be emptied when more is known.
    pub(crate) left: bool,
}

fn damaged(cause: Error) -> Error {
    Error::corrupt("a row about what was purged is damaged: verify the thread").caused_by(cause)
}

fn cid(bytes: &[u8]) -> Result<Cid> {
    let damaged = || Error::corrupt("a row about what was purged is damaged: verify the thread");
    Cid::try_from(bytes).map_err(|_| damaged())
}

impl PurgeRow {
    pub(crate) fn get(txn: &dyn ReadTxn, thread: Number, record: &Cid) -> Result<Option<Self>> {
        let row = txn.get(Keyspace::Held, &purged::statement(thread, record))?;
        row.map(|row| block::decode(&row).map_err(damaged))
            .transpose()
    }

    pub(crate) fn put(&self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        let key = purged::statement(thread, &self.record);
        txn.put(Keyspace::Held, &key, &block::encode(self)?)
    }
}

/// Everything that states a purge in a thread.
pub(crate) fn statements(txn: &dyn ReadTxn, thread: Number) -> Result<Vec<PurgeRow>> {
    let bounds = Prefix::new(&purged::statements(thread));
    txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?
        .map(|row| block::decode(&row?.1).map_err(damaged))
        .collect()
}

/// Whether anything states a purge in a thread: in most nothing ever does.
pub(crate) fn any(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
    let bounds = Prefix::new(&purged::statements(thread));
    let mut rows = txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
    Ok(rows.next().transpose()?.is_some())
}

/// The records that a record has emptied, or would, if it counted.
pub(crate) fn list(txn: &dyn ReadTxn, thread: &Thread, purge: &Cid) -> Result<Vec<Dep>> {
    list_of(txn, thread, purge, None)
}

/// The records that a record has emptied, by these of its statements of a purge.
pub(crate) fn list_of(
    txn: &dyn ReadTxn,
    thread: &Thread,
    purge: &Cid,
    counts: Option<&[u64]>,
) -> Result<Vec<Dep>> {
    if counts.is_some_and(<[_]>::is_empty) {
        return Ok(Vec::new());
    }
    let place = chain::locate(txn, thread.number, purge)?;
    let missing = || Error::corrupt("a record that states a purge is missing");
    let blocks = chain::expect(txn, place.ok_or_else(missing)?)?;
    let opened = thread.open(&blocks)?;
    let lists = lists_in(opened.statements().unwrap_or_default()).zip(0..);
    let lists = lists.filter(|(_, n)| counts.is_none_or(|counts| counts.contains(n)));
    Ok(lists.flat_map(|(list, _)| list).cloned().collect())
}

/// The lists of records that statements have emptied.
pub(crate) fn lists_in(statements: &[Statement]) -> impl Iterator<Item = &[Dep]> {
    statements.iter().filter_map(|statement| match statement {
        Statement::Purge { records } => Some(records.as_slice()),
        _ => None,
    })
}

/// A purge that counts and lists a record; `wanted`, if that is one of them.
pub(crate) fn listed_by(
    txn: &dyn ReadTxn,
    thread: Number,
    record: &Cid,
    wanted: Option<&Cid>,
) -> Result<Option<Cid>> {
    if let Some(wanted) = wanted
        && txn
            .get(Keyspace::Held, &purged::listed(thread, record, wanted))?
            .is_some()
    {
        return Ok(Some(*wanted));
    }
    let bounds = Prefix::new(&purged::listed_by(thread, record));
    let mut rows = txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
    let first = rows.next().transpose()?;
    first.map(|(_, by)| cid(&by)).transpose()
}

/// Of a record that is emptied, what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EmptiedRow {
    /// The record by which it was purged.
    pub(crate) by: Cid,
    /// Whether that is known here and counts.
    pub(crate) known: bool,
    /// Whether it had been applied here before.
    pub(crate) was_applied: bool,
}

impl EmptiedRow {
    fn decode(value: &[u8], known: bool) -> Result<Self> {
        let (was_applied, by) = value.split_first().unwrap_or((&0, &[]));
        Ok(Self {
            by: cid(by)?,
            known,
            was_applied: *was_applied == 1,
        })
    }

    pub(crate) fn get(txn: &dyn ReadTxn, place: Place) -> Result<Option<Self>> {
        for (key, known) in [
            (purged::emptied(place), true),
            (purged::stripped(place), false),
        ] {
            if let Some(row) = txn.get(Keyspace::Held, &key)? {
                return Self::decode(&row, known).map(Some);
            }
        }
        Ok(None)
    }

    pub(crate) fn put(&self, txn: &mut dyn WriteTxn, place: Place) -> Result<()> {
        let (emptied, stripped) = (purged::emptied(place), purged::stripped(place));
        let (is, is_not) = match self.known {
            true => (emptied, stripped),
            false => (stripped, emptied),
        };
        txn.delete(Keyspace::Held, &is_not)?;
        let value = [&[u8::from(self.was_applied)][..], &self.by.to_bytes()].concat();
        txn.put(Keyspace::Held, &is, &value)
    }
}

/// Notes that a record is not emptied any more.
pub(crate) fn note_filled(txn: &mut dyn WriteTxn, place: Place) -> Result<()> {
    txn.delete(Keyspace::Held, &purged::emptied(place))?;
    txn.delete(Keyspace::Held, &purged::stripped(place))
}

/// The records that are emptied, with what for: those for a known reason, or the others.
pub(crate) fn all_emptied(
    txn: &dyn ReadTxn,
    thread: Number,
    known: bool,
) -> Result<Vec<(Place, Cid)>> {
    let prefix = match known {
        true => purged::all_emptied(thread),
        false => purged::all_stripped(thread),
    };
    let bounds = Prefix::new(&prefix);
    txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?
        .map(|row| {
            let (key, row) = row?;
            let place = [&thread.to_be_bytes()[..], &key[prefix.len()..]].concat();
            let by = EmptiedRow::decode(&row, known)?.by;
            Ok((Place::from_key(&place)?, by))
        })
        .collect()
}

/// Whether a record states a purge that is known here.
pub(crate) fn is_known(txn: &dyn ReadTxn, thread: Number, purge: &Cid) -> Result<bool> {
    Ok(PurgeRow::get(txn, thread, purge)?.is_some())
}

/// Whether a purge counts here, and every record that it lists was looked at.
pub(crate) fn is_carried_out(txn: &dyn ReadTxn, thread: Number, purge: &Cid) -> Result<bool> {
    let row = PurgeRow::get(txn, thread, purge)?;
    Ok(row.is_some_and(|row| !row.counts.is_empty() && row.next.is_none()))
}

/// The purges that an author stated and that count here, with their places.
pub(crate) fn stated_by(
    txn: &dyn ReadTxn,
    thread: &Thread,
    author: &PeerId,
) -> Result<Vec<(Cid, Place)>> {
    let mut stated = Vec::new();
    for row in statements(txn, thread.number)? {
        let place = chain::locate(txn, thread.number, &row.record)?;
        let Some(place) = place.filter(|_| !row.counts.is_empty()) else {
            continue;
        };
        if thread.author(txn, place.log)?.as_ref() == Some(author) {
            stated.push((row.record, place));
        }
    }
    Ok(stated)
}

/// Whether events of an entity were purged here.
pub(crate) fn is_entity(
    txn: &dyn ReadTxn,
    thread: Number,
    collection: &CollectionName,
    id: &EntityId,
) -> Result<bool> {
    let number = layout::number(txn, &meta::collection(thread, collection))?;
    let Some(number) = number else {
        return Ok(false);
    };
    let key = purged::entity(thread, number, id.as_str());
    Ok(txn.get(Keyspace::Held, &key)?.is_some())
}
