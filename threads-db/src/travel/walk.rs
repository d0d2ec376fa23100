//! The histories of a collection's entities, one after the other.

use std::iter::Peekable;

use threads_core::datastore::{Direction, Keyspace, ReadTxn, Scan};
use threads_core::{CollectionName, Error, Result};

use super::Cut;
use crate::base;
use crate::compact;
use crate::document::Document;
use crate::entity::{EntityRow, Life};
use crate::history::{self, Events, HistoryRow, Turns};
use crate::layout::{self, EventPlace, Number, Prefix, meta};
use crate::thread::Thread;

/// How many bytes of opened records a walk over many entities keeps at hand: neighbours by id were often
/// written far apart.
const OPENED_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The local number of a collection, if anything of it ever was here.
pub(super) fn number(
    txn: &dyn ReadTxn,
    thread: &Thread,
    name: &CollectionName,
) -> Result<Option<Number>> {
    layout::number(txn, &meta::collection(thread.number, name))
}

/// An entity with all of its events, those that were undone among them, in their order.
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) rows: Vec<HistoryRow>,
}

/// Every entity of a collection that any event is known of, by id. In memory is one of them at a time; where the
/// thread begins with a snapshot here, the ids of all.
pub(super) struct Entities<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    prefix: Vec<u8>,
    rows: Peekable<Scan<'a>>,
    /// The ids, where not all have a history.
    ids: Option<std::collections::btree_set::IntoIter<String>>,
}

impl<'a> Entities<'a> {
    pub(super) fn new(txn: &'a dyn ReadTxn, thread: &'a Thread, number: Number) -> Result<Self> {
        let prefix = layout::collection_prefix(thread.number, number).to_vec();
        let bounds = Prefix::new(&prefix);
        let rows = txn.scan(Keyspace::History, bounds.range(), Direction::Forward)?;
        let ids = match base::covers_any(txn, thread.number)? {
            true => Some(compact::ids(txn, &prefix)?.into_iter()),
            false => None,
        };
        Ok(Self {
            txn,
            thread,
            prefix,
            rows: rows.peekable(),
            ids,
        })
    }

    fn entity(&mut self) -> Result<Option<Kept>> {
        if let Some(ids) = &mut self.ids {
            let Some(id) = ids.next() else {
                return Ok(None);
            };
            let history = [&self.prefix[..], id.as_bytes(), &[0]].concat();
            let rows = history::all(self.txn, self.thread, &history)?;
            return Ok(Some(Kept { id, rows }));
        }
        let Some(first) = self.rows.next() else {
            return Ok(None);
        };
        let (key, value) = first?;
        let damaged = || Error::corrupt("the key of an event is damaged: verify the thread");
        let end = key
            .len()
            .checked_sub(EventPlace::BYTES)
            .ok_or_else(damaged)?;
        let prefix = key[..end].to_vec();
        let id = prefix[self.prefix.len()..].strip_suffix(&[0]);
        let id = std::str::from_utf8(id.ok_or_else(damaged)?).map_err(|_| damaged())?;
        let mut rows = vec![row(&key[end..], &value)?];
        // What cannot be read ends it too, and is told with the next.
        while let Some(Ok((key, value))) = self.rows.next_if(|row| match row {
            Ok((key, _)) => key.starts_with(&prefix),
            Err(_) => false,
        }) {
            rows.push(row(&key[end..], &value)?);
        }
        Ok(Some(Kept {
            id: id.to_owned(),
            rows: history::in_order(self.txn, self.thread, rows)?,
        }))
    }
}

impl Iterator for Entities<'_> {
    type Item = Result<Kept>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entity().transpose()
    }
}

fn row(place: &[u8], turns: &[u8]) -> Result<HistoryRow> {
    let place = EventPlace::from_bytes(place)?;
    let turns = Turns::decode(turns)?;
    Ok(HistoryRow { place, turns })
}

/// Makes entities as they were.
pub(super) struct Replayer<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    number: Number,
    pub(super) events: Events<'a>,
}

impl<'a> Replayer<'a> {
    pub(super) fn new(txn: &'a dyn ReadTxn, thread: &'a Thread, number: Number) -> Self {
        Self {
            txn,
            thread,
            number,
            events: Events::keeping(txn, thread, OPENED_BYTES_MAX),
        }
    }

    /// One entity with its events.
    pub(super) fn entity(&self, id: &str) -> Result<Kept> {
        let (_, prefix) = history::keys(self.thread.number, self.number, id);
        Ok(Kept {
            id: id.to_owned(),
            rows: history::all(self.txn, self.thread, &prefix)?,
        })
    }

    /// What an entity begins with here: nothing where all of its records are here.
    pub(super) fn begins(&self, id: &str) -> Result<Life> {
        let key = layout::entity(self.thread.number, self.number, id);
        let begins = base::of_entity(self.txn, self.thread.number, &key)?;
        Ok(begins.map_or(Life::Unknown, |begins| begins.life))
    }

    /// What had become of an entity. What nothing happened to since is as it is kept; everything else is
    /// replayed from its first event.
    pub(super) fn life(&mut self, kept: &Kept, cut: &Cut) -> Result<Life> {
        let is_now = |row: &HistoryRow| cut.has(row) == row.turns.is_applied();
        if kept.rows.iter().all(is_now) {
            let key = layout::entity(self.thread.number, self.number, &kept.id);
            let row = EntityRow::get(self.txn, &key)?;
            return Ok(row.map_or(Life::Unknown, |row| row.life));
        }
        let rows = kept.rows.iter().filter(|row| cut.has(row));
        let begins = self.begins(&kept.id)?;
        self.events.replay(begins, rows.map(|row| row.place))
    }

    /// What an application would have seen of it.
    pub(super) fn document(&mut self, kept: &Kept, cut: &Cut) -> Result<Option<Document>> {
        let life = self.life(kept, cut)?;
        self.show(life, &kept.id)
    }

    /// What an application sees of a life.
    pub(super) fn show(&self, life: Life, id: &str) -> Result<Option<Document>> {
        match life {
            Life::Live(codec, state) => history::document(self.thread, codec.as_str(), state, id),
            _ => Ok(None),
        }
    }
}
