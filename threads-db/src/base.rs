//! The base of a thread: what its state here begins with, when not all of its records are here.
//!
//! A node that opened a thread from a snapshot, or dropped old records, has a state that covers them, and the
//! records after it. The state of an entity that nothing has changed since is its row; that of one that was changed
//! is put beside its history first, so that a later replay can begin with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use threads_core::codec::ActionKind;
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::Dep;
use threads_core::reducer::DispatchedEvent;
use threads_core::{Cid, CollectionName, EntityId, Error, Hlc, LogId, Result, block};

use crate::chain;
use crate::entity::{EntityRow, Life};
use crate::held::{self, Why};
use crate::history::{self, Events};
use crate::layout::{self, Number, Place, Prefix, meta};
use crate::snapshot::{Apart, Covered};
use crate::thread::Thread;

pub(crate) mod marks;

use marks::Mark;

/// How many entities are shown to a reducer at once.
const BEGIN_AT_ONCE: usize = 256;

/// Where the state of a thread begins here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) covered: Covered,
    /// The position up to which the feed is not here.
    pub(crate) position: u64,
    /// The latest time of what is covered.
    pub(crate) time: Hlc,
    /// The snapshot that it is.
    pub(crate) snapshot: Cid,
    /// Whether rows of what is covered are still to be dropped.
    pub(crate) clearing: bool,
    /// An access record by which some of what is covered would have to be judged again, and cannot be.
    pub(crate) owes: Option<Cid>,
    /// The access records among what is covered that no other one of these names.
    pub(crate) acl: Vec<Cid>,
    /// The last record of each log that was covered and is not any more, as all are here again: of these the feed
    /// knows nothing.
    pub(crate) no_feed: BTreeMap<Number, u64>,
}

/// The same as it is kept: numbers are no keys of a map in DAG-CBOR.
#[derive(Serialize, Deserialize)]
struct Row {
    last: Vec<(Number, u64)>,
    apart: Vec<(Number, u64, Apart)>,
    position: u64,
    time: Hlc,
    snapshot: Cid,
    clearing: bool,
    owes: Option<Cid>,
    acl: Vec<Cid>,
    no_feed: Vec<(Number, u64)>,
}

impl Base {
    /// The base of a thread; none where all records are here.
    pub(crate) fn get(txn: &dyn ReadTxn, thread: Number) -> Result<Option<Self>> {
        let Some(row) = txn.get(Keyspace::Meta, &meta::base(thread))? else {
            return Ok(None);
        };
        let damaged = |cause| {
            Error::corrupt("what a thread begins with is damaged: restore it").caused_by(cause)
        };
        let row: Row = block::decode(&row).map_err(damaged)?;
        let apart = row.apart.into_iter();
        Ok(Some(Self {
            covered: Covered {
                last: row.last.into_iter().collect(),
                apart: apart.map(|(log, seq, why)| ((log, seq), why)).collect(),
            },
            position: row.position,
            time: row.time,
            snapshot: row.snapshot,
            clearing: row.clearing,
            owes: row.owes,
            acl: row.acl,
            no_feed: row.no_feed.into_iter().collect(),
        }))
    }

    pub(crate) fn put(&self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        let last = self.covered.last.iter().map(|(log, seq)| (*log, *seq));
        let apart = self.covered.apart.iter();
        let row = Row {
            last: last.collect(),
            apart: apart.map(|((log, seq), why)| (*log, *seq, *why)).collect(),
            position: self.position,
            time: self.time,
            snapshot: self.snapshot,
            clearing: self.clearing,
            owes: self.owes,
            acl: self.acl.clone(),
            no_feed: self.no_feed.iter().map(|(log, seq)| (*log, *seq)).collect(),
        };
        txn.put(Keyspace::Meta, &meta::base(thread), &block::encode(&row)?)
    }

    /// Whether what an entity's row says is only what is covered.
    fn is(&self, thread: Number, row: &EntityRow) -> bool {
        self.covered.has_event(thread, &row.last)
    }

    /// Puts an entity's covered state beside its history, before it changes for the first time.
    pub(crate) fn keep(
        &self,
        txn: &mut dyn WriteTxn,
        thread: Number,
        (key, row): (&[u8], &EntityRow),
    ) -> Result<()> {
        let beside = layout::beside_history(key);
        if !self.is(thread, row) || txn.get(Keyspace::History, &beside)?.is_some() {
            return Ok(());
        }
        txn.put(Keyspace::History, &beside, &row.encode())
    }

    /// An entity as it was when the feed had come to where it begins here; of what is covered that is all.
    fn at_position(
        &self,
        txn: &dyn ReadTxn,
        thread: &Thread,
        key: &[u8],
    ) -> Result<Option<EntityRow>> {
        let begins = self.of_entity(txn, thread.number, key)?;
        let mut rows = history::all(txn, thread, &[key, &[0]].concat())?;
        rows.retain(|row| row.turns.was_applied_at(self.position));
        let Some(last) = rows.last().map(|row| row.place) else {
            return Ok(begins);
        };
        let before = begins.map_or(Life::Unknown, |begins| begins.life);
        let places = rows.into_iter().map(|row| row.place);
        let life = Events::new(txn, thread).replay(before, places)?;
        Ok(Some(EntityRow { last, life }))
    }

    /// Whether somebody who names a record names one that is covered.
    pub(crate) fn covers(&self, txn: &dyn ReadTxn, thread: Number, dep: &Dep) -> Result<bool> {
        let log = layout::number(txn, &meta::log_by_id(thread, &dep.log))?;
        let Some(log) = log.filter(|log| dep.seq <= self.covered.last(*log)) else {
            return Ok(false);
        };
        let seq = dep.seq;
        let place = Place { thread, log, seq };
        Ok(match chain::id_at(txn, place)? {
            Some(record) => record == dep.cid,
            None => marks::get(txn, place)? == Some(Mark::of(&dep.log, seq, &dep.cid)),
        })
    }

    /// What an entity begins with here: its covered state.
    pub(crate) fn of_entity(
        &self,
        txn: &dyn ReadTxn,
        thread: Number,
        key: &[u8],
    ) -> Result<Option<EntityRow>> {
        if let Some(row) = txn.get(Keyspace::History, &layout::beside_history(key))? {
            return EntityRow::decode(&row).map(Some);
        }
        let row = EntityRow::get(txn, key)?;
        Ok(row.filter(|row| self.is(thread, row)))
    }
}

/// What an entity begins with here; nothing where all of its records are here.
pub(crate) fn of_entity(
    txn: &dyn ReadTxn,
    thread: Number,
    key: &[u8],
) -> Result<Option<EntityRow>> {
    match Base::get(txn, thread)? {
        Some(base) => base.of_entity(txn, thread, key),
        None => Ok(None),
    }
}

/// The last record of a log that is covered here; 0 where all of it is here.
pub(crate) fn last(txn: &dyn ReadTxn, place: Place) -> Result<u64> {
    let base = Base::get(txn, place.thread)?;
    Ok(base.map_or(0, |base| base.covered.last(place.log)))
}

/// Whether somebody who names a record names one that is covered here, and so need not be looked for.
pub(crate) fn covers(txn: &dyn ReadTxn, thread: Number, dep: &Dep) -> Result<bool> {
    match Base::get(txn, thread)? {
        Some(base) => base.covers(txn, thread, dep),
        None => Ok(false),
    }
}

/// Whether anything of a thread is covered here.
pub(crate) fn covers_any(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
    let base = Base::get(txn, thread)?;
    Ok(base.is_some_and(|base| !base.covered.last.is_empty()))
}

/// Whether something came that cannot be applied, or judged, without what is covered.
pub(crate) fn is_wanting(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
    let Some(base) = Base::get(txn, thread)? else {
        return Ok(false);
    };
    if base.covered.last.is_empty() {
        return Ok(false);
    }
    if base.owes.is_some() {
        return Ok(true);
    }
    for arrival in held::arrivals(txn, thread)? {
        let entry = held::get(txn, thread, arrival)?;
        if entry.is_some_and(|entry| matches!(entry.row.why, Why::Older(_))) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The position up to which a thread's feed is not here.
pub(crate) fn position(txn: &dyn ReadTxn, thread: Number) -> Result<u64> {
    Ok(Base::get(txn, thread)?.map_or(0, |base| base.position))
}

/// The next entities of a collection after a key as they were when the thread began here, for reducers: those that
/// lived came to be by the record that covers them. Gives the last key that was looked at; none at the end.
pub(crate) fn some_begin(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (base, collection): (&Base, &CollectionName),
    (prefix, after): (&[u8], &[u8]),
) -> Result<Option<(Vec<u8>, Vec<DispatchedEvent>)>> {
    let bounds = Prefix::new(prefix);
    let range = (Bound::Excluded(after), bounds.range().1);
    let mut found = Vec::new();
    let mut last = None;
    let rows = txn.scan(Keyspace::Entities, range, Direction::Forward)?;
    for row in rows.take(BEGIN_AT_ONCE) {
        let (key, _) = row?;
        let entity = layout::entity_id(&key, prefix.len())?;
        if let Some(begins) = base.at_position(txn, thread, &key)?
            && let Some(after) = history::view(thread, &begins.life, entity.as_str())?
        {
            let place = begins.last.of_record(thread.number);
            // Of those that are covered the last one stands for it.
            let seq = base.covered.last(place.log).max(place.seq);
            let place = Place { seq, ..place };
            found.push(DispatchedEvent {
                thread: thread.id.clone(),
                record: chain::expect(txn, place)?.record_id(),
                log: thread.log_id(txn, place.log)?,
                seq,
                time: begins.last.time,
                collection: collection.clone(),
                entity,
                action: ActionKind::Create,
                before: None,
                after: Some(Arc::new(after)),
            });
        }
        last = Some(key.into_owned());
    }
    Ok(last.map(|last| (last, found)))
}

/// Whether records of a log are not here, as what they say is covered.
pub(crate) fn is_short(txn: &dyn ReadTxn, thread: Number, log: &LogId) -> Result<bool> {
    let Some(base) = Base::get(txn, thread)? else {
        return Ok(false);
    };
    let log = layout::number(txn, &meta::log_by_id(thread, log))?;
    Ok(log.is_some_and(|log| base.covered.last(log) > 0))
}

/// Forgets what these entities were before they died, as somebody purged them: nothing becomes of the dead.
pub(crate) fn forget_dead(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    names: &BTreeSet<(CollectionName, EntityId)>,
) -> Result<()> {
    for (collection, id) in names {
        let number = meta::collection(thread.number, collection);
        let Some(number) = layout::number(txn.as_read(), &number)? else {
            continue;
        };
        forget_one(txn, &layout::entity(thread.number, number, id.as_str()))?;
    }
    Ok(())
}

/// The same of all that are dead, where nobody here knows of which entities the purged records were.
pub(crate) fn forget_all_dead(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    for (number, _) in layout::collections(txn.as_read(), thread.number)? {
        let prefix = layout::collection_prefix(thread.number, number);
        for key in dead(txn.as_read(), &prefix)? {
            forget_one(txn, &key)?;
        }
    }
    Ok(())
}

/// Forgets what an entity that is dead, or dies, began with here.
fn forget_one(txn: &mut dyn WriteTxn, key: &[u8]) -> Result<()> {
    let beside = layout::beside_history(key);
    let Some(begins) = txn.get(Keyspace::History, &beside)? else {
        return Ok(());
    };
    let begins = EntityRow {
        life: Life::Deleted,
        ..EntityRow::decode(&begins)?
    };
    txn.put(Keyspace::History, &beside, &begins.encode())
}

/// The keys of a collection's entities that were deleted.
fn dead(txn: &dyn ReadTxn, prefix: &[u8]) -> Result<Vec<Vec<u8>>> {
    let bounds = Prefix::new(prefix);
    let mut dead = Vec::new();
    for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
        let (key, value) = row?;
        if EntityRow::decode(&value)?.life == Life::Deleted {
            dead.push(key.into_owned());
        }
    }
    Ok(dead)
}
