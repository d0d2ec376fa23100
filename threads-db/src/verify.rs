//! Verification: every hash, signature, link and derived value of a thread.
//!
//! Nothing that was stored is trusted. The logs are read from their first records; signatures are
//! checked anew; every entity is made again from its events and compared with what is kept, and so
//! are histories, indexes, heads, the feed and the views of registered reducers. What is held is
//! checked to be held rightly. Blocks of blobs are compared with their names.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::record::{Record, SignedRecord, Verified};
use threads_core::{Cid, CollectionName, EntityId, Error, Hlc, Result};

use crate::base::Base;
use crate::blobs::BlobsChecked;
use crate::catalogue::{Catalogue, Definition};
use crate::chain;
use crate::db::Db;
use crate::entity::EntityRow;
use crate::export::ByTime;
use crate::feed::{FeedRow, Rejudged};
use crate::history;
use crate::index::key;
use crate::layout::{self, EventPlace, Number, Place, Prefix};
use crate::line;
use crate::log::place_text;
use crate::opened::Opened;
use crate::progress::Progress;
use crate::purge::EmptiedRow;
use crate::reducers;
use crate::thread::{Thread, Tip};

mod begun;
mod blobs;
mod entities;
mod held;
mod lines;

use entities::Rebuilt;

/// How many signatures are checked at once.
const SIGNATURES_AT_ONCE: usize = 64;
/// How many problems are described; further ones are counted.
pub const PROBLEMS_MAX: usize = 100;

/// Something that is not as it should be.
///
/// ```
/// fn line(problem: &threads_db::Problem) -> String { format!("{}: {}", problem.place, problem.what) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

/// What a verification looked at, and what it found.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// let report = db.verify(&mut |_| ()).unwrap();
/// assert!(report.is_clean());
/// assert_eq!((report.logs, report.records, report.entities), (1, 2, 1));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// How many logs.
    pub logs: u64,
    /// How many records: each with its hash, links, signature, header and body.
    pub records: u64,
    /// How many signatures, those of authors included.
    pub signatures: u64,
    /// How many events of entities.
    pub events: u64,
    /// How many entities were made again from their events, the framework's own not counted.
    pub entities: u64,
    /// How many index rows.
    pub index_rows: u64,
    /// How many records are held and not applied; see [`Db::held`].
    pub held: u64,
    /// How many records are emptied: all but what they said is checked of them.
    pub emptied: u64,
    /// How many bytes of blocks.
    pub bytes: u64,
    /// What was found of the blobs, which are not counted above.
    pub blobs: BlobsChecked,
    /// How many problems there are.
    pub problem_count: u64,
    /// The first of them.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether there is no problem.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.verify(&mut |_| ()).unwrap().is_clean());
    /// ```
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem {
                place: place.into(),
                what: what.into(),
            });
        }
    }
}

impl Db {
    /// Verifies everything that is kept of the thread. Progress counts records.
    ///
    /// What is wrong is in the report; an error means that verification itself could not go on.
    /// Memory grows with the number of entities. With reducers registered it waits for the write
    /// transaction, in which it makes their views again and throws them away.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.verify(&mut |progress| eprintln!("{}", progress.done)).unwrap().is_clean());
    /// ```
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<VerifyReport> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let mut check = Check {
            txn: &*txn,
            thread,
            report: VerifyReport::default(),
            logs: HashMap::new(),
            entities: BTreeMap::new(),
            unchecked: Vec::new(),
            feed: HashMap::new(),
            turned: HashSet::new(),
            positions: 0,
            apart: HashSet::new(),
            dues: 0,
            time: Hlc::ZERO,
            stated: Hlc::ZERO,
            base: Base::get(&*txn, thread.number)?,
        };
        check.feed()?;
        if let Err(error) = check.held() {
            check.report.problem("held records", error.to_string());
        }
        check.records(progress)?;
        check.entities()?;
        check.indexes()?;
        check.blobs()?;
        check.views()?;
        Ok(check.report)
    }
}

struct Check<'a> {
    txn: &'a dyn ReadTxn,
    thread: &'a Thread,
    report: VerifyReport,
    /// What was seen of each log so far.
    logs: HashMap<Number, LogState>,
    /// Every entity, made again from its events.
    entities: BTreeMap<(CollectionName, EntityId), Rebuilt>,
    /// Records whose signatures are still to be checked.
    unchecked: Vec<SignedRecord>,
    /// The records that are applied, by what the feed says, with their positions.
    feed: HashMap<Place, u64>,
    /// Those that were judged otherwise later.
    turned: HashSet<Place>,
    /// The last position of the feed.
    positions: u64,
    /// The records that stand in their logs and are not applied.
    apart: HashSet<Place>,
    /// How many held records are dated ahead.
    dues: usize,
    /// The latest time of what is applied, access records aside.
    time: Hlc,
    /// The latest time of access records.
    stated: Hlc,
    /// What the thread begins with here, where not all of its records are here.
    base: Option<Base>,
}

#[derive(Default)]
struct LogState {
    seq: u64,
    cid: Option<Cid>,
    time: Option<Hlc>,
}

impl Check<'_> {
    /// Reads which position of the feed each record has. Positions count from 1, without a gap,
    /// and each names another record.
    fn feed(&mut self) -> Result<()> {
        let prefix = layout::thread_prefix(self.thread.number);
        let bounds = Prefix::new(&prefix);
        let rows = self
            .txn
            .scan(Keyspace::Feed, bounds.range(), Direction::Forward)?;
        let first = self.base.as_ref().map_or(0, |base| base.position) + 1;
        self.positions = first - 1;
        // What is before it may not be dropped yet.
        let dropped = |row: &Result<_>| {
            let position = |(key, _): &(std::borrow::Cow<'_, [u8]>, _)| {
                key[prefix.len()..] < first.to_be_bytes()[..]
            };
            row.as_ref().is_ok_and(position)
        };
        for (row, expected) in rows.skip_while(dropped).zip(first..) {
            let (key, value) = row?;
            let FeedRow { place, rejudged } = FeedRow::decode(self.thread.number, &value)?;
            let mut in_turn = key[prefix.len()..] == expected.to_be_bytes();
            in_turn &= match rejudged {
                Some(Rejudged::Reverted(_)) => self.feed.remove(&place).is_some(),
                Some(Rejudged::Opened) => self.feed.insert(place, expected).is_some(),
                _ => self.feed.insert(place, expected).is_none(),
            };
            // What came of it before is not here.
            in_turn |= self.has_no_feed(&place);
            if rejudged.is_some() {
                self.turned.insert(place);
            }
            self.positions = expected;
            if !in_turn {
                let at = format!("feed position {expected}");
                self.report
                    .problem(at, "it is out of turn, or names a record a second time");
            }
        }
        Ok(())
    }

    fn records(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let lines = line::all(self.txn, self.thread)?;
        let covered = self.base.iter().flat_map(|base| base.covered.last.values());
        let total = line::records(&lines).saturating_sub(covered.sum());
        let logs: HashSet<_> = lines.iter().map(|(line, _)| line.log).collect();
        self.report.logs = logs.len() as u64;
        match ByTime::new(self.txn, self.thread) {
            Ok(order) => {
                self.applied_since()?;
                self.in_order(order, total, progress)?;
            }
            Err(error) => self.report.problem("logs", error.to_string()),
        }
        self.signatures()?;
        self.heads(&lines)?;
        self.tip()
    }

    fn in_order(
        &mut self,
        mut order: ByTime,
        total: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        loop {
            let place = match order.next(self.txn, self.thread) {
                Ok(Some(place)) => place,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.report
                        .problem("logs", format!("cannot be followed further: {error}"));
                    return Ok(());
                }
            };
            self.report.records += 1;
            if let Err(error) = self.record(place) {
                self.report
                    .problem(place_text(None, place), error.to_string());
            }
            progress(Progress {
                done: self.report.records,
                total: Some(total),
            });
        }
    }

    fn record(&mut self, place: Place) -> Result<()> {
        let blocks = chain::expect(self.txn, place)?;
        self.report.bytes += blocks.bytes();
        let record = self.thread.open_record(&blocks.record)?;
        blocks.check_links(&record)?;
        let time = self.thread.time_of(&record, &blocks)?;
        let known = (!blocks.is_emptied()).then_some(time);
        self.links(place, &record, known)?;
        let cid = record.id();
        self.unchecked.push(record.clone());
        if self.unchecked.len() == SIGNATURES_AT_ONCE {
            self.signatures()?;
        }
        if chain::locate(self.txn, self.thread.number, &cid)? != Some(place) {
            return Err(Error::corrupt("the record cannot be found by its CID").with("cid", cid));
        }
        let noted = EmptiedRow::get(self.txn, place)?.map(|row| row.by);
        if noted != blocks.purged_by()? {
            return Err(Error::corrupt(
                "whether the record was purged is not noted rightly",
            ));
        }
        if noted.is_some() {
            self.report.emptied += 1;
            // Not in the feed any more, or the end of the feed finds it there.
            return Ok(());
        }
        if self.apart.contains(&place) {
            if self.turned.contains(&place) {
                self.time = self.time.max(time);
            }
            // Not in the feed, or the end of the feed finds it there.
            return Ok(());
        }
        let opened = self.thread.open_event(record, &blocks)?;
        self.said(place, &opened)
    }

    /// What a record that is applied says.
    fn said(&mut self, place: Place, opened: &Opened) -> Result<()> {
        if self.feed.remove(&place).is_none() && !self.has_no_feed(&place) {
            return Err(Error::corrupt("the record is not in the feed"));
        }
        if opened.record.fields().access {
            self.stated = self.stated.max(opened.time);
            return Ok(());
        }
        self.time = self.time.max(opened.time);
        for (event, index) in opened
            .batch()
            .map_or(&[][..], |b| &b.events)
            .iter()
            .zip(0..)
        {
            let at = EventPlace {
                time: opened.time,
                log: place.log,
                seq: place.seq,
                index,
            };
            self.event(event, (at, !opened.adopts.is_empty()))?;
        }
        Ok(())
    }

    fn signatures(&mut self) -> Result<()> {
        let records = std::mem::take(&mut self.unchecked);
        let authors = records
            .iter()
            .filter(|record| record.author().is_some())
            .count();
        self.report.signatures += (records.len() + authors) as u64;
        let rng = &mut **self.thread.node.rng();
        if Verified::check_all(records.clone(), rng).is_ok() {
            return Ok(());
        }
        for record in records {
            let (log, seq) = (record.fields().log, record.fields().seq);
            if let Err(error) = Verified::check(record) {
                self.report
                    .problem(format!("log {log}, record {seq}"), error.to_string());
            }
        }
        Ok(())
    }

    fn tip(&mut self) -> Result<()> {
        for (place, position) in std::mem::take(&mut self.feed) {
            let what = format!("names no record: {}", place_text(None, place));
            self.report
                .problem(format!("feed position {position}"), what);
        }
        let tip = Tip::get(self.txn, self.thread.number)?;
        // What was purged had times that nobody knows; and an access record that is dated ahead moves no clock.
        let later = (self.report.emptied > 0 || self.base.is_some()) && tip.time > self.time;
        let times = self.time..=self.time.max(self.stated);
        if tip.position != self.positions || !(later || times.contains(&tip.time)) {
            self.report
                .problem("tip", "it is not where the logs and the feed end");
        }
        Ok(())
    }

    /// The views of the reducers that are registered.
    fn views(&mut self) -> Result<()> {
        if self.base.is_some() {
            // What they saw of what is covered cannot be made again.
            return Ok(());
        }
        for reducer in &self.thread.node.reducers {
            if let Some(what) = reducers::check(self.thread, &**reducer)? {
                self.report
                    .problem(format!("view {}", reducer.name()), what);
            }
        }
        Ok(())
    }

    fn indexes(&mut self) -> Result<()> {
        let catalogue = Catalogue::load(self.txn, self.thread.number, &self.thread.node.codecs)?;
        for definition in catalogue.all() {
            for index in &definition.indexes {
                let place = format!("{} index {}", definition.name, index.name);
                match self.index_rows(definition, index) {
                    Ok(true) => {}
                    Ok(false) => self
                        .report
                        .problem(place, "its rows are not what the entities give"),
                    Err(error) => self.report.problem(place, error.to_string()),
                }
            }
        }
        Ok(())
    }

    /// Whether an index has a row for every entry of every entity, and no other.
    fn index_rows(
        &mut self,
        definition: &Definition,
        index: &crate::catalogue::Index,
    ) -> Result<bool> {
        let prefix = layout::index(self.thread.number, index.number);
        let mut wanted = 0u64;
        let entities = layout::collection_prefix(self.thread.number, definition.number);
        let bounds = Prefix::new(&entities);
        for row in self
            .txn
            .scan(Keyspace::Entities, bounds.range(), Direction::Forward)?
        {
            let (key, value) = row?;
            let life = EntityRow::decode(&value)?.life;
            let id = layout::entity_id(&key, entities.len())?;
            let Some(value) = history::view(self.thread, &life, id.as_str())? else {
                continue;
            };
            // An entity with too many entries has none; no plan uses the index then.
            for entry in key::entries(&value, &index.spec.paths).unwrap_or_default() {
                let row = [&prefix[..], &entry.key, &key[entities.len()..]].concat();
                if self.txn.get(Keyspace::Indexes, &row)?.is_none() {
                    return Ok(false);
                }
                wanted += 1;
            }
        }
        let bounds = Prefix::new(&prefix);
        let rows = self
            .txn
            .scan(Keyspace::Indexes, bounds.range(), Direction::Forward)?;
        let found = rows.collect::<Result<Vec<_>>>()?.len() as u64;
        self.report.index_rows += found;
        Ok(found == wanted)
    }
}
