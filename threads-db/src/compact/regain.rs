//! Taking back older records: when all of them are here again, the thread has its whole history, and what it began
//! with is made again from that.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, Keyspace, ReadTxn, WriteTxn,
};
use threads_core::policy::Verdict;
use threads_core::record::{Record, skip_target};
use threads_core::{CollectionName, EntityId, Error, ErrorKind, Hlc, LogId, Result};

use super::activate::forget_beside;
use super::clear::blocks;
use crate::base::{self, Base, marks};
use crate::chain;
use crate::db::Db;
use crate::definitions;
use crate::dispatcher::{self, Judged};
use crate::entity::EntityRow;
use crate::held::{self, Entry, Why};
use crate::history;
use crate::layout::{self, EventPlace, Number, Place, Prefix, meta};
use crate::opened::Opened;
use crate::reducers;
use crate::snapshot::Covered;
use crate::thread::{Thread, Tip};

/// How many records one commit files.
const RECORDS_PER_COMMIT: u64 = 256;

/// What became of taking older records back.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// let regained = db.regain().unwrap();
/// assert_eq!((regained.lacking, regained.wrong.len()), (0, 0), "all of them are here");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Regained {
    /// How many older records are not here yet. The thread begins with its snapshot until all are.
    pub lacking: u64,
    /// The entities that were not what the records give: who signed the snapshot had them wrong. They are right now.
    pub wrong: Vec<(CollectionName, EntityId)>,
    /// How many held records were applied by it.
    pub applied: u64,
}

impl Db {
    /// Has the thread begin with its first records again, if all of them are here: a [`restore`](crate::Node::restore)
    /// of a file with all records, or sync with a peer that has them, brings them back. What was held for want of
    /// them is applied, and the state is what all records give, whatever the snapshot said. It reads all of the
    /// older records, and holds up other writers for the end of that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`] when older records do not lead to those after them; [`ErrorKind::Unavailable`] when a
    /// compaction drops some of them meanwhile; those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::{CompactOptions, ExportOptions, Keep, RestoreOptions};
    /// for age in 43..60 {
    ///     people.patch("bob", &serde_json::json!({"age": age})).unwrap();
    /// }
    /// let path = std::env::temp_dir().join(format!("{}.car", db.id()));
    /// let file = std::fs::File::create(&path).unwrap();
    /// db.export(file, &ExportOptions::default(), &mut |_| ()).unwrap();
    /// db.compact(&CompactOptions::new(Keep::Latest), &mut |_| ()).unwrap();
    /// assert!(db.regain().unwrap().lacking > 0);
    ///
    /// node.restore(&path, &RestoreOptions::default(), &mut |_| ()).unwrap();
    /// assert!(db.base().unwrap().is_none());
    /// assert_eq!(db.history(&people, "bob").unwrap().moments.len(), 18);
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn regain(&self) -> Result<Regained> {
        let thread = self.thread();
        let base = Base::get(&*thread.node.store.read()?, thread.number)?;
        let Some(base) = base.filter(|base| !base.covered.last.is_empty()) else {
            return Ok(Regained::default());
        };
        let gaps = lacking(&*thread.node.store.read()?, thread, &base)?;
        let lacking = gaps.iter().map(|(_, first, last)| last + 1 - first).sum();
        if lacking > 0 {
            return Ok(Regained {
                lacking,
                ..Regained::default()
            });
        }
        let stop = |txn: &mut dyn WriteTxn| stop_clearing(txn, thread, &base.covered);
        thread.node.store.transact(Durability::Group, stop)?;
        check_chains(&*thread.node.store.read()?, thread, &base)?;
        for (log, last) in &base.covered.last {
            let mut first = 1;
            // Ends: each turn gets on in the log.
            while first <= *last {
                let next = (first + RECORDS_PER_COMMIT).min(last + 1);
                thread.node.store.transact(Durability::Group, |txn| {
                    file_histories(txn, thread, (&base, *log), first..next)
                })?;
                first = next;
            }
        }
        let begin = |txn: &mut dyn WriteTxn| begin_anew(txn, thread, &base.covered);
        let wrong = thread.node.store.transact(Durability::Group, begin)?;
        thread.node.notifier.notify_in([thread.number]);
        let applied = self.settle_held()?.new;
        self.catch_up_reducers()?;
        Ok(Regained {
            lacking,
            wrong,
            applied,
        })
    }
}

impl Db {
    /// The same, if it does not take long to see that something is lacking.
    pub(crate) fn regain_once_whole(&self) -> Result<()> {
        let thread = self.thread();
        let lacks = {
            let txn = thread.node.store.read()?;
            match Base::get(&*txn, thread.number)? {
                Some(base) => lacks(&*txn, thread, &base)?,
                None => true,
            }
        };
        match lacks {
            true => Ok(()),
            false => self.regain().map(drop),
        }
    }
}

/// Whether older records are not here. They come newest first, so that mostly one of the first is lacking.
fn lacks(txn: &dyn ReadTxn, thread: &Thread, base: &Base) -> Result<bool> {
    for (log, last) in &base.covered.last {
        for (expected, row) in (1..).zip(blocks(txn, (thread.number, *log), (1, *last))?) {
            if row?.0 != expected {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The older records that are not here, of each log, from one number to another.
pub(crate) fn lacking(
    txn: &dyn ReadTxn,
    thread: &Thread,
    base: &Base,
) -> Result<Vec<(LogId, u64, u64)>> {
    let mut gaps = Vec::new();
    for (number, last) in &base.covered.last {
        let log = thread.log_id(txn, *number)?;
        let mut next = 1;
        for row in blocks(txn, (thread.number, *number), (1, *last))? {
            let (seq, _) = row?;
            if seq > next {
                gaps.push((log, next, seq - 1));
            }
            next = seq + 1;
        }
    }
    Ok(gaps)
}

/// Checks that each older record follows the one before it, up to the last, which others name.
fn check_chains(txn: &dyn ReadTxn, thread: &Thread, base: &Base) -> Result<()> {
    for (log, last) in &base.covered.last {
        let place = |seq| Place {
            thread: thread.number,
            log: *log,
            seq,
        };
        let mut before = None;
        for seq in 1..=*last {
            let blocks = chain::expect(txn, place(seq))?;
            let record = thread.open_record(&blocks.record)?;
            blocks.check_links(&record)?;
            record.follows(seq - 1, before.as_ref())?;
            if let Some(target) = skip_target(seq) {
                let target = chain::expect(txn, place(target))?.record_id();
                if record.fields().skip != Some(target) {
                    return Err(Error::rejected("an older record links elsewhere").with("seq", seq));
                }
            }
            before = Some(record.id());
        }
    }
    Ok(())
}

/// Files the events of older records in the histories of their entities. They are looked past until all are.
fn file_histories(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    (base, log): (&Base, Number),
    seqs: std::ops::Range<u64>,
) -> Result<()> {
    for seq in seqs {
        let place = Place {
            thread: thread.number,
            log,
            seq,
        };
        let blocks = chain::expect(txn.as_read(), place)?;
        if !base.covered.has(place) || blocks.is_emptied() {
            continue;
        }
        let opened = match thread.open(&blocks) {
            Ok(opened) if opened.record.fields().access => continue,
            Ok(opened) => opened,
            // It is never applied.
            Err(error) if error.kind() == ErrorKind::Rejected => continue,
            Err(error) => return Err(error),
        };
        if !may_apply(txn, thread, place, &opened)? {
            continue;
        }
        let events = opened.batch().map_or(&[][..], |batch| &batch.events);
        for (event, index) in events.iter().zip(0..) {
            let name = meta::collection(thread.number, &event.collection);
            let number = layout::number_or_assign(txn, &name)?;
            let (_, prefix) = history::keys(thread.number, number, event.entity.as_str());
            let at = EventPlace {
                time: opened.time,
                log,
                seq,
                index,
            };
            if !history::is_known(txn.as_read(), &prefix, &at)? {
                history::put(txn, &prefix, at, base.position)?;
            }
        }
    }
    Ok(())
}

/// Whether the policy lets a record be applied, by all that is known now. One that it does not is held.
fn may_apply(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    place: Place,
    opened: &Opened,
) -> Result<bool> {
    let author = thread.author(txn.as_read(), place.log)?;
    let author = author.ok_or_else(|| Error::corrupt("a log's author is missing"))?;
    let (record, fields) = (opened.record.id(), opened.record.fields());
    let changes = opened.batch().map(dispatcher::changes);
    let judged = Judged::standing(fields, place, changes.as_deref());
    let verdict = dispatcher::judge(txn.as_read(), thread, author, judged)?;
    if verdict == Verdict::Accept {
        return Ok(true);
    }
    let known = (&fields.log, fields.seq, &record);
    if held::find(txn.as_read(), thread.number, known)?.is_none() {
        let row = held::Row {
            log: fields.log,
            seq: fields.seq,
            record,
            author: Some(author),
            since_ms: thread.node.clock.now_ms(),
            why: Why::access(verdict),
        };
        let entry = Entry { row, blocks: None };
        held::keep(txn, thread.number, None, &entry)?;
    }
    Ok(false)
}

/// What the thread begins with, if that still covers this, and all of it is here.
fn still(txn: &dyn ReadTxn, thread: &Thread, covered: &Covered) -> Result<Base> {
    let base = Base::get(txn, thread.number)?.filter(|base| base.covered == *covered);
    match base {
        Some(base) if !lacks(txn, thread, &base)? => Ok(base),
        _ => Err(dropped_meanwhile()),
    }
}

fn dropped_meanwhile() -> Error {
    Error::unavailable("older records were dropped here, or taken back, meanwhile: try again")
}

/// Has the older records stay, all of which are here: a compaction may be about to drop them.
fn stop_clearing(txn: &mut dyn WriteTxn, thread: &Thread, covered: &Covered) -> Result<()> {
    let base = still(txn.as_read(), thread, covered)?;
    let clearing = false;
    Base { clearing, ..base }.put(txn, thread.number)
}

/// Has the thread begin with its first records, all of which are here and stay. Gives the entities that were not what
/// these give.
fn begin_anew(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    covered: &Covered,
) -> Result<Vec<(CollectionName, EntityId)>> {
    let number = thread.number;
    let mut base = still(txn.as_read(), thread, covered)?;
    if base.clearing {
        return Err(dropped_meanwhile());
    }
    forget_beside(txn, thread)?;
    for (log, seq) in std::mem::take(&mut base.covered).last {
        let last = base.no_feed.entry(log).or_insert(seq);
        *last = seq.max(*last);
    }
    base.owes = None;
    base.put(txn, number)?;
    marks::forget(txn, number)?;
    let (mut wrong, mut latest) = (Vec::new(), Hlc::ZERO);
    for (collection, name) in layout::collections(txn.as_read(), number)? {
        let prefix = layout::collection_prefix(number, collection);
        let mut stale = false;
        for id in ids(txn.as_read(), &prefix)? {
            let key = layout::entity(number, collection, &id);
            let was = EntityRow::get(txn.as_read(), &key)?;
            let is = history::made_again(txn.as_read(), thread, &key)?;
            latest = latest.max(is.as_ref().map_or(Hlc::ZERO, |row| row.last.time));
            if was == is {
                continue;
            }
            match &is {
                Some(row) => row.put(txn, &key)?,
                None => txn.delete(Keyspace::Entities, &key)?,
            }
            stale = true;
            if let Ok(id) = id.parse() {
                wrong.push((name.clone(), id));
            }
        }
        if stale {
            txn.put(Keyspace::Meta, &meta::stale(collection), &[])?;
        }
    }
    let tip = Tip::get(txn.as_read(), number)?;
    let time = tip.time.max(latest);
    Tip { time, ..tip }.put(txn, number)?;
    if !wrong.is_empty() {
        definitions::changed(txn, thread)?;
        reducers::put_behind(txn, thread)?;
    }
    Ok(wrong)
}

/// The ids of a collection's entities: of those that have a state, and those that have a history.
pub(crate) fn ids(txn: &dyn ReadTxn, prefix: &[u8]) -> Result<BTreeSet<String>> {
    let bounds = Prefix::new(prefix);
    let mut ids = BTreeSet::new();
    for space in [Keyspace::Entities, Keyspace::History] {
        for row in txn.scan(space, bounds.range(), Direction::Forward)? {
            let (key, _) = row?;
            let key = key.get(prefix.len()..).unwrap_or_default();
            // An id has no control characters; in a history one follows it.
            let end = key.iter().position(|byte| *byte <= 1).unwrap_or(key.len());
            let id = std::str::from_utf8(&key[..end]);
            let id =
                id.map_err(|_| Error::corrupt("an entity's key is damaged: verify the thread"))?;
            if !ids.contains(id) {
                ids.insert(id.to_owned());
            }
        }
    }
    Ok(ids)
}

/// What is lacking of a thread that something here waits for.
pub(crate) fn wanted(txn: &dyn ReadTxn, thread: &Thread) -> Result<BTreeMap<LogId, (u64, u64)>> {
    let mut wanted = BTreeMap::new();
    if !base::is_wanting(txn, thread.number)? {
        return Ok(wanted);
    }
    if let Some(base) = Base::get(txn, thread.number)? {
        for (log, first, last) in lacking(txn, thread, &base)? {
            // The newest gap of each log.
            wanted.insert(log, (first, last));
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use threads_codec_jsonpatch::JsonPatch;
    use threads_core::datastore::Memory;
    use threads_core::module::CollectionSpec;

    use super::*;
    use crate::{CompactOptions, Keep, Node};

    #[test]
    fn what_was_dropped_since_it_was_looked_for_is_not_taken_for_whole() {
        let node = Node::builder(Memory::new()).codec(JsonPatch::new());
        let db = node.open().unwrap().create("t").unwrap();
        let notes = CollectionSpec::new("Note".parse().unwrap(), "jsonpatch/1".parse().unwrap());
        db.define(&notes).unwrap();
        for n in 0..30 {
            let note = json!({"_id": "a", "n": n});
            db.collection("Note").unwrap().save(&note).unwrap();
        }
        let options = CompactOptions::new(Keep::Latest);
        db.compact(&options, &mut |_| ()).unwrap();
        let thread = db.thread();
        let base = Base::get(&*thread.node.store.read().unwrap(), thread.number);
        let covered = base.unwrap().unwrap().covered;
        let store = &thread.node.store;
        let stop = |txn: &mut dyn WriteTxn| stop_clearing(txn, thread, &covered);
        let begin = |txn: &mut dyn WriteTxn| begin_anew(txn, thread, &covered).map(drop);
        for refused in [
            store.transact(Durability::Group, stop),
            store.transact(Durability::Group, begin),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        assert!(db.verify(&mut |_| ()).unwrap().is_clean());
    }
}
