//! How far each log is covered by a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use threads_core::record::skip_target;

use crate::layout::{EventPlace, Number, Place};

/// Why a record is in quarantine, as all know who have the same records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Apart {
    /// For what it is itself: no rule that comes later changes that.
    Itself,
    /// By the rules.
    Rules,
}

/// The records that a snapshot covers: those up to one of each log, but for what is in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    /// The last one of each log, by local number.
    pub(crate) last: BTreeMap<Number, u64>,
    /// Those that were in quarantine, and nothing of them is in the entities.
    pub(crate) apart: BTreeMap<(Number, u64), Apart>,
}

impl Covered {
    /// The last record of a log that is covered; 0 for none.
    pub(crate) fn last(&self, log: Number) -> u64 {
        self.last.get(&log).copied().unwrap_or(0)
    }

    /// Whether what a record says is in the snapshot.
    pub(crate) fn has(&self, place: Place) -> bool {
        place.seq <= self.last(place.log) && !self.apart.contains_key(&(place.log, place.seq))
    }

    /// The same of an event.
    pub(crate) fn has_event(&self, thread: Number, event: &EventPlace) -> bool {
        self.has(event.of_record(thread))
    }
}

/// The records up to `last` of a log that later ones link to.
pub(crate) fn linked_by_later(last: u64) -> BTreeSet<u64> {
    // Links do not reach over the end of a block, which are 1, 4, 13, 40, …
    let (mut end, mut power) = (1u64, 1u64);
    while end <= last {
        power = power.saturating_mul(3);
        end = end.saturating_add(power);
    }
    let links = (last.saturating_add(1)..=end).filter_map(skip_target);
    links.filter(|target| *target <= last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_of_a_later_record_is_kept() {
        for last in 1..400 {
            let kept = linked_by_later(last);
            for later in last + 1..5_000 {
                if let Some(target) = skip_target(later).filter(|target| *target <= last) {
                    assert!(kept.contains(&target), "record {later} links to {target}");
                }
            }
            assert!(kept.len() < 20, "{last}: {kept:?}");
        }
    }
}
