//! Carrying out what purges say, as far as they count: some records at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use threads_core::access::Statement;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::{Dep, Record, SignedRecord};
use threads_core::{Cid, Result};

use super::empty::{self, Emptier, Fate};
use super::rows::{self, EmptiedRow, PurgeRow};
use crate::chain::{self, Blocks};
use crate::layout::purged;
use crate::reducers;
use crate::thread::Thread;

/// How many of the records that are listed one commit looks at.
const LOOKED_AT_PER_COMMIT: usize = 64;

/// Notes a record that states a purge.
pub(crate) fn note(txn: &mut dyn WriteTxn, thread: &Thread, record: &Cid) -> Result<()> {
    if PurgeRow::get(txn.as_read(), thread.number, record)?.is_some() {
        return Ok(());
    }
    let row = PurgeRow {
        record: *record,
        counts: Vec::new(),
        next: None,
        left: false,
    };
    row.put(txn, thread.number)
}

/// Asks the policy anew which purges count. Those that do now are to be carried out; those that did before only
/// where they left something, which may be of the dead now.
pub(crate) fn judge(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    let mut counting: HashMap<Cid, (u64, Vec<u64>)> = HashMap::new();
    for stated in thread.node.policy.statements(&thread.id, txn.as_read())? {
        if matches!(stated.statement, Statement::Purge { .. }) {
            let (next, counts) = counting.entry(stated.record).or_default();
            counts.extend(stated.void.is_none().then_some(*next));
            *next += 1;
        }
    }
    for mut row in rows::statements(txn.as_read(), thread.number)? {
        let counts = counting.remove(&row.record).unwrap_or_default().1;
        if row.counts != counts {
            turn(txn, thread, &row, &counts)?;
            row.next = (!counts.is_empty()).then_some(0);
            row.counts = counts;
        } else if row.left {
            row.next = Some(0);
        }
        row.put(txn, thread.number)?;
    }
    Ok(())
}

/// Has everything looked at again that purges left, as more can be read.
pub(crate) fn look_again(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    for mut row in rows::statements(txn.as_read(), thread.number)? {
        if row.left {
            row.next = Some(0);
            row.put(txn, thread.number)?;
        }
    }
    Ok(())
}

/// Others of the statements of a record count now.
fn turn(txn: &mut dyn WriteTxn, thread: &Thread, row: &PurgeRow, counts: &[u64]) -> Result<()> {
    let purge = &row.record;
    let before = rows::list_of(txn.as_read(), thread, purge, Some(&row.counts))?;
    let now = rows::list_of(txn.as_read(), thread, purge, Some(counts))?;
    for dep in &now {
        let key = purged::listed(thread.number, &dep.cid, purge);
        txn.put(Keyspace::Held, &key, &purge.to_bytes())?;
    }
    let now: BTreeSet<Dep> = now.into_iter().collect();
    let gone = before.into_iter().filter(|dep| !now.contains(dep));
    leave(txn, thread, purge, &gone.collect::<Vec<_>>())
}

/// A purge does not list these any more: what it emptied may be filled again, unless another one lists it.
fn leave(txn: &mut dyn WriteTxn, thread: &Thread, purge: &Cid, list: &[Dep]) -> Result<()> {
    for dep in list {
        let key = purged::listed(thread.number, &dep.cid, purge);
        txn.delete(Keyspace::Held, &key)?;
    }
    for dep in list {
        let Some(place) = chain::locate(txn.as_read(), thread.number, &dep.cid)? else {
            continue;
        };
        let emptied = EmptiedRow::get(txn.as_read(), place)?;
        if let Some(row) = emptied.filter(|row| row.known && row.by == *purge) {
            let other = rows::listed_by(txn.as_read(), thread.number, &dep.cid, None)?;
            let (by, known) = other.map_or((*purge, false), |other| (other, true));
            let left = Blocks::emptied(chain::expect(txn.as_read(), place)?.record, &by);
            chain::put(txn, place, &dep.cid, &left)?;
            EmptiedRow { by, known, ..row }.put(txn, place)?;
        }
    }
    Ok(())
}

/// What a record that arrives whole is to be filed as, when a purge which counts lists it. Notes it where it may go
/// only later.
pub(crate) fn on_arrival(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    record: &SignedRecord,
    blocks: &Blocks,
) -> Result<Option<Blocks>> {
    let Some(by) = rows::listed_by(txn.as_read(), thread.number, &record.id(), None)? else {
        return Ok(None);
    };
    let record = (record.clone(), blocks);
    let (fate, opened) = empty::look(txn.as_read(), thread, record, &mut BTreeMap::new())?;
    if fate != Fate::Goes
        && opened.is_some()
        && let Some(row) = PurgeRow::get(txn.as_read(), thread.number, &by)?
    {
        PurgeRow { left: true, ..row }.put(txn, thread.number)?;
    }
    Ok((fate == Fate::Goes).then(|| Blocks::emptied(blocks.record.clone(), &by)))
}

/// Carries out what is due, some records in each commit. Gives how many were emptied.
pub(crate) fn settle(thread: &Thread) -> Result<u64> {
    let (mut emptied, mut stale) = (0, false);
    // Ends: each turn gets to the end of one of finitely many lists, or finds that another is due.
    while let Some(row) = due(&*thread.node.store.read()?, thread)? {
        let list = {
            let txn = thread.node.store.read()?;
            rows::list_of(&*txn, thread, &row.record, Some(&row.counts))?
        };
        // Ends: each step gets on in the list.
        while let Some(done) = thread.node.store.transact(Durability::Group, |txn| {
            step(txn, thread, (&row, &list), stale)
        })? {
            emptied += done.emptied;
            stale |= done.shown;
        }
    }
    if emptied > 0 {
        thread.node.notifier.notify_in([thread.number]);
    }
    Ok(emptied)
}

/// Whether something is left to be carried out.
pub(super) fn is_due(thread: &Thread) -> Result<bool> {
    Ok(due(&*thread.node.store.read()?, thread)?.is_some())
}

fn due(txn: &dyn ReadTxn, thread: &Thread) -> Result<Option<PurgeRow>> {
    let mut rows = rows::statements(txn, thread.number)?.into_iter();
    Ok(rows.find(|row| !row.counts.is_empty() && row.next.is_some()))
}

/// Looks at the next records of a list; none when nothing is due in it, or another list is.
fn step(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    (listed, list): (&PurgeRow, &[Dep]),
    stale: bool,
) -> Result<Option<Done>> {
    let row = PurgeRow::get(txn.as_read(), thread.number, &listed.record)?;
    let row = row.filter(|row| row.counts == listed.counts);
    let Some((mut row, from)) = row.and_then(|row| row.next.map(|from| (row, from as usize)))
    else {
        return Ok(None);
    };
    let mut emptier = Emptier::new(txn, thread);
    for dep in list.iter().skip(from).take(LOOKED_AT_PER_COMMIT) {
        emptier.look_at(dep, &row.record)?;
    }
    let done = emptier.finish()?;
    let next = from + LOOKED_AT_PER_COMMIT;
    row.next = (next < list.len()).then_some(next as u64);
    row.left = done.left || from > 0 && row.left;
    row.put(txn, thread.number)?;
    if stale || done.shown {
        // What views made of it goes too: they are made again when nothing is due any more.
        match due(txn.as_read(), thread)? {
            Some(_) => reducers::put_behind(txn, thread)?,
            None => reducers::replay_all(txn, thread)?,
        }
    }
    Ok(Some(done))
}

/// What was emptied at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// How many records.
    pub(crate) emptied: u64,
    /// Whether views may show some of it.
    pub(crate) shown: bool,
    /// Whether some were kept that may go when more is known.
    pub(crate) left: bool,
}
