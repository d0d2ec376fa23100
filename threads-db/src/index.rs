//! Secondary indexes: keeping their rows, filling new ones, and unique values.
//!
//! A row's key is the index's number, the entry, and the entity's id; its value is the length of
//! the entry, with the highest bit set when a column has no value. Unique indexes have the same rows: a value is taken when another entity has a row
//! with the same entry. Peers that were apart can both take it; then both rows stay, the entity
//! with the smallest id holds the value, and [`Db::conflicts`](crate::Db::conflicts) lists them.

use std::collections::BTreeSet;

use serde_json::Value;
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{EntityId, Error, Result};

use crate::catalogue::{Catalogue, Definition, Index};
use crate::entity::EntityRow;
use crate::history;
use crate::layout::{self, Number, Prefix, meta};
use crate::thread::Thread;

pub mod key;

use key::Entry;

/// The bytes before the entry in a row's key.
const PREFIX_BYTES: usize = 8;

fn row_key(thread: Number, index: &Index, entry: &[u8], id: &str) -> Vec<u8> {
    [
        &layout::index(thread, index.number)[..],
        entry,
        id.as_bytes(),
    ]
    .concat()
}

/// Marks a row whose entry lacks a column; unique indexes do not compare those.
const PARTIAL: u16 = 0x8000;

/// What the value of an index row says: how long the entry is, and whether it has every column.
fn row_value(value: &[u8]) -> Result<(usize, bool)> {
    let length: [u8; 2] = value
        .try_into()
        .map_err(|_| Error::corrupt("an index row is damaged: verify the thread"))?;
    let length = u16::from_be_bytes(length);
    Ok((usize::from(length & !PARTIAL), length & PARTIAL == 0))
}

/// The entity that an index row is about.
pub(crate) fn row_entity(key: &[u8], value: &[u8]) -> Result<EntityId> {
    layout::entity_id(key, PREFIX_BYTES + row_value(value)?.0)
}

fn put_row(
    txn: &mut dyn WriteTxn,
    thread: Number,
    index: &Index,
    entry: &Entry,
    id: &str,
) -> Result<()> {
    // An entry has at most 224 bytes.
    let length = entry.key.len() as u16 | if entry.whole { 0 } else { PARTIAL };
    txn.put(
        Keyspace::Indexes,
        &row_key(thread, index, &entry.key, id),
        &length.to_be_bytes(),
    )
}

/// What a change of one entity does to the indexes of its collection, worked out once.
pub(crate) struct Moves<'d> {
    definition: &'d Definition,
    moves: Vec<Move<'d>>,
}

/// The entries that an entity had in one index, and those it gets.
struct Move<'d> {
    index: &'d Index,
    old: BTreeSet<Entry>,
    /// An error when there are too many.
    new: Result<BTreeSet<Entry>>,
}

impl Move<'_> {
    /// The entries that come.
    fn coming(&self) -> impl Iterator<Item = &Entry> {
        let new = self.new.iter().flatten();
        new.filter(|entry| !self.old.contains(*entry))
    }

    /// The entries that go.
    fn going(&self) -> impl Iterator<Item = &Entry> {
        let new = self.new.as_ref().ok();
        let stays = move |entry: &&Entry| new.is_some_and(|new| new.contains(*entry));
        self.old.iter().filter(move |entry| !stays(entry))
    }
}

impl<'d> Moves<'d> {
    /// From what `before` gives to what `after` gives; both need no more than the members that the
    /// indexes look at.
    pub(crate) fn new(
        definition: &'d Definition,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Self {
        let moves = definition.indexes.iter().map(|index| Move {
            index,
            old: entries(index, before).unwrap_or_default(),
            new: entries(index, after),
        });
        Self {
            definition,
            moves: moves.collect(),
        }
    }

    /// Refuses a value that has too many entries for one of the collection's indexes.
    ///
    /// A peer without the index may have made one all the same. It is taken in without entries, and
    /// from then on no plan uses the index, so that every query still finds it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid), naming the index.
    pub(crate) fn check_entries(&mut self) -> Result<()> {
        for one in &mut self.moves {
            if one.new.is_err() {
                let error = std::mem::replace(&mut one.new, Ok(BTreeSet::new())).err();
                let error = error.map(|error| error.with("index", &one.index.name));
                return error.map_or(Ok(()), Err);
            }
        }
        Ok(())
    }

    /// Refuses a unique value that comes to the entity and that another one has. What an entity
    /// holds already it may keep, also after peers that were apart both gave it away.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict), naming the index and the holder.
    pub(crate) fn check_unique(&self, txn: &dyn ReadTxn, thread: Number, id: &str) -> Result<()> {
        for one in self.moves.iter().filter(|one| one.index.spec.unique) {
            for entry in one.coming() {
                if let Some(holder) = other_holder(txn, thread, one.index, entry, id)? {
                    return Err(Error::conflict("another entity has this unique value")
                        .with("collection", &self.definition.name)
                        .with("field", &one.index.name)
                        .with("holder", holder));
                }
            }
        }
        Ok(())
    }

    /// Moves the rows. Says whether that changed what plans may do with an index, so that the
    /// definitions have to be read again.
    pub(crate) fn make(&self, txn: &mut dyn WriteTxn, thread: &Thread, id: &str) -> Result<bool> {
        let number = thread.number;
        let mut noted = false;
        for one in &self.moves {
            let index = one.index;
            if one.new.is_err() {
                noted |= note(txn, thread, &meta::index_partial(index.number))?;
            }
            for entry in one.going() {
                txn.delete(Keyspace::Indexes, &row_key(number, index, &entry.key, id))?;
            }
            for entry in one.coming() {
                put_row(txn, number, index, entry, id)?;
            }
            if index.single_valued && one.new.as_ref().is_ok_and(|new| new.len() > 1) {
                noted |= note(txn, thread, &meta::index_multi(index.number))?;
            }
        }
        Ok(noted)
    }
}

/// Remembers a fact about an index that changes what a plan may do with it. Says whether it is new.
fn note(txn: &mut dyn WriteTxn, thread: &Thread, fact: &[u8]) -> Result<bool> {
    if txn.get(Keyspace::Meta, fact)?.is_some() {
        return Ok(false);
    }
    txn.put(Keyspace::Meta, fact, &[])?;
    Catalogue::bump(txn, thread)?;
    Ok(true)
}

fn entries(index: &Index, value: Option<&Value>) -> Result<BTreeSet<Entry>> {
    let Some(value) = value else {
        return Ok(BTreeSet::new());
    };
    Ok(key::entries(value, &index.spec.paths)?
        .into_iter()
        .collect())
}

fn other_holder(
    txn: &dyn ReadTxn,
    thread: Number,
    index: &Index,
    entry: &Entry,
    id: &str,
) -> Result<Option<EntityId>> {
    if !entry.whole {
        return Ok(None);
    }
    let prefix = Prefix::new(&row_key(thread, index, &entry.key, ""));
    // Two rows suffice: one may be this entity's own.
    for row in txn
        .scan(Keyspace::Indexes, prefix.range(), Direction::Forward)?
        .take(2)
    {
        let (key, value) = row?;
        let holder = row_entity(&key, &value)?;
        if holder.as_str() != id {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}

/// Fills a new index from every living entity of its collection.
pub(crate) fn fill(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    definition: &Definition,
    index: &Index,
) -> Result<()> {
    let prefix = layout::collection_prefix(thread.number, definition.number);
    let mut rows = Vec::new();
    let (mut multi, mut partial) = (false, false);
    let bounds = Prefix::new(&prefix);
    for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
        let (key, value) = row?;
        let id = layout::entity_id(&key, prefix.len())?;
        let life = EntityRow::decode(&value)?.life;
        let found = entries(index, history::view(thread, &life, id.as_str())?.as_ref());
        partial |= found.is_err();
        let found = found.unwrap_or_default();
        multi |= found.len() > 1;
        rows.extend(found.into_iter().map(|entry| (entry, id.clone())));
    }
    for (entry, id) in rows {
        put_row(txn, thread.number, index, &entry, id.as_str())?;
    }
    if multi {
        note(txn, thread, &meta::index_multi(index.number))?;
    }
    if partial {
        note(txn, thread, &meta::index_partial(index.number))?;
    }
    Ok(())
}

/// Removes every row of an index.
pub(crate) fn clear(txn: &mut dyn WriteTxn, thread: Number, index: Number) -> Result<()> {
    let prefix = Prefix::new(&layout::index(thread, index));
    let keys = txn
        .scan(Keyspace::Indexes, prefix.range(), Direction::Forward)?
        .map(|row| row.map(|(key, _)| key.into_owned()))
        .collect::<Result<Vec<_>>>()?;
    for key in keys {
        txn.delete(Keyspace::Indexes, &key)?;
    }
    Ok(())
}

/// Entities of one collection that hold the same value of a unique index.
///
/// ```
/// use threads_db::UniqueConflict;
/// fn winner(conflict: &UniqueConflict) -> &str { conflict.entities[0].as_str() }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UniqueConflict {
    /// The index, by its fields.
    pub field: String,
    /// The entities, by id; the first one holds the value.
    pub entities: Vec<EntityId>,
}

/// The most conflicts that are listed at once.
const CONFLICTS_MAX: usize = 1_000;

/// The values of a collection's unique indexes that several entities hold.
pub(crate) fn conflicts(
    txn: &dyn ReadTxn,
    thread: Number,
    definition: &Definition,
) -> Result<Vec<UniqueConflict>> {
    let mut conflicts = Vec::new();
    for index in definition.indexes.iter().filter(|index| index.spec.unique) {
        let prefix = Prefix::new(&layout::index(thread, index.number));
        let mut holders: (Vec<u8>, Vec<EntityId>) = Default::default();
        let mut close = |(_, entities): (Vec<u8>, Vec<EntityId>)| {
            if entities.len() > 1 && conflicts.len() < CONFLICTS_MAX {
                conflicts.push(UniqueConflict {
                    field: index.name.clone(),
                    entities,
                });
            }
        };
        for row in txn.scan(Keyspace::Indexes, prefix.range(), Direction::Forward)? {
            let (key, value) = row?;
            if !row_value(&value)?.1 {
                continue;
            }
            let id = row_entity(&key, &value)?;
            let entry = &key[..key.len() - id.as_str().len()];
            if holders.0 != entry {
                close(std::mem::replace(
                    &mut holders,
                    (entry.to_vec(), Vec::new()),
                ));
            }
            holders.1.push(id);
        }
        close(holders);
    }
    Ok(conflicts)
}
