//! Relaxed one-entity transactions of one writer, against the floor of their cryptography and puts.

use std::path::Path;
use std::sync::Arc;

use threads_core::datastore::{DatastoreExt as _, Durability};
use threads_store_lmdb::Lmdb;

use crate::bench::Bench;
use crate::clock::timed;
use crate::documents::small;
use crate::floor::{Crypto, Layers, Raw, Sync};
use crate::report::{Reach, Row};
use crate::trace::{Trace, Traced, take};
use crate::{Result, engine};

const TRANSACTIONS: usize = 20_000;

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let count = bench.size(TRANSACTIONS);
    let (trace, syncs) = trace(bench.fresh()?.path(), count)?;
    let (lengths, gathered) = (trace.lengths()?, trace.gathered(syncs));
    let ours = || {
        let dir = bench.fresh()?;
        let store = Arc::new(Lmdb::open(dir.path())?);
        let documents = engine::create(Arc::clone(&store), Durability::Relaxed, &[])?;
        store.sync()?;
        let (seconds, ()) = timed(|| {
            for number in 0..count {
                documents.create(&small(number))?;
            }
            Ok(store.sync()?)
        })?;
        Ok(count as f64 / seconds)
    };
    let floor = || {
        let dir = bench.fresh()?;
        let (raw, mut crypto) = (Raw::create(dir.path(), Sync::Yes)?, Crypto::new());
        let (seconds, ()) = timed(|| {
            for lengths in &lengths {
                crypto.transaction(lengths, Layers::HeaderAndBody)?;
            }
            gathered
                .0
                .iter()
                .try_for_each(|changes| raw.commit(changes))
        })?;
        Ok(count as f64 / seconds)
    };
    let figures = bench.in_turns(ours, floor)?;
    let what = (
        format!("{count} relaxed one-entity transactions of 100 B, one writer"),
        "signing, two AEADs, hashing and LMDB puts",
    );
    Ok(
        Row::new("relaxed", what, figures, "/s", Reach::AtLeast(0.5))
            .note(trace.describe())
            .note(format!("both sides wrote to the disk {syncs} times")),
    )
}

/// What `count` transactions put, and how often the store wrote them out.
fn trace(dir: &Path, count: usize) -> Result<(Trace, usize)> {
    let store = Arc::new(Lmdb::open(dir)?);
    let (traced, noted) = Traced::new(Arc::clone(&store));
    let documents = engine::create(traced, Durability::Relaxed, &[])?;
    store.sync()?;
    let before = store.stats().syncs;
    take(&noted);
    for number in 0..count {
        documents.create(&small(number))?;
    }
    store.sync()?;
    Ok((take(&noted), (store.stats().syncs - before) as usize))
}
