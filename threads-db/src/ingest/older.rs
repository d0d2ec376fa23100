//! What cannot be decided here, as the records are not here that it is about: a thread that begins with a snapshot
//! has only those after it.

use threads_core::batch::EntityEvent;
use threads_core::codec::{ActionKind, Ordering};
use threads_core::policy::Again;
use threads_core::{Cid, Result};

use super::Ingest;
use crate::entity::{EntityRow, Life};
use crate::held::Why;
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
        for (event, index) in batch.events.iter().zip(0..) {
            let number = layout::number(txn, &meta::collection(thread, &event.collection))?;
            let Some(number) = number else { continue };
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
        apart.map(|(_, seq)| *seq).chain(rest..=last).collect()
    }

    /// Notes an access record by which records would have to be judged again that are covered, unless its author
    /// had seen all of them.
    pub(super) fn owe(&mut self, again: &Again, cause: &Cid) -> Result<()> {
        let Some(base) = self.base.clone() else {
            return Ok(());
        };
        let thread = self.thread.number;
        for (log, seq) in &base.covered.last {
            if let Some(author) = &again.author
                && self.thread.author(self.txn.as_read(), *log)?.as_ref() != Some(author)
            {
                continue;
            }
            let (log, seq) = (*log, *seq);
            if !self.was_seen(again, Place { thread, log, seq })? {
                let owes = Some(*cause);
                let base = self.base.insert(crate::base::Base { owes, ..base });
                return base.put(&mut *self.txn, thread);
            }
        }
        Ok(())
    }
}
