//! Each shape against the plain collection that holds the same entities: what is written in
//! transactions of a thousand, and then read one by one and together.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_core::datastore::Durability;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_db::query::{Query, QueryCaps};
use threads_db::{Collection, Db, Node};
use threads_shapes::table::{Column, Kind};
use threads_shapes::{Counters, Docs, Feed, Kv, Table};
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::engine::BATCH;
use crate::report::{Reach, Row};

const OPERATIONS: usize = 20_000;
/// How many of the entities are read together.
const TOGETHER: usize = 10_000;
/// How many counters there are.
const COUNTERS: usize = 100;

const NAME: &str = "Shape";
const LWW: &str = "lww/1";
const TEXT: &str = "a text of about fifty bytes, as a value may well be";

type Work<'w> = &'w dyn Fn(&Db, usize) -> Result<()>;

/// Times both, each on a store of its own.
fn row(bench: &Bench, name: &'static str, what: &str, [ours, plain]: [Work<'_>; 2]) -> Result<Row> {
    let count = bench.size(OPERATIONS);
    let time = |work: Work<'_>| {
        let dir = bench.fresh()?;
        let db = node(dir.path())?.create("bench")?;
        let (seconds, ()) = timed(|| work(&db, count))?;
        Ok(seconds * 1e6 / count as f64)
    };
    let figures = bench.in_turns(|| time(ours), || time(plain))?;
    let what = (
        format!("{count} times: {what}"),
        "the plain collection, the same entities",
    );
    Ok(Row::new(name, what, figures, "µs", Reach::AtMost(1.1)))
}

fn node(dir: &Path) -> Result<Node> {
    let builder = Node::builder(Lmdb::open(dir)?).codec(Lww::new());
    let builder = builder.codec(JsonPatch::new());
    Ok(builder.durability(Durability::Relaxed).open()?)
}

fn plain<T>(db: &Db, codec: &str) -> Result<Collection<T>> {
    db.define(&CollectionSpec::new(NAME.parse()?, codec.parse()?))?;
    Ok(db.typed(NAME)?)
}

/// The numbers below `count`, in stretches of one transaction.
fn batches(count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..count)
        .step_by(BATCH)
        .map(move |first| first..count.min(first + BATCH))
}

fn first(count: usize) -> Query {
    let limit = count.min(TOGETHER) as u64;
    Query::new().limit(limit).caps(QueryCaps::unbounded())
}

fn id(number: usize) -> String {
    format!("key-{number:010}")
}

/// Both sides have to have done their work.
fn check(found: usize, wanted: usize) -> Result<()> {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{found} were found, of {wanted}").into()),
    }
}

#[derive(Serialize, Deserialize)]
struct Pair {
    #[serde(rename = "_id")]
    id: String,
    value: String,
}

pub(crate) fn kv(bench: &Bench) -> Result<Row> {
    let ours = |db: &Db, count| {
        let kv = Kv::open(db, NAME)?;
        for mut some in batches(count) {
            kv.write(|batch| some.try_for_each(|number| batch.put(id(number), TEXT)))?;
        }
        let mut found = 0;
        for number in 0..count {
            found += usize::from(kv.get(id(number))?.is_some());
        }
        check(found, count)?;
        check(kv.prefix("key-", TOGETHER)?.len(), count.min(TOGETHER))
    };
    let other = |db: &Db, count| {
        let pairs = plain::<Pair>(db, LWW)?;
        let pair = |number| Pair {
            id: id(number),
            value: TEXT.to_owned(),
        };
        for mut some in batches(count) {
            db.write(|txn| some.try_for_each(|number| txn.save(&pairs, &pair(number)).map(drop)))?;
        }
        let mut found = 0;
        for number in 0..count {
            found += usize::from(pairs.get(&id(number))?.is_some());
        }
        check(found, count)?;
        check(pairs.find(&first(count))?.len(), count.min(TOGETHER))
    };
    let what = "a put of 50 B, a get, and a part of a range";
    row(bench, "shape-kv", what, [&ours, &other])
}

pub(crate) fn feed(bench: &Bench) -> Result<Row> {
    let item = |number: usize| json!({"number": number, "text": TEXT});
    let ours = |db: &Db, count| {
        let feed: Feed = Feed::open(db, NAME)?;
        for some in batches(count) {
            feed.append_all(&some.map(item).collect::<Vec<_>>())?;
        }
        check(feed.read(None, TOGETHER)?.len(), count.min(TOGETHER))
    };
    let other = |db: &Db, count| {
        let items = plain::<Value>(db, LWW)?;
        for some in batches(count) {
            db.write(|txn| {
                let log = txn.log()?;
                some.into_iter().try_for_each(|number| {
                    let id = format!("{number:024x}-{log}-0000");
                    let entity = json!({"_id": id, "item": item(number)});
                    txn.create(&items, &entity).map(drop)
                })
            })?;
        }
        check(items.find(&first(count))?.len(), count.min(TOGETHER))
    };
    let what = "an append of 80 B, and a part of a page";
    row(bench, "shape-feed", what, [&ours, &other])
}

#[derive(Serialize, Deserialize)]
struct Part {
    #[serde(rename = "_id")]
    id: String,
    up: u64,
    down: u64,
}

pub(crate) fn counter(bench: &Bench) -> Result<Row> {
    let ours = |db: &Db, count| {
        let counters = Counters::open(db, NAME)?;
        for mut some in batches(count) {
            db.write(|txn| {
                some.try_for_each(|number| counters.add_in(txn, &id(number % COUNTERS), 1))
            })?;
        }
        let sum: i128 = counters.all()?.values().sum();
        check(sum as usize, count)
    };
    let other = |db: &Db, count| {
        let parts = plain::<Part>(db, LWW)?;
        for mut some in batches(count) {
            db.write(|txn| {
                let log = txn.log()?;
                some.try_for_each(|number| {
                    let id = format!("{} {log}", id(number % COUNTERS));
                    let (up, down) = (0, 0);
                    let part = txn.get(&parts, &id)?;
                    let mut part = part.unwrap_or(Part { id, up, down });
                    part.up += 1;
                    txn.save(&parts, &part).map(drop)
                })
            })?;
        }
        let all = parts.find(&first(COUNTERS))?;
        check(all.iter().map(|part| part.up as usize).sum(), count)
    };
    let what = format!("1 more in one of {COUNTERS} counters");
    row(bench, "shape-counter", &what, [&ours, &other])
}

/// The columns of the table, and the schema that they are.
fn columns() -> [Column; 3] {
    [
        Column::new("title", Kind::Text).required(),
        Column::new("year", Kind::Integer).indexed(),
        Column::new("next", Kind::Key),
    ]
}

fn table_row(number: usize) -> Value {
    json!({"_id": id(number), "title": TEXT, "year": number % 100, "next": id(number + 1)})
}

pub(crate) fn table(bench: &Bench) -> Result<Row> {
    let ours = |db: &Db, count| {
        let table = Table::define(db, NAME, &columns())?;
        for mut some in batches(count) {
            table.write(|rows| {
                some.try_for_each(|number| rows.insert(&table_row(number)).map(drop))
            })?;
        }
        let joined = table.join(&first(count / 10), "next", &table)?;
        check(joined.len(), count / 10)
    };
    let other = |db: &Db, count: usize| {
        let schema = json!({
            "type": "object", "required": ["title"], "additionalProperties": false,
            "properties": {
                "_id": {"type": "string"}, "title": {"type": "string"},
                "year": {"type": ["integer", "null"]}, "next": {"type": ["string", "null"]},
            },
        });
        let spec = CollectionSpec::new(NAME.parse()?, LWW.parse()?).with_schema(schema);
        db.define(&spec.with_index(IndexSpec::on("year".parse()?)))?;
        let rows = db.collection(NAME)?;
        for mut some in batches(count) {
            db.write(|txn| {
                some.try_for_each(|number| txn.create(&rows, &table_row(number)).map(drop))
            })?;
        }
        let mut joined = Vec::new();
        db.read(|txn| {
            for row in txn.find(&rows, &first(count / 10))? {
                let next = txn.get(&rows, row["next"].as_str().unwrap_or_default())?;
                joined.push((row, next));
            }
            Ok(())
        })?;
        check(joined.len(), count / 10)
    };
    let what =
        "a row of 100 B, checked and indexed; a tenth joined, by one get a row on the other side";
    row(bench, "shape-table", what, [&ours, &other])
}

pub(crate) fn docs(bench: &Bench) -> Result<Row> {
    let document = |number: usize| json!({"_id": id(number), "a": {"text": TEXT, "n": number}});
    let half = |count: usize| format!("a.n < {}", count.min(TOGETHER) / 2);
    let ours = |db: &Db, count| {
        let docs = Docs::open(db, NAME)?;
        for number in 0..count {
            docs.insert(&document(number))?;
        }
        check(docs.find(&half(count))?.len(), count.min(TOGETHER) / 2)
    };
    let other = |db: &Db, count| {
        let documents = plain::<Value>(db, "jsonpatch/1")?;
        for number in 0..count {
            documents.create(&document(number))?;
        }
        let found = documents.find(&Query::parse(&half(count))?)?;
        check(found.len(), count.min(TOGETHER) / 2)
    };
    let what = "a document of 100 B in a transaction of its own, and a part of a find";
    row(bench, "shape-docs", what, [&ours, &other])
}
