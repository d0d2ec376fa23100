//! Records that were purged elsewhere, or are to be purged here as they come.

use threads_core::Cid;
use threads_core::Result;
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
    /// What to file a record as that came whole, when it is to be emptied at once.
    pub(super) fn to_be_emptied(
        &self,
        record: &SignedRecord,
        blocks: &Blocks,
    ) -> Result<Option<Blocks>> {
        if !self.purging || blocks.is_emptied() {
            return Ok(None);
        }
        purge::on_arrival(self.txn.as_read(), self.thread, record, blocks)
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
        // What comes after it is compared with the time of what comes before it.
        let time = line::time_before(self.txn.as_read(), self.thread, place)?;
        let at = (place, time);
        dispatcher::link(&mut *self.txn, self.thread, (&record, &line), at, &left)?;
        let row = EmptiedRow {
            by: known.unwrap_or(*by),
            known: known.is_some(),
            was_applied: false,
        };
        row.put(&mut *self.txn, place)?;
        self.intake.stripped += u64::from(known.is_none());
        self.came(&record, line)
    }

    /// Puts the event and body of a record in place that came emptied without a reason known here.
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
        let Some(row) = row.filter(|row| !row.known) else {
            return Ok(false);
        };
        self.returns = row.was_applied.then_some(Rejudged::Restored(row.by));
        let before = chain::expect(self.txn.as_read(), place)?;
        chain::put(&mut *self.txn, place, &record.id(), blocks)?;
        kept::subtract(&mut *self.txn, self.thread, before.bytes())?;
        kept::add(&mut *self.txn, self.thread, blocks.bytes())?;
        purge::note_filled(&mut *self.txn, place)?;
        line::set_time(&mut *self.txn, self.thread, (place, record), blocks)?;
        Ok(true)
    }
}
