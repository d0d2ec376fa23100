//! Finds by an index, 100 rows of 1,000,000, against SQLite.

use rusqlite::Params;
use threads_db::query::{Filter, Query, field};
use threads_store_lmdb::Lmdb;

use crate::bench::Bench;
use crate::clock::timed;
use crate::documents::{Document, FOUND, group, groups, scattered};
use crate::report::{Reach, Row};
use crate::{Result, engine, sqlite};

const DOCUMENTS: usize = 1_000_000;
/// Finds of one round.
const FINDS: usize = 2_000;
/// Finds whose documents are compared, one by one, before the first round.
const COMPARED: usize = 20;

/// More than one find gives, however much sizes are divided.
fn documents(bench: &Bench) -> usize {
    bench.size(DOCUMENTS).max(5 * FOUND)
}

pub(crate) fn equal(bench: &Bench) -> Result<Row> {
    let all = documents(bench);
    let wanted = |turn| group(scattered(turn, groups(all)));
    compare(
        bench,
        ("find-equal", "finds by an indexed text"),
        |turn| field("group").eq(wanted(turn)),
        "SELECT body FROM docs WHERE json_extract(body, '$.group') = ?1",
        |turn| (wanted(turn),),
    )
}

pub(crate) fn range(bench: &Bench) -> Result<Row> {
    let all = documents(bench);
    let first = |turn| scattered(turn, all - FOUND + 1);
    compare(
        bench,
        ("find-range", "finds by a range of an indexed number"),
        |turn| {
            let least = field("rank").ge(first(turn));
            least.and(field("rank").lt(first(turn) + FOUND))
        },
        "SELECT body FROM docs WHERE json_extract(body, '$.rank') >= ?1
         AND json_extract(body, '$.rank') < ?2",
        |turn| (first(turn) as i64, (first(turn) + FOUND) as i64),
    )
}

/// Finds with filter and statement in turns, each of which gives [`FOUND`] documents.
fn compare<P: Params>(
    bench: &Bench,
    (name, what): (&'static str, &str),
    filter: impl Fn(usize) -> Filter,
    sql: &str,
    parameters: impl Fn(usize) -> P,
) -> Result<Row> {
    let (all, finds) = (documents(bench), bench.size(FINDS));
    let ours = engine::open::<Document>(Lmdb::open(bench.store(all)?)?)?;
    let theirs = sqlite::open(&bench.sqlite(all)?)?;
    let mut one = |turn| Ok(ours.find(&Query::new().filter(filter(turn)))?);
    let mut other = |turn| sqlite::find(&theirs, sql, parameters(turn));
    for turn in 0..COMPARED {
        check(one(turn)?, other(turn)?)?;
    }
    let figures = bench.in_turns(|| rate(finds, &mut one), || rate(finds, &mut other))?;
    let what = format!("{what}, {FOUND} rows of {all}");
    let against = "SQLite, prepared, expression index on the same JSON";
    let reach = Reach::AtLeast(1.0);
    Ok(Row::new(name, (what, against), figures, "/s", reach)
        .note("on both sides each row becomes the same type by serde"))
}

/// Both sides have to find the same.
pub(super) fn check(mut ours: Vec<Document>, mut theirs: Vec<Document>) -> Result<()> {
    ours.sort_by(|a, b| a.id.cmp(&b.id));
    theirs.sort_by(|a, b| a.id.cmp(&b.id));
    if ours.is_empty() || ours != theirs {
        return Err("the two sides do not find the same documents".into());
    }
    Ok(())
}

fn rate(finds: usize, find: &mut dyn FnMut(usize) -> Result<Vec<Document>>) -> Result<f64> {
    let (seconds, found) = timed(|| {
        let mut found = 0;
        for turn in 0..finds {
            found += std::hint::black_box(find(turn)?).len();
        }
        Ok(found)
    })?;
    if found != finds * FOUND {
        return Err(format!("{finds} finds gave {found} documents").into());
    }
    Ok(finds as f64 / seconds)
}
