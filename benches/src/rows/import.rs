//! Loading lines of JSON, 1,000 entities in a transaction, one index, against a floor program.

use std::path::Path;

use serde_json::Value;
use threads_core::datastore::{Datastore, Durability};
use threads_db::Collection;
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::documents;
use crate::engine::{self, BATCH};
use crate::floor::{Crypto, Layers, Raw, Sync};
use crate::report::{Reach, Row};
use crate::trace::{Trace, Traced, take};

const ENTITIES: usize = 100_000;

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let lines = documents::lines(bench.size(ENTITIES))?;
    let trace = trace(bench.fresh()?.path(), &lines)?;
    let lengths = trace.lengths()?;
    let ours = || {
        let dir = bench.fresh()?;
        let collection = create(Lmdb::open(dir.path())?)?;
        let (seconds, ()) = timed(|| engine::import(collection.db(), &collection, &lines))?;
        Ok(lines.len() as f64 / seconds)
    };
    let floor = || {
        let dir = bench.fresh()?;
        let (raw, mut crypto) = (Raw::create(dir.path(), Sync::Yes)?, Crypto::new());
        let (seconds, ()) = timed(|| {
            let transactions = trace.0.iter().zip(&lengths);
            for (batch, (changes, lengths)) in lines.chunks(BATCH).zip(transactions) {
                for line in batch {
                    std::hint::black_box(serde_json::from_str::<Value>(line)?);
                }
                crypto.transaction(lengths, Layers::All)?;
                raw.commit(changes)?;
            }
            Ok(())
        })?;
        Ok(lines.len() as f64 / seconds)
    };
    let figures = bench.in_turns(ours, floor)?;
    let what = (
        format!(
            "import of {} entities, {BATCH} a transaction, one index",
            lines.len()
        ),
        "parsing, signing, encrypting, hashing, LMDB puts, one sync a transaction",
    );
    Ok(Row::new("import", what, figures, "/s", Reach::AtLeast(0.5)).note(trace.describe()))
}

/// An empty collection with the one index.
pub(super) fn create(store: impl Datastore) -> Result<Collection<Value>> {
    engine::create(store, Durability::Group, &["group"])
}

fn trace(dir: &Path, lines: &[String]) -> Result<Trace> {
    let (traced, noted) = Traced::new(Lmdb::open(dir)?);
    let collection = create(traced)?;
    take(&noted);
    engine::import(collection.db(), &collection, lines)?;
    Ok(take(&noted))
}
