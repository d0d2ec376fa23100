//! The feed: what became known here, in local order, and what it changed.
//!
//! One position per record. What a position changed is computed from the histories of the
//! entities it touches, as they were known then: a late event shows as the net change it made,
//! and a reader that comes late sees what a reader at the time would have seen.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use threads_core::batch::EntityEvent;
use threads_core::codec::ActionKind;
use threads_core::datastore::{Keyspace, ReadTxn};
use threads_core::record::Record;
use threads_core::{Cid, CollectionName, EntityId, Error, Hlc, LogId, PeerId, Result};

use crate::base;
use crate::entity::{EntityRow, Life};
use crate::history::{self, Events, HistoryRow};
use crate::layout::{self, EventPlace, Number, Place, meta};
use crate::purge;
use crate::thread::Thread;

/// How many entities a reader of the feed remembers the latest state of.
const REMEMBERED_MAX: usize = 1_024;

/// What a record changed in one entity.
///
/// ```
/// use threads_db::Change;
/// fn line(change: &Change) -> String {
///     format!("{} {}/{}", change.action.as_str(), change.collection, change.entity)
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where the entity lives.
    pub collection: CollectionName,
    /// Which entity.
    pub entity: EntityId,
    /// What happened to it: the net change.
    pub action: ActionKind,
    /// Its value before; `None` when it did not live, or was [purged](crate::Db::purge).
    pub before: Option<Value>,
    /// Its value after; `None` when it does not live.
    pub after: Option<Value>,
    /// The record that brought the change.
    pub record: Cid,
    /// The log of the record.
    pub log: LogId,
    /// The identity that owns the log.
    pub author: Option<PeerId>,
    /// The record's place in its log.
    pub seq: u64,
    /// The time of the record, in hybrid logical time.
    pub time: Hlc,
    /// The position in this node's feed.
    pub position: u64,
    /// Set when the record came before, and something else became of it now.
    pub rejudged: Option<Rejudged>,
}

/// What became of a record that was here before: judged otherwise, and by which access record; or read.
///
/// ```
/// use threads_db::{Change, Rejudged};
/// fn was_lost(change: &Change) -> bool { matches!(change.rejudged, Some(Rejudged::Reverted(_))) }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejudged {
    /// What it had changed was undone: its author turned out not to have had the right, or it was purged.
    Reverted(Cid),
    /// It was applied after all.
    Restored(Cid),
    /// It could not be read before: the keys to read it came.
    Opened,
}

/// Reads what positions of the feed changed, remembering states on the way.
#[derive(Debug, Default)]
pub(crate) struct FeedReader {
    remembered: HashMap<(CollectionName, EntityId), Remembered>,
}

/// An entity as it was after the last position that touched it.
#[derive(Debug)]
struct Remembered {
    position: u64,
    last: EventPlace,
    life: Life,
}

/// A position of the feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedRow {
    /// The record.
    pub(crate) place: Place,
    pub(crate) rejudged: Option<Rejudged>,
}

impl FeedRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = self.place.key()[4..].to_vec();
        let rejudged = match &self.rejudged {
            None => return value,
            Some(Rejudged::Reverted(cause)) => (0, cause.to_bytes()),
            Some(Rejudged::Restored(cause)) => (1, cause.to_bytes()),
            Some(Rejudged::Opened) => (2, Vec::new()),
        };
        value.push(rejudged.0);
        value.extend_from_slice(&rejudged.1);
        value
    }

    pub(crate) fn decode(thread: Number, value: &[u8]) -> Result<Self> {
        let damaged = || Error::corrupt("the feed is damaged: verify the thread");
        let (place, rest) = value.split_first_chunk::<12>().ok_or_else(damaged)?;
        let place = Place::from_key(&[&thread.to_be_bytes()[..], place].concat())?;
        let rejudged = match rest.split_first() {
            None => None,
            Some((2, [])) => Some(Rejudged::Opened),
            Some((kind, cause)) => {
                let cause = Cid::try_from(cause).map_err(|_| damaged())?;
                match kind {
                    0 => Some(Rejudged::Reverted(cause)),
                    1 => Some(Rejudged::Restored(cause)),
                    _ => return Err(damaged()),
                }
            }
        };
        Ok(Self { place, rejudged })
    }
}

/// What is at a position of the feed.
pub(crate) fn row(txn: &dyn ReadTxn, thread: Number, position: u64) -> Result<Option<FeedRow>> {
    let row = txn.get(Keyspace::Feed, &layout::feed(thread, position))?;
    row.map(|row| FeedRow::decode(thread, &row)).transpose()
}

impl FeedReader {
    /// What the record at `position` changed, in the order of its events.
    pub(crate) fn changes(
        &mut self,
        txn: &dyn ReadTxn,
        thread: &Thread,
        position: u64,
    ) -> Result<Vec<Change>> {
        let FeedRow { place, rejudged } = row(txn, thread.number, position)?
            .ok_or_else(|| Error::corrupt("the feed has a gap").with("position", position))?;
        let mut events = Events::new(txn, thread);
        let opened = events.record(place)?;
        let batch = opened.batch().map_or(&[][..], |batch| &batch.events);
        let author = thread.author(txn, place.log)?;
        let mut touched = HashSet::new();
        let mut changes = Vec::new();
        for event in batch.iter().filter(|event| !event.collection.is_reserved()) {
            if !touched.insert((&event.collection, &event.entity)) {
                continue;
            }
            let places = batch.iter().zip(0u32..).filter(|(other, _)| {
                other.collection == event.collection && other.entity == event.entity
            });
            let places = places.map(|(_, index)| EventPlace {
                time: opened.time,
                log: place.log,
                seq: place.seq,
                index,
            });
            let places: Vec<_> = places.collect();
            let lives = self.lives(&mut events, txn, thread, event, &places, position)?;
            let change = match net(thread, &event.entity, &lives)? {
                Some(change) => change,
                None if was_purged(txn, thread, event, &lives)? => (ActionKind::Delete, None, None),
                None => continue,
            };
            let (action, before, after) = change;
            changes.push(Change {
                collection: event.collection.clone(),
                entity: event.entity.clone(),
                action,
                before,
                after,
                record: opened.record.id(),
                log: opened.record.fields().log,
                author,
                seq: place.seq,
                time: opened.time,
                position,
                rejudged,
            });
        }
        Ok(changes)
    }

    /// An entity's life before and after a position that holds `places` of its events.
    fn lives(
        &mut self,
        events: &mut Events<'_>,
        txn: &dyn ReadTxn,
        thread: &Thread,
        event: &EntityEvent,
        places: &[EventPlace],
        position: u64,
    ) -> Result<(Life, Life)> {
        let key = (event.collection.clone(), event.entity.clone());
        // What was adopted counts or not by what else the entity has.
        let adopts = match places.first() {
            Some(place) => {
                let record = events.record(place.of_record(thread.number))?;
                !record.adopts.is_empty()
            }
            None => false,
        };
        let (lives, last) = match (self.remembered.remove(&key), places) {
            // In order: the events come after everything that was known.
            (Some(known), [first, .., last] | [first @ last])
                if known.position < position && known.last.time < first.time && !adopts =>
            {
                let after = events.replay(known.life.clone(), places.iter().copied())?;
                ((known.life, after), *last)
            }
            _ => as_of(events, txn, thread, event, position)?,
        };
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        self.remembered.insert(
            key,
            Remembered {
                position,
                last,
                life: lives.1.clone(),
            },
        );
        Ok(lives)
    }
}

/// Whether an entity was deleted of which nothing else is known any more: whoever knew it is to hear of that.
fn was_purged(
    txn: &dyn ReadTxn,
    thread: &Thread,
    event: &EntityEvent,
    lives: &(Life, Life),
) -> Result<bool> {
    let died = matches!(lives, (Life::Unknown, Life::Deleted));
    Ok(died && purge::is_entity(txn, thread.number, &event.collection, &event.entity)?)
}

/// An entity's life as it was known before a position and at it, and the last of its events known
/// then, made again from its history.
fn as_of(
    events: &mut Events<'_>,
    txn: &dyn ReadTxn,
    thread: &Thread,
    event: &EntityEvent,
    position: u64,
) -> Result<((Life, Life), EventPlace)> {
    let gap = || Error::corrupt("an entity's history lacks an event: verify the thread");
    let name = meta::collection(thread.number, &event.collection);
    let number = layout::number(txn, &name)?.ok_or_else(gap)?;
    let (entity, prefix) = history::keys(thread.number, number, event.entity.as_str());
    let rows = history::all(txn, thread, &prefix)?;
    let begins = base::of_entity(txn, thread.number, &entity)?;
    let known = |row: &&HistoryRow| row.turns.was_applied_at(position);
    // Of events that were all undone the last one stands for none.
    let last = rows.iter().rfind(known).or(rows.last());
    let last = last.ok_or_else(gap)?.place;
    let begins = begins.map_or(Life::Unknown, |begins| begins.life);
    let before = rows
        .iter()
        .filter(|row| row.turns.was_applied_at(position - 1))
        .map(|row| row.place);
    let before = events.replay(begins.clone(), before)?;
    let after = match EntityRow::get(txn, &entity)? {
        // Nothing came later: the present state is the one.
        Some(row) if rows.iter().all(|row| row.turns.is_settled_at(position)) => row.life,
        _ => events.replay(begins, rows.iter().filter(known).map(|row| row.place))?,
    };
    Ok(((before, after), last))
}

/// What an application sees of a change: its kind, the value before and the value after.
pub(crate) type Net = (ActionKind, Option<Value>, Option<Value>);

/// The net change between two lives, if there is one that an application can see.
pub(crate) fn net(
    thread: &Thread,
    id: &EntityId,
    (before, after): &(Life, Life),
) -> Result<Option<Net>> {
    let before = history::view(thread, before, id.as_str())?;
    let after = history::view(thread, after, id.as_str())?;
    Ok(net_kind(before.as_ref(), after.as_ref()).map(|kind| (kind, before, after)))
}

/// The kind of a net change; `None` when nothing changed.
pub(crate) fn net_kind(before: Option<&Value>, after: Option<&Value>) -> Option<ActionKind> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(ActionKind::Create),
        (Some(_), None) => Some(ActionKind::Delete),
        (Some(old), Some(new)) => (old != new).then_some(ActionKind::Save),
    }
}
