//! What a record from elsewhere makes of entities, indexes and definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use threads_core::batch::{Batch, EntityEvent};
use threads_core::codec::{ActionKind, Ordering};
use threads_core::datastore::{Keyspace, ReadTxn};
use threads_core::{Hlc, Result};

use super::Ingest;
use crate::access;
use crate::catalogue::Catalogue;
use crate::definitions;
use crate::entity::{EntityRow, Life};
use crate::feed;
use crate::history;
use crate::index::Moves;
use crate::layout::{self, EventPlace, Number, Place, meta};
use crate::stage::Effect;
use crate::thread::Thread;

/// What is done with events, and at which position of the feed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// They are applied for the first time.
    New(u64),
    /// They are applied, and may have been before.
    Again(u64),
    /// They are undone.
    Undone(u64),
}

/// Whether events make the same of an entity wherever they stand in its history, so that late ones need
/// no replay: they are of its codec, which wants no order, and none of them deletes.
fn in_any_order(thread: &Thread, life: &Life, events: &[(&EntityEvent, EventPlace)]) -> bool {
    let Life::Live(id, _) = life else {
        return false;
    };
    let codec = thread.node.codecs.get(id);
    codec.is_ok_and(|codec| codec.ordering() == Ordering::Any)
        && events
            .iter()
            .all(|(event, _)| event.codec == *id && event.action != ActionKind::Delete)
}

/// What becomes of an entity by events that are later than all others.
fn one_after_the_other(
    thread: &Thread,
    before: &Life,
    events: &[(&EntityEvent, EventPlace)],
) -> Result<Life> {
    let mut life = before.clone();
    for (event, _) in events {
        life = history::apply(thread, life, event)?;
    }
    Ok(life)
}

/// The last place in the history of an entity, and what becomes of it by events that came late, or with
/// all of its history applied `anew`.
fn late_life(
    txn: &dyn ReadTxn,
    thread: &Thread,
    key: &[u8],
    (before, anew): (&Life, bool),
    events: &[(&EntityEvent, EventPlace)],
) -> Result<(Option<EventPlace>, Life)> {
    if !anew && in_any_order(thread, before, events) {
        let last = history::last(txn, thread, key)?;
        return Ok((last, one_after_the_other(thread, before, events)?));
    }
    Ok(match history::made_again(txn, thread, key)? {
        Some(row) => (Some(row.last), row.life),
        None => (None, Life::Unknown),
    })
}

impl Ingest<'_> {
    /// Applies the events of a batch, or undoes them, one entity after the other, the framework's own
    /// first: what they define is known to the rest of the batch.
    pub(super) fn apply_all(
        &mut self,
        batch: Option<&Batch>,
        place: Place,
        time: Hlc,
        turn: Turn,
    ) -> Result<Vec<Effect>> {
        let mut entities: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (event, index) in batch.map_or(&[][..], |batch| &batch.events).iter().zip(0..) {
            let at = EventPlace {
                time,
                log: place.log,
                seq: place.seq,
                index,
            };
            // Reserved names begin with `$`, which sorts before letters and digits.
            entities
                .entry((&event.collection, &event.entity))
                .or_default()
                .push((event, at));
        }
        let adopts = batch.is_some_and(|batch| !access::adopts(batch).is_empty());
        let mut effects = Vec::new();
        let mut defined = false;
        for ((collection, _), events) in entities {
            if defined && !collection.is_reserved() {
                self.definitions_changed()?;
                defined = false;
            }
            defined |= collection.is_reserved();
            effects.extend(self.apply(&events, (turn, adopts))?);
        }
        if defined {
            self.definitions_changed()?;
        }
        Ok(effects)
    }

    fn definitions_changed(&mut self) -> Result<()> {
        definitions::changed(self.txn, self.thread)?;
        self.reload()
    }

    fn reload(&mut self) -> Result<()> {
        let (number, codecs) = (self.thread.number, &self.thread.node.codecs);
        self.catalogue = Arc::new(Catalogue::load(self.txn.as_read(), number, codecs)?);
        Ok(())
    }

    /// Applies the events that a batch has for one entity. Events that come late make the entity's
    /// history be replayed, unless their codec wants no order, so that all peers with the same events show
    /// the same state; and so do events that were adopted, which may have been applied before.
    fn apply(
        &mut self,
        events: &[(&EntityEvent, EventPlace)],
        (turn, adopts): (Turn, bool),
    ) -> Result<Option<Effect>> {
        let (txn, thread) = (&mut *self.txn, self.thread);
        let Some((event, first)) = events.first().copied() else {
            return Ok(None);
        };
        let number =
            layout::number_or_assign(txn, &meta::collection(thread.number, &event.collection))?;
        let (key, prefix) = history::keys(thread.number, number, event.entity.as_str());
        let row = EntityRow::get(txn.as_read(), &key)?;
        if let (Some(base), Some(row)) = (&self.base, &row) {
            base.keep(txn, thread.number, (&key, row))?;
        }
        for (_, place) in events {
            match turn {
                Turn::New(position) => history::put(txn, &prefix, *place, position)?,
                Turn::Again(position) => {
                    history::turn(txn, &prefix, *place, (position, true))?;
                }
                Turn::Undone(position) => {
                    history::turn(txn, &prefix, *place, (position, false))?;
                }
            }
        }
        let undone = matches!(turn, Turn::Undone(_));
        let is_late = |row: &EntityRow| row.last.time >= first.time;
        let late = undone || adopts || row.as_ref().is_some_and(is_late);
        let before = row.map_or(Life::Unknown, |row| row.life);
        let (last, life) = if late {
            let anew = undone || adopts;
            late_life(txn.as_read(), thread, &key, (&before, anew), events)?
        } else {
            let last = events.last().map(|(_, place)| *place);
            (last, one_after_the_other(thread, &before, events)?)
        };
        if self.purging && life == Life::Deleted && before != life {
            let name = (event.collection.clone(), event.entity.clone());
            self.died.insert(name);
        }
        match last {
            Some(last) => {
                let life = life.clone();
                EntityRow { last, life }.put(txn, &key)?;
            }
            // Nothing is left of it.
            None => txn.delete(Keyspace::Entities, &key)?,
        }
        let change = (before, life);
        self.index(event, number, &change)?;
        if self.thread.node.reducers.is_empty() {
            return Ok(None);
        }
        let net = feed::net(self.thread, &event.entity, &change)?;
        Ok(net.map(|(action, before, after)| Effect {
            event: EntityEvent {
                action,
                ..event.clone()
            },
            before: before.map(Arc::new),
            after: after.map(Arc::new),
        }))
    }

    /// Keeps the indexes of an entity's collection, or notes that they cannot be kept now.
    fn index(&mut self, event: &EntityEvent, number: Number, change: &(Life, Life)) -> Result<()> {
        let (thread, id) = (self.thread, event.entity.as_str());
        let Some(definition) = self.catalogue.find(&event.collection) else {
            if event.collection.is_reserved() {
                return Ok(());
            }
            return self.txn.put(Keyspace::Meta, &meta::stale(number), &[]);
        };
        if definition.indexes.is_empty() {
            return Ok(());
        }
        let before = history::view(thread, &change.0, id)?;
        let after = history::view(thread, &change.1, id)?;
        let moves = Moves::new(definition, before.as_ref(), after.as_ref());
        if moves.make(self.txn, thread, id)? {
            self.reload()?;
        }
        Ok(())
    }
}
