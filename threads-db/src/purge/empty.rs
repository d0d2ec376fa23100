//! Emptying records: what they said goes, and with it every trace of it in what was derived.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::batch::EntityEvent;
use threads_core::codec::ActionKind;
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::{Dep, Record, SignedRecord};
use threads_core::{Cid, CollectionName, EntityId, ErrorKind, Result};

use super::rows::{self, EmptiedRow};
use super::settle::Done;
use crate::access::ADOPTED;
use crate::base;
use crate::chain::{self, Blocks};
use crate::entity::{EntityRow, Life};
use crate::feed::{FeedRow, Rejudged};
use crate::held::{self, Why};
use crate::history::{self, Events, Turns};
use crate::kept;
use crate::layout::{self, EventPlace, Place, Prefix, meta, purged};
use crate::opened::{Body, Opened};
use crate::thread::{Thread, Tip};
use crate::travel::UNDONE;

type Name = (CollectionName, EntityId);

/// What becomes of a record that is to be emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may go.
    Goes,
    /// It says something of what lives here, or of what nothing else says that it is dead.
    Lives,
    /// It has a format that is not known here, so nobody knows of what it is.
    Unread,
}

/// Decides about records, and empties them, in one transaction.
pub(crate) struct Emptier<'a> {
    txn: &'a mut dyn WriteTxn,
    thread: &'a Thread,
    /// Whether entities are dead for good, of those that were asked for.
    dead: BTreeMap<Name, bool>,
    /// The entities that lost events.
    touched: BTreeSet<Name>,
    done: Done,
    /// Whether one was looked for that is covered by what the thread begins with here.
    beyond: bool,
}

/// What a record may lose without anybody missing it: notes of who adopted what, and of what was taken back.
pub(super) fn is_note(event: &EntityEvent) -> bool {
    matches!(event.collection.as_str(), ADOPTED | UNDONE)
}

/// What becomes of a record, by what is known here. Whoever cannot read it does as told.
fn fate(
    txn: &dyn ReadTxn,
    thread: &Thread,
    opened: &Opened,
    dead: &mut BTreeMap<Name, bool>,
) -> Result<Fate> {
    let batch = match &opened.body {
        Body::Batch(batch) => batch,
        // A reader waits for the key, or it would do otherwise than those who have it.
        Body::Blind if !thread.is_blind() => return Ok(Fate::Unread),
        Body::Blind | Body::Private => return Ok(Fate::Goes),
        Body::Unknown => return Ok(Fate::Unread),
        Body::Access(_) | Body::Purged => return Ok(Fate::Lives),
    };
    let apart = is_apart(txn, thread, &opened.record)?;
    let (mut lives, mut dies) = (false, false);
    for event in batch.events.iter().filter(|event| !is_note(event)) {
        let name = (event.collection.clone(), event.entity.clone());
        let is_dead = match dead.get(&name) {
            Some(dead) => *dead,
            None => {
                let is_dead = is_dead(txn, thread, event)?;
                dead.insert(name, is_dead);
                is_dead
            }
        };
        dies |= is_dead;
        lives |= !is_dead;
        if lives && !apart {
            return Ok(Fate::Lives);
        }
    }
    // What is not applied says nothing of anybody: the living lose nothing by it.
    Ok(match lives && !dies {
        true => Fate::Lives,
        false => Fate::Goes,
    })
}

/// Whether a record is in quarantine, and not only until the clock says otherwise.
fn is_apart(txn: &dyn ReadTxn, thread: &Thread, record: &SignedRecord) -> Result<bool> {
    let (fields, id) = (record.fields(), record.id());
    let held = (&fields.log, fields.seq, &id);
    let Some(arrival) = held::find(txn, thread.number, held)? else {
        return Ok(false);
    };
    let entry = held::get(txn, thread.number, arrival)?;
    Ok(entry.is_some_and(|entry| matches!(entry.row.why, Why::Quarantine(_) | Why::Access(_))))
}

/// What becomes of a record that a purge lists, and what it says, unless its event breaks a rule: then it is never
/// applied. What is said about access stays whatever it says, if it is in nobody's words too.
pub(crate) fn look(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (record, blocks): (SignedRecord, &Blocks),
    dead: &mut BTreeMap<Name, bool>,
) -> Result<(Fate, Option<Opened>)> {
    if record.fields().access {
        return Ok((Fate::Lives, None));
    }
    match thread.open_event(record, blocks) {
        Ok(opened) => Ok((fate(txn, thread, &opened, dead)?, Some(opened))),
        Err(error) if error.kind() == ErrorKind::Rejected => Ok((Fate::Goes, None)),
        Err(error) => Err(error),
    }
}

/// Whether an entity is dead, and stays so without the records that are to be emptied: a delete of it that is
/// applied is in another one.
fn is_dead(txn: &dyn ReadTxn, thread: &Thread, event: &EntityEvent) -> Result<bool> {
    let number = layout::number(txn, &meta::collection(thread.number, &event.collection))?;
    let Some(number) = number.filter(|_| !event.collection.is_reserved()) else {
        return Ok(false);
    };
    let (key, prefix) = history::keys(thread.number, number, event.entity.as_str());
    let row = EntityRow::get(txn, &key)?;
    if row.is_none_or(|row| row.life != Life::Deleted) {
        return Ok(false);
    }
    let begins = base::of_entity(txn, thread.number, &key)?;
    if begins.is_some_and(|begins| begins.life == Life::Deleted) {
        return Ok(true);
    }
    let mut events = Events::new(txn, thread);
    let bounds = Prefix::new(&prefix);
    // From the end, where whoever purges puts one.
    for row in txn.scan(Keyspace::History, bounds.range(), Direction::Reverse)? {
        let (key, turns) = row?;
        if !Turns::decode(&turns)?.is_applied() {
            continue;
        }
        let place = EventPlace::from_bytes(&key[prefix.len()..])?;
        let record = events.record(place.of_record(thread.number))?.record.id();
        let listed = rows::listed_by(txn, thread.number, &record, None)?.is_some();
        if !listed && events.event(&place)?.action == ActionKind::Delete {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the event that an entity's row names as the last is still in its history.
fn has_last(txn: &dyn ReadTxn, key: &[u8], prefix: &[u8]) -> Result<bool> {
    let Some(row) = EntityRow::get(txn, key)? else {
        return Ok(false);
    };
    let last = [prefix, &row.last.to_bytes()].concat();
    Ok(txn.get(Keyspace::History, &last)?.is_some())
}

impl<'a> Emptier<'a> {
    pub(crate) fn new(txn: &'a mut dyn WriteTxn, thread: &'a Thread) -> Self {
        Self {
            txn,
            thread,
            dead: BTreeMap::new(),
            touched: BTreeSet::new(),
            done: Done::default(),
            beyond: false,
        }
    }

    /// Empties a record that is listed by a purge which counts, if it is here and may go.
    pub(crate) fn look_at(&mut self, dep: &Dep, by: &Cid) -> Result<()> {
        let number = self.thread.number;
        self.beyond |= base::covers(self.txn.as_read(), number, dep)?;
        let Some(place) = chain::locate(self.txn.as_read(), number, &dep.cid)? else {
            return self.look_at_held(dep, by);
        };
        let blocks = chain::expect(self.txn.as_read(), place)?;
        if blocks.is_emptied() {
            return match EmptiedRow::get(self.txn.as_read(), place)? {
                Some(row) if !row.known => self.explain(place, blocks.record, row, by),
                _ => Ok(()),
            };
        }
        match self.look(&blocks)? {
            (Fate::Goes, opened) => self.empty(place, blocks, opened.as_ref(), by),
            (_, opened) => {
                self.done.left |= opened.is_some();
                Ok(())
            }
        }
    }

    /// Empties a record if a purge lists it that counts, and it may go.
    pub(crate) fn look_at_listed(&mut self, dep: &Dep) -> Result<()> {
        let number = self.thread.number;
        match rows::listed_by(self.txn.as_read(), number, &dep.cid, None)? {
            Some(by) => self.look_at(dep, &by),
            None => Ok(()),
        }
    }

    /// It came emptied, and now it is known what for.
    fn explain(&mut self, place: Place, record: Vec<u8>, row: EmptiedRow, by: &Cid) -> Result<()> {
        let left = Blocks::emptied(record, by);
        chain::put(&mut *self.txn, place, &left.record_id(), &left)?;
        let (by, known) = (*by, true);
        EmptiedRow { by, known, ..row }.put(&mut *self.txn, place)
    }

    /// The same of a record that waits outside its log.
    fn look_at_held(&mut self, dep: &Dep, by: &Cid) -> Result<()> {
        let number = self.thread.number;
        let held = (&dep.log, dep.seq, &dep.cid);
        let Some(arrival) = held::find(self.txn.as_read(), number, held)? else {
            return Ok(());
        };
        let entry = held::get(self.txn.as_read(), number, arrival)?;
        let Some(mut entry) = entry else {
            return Ok(());
        };
        let Some(blocks) = entry.blocks.take().filter(|blocks| !blocks.is_emptied()) else {
            return Ok(());
        };
        let (fate, opened) = self.look(&blocks)?;
        self.done.left |= fate != Fate::Goes && opened.is_some();
        if fate == Fate::Goes {
            self.done.emptied += 1;
            entry.blocks = Some(Blocks::emptied(blocks.record, by));
            held::keep(&mut *self.txn, number, Some(arrival), &entry)?;
        }
        Ok(())
    }

    fn look(&mut self, blocks: &Blocks) -> Result<(Fate, Option<Opened>)> {
        let record = self.thread.open_record(&blocks.record)?;
        let record = (record, blocks);
        look(self.txn.as_read(), self.thread, record, &mut self.dead)
    }

    /// Empties the record at `place`.
    fn empty(
        &mut self,
        place: Place,
        blocks: Blocks,
        opened: Option<&Opened>,
        by: &Cid,
    ) -> Result<()> {
        if let Some(opened) = opened {
            self.forget_events(place, opened)?;
        }
        let record = self.thread.open_record(&blocks.record)?;
        let (log, id) = (record.fields().log, record.id());
        let number = self.thread.number;
        let arrival = held::find(self.txn.as_read(), number, (&log, place.seq, &id))?;
        let applied = arrival.is_none() && place.seq > base::last(self.txn.as_read(), place)?;
        match arrival {
            Some(arrival) => held::remove(&mut *self.txn, number, arrival)?,
            None if applied => self.revert(place, by)?,
            // The feed does not go back so far.
            None => {}
        }
        let before = blocks.bytes();
        let left = Blocks::emptied(blocks.record, by);
        let gone = before.saturating_sub(left.bytes());
        chain::put(&mut *self.txn, place, &id, &left)?;
        kept::subtract(&mut *self.txn, self.thread, gone)?;
        self.done.emptied += 1;
        let row = EmptiedRow {
            by: *by,
            known: true,
            was_applied: applied,
        };
        row.put(&mut *self.txn, place)
    }

    /// Says in the feed that a record is not applied any more.
    fn revert(&mut self, place: Place, by: &Cid) -> Result<()> {
        let number = self.thread.number;
        let mut tip = Tip::get(self.txn.as_read(), number)?;
        tip.position += 1;
        tip.put(&mut *self.txn, number)?;
        let rejudged = Some(Rejudged::Reverted(*by));
        let row = FeedRow { place, rejudged }.encode();
        let key = layout::feed(number, tip.position);
        self.txn.put(Keyspace::Feed, &key, &row)
    }

    /// Takes the events of a record out of the histories of their entities.
    fn forget_events(&mut self, place: Place, opened: &Opened) -> Result<()> {
        let events = opened.batch().map_or(&[][..], |batch| &batch.events);
        for (event, index) in events.iter().zip(0..) {
            let at = EventPlace {
                time: opened.time,
                log: place.log,
                seq: place.seq,
                index,
            };
            let number = self.thread.number;
            let key = meta::collection(number, &event.collection);
            let Some(collection) = layout::number(self.txn.as_read(), &key)? else {
                continue;
            };
            let id = event.entity.as_str();
            let (_, prefix) = history::keys(number, collection, id);
            let key = [&prefix[..], &at.to_bytes()].concat();
            if self.txn.get(Keyspace::History, &key)?.is_some() {
                self.txn.delete(Keyspace::History, &key)?;
                let name = (event.collection.clone(), event.entity.clone());
                self.touched.insert(name);
            }
            if !is_note(event) {
                let key = purged::entity(number, collection, id);
                self.txn.put(Keyspace::Held, &key, &[])?;
            }
        }
        Ok(())
    }

    /// Brings the entities in line that lost events: as they are for whoever never had those.
    pub(crate) fn finish(self) -> Result<Done> {
        let (txn, thread, mut done) = (self.txn, self.thread, self.done);
        done.shown = !self.touched.is_empty();
        for (collection, id) in &self.touched {
            let number =
                layout::number(txn.as_read(), &meta::collection(thread.number, collection))?;
            let Some(number) = number else { continue };
            let (key, prefix) = history::keys(thread.number, number, id.as_str());
            let name = (collection.clone(), id.clone());
            // The delete that says so is still there, and nothing becomes of the dead.
            let is_dead = self.dead.get(&name).is_some_and(|dead| *dead);
            if is_dead && has_last(txn.as_read(), &key, &prefix)? {
                continue;
            }
            let Some(mut row) = history::made_again(txn.as_read(), thread, &key)? else {
                txn.delete(Keyspace::Entities, &key)?;
                continue;
            };
            if is_dead {
                row.life = Life::Deleted;
            }
            row.put(txn, &key)?;
        }
        let gone: BTreeSet<_> = self
            .touched
            .into_iter()
            .filter(|name| self.dead.get(name).is_some_and(|dead| *dead))
            .collect();
        base::forget_dead(txn, thread, &gone)?;
        if self.beyond {
            // Nobody here knows of which entities they were.
            base::forget_all_dead(txn, thread)?;
        }
        if done.emptied > 0 {
            txn.put(Keyspace::Meta, meta::UNWIPED, &[])?;
        }
        Ok(done)
    }
}
