//! Lines: the stretches of a log between its forks.
//!
//! A log that nobody forked is one line, which has the log's id. Where an author signed several records
//! for one place, the line ends before it, and each of those records begins a line of its own, named by
//! the log and that first record. The records so make the same tree of lines on every peer that has
//! them, whatever came first; heads, numbers of sync and acknowledgements are by line.
//!
//! On disk the records stay where they are: what came first goes on under the log's local number, every
//! other branch has a number of its own.

use std::collections::BTreeMap;
use std::ops::Bound;

use threads_core::block::sha256;
use threads_core::books::{Head, HeadBook, HeadBookMut};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::{Dep, Record, SignedRecord};
use threads_core::{Cid, Error, Hlc, LogId, Result};

use crate::base;
use crate::chain::{self, Blocks};
use crate::layout::{self, Number, Place, Prefix, meta};
use crate::sync::shares;
use crate::thread::Thread;

const BRANCH_DOMAIN: &[u8] = b"threads/branch/1";

/// A stretch of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) id: LogId,
    /// The log it is of.
    pub(crate) log: LogId,
    /// The local number under which its records are kept.
    pub(crate) number: Number,
    /// The sequence number of its first record.
    pub(crate) first: u64,
    /// Whether it ends in a fork.
    pub(crate) forked: bool,
    /// The line that it branches off.
    pub(crate) parent: Option<LogId>,
}

/// The id of the line of `log` that begins with the record `first`.
fn branch_id(log: &LogId, first: &Cid) -> LogId {
    LogId::from_key_bytes(sha256(
        &[BRANCH_DOMAIN, log.key_bytes(), &first.to_bytes()].concat(),
    ))
}

impl Line {
    fn encode(&self) -> Vec<u8> {
        let parent = self.parent.as_ref().map(LogId::key_bytes);
        [
            &self.log.key_bytes()[..],
            &self.number.to_be_bytes(),
            &self.first.to_be_bytes(),
            &[u8::from(self.forked)],
            parent.map_or(&[][..], |parent| parent),
        ]
        .concat()
    }

    fn decode(id: LogId, bytes: &[u8]) -> Result<Self> {
        let parts = || {
            let (log, rest) = bytes.split_first_chunk::<32>()?;
            let (number, rest) = rest.split_first_chunk::<4>()?;
            let (first, rest) = rest.split_first_chunk::<8>()?;
            let (forked, parent) = rest.split_first()?;
            let parent = match parent.is_empty() {
                true => None,
                false => Some(LogId::from_key_bytes(parent.try_into().ok()?)),
            };
            Some(Self {
                id,
                log: LogId::from_key_bytes(*log),
                number: Number::from_be_bytes(*number),
                first: u64::from_be_bytes(*first),
                forked: *forked == 1,
                parent,
            })
        };
        parts().ok_or_else(damaged)
    }

    fn put(&self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        txn.put(
            Keyspace::Meta,
            &meta::line(thread, &self.id),
            &self.encode(),
        )
    }

    /// Whether it is the branch of its log that begins with this record.
    pub(crate) fn begins_with(&self, first: &Cid) -> bool {
        self.id == branch_id(&self.log, first)
    }

    /// Of a branch, the CID of its first record.
    pub(crate) fn branch(&self, txn: &dyn ReadTxn, thread: Number) -> Result<Option<Cid>> {
        if self.parent.is_none() {
            return Ok(None);
        }
        let first = chain::expect(txn, self.place(thread, self.first))?;
        Ok(Some(first.record_id()))
    }

    /// Where its record `seq` is kept.
    pub(crate) fn place(&self, thread: Number, seq: u64) -> Place {
        let log = self.number;
        Place { thread, log, seq }
    }
}

/// The line with this id, if any of it is here.
pub(crate) fn find(txn: &dyn ReadTxn, thread: Number, id: &LogId) -> Result<Option<Line>> {
    if let Some(row) = txn.get(Keyspace::Meta, &meta::line(thread, id))? {
        return Line::decode(*id, &row).map(Some);
    }
    let number = layout::number(txn, &meta::log_by_id(thread, id))?;
    Ok(number.map(|number| Line {
        id: *id,
        log: *id,
        number,
        first: 1,
        forked: false,
        parent: None,
    }))
}

/// Whether any record of a line, or of the log it is of, is here.
pub(crate) fn is_here(txn: &dyn ReadTxn, thread: Number, id: &LogId) -> Result<bool> {
    Ok(txn
        .get(Keyspace::Meta, &meta::log_by_id(thread, id))?
        .is_some()
        || txn.get(Keyspace::Meta, &meta::line(thread, id))?.is_some())
}

/// All lines that have records, each with its last one.
pub(crate) fn all(txn: &dyn ReadTxn, thread: &Thread) -> Result<Vec<(Line, Head)>> {
    let heads = HeadBook::new(txn).all(&thread.id)?.into_iter();
    heads
        .map(|(id, head)| {
            let line = find(txn, thread.number, &id)?;
            let line = line.ok_or_else(|| Error::corrupt("a log has no local number"))?;
            Ok((line, head))
        })
        .collect()
}

/// How many records lines have.
pub(crate) fn records(lines: &[(Line, Head)]) -> u64 {
    // A line that ends where it begins has no head.
    lines
        .iter()
        .map(|(line, head)| head.seq + 1 - line.first)
        .sum()
}

/// The last records of lines, as a record or a manifest names them.
pub(crate) fn head_links(lines: Vec<(Line, Head)>) -> Vec<Dep> {
    let lines = lines.into_iter();
    let mut links: Vec<_> = lines
        .map(|(line, head)| Dep {
            log: line.log,
            seq: head.seq,
            cid: head.record,
        })
        .collect();
    links.sort();
    links
}

/// Whether any log of the thread was forked.
pub(crate) fn any_forked(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
    let prefix = Prefix::new(&meta::lines(thread));
    let first = txn
        .scan(Keyspace::Meta, prefix.range(), Direction::Forward)?
        .next();
    first.transpose().map(|row| row.is_some())
}

/// The lines of forked logs.
pub(crate) fn forked(txn: &dyn ReadTxn, thread: Number) -> Result<Vec<Line>> {
    let prefix = meta::lines(thread);
    let bounds = Prefix::new(&prefix);
    txn.scan(Keyspace::Meta, bounds.range(), Direction::Forward)?
        .map(|row| {
            let (key, value) = row?;
            let id = key[prefix.len()..].try_into().map_err(|_| damaged())?;
            Line::decode(LogId::from_key_bytes(id), &value)
        })
        .collect()
}

/// Where a line ends in a fork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The sequence number of its last record; 0 when the log was forked at its first.
    pub(crate) end: u64,
    /// The lines that branch off there.
    pub(crate) branches: Vec<LogId>,
}

/// The lines of a thread that end in a fork.
pub(crate) type Cuts = BTreeMap<LogId, Cut>;

pub(crate) fn cuts(txn: &dyn ReadTxn, thread: Number) -> Result<Cuts> {
    let mut cuts = Cuts::new();
    for line in forked(txn, thread)? {
        let Some(parent) = line.parent else { continue };
        let cut = cuts.entry(parent).or_insert_with(|| Cut {
            end: line.first - 1,
            branches: Vec::new(),
        });
        cut.branches.push(line.id);
    }
    Ok(cuts)
}

/// Lowers numbers that go beyond a fork to where the line ends.
pub(crate) fn clamp(cuts: &Cuts, numbers: &mut BTreeMap<LogId, u64>) {
    for (line, cut) in cuts {
        if let Some(seq) = numbers.get_mut(line) {
            *seq = cut.end.min(*seq);
        }
    }
    numbers.retain(|_, seq| *seq > 0);
}

/// The line that the record at `place` is of, or would be of were it the next there.
pub(crate) fn at(txn: &dyn ReadTxn, log: &LogId, place: Place) -> Result<Line> {
    let (thread, number) = (place.thread, place.log);
    let from = meta::segment(thread, number, 0);
    let to = meta::segment(thread, number, place.seq);
    let range = (Bound::Included(&from[..]), Bound::Included(&to[..]));
    let segment = txn.scan(Keyspace::Meta, range, Direction::Reverse)?.next();
    let id = match segment.transpose()? {
        Some((_, id)) => LogId::from_key_bytes((&*id).try_into().map_err(|_| damaged())?),
        None => *log,
    };
    find(txn, thread, &id)?.ok_or_else(damaged)
}

/// Where the record `seq` of the chain is kept that ends at `place`, in this branch or in one that it
/// comes from.
pub(crate) fn ancestor(txn: &dyn ReadTxn, mut place: Place, seq: u64) -> Result<Place> {
    // Ends: a branch begins later than the one it comes from.
    while let Some((number, first)) = origin(txn, place.thread, place.log)? {
        if seq >= first {
            break;
        }
        place.log = number;
    }
    Ok(Place { seq, ..place })
}

/// The local number that a branch comes from, and the sequence number of its first record.
pub(crate) fn origin(
    txn: &dyn ReadTxn,
    thread: Number,
    branch: Number,
) -> Result<Option<(Number, u64)>> {
    let Some(value) = txn.get(Keyspace::Meta, &meta::origin(thread, branch))? else {
        return Ok(None);
    };
    let (number, first) = value.split_first_chunk::<4>().ok_or_else(damaged)?;
    let first = first.try_into().map_err(|_| damaged())?;
    Ok(Some((
        Number::from_be_bytes(*number),
        u64::from_be_bytes(first),
    )))
}

/// Another record was signed for the place of one that is here: begins a branch for it, and gives where
/// that record goes.
pub(crate) fn fork(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    log: &LogId,
    (place, record): (Place, &Cid),
) -> Result<Place> {
    let before = at(txn.as_read(), log, place)?;
    let parent = match before.parent {
        // Forked here before.
        Some(parent) if before.first == place.seq => parent,
        _ => end(txn, thread, before, place)?,
    };
    let number = layout::reserve(txn)?;
    txn.put(
        Keyspace::Meta,
        &meta::log(place.thread, number),
        log.key_bytes(),
    )?;
    let origin = [&place.log.to_be_bytes()[..], &place.seq.to_be_bytes()].concat();
    txn.put(Keyspace::Meta, &meta::origin(place.thread, number), &origin)?;
    if let Some(author) = thread.author(txn.as_read(), place.log)? {
        let key = meta::author(place.thread, number);
        txn.put(Keyspace::Meta, &key, author.key_bytes())?;
    }
    begin(
        txn,
        place.thread,
        &Line {
            id: branch_id(log, record),
            log: *log,
            number,
            first: place.seq,
            forked: false,
            parent: Some(parent),
        },
    )?;
    Ok(Place {
        log: number,
        ..place
    })
}

fn begin(txn: &mut dyn WriteTxn, thread: Number, line: &Line) -> Result<()> {
    let segment = meta::segment(thread, line.number, line.first);
    txn.put(Keyspace::Meta, &segment, line.id.key_bytes())?;
    line.put(txn, thread)
}

/// Ends a line before `place`: what comes there and after is a line of its own. Gives the one that ends.
fn end(txn: &mut dyn WriteTxn, thread: &Thread, line: Line, place: Place) -> Result<LogId> {
    let number = place.thread;
    let first = chain::expect(txn.as_read(), place)?.record_id();
    let rest = Line {
        id: branch_id(&line.log, &first),
        first: place.seq,
        parent: Some(line.id),
        ..line
    };
    for mut branch in forked(txn.as_read(), number)? {
        if branch.parent == Some(line.id) {
            branch.parent = Some(rest.id);
            branch.put(txn, number)?;
        }
    }
    begin(txn, number, &rest)?;
    let ended = Line {
        forked: true,
        ..line
    };
    ended.put(txn, number)?;

    let head = HeadBook::new(txn.as_read()).get(&thread.id, &ended.id)?;
    let head = head.ok_or_else(damaged)?;
    HeadBookMut::new(txn).set(&thread.id, &rest.id, &head)?;
    let last = match place.seq - 1 {
        before if before < ended.first => None,
        seq => Some(head_at(txn.as_read(), thread, ended.place(number, seq))?),
    };
    HeadBookMut::new(txn).cut(&thread.id, &ended.id, last.as_ref())?;
    shares::cut(txn, number, &ended.id, place.seq - 1)?;
    Ok(ended.id)
}

/// The record at `place` as the head of a line. One that was purged has the time of the last one before it
/// that was not.
pub(crate) fn head_at(txn: &dyn ReadTxn, thread: &Thread, place: Place) -> Result<Head> {
    let blocks = chain::expect(txn, place)?;
    Ok(Head {
        seq: place.seq,
        record: blocks.record_id(),
        time: match blocks.is_emptied() {
            true => time_before(txn, thread, place)?,
            false => thread.time(&blocks)?,
        },
    })
}

/// A record can be read that could not be, as it had been purged, or its keys came: where it is the head of a line,
/// that has its time.
pub(crate) fn set_time(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    (place, record): (Place, &SignedRecord),
    blocks: &Blocks,
) -> Result<()> {
    let line = at(txn.as_read(), &record.fields().log, place)?;
    let head = HeadBook::new(txn.as_read()).get(&thread.id, &line.id)?;
    let Some(head) = head.filter(|head| head.record == record.id()) else {
        return Ok(());
    };
    let time = thread.time_of(record, blocks)?.max(head.time);
    // The same place, so nothing is cut off.
    HeadBookMut::new(txn).cut(&thread.id, &line.id, Some(&Head { time, ..head }))
}

/// The time of the last record before `place` in its log that was not purged; none when there is no such.
pub(crate) fn time_before(txn: &dyn ReadTxn, thread: &Thread, place: Place) -> Result<Hlc> {
    let mut seq = place.seq;
    while seq > 1 {
        seq -= 1;
        let before = ancestor(txn, place, seq)?;
        match chain::get(txn, before)? {
            Some(blocks) if blocks.is_emptied() => {}
            Some(blocks) => return thread.time(&blocks),
            // Nobody here knows.
            None if seq <= base::last(txn, before)? => break,
            None => return chain::expect(txn, before).map(|_| Hlc::ZERO),
        }
    }
    Ok(Hlc::ZERO)
}

fn damaged() -> Error {
    Error::corrupt(
        "what is known of a forked log is damaged: restore the thread from an export or a peer",
    )
}
