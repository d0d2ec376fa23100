//! Why a record is not applied now, if it is not.

use threads_core::access::Statement;
use threads_core::policy::Verdict;
use threads_core::record::{Dep, SignedRecord};
use threads_core::{Hlc, Result};

use super::standing::Standing;
use super::{Ingest, MISSING_MAX};
use crate::chain;
use crate::dispatcher::{self, Judged};
use crate::held::Why;
use crate::layout::Place;
use crate::opened::Opened;

impl Ingest<'_> {
    /// Why a record cannot take its place in its log now, if it cannot.
    pub(super) fn must_wait(
        &mut self,
        (record, statements): (&SignedRecord, Option<&[Statement]>),
        standing: &Standing,
        time: Hlc,
    ) -> Result<Option<Why>> {
        let fields = record.fields();
        // What is further ahead is not waited for: it stands, and is not applied.
        if !fields.access
            && let Some(why @ Why::Early(_)) = self.ahead(time)
        {
            return Ok(Some(why));
        }
        let mut missing = Vec::new();
        if let Standing::Early(prev) = standing {
            missing.push(*prev);
        }
        for dep in &fields.deps {
            if !self.knows(dep)? {
                self.goes_astray(&dep.log, dep.seq)?;
                missing.push(dep.cid);
            }
        }
        let mut older = None;
        let seen = statements.unwrap_or_default().iter();
        for dep in seen.flat_map(Statement::seen) {
            let (txn, thread) = (self.txn.as_read(), self.thread.number);
            // What is said to be seen where it is not was not seen, and the rest of the statement counts.
            if chain::locate(txn, thread, &dep.cid)?.is_some() || self.knows(dep)? {
                continue;
            }
            if self.is_covered(&dep.log, dep.seq)? {
                // It may be one of the older records, in another place.
                older = Some(Why::Older(format!("record {} of log {}", dep.seq, dep.log)));
                continue;
            }
            self.goes_astray(&dep.log, dep.seq)?;
            missing.push(dep.cid);
        }
        for cid in &fields.acl {
            if chain::locate(self.txn.as_read(), self.thread.number, cid)?.is_none() {
                missing.push(*cid);
            }
        }
        // What a statement says to have seen may be much; each is missed once.
        missing.truncate(MISSING_MAX);
        match missing.is_empty() {
            true => Ok(older),
            false => Ok(Some(Why::Missing(missing))),
        }
    }

    /// Whether somebody names a record that is here, in the log and under the number that it has, or is covered by what
    /// the thread begins with here.
    fn knows(&self, dep: &Dep) -> Result<bool> {
        let (txn, thread) = (self.txn.as_read(), self.thread.number);
        match (chain::locate(txn, thread, &dep.cid)?, &self.base) {
            (Some(place), _) => {
                Ok(place.seq == dep.seq && self.thread.log_id(txn, place.log)? == dep.log)
            }
            (None, Some(base)) => base.covers(txn, thread, dep),
            (None, None) => Ok(false),
        }
    }

    /// Why a record that may stand in its log is not applied, if it is not.
    pub(super) fn kept_apart(
        &self,
        record: &SignedRecord,
        opened: &Opened,
        (place, is_next, stands): (Place, bool, bool),
    ) -> Result<Option<Why>> {
        match self.untimely(record, opened, place)? {
            Some(why) => Ok(Some(why)),
            // What an access record says is for the policy to learn, not to judge.
            None if record.fields().access => Ok(None),
            None => match self.may_apply(record, opened, (place, is_next, stands))? {
                Some(why) => Ok(Some(why)),
                None => self.needs_older(opened, place),
            },
        }
    }

    /// Why the policy keeps a record from being applied, if it does.
    fn may_apply(
        &self,
        record: &SignedRecord,
        opened: &Opened,
        (place, is_next, stands): (Place, bool, bool),
    ) -> Result<Option<Why>> {
        let author = self.author(record, place)?;
        let changes = opened.batch().map(dispatcher::changes);
        let judged = Judged {
            fields: record.fields(),
            place,
            is_next,
            stands,
            changes: changes.as_deref(),
        };
        let verdict = dispatcher::judge(self.txn.as_read(), self.thread, author, judged)?;
        match verdict {
            Verdict::Accept => Ok(None),
            Verdict::Reject(why) => Err(dispatcher::refused(why)),
            Verdict::Quarantine(why) => Ok(Some(Why::access(why))),
            Verdict::Defer(awaiting) => Ok(Some(Why::Missing(awaiting))),
            _ => Ok(Some(Why::quarantine(
                "the access policy gave a verdict that this version does not know",
            ))),
        }
    }
}
