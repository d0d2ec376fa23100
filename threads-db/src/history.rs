//! The history of an entity: its events in their order, and the state they give.
//!
//! Rows of [`Keyspace::History`] order by hybrid time; events of one time order by log id and
//! sequence number, on every peer alike. A row's value is the position in the feed at which the
//! event became known here.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use threads_core::batch::EntityEvent;
use threads_core::codec::{ActionKind, EntityState};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, LogId, Result};

use crate::chain;
use crate::entity::{EntityRow, Life};
use crate::layout::{self, EventPlace, Number, Place, Prefix};
use crate::opened::Opened;
use crate::thread::Thread;

/// How many opened records a replay keeps at hand.
const OPENED_MAX: usize = 8;

/// One event of an entity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryRow {
    pub(crate) place: EventPlace,
    /// The position in the feed at which it became known here.
    pub(crate) position: u64,
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

/// The events of an entity, in their order.
pub(crate) fn rows(txn: &dyn ReadTxn, thread: &Thread, prefix: &[u8]) -> Result<Vec<HistoryRow>> {
    let damaged = || Error::corrupt("an entity's history is damaged: verify the thread");
    let bounds = Prefix::new(prefix);
    let mut rows = Vec::new();
    for row in txn.scan(Keyspace::History, bounds.range(), Direction::Forward)? {
        let (key, value) = row?;
        let place = EventPlace::from_bytes(&key[prefix.len()..])?;
        let position = u64::from_be_bytes((&*value).try_into().map_err(|_| damaged())?);
        rows.push(HistoryRow { place, position });
    }
    // Keys order by time and then by local log numbers, which differ from peer to peer.
    let tied = rows.windows(2).any(|pair| {
        pair[0].place.time == pair[1].place.time && pair[0].place.log != pair[1].place.log
    });
    if tied {
        let logs = thread.log_ids(txn)?;
        rows.sort_by_key(|row| order(&row.place, &logs));
    }
    Ok(rows)
}

/// The total order of events: time, log id, sequence number, position in the batch.
pub(crate) fn order(
    place: &EventPlace,
    logs: &HashMap<Number, LogId>,
) -> (threads_core::Hlc, Option<LogId>, u64, u32) {
    (
        place.time,
        logs.get(&place.log).copied(),
        place.seq,
        place.index,
    )
}

/// Reads events back from their records, keeping the latest records at hand.
pub(crate) struct Events<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    opened: VecDeque<(Place, Arc<Opened>)>,
}

impl<'a> Events<'a> {
    pub(crate) fn new(txn: &'a dyn ReadTxn, thread: &'a Thread) -> Self {
        Self {
            txn,
            thread,
            opened: VecDeque::new(),
        }
    }

    /// The opened record at `place`.
    pub(crate) fn record(&mut self, place: Place) -> Result<Arc<Opened>> {
        if let Some((_, opened)) = self.opened.iter().find(|(at, _)| *at == place) {
            return Ok(Arc::clone(opened));
        }
        let blocks = chain::expect(self.txn, place)?;
        let opened = Arc::new(self.thread.open(&blocks)?);
        if self.opened.len() == OPENED_MAX {
            self.opened.pop_front();
        }
        self.opened.push_back((place, Arc::clone(&opened)));
        Ok(opened)
    }

    /// The event at `place`.
    pub(crate) fn event(&mut self, place: &EventPlace) -> Result<EntityEvent> {
        let at = Place {
            thread: self.thread.number,
            log: place.log,
            seq: place.seq,
        };
        let opened = self.record(at)?;
        let events = opened.batch().map_or(&[][..], |batch| &batch.events);
        events.get(place.index as usize).cloned().ok_or_else(|| {
            Error::corrupt("a record no longer holds an event of its entity").with("seq", place.seq)
        })
    }

    /// The state that events give, one after the other, on top of `before`.
    pub(crate) fn replay(
        &mut self,
        before: Life,
        rows: impl IntoIterator<Item = EventPlace>,
    ) -> Result<Life> {
        let mut life = before;
        for place in rows {
            let event = self.event(&place)?;
            life = apply(self.thread, life, &event)?;
        }
        Ok(life)
    }
}

/// What becomes of an entity by one event.
///
/// Deleting is final. An event that its codec refuses, or whose codec is not installed here,
/// changes nothing: it stays in the history, and a replay applies it once it can be.
pub(crate) fn apply(thread: &Thread, life: Life, event: &EntityEvent) -> Result<Life> {
    match (&life, event.action) {
        (Life::Deleted, _) => return Ok(life),
        (_, ActionKind::Delete) => return Ok(Life::Deleted),
        _ => {}
    }
    let Ok(codec) = thread.node.codecs.get(&event.codec) else {
        return Ok(life);
    };
    match codec.apply(life.state(), &event.payload) {
        Ok(state) => Ok(Life::Live(state)),
        Err(error) if error.kind() == threads_core::ErrorKind::Rejected => Ok(life),
        Err(error) => Err(error),
    }
}

/// An entity's life as it was known at a position of the feed.
pub(crate) fn as_of(
    events: &mut Events<'_>,
    prefix: &[u8],
    entity_key: &[u8],
    position: u64,
) -> Result<Life> {
    let rows = rows(events.txn, events.thread, prefix)?;
    if rows.iter().all(|row| row.position <= position)
        && let Some(row) = EntityRow::get(events.txn, entity_key)?
    {
        return Ok(row.life);
    }
    let known = rows
        .into_iter()
        .filter(|row| row.position <= position)
        .map(|row| row.place);
    events.replay(Life::Unknown, known)
}

/// The JSON that applications see of a life; `None` when there is none.
pub(crate) fn view(
    codec: &dyn threads_core::codec::EventCodec,
    life: &Life,
) -> Result<Option<serde_json::Value>> {
    life.state()
        .map(|state: &EntityState| codec.view(state))
        .transpose()
}

/// The keys of an entity: its state's and its history's prefix.
pub(crate) fn keys(thread: Number, collection: Number, id: &str) -> (Vec<u8>, Vec<u8>) {
    (
        layout::entity(thread, collection, id),
        layout::history_of(thread, collection, id),
    )
}
