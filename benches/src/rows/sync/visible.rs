//! From a write to where a connected peer sees it.

use std::time::Duration;

use threads_core::datastore::Durability;
use threads_db::ChangeFilter;
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::clock::{median, timed};
use crate::documents::sized;
use crate::engine::{self, SHARED_BYTES};
use crate::floor::{Raw, Sync};
use crate::peer::{Peer, TCP, Wire, is_level, share, until};
use crate::report::{Reach, Row};
use crate::trace::{Trace, Traced, take};

const WRITES: usize = 500;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let count = bench.size(WRITES);
    let trace = trace(bench, count)?;
    let figures = bench.in_turns(|| ours(bench, count), || floor(bench, &trace))?;
    let what = (
        format!(
            "from a write of {SHARED_BYTES} B to a connected peer's listener, median of {count}"
        ),
        "one request with its record and its reply, and a synced LMDB commit of its rows at both ends",
    );
    Ok(Row::new(
        "sync-visible",
        what,
        figures,
        "ms",
        Reach::AtMost(2.0),
    ))
}

fn ours(bench: &Bench, count: usize) -> Result<f64> {
    let dirs = [bench.fresh()?, bench.fresh()?];
    let here = engine::node(Lmdb::open(dirs[0].path())?, Durability::Group)?;
    let there = engine::node(Lmdb::open(dirs[1].path())?, Durability::Group)?;
    let collection = engine::collection(&here, &[])?;
    let theirs = share(collection.db(), &there)?;
    let (here, there) = (Peer::start(&here, TCP)?, Peer::start(&there, TCP)?);
    here.wire.connect(&there.wire)?;
    until("agreement", || {
        Ok(is_level(collection.db())? && is_level(&theirs)?)
    })?;
    let mut listener = theirs.listen(ChangeFilter::all())?;
    let mut took = Vec::new();
    for number in 0..count {
        let entity = sized(number, SHARED_BYTES);
        let (seconds, ()) = timed(|| {
            collection.create(&entity)?;
            let notice = listener.next_timeout(PATIENCE)?;
            notice
                .map(drop)
                .ok_or_else(|| "a write was not seen".into())
        })?;
        took.push(seconds * 1e3);
    }
    Ok(median(&took))
}

fn floor(bench: &Bench, trace: &Trace) -> Result<f64> {
    let dirs = [bench.fresh()?, bench.fresh()?];
    let here = Raw::create(dirs[0].path(), Sync::Yes)?;
    let there = Raw::create(dirs[1].path(), Sync::Yes)?;
    let (from, to) = (Wire::bare(TCP)?, Wire::bare(TCP)?);
    let mut puts = trace.0.clone().into_iter();
    to.answer(move |_| {
        there.commit(&puts.next().ok_or("one request too many")?)?;
        Ok(vec![0; 64])
    });
    from.connect(&to)?;
    let mut took = Vec::new();
    for (changes, lengths) in trace.0.iter().zip(trace.lengths()?) {
        let frame = vec![0; lengths.record + lengths.event + lengths.body];
        let (seconds, ()) = timed(|| {
            here.commit(changes)?;
            from.ask(&to, frame).map(drop)
        })?;
        took.push(seconds * 1e3);
    }
    Ok(median(&took))
}

/// What each write puts.
fn trace(bench: &Bench, count: usize) -> Result<Trace> {
    let dir = bench.fresh()?;
    let (traced, noted) = Traced::new(Lmdb::open(dir.path())?);
    let collection = engine::create(traced, Durability::Relaxed, &[])?;
    take(&noted);
    for number in 0..count {
        collection.create(&sized(number, SHARED_BYTES))?;
    }
    Ok(take(&noted))
}
