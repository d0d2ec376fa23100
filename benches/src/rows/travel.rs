//! What the past costs: a query of it, and who changed one entity, when its history is long.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use threads_core::datastore::Durability;
use threads_db::query::Query;
use threads_db::{Collection, Db, Point};
use threads_store_lmdb::Lmdb;

use super::in_child;
use crate::bench::Bench;
use crate::clock::{median, timed};
use crate::report::{Reach, Row};
use crate::{Result, engine, heap};

const ENTITIES: usize = 100_000;
const FEW: usize = 10_000;
/// How often each entity is written.
const EDITS: usize = 3;
/// How many entities share a record.
const TOGETHER: usize = 10;
/// The events of the entity with the long history.
const EVENTS: usize = 1_000;
/// How often its history is read in one round.
const READS: usize = 5;
const WANTED: &str = "rank = 7";
const RANKS: usize = 100;
/// Where the CIDs of the first records are, beside the store.
const POINT: &str = "point";

fn entity(number: usize, edit: usize) -> Value {
    json!({
        "_id": format!("entity-{number:08}"),
        "rank": (number + edit) % RANKS,
        "text": "a text of about eighty bytes, which stays the same whatever else is edited here",
    })
}

/// A store whose entities were all edited after a point that is kept beside it.
fn build(dir: &Path, entities: usize) -> Result<()> {
    let store = dir.join("store");
    fs::create_dir_all(&store)?;
    let collection = engine::create(Lmdb::open(&store)?, Durability::Relaxed, &[])?;
    for edit in 0..EDITS {
        for first in (0..entities).step_by(TOGETHER) {
            let mut some = first..entities.min(first + TOGETHER);
            collection.db().write(|txn| {
                some.try_for_each(|number| txn.save(&collection, &entity(number, edit)).map(drop))
            })?;
        }
        if edit == 0 {
            let point = Point::Records(collection.db().heads()?);
            fs::write(dir.join(POINT), point.to_string())?;
        }
    }
    Ok(())
}

fn open(dir: &Path) -> Result<(Collection<Value>, Point)> {
    let collection = engine::open(Lmdb::open(dir.join("store"))?)?;
    let point = fs::read_to_string(dir.join(POINT))?.parse()?;
    Ok((collection, point))
}

/// How many entities a query of the past finds.
fn ask(db: &Db, collection: &Collection<Value>, point: &Point) -> Result<usize> {
    let query = Query::parse(WANTED)?;
    Ok(db.as_of(point)?.find::<Value>(collection, &query)?.len())
}

pub(crate) fn as_of(bench: &Bench) -> Result<Row> {
    let all = bench.size(ENTITIES);
    let (collection, point) = open(&built(bench, all)?)?;
    let db = collection.db();
    let wanted = all / RANKS;
    let each = |seconds: f64, found: usize| match found == wanted {
        true => Ok(seconds * 1e6 / all as f64),
        false => Err(format!("{found} were found, of {wanted}").into()),
    };
    let mut resolving = Vec::new();
    let ours = || {
        let (seconds, past) = timed(|| Ok(db.as_of(&point)?))?;
        drop(past);
        resolving.push(seconds * 1e6);
        let (seconds, found) = timed(|| ask(db, &collection, &point))?;
        each(seconds, found)
    };
    let theirs = || {
        let query = Query::parse(WANTED)?;
        let (seconds, found) = timed(|| Ok(collection.find(&query)?.len()))?;
        each(seconds, found)
    };
    let figures = bench.in_turns(ours, theirs)?;
    let what = (
        format!(
            "for each of {all} entities, a query of the past, all of them edited {} times since",
            EDITS - 1
        ),
        "the same query of the present, without an index",
    );
    let records = all.div_ceil(TOGETHER);
    Ok(
        Row::new("travel-as-of", what, figures, "µs", Reach::Told).note(format!(
            "of it, resolving the point: {:.2} µs for each of the {records} records before it",
            median(&resolving) / records as f64
        )),
    )
}

fn built(bench: &Bench, entities: usize) -> Result<PathBuf> {
    bench.edited(entities, |dir| build(dir, entities))
}

/// The most heap of a query of the past, in a process of its own.
pub(crate) fn most_heap(bench: &Bench) -> Result<Row> {
    let (many, few) = (bench.size(ENTITIES), bench.size(FEW));
    let peak = |count| in_child("travel", &built(bench, count)?, count);
    let figures = (peak(many)?, peak(few)?);
    let what = (
        format!("peak heap of a query of the past, {many} entities edited since"),
        "the same with a tenth of the entities",
    );
    Ok(Row::new("travel-heap", what, figures, "KiB", Reach::Told)
        .note("LMDB's allocations are counted too; pages of the mapped file are not"))
}

pub(super) fn child(dir: &Path, entities: usize) -> Result<f64> {
    let (collection, point) = open(dir)?;
    heap::watch();
    let found = ask(collection.db(), &collection, &point)?;
    if found != entities / RANKS {
        return Err(format!("{found} were found").into());
    }
    let peak = heap::peak().ok_or("the heap cannot be counted on this system")?;
    Ok(peak as f64 / 1024.0)
}

/// Times a question about an entity with a long history, and with a tenth of it.
fn long(
    bench: &Bench,
    name: &'static str,
    question: &str,
    ask: impl Fn(&Collection<Value>, &str) -> Result<usize>,
) -> Result<Row> {
    let (many, few) = (bench.size(EVENTS), bench.size(EVENTS / 10));
    let dir = bench.fresh()?;
    let collection = engine::create(Lmdb::open(dir.path())?, Durability::Relaxed, &[])?;
    for (id, events) in [("many", many), ("few", few)] {
        for edit in 0..events {
            collection.save(&json!({"_id": id, "edit": edit, "text": "what stays as it is"}))?;
        }
    }
    let each = |id: &str, events: usize| {
        let (seconds, answers) = timed(|| {
            let mut answers = 0;
            for _ in 0..READS {
                answers += ask(&collection, id)?;
            }
            Ok(answers)
        })?;
        match answers {
            0 => Err("nothing was told".into()),
            _ => Ok(seconds * 1e6 / (READS * events) as f64),
        }
    };
    let figures = bench.in_turns(|| each("many", many), || each("few", few))?;
    let what = (
        format!("{question} of an entity of {many} events, for each of them"),
        "of one with a tenth of the events",
    );
    Ok(Row::new(name, what, figures, "µs", Reach::AtMost(1.2)))
}

pub(crate) fn history(bench: &Bench) -> Result<Row> {
    long(bench, "travel-history", "the history", |collection, id| {
        Ok(collection.db().history(collection, id)?.moments.len())
    })
}

pub(crate) fn blame(bench: &Bench) -> Result<Row> {
    long(
        bench,
        "travel-blame",
        "blaming all fields",
        |collection, id| Ok(collection.db().blame(collection, id)?.len()),
    )
}
