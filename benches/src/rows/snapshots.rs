//! Opening a thread of many edits from a snapshot against taking in all records, and what compaction leaves
//! against an import of what they came to.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use threads_core::datastore::{Datastore, Direction, Durability, Keyspace};
use threads_db::query::Query;
use threads_db::{Collection, CompactOptions, ExportOptions, Keep, RestoreOptions};
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::engine::{self, BATCH};
use crate::report::{Reach, Row};

const EVENTS: usize = 1_000_000;
/// How many events an entity has.
const EACH: usize = 100;
/// How many events share a record.
const TOGETHER: usize = 10;
const PASSPHRASE: &str = "correct horse";
/// How many rows one transaction copies.
const COPIED: usize = 10_000;

fn entity(number: usize, edit: usize) -> Value {
    json!({
        "_id": format!("entity-{number:08}"),
        "rank": number,
        "edit": edit,
        "text": "a text of about eighty bytes, which stays the same whatever else is edited here",
    })
}

/// Makes a thread in which each entity is edited often, a few of them in each record.
fn build(dir: &Path, events: usize) -> Result<()> {
    let collection = engine::create(Lmdb::open(dir)?, Durability::Relaxed, &["rank"])?;
    let entities = entities(events);
    for edit in 0..events / entities {
        for first in (0..entities).step_by(TOGETHER) {
            let mut some = first..entities.min(first + TOGETHER);
            collection.db().write(|txn| {
                some.try_for_each(|number| txn.save(&collection, &entity(number, edit)).map(drop))
            })?;
        }
    }
    Ok(())
}

fn entities(events: usize) -> usize {
    (events / EACH).max(1)
}

fn options() -> ExportOptions {
    ExportOptions {
        passphrase: Some(PASSPHRASE.to_owned().into()),
        ..Default::default()
    }
}

/// Writes the thread to files: with all records, and as a snapshot.
fn export(dir: &Path, to: &Path) -> Result<[PathBuf; 2]> {
    let collection: Collection<Value> = engine::open(Lmdb::open(dir)?)?;
    let db = collection.db();
    let files = [to.join("all.car"), to.join("snapshot.car")];
    let mut all = BufWriter::new(File::create(&files[0])?);
    db.export(&mut all, &options(), &mut |_| ())?;
    all.flush()?;
    let mut snapshot = BufWriter::new(File::create(&files[1])?);
    db.export_snapshot(&mut snapshot, &options(), &mut |_| ())?;
    snapshot.flush()?;
    Ok(files)
}

/// Restores a file into a new store and asks for an entity; gives milliseconds.
fn open(bench: &Bench, file: &Path, events: usize) -> Result<f64> {
    let dir = bench.fresh()?;
    let query = Query::parse("rank = 0")?;
    let (seconds, found) = timed(|| {
        let node = engine::node(Lmdb::open(dir.path())?, Durability::default())?;
        let options = RestoreOptions {
            passphrase: options().passphrase,
            ..Default::default()
        };
        let (db, _) = node.restore(file, &options, &mut |_| ())?;
        Ok(db.typed::<Value>(engine::COLLECTION)?.find(&query)?)
    })?;
    let last = events / entities(events) - 1;
    match found[..] == [entity(0, last)] {
        true => Ok(seconds * 1e3),
        false => Err(format!("another state was found: {found:?}").into()),
    }
}

pub(crate) fn first_answer(bench: &Bench) -> Result<Row> {
    let events = bench.size(EVENTS);
    let (dir, files) = (bench.fresh()?, bench.fresh()?);
    build(dir.path(), events)?;
    let [all, snapshot] = export(dir.path(), files.path())?;
    let figures = bench.in_turns(
        || open(bench, &snapshot, events),
        || open(bench, &all, events),
    )?;
    let what = (
        format!(
            "a new device opens a thread of {events} events over {} entities from a snapshot and asks a query",
            entities(events)
        ),
        "the same from all records",
    );
    let row = Row::new("snapshot-open", what, figures, "ms", Reach::AtMost(0.05));
    let lengths = [&all, &snapshot].map(|file| file.metadata().map_or(0, |file| file.len() >> 10));
    Ok(row.note(format!(
        "the files have {} KiB and {} KiB; the price of the passphrase is in both",
        lengths[0], lengths[1]
    )))
}

/// How long the file of a store is once all its rows are copied into a new one, in MiB.
fn copied(bench: &Bench, dir: &Path) -> Result<f64> {
    let to = bench.fresh()?;
    {
        let (from, to) = (Lmdb::open(dir)?, Lmdb::open(to.path())?);
        let txn = from.read()?;
        for space in Keyspace::ALL {
            let all = (Bound::Unbounded, Bound::Unbounded);
            let mut rows = txn.scan(*space, all, Direction::Forward)?.peekable();
            while rows.peek().is_some() {
                let mut copy = to.write()?;
                for row in rows.by_ref().take(COPIED) {
                    let (key, value) = row?;
                    copy.put(*space, &key, &value)?;
                }
                copy.commit(Durability::Group)?;
            }
        }
    }
    Ok(to.path().join("data.mdb").metadata()?.len() as f64 / f64::from(1 << 20))
}

fn compacted(bench: &Bench, events: usize) -> Result<f64> {
    let dir = bench.fresh()?;
    build(dir.path(), events)?;
    {
        let collection: Collection<Value> = engine::open(Lmdb::open(dir.path())?)?;
        let options = CompactOptions::new(Keep::Latest);
        collection.db().compact(&options, &mut |_| ())?;
    }
    copied(bench, dir.path())
}

fn imported(bench: &Bench, events: usize) -> Result<f64> {
    let dir = bench.fresh()?;
    {
        let store = Lmdb::open(dir.path())?;
        let collection = engine::create(store, Durability::Relaxed, &["rank"])?;
        let (entities, last) = (entities(events), events / entities(events) - 1);
        for first in (0..entities).step_by(BATCH) {
            let mut some = first..entities.min(first + BATCH);
            collection.db().write(|txn| {
                some.try_for_each(|number| txn.save(&collection, &entity(number, last)).map(drop))
            })?;
        }
    }
    copied(bench, dir.path())
}

pub(crate) fn size(bench: &Bench) -> Result<Row> {
    let events = bench.size(EVENTS);
    let (ours, other) = (compacted(bench, events)?, imported(bench, events)?);
    let figures = bench.in_turns(|| Ok(ours), || Ok(other))?;
    let what = (
        format!(
            "the store after {events} events over {} entities, compacted to the latest of each",
            entities(events)
        ),
        "the store after an import of what they came to",
    );
    let row = Row::new("compact-size", what, figures, "MiB", Reach::AtMost(1.3));
    Ok(row.note("both copied into a new file: LMDB keeps the length of its own, and uses what is free in it"))
}
