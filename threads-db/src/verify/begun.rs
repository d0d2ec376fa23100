//! Verification of what is left of records before those with which a thread begins here.

use threads_core::Result;

use super::Check;
use crate::base::Base;
use crate::chain;
use crate::layout::Place;
use crate::log::place_text;

impl Check<'_> {
    /// Whether the feed here begins after a record that is not covered.
    pub(super) fn has_no_feed(&self, place: &Place) -> bool {
        let last = |base: &Base| base.no_feed.get(&place.log).copied();
        let last = self.base.as_ref().and_then(last);
        last.is_some_and(|last| place.seq <= last)
    }

    /// The records that were in quarantine when the rest was covered, and are applied by now.
    pub(super) fn applied_since(&mut self) -> Result<()> {
        let apart = self.base.iter().flat_map(|base| base.covered.apart.keys());
        let thread = self.thread.number;
        let places: Vec<_> = apart
            .map(|(log, seq)| Place {
                thread,
                log: *log,
                seq: *seq,
            })
            .filter(|place| !self.apart.contains(place))
            .collect();
        for place in places {
            if let Err(error) = self.applied_one(place) {
                self.report
                    .problem(place_text(None, place), error.to_string());
            }
        }
        Ok(())
    }

    fn applied_one(&mut self, place: Place) -> Result<()> {
        let blocks = chain::expect(self.txn, place)?;
        if blocks.is_emptied() {
            return Ok(());
        }
        let opened = self.thread.open(&blocks)?;
        self.said(place, &opened)
    }
}
