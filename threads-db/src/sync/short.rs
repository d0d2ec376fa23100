//! Peers that have not all records of logs any more, and say so: what they dropped, and under which snapshot.
//!
//! Whoever compacted a thread, or opened it from a snapshot, keeps the numbers of its logs and not the records. That
//! is no fault: who asks is told, asks others, and can tell its user.

use serde::{Deserialize, Serialize};
use threads_core::datastore::{Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, LogId, PeerId, Result, block};

use super::conduct::STALE;
use super::io::{Done, Op};
use super::machine::{Doing, Machine};
use super::wire::{Frontier, Range};
use crate::base::Base;
use crate::chain;
use crate::layout::{Number, peers};
use crate::line;
use crate::node::Node;
use crate::thread::Thread;

/// The most logs of a thread of which it is noted that one peer dropped records.
const SHORT_LOGS_MAX: usize = 4_096;

/// What is not here of what was asked for, as it was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// Of each log the last record that is covered by what stands for them.
    pub(crate) logs: Vec<(LogId, u64)>,
    /// The snapshot that stands for them.
    pub(crate) snapshot: Cid,
}

/// What a peer said that it dropped, and has a snapshot for.
///
/// ```
/// fn line(dropped: &threads_db::sync::Dropped) -> String { format!("see {}", dropped.snapshot) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The snapshot that stands for what it dropped.
    #[serde(serialize_with = "crate::text::display")]
    pub snapshot: Cid,
    /// Of each log that lacks records here the last one that it may have dropped: it gives none up to there.
    pub logs: Vec<(LogId, u64)>,
    /// When it said so, in milliseconds since 1970.
    pub told_ms: u64,
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
struct Row {
    snapshot: Cid,
    logs: Vec<(LogId, u64)>,
    told_ms: u64,
}

/// What of these ranges was dropped here, from their first record on.
pub(super) fn short(txn: &dyn ReadTxn, thread: &Thread, ranges: &[Range]) -> Result<Option<Short>> {
    let Some(base) = Base::get(txn, thread.number)? else {
        return Ok(None);
    };
    let mut logs = Frontier::new();
    for range in ranges {
        let Some(line) = line::find(txn, thread.number, &range.log)? else {
            continue;
        };
        let (first, last) = (range.from.max(line.first), base.covered.last(line.number));
        let place = line.place(thread.number, first);
        if first <= last && chain::get(txn, place)?.is_none() {
            logs.insert(range.log, last);
        }
    }
    let short = Short {
        logs: logs.into_iter().collect(),
        snapshot: base.snapshot,
    };
    Ok((!short.logs.is_empty()).then_some(short))
}

/// What a peer said last that it dropped, of logs that lack such records here.
pub(super) fn dropped(
    txn: &dyn ReadTxn,
    thread: Number,
    peer: &PeerId,
    lacks: impl Fn(&LogId, u64) -> bool,
) -> Result<Option<Dropped>> {
    let Some(mut row) = row(txn, thread, peer)? else {
        return Ok(None);
    };
    row.logs.retain(|(log, last)| lacks(log, *last));
    Ok((!row.logs.is_empty()).then_some(Dropped {
        snapshot: row.snapshot,
        logs: row.logs,
        told_ms: row.told_ms,
    }))
}

fn row(txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<Option<Row>> {
    let row = txn.get(Keyspace::Peers, &peers::dropped(thread, peer))?;
    let damaged =
        |cause| Error::corrupt("a row about a peer is damaged: verify the thread").caused_by(cause);
    row.map(|row| block::decode(&row).map_err(damaged))
        .transpose()
}

/// Notes what a peer said that it dropped. What it said of another snapshot is over.
fn note(
    txn: &mut dyn WriteTxn,
    (thread, peer): (Number, &PeerId),
    short: Short,
    told_ms: u64,
) -> Result<()> {
    let known = row(txn.as_read(), thread, peer)?;
    let known = known.filter(|known| known.snapshot == short.snapshot);
    let mut logs: Frontier = known.into_iter().flat_map(|known| known.logs).collect();
    for (log, last) in short.logs {
        if logs.len() < SHORT_LOGS_MAX || logs.contains_key(&log) {
            logs.insert(log, last);
        }
    }
    let row = Row {
        snapshot: short.snapshot,
        logs: logs.into_iter().collect(),
        told_ms,
    };
    txn.put(
        Keyspace::Peers,
        &peers::dropped(thread, peer),
        &block::encode(&row)?,
    )
}

impl Node {
    /// A peer said what it dropped.
    pub(super) fn is_short(&self, thread: Number, peer: &PeerId, short: Short) -> Result<Done> {
        let now_ms = self.inner.clock.now_ms();
        self.note([thread], |txn| note(txn, (thread, peer), short, now_ms))
    }
}

impl Machine {
    /// A peer that is pulled from dropped what it was asked for: others are asked, and nobody is blamed. What it has
    /// of these logs is believed again when it says so again.
    pub(super) fn told_short(&mut self, thread: Number, peer: PeerId, short: Short) {
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        let dropped: Frontier = short.logs.iter().copied().collect();
        let asked = active.pull.iter().flat_map(|pull| &pull.asked);
        let is_dropped = |range: &&Range| dropped.get(&range.log) >= Some(&range.from);
        let logs: Vec<LogId> = asked.filter(is_dropped).map(|range| range.log).collect();
        if logs.is_empty() {
            // Nothing of that was asked for.
            self.give_up_on(thread, &peer);
            return self.fault(peer, STALE);
        }
        if let Some(link) = active.links.get_mut(&peer) {
            for log in &logs {
                let here = active.heads.get(log).copied().unwrap_or(0);
                if let Some(theirs) = link.theirs.get_mut(log) {
                    *theirs = (*theirs).min(here);
                }
                link.probes.remove(log);
            }
            link.theirs.retain(|_, seq| *seq > 0);
        }
        if active.pull.as_ref().is_some_and(|pull| pull.storing == 0) {
            active.pull = None;
        }
        self.op(Op::Short(thread, peer, short), Doing::Note);
    }
}

#[cfg(test)]
mod tests;
