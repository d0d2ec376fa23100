//! Making a snapshot's content from what is here, a few items at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use threads_core::books::HeadBook;
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::record::Dep;
use threads_core::{Cid, CollectionName, Error, Hlc, Result};

use super::content::{CONTENT_VERSION, EntityItem, Item, LogItem, MarksItem, Name, RecordItem};
use super::cover::{kept, latest_access};
use super::covered::Covered;
use crate::access;
use crate::base::marks::{self, MARKS_AT_ONCE};
use crate::base::{self, Base};
use crate::chain;
use crate::entity::{EntityRow, Life};
use crate::history::{self, Events};
use crate::layout::{self, Number, Place, Prefix, meta};
use crate::thread::Thread;

/// How many entities are looked at in one step.
const STEP_ENTITIES: usize = 64;

/// A log as far as a snapshot covers it.
#[derive(Clone, Debug)]
struct CoveredLog {
    number: Number,
    item: LogItem,
    /// The records of it that stay needed.
    kept: VecDeque<u64>,
}

/// What is to be made next.
enum Step {
    Thread,
    Logs,
    /// Marks of records of this log, from one on.
    Marks(usize, u64),
    /// Records of this log.
    Records(usize),
    /// Entities of this collection, after this key.
    Entities(usize, Vec<u8>),
    End,
    Done,
}

/// The content of a snapshot, as it is made.
pub(crate) struct Content<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    covered: Covered,
    logs: Vec<CoveredLog>,
    /// The place of each log among them, by local number.
    order: BTreeMap<Number, u64>,
    collections: Vec<(CollectionName, Number)>,
    /// Whether it covers all that is here.
    is_now: bool,
    step: Step,
    made: VecDeque<Item>,
    counts: [u64; 3],
}

impl<'a> Content<'a> {
    /// The content of a snapshot that covers this.
    pub(crate) fn new(txn: &'a dyn ReadTxn, thread: &'a Thread, covered: Covered) -> Result<Self> {
        let mut logs = Vec::new();
        let mut is_now = true;
        for (id, head) in HeadBook::new(txn).all(&thread.id)? {
            let number = layout::number(txn, &meta::log_by_id(thread.number, &id))?;
            let number = number.ok_or_else(|| Error::corrupt("a log has no local number"))?;
            let last = covered.last(number);
            is_now &= last == head.seq;
            if last == 0 {
                continue;
            }
            let place = Place {
                thread: thread.number,
                log: number,
                seq: last,
            };
            let blocks = chain::expect(txn, place)?;
            // Not everybody knows the time of what was purged.
            let time = match blocks.is_emptied() {
                true => Hlc::ZERO,
                false => thread.time(&blocks)?,
            };
            let acl = access::named_before(txn, place)?;
            let kept = kept(txn, thread, (number, last), &covered)?;
            let item = LogItem::new(id, (last, blocks.record_id()), time, acl);
            logs.push(CoveredLog {
                number,
                item,
                kept: kept.into_iter().collect(),
            });
        }
        logs.sort_by_key(|log| log.item.log);
        let order = logs.iter().map(|log| log.number).zip(0..).collect();
        let collections = layout::collections(txn, thread.number)?;
        let collections: BTreeSet<_> = collections
            .into_iter()
            .map(|(number, name)| (name, number))
            .collect();
        Ok(Self {
            txn,
            thread,
            covered,
            logs,
            order,
            collections: collections.into_iter().collect(),
            is_now,
            step: Step::Thread,
            made: VecDeque::new(),
            counts: [0; 3],
        })
    }

    /// The last records of the logs that it covers.
    pub(crate) fn frontier(&self) -> Vec<Dep> {
        let dep = |log: &CoveredLog| Dep {
            log: log.item.log,
            seq: log.item.seq,
            cid: log.item.record,
        };
        self.logs.iter().map(dep).collect()
    }

    /// How many logs, records and entities came so far.
    pub(crate) fn counts(&self) -> [u64; 3] {
        self.counts
    }

    /// The next item; none after the end.
    pub(crate) fn next(&mut self) -> Result<Option<Item>> {
        // Ends: each turn gets on in what is finite.
        while self.made.is_empty() && !matches!(self.step, Step::Done) {
            self.make()?;
        }
        let item = self.made.pop_front();
        match &item {
            Some(Item::Log(_)) => self.counts[0] += 1,
            Some(Item::Record(_)) => self.counts[1] += 1,
            Some(Item::Entity(_)) => self.counts[2] += 1,
            Some(Item::Thread { .. } | Item::Marks(_) | Item::End { .. }) | None => {}
        }
        Ok(item)
    }

    fn make(&mut self) -> Result<()> {
        self.step = match std::mem::replace(&mut self.step, Step::Done) {
            Step::Thread => {
                self.made.push_back(Item::Thread {
                    version: CONTENT_VERSION,
                    thread: self.thread.id.clone(),
                    acl: self.access()?,
                });
                Step::Logs
            }
            Step::Logs => {
                let logs = self.logs.iter();
                self.made
                    .extend(logs.map(|log| Item::Log(log.item.clone())));
                Step::Marks(0, 1)
            }
            Step::Marks(log, first) => self.marks(log, first)?,
            Step::Records(log) => self.record(log)?,
            Step::Entities(collection, after) => self.entities(collection, after)?,
            Step::End => {
                let [logs, records, entities] = self.counts;
                self.made.push_back(Item::End {
                    logs,
                    records,
                    entities,
                });
                Step::Done
            }
            Step::Done => Step::Done,
        };
        Ok(())
    }

    /// The access records that no other names, of those that are covered.
    fn access(&self) -> Result<Vec<Cid>> {
        match Base::get(self.txn, self.thread.number)? {
            Some(base) if base.covered == self.covered => Ok(base.acl),
            _ => latest_access(self.txn, self.thread, &self.covered),
        }
    }

    fn marks(&mut self, log: usize, first: u64) -> Result<Step> {
        let Some(of) = self.logs.get(log) else {
            return Ok(Step::Records(0));
        };
        let last = of.item.seq.min(first + MARKS_AT_ONCE - 1);
        if first > last {
            return Ok(Step::Marks(log + 1, 1));
        }
        let marks = marks::of_range(self.txn, self.thread, of.number, first..=last)?;
        let item = MarksItem::new(log as u64, first, &marks);
        self.made.push_back(Item::Marks(item));
        Ok(Step::Marks(log, last + 1))
    }

    fn record(&mut self, log: usize) -> Result<Step> {
        let Some(of) = self.logs.get_mut(log) else {
            return Ok(Step::Entities(0, Vec::new()));
        };
        let Some(seq) = of.kept.pop_front() else {
            return Ok(Step::Records(log + 1));
        };
        let place = Place {
            thread: self.thread.number,
            log: of.number,
            seq,
        };
        let blocks = chain::expect(self.txn, place)?;
        let apart = self.covered.apart.get(&(place.log, seq)).copied();
        let record = self.thread.open_record(&blocks.record)?;
        let acl = access::named(self.txn, place, record.fields())?;
        let item = RecordItem::new((log as u64, seq), apart, acl, blocks);
        self.made.push_back(Item::Record(item));
        Ok(Step::Records(log))
    }

    fn entities(&mut self, collection: usize, after: Vec<u8>) -> Result<Step> {
        let Some((name, number)) = self.collections.get(collection).cloned() else {
            return Ok(Step::End);
        };
        let prefix = layout::collection_prefix(self.thread.number, number);
        let bounds = Prefix::new(&prefix);
        let after = Some(&after[..]).filter(|after| !after.is_empty());
        let rows = self
            .txn
            .scan(Keyspace::Entities, bounds.after(after), Direction::Forward)?;
        let mut last = None;
        for row in rows.take(STEP_ENTITIES) {
            let (key, value) = row?;
            let id = layout::entity_id(&key, prefix.len())?;
            let row = match self.is_now {
                true => Some(EntityRow::decode(&value)?),
                false => life(self.txn, self.thread, &self.covered, &key)?,
            };
            if let Some(EntityRow { last: at, life }) = row {
                let order = self.order.get(&at.log).copied();
                let order = order.ok_or_else(|| Error::corrupt("an event is of no log"))?;
                let place = (order, at.seq, at.index);
                let item = EntityItem::new((name.clone(), id), life, at.time, place)?;
                self.made.push_back(Item::Entity(item));
            }
            last = Some(key.into_owned());
        }
        Ok(match last {
            Some(last) => Step::Entities(collection, last),
            None => Step::Entities(collection + 1, Vec::new()),
        })
    }

    /// Makes all of it, and gives its name and how many bytes it has.
    pub(crate) fn name(&mut self) -> Result<(Cid, u64)> {
        let mut name = Name::default();
        while let Some(item) = self.next()? {
            name.update(&item.encode()?);
        }
        Ok(name.finish())
    }
}

/// An entity by the events that are covered; none if there are none.
pub(crate) fn life(
    txn: &dyn ReadTxn,
    thread: &Thread,
    covered: &Covered,
    key: &[u8],
) -> Result<Option<EntityRow>> {
    let begins = base::of_entity(txn, thread.number, key)?;
    let prefix = [key, &[0]].concat();
    let mut rows = history::rows(txn, thread, &prefix)?;
    let count = rows.len();
    rows.retain(|row| covered.has_event(thread.number, &row.place));
    let last = match (&begins, rows.last().map(|row| row.place)) {
        (None, None) => return Ok(None),
        (Some(begins), None) => begins.last,
        (None, Some(last)) => last,
        (Some(begins), Some(last)) => history::later(txn, thread, begins.last, last)?,
    };
    if rows.len() == count {
        return EntityRow::get(txn, key);
    }
    let before = begins.map_or(Life::Unknown, |begins| begins.life);
    let places = rows.into_iter().map(|row| row.place);
    let life = Events::new(txn, thread).replay(before, places)?;
    Ok(Some(EntityRow { last, life }))
}

/// The bytes of a snapshot's content, as they are made.
pub(crate) struct Bytes<'a> {
    content: Content<'a>,
    item: Vec<u8>,
    read: usize,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(content: Content<'a>) -> Self {
        Self {
            content,
            item: Vec::new(),
            read: 0,
        }
    }
}

impl io::Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.item.len() {
            let next = self.content.next().map_err(io::Error::other)?;
            let Some(item) = next else { return Ok(0) };
            self.item = item.encode().map_err(io::Error::other)?;
            self.read = 0;
        }
        let read = (&self.item[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}
