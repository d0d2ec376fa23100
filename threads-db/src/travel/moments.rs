//! The history of an entity, event by event.

use serde::Serialize;
use serde_json::Value;
use threads_core::batch::EntityEvent;
use threads_core::codec::ActionKind;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::record::Record;
use threads_core::{Cid, CodecId, CollectionName, EntityId, ErrorKind, Hlc, LogId, PeerId, Result};

use super::edit::{self, Edit};
use super::undo;
use super::walk::{self, Replayer};
use crate::base;
use crate::chain;
use crate::collection::Collection;
use crate::db::Db;
use crate::entity::Life;
use crate::feed::{self, Rejudged};
use crate::held::{self, HeldReason};
use crate::history::{self, HistoryRow, Replayed};
use crate::layout::{self, EventPlace, Number};
use crate::modules::View;
use crate::opened::Opened;
use crate::purge;
use crate::thread::Thread;

/// What became of an entity, event by event.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// let history = db.history(&people, "bob").unwrap();
/// assert_eq!((history.moments.len(), history.purged), (1, false));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// Its events in their order, which is that of their times; those in quarantine after all others.
    pub moments: Vec<Moment>,
    /// Whether events of it were purged: nobody here knows any more what they said.
    pub purged: bool,
    /// Whether there were others before these that are not here: see [`Db::base`].
    pub older: bool,
}

/// One event of an entity.
///
/// ```
/// use threads_db::{Fate, Moment};
/// fn line(moment: &Moment) -> String {
///     let edits: Vec<_> = moment.edits.iter().map(|edit| edit.to_string()).collect();
///     format!("{} {}", moment.record, edits.join(", "))
/// }
/// fn counts(moment: &Moment) -> bool { matches!(moment.fate, Fate::Applied) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// The record that has it.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// The record's log.
    pub log: LogId,
    /// The record's place in the log.
    pub seq: u64,
    /// Its place among the events of the record, from 0.
    pub index: u32,
    /// The identity that owns the log.
    pub author: Option<PeerId>,
    /// When it was written, by the author's clock.
    pub time: Hlc,
    /// What was asked for.
    #[serde(serialize_with = "crate::text::action")]
    pub action: ActionKind,
    /// The codec that it is in.
    pub codec: CodecId,
    /// What became of it.
    pub fate: Fate,
    /// What it changed, as the collection shows it; nothing unless it was applied, and of a version of a
    /// [module](crate::InstalledModule) nothing where it changed only what that does not see.
    pub edits: Vec<Edit>,
    /// The record that its record takes back, where it is of an undo or a redo.
    #[serde(
        serialize_with = "crate::text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub takes_back: Option<Cid>,
}

/// What became of an event.
///
/// ```
/// use threads_db::Fate;
/// assert_eq!(Fate::Applied.to_string(), "applied");
/// assert_eq!(Fate::AfterDelete.to_string(), "without effect: the entity had been deleted");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was applied.
    Applied,
    /// It was applied, and found nothing to change.
    Unchanged,
    /// It came after a delete, which is final.
    AfterDelete,
    /// It is of another codec than the entity's first event.
    OtherCodec,
    /// Its codec is not installed here.
    CodecMissing,
    /// Its codec refuses it on what there was, for this reason.
    Refused(String),
    /// The same was adopted before, or came to be applied itself.
    Repeated,
    /// It was undone when its record turned out to have been written without the right; by which record.
    Reverted(#[serde(serialize_with = "crate::text::optional")] Option<Cid>),
    /// Its record is kept apart and not applied, for this reason.
    Quarantined(String),
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Applied => f.write_str("applied"),
            Self::Unchanged => f.write_str("without effect: nothing was left to change"),
            Self::AfterDelete => f.write_str("without effect: the entity had been deleted"),
            Self::OtherCodec => f.write_str("without effect: of another codec than the entity"),
            Self::CodecMissing => f.write_str("waits: its codec is not installed here"),
            Self::Refused(why) => write!(f, "rejected: {why}"),
            Self::Repeated => f.write_str("without effect: adopted, and counted once"),
            Self::Reverted(Some(by)) => {
                write!(f, "reverted: its author had no right to it, by {by}")
            }
            Self::Reverted(None) => f.write_str("reverted"),
            Self::Quarantined(why) => write!(f, "in quarantine: {why}"),
        }
    }
}

impl Db {
    /// The history of an entity, in memory, as the collection shows it; see [`Db::each_moment`].
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
    /// let history = db.history(&people, "bob").unwrap();
    /// assert_eq!(history.moments[1].author, Some(node.peer_id()));
    /// assert_eq!(history.moments[1].edits[0].to_string(), "age: 42 → 43");
    /// ```
    pub fn history<T>(&self, collection: &Collection<T>, id: &str) -> Result<History> {
        let mut moments = Vec::new();
        let purged = self.each_moment(collection, id, &mut |moment| {
            moments.push(moment);
            Ok(())
        })?;
        let older = self.has_older(collection.name(), id)?;
        Ok(History {
            moments,
            purged,
            older,
        })
    }

    fn has_older(&self, collection: &CollectionName, id: &str) -> Result<bool> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let Some(number) = walk::number(&*txn, thread, collection)? else {
            return Ok(false);
        };
        let key = layout::entity(thread.number, number, id);
        Ok(base::of_entity(&*txn, thread.number, &key)?.is_some())
    }

    /// Gives each event of an entity, in order, those that were undone among them; then what is in quarantine.
    /// Says whether events of it were purged. Every event is read and applied once, and every record in quarantine
    /// looked at; in memory are about 100 bytes for each event.
    ///
    /// # Errors
    ///
    /// Those of the datastore, and the first one of `each`.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let purged = db.each_moment(&people, "bob", &mut |moment| Ok(println!("{}", moment.record)));
    /// assert!(!purged.unwrap());
    /// ```
    pub fn each_moment<T>(
        &self,
        collection: &Collection<T>,
        id: &str,
        each: &mut dyn FnMut(Moment) -> Result<()>,
    ) -> Result<bool> {
        let thread = self.thread();
        thread.check_reads()?;
        collection.check_thread(thread)?;
        let Ok(id) = id.parse::<EntityId>() else {
            return Ok(false);
        };
        let txn = thread.node.store.read()?;
        let teller = Teller {
            txn: &*txn,
            thread,
            id: &id,
            view: collection.view(),
        };
        if let Some(number) = walk::number(&*txn, thread, collection.name())? {
            let mut replayer = Replayer::new(&*txn, thread, number);
            let rows = replayer.entity(id.as_str())?.rows;
            teller.tell(&mut replayer, rows, each)?;
        }
        teller.tell_quarantined(collection.name(), each)?;
        purge::is_entity(&*txn, thread.number, collection.name(), &id)
    }
}

struct Teller<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    id: &'a EntityId,
    /// How a version of a module sees the entity.
    view: Option<&'a View>,
}

impl Teller<'_> {
    /// Tells the events that are or were applied, in their order.
    fn tell(
        &self,
        replayer: &mut Replayer<'_>,
        rows: Vec<HistoryRow>,
        each: &mut dyn FnMut(Moment) -> Result<()>,
    ) -> Result<()> {
        let (applied, undone): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.turns.is_applied());
        // Both are in order, so that what was undone is told between what was applied.
        let times: Vec<_> = applied.iter().map(|row| row.place).collect();
        let mut undone = undone.into_iter().peekable();
        let mut reverted = Vec::new();
        for row in undone.by_ref() {
            let event = replayer.events.event(&row.place)?;
            let record = replayer
                .events
                .record(row.place.of_record(self.thread.number))?;
            let fate = self.reverted(&row)?;
            reverted.push((row.place, self.moment(&row.place, &record, &event, fate)?));
        }
        let mut reverted = reverted.into_iter().peekable();
        let begins = replayer.begins(self.id.as_str())?;
        replayer.events.replay_each(begins, &times, &mut |step| {
            while let Some((_, moment)) =
                reverted.next_if(|(place, _)| place.time < step.place.time)
            {
                each(moment)?;
            }
            each(self.step(&step)?)
        })?;
        reverted.try_for_each(|(_, moment)| each(moment))
    }

    fn step(&self, step: &Replayed<'_>) -> Result<Moment> {
        let fate = self.fate(step)?;
        let mut moment = self.moment(step.place, step.record, step.event, fate)?;
        if step.before != step.after {
            let before = self.shown(step.before)?;
            let after = self.shown(step.after)?;
            moment.edits = edit::edits(before.as_ref(), after.as_ref());
        }
        Ok(moment)
    }

    fn shown(&self, life: &Life) -> Result<Option<Value>> {
        let stored = history::view(self.thread, life, self.id.as_str())?;
        Ok(match self.view {
            Some(view) => stored.map(|stored| view.value(&stored)),
            None => stored,
        })
    }

    /// Why an event had no effect, if it had none.
    fn fate(&self, step: &Replayed<'_>) -> Result<Fate> {
        let event = step.event;
        if step.repeats {
            return Ok(Fate::Repeated);
        }
        if step.before != step.after {
            return Ok(match step.after {
                Life::Waiting(_) => Fate::CodecMissing,
                _ => Fate::Applied,
            });
        }
        match step.before {
            Life::Deleted => return Ok(Fate::AfterDelete),
            Life::Live(codec, _) | Life::Waiting(codec) if *codec != event.codec => {
                return Ok(Fate::OtherCodec);
            }
            _ => {}
        }
        let Some(codec) = self.thread.node.codecs.find(event.codec.as_str()) else {
            return Ok(Fate::CodecMissing);
        };
        match codec.apply(step.before.state(), &event.payload) {
            Ok(_) => Ok(Fate::Unchanged),
            Err(error) if error.kind() == ErrorKind::Rejected => {
                Ok(Fate::Refused(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn moment(
        &self,
        place: &EventPlace,
        record: &Opened,
        event: &EntityEvent,
        fate: Fate,
    ) -> Result<Moment> {
        Ok(Moment {
            record: record.record.id(),
            log: record.record.fields().log,
            seq: place.seq,
            index: place.index,
            author: self.thread.author(self.txn, place.log)?,
            time: place.time,
            action: event.action,
            codec: event.codec.clone(),
            fate,
            edits: Vec::new(),
            takes_back: undo::takes_back(record).map(|taken| taken.record),
        })
    }

    /// By which record an event was undone: the feed says so where that happened.
    fn reverted(&self, row: &HistoryRow) -> Result<Fate> {
        let at = row.turns.last();
        let row = feed::row(self.txn, self.thread.number, at)?;
        Ok(Fate::Reverted(match row.and_then(|row| row.rejudged) {
            Some(Rejudged::Reverted(by)) => Some(by),
            _ => None,
        }))
    }

    /// Tells the events that were never applied, as their records are in quarantine.
    fn tell_quarantined(
        &self,
        collection: &CollectionName,
        each: &mut dyn FnMut(Moment) -> Result<()>,
    ) -> Result<()> {
        let number = walk::number(self.txn, self.thread, collection)?;
        // As many as the bounds of what is held allow.
        for arrival in held::arrivals(self.txn, self.thread.number)? {
            let entry = held::get(self.txn, self.thread.number, arrival)?;
            let Some(entry) = entry.filter(|entry| entry.row.why.is_quarantine()) else {
                continue;
            };
            let Some((opened, log)) = self.quarantined(&entry)? else {
                continue;
            };
            let events = opened.batch().map_or(&[][..], |batch| &batch.events);
            for (event, index) in events.iter().zip(0..) {
                let place = EventPlace {
                    time: opened.time,
                    log,
                    seq: entry.row.seq,
                    index,
                };
                let is_of_it = event.collection == *collection && event.entity == *self.id;
                if !is_of_it || self.is_told(number, &place)? {
                    continue;
                }
                let fate = match entry.row.why.clone().into() {
                    HeldReason::Quarantine(why) | HeldReason::Access(why) => Fate::Quarantined(why),
                    other => Fate::Quarantined(other.to_string()),
                };
                let mut moment = self.moment(&place, &opened, event, fate)?;
                moment.author = entry.row.author;
                each(moment)?;
            }
        }
        Ok(())
    }

    /// A record in quarantine, and its log's local number, if it stands in one. What breaks a rule cannot be
    /// opened: nobody knows what it says.
    fn quarantined(&self, entry: &held::Entry) -> Result<Option<(Opened, Number)>> {
        let place = chain::locate(self.txn, self.thread.number, &entry.row.record)?;
        let blocks = match (&entry.blocks, place) {
            (Some(blocks), _) => blocks.clone(),
            (None, Some(place)) => chain::expect(self.txn, place)?,
            (None, None) => return Ok(None),
        };
        match self.thread.open(&blocks) {
            Ok(opened) => Ok(Some((opened, place.map_or(Number::MAX, |place| place.log)))),
            Err(error) if error.kind() == ErrorKind::Rejected => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an event was told with those that are or were applied.
    fn is_told(&self, collection: Option<Number>, place: &EventPlace) -> Result<bool> {
        let Some(collection) = collection else {
            return Ok(false);
        };
        let (_, prefix) = history::keys(self.thread.number, collection, self.id.as_str());
        history::is_known(self.txn, &prefix, place)
    }
}
