//! Whether its time lets a record be applied. Only those who can read headers know times, so time never
//! keeps a record out of its log for good: blind replicas have it there.

use threads_core::books::HeadBook;
use threads_core::record::SignedRecord;
use threads_core::{Error, Hlc, Result};

use super::Ingest;
use crate::base;
use crate::held::Why;
use crate::layout::Place;
use crate::line;
use crate::opened::{Body, Opened};

/// How far ahead of this machine's clock a record may be dated. Every later event of the thread wears
/// a later time, so one record from the far future would make all of them lie.
pub(crate) const AHEAD_MS_MAX: u64 = 60 * 1_000;
/// How far ahead clocks of honest machines are. What is further ahead is not waited for.
const DRIFT_MS_MAX: u64 = 10 * 60 * 1_000;

impl Ingest<'_> {
    /// Why a time is not taken now, if it is ahead of this machine's clock.
    pub(super) fn ahead(&self, time: Hlc) -> Option<Why> {
        let ahead_ms = time.wall_ms.saturating_sub(self.now_ms);
        let due_ms = time.wall_ms.saturating_sub(AHEAD_MS_MAX);
        if ahead_ms > DRIFT_MS_MAX {
            let why = "dated too far ahead of this machine's clock: set the clock, or wait";
            let error = Error::rejected(why).with("ahead_ms", ahead_ms);
            return Some(Why::Future(due_ms, error.to_string()));
        }
        (ahead_ms > AHEAD_MS_MAX).then_some(Why::Early(due_ms))
    }

    /// Why its time keeps a record that stands at `place`, or may, from being applied.
    pub(super) fn untimely(
        &self,
        record: &SignedRecord,
        opened: &Opened,
        place: Place,
    ) -> Result<Option<Why>> {
        // All who have the replica key learn what an access record says, whatever its date: others may name it.
        if record.fields().access {
            return Ok(None);
        }
        if let Some(why) = self.ahead(opened.time) {
            return Ok(Some(why));
        }
        if matches!(opened.body, Body::Blind) || place.seq == 1 {
            return Ok(None);
        }
        let (fields, txn) = (record.fields(), self.txn.as_read());
        let head = HeadBook::new(txn).get(&self.thread.id, &fields.log)?;
        let before = match head.filter(|head| Some(head.record) == fields.prev) {
            Some(head) => head,
            None if place.seq <= base::last(txn, place)? => return Ok(None),
            None => line::head_at(txn, self.thread, line::ancestor(txn, place, place.seq - 1)?)?,
        };
        let late = before.time < opened.time;
        Ok((!late).then(|| Why::quarantine("the record is not later than the one before it")))
    }
}
