//! Whether what came as a snapshot makes sense: it may have been written by anybody who signs for it.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::datastore::{ReadTxn, WriteTxn};
use threads_core::record::{Fields, Record, SignedRecord, skip_target};
use threads_core::{Cid, EntityId, Error, Hlc, Result};

use super::{Opening, malformed};
use crate::base::Base;
use crate::base::marks::{self, MARKS_AT_ONCE, Mark};
use crate::chain::Blocks;
use crate::entity::Life;
use crate::history;
use crate::ingest::AHEAD_MS_MAX;
use crate::layout::Place;
use crate::snapshot::content::{MarksItem, RecordItem};
use crate::snapshot::cover::latest_access;
use crate::snapshot::covered::linked_by_later;

/// What a record of the snapshot says of entities.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    /// Something, at this time.
    At(Hlc),
    /// What nobody knows here: it was purged, or its keys are not here yet.
    Unknown,
    Nothing,
}

impl Opening<'_> {
    /// Puts marks, which come for all records of each log in turn.
    pub(super) fn marks(&mut self, txn: &mut dyn WriteTxn, item: &MarksItem) -> Result<()> {
        let (index, first) = self.marked;
        let log = self.logs.get(index as usize);
        let (number, log) = log.ok_or_else(|| malformed("marks are of no log"))?;
        let marks = item.marks()?;
        let last = log.seq.min(first + MARKS_AT_ONCE - 1);
        if (item.log, item.first) != self.marked || marks.len() as u64 != last + 1 - first {
            return Err(malformed("its marks are out of turn"));
        }
        self.marked = match last == log.seq {
            true => (index + 1, 1),
            false => (index, last + 1),
        };
        marks::put(txn, (self.thread.number, *number, first), &marks)
    }

    /// Whether all marks came.
    pub(super) fn is_marked(&self) -> bool {
        self.marked.0 == self.logs.len() as u64
    }

    /// Checks that a record is the one of which there is a mark, and links to such.
    pub(super) fn check_marks(
        &self,
        txn: &dyn ReadTxn,
        place: Place,
        record: &SignedRecord,
    ) -> Result<()> {
        let fields = record.fields();
        let before = (place.seq > 1).then(|| (place.seq - 1, fields.prev));
        let skip = skip_target(place.seq).map(|target| (target, fields.skip));
        let itself = (place.seq, Some(record.id()));
        for (seq, link) in before.into_iter().chain(skip).chain([itself]) {
            let mark = link.map(|cid| Mark::of(&fields.log, seq, &cid));
            if mark.is_none() || marks::get(txn, Place { seq, ..place })? != mark {
                return Err(malformed(
                    "a record is not of the chain that it is said to be of",
                ));
            }
        }
        Ok(())
    }

    /// Checks that the time of a log is that of its last record, and notes the times of records that others say
    /// something of.
    pub(super) fn check_time(
        &mut self,
        (item, record): (&RecordItem, &SignedRecord),
        blocks: &Blocks,
    ) -> Result<()> {
        let time = self.thread.time_of(record, blocks)?;
        let Some((_, log)) = self.logs.get(item.log as usize) else {
            return Ok(());
        };
        // Its keys may be among what comes by the rules, which are learned at the end.
        let is_known = time != Hlc::ZERO || blocks.is_emptied();
        if item.seq == log.seq && is_known && log.time()? != time {
            return Err(malformed("a log has not the time of its last record"));
        }
        let says = match item.apart.is_some() || record.fields().access {
            true => Says::Nothing,
            false if time == Hlc::ZERO => Says::Unknown,
            false => Says::At(time),
        };
        self.carried.insert((item.log, item.seq), says);
        Ok(())
    }

    /// Checks that an entity's last event is of a record that may be that.
    pub(super) fn check_last(&self, place: (u64, u64), time: Hlc) -> Result<()> {
        match self.carried.get(&place) {
            Some(Says::At(known)) if *known != time => {
                Err(malformed("an entity has another time than its record"))
            }
            Some(Says::Nothing) => Err(malformed("an entity has an event that is not applied")),
            Some(Says::At(_) | Says::Unknown) | None => Ok(()),
        }
    }

    /// Checks that a state is one of its codec; of one that is not installed here nobody can tell.
    pub(super) fn check_state(&self, life: &Life, id: &EntityId) -> Result<()> {
        let shown = history::view(self.thread, life, id.as_str()).map(drop);
        shown.map_err(|cause| malformed("a state is none of its codec").caused_by(cause))
    }

    /// Checks what is known at the end: that the records are there which stay needed, and that all access records
    /// that something names are among them.
    pub(super) fn check_whole(&self) -> Result<()> {
        if self.owned.len() != self.logs.len() || !self.is_marked() {
            return Err(malformed("it does not show whose its logs are"));
        }
        for ((_, log), index) in self.logs.iter().zip(0..) {
            let mut needed = linked_by_later(log.seq);
            needed.extend([1, log.seq]);
            if needed
                .iter()
                .any(|seq| !self.carried.contains_key(&(index, *seq)))
            {
                return Err(malformed("a record is missing that stays needed"));
            }
        }
        let known: BTreeSet<Cid> = self.access.iter().map(|(_, cid, _)| *cid).collect();
        match self.named.is_subset(&known) {
            true => Ok(()),
            false => Err(malformed("it names access records that it does not have")),
        }
    }

    /// Checks that nothing is dated ahead of this machine's clock: all that is written here would be, too.
    pub(super) fn check_clock(&self) -> Result<()> {
        let ahead_ms = self
            .time
            .wall_ms
            .saturating_sub(self.thread.node.clock.now_ms());
        match ahead_ms > AHEAD_MS_MAX {
            false => Ok(()),
            true => Err(Error::unavailable(
                "the snapshot is dated ahead of this machine's clock: set the clock, or wait",
            )
            .with("ahead_ms", ahead_ms)),
        }
    }

    /// Checks that the access records that no other names are those that it says.
    pub(super) fn check_latest(&self, txn: &dyn ReadTxn, base: &Base) -> Result<()> {
        match latest_access(txn, self.thread, &base.covered)? == base.acl {
            true => Ok(()),
            false => Err(malformed(
                "its latest access records are others than it says",
            )),
        }
    }
}

/// Access records in an order in which none comes before those that it names, or that its log has before it. With
/// each goes what it is said to know of.
pub(super) fn in_turn(
    records: Vec<(Place, Cid, Fields)>,
    named: &[Vec<Cid>],
) -> Result<Vec<(Place, Cid, Fields)>> {
    let index: BTreeMap<Cid, usize> = records.iter().map(|(_, cid, _)| *cid).zip(0..).collect();
    let mut waits = vec![0usize; records.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); records.len()];
    for (number, (place, _, fields)) in records.iter().enumerate() {
        let links = fields.acl.iter().chain(fields.prev.as_ref());
        let links = links
            .chain(fields.deps.iter().map(|dep| &dep.cid))
            .chain(&named[number]);
        let mut before: BTreeSet<usize> = links.filter_map(|cid| index.get(cid).copied()).collect();
        // They come by log and number.
        let previous = number
            .checked_sub(1)
            .filter(|last| records[*last].0.log == place.log);
        before.extend(previous);
        waits[number] = before.len();
        before.iter().for_each(|other| after[*other].push(number));
    }
    let mut ready: BTreeSet<usize> = (0..records.len())
        .filter(|number| waits[*number] == 0)
        .collect();
    let mut order = Vec::with_capacity(records.len());
    // Ends: each turn takes one, and none twice.
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for other in &after[next] {
            waits[*other] -= 1;
            if waits[*other] == 0 {
                ready.insert(*other);
            }
        }
    }
    if order.len() < records.len() {
        return Err(malformed("its access records name each other"));
    }
    let mut records: Vec<_> = records.into_iter().map(Some).collect();
    Ok(order
        .into_iter()
        .filter_map(|number| records[number].take())
        .collect())
}
