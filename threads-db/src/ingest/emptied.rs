//! Records that were purged elsewhere, or are to be purged here as they come.

use threads_core::Cid;
use threads_core::Result;
use threads_core::books::HeadBook;
use threads_core::record::{Record, SignedRecord, Verified};

use super::{Ingest, Standing};
use crate::chain::{self, Blocks};
use crate::dispatcher;
use crate::feed::Rejudged;
use crate::held;
use crate::kept;
use crate::layout::Place;
use crate::line;
use crate::purge::{self, EmptiedRow};

impl Ingest<'_> {
    /// What waits here whole of a record that came emptied: nobody takes that away by handing on less.
    pub(super) fn held_whole(&self, arrival: Option<u64>, came: &Blocks) -> Result<Option<Blocks>> {
        let Some(arrival) = arrival.filter(|_| came.is_emptied()) else {
            return Ok(None);
        };
        let entry = held::get(self.txn.as_read(), self.thread.number, arrival)?;
        let blocks = entry.and_then(|entry| entry.blocks);
        Ok(blocks.filter(|blocks| !blocks.is_emptied()))
    }

    /// What to file a record as that came whole, when it is to be emptied at once.
    pub(super) fn on_arrival(
        &mut self,
        record: &SignedRecord,
        blocks: &Blocks,
    ) -> Result<Option<Blocks>> {
        if !self.purging || blocks.is_emptied() {
            return Ok(None);
        }
        purge::on_arrival(&mut *self.txn, self.thread, record, blocks)
    }

    /// Takes in a record of which only the sealed record is left. It stands in its log and is not applied; by
    /// which record it was purged is remembered, and whether that is known here and counts.
    pub(super) fn admit_emptied(
        &mut self,
        record: Verified<SignedRecord>,
        (blocks, by): (&Blocks, &Cid),
        arrival: Option<u64>,
    ) -> Result<()> {
        let number = self.thread.number;
        let standing = self.standing(&record)?;
        if let Standing::Stands(place) = standing {
            self.stands(&record, place);
            return Ok(());
        }
        // It has no time that anybody knows.
        let time = threads_core::Hlc::ZERO;
        if let Some(why) = self.must_wait((&record, None), &standing, time)? {
            let entry = self.entry(&record, Some(blocks.clone()));
            return self.hold(entry, why, arrival);
        }
        let place = match (self.place(&record, &standing)?, standing) {
            (_, Standing::Forks(place)) => self.fork(&record, place)?,
            (place, _) => place,
        };
        self.stands(&record, place);
        if let Some(arrival) = arrival {
            held::remove(&mut *self.txn, number, arrival)?;
        }
        let known = purge::listed_by(self.txn.as_read(), number, &record.id(), Some(by))?;
        let left = match known {
            Some(known) => Blocks::emptied(blocks.record.clone(), &known),
            None => blocks.clone(),
        };
        let log = record.fields().log;
        let line = match self.forked {
            true => line::at(self.txn.as_read(), &log, place)?.id,
            false => log,
        };
        // What comes after it is compared with the time of what comes before it: mostly the head has that.
        let head = HeadBook::new(self.txn.as_read()).get(&self.thread.id, &line)?;
        let time = match head.filter(|head| Some(head.record) == record.fields().prev) {
            Some(head) => head.time,
            None => line::time_before(self.txn.as_read(), self.thread, place)?,
        };
        let at = (place, time);
        dispatcher::link(&mut *self.txn, self.thread, (&record, &line), at, &left)?;
        let row = EmptiedRow {
            by: known.unwrap_or(*by),
            known: known.is_some(),
            was_applied: false,
        };
        row.put(&mut *self.txn, place)?;
        self.came(&record, line)
    }

    /// Notes of an older record that came back that it is emptied.
    pub(super) fn note_emptied(&mut self, place: Place, (record, by): (&Cid, &Cid)) -> Result<()> {
        let listed = purge::listed_by(self.txn.as_read(), place.thread, record, Some(by))?;
        let row = EmptiedRow {
            by: listed.unwrap_or(*by),
            known: listed.is_some(),
            was_applied: false,
        };
        row.put(&mut *self.txn, place)
    }

    /// Puts the event and body of a record in place that is emptied. Where a purge lists it that counts,
    /// [`on_arrival`](Self::on_arrival) was asked before, and found that it says something of what lives:
    /// it was emptied by those who could not know. What was purged where nobody is asked stays so.
    pub(super) fn fill(
        &mut self,
        place: Place,
        record: &SignedRecord,
        blocks: &Blocks,
    ) -> Result<bool> {
        if blocks.is_emptied() {
            return Ok(false);
        }
        let row = EmptiedRow::get(self.txn.as_read(), place)?;
        let Some(row) = row else {
            return Ok(false);
        };
        let (number, id) = (self.thread.number, record.id());
        if row.known && purge::listed_by(self.txn.as_read(), number, &id, None)?.is_none() {
            return Ok(false);
        }
        self.returns = row.was_applied.then_some(Rejudged::Restored(row.by));
        let before = chain::expect(self.txn.as_read(), place)?;
        chain::put(&mut *self.txn, place, &id, blocks)?;
        kept::subtract(&mut *self.txn, self.thread, before.bytes())?;
        kept::add(&mut *self.txn, self.thread, blocks.bytes())?;
        purge::note_filled(&mut *self.txn, place)?;
        self.intake.filled += 1;
        line::set_time(&mut *self.txn, self.thread, (place, record), blocks)?;
        Ok(true)
    }

    /// Empties what purges list that count, and what became free to go by what came: records of entities that
    /// died, and records that are not applied.
    pub(super) fn purge_late(&mut self) -> Result<()> {
        let (apart, died) = (std::mem::take(&mut self.apart), &self.died);
        if !self.purging || apart.is_empty() && died.is_empty() {
            return Ok(());
        }
        purge::late(&mut *self.txn, self.thread, (apart, died))
    }
}
