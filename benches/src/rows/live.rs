//! A live query over 100,000 entities, told of one change, against running the query again.

use serde_json::{Value, json};
use threads_core::datastore::Durability;
use threads_db::query::{Query, QueryCaps, field};
use threads_db::{Collection, LiveQuery};
use threads_store_lmdb::Lmdb;

use crate::bench::Bench;
use crate::clock::timed;
use crate::documents::{Document, SCORE_WANTED, scattered};
use crate::report::{Reach, Row};
use crate::{Result, engine};

const DOCUMENTS: usize = 100_000;
/// Changes of one round.
const CHANGES: usize = 200;
/// The rows of a page.
const PAGE: u64 = 20;
const AGAINST: &str = "running the query again";
const REACH: Reach = Reach::AtMost(0.01);

/// The top of an order: each change puts a row on it, and another goes.
pub(crate) fn top(bench: &Bench) -> Result<Row> {
    let active = field("active").eq(true);
    let query = Query::new().filter(active).sort_desc("rank").limit(PAGE);
    let what = "live query: filter, sort, limit 20";
    compare(
        bench,
        ("live-top", what),
        query,
        |turn, all| json!({"active": true, "rank": all + turn}),
    )
}

/// All that meets a filter, one in a hundred: rows come and go.
pub(crate) fn filtered(bench: &Bench) -> Result<Row> {
    let wanted = field("stats.score").ge(SCORE_WANTED);
    let query = Query::new().filter(wanted).sort("rank").sort("name");
    let what = "live query: filter, two sorts, 1 in 100";
    compare(
        bench,
        ("live-filtered", what),
        query,
        |turn, _| json!({"stats": {"score": if turn % 2 == 0 { SCORE_WANTED } else { 0 }}}),
    )
}

/// Everything, in an order: rows move.
pub(crate) fn all(bench: &Bench) -> Result<Row> {
    let query = Query::new().sort("rank").caps(QueryCaps::unbounded());
    let what = "live query: all of it, sorted";
    compare(
        bench,
        ("live-all", what),
        query,
        |turn, all| json!({"rank": scattered(turn, all)}),
    )
}

/// Times looks of a live query after one change each, and runs of the query.
fn compare(
    bench: &Bench,
    (name, what): (&'static str, &str),
    query: Query,
    change: impl Fn(usize, usize) -> Value,
) -> Result<Row> {
    let (all, changes) = (bench.size(DOCUMENTS), bench.size(CHANGES));
    let dir = bench.fresh()?;
    engine::build(dir.path(), all)?;
    let node = engine::node(Lmdb::open(dir.path())?, Durability::Relaxed)?;
    let documents: Collection<Document> = node.open(engine::THREAD)?.typed(engine::COLLECTION)?;
    let mut live = documents.watch(&query)?;
    let mut list = Vec::new();
    follow(&mut live, &mut list)?;
    let mut turn = 0;
    let looks = || {
        let mut seconds = 0.0;
        for _ in 0..changes {
            turn += 1;
            let id = format!("{:010}", scattered(turn, all));
            documents.patch(&id, &change(turn, all))?;
            seconds += follow(&mut live, &mut list)?;
        }
        Ok(seconds * 1e6 / changes as f64)
    };
    let runs = || {
        let (seconds, found) = timed(|| Ok(documents.find(&query)?))?;
        std::hint::black_box(found);
        Ok(seconds * 1e6)
    };
    let figures = bench.in_turns(looks, runs)?;
    if list != documents.find(&query)? {
        return Err("the list is not what the query finds".into());
    }
    let rows = list.len();
    let what = format!("{what}; one change, {rows} rows of {all}");
    let row = Row::new(name, (what, AGAINST), figures, "µs", REACH);
    Ok(row.note("the change itself is not timed, nor its application to the list"))
}

/// Brings the list up to date; gives how long the live query took, in seconds.
fn follow(live: &mut LiveQuery<Document>, list: &mut Vec<Document>) -> Result<f64> {
    let (seconds, update) = timed(|| Ok(live.try_next()?))?;
    if let Some(update) = update {
        update.apply(list);
    }
    Ok(seconds)
}
