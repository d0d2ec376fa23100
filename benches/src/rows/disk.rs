//! The disk that many small transactions take, against their payload.

use std::sync::Arc;

use threads_core::datastore::{DatastoreExt as _, Durability};
use threads_store_lmdb::Lmdb;

use crate::bench::Bench;
use crate::documents::{SMALL_BYTES, small};
use crate::report::{Reach, Row};
use crate::survey::{Space, survey};
use crate::{Result, engine};

const TRANSACTIONS: usize = 100_000;

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let count = bench.size(TRANSACTIONS);
    let dir = bench.fresh()?;
    let store = Arc::new(Lmdb::open(dir.path())?);
    let documents = engine::create(Arc::clone(&store), Durability::Relaxed, &[])?;
    for number in 0..count {
        documents.create(&small(number))?;
    }
    store.sync()?;
    drop((documents, store));

    let survey = survey(dir.path())?;
    let payload = (count * SMALL_BYTES) as f64;
    let what = (
        format!("data file after {count} one-entity transactions of {SMALL_BYTES} B"),
        "payload",
    );
    let figures = (survey.file_bytes as f64, payload);
    let mut row = Row::new("disk", what, figures, "B", Reach::AtMost(7.0)).note(format!(
        "of the file, {:.2} × payload is in pages of keyspaces; the reserve of the store is not counted",
        survey.used_bytes as f64 / payload
    ));
    let told = survey.spaces.iter().filter(|space| space.rows > 0);
    row.notes.extend(told.map(|space| told_of(space, count)));
    Ok(row)
}

fn told_of(space: &Space, count: usize) -> String {
    let each = |bytes: u64| bytes as f64 / count as f64;
    format!(
        "{}: {} rows; for each transaction {:.1} B of keys, {:.1} B of values, {:.1} B of pages",
        space.name,
        space.rows,
        each(space.key_bytes),
        each(space.value_bytes),
        each(space.page_bytes)
    )
}
