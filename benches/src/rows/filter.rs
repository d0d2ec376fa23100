//! A filter without an index, over 100,000 documents, against SQLite's scan.

use threads_db::query::{Query, field};
use threads_store_lmdb::Lmdb;

use super::find::check;
use crate::bench::Bench;
use crate::clock::timed;
use crate::documents::{Document, SCORE_WANTED};
use crate::report::{Reach, Row};
use crate::{Result, engine, sqlite};

const DOCUMENTS: usize = 100_000;
/// Scans of one round.
const SCANS: usize = 5;
const SQL: &str = "SELECT body FROM docs WHERE json_extract(body, '$.stats.score') >= ?1";

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let all = bench.size(DOCUMENTS);
    let ours = engine::open::<Document>(Lmdb::open(bench.store(all)?)?)?;
    let theirs = sqlite::open(&bench.sqlite(all)?)?;
    let query = Query::new().filter(field("stats.score").ge(SCORE_WANTED));
    let mut one = || Ok(ours.find(&query)?);
    let mut other = || sqlite::find(&theirs, SQL, (SCORE_WANTED as i64,));
    let found = one()?;
    let matched = found.len();
    check(found, other()?)?;
    let (one, other) = bench.in_turns(|| rate(all, &mut one), || rate(all, &mut other))?;
    let what = (
        format!("filter without an index over {all}, {matched} match"),
        "SQLite json_extract scan",
    );
    Ok(Row::new(
        "filter",
        what,
        (one, other),
        "rows/s",
        Reach::AtLeast(1.0),
    ))
}

fn rate(all: usize, find: &mut dyn FnMut() -> Result<Vec<Document>>) -> Result<f64> {
    let (seconds, ()) = timed(|| {
        for _ in 0..SCANS {
            std::hint::black_box(find()?);
        }
        Ok(())
    })?;
    Ok((SCANS * all) as f64 / seconds)
}
