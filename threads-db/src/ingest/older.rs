//! What cannot be decided here, as the records are not here that it is about: a thread that begins with a snapshot
//! has only those after it.

use std::collections::BTreeSet;

use threads_core::batch::EntityEvent;
use threads_core::codec::{ActionKind, Ordering};
use threads_core::policy::Again;
use threads_core::record::{Record, SignedRecord};
use threads_core::{Cid, CollectionName, EntityId, Result};

use super::{Below, Ingest};
use crate::access::ADOPTED;
use crate::base::Base;
use crate::catalogue;
use crate::chain::{self, Blocks};
use crate::entity::{EntityRow, Life};
use crate::held::{self, Entry, Why};
use crate::history;
use crate::layout::{self, EventPlace, Number, Place, meta};
use crate::opened::Opened;

impl Ingest<'_> {
    /// Why a record cannot be applied here, if it changes an entity before what is known of it: without the older
    /// events nobody knows what that comes to.
    pub(super) fn needs_older(&self, opened: &Opened, place: Place) -> Result<Option<Why>> {
        let (Some(base), Some(batch)) = (&self.base, opened.batch()) else {
            return Ok(None);
        };
        let (txn, thread) = (self.txn.as_read(), self.thread.number);
        if base.covered.last.is_empty() {
            return Ok(None);
        }
        // Of what was adopted each change counts once: which of them did is known to whoever has all of these records.
        for adopted in opened.adopts.iter().chain([&opened.record.id()]) {
            let place = chain::locate(txn, thread, adopted)?;
            let is_itself = *adopted == opened.record.id();
            let is_known = is_itself || place.is_some_and(|place| !base.covered.has(place));
            if !is_known || self.was_adopted(base, adopted)? {
                return Ok(Some(Why::Older(format!("{ADOPTED}/{adopted}"))));
            }
        }
        let waiting = self.waiting_entities(&opened.record.id())?;
        for (event, index) in batch.events.iter().zip(0..) {
            let number = layout::number(txn, &meta::collection(thread, &event.collection))?;
            let Some(number) = number else { continue };
            // It may build on what waits, and would be something in between without it.
            if waiting.contains(&(event.collection.clone(), event.entity.clone())) {
                let entity = format!("{}/{}", event.collection, event.entity);
                return Ok(Some(Why::Older(entity)));
            }
            let key = layout::entity(thread, number, event.entity.as_str());
            let Some(begins) = base.of_entity(txn, thread, &key)? else {
                continue;
            };
            let at = EventPlace {
                time: opened.time,
                log: place.log,
                seq: place.seq,
                index,
            };
            let is_last = history::later(txn, self.thread, at, begins.last)? == at;
            if !is_last && !self.is_free(event, &begins) {
                let entity = format!("{}/{}", event.collection, event.entity);
                return Ok(Some(Why::Older(entity)));
            }
        }
        Ok(None)
    }

    /// Holds a record that has the place of another one, of those that are covered: what becomes of a log that was
    /// forked follows from all of its records.
    pub(super) fn hold_fork(
        &mut self,
        record: &SignedRecord,
        blocks: &Blocks,
        arrival: Option<u64>,
    ) -> Result<()> {
        let entry = self.entry(record, Some(blocks.clone()));
        let why = Why::Older(format!("record {} of log {}", entry.row.seq, entry.row.log));
        self.hold(entry, why, arrival)
    }

    /// The same of one that was held already when what has its place was covered.
    pub(super) fn settle_below(&mut self, arrival: u64, entry: &Entry) -> Result<()> {
        let Some(blocks) = &entry.blocks else {
            return Ok(());
        };
        let record = self.thread.open_record(&blocks.record)?;
        match self.below(&record)? {
            Below::Forks if matches!(entry.row.why, Why::Older(_)) => Ok(()),
            Below::Forks => self.hold_fork(&record, blocks, Some(arrival)),
            Below::Dropped(place) => self.fill_below(place, &record, blocks, Some(arrival)),
            // It came back itself.
            Below::No => held::remove(&mut *self.txn, self.thread.number, arrival),
        }
    }

    /// Puts back a record that is covered. Whether it leads to those after it is looked at when all of them are here.
    pub(super) fn fill_below(
        &mut self,
        place: Place,
        record: &SignedRecord,
        blocks: &Blocks,
        arrival: Option<u64>,
    ) -> Result<()> {
        let (thread, cid) = (self.thread.number, record.id());
        chain::put(&mut *self.txn, place, &cid, blocks)?;
        if let Some(by) = blocks.purged_by()? {
            self.note_emptied(place, (&cid, &by))?;
        }
        if let Some(arrival) = arrival {
            held::remove(&mut *self.txn, thread, arrival)?;
        }
        // The one before it may have been taken for a fork.
        let fields = record.fields();
        if let (true, Some(prev)) = (self.holding, &fields.prev) {
            let before = (&fields.log, fields.seq - 1, prev);
            self.ready
                .extend(held::find(self.txn.as_read(), thread, before)?);
        }
        self.intake.filled += 1;
        Ok(())
    }

    /// The entities that records change which wait for older ones, but for this record.
    fn waiting_entities(&self, but: &Cid) -> Result<BTreeSet<(CollectionName, EntityId)>> {
        let (txn, thread) = (self.txn.as_read(), self.thread.number);
        let mut waiting = BTreeSet::new();
        if !self.holding {
            return Ok(waiting);
        }
        for arrival in held::arrivals(txn, thread)? {
            let entry = held::get(txn, thread, arrival)?;
            let older = |entry: &Entry| matches!(entry.row.why, Why::Older(_));
            let Some(entry) = entry.filter(|entry| older(entry) && entry.row.record != *but) else {
                continue;
            };
            let Some(place) = chain::locate(txn, thread, &entry.row.record)? else {
                continue;
            };
            let opened = self.thread.open(&chain::expect(txn, place)?)?;
            let events = opened.batch().map_or(&[][..], |batch| &batch.events);
            let names = events.iter();
            waiting.extend(names.map(|event| (event.collection.clone(), event.entity.clone())));
        }
        Ok(waiting)
    }

    /// Whether a record that is covered adopted this one.
    fn was_adopted(&self, base: &Base, from: &Cid) -> Result<bool> {
        let (txn, thread) = (self.txn.as_read(), self.thread.number);
        let name = meta::collection(thread, &catalogue::reserved(ADOPTED));
        let Some(number) = layout::number(txn, &name)? else {
            return Ok(false);
        };
        let key = layout::entity(thread, number, &from.to_string());
        Ok(base.of_entity(txn, thread, &key)?.is_some())
    }

    /// Whether a record says something of an entity that the thread begins with here as a dead one.
    pub(super) fn begins_dead(&self, opened: &Opened) -> Result<bool> {
        let (Some(base), Some(batch)) = (&self.base, opened.batch()) else {
            return Ok(false);
        };
        let (txn, thread) = (self.txn.as_read(), self.thread.number);
        for event in &batch.events {
            let number = layout::number(txn, &meta::collection(thread, &event.collection))?;
            let Some(number) = number else { continue };
            let key = layout::entity(thread, number, event.entity.as_str());
            let begins = base.of_entity(txn, thread, &key)?;
            if begins.is_some_and(|begins| begins.life == Life::Deleted) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an event comes to the same wherever it stands among those of its entity.
    fn is_free(&self, event: &EntityEvent, begins: &EntityRow) -> bool {
        let reserved = event.collection.is_reserved();
        match &begins.life {
            // Deleting is final, whatever came before it, and nothing becomes of the dead.
            Life::Deleted => true,
            _ if event.action == ActionKind::Delete => !reserved,
            Life::Live(codec, _) if *codec == event.codec => {
                let codec = self.thread.node.codecs.find(codec.as_str());
                codec.is_some_and(|codec| codec.ordering() == Ordering::Any)
            }
            Life::Live(..) | Life::Waiting(_) | Life::Unknown => false,
        }
    }

    /// The records of a log from `first` to `last` that are not covered.
    pub(super) fn uncovered(&self, log: Number, first: u64, last: u64) -> Vec<u64> {
        let Some(base) = &self.base else {
            return (first..=last).collect();
        };
        let covered = &base.covered;
        let apart = covered.apart.range((log, first)..=(log, last.max(first)));
        let rest = first.max(covered.last(log).saturating_add(1));
        apart.map(|((_, seq), _)| *seq).chain(rest..=last).collect()
    }

    /// Notes an access record by which what is covered is needed.
    pub(super) fn owe_all(&mut self, cause: &Cid) -> Result<()> {
        let Some(base) = self
            .base
            .clone()
            .filter(|base| !base.covered.last.is_empty())
        else {
            return Ok(());
        };
        let owes = Some(*cause);
        let base = self.base.insert(Base { owes, ..base });
        base.put(&mut *self.txn, self.thread.number)
    }

    /// Notes an access record by which records would have to be judged again that are covered, unless its author
    /// had seen all of them.
    pub(super) fn owe(&mut self, again: &Again, cause: &Cid) -> Result<()> {
        let Some(base) = self.base.clone() else {
            return Ok(());
        };
        if again.within.as_ref().is_some_and(Vec::is_empty) {
            // It is about purges alone.
            return Ok(());
        }
        let thread = self.thread.number;
        for (log, seq) in &base.covered.last {
            if let Some(author) = &again.author
                && self.thread.author(self.txn.as_read(), *log)?.as_ref() != Some(author)
            {
                continue;
            }
            let (log, seq) = (*log, *seq);
            if !self.was_seen(again, Place { thread, log, seq })? {
                return self.owe_all(cause);
            }
        }
        Ok(())
    }
}
