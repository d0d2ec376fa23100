//! The most heap that loading 1,000,000 entities takes, against 10,000.

use std::path::Path;

use threads_store_lmdb::Lmdb;

use super::{import, in_child};
use crate::bench::Bench;
use crate::documents::document;
use crate::engine::{self, BATCH};
use crate::report::{Reach, Row};
use crate::{Result, heap};

const MANY: usize = 1_000_000;
const FEW: usize = 10_000;

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let peak = |count| in_child("heap", bench.fresh()?.path(), count);
    let (many, few) = (bench.size(MANY), bench.size(FEW));
    let figures = (peak(many)?, peak(few)?);
    let what = (
        format!("peak heap of importing {many} entities, {BATCH} a transaction, one index"),
        "the same with a hundredth of the entities",
    );
    Ok(Row::new("heap", what, figures, "KiB", Reach::AtMost(1.5))
        .note("LMDB's allocations are counted too; pages of the mapped file are not"))
}

/// Loads entities into a new store in `dir`; gives KiB.
pub(super) fn child(dir: &Path, entities: usize) -> Result<f64> {
    heap::watch();
    let collection = import::create(Lmdb::open(dir)?)?;
    for first in (0..entities).step_by(BATCH) {
        let numbers = first..entities.min(first + BATCH);
        let line = |number| Ok(serde_json::to_string(&document(number, entities))?);
        let lines: Vec<String> = numbers.map(line).collect::<Result<_>>()?;
        engine::import(collection.db(), &collection, &lines)?;
    }
    let peak = heap::peak().ok_or("the heap cannot be counted on this system")?;
    Ok(peak as f64 / 1024.0)
}
