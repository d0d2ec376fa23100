//! A point in the past, resolved: which events of a history are before it.

use std::collections::HashMap;

use threads_core::datastore::ReadTxn;
use threads_core::record::Dep;
use threads_core::{Cid, Error, Hlc, Result};

use super::Point;
use super::point::RECORDS_MAX;
use crate::base::{self, Base};
use crate::chain;
use crate::history::HistoryRow;
use crate::layout::{self, Number, Place, meta};
use crate::line;
use crate::thread::{Thread, Tip};

/// Which events are before a point.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    Now,
    /// The last record of each log that is in it, by the log's local number.
    Records(HashMap<Number, u64>),
    Time(Hlc),
    Position(u64),
}

impl Cut {
    pub(crate) fn at(txn: &dyn ReadTxn, thread: &Thread, point: &Point) -> Result<Self> {
        match point {
            Point::Now => Ok(Self::Now),
            Point::Time(time) => {
                let base = Base::get(txn, thread.number)?;
                match base.is_some_and(|base| *time < base.time) {
                    true => Err(dropped()),
                    false => Ok(Self::Time(*time)),
                }
            }
            Point::Records(records) => {
                let closed = Closure::of(txn, thread, records)?;
                Ok(Self::Records(closed.reached))
            }
            Point::Position(position) => {
                let last = Tip::get(txn, thread.number)?.position;
                if *position > last {
                    let ahead = "the feed of this node has not come so far";
                    return Err(Error::invalid(ahead).with("last", last));
                }
                if *position < base::position(txn, thread.number)? {
                    return Err(dropped());
                }
                Ok(Self::Position(*position))
            }
        }
    }

    /// Whether an event counts at this point.
    pub(crate) fn has(&self, row: &HistoryRow) -> bool {
        let place = &row.place;
        match self {
            Self::Position(position) => row.turns.was_applied_at(*position),
            _ if !row.turns.is_applied() => false,
            Self::Now => true,
            Self::Time(time) => place.time <= *time,
            Self::Records(last) => last.get(&place.log).is_some_and(|last| place.seq <= *last),
        }
    }
}

/// Records with all that they build on: those before them in their logs, and those that any of these names.
struct Closure<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    /// How far each log is in it, by its local number.
    reached: HashMap<Number, u64>,
    /// How far each log goes here.
    ends: HashMap<Number, u64>,
    /// The logs that are in it as far as they go.
    complete: usize,
    /// What the thread begins with here, where not all of its records are here.
    base: Option<Base>,
    /// What is not looked at yet, from its last record to its first one.
    ahead: Vec<(Number, u64, u64)>,
}

impl<'a> Closure<'a> {
    /// As each record is looked at once, this costs as much as there are records before the point, and nothing
    /// at the present heads.
    fn of(txn: &'a dyn ReadTxn, thread: &'a Thread, records: &[Cid]) -> Result<Self> {
        if records.len() > RECORDS_MAX {
            return Err(Error::invalid("too many records for one point").with("most", RECORDS_MAX));
        }
        let mut ends = HashMap::new();
        for (line, head) in line::all(txn, thread)? {
            let end = ends.entry(line.number).or_insert(0);
            *end = head.seq.max(*end);
        }
        let mut closure = Self {
            txn,
            thread,
            reached: HashMap::new(),
            ends,
            complete: 0,
            base: Base::get(txn, thread.number)?,
            ahead: Vec::new(),
        };
        for cid in records {
            let place = locate(txn, thread, cid)?;
            let place = place.ok_or_else(|| {
                let missing = "no record of this thread that is here has this CID: list the log";
                Error::not_found(missing).with("cid", cid)
            })?;
            closure.reach(place)?;
        }
        closure.close()?;
        let reached = |(log, last): (&Number, &u64)| {
            closure
                .reached
                .get(log)
                .is_some_and(|reached| reached >= last)
        };
        let base = closure.base.as_ref();
        match base.is_none_or(|base| base.covered.last.iter().all(reached)) {
            true => Ok(closure),
            false => Err(dropped()),
        }
    }

    /// Takes in a record and those before it in its log.
    fn reach(&mut self, mut place: Place) -> Result<()> {
        // Ends: a branch begins later than the one it comes from.
        loop {
            let Place { thread, log, seq } = place;
            let reached = self.reached.entry(log).or_insert(0);
            if *reached >= seq {
                return Ok(());
            }
            let origin = line::origin(self.txn, thread, log)?;
            let first = origin.map_or(1, |(_, first)| first);
            let covered = self.base.as_ref().map_or(0, |base| base.covered.last(log));
            let next = first.max(*reached + 1).max(covered + 1);
            self.ahead.push((log, seq, next));
            *reached = seq;
            if self.ends.get(&log) == Some(&seq) {
                self.complete += 1;
            }
            match origin {
                Some((log, first)) if first > 1 => {
                    let seq = first - 1;
                    place = Place { thread, log, seq };
                }
                _ => return Ok(()),
            }
        }
    }

    /// Where a record stood that is not here, as the thread begins with what it said.
    fn covered(&self, dep: &Dep) -> Result<Option<Place>> {
        let (thread, seq) = (self.thread.number, dep.seq);
        if !base::covers(self.txn, thread, dep)? {
            return Ok(None);
        }
        let log = layout::number(self.txn, &meta::log_by_id(thread, &dep.log))?;
        Ok(log.map(|log| Place { thread, log, seq }))
    }

    /// Takes in what the records name, until there is nothing more to take in.
    fn close(&mut self) -> Result<()> {
        let thread = self.thread.number;
        while let Some((log, last, first)) = self.ahead.pop() {
            for seq in (first..=last).rev() {
                if self.complete == self.ends.len() {
                    return Ok(());
                }
                let blocks = chain::expect(self.txn, Place { thread, log, seq })?;
                let record = self.thread.open_record(&blocks.record)?;
                for dep in &record.fields().deps {
                    // A record stands in its log only with those that it names, so it is here.
                    let covered = self.covered(dep)?;
                    if let Some(place) = chain::locate(self.txn, thread, &dep.cid)?.or(covered) {
                        self.reach(place)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn dropped() -> Error {
    Error::unavailable(
        "the records are not here any more that would tell: ask on a node that has all of them",
    )
}

/// Where the record is that this CID names, and no other.
pub(super) fn locate(txn: &dyn ReadTxn, thread: &Thread, cid: &Cid) -> Result<Option<Place>> {
    let Some(place) = chain::locate(txn, thread.number, cid)? else {
        return Ok(None);
    };
    let blocks = chain::expect(txn, place)?;
    Ok((blocks.record_id() == *cid).then_some(place))
}
