//! Verification of chains: each record against the one before it, each line against its head.

use threads_core::books::Head;
use threads_core::record::{Record, SignedRecord, skip_target};
use threads_core::{Error, Hlc, Result};

use super::{Check, LogState};
use crate::chain;
use crate::layout::Place;
use crate::line::{self, Line};

impl Check<'_> {
    /// Checks a record's links. One that was purged has no time.
    pub(super) fn links(
        &mut self,
        place: Place,
        record: &SignedRecord,
        time: Option<Hlc>,
    ) -> Result<()> {
        let fields = record.fields();
        let seen = match self.logs.remove(&place.log) {
            Some(seen) => seen,
            None => self.branched_off(place)?,
        };
        let state = LogState {
            seq: place.seq,
            cid: Some(record.id()),
            time: time.or(seen.time),
        };
        self.logs.insert(place.log, state);
        record.follows(seen.seq, seen.cid.as_ref())?;
        // What breaks this rule stands and is not applied. Blind replicas know no times, and what an
        // access record says is learned whatever its time.
        let reads = !self.thread.is_blind() && self.thread.header_key(fields)?.is_some();
        let free = !reads || fields.access || self.apart.contains(&place);
        let late = |before| time.is_some_and(|time| before >= time);
        if !free && seen.time.is_some_and(late) {
            return Err(Error::corrupt(
                "the record is not later than the one before it",
            ));
        }
        if let Some(seq) = skip_target(place.seq) {
            let target = line::ancestor(self.txn, place, seq)?;
            let target = chain::expect(self.txn, target)?.record_id();
            if fields.skip != Some(target) {
                return Err(Error::corrupt("the record's skip link points elsewhere"));
            }
        }
        let line = line::at(self.txn, &fields.log, place)?;
        if (line.log, line.number) != (fields.log, place.log) {
            return Err(Error::corrupt("the record is filed under another log"));
        }
        if line.parent.is_some() && line.first == place.seq && !line.begins_with(&record.id()) {
            return Err(Error::corrupt(
                "a branch has not the id of its first record",
            ));
        }
        Ok(())
    }

    /// What is before the first record that a local number has: nothing, or what a branch is off.
    fn branched_off(&self, place: Place) -> Result<LogState> {
        if place.seq == 1 {
            return Ok(LogState::default());
        }
        let before = line::ancestor(self.txn, place, place.seq - 1)?;
        let head = line::head_at(self.txn, self.thread, before)?;
        Ok(LogState {
            seq: head.seq,
            cid: Some(head.record),
            time: Some(head.time),
        })
    }

    pub(super) fn heads(&mut self, lines: &[(Line, Head)]) -> Result<()> {
        for (line, head) in lines {
            let sound = match line.forked {
                // Branches go on under the same local number.
                true => {
                    let last = line.place(self.thread.number, head.seq);
                    chain::get(self.txn, last)?.is_some_and(|last| last.record_id() == head.record)
                }
                false => {
                    let covered = self
                        .base
                        .as_ref()
                        .map(|base| base.covered.last(line.number));
                    let last = line.place(self.thread.number, head.seq);
                    match self.logs.get(&line.number) {
                        Some(last) => (last.seq, last.cid) == (head.seq, Some(head.record)),
                        None if covered == Some(head.seq) => chain::get(self.txn, last)?
                            .is_some_and(|last| last.record_id() == head.record),
                        None => false,
                    }
                }
            };
            if !sound {
                let place = format!("log {}", line.log);
                self.report
                    .problem(place, "its head is not its last record");
            }
        }
        Ok(())
    }
}
