//! What a snapshot can cover, and which records stay needed of that.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::books::HeadBook;
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::record::{Dep, Record};
use threads_core::{Cid, Error, Result};

use super::covered::{Apart, Covered, linked_by_later};
use crate::access;
use crate::base::{self, Base};
use crate::chain;
use crate::compact;
use crate::held::{self, Why};
use crate::ingest;
use crate::layout::{self, Number, Place, Prefix, meta};
use crate::line;
use crate::thread::Thread;

/// The local numbers of the logs of a frontier, which must all be here so far.
pub(crate) fn covered_by(txn: &dyn ReadTxn, thread: &Thread, frontier: &[Dep]) -> Result<Covered> {
    let mut covered = Covered::default();
    for dep in frontier {
        let place = chain::locate(txn, thread.number, &dep.cid)?;
        let place = place.filter(|place| place.seq == dep.seq).ok_or_else(|| {
            Error::unavailable("records that the snapshot covers are not here yet")
                .with("record", dep.cid)
        })?;
        if thread.log_id(txn, place.log)? != dep.log {
            return Err(Error::rejected(
                "the snapshot names a record of another log",
            ));
        }
        covered.last.insert(place.log, place.seq);
    }
    add_apart(txn, thread, &mut covered)?;
    Ok(covered)
}

/// What is here, up to a time if one is given: of each log the records before the first that is not older, and before
/// any that waits for this machine's clock, of which nobody knows yet whether it is applied.
pub(crate) fn covered_until(
    txn: &dyn ReadTxn,
    thread: &Thread,
    since_ms: Option<u64>,
) -> Result<Covered> {
    let mut covered = Covered::default();
    let ahead = ahead(txn, thread)?;
    for (line, head) in line::all(txn, thread)? {
        let place = line.place(thread.number, head.seq);
        let begins = base::last(txn, place)?.max(line.first - 1);
        let first_ahead = ahead.get(&line.number).copied().unwrap_or(u64::MAX);
        let end = head.seq.min(first_ahead.max(begins + 1) - 1);
        let mut last = end;
        if let Some(since_ms) = since_ms {
            for seq in (begins + 1..=end).rev() {
                let blocks = chain::expect(txn, Place { seq, ..place })?;
                let is_older = !blocks.is_emptied() && thread.time(&blocks)?.wall_ms < since_ms;
                if is_older {
                    break;
                }
                last = seq - 1;
            }
        }
        if last > 0 {
            covered.last.insert(line.number, last);
        }
    }
    add_apart(txn, thread, &mut covered)?;
    Ok(covered)
}

/// Whether what is in quarantine of what is covered is what it was.
pub(crate) fn is_as_it_was(txn: &dyn ReadTxn, thread: &Thread, covered: &Covered) -> Result<bool> {
    let mut now = Covered {
        last: covered.last.clone(),
        ..Covered::default()
    };
    add_apart(txn, thread, &mut now)?;
    Ok(now == *covered)
}

/// Adds the records in quarantine, of those that are covered.
fn add_apart(txn: &dyn ReadTxn, thread: &Thread, covered: &mut Covered) -> Result<()> {
    if let Some(base) = Base::get(txn, thread.number)?
        && base.covered.last == covered.last
    {
        // What was so by then, whatever became of it since.
        covered.apart = base.covered.apart;
        return Ok(());
    }
    for (place, why) in apart(txn, thread)? {
        if place.seq <= covered.last(place.log) {
            let why = match why {
                Why::Quarantine(_) => Apart::Itself,
                _ => Apart::Rules,
            };
            covered.apart.insert((place.log, place.seq), why);
        }
    }
    Ok(())
}

/// The records that stand in their logs and are not applied, and why.
fn apart(txn: &dyn ReadTxn, thread: &Thread) -> Result<Vec<(Place, Why)>> {
    let mut apart = Vec::new();
    if !held::any(txn, thread.number)? {
        return Ok(apart);
    }
    for arrival in held::arrivals(txn, thread.number)? {
        let entry = held::get(txn, thread.number, arrival)?;
        let Some(entry) = entry.filter(|entry| entry.blocks.is_none()) else {
            continue;
        };
        if let Some(place) = chain::locate(txn, thread.number, &entry.row.record)? {
            apart.push((place, entry.row.why));
        }
    }
    Ok(apart)
}

/// The first record of each log that waits for this machine's clock.
fn ahead(txn: &dyn ReadTxn, thread: &Thread) -> Result<BTreeMap<Number, u64>> {
    let mut first = BTreeMap::new();
    for (place, why) in apart(txn, thread)? {
        if why.due_ms().is_some() {
            let first = first.entry(place.log).or_insert(place.seq);
            *first = place.seq.min(*first);
        }
    }
    Ok(first)
}

/// Refuses what no snapshot can be made of.
pub(crate) fn check(txn: &dyn ReadTxn, thread: &Thread, covered: &Covered) -> Result<()> {
    thread.check_reads()?;
    if line::any_forked(txn, thread.number)? {
        return Err(Error::unsupported(
            "a log of this thread was forked, by two devices with one key: there are no snapshots of such a thread, and it is not compacted",
        ));
    }
    if !thread.locked(txn)?.is_empty() || ingest::Unread::is_left(txn, thread.number)? {
        return Err(Error::unavailable(
            "records of this thread could not be read here yet: get their keys first",
        ));
    }
    if let Some(base) = Base::get(txn, thread.number)? {
        let short = |(log, last): (&Number, &u64)| covered.last(*log) < *last;
        if base.covered.last.iter().any(short) {
            return Err(Error::unavailable(
                "not all records are here that this is about: the thread begins later here",
            ));
        }
        if base.owes.is_some() {
            return Err(Error::unavailable(
                "a rule came by which older records would have to be judged again: get them first",
            ));
        }
        if base.covered == *covered {
            return Ok(());
        }
    }
    if base::is_wanting(txn, thread.number)? {
        return Err(Error::unavailable(
            "a record waits for older ones and is not applied: get them first",
        ));
    }
    for (place, why) in apart(txn, thread)? {
        let is_known = why.is_quarantine() && why.due_ms().is_none();
        if !is_known && place.seq <= covered.last(place.log) {
            return Err(Error::unavailable(
                "a record waits for others, or for this machine's clock, and is not applied: see what is held",
            )
            .with("seq", place.seq));
        }
    }
    check_rules(txn, thread, covered)
}

/// Refuses what does not cover all access records.
fn check_rules(txn: &dyn ReadTxn, thread: &Thread, covered: &Covered) -> Result<()> {
    let mut changed_ms = None;
    // Which records are applied is known by all access records that are here, and by no fewer.
    for (log, head) in HeadBook::new(txn).all(&thread.id)? {
        let number = layout::number(txn, &meta::log_by_id(thread.number, &log))?;
        let number = number.ok_or_else(|| Error::corrupt("a log has no local number"))?;
        let last = covered.last(number);
        if last == head.seq {
            continue;
        }
        for seq in access_records(txn, thread, number)?.range(last + 1..) {
            let place = Place {
                thread: thread.number,
                log: number,
                seq: *seq,
            };
            let time = thread.time(&chain::expect(txn, place)?)?;
            changed_ms = changed_ms.max(Some(time.wall_ms));
        }
    }
    match changed_ms {
        None => Ok(()),
        Some(changed_ms) => Err(Error::unavailable(
            "the rules were changed after what is to be covered, and what counts is known by all rules alone: cover what is from before a later time, at least one after that change, or all",
        )
        .with("changed_ms", changed_ms)),
    }
}

/// The access records that are covered and that none of the others names, nor follows in its log, ascending. By their links
/// alone: which of them had an effect when they came here is another matter on each peer.
pub(crate) fn latest_access(
    txn: &dyn ReadTxn,
    thread: &Thread,
    covered: &Covered,
) -> Result<Vec<Cid>> {
    let (mut last_ones, mut named) = (BTreeSet::new(), BTreeSet::new());
    for (log, last) in &covered.last {
        let mut latest = None;
        for seq in access_records(txn, thread, *log)?.range(..=last) {
            let place = Place {
                thread: thread.number,
                log: *log,
                seq: *seq,
            };
            let record = thread.open_record(&chain::expect(txn, place)?.record)?;
            named.extend(access::named(txn, place, record.fields())?);
            latest = Some(record.id());
        }
        last_ones.extend(latest);
    }
    Ok(last_ones.difference(&named).copied().collect())
}

/// The access records of a log.
fn access_records(txn: &dyn ReadTxn, thread: &Thread, log: Number) -> Result<BTreeSet<u64>> {
    let prefix = meta::named_access(thread.number, log, 0);
    let prefix = &prefix[..prefix.len() - 8];
    let bounds = Prefix::new(prefix);
    let mut found = BTreeSet::new();
    for row in txn.scan(Keyspace::Meta, bounds.range(), Direction::Forward)? {
        let (key, _) = row?;
        let seq = key[prefix.len()..].try_into().map(u64::from_be_bytes);
        let seq = seq.map_err(|_| Error::corrupt("the place of an access record is damaged"))?;
        let place = Place {
            thread: thread.number,
            log,
            seq,
        };
        if let Some(blocks) = chain::get(txn, place)?
            && thread.open_record(&blocks.record)?.fields().access
        {
            found.insert(seq);
        }
    }
    Ok(found)
}

/// The records of a log, as far as it is covered, that stay needed: the first, which proves whose it is, the last,
/// those that later ones link to, those about access, and those in quarantine.
pub(crate) fn kept(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (log, last): (Number, u64),
    covered: &Covered,
) -> Result<BTreeSet<u64>> {
    let mut kept = linked_by_later(last);
    kept.extend([1, last]);
    kept.extend(access_records(txn, thread, log)?);
    let apart = covered.apart.range((log, 0)..=(log, u64::MAX));
    kept.extend(apart.map(|((_, seq), _)| *seq));
    kept.retain(|seq| *seq <= last);
    Ok(kept)
}

/// The same of those that stay here: those that were purged, too.
pub(crate) fn kept_here(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (log, last): (Number, u64),
    covered: &Covered,
) -> Result<BTreeSet<u64>> {
    let mut kept = kept(txn, thread, (log, last), covered)?;
    let emptied = compact::emptied(txn, thread)?;
    let emptied = emptied.range((log, 0)..=(log, last));
    kept.extend(emptied.map(|(_, seq)| *seq));
    Ok(kept)
}
