//! Why a record is not applied now, if it is not.

use threads_core::access::Statement;
use threads_core::policy::Verdict;
use threads_core::record::SignedRecord;
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
        let seen = statements
            .unwrap_or_default()
            .iter()
            .flat_map(Statement::seen);
        for dep in fields.deps.iter().chain(seen) {
            let known = chain::locate(self.txn.as_read(), self.thread.number, &dep.cid)?;
            if known.is_none() && !self.is_covered(&dep.log, dep.seq)? {
                self.goes_astray(&dep.log, dep.seq)?;
                missing.push(dep.cid);
            }
        }
        for cid in &fields.acl {
            if chain::locate(self.txn.as_read(), self.thread.number, cid)?.is_none() {
                missing.push(*cid);
            }
        }
        // What a statement says to have seen may be much; each is missed once.
        missing.truncate(MISSING_MAX);
        Ok((!missing.is_empty()).then_some(Why::Missing(missing)))
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
