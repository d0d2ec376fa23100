//! Making a state what the thread begins with, in one commit.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::books::HeadBook;
use threads_core::datastore::{DatastoreExt, Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::Record;
use threads_core::{Cid, CollectionName, EntityId, Error, ErrorKind, Result};

use super::{position_of, time_of};
use crate::access::ADOPTED;
use crate::base::Base;
use crate::catalogue;
use crate::chain;
use crate::db::Db;
use crate::entity::EntityRow;
use crate::feed;
use crate::history;
use crate::layout::{self, Number, Place, Prefix, meta};
use crate::line;
use crate::opened::Opened;
use crate::snapshot::{self, Covered};
use crate::thread::Thread;

impl Db {
    /// Has the thread begin with what is covered.
    pub(crate) fn begin_with(&self, covered: Covered, snapshot: &Cid) -> Result<()> {
        let thread = self.thread();
        let durability = thread.node.durability;
        thread.node.store.transact(durability, |txn| {
            let before = Base::get(txn.as_read(), thread.number)?;
            if !is_as_seen(txn.as_read(), thread, (before.as_ref(), &covered))? {
                return Err(Error::unavailable(
                    "records came meanwhile, or were dropped, that make a difference: compact again",
                ));
            }
            let lives = lives(txn.as_read(), thread, &covered)?;
            let position = position_of(txn.as_read(), thread, &covered)?;
            let base = Base {
                position,
                time: time_of(txn.as_read(), thread, &covered)?,
                snapshot: *snapshot,
                clearing: true,
                owes: before.as_ref().and_then(|before| before.owes),
                acl: snapshot::latest_access(txn.as_read(), thread, &covered)?,
                no_feed: no_feed(txn.as_read(), thread, (before.as_ref(), &covered, position))?,
                covered,
            };
            if before.is_some() {
                forget_beside(txn, thread)?;
            }
            for (key, life) in &lives {
                let beside = layout::beside_history(key);
                txn.put(Keyspace::History, &beside, &life.encode())?;
            }
            base.put(txn, thread.number)
        })?;
        thread.node.notifier.notify_in([thread.number]);
        Ok(())
    }
}

/// Whether all is as it was when it was looked at what may be dropped: nobody forked a log since, or dropped more, and
/// nothing was judged otherwise.
fn is_as_seen(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (before, covered): (Option<&Base>, &Covered),
) -> Result<bool> {
    let mut last = before.into_iter().flat_map(|base| &base.covered.last);
    let has_more = last.any(|(log, last)| covered.last(*log) < *last);
    Ok(!has_more
        && !line::any_forked(txn, thread.number)?
        && snapshot::is_as_it_was(txn, thread, covered)?)
}

/// The last record of each log that stays though the feed begins after it: what came before something that is covered
/// is in the state with which a reader of the feed begins.
fn no_feed(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (before, covered, position): (Option<&Base>, &Covered, u64),
) -> Result<BTreeMap<Number, u64>> {
    let mut no_feed = before.map_or_else(BTreeMap::new, |before| before.no_feed.clone());
    let first = before.map_or(0, |before| before.position) + 1;
    for at in first..=position {
        let row = feed::row(txn, thread.number, at)?;
        let Some(place) = row.map(|row| row.place) else {
            continue;
        };
        if place.seq > covered.last(place.log) {
            let last = no_feed.entry(place.log).or_insert(place.seq);
            *last = place.seq.max(*last);
        }
    }
    Ok(no_feed)
}

/// Refuses to cover what a record that stays adopted, or what adopted that record: of such each change counts once,
/// and which of them does nobody could tell any more.
fn check_adopted(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (covered, opened): (&Covered, &Opened),
) -> Result<()> {
    let name = meta::collection(thread.number, &catalogue::reserved(ADOPTED));
    let Some(number) = layout::number(txn, &name)? else {
        return Ok(());
    };
    let id = opened.record.id();
    for record in opened.adopts.iter().chain([&id]) {
        let place = chain::locate(txn, thread.number, record)?;
        let is_covered = place.is_none_or(|place| covered.has(place));
        let key = layout::entity(thread.number, number, &record.to_string());
        if is_covered || snapshot::life(txn, thread, covered, &key)?.is_some() {
            return Err(Error::unavailable(
                "of two records of which one adopted the other one is to be dropped: keep what is from an earlier time, or the latest alone",
            )
            .with("record", record));
        }
    }
    Ok(())
}

/// What those entities are by the events that are covered which have others besides.
fn lives(
    txn: &dyn ReadTxn,
    thread: &Thread,
    covered: &Covered,
) -> Result<Vec<(Vec<u8>, EntityRow)>> {
    let mut lives = Vec::new();
    for (collection, id) in changed_since(txn, thread, covered)? {
        let number = layout::number(txn, &meta::collection(thread.number, &collection))?;
        let Some(number) = number else { continue };
        let (key, _) = history::keys(thread.number, number, id.as_str());
        if let Some(life) = snapshot::life(txn, thread, covered, &key)? {
            lives.push((key, life));
        }
    }
    Ok(lives)
}

/// The entities of which records say something that are not covered.
fn changed_since(
    txn: &dyn ReadTxn,
    thread: &Thread,
    covered: &Covered,
) -> Result<BTreeSet<(CollectionName, EntityId)>> {
    let mut changed = BTreeSet::new();
    for (log, head) in HeadBook::new(txn).all(&thread.id)? {
        let Some(line) = line::find(txn, thread.number, &log)? else {
            continue;
        };
        let after = covered.last(line.number) + 1..=head.seq;
        let apart = covered
            .apart
            .range((line.number, 0)..=(line.number, u64::MAX));
        for seq in after.chain(apart.map(|((_, seq), _)| *seq)) {
            let place = Place {
                thread: thread.number,
                log: line.number,
                seq,
            };
            match thread.open(&chain::expect(txn, place)?) {
                Ok(opened) => {
                    // What is in quarantine is looked at should it be accepted.
                    if seq > covered.last(line.number) {
                        check_adopted(txn, thread, (covered, &opened))?;
                    }
                    let events = opened.batch().map_or(&[][..], |batch| &batch.events);
                    let names = events.iter();
                    changed.extend(names.map(|e| (e.collection.clone(), e.entity.clone())));
                }
                // It is never applied.
                Err(error) if error.kind() == ErrorKind::Rejected => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(changed)
}

/// Forgets what entities began with before.
pub(super) fn forget_beside(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    let prefix = layout::thread_prefix(thread.number);
    let bounds = Prefix::new(&prefix);
    let mut beside = Vec::new();
    for row in txn.scan(Keyspace::History, bounds.range(), Direction::Forward)? {
        let (key, _) = row?;
        if layout::is_beside_history(&key) {
            beside.push(key.into_owned());
        }
    }
    beside
        .iter()
        .try_for_each(|key| txn.delete(Keyspace::History, key))
}
