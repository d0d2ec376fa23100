//! Carrying out what purges say, as far as they count: some records at a time.

use std::collections::{BTreeMap, HashSet};

use threads_core::access::Statement;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::{Record, SignedRecord};
use threads_core::{Cid, ErrorKind, Result};

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
        counts: false,
        next: None,
    };
    row.put(txn, thread.number)
}

/// Asks the policy anew which purges count. Those that do are to be carried out, again too: what they list may
/// be of the dead only now.
pub(crate) fn judge(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    let stated = thread.node.policy.statements(&thread.id, txn.as_read())?;
    let counting: HashSet<Cid> = stated
        .into_iter()
        .filter(|stated| matches!(stated.statement, Statement::Purge { .. }))
        .filter(|stated| stated.void.is_none())
        .map(|stated| stated.record)
        .collect();
    for mut row in rows::statements(txn.as_read(), thread.number)? {
        let counts = counting.contains(&row.record);
        match (row.counts, counts) {
            (false, false) => continue,
            (false, true) => enter(txn, thread, &row.record)?,
            (true, false) => leave(txn, thread, &row.record)?,
            (true, true) => {}
        }
        row.counts = counts;
        row.next = counts.then_some(0);
        row.put(txn, thread.number)?;
    }
    Ok(())
}

/// A purge counts now.
fn enter(txn: &mut dyn WriteTxn, thread: &Thread, purge: &Cid) -> Result<()> {
    for dep in rows::list(txn.as_read(), thread, purge)? {
        let key = purged::listed(thread.number, &dep.cid, purge);
        txn.put(Keyspace::Held, &key, &purge.to_bytes())?;
    }
    Ok(())
}

/// A purge does not count any more: what it emptied may be filled again, unless another one lists it.
fn leave(txn: &mut dyn WriteTxn, thread: &Thread, purge: &Cid) -> Result<()> {
    let list = rows::list(txn.as_read(), thread, purge)?;
    for dep in &list {
        let key = purged::listed(thread.number, &dep.cid, purge);
        txn.delete(Keyspace::Held, &key)?;
    }
    for dep in &list {
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

/// What a record that arrives whole is to be filed as, when a purge which counts lists it.
pub(crate) fn on_arrival(
    txn: &dyn ReadTxn,
    thread: &Thread,
    record: &SignedRecord,
    blocks: &Blocks,
) -> Result<Option<Blocks>> {
    let Some(by) = rows::listed_by(txn, thread.number, &record.id(), None)? else {
        return Ok(None);
    };
    let goes = match thread.open_event(record.clone(), blocks) {
        Ok(opened) => empty::fate(txn, thread, &opened, &mut BTreeMap::new())? == Fate::Goes,
        // Its event breaks a rule, so it is never applied.
        Err(error) if error.kind() == ErrorKind::Rejected => !record.fields().access,
        Err(error) => return Err(error),
    };
    Ok(goes.then(|| Blocks::emptied(blocks.record.clone(), &by)))
}

/// Carries out what is due, some records in each commit. Gives how many were emptied.
pub(crate) fn settle(thread: &Thread) -> Result<u64> {
    let mut emptied = 0;
    // Ends: each step gets on with one of finitely many lists.
    while due(&*thread.node.store.read()?, thread)?.is_some() {
        emptied += thread
            .node
            .store
            .transact(Durability::Group, |txn| step(txn, thread))?;
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
    Ok(rows.find(|row| row.counts && row.next.is_some()))
}

fn step(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<u64> {
    let Some(mut row) = due(txn.as_read(), thread)? else {
        return Ok(0);
    };
    let from = row.next.unwrap_or(0) as usize;
    let list = rows::list(txn.as_read(), thread, &row.record)?;
    let mut emptier = Emptier::new(txn, thread);
    for dep in list.iter().skip(from).take(LOOKED_AT_PER_COMMIT) {
        emptier.look_at(dep, &row.record)?;
    }
    let emptied = emptier.finish()?;
    let next = from + LOOKED_AT_PER_COMMIT;
    row.next = (next < list.len()).then_some(next as u64);
    row.put(txn, thread.number)?;
    if emptied > 0 {
        // What views made of it goes too.
        reducers::replay_all(txn, thread)?;
    }
    Ok(emptied)
}
