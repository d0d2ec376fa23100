//! Verification of entities: each is made again from its events, and so must its history be.

use std::collections::{HashMap, HashSet};

use threads_core::batch::EntityEvent;
use threads_core::datastore::{Direction, Keyspace};
use threads_core::{CollectionName, EntityId, Error, Result};

use super::Check;
use crate::entity::{EntityRow, Life};
use crate::history::{self, Events, HistoryRow};
use crate::layout::{self, EventPlace, Prefix, meta};

/// An entity, made again from its events.
pub(super) struct Rebuilt {
    life: Life,
    last: EventPlace,
    events: u64,
    /// Whether they have to be looked at together: an earlier one came after a later one, as in a log in which a
    /// record is not later than the one before it those that follow may be earlier, too; or one was adopted.
    astray: bool,
}

impl Check<'_> {
    pub(super) fn event(
        &mut self,
        event: &EntityEvent,
        (place, adopts): (EventPlace, bool),
    ) -> Result<()> {
        self.report.events += 1;
        let key = (event.collection.clone(), event.entity.clone());
        if !self.entities.contains_key(&key) {
            let begins = self.begins(&key)?;
            let last = begins.as_ref().map_or(place, |begins| begins.last);
            let rebuilt = Rebuilt {
                life: begins.map_or(Life::Unknown, |begins| begins.life),
                last,
                events: 0,
                astray: false,
            };
            self.entities.insert(key.clone(), rebuilt);
        }
        let Some(rebuilt) = self.entities.get_mut(&key) else {
            return Ok(());
        };
        rebuilt.astray |= adopts || place.time < rebuilt.last.time;
        let before = std::mem::replace(&mut rebuilt.life, Life::Unknown);
        rebuilt.life = history::apply(self.thread, before, event)?;
        rebuilt.last = place;
        rebuilt.events += 1;
        Ok(())
    }

    /// What an entity begins with here.
    fn begins(&self, (collection, id): &(CollectionName, EntityId)) -> Result<Option<EntityRow>> {
        let Some(base) = &self.base else {
            return Ok(None);
        };
        let thread = self.thread.number;
        let number = layout::number(self.txn, &meta::collection(thread, collection))?;
        let Some(number) = number else {
            return Ok(None);
        };
        let key = layout::entity(thread, number, id.as_str());
        base.of_entity(self.txn, thread, &key)
    }

    pub(super) fn entities(&mut self) -> Result<()> {
        let mut expected: HashSet<Vec<u8>> = HashSet::new();
        let mut numbers = HashMap::new();
        for ((collection, id), mut rebuilt) in std::mem::take(&mut self.entities) {
            self.report.entities += u64::from(!collection.is_reserved());
            let number = match numbers.get(&collection) {
                Some(number) => *number,
                None => {
                    let key = meta::collection(self.thread.number, &collection);
                    let number = layout::number(self.txn, &key)?
                        .ok_or_else(|| Error::corrupt("a collection has no local number"))?;
                    numbers.insert(collection.clone(), number);
                    number
                }
            };
            let (key, prefix) = history::keys(self.thread.number, number, id.as_str());
            let place = format!("{collection}/{id}");
            if rebuilt.astray {
                self.in_turn(&mut rebuilt, (&collection, &id), (&key, &prefix))?;
            }
            let wanted = EntityRow {
                last: rebuilt.last,
                life: rebuilt.life,
            };
            match EntityRow::get(self.txn, &key) {
                Ok(Some(row)) if row == wanted => {}
                Ok(Some(_)) => self
                    .report
                    .problem(place.clone(), "its state is not what its events give"),
                Ok(None) => self.report.problem(place.clone(), "its state is missing"),
                Err(error) => self.report.problem(place.clone(), error.to_string()),
            }
            let applied = history::rows(self.txn, self.thread, &prefix);
            if applied.map_or(0, |rows| rows.len() as u64) != rebuilt.events {
                self.report.problem(place, "its history is not complete");
            }
            expected.insert(key);
        }
        self.unexpected(&expected)
    }

    /// Makes an entity again whose events have to be looked at in their order. Its history has that; it is
    /// checked to have events of this entity, as they are in the logs.
    fn in_turn(
        &self,
        rebuilt: &mut Rebuilt,
        entity: (&CollectionName, &EntityId),
        (key, prefix): (&[u8], &[u8]),
    ) -> Result<()> {
        let mut events = Events::new(self.txn, self.thread);
        let rows = history::rows(self.txn, self.thread, prefix)?;
        for HistoryRow { place, .. } in &rows {
            let event = events.event(place)?;
            let time = events.record(place.of_record(self.thread.number))?.time;
            if (&event.collection, &event.entity, time) != (entity.0, entity.1, place.time) {
                return Err(Error::corrupt("a history names an event of another entity"));
            }
            rebuilt.last = *place;
        }
        if let Some(made) = history::made_again(self.txn, self.thread, key)? {
            rebuilt.last = made.last;
            rebuilt.life = made.life;
        }
        Ok(())
    }

    /// Entities that no event made.
    fn unexpected(&mut self, expected: &HashSet<Vec<u8>>) -> Result<()> {
        let bounds = Prefix::new(&layout::thread_prefix(self.thread.number));
        for row in self
            .txn
            .scan(Keyspace::Entities, bounds.range(), Direction::Forward)?
        {
            let begins = |row: &EntityRow| {
                let base = self.base.as_ref().map(|base| &base.covered);
                base.is_some_and(|base| base.has_event(self.thread.number, &row.last))
            };
            match row {
                Ok((key, _)) if expected.contains(&*key) => {}
                // Nothing changed it since.
                Ok((_, value)) if EntityRow::decode(&value).is_ok_and(|row| begins(&row)) => {}
                Ok(_) => self
                    .report
                    .problem("entities", "there is one that no event made"),
                Err(error) => self.report.problem("entities", error.to_string()),
            }
        }
        Ok(())
    }
}
