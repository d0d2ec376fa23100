//! What may go only later: records of entities that die after a purge that lists them, and records that are not
//! applied any more.

use std::collections::BTreeSet;

use threads_core::codec::ActionKind;
use threads_core::datastore::{ReadTxn, WriteTxn};
use threads_core::record::{Dep, Record};
use threads_core::{CollectionName, EntityId, Result};

use super::empty::Emptier;
use super::rows;
use crate::base;
use crate::chain;
use crate::history;
use crate::layout::{self, meta};
use crate::reducers;
use crate::thread::Thread;
use crate::txn::WriteTransaction;

type Name = (CollectionName, EntityId);

/// Empties, of these records and of those that say something of these entities, what may go and is listed by a
/// purge that counts.
pub(crate) fn late(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    (mut records, died): (BTreeSet<Dep>, &BTreeSet<Name>),
) -> Result<()> {
    // In most threads no purge has left anything.
    if rows::statements(txn.as_read(), thread.number)?
        .iter()
        .any(|row| row.left)
    {
        for name in died {
            of_history(txn.as_read(), thread, name, &mut records)?;
        }
    }
    let mut emptier = Emptier::new(txn, thread);
    for record in &records {
        emptier.look_at_listed(record)?;
    }
    let done = emptier.finish()?;
    base::forget_dead(txn, thread, died)?;
    match done.shown {
        true => reducers::replay_all(txn, thread),
        false => Ok(()),
    }
}

/// The records that say something of an entity.
fn of_history(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (collection, id): &Name,
    records: &mut BTreeSet<Dep>,
) -> Result<()> {
    let number = layout::number(txn, &meta::collection(thread.number, collection))?;
    let Some(number) = number else { return Ok(()) };
    let (_, prefix) = history::keys(thread.number, number, id.as_str());
    for row in history::all(txn, thread, &prefix)? {
        let blocks = chain::expect(txn, row.place.of_record(thread.number))?;
        let record = thread.open_record(&blocks.record)?;
        let (log, seq, cid) = (record.fields().log, record.fields().seq, record.id());
        records.insert(Dep { log, seq, cid });
    }
    Ok(())
}

impl WriteTransaction<'_> {
    /// The entities that are deleted here, in a thread in which something states a purge.
    pub(crate) fn deleted(&self) -> Result<BTreeSet<Name>> {
        if !rows::any(self.txn.as_read(), self.db.thread().number)? {
            return Ok(BTreeSet::new());
        }
        let events = self.staged.events.iter();
        let deleted = events.filter(|event| event.action == ActionKind::Delete);
        let names = deleted.map(|event| (event.collection.clone(), event.entity.clone()));
        Ok(names.collect())
    }

    /// Looks again at what purges left of entities that are deleted here.
    pub(crate) fn purge_deleted(&mut self, deleted: &BTreeSet<Name>) -> Result<()> {
        match deleted.is_empty() {
            true => Ok(()),
            false => late(&mut *self.txn, self.db.thread(), (BTreeSet::new(), deleted)),
        }
    }
}
