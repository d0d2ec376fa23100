//! Durable one-entity transactions, of many writers and of one.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use tempfile::TempDir;
use threads_core::datastore::Durability;
use threads_db::Collection;
use threads_store_lmdb::Lmdb;

use crate::bench::Bench;
use crate::clock::timed;
use crate::documents::{Small, small};
use crate::floor::{Crypto, Layers, Raw, Sync};
use crate::report::{Reach, Row};
use crate::sync::{CAN_SLOW, slowed};
use crate::trace::{Trace, Traced, take};
use crate::{Result, engine};

const WRITERS: usize = 64;
/// What a sync takes at least where it is slowed down, in microseconds.
const SLOW_SYNC_US: u64 = 1_100;
const MANY: usize = 20_000;
const FEW: usize = 2_000;
/// Less than the 64 MB that a container has in memory.
const IN_MEMORY: usize = 10_000;
/// What the raw loop commits: it goes on for long where a sync is slow.
const RAW: usize = 1_000;
/// Where files are in memory on Linux.
const MEMORY: &str = "/dev/shm";
const LOOP: &str = "a loop of raw synced LMDB commits of the same bytes";

pub(crate) fn many(bench: &Bench) -> Result<Row> {
    let count = bench.size(MANY);
    let trace = trace(bench.fresh()?.path(), bench.size(RAW))?;
    let mut syncs = 0;
    let figures = slowed(SLOW_SYNC_US, || {
        bench.in_turns(
            || {
                let (rate, taken) = ours(&bench.fresh()?, WRITERS, count)?;
                syncs = taken;
                Ok(rate)
            },
            || raw(bench, &trace),
        )
    })?;
    let what = (
        format!("durable one-entity transactions, {WRITERS} writers, a sync slowed to 1.1 ms"),
        LOOP,
    );
    Ok(
        Row::new("durable-many", what, figures, "/s", Reach::AtLeast(20.0))
            .note(trace.describe())
            .note(slowness())
            .note(format!(
                "{:.1} transactions shared a sync",
                count as f64 / syncs.max(1) as f64
            )),
    )
}

pub(crate) fn one(bench: &Bench) -> Result<Row> {
    let trace = trace(bench.fresh()?.path(), bench.size(RAW))?;
    let figures = slowed(SLOW_SYNC_US, || {
        bench.in_turns(
            || Ok(ours(&bench.fresh()?, 1, bench.size(FEW))?.0),
            || raw(bench, &trace),
        )
    })?;
    let what = "durable one-entity transactions, one writer, a sync slowed to 1.1 ms";
    Ok(Row::new(
        "durable-one",
        (what, LOOP),
        figures,
        "/s",
        Reach::AtLeast(0.9),
    )
    .note(slowness()))
}

/// Where a sync costs nothing, against the cryptography and the puts of as many unsynced commits.
pub(crate) fn floor(bench: &Bench) -> Result<Row> {
    let count = bench.size(IN_MEMORY);
    let trace = trace(bench.fresh()?.path(), count)?;
    let lengths = trace.lengths()?;
    let (_, syncs) = ours(&quick_dir(bench)?, WRITERS, count)?;
    let gathered = trace.gathered(syncs);
    let floor = || {
        let dir = quick_dir(bench)?;
        let (raw, mut crypto) = (Raw::create(dir.path(), Sync::No)?, Crypto::new());
        let (seconds, ()) = timed(|| {
            for lengths in &lengths {
                crypto.transaction(lengths, Layers::All)?;
            }
            gathered
                .0
                .iter()
                .try_for_each(|changes| raw.commit(changes))
        })?;
        Ok(count as f64 / seconds)
    };
    let ours = || Ok(ours(&quick_dir(bench)?, WRITERS, count)?.0);
    let figures = bench.in_turns(ours, floor)?;
    let place = if Path::new(MEMORY).is_dir() {
        "in memory, where a sync costs nothing"
    } else {
        "on the disk as it is"
    };
    let what = (
        format!("durable one-entity transactions, {WRITERS} writers, {place}"),
        "signing, AEADs, hashing and unsynced LMDB puts",
    );
    Ok(
        Row::new("durable-floor", what, figures, "/s", Reach::AtLeast(0.5))
            .note(format!("both sides committed to LMDB {syncs} times")),
    )
}

/// A directory in memory, or on the disk where the system has no memory to offer.
fn quick_dir(bench: &Bench) -> Result<TempDir> {
    if Path::new(MEMORY).is_dir() {
        return Ok(tempfile::tempdir_in(MEMORY)?);
    }
    bench.fresh()
}

/// Transactions in a second, and syncs in all.
fn ours(dir: &TempDir, writers: usize, count: usize) -> Result<(f64, usize)> {
    let store = Arc::new(Lmdb::open(dir.path())?);
    let documents = engine::create(Arc::clone(&store), Durability::Group, &[])?;
    let before = store.stats().syncs;
    let (seconds, ()) = timed(|| write(&documents, writers, count))?;
    let syncs = store.stats().syncs - before;
    Ok((count as f64 / seconds, syncs as usize))
}

/// Creates `count` entities, each writer its share, each in a transaction.
fn write(documents: &Collection<Small>, writers: usize, count: usize) -> Result<()> {
    thread::scope(|scope| {
        let share = |writer| {
            let numbers = (writer..count).step_by(writers);
            numbers
                .map(small)
                .try_for_each(|value| documents.create(&value).map(drop))
        };
        let started: Vec<_> = (0..writers)
            .map(|writer| scope.spawn(move || share(writer)))
            .collect();
        for writer in started {
            writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok(())
    })
}

fn raw(bench: &Bench, trace: &Trace) -> Result<f64> {
    let dir = bench.fresh()?;
    let raw = Raw::create(dir.path(), Sync::Yes)?;
    let (seconds, ()) = timed(|| trace.0.iter().try_for_each(|changes| raw.commit(changes)))?;
    Ok(trace.0.len() as f64 / seconds)
}

fn trace(dir: &Path, count: usize) -> Result<Trace> {
    let (traced, noted) = Traced::new(Lmdb::open(dir)?);
    let documents = engine::create(traced, Durability::Relaxed, &[])?;
    take(&noted);
    write(&documents, 1, count)?;
    Ok(take(&noted))
}

fn slowness() -> &'static str {
    if CAN_SLOW {
        "fdatasync takes at least 1.1 ms for both sides; LMDB's write of its meta page is as fast as it is"
    } else {
        "syncs cannot be slowed down on this system: the disk was as it is"
    }
}
