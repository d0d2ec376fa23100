//! Opening a store of 1,000,000 events and its first query, against one of 10,000.

use std::path::Path;

use threads_db::query::{Query, field};
use threads_store_lmdb::Lmdb;

use super::in_child;
use crate::bench::Bench;
use crate::clock::timed;
use crate::documents::{self, Document, FOUND};
use crate::report::{Reach, Row};
use crate::{Result, engine};

const MANY: usize = 1_000_000;
const FEW: usize = 10_000;

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let (many, few) = (bench.size(MANY), bench.size(FEW));
    let (large, small) = (bench.store(many)?, bench.store(few)?);
    // The first of each brings the file's pages into memory.
    in_child("open", &large, many)?;
    in_child("open", &small, few)?;
    let figures = bench.in_turns(
        || in_child("open", &large, many),
        || in_child("open", &small, few),
    )?;
    let what = (
        format!("open and first indexed query at {many} events, in a new process"),
        "the same at a hundredth of the events",
    );
    let length = |dir: &Path| Ok::<_, std::io::Error>(dir.join("data.mdb").metadata()?.len());
    Ok(
        Row::new("open", what, figures, "ms", Reach::AtMost(1.5)).note(format!(
            "the data files have {} MiB and {} MiB",
            length(&large)? >> 20,
            length(&small)? >> 20
        )),
    )
}

/// Opens the store in `dir` and asks one query; gives milliseconds.
pub(super) fn child(dir: &Path, documents: usize) -> Result<f64> {
    let query = Query::new().filter(field("group").eq(documents::group(0)));
    let (seconds, found) = timed(|| {
        let collection = engine::open::<Document>(Lmdb::open(dir)?)?;
        Ok(collection.find(&query)?.len())
    })?;
    if found != FOUND {
        return Err(format!("{found} of {documents} documents were found").into());
    }
    Ok(seconds * 1e3)
}
