//! The history of an entity: its events in their order, and the state they give.
//!
//! Rows of [`Keyspace::History`] order by hybrid time; events of one time order by log id and
//! sequence number, those of branches of one log by CID, on every peer alike. A row's value is the position in the feed at which the
//! event was applied here; where that was undone later, and perhaps done again, the positions of all of these.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use threads_core::batch::EntityEvent;
use threads_core::codec::{ActionKind, EntityState};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, ErrorKind, Hlc, LogId, Result};

use crate::base::{self, Base};
use crate::catalogue;
use crate::chain;
use crate::document::Document;
use crate::entity::{EntityRow, Life};
use crate::layout::{self, EventPlace, Number, Place, Prefix};
use crate::opened::Opened;
use crate::thread::Thread;

mod adopted;

use adopted::Adopted;

/// How many opened records a replay keeps at hand.
const OPENED_MAX: usize = 8;

/// One event of an entity.
#[derive(Clone, Debug)]
pub(crate) struct HistoryRow {
    pub(crate) place: EventPlace,
    pub(crate) turns: Turns,
}

/// At which positions of the feed an event was applied, undone, and applied again, in turn.
#[derive(Clone, Debug)]
pub(crate) enum Turns {
    /// It was applied, and stayed so.
    Applied(u64),
    Many(Box<[u64]>),
}

impl Turns {
    pub(crate) fn decode(value: &[u8]) -> Result<Self> {
        let damaged = || Error::corrupt("an entity's history is damaged: verify the thread");
        let (turns, rest) = value.as_chunks::<8>();
        let mut turns = turns.iter().map(|turn| u64::from_be_bytes(*turn));
        match (turns.len(), rest) {
            (1, []) => turns.next().map(Self::Applied).ok_or_else(damaged),
            (2.., []) => Ok(Self::Many(turns.collect())),
            _ => Err(damaged()),
        }
    }

    fn all(&self) -> &[u64] {
        match self {
            Self::Applied(position) => std::slice::from_ref(position),
            Self::Many(turns) => turns,
        }
    }

    /// The position at which it was applied or undone last.
    pub(crate) fn last(&self) -> u64 {
        // There is at least one.
        self.all().last().copied().unwrap_or_default()
    }

    /// Whether the event is applied now.
    pub(crate) fn is_applied(&self) -> bool {
        self.all().len() % 2 == 1
    }

    /// Whether it was applied at a position.
    pub(crate) fn was_applied_at(&self, position: u64) -> bool {
        self.all().iter().filter(|turn| **turn <= position).count() % 2 == 1
    }

    /// Whether nothing became of it after a position.
    pub(crate) fn is_settled_at(&self, position: u64) -> bool {
        self.all().iter().all(|turn| *turn <= position)
    }
}

/// Files an event under its entity.
pub(crate) fn put(
    txn: &mut dyn WriteTxn,
    prefix: &[u8],
    place: EventPlace,
    position: u64,
) -> Result<()> {
    let key = [prefix, &place.to_bytes()].concat();
    txn.put(Keyspace::History, &key, &position.to_be_bytes())
}

/// Notes that an event of an entity is undone from a position on, or applied again; nothing where that is so
/// already, as of one that could not be read and so was never applied.
pub(crate) fn turn(
    txn: &mut dyn WriteTxn,
    prefix: &[u8],
    place: EventPlace,
    (position, applied): (u64, bool),
) -> Result<()> {
    let key = [prefix, &place.to_bytes()].concat();
    let turns = txn.get(Keyspace::History, &key)?.unwrap_or_default();
    let was_applied = !turns.is_empty() && Turns::decode(&turns)?.is_applied();
    if was_applied == applied {
        return Ok(());
    }
    let turns = [&*turns, &position.to_be_bytes()].concat();
    txn.put(Keyspace::History, &key, &turns)
}

/// Whether an event of an entity is or was applied.
pub(crate) fn is_known(txn: &dyn ReadTxn, prefix: &[u8], place: &EventPlace) -> Result<bool> {
    let key = [prefix, &place.to_bytes()].concat();
    Ok(txn.get(Keyspace::History, &key)?.is_some())
}

/// The events of an entity that are applied, in their order.
pub(crate) fn rows(txn: &dyn ReadTxn, thread: &Thread, prefix: &[u8]) -> Result<Vec<HistoryRow>> {
    let mut rows = all(txn, thread, prefix)?;
    rows.retain(|row| row.turns.is_applied());
    Ok(rows)
}

/// The events of an entity, those that were undone among them, in their order; but for those that are covered by
/// what its history [begins](crate::base) with here.
pub(crate) fn all(txn: &dyn ReadTxn, thread: &Thread, prefix: &[u8]) -> Result<Vec<HistoryRow>> {
    let base = Base::get(txn, thread.number)?;
    let is_covered = |place: &EventPlace| {
        let covered = base.as_ref().map(|base| &base.covered);
        covered.is_some_and(|covered| covered.has_event(thread.number, place))
    };
    let bounds = Prefix::new(prefix);
    let mut rows = Vec::new();
    for row in txn.scan(Keyspace::History, bounds.range(), Direction::Forward)? {
        let (key, value) = row?;
        let place = EventPlace::from_bytes(&key[prefix.len()..])?;
        if is_covered(&place) {
            continue;
        }
        let turns = Turns::decode(&value)?;
        rows.push(HistoryRow { place, turns });
    }
    in_order(txn, thread, rows)
}

/// Events of one entity in their order, which come in that of their keys.
pub(crate) fn in_order(
    txn: &dyn ReadTxn,
    thread: &Thread,
    mut rows: Vec<HistoryRow>,
) -> Result<Vec<HistoryRow>> {
    // Keys order by time and then by local log numbers, which differ from peer to peer.
    let tied = rows.windows(2).any(|pair| {
        pair[0].place.time == pair[1].place.time && pair[0].place.log != pair[1].place.log
    });
    if tied {
        let logs = thread.log_ids(txn)?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            keys.push(order(txn, thread, &row.place, &logs)?);
        }
        let mut sorted: Vec<_> = keys.into_iter().zip(rows).collect();
        sorted.sort_by_key(|(key, _)| *key);
        rows = sorted.into_iter().map(|(_, row)| row).collect();
    }
    Ok(rows)
}

/// An entity made again from what is here: what its history begins with, and its events after that. None when
/// there is nothing.
pub(crate) fn made_again(
    txn: &dyn ReadTxn,
    thread: &Thread,
    key: &[u8],
) -> Result<Option<EntityRow>> {
    let prefix = [key, &[0]].concat();
    let begins = base::of_entity(txn, thread.number, key)?;
    let rows = rows(txn, thread, &prefix)?;
    let Some(last) = last_of(txn, thread, (begins.as_ref(), &rows))? else {
        return Ok(None);
    };
    let before = begins.map_or(Life::Unknown, |begins| begins.life);
    let places = rows.into_iter().map(|row| row.place);
    let life = Events::new(txn, thread).replay(before, places)?;
    Ok(Some(EntityRow { last, life }))
}

/// The last event of an entity that is applied, those that its history begins with here among them.
pub(crate) fn last(txn: &dyn ReadTxn, thread: &Thread, key: &[u8]) -> Result<Option<EventPlace>> {
    let prefix = [key, &[0]].concat();
    let begins = base::of_entity(txn, thread.number, key)?;
    let rows = rows(txn, thread, &prefix)?;
    last_of(txn, thread, (begins.as_ref(), &rows))
}

fn last_of(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (begins, rows): (Option<&EntityRow>, &[HistoryRow]),
) -> Result<Option<EventPlace>> {
    let begins = begins.map(|begins| begins.last);
    match (begins, rows.last().map(|row| row.place)) {
        (Some(begins), Some(last)) => later(txn, thread, begins, last).map(Some),
        (begins, last) => Ok(last.or(begins)),
    }
}

/// The later one of two events of one entity, none of which is in a branch of a forked log.
pub(crate) fn later(
    txn: &dyn ReadTxn,
    thread: &Thread,
    one: EventPlace,
    other: EventPlace,
) -> Result<EventPlace> {
    let order = |place: EventPlace| {
        let log = thread.log_id(txn, place.log)?;
        Ok::<_, Error>((place.time, log, place.seq, place.index))
    };
    Ok(match order(one)? > order(other)? {
        true => one,
        false => other,
    })
}

/// The total order of events: time, log id, sequence number, of a log that was forked the record's CID,
/// position in the batch.
type Order = (Hlc, Option<LogId>, u64, Option<Cid>, u32);

fn order(
    txn: &dyn ReadTxn,
    thread: &Thread,
    place: &EventPlace,
    logs: &HashMap<Number, LogId>,
) -> Result<Order> {
    let log = logs.get(&place.log).copied();
    let forked = logs
        .iter()
        .any(|(number, id)| *number != place.log && Some(*id) == log);
    let record = match forked {
        true => Some(chain::expect(txn, place.of_record(thread.number))?.record_id()),
        false => None,
    };
    Ok((place.time, log, place.seq, record, place.index))
}

/// Reads events back from their records, keeping the latest records at hand.
pub(crate) struct Events<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    opened: HashMap<Place, Arc<Opened>>,
    /// The same in the order in which they came, with their bytes.
    order: VecDeque<(Place, u64)>,
    bytes: u64,
    records_max: usize,
    bytes_max: u64,
}

impl<'a> Events<'a> {
    pub(crate) fn new(txn: &'a dyn ReadTxn, thread: &'a Thread) -> Self {
        Self {
            records_max: OPENED_MAX,
            ..Self::keeping(txn, thread, u64::MAX)
        }
    }

    /// The same for many entities, with as many records at hand as have so many bytes.
    pub(crate) fn keeping(txn: &'a dyn ReadTxn, thread: &'a Thread, bytes_max: u64) -> Self {
        Self {
            txn,
            thread,
            opened: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            records_max: usize::MAX,
            bytes_max,
        }
    }

    /// The opened record at `place`.
    pub(crate) fn record(&mut self, place: Place) -> Result<Arc<Opened>> {
        if let Some(opened) = self.opened.get(&place) {
            return Ok(Arc::clone(opened));
        }
        let blocks = chain::expect(self.txn, place)?;
        let opened = Arc::new(self.thread.open(&blocks)?);
        self.bytes += blocks.bytes();
        self.order.push_back((place, blocks.bytes()));
        while self.order.len() > self.records_max || self.bytes > self.bytes_max {
            let Some((oldest, bytes)) = self.order.pop_front() else {
                break;
            };
            self.opened.remove(&oldest);
            self.bytes -= bytes;
        }
        self.opened.insert(place, Arc::clone(&opened));
        Ok(opened)
    }

    /// The event at `place`.
    pub(crate) fn event(&mut self, place: &EventPlace) -> Result<EntityEvent> {
        let opened = self.record(place.of_record(self.thread.number))?;
        let events = opened.batch().map_or(&[][..], |batch| &batch.events);
        events.get(place.index as usize).cloned().ok_or_else(|| {
            Error::corrupt("a record no longer holds an event of its entity").with("seq", place.seq)
        })
    }

    /// The state that events give, one after the other, on top of `before`. Where one of them may have been
    /// adopted, these are all that the entity has.
    pub(crate) fn replay(
        &mut self,
        before: Life,
        rows: impl IntoIterator<Item = EventPlace>,
    ) -> Result<Life> {
        let rows: Vec<_> = rows.into_iter().collect();
        let (mut life, mut adopted) = (before, Adopted::default());
        for place in &rows {
            let event = self.event(place)?;
            if !self.is_done((place, &event), &rows, &mut adopted)? {
                life = apply(self.thread, life, &event)?;
            }
        }
        Ok(life)
    }

    /// As [`replay`](Self::replay) of all that an entity has here, telling what each event did.
    pub(crate) fn replay_each(
        &mut self,
        before: Life,
        places: &[EventPlace],
        tell: &mut dyn FnMut(Replayed<'_>) -> Result<()>,
    ) -> Result<()> {
        let (mut life, mut adopted) = (before, Adopted::default());
        for place in places {
            let event = self.event(place)?;
            let repeats = self.is_done((place, &event), places, &mut adopted)?;
            let after = match repeats {
                true => life.clone(),
                false => apply(self.thread, life.clone(), &event)?,
            };
            let record = self.record(place.of_record(self.thread.number))?;
            tell(Replayed {
                place,
                record: &record,
                event: &event,
                repeats,
                before: &life,
                after: &after,
            })?;
            life = after;
        }
        Ok(())
    }
}

/// What one event did in a replay.
pub(crate) struct Replayed<'r> {
    pub(crate) place: &'r EventPlace,
    pub(crate) record: &'r Opened,
    pub(crate) event: &'r EntityEvent,
    /// Whether it did nothing because the same was adopted, or applied itself.
    pub(crate) repeats: bool,
    pub(crate) before: &'r Life,
    pub(crate) after: &'r Life,
}

/// What becomes of an entity by one event. The same on every peer that has the codec:
///
/// * Deleting is final.
/// * The first event fixes the codec; an event of another one changes nothing.
/// * An event that its codec refuses changes nothing.
/// * Without the codec the entity waits, and a replay applies its events once it is installed.
/// * The framework's own entities are never deleted, and a schema never differs from its id.
pub(crate) fn apply(thread: &Thread, life: Life, event: &EntityEvent) -> Result<Life> {
    if event.collection.is_reserved() && !catalogue::admits(event) {
        return Ok(life);
    }
    match &life {
        Life::Deleted => return Ok(life),
        _ if event.action == ActionKind::Delete => return Ok(Life::Deleted),
        Life::Live(codec, _) | Life::Waiting(codec) if *codec != event.codec => return Ok(life),
        _ => {}
    }
    let Ok(codec) = thread.node.codecs.get(&event.codec) else {
        return Ok(Life::Waiting(event.codec.clone()));
    };
    match codec.apply(life.state(), &event.payload) {
        Ok(state) => Ok(Life::Live(event.codec.clone(), state)),
        Err(error) if error.kind() == ErrorKind::Rejected => Ok(life),
        Err(error) => Err(error),
    }
}

/// The JSON object that applications see of a life; `None` when there is none. Whatever its events
/// say, it has the entity's own id.
pub(crate) fn view(thread: &Thread, life: &Life, id: &str) -> Result<Option<Value>> {
    let Life::Live(codec, state) = life else {
        return Ok(None);
    };
    let document = document(thread, codec.as_str(), state.clone(), id)?;
    document.map(|document| document.value()).transpose()
}

/// What applications see of a state, unless its codec is missing or shows no object.
pub(crate) fn document(
    thread: &Thread,
    codec: &str,
    state: EntityState,
    id: &str,
) -> Result<Option<Document>> {
    match thread.node.codecs.find(codec) {
        Some(codec) => Document::new(codec, state, id),
        None => Ok(None),
    }
}

/// The keys of an entity: its state's and its history's prefix.
pub(crate) fn keys(thread: Number, collection: Number, id: &str) -> (Vec<u8>, Vec<u8>) {
    (
        layout::entity(thread, collection, id),
        layout::history_of(thread, collection, id),
    )
}
