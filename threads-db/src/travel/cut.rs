//! A point in the past, resolved: which events of a history are before it.

use std::collections::HashMap;

use threads_core::datastore::ReadTxn;
use threads_core::{Cid, Error, Hlc, Result};

use super::Point;
use super::point::RECORDS_MAX;
use crate::chain;
use crate::history::HistoryRow;
use crate::layout::{Number, Place};
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
            Point::Time(time) => Ok(Self::Time(*time)),
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
        Ok(closure)
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
            self.ahead.push((log, seq, first.max(*reached + 1)));
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
                    if let Some(place) = chain::locate(self.txn, thread, &dep.cid)? {
                        self.reach(place)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where the record is that this CID names, and no other.
pub(super) fn locate(txn: &dyn ReadTxn, thread: &Thread, cid: &Cid) -> Result<Option<Place>> {
    let Some(place) = chain::locate(txn, thread.number, cid)? else {
        return Ok(None);
    };
    let blocks = chain::expect(txn, place)?;
    Ok((blocks.record_id() == *cid).then_some(place))
}
