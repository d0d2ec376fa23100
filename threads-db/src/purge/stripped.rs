//! Records that came emptied, and nothing that counts here says why.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::books::HeadBook;
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::{Cid, LogId, Result, ThreadId};

use super::rows::{self, EmptiedRow};
use crate::chain::{self, Blocks};
use crate::layout::{Number, Place, Prefix, purged};
use crate::line;
use crate::thread::Thread;

/// Whether a thread has such records.
pub(crate) fn any_stripped(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
    let bounds = Prefix::new(&purged::all_stripped(thread));
    let mut rows = txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
    Ok(rows.next().transpose()?.is_some())
}

/// Such records, by their lines.
pub(crate) fn stripped(
    txn: &dyn ReadTxn,
    (thread, id): (Number, &ThreadId),
) -> Result<Vec<(LogId, Vec<u64>)>> {
    let mut by_line: BTreeMap<Number, BTreeSet<u64>> = BTreeMap::new();
    for (place, _) in rows::all_emptied(txn, thread, false)? {
        by_line.entry(place.log).or_default().insert(place.seq);
    }
    let mut stripped = Vec::new();
    if by_line.is_empty() {
        return Ok(stripped);
    }
    for (line, head) in HeadBook::new(txn).all(id)? {
        let Some(line) = line::find(txn, thread, &line)? else {
            continue;
        };
        // A line that was forked may end before it begins.
        if let Some(seqs) = by_line.get(&line.number).filter(|_| line.first <= head.seq) {
            let own: Vec<_> = seqs.range(line.first..=head.seq).copied().collect();
            stripped.extend((!own.is_empty()).then_some((line.id, own)));
        }
    }
    Ok(stripped)
}

/// The number of the first such record in a log, if it is not after this one.
pub(crate) fn first_stripped(
    txn: &dyn ReadTxn,
    thread: Number,
    log: &LogId,
    seq: u64,
) -> Result<Option<u64>> {
    let stripped = rows::all_emptied(txn, thread, false)?;
    if stripped.is_empty() {
        return Ok(None);
    }
    let Some(line) = line::find(txn, thread, log)? else {
        return Ok(None);
    };
    let mut first = None;
    for (place, _) in stripped {
        let sooner = place.seq <= seq && first.is_none_or(|first| place.seq < first);
        if sooner && line::ancestor(txn, line.place(thread, seq), place.seq)? == place {
            first = Some(place.seq);
        }
    }
    Ok(first)
}

/// Whether a record may be given to others: one that is whole, or that they too will know why it is emptied. A
/// statement which does not count explains nothing, but it says who would have it so; and without rules
/// anybody purges as they like.
pub(crate) fn may_hand_on(
    txn: &dyn ReadTxn,
    thread: &Thread,
    place: Place,
    blocks: &Blocks,
) -> Result<bool> {
    let Some(by) = blocks.purged_by()? else {
        return Ok(true);
    };
    if EmptiedRow::get(txn, place)?.is_none_or(|row| row.known) {
        return Ok(true);
    }
    if rows::is_known(txn, thread.number, &by)? {
        let id = blocks.record_id();
        let list: Vec<_> = rows::list(txn, thread, &by)?;
        return Ok(list.iter().any(|dep| dep.cid == id));
    }
    let is_ruled = || thread.node.policy.rules(&thread.id, txn);
    Ok(is_here(txn, thread, &by)? && is_ruled()?.is_none())
}

fn is_here(txn: &dyn ReadTxn, thread: &Thread, record: &Cid) -> Result<bool> {
    Ok(chain::locate(txn, thread.number, record)?.is_some())
}
