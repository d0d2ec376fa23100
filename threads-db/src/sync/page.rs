//! Reading records to send: oldest first, and none before the records that it builds on.

use std::collections::BTreeMap;

use threads_core::books::HeadBook;
use threads_core::datastore::ReadTxn;
use threads_core::record::SignedRecord;
use threads_core::{LogId, PeerId, Result};

use super::io::Page;
use super::limits::READ_RECORDS_MAX;
use super::short;
use super::wire::{PAGE_BYTES_MAX, Range};
use crate::access;
use crate::chain::{self, Blocks};
use crate::db::Db;
use crate::layout::{Number, Place};
use crate::line::{self, Line};
use crate::node::Node;
use crate::purge;
use crate::thread::Thread;

/// What is left of one range.
struct Rest {
    line: Line,
    next: u64,
    to: u64,
    /// The next record, when it was looked at already.
    peeked: Option<(Blocks, Vec<Needed>)>,
    /// Whether the next record is not to be handed on, or builds on one that is not.
    withheld: bool,
}

/// A record that another one builds on.
struct Needed {
    log: LogId,
    /// The local number of its line, where it is known which one it is in.
    line: Option<Number>,
    seq: u64,
}

impl Needed {
    fn is_in(&self, line: &Line) -> bool {
        self.log == line.log && self.line.is_none_or(|number| number == line.number)
    }
}

/// The records that a record builds on: the heads that it names, and the access records, one of which
/// may bring the keys that it is sealed under.
fn builds_on(txn: &dyn ReadTxn, thread: &Thread, record: &SignedRecord) -> Result<Vec<Needed>> {
    let fields = record.fields();
    let heads = fields.deps.iter().map(|dep| Needed {
        log: dep.log,
        line: None,
        seq: dep.seq,
    });
    let mut needed: Vec<_> = heads.collect();
    for cid in &fields.acl {
        if let Some(place) = chain::locate(txn, thread.number, cid)? {
            needed.push(Needed {
                log: thread.log_id(txn, place.log)?,
                line: Some(place.log),
                seq: place.seq,
            });
        }
    }
    Ok(needed)
}

/// Reads a page of `ranges`, each as far as it is here, and as far as others may be given it: up to a record
/// that somebody emptied for a reason that nobody can look up.
pub(crate) fn read(txn: &dyn ReadTxn, thread: &Thread, ranges: &[Range]) -> Result<Page> {
    let mut reading = Reading::new(txn, thread, ranges)?;
    let mut page = Page::default();
    let mut bytes = 0;
    // Ends: each turn takes a record off finitely many, or leaves.
    while let Some(log) = reading.next()? {
        let Some((blocks, seq)) = reading.take(&log)? else {
            continue;
        };
        bytes += blocks.bytes() as usize;
        if bytes > PAGE_BYTES_MAX && !page.parcels.is_empty()
            || page.parcels.len() == READ_RECORDS_MAX
        {
            page.more = true;
            break;
        }
        page.parcels.push(blocks.into());
        page.upto.insert(log, seq);
    }
    page.more |= reading.rests.values().any(|rest| rest.withheld);
    Ok(page)
}

/// The same, or what was dropped here in place of it.
pub(super) fn read_or_short(txn: &dyn ReadTxn, thread: &Thread, ranges: &[Range]) -> Result<Page> {
    let mut page = read(txn, thread, ranges)?;
    if page.parcels.is_empty() {
        page.short = short::short(txn, thread, ranges)?;
    }
    Ok(page)
}

impl Node {
    /// A page for a peer; an empty one when it may not have the thread any more.
    pub(super) fn page_for(&self, db: &Db, peer: &PeerId, ranges: &[Range]) -> Result<Page> {
        let txn = self.snapshot_on_disk()?;
        match access::may_share(&*self.inner.policy, &*txn, db.id(), peer)? {
            true => read_or_short(&*txn, db.thread(), ranges),
            false => read(&*txn, db.thread(), &[]),
        }
    }

    pub(super) fn page(&self, db: &Db, ranges: &[Range]) -> Result<Page> {
        read_or_short(&*self.snapshot_on_disk()?, db.thread(), ranges)
    }
}

struct Reading<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    rests: BTreeMap<LogId, Rest>,
}

impl<'a> Reading<'a> {
    fn new(txn: &'a dyn ReadTxn, thread: &'a Thread, ranges: &[Range]) -> Result<Self> {
        let mut rests = BTreeMap::new();
        for range in ranges {
            let Some(line) = line::find(txn, thread.number, &range.log)? else {
                continue;
            };
            let Some(head) = HeadBook::new(txn).get(&thread.id, &range.log)? else {
                continue;
            };
            let (next, to) = (range.from.max(line.first), range.to.min(head.seq));
            if next <= to {
                let rest = Rest {
                    line,
                    next,
                    to,
                    peeked: None,
                    withheld: false,
                };
                rests.insert(range.log, rest);
            }
        }
        Ok(Self { txn, thread, rests })
    }

    /// The log whose next record builds on none that is still to be sent.
    fn next(&mut self) -> Result<Option<LogId>> {
        // Ends: each turn leaves one of finitely many logs aside, or is the last.
        loop {
            let Some(log) = self.first()? else {
                return Ok(None);
            };
            if !self.rests.get(&log).is_some_and(|rest| rest.withheld) {
                return Ok(Some(log));
            }
        }
    }

    /// The same, or a log that waits for one of which no more is handed on: it is left aside then.
    fn first(&mut self) -> Result<Option<LogId>> {
        // Branches of one log go side by side, after what they branch off, so that a receiver learns
        // of a fork by the first records of it.
        let rests = self.rests.iter().filter(|(_, rest)| !rest.withheld);
        let first = rests.min_by_key(|(_, rest)| (rest.line.log, rest.next));
        let Some(mut log) = first.map(|(log, _)| *log) else {
            return Ok(None);
        };
        // Records link to others by hash, so they cannot wait for each other in a circle; a record
        // that is damaged might, so no more steps are taken than there are logs.
        for _ in 0..self.rests.len() {
            let Some(other) = self.awaited(&log)? else {
                break;
            };
            if self.rests.get(&other).is_some_and(|rest| rest.withheld) {
                let rest = self.rests.get_mut(&log);
                rest.into_iter().for_each(|rest| rest.withheld = true);
                break;
            }
            log = other;
        }
        Ok(Some(log))
    }

    /// A log with a record still to be sent that the next record of `log` builds on.
    fn awaited(&mut self, log: &LogId) -> Result<Option<LogId>> {
        if self.rests.len() < 2 {
            return Ok(None);
        }
        self.peek(log)?;
        let peeked = self.rests.get(log).and_then(|rest| rest.peeked.as_ref());
        let deps = peeked.map_or(&[][..], |(_, deps)| deps);
        let awaited = |needed: &Needed| {
            let mut rests = self.rests.iter();
            rests.find(|(_, rest)| needed.is_in(&rest.line) && rest.next <= needed.seq)
        };
        Ok(deps.iter().find_map(awaited).map(|(line, _)| *line))
    }

    fn peek(&mut self, log: &LogId) -> Result<()> {
        let Some(rest) = self.rests.get_mut(log) else {
            return Ok(());
        };
        if rest.peeked.is_none()
            && let Some(blocks) = chain::get(self.txn, place(self.thread, rest))?
        {
            let record = self.thread.open_record(&blocks.record)?;
            let deps = builds_on(self.txn, self.thread, &record)?;
            rest.peeked = Some((blocks, deps));
        }
        Ok(())
    }

    /// The next record of a log; `None` when there is none here, which ends its range, or when it is not to be
    /// handed on.
    fn take(&mut self, log: &LogId) -> Result<Option<(Blocks, u64)>> {
        let Some(rest) = self.rests.get_mut(log) else {
            return Ok(None);
        };
        let blocks = match rest.peeked.take() {
            Some((blocks, _)) => Some(blocks),
            None => chain::get(self.txn, place(self.thread, rest))?,
        };
        let seq = rest.next;
        if let Some(blocks) = &blocks
            && !purge::may_hand_on(self.txn, self.thread, place(self.thread, rest), blocks)?
        {
            rest.withheld = true;
            return Ok(None);
        }
        match blocks {
            Some(blocks) if seq < rest.to => {
                rest.next += 1;
                Ok(Some((blocks, seq)))
            }
            last => {
                self.rests.remove(log);
                Ok(last.map(|blocks| (blocks, seq)))
            }
        }
    }
}

fn place(thread: &Thread, rest: &Rest) -> Place {
    rest.line.place(thread.number, rest.next)
}
