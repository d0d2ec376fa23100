//! Looking into a thread's logs: what was recorded, by whom, and what a block is.

use std::collections::BTreeMap;

use serde::Serialize;
use threads_core::batch::Batch;
use threads_core::codec::ActionKind;
use threads_core::datastore::ReadTxn;
use threads_core::event::Event;
use threads_core::record::{Dep, Record};
use threads_core::{Cid, CodecId, CollectionName, EntityId, Error, Hlc, LogId, PeerId, Result};

use crate::base::{self, Base};
use crate::chain::{self, Blocks};
use crate::db::Db;
use crate::export::ByTime;
use crate::feed;
use crate::held;
use crate::layout::Place;
use crate::opened::{Body, Opened};
use crate::thread::{Thread, Tip};

/// A record in short.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// let latest = &db.log(Some(1)).unwrap()[0];
/// assert_eq!((latest.seq, latest.actions["create"]), (2, 1));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// The record.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// Its log.
    pub log: LogId,
    /// Its place in the log.
    pub seq: u64,
    /// The time of its event.
    pub time: Hlc,
    /// The identity that owns the log.
    pub author: Option<PeerId>,
    /// How many events of each kind it holds; empty when this node cannot read the body.
    pub actions: BTreeMap<&'static str, u64>,
    /// The collections it changes.
    pub collections: Vec<CollectionName>,
    /// How many bytes its three blocks have.
    pub bytes: u64,
    /// By which record it was purged, if it was: nobody knows its time then, nor what it changed.
    #[serde(
        serialize_with = "crate::text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub purged_by: Option<Cid>,
}

/// What a block of a thread is.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// let shown = db.show(&db.log(Some(1)).unwrap()[0].record).unwrap();
/// assert_eq!((shown.block, shown.events.len()), ("record", 1));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// What was asked for: `record`, `event` or `body`. The rest describes the record it is of.
    pub block: &'static str,
    /// The record.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// Its event's block.
    #[serde(serialize_with = "crate::text::display")]
    pub event: Cid,
    /// Its body's block; none when it was purged, for only the event knew it.
    #[serde(serialize_with = "crate::text::optional")]
    pub body: Option<Cid>,
    /// How many bytes the three blocks have.
    pub bytes: [u64; 3],
    /// The log.
    pub log: LogId,
    /// The record's place in the log.
    pub seq: u64,
    /// The identity that owns the log, in the log's first record.
    pub author: Option<PeerId>,
    /// The record before it.
    #[serde(serialize_with = "crate::text::optional")]
    pub prev: Option<Cid>,
    /// The older record it links to.
    #[serde(serialize_with = "crate::text::optional")]
    pub skip: Option<Cid>,
    /// The heads of other logs that its author had seen.
    pub deps: Vec<String>,
    /// The number of the keys it is sealed under.
    pub epoch: u64,
    /// The signature, in base64url.
    pub signature: String,
    /// The time of the event.
    pub time: Hlc,
    /// The format of the body; none where the thread is kept without its read key.
    pub format: Option<CodecId>,
    /// Whether this node can read the body: `readable`, `private`, `unknown format`, `blind` where
    /// the thread is kept without its read key, or `purged`.
    pub access: &'static str,
    /// By which record it was purged, if it was.
    #[serde(
        serialize_with = "crate::text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub purged_by: Option<Cid>,
    /// What the body says.
    pub events: Vec<ShownEvent>,
}

/// One event of a body.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// let shown = db.show(&db.log(Some(1)).unwrap()[0].record).unwrap();
/// assert_eq!((shown.events[0].entity.as_str(), shown.events[0].action), ("bob", "create"));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownEvent {
    /// Where the entity lives.
    pub collection: CollectionName,
    /// Which entity.
    pub entity: EntityId,
    /// What happens to it.
    pub action: &'static str,
    /// Whose bytes the payload is.
    pub codec: CodecId,
    /// How many bytes the payload has.
    pub bytes: u64,
}

impl Db {
    /// The latest records, the last one that became known here first; `limit` at most.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(db.log(None).unwrap().len(), 2);
    /// ```
    pub fn log(&self, limit: Option<usize>) -> Result<Vec<LogEntry>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let last = Tip::get(&*txn, thread.number)?.position;
        let mut entries = Vec::new();
        let first = base::position(&*txn, thread.number)? + 1;
        for position in (first..=last).rev() {
            if limit.is_some_and(|limit| entries.len() >= limit) {
                break;
            }
            let row = feed::row(&*txn, thread.number, position)?
                .ok_or_else(|| Error::corrupt("the feed has a gap").with("position", position))?;
            if row.rejudged.is_some() {
                // It is listed where it came first.
                continue;
            }
            entries.push(entry(&*txn, thread, row.place)?);
        }
        let room = limit.map_or(usize::MAX, |limit| limit.saturating_sub(entries.len()));
        let mut before = without_feed(&*txn, thread)?;
        before.reverse();
        for place in before.into_iter().take(room) {
            entries.push(entry(&*txn, thread, place)?);
        }
        Ok(entries)
    }

    /// What the block is that `cid` names: a record, an event or a body of this thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when it is none of them.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let record = db.show(&db.log(Some(1)).unwrap()[0].record).unwrap();
    /// assert_eq!(db.show(&record.body.unwrap()).unwrap().block, "body");
    /// ```
    pub fn show(&self, cid: &Cid) -> Result<Shown> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        if let Some(place) = chain::locate(&*txn, thread.number, cid)? {
            let blocks = chain::expect(&*txn, place)?;
            if blocks.record_id() == *cid {
                return shown("record", &thread.open(&blocks)?, &blocks);
            }
        }
        match self.find_part(&*txn, cid)? {
            Some((part, blocks)) => shown(part, &thread.open(&blocks)?, &blocks),
            None => Err(Error::not_found("no block of this thread has this CID").with("cid", cid)),
        }
    }

    /// Events and bodies are found through their records, one after the other.
    fn find_part(&self, txn: &dyn ReadTxn, cid: &Cid) -> Result<Option<(&'static str, Blocks)>> {
        let thread = self.thread();
        let mut order = ByTime::new(txn, thread)?;
        while let Some(place) = order.next(txn, thread)? {
            let blocks = chain::expect(txn, place)?;
            if blocks.is_emptied() {
                continue;
            }
            let [_, event, body] = blocks.clone().into_blocks()?;
            for (part, block) in [("event", event), ("body", body)] {
                if block.cid() == cid {
                    return Ok(Some((part, blocks)));
                }
            }
        }
        Ok(None)
    }
}

/// The applied records that came before the feed begins here, which stayed when others were dropped or are here again,
/// in the order of their times.
fn without_feed(txn: &dyn ReadTxn, thread: &Thread) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    let Some(base) = Base::get(txn, thread.number)?.filter(|base| !base.no_feed.is_empty()) else {
        return Ok(places);
    };
    let mut order = ByTime::new(txn, thread)?;
    while let Some(place) = order.next(txn, thread)? {
        let last = base.no_feed.get(&place.log);
        if last.is_none_or(|last| place.seq > *last) {
            continue;
        }
        let blocks = chain::expect(txn, place)?;
        let record = thread.open_record(&blocks.record)?;
        let known = (&record.fields().log, place.seq, &record.id());
        if held::find(txn, thread.number, known)?.is_none() {
            places.push(place);
        }
    }
    Ok(places)
}

fn entry(txn: &dyn ReadTxn, thread: &Thread, place: Place) -> Result<LogEntry> {
    let blocks = chain::expect(txn, place)?;
    let opened = thread.open(&blocks)?;
    Ok(LogEntry {
        record: opened.record.id(),
        log: opened.record.fields().log,
        seq: place.seq,
        time: opened.time,
        author: thread.author(txn, place.log)?,
        actions: actions(opened.batch()),
        collections: collections(opened.batch()),
        bytes: blocks.bytes(),
        purged_by: blocks.purged_by()?,
    })
}

fn actions(batch: Option<&Batch>) -> BTreeMap<&'static str, u64> {
    let mut actions = BTreeMap::new();
    for event in batch.map_or(&[][..], |batch| &batch.events) {
        *actions.entry(ActionKind::as_str(event.action)).or_insert(0) += 1;
    }
    actions
}

fn collections(batch: Option<&Batch>) -> Vec<CollectionName> {
    let events = batch.map_or(&[][..], |batch| &batch.events);
    let mut names: Vec<_> = events
        .iter()
        .map(|event| event.collection.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn shown(block: &'static str, opened: &Opened, blocks: &Blocks) -> Result<Shown> {
    let fields = opened.record.fields();
    let dep = |dep: &Dep| format!("{} {} {}", dep.log, dep.seq, dep.cid);
    let events = opened.batch().map_or(&[][..], |batch| &batch.events);
    Ok(Shown {
        block,
        record: opened.record.id(),
        event: fields.event,
        body: match blocks.is_emptied() {
            true => None,
            false => Some(Event::decode(&blocks.event)?.body_id()),
        },
        bytes: [&blocks.record, &blocks.event, &blocks.body].map(|part| part.len() as u64),
        log: fields.log,
        seq: fields.seq,
        author: opened.record.author(),
        prev: fields.prev,
        skip: fields.skip,
        deps: fields.deps.iter().map(dep).collect(),
        epoch: fields.epoch,
        signature: threads_core::multibase::Base::Base64Url.encode(opened.record.sig()),
        time: opened.time,
        format: opened.format.clone(),
        access: match opened.body {
            Body::Batch(_) => "readable",
            Body::Access(_) => "access statements",
            Body::Private => "private",
            Body::Unknown => "unknown format",
            Body::Blind => "blind",
            Body::Purged => "purged",
        },
        purged_by: blocks.purged_by()?,
        events: events
            .iter()
            .map(|event| ShownEvent {
                collection: event.collection.clone(),
                entity: event.entity.clone(),
                action: event.action.as_str(),
                codec: event.codec.clone(),
                bytes: event.payload.len() as u64,
            })
            .collect(),
    })
}

/// The place of a record in words, for reports.
pub(crate) fn place_text(log: Option<&LogId>, place: Place) -> String {
    match log {
        Some(log) => format!("log {log}, record {}", place.seq),
        None => format!("log {}, record {}", place.log, place.seq),
    }
}
