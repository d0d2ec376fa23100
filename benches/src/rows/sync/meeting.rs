//! Peers that meet again: how often they ask each other, and how much that takes.

use std::time::Duration;

use threads_core::datastore::Durability;
use threads_db::Node;
use threads_net_libp2p::Counters;
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::documents::sized;
use crate::engine::{self, SHARED_BYTES, THREAD};
use crate::peer::{Peer, TCP, is_level, pause, records, share, until};
use crate::report::{Reach, Row};

const BEHIND: usize = 10;
const THREADS: usize = 1_000;
/// After this long nobody asks any more because nothing was asked so far.
const QUIET: Duration = Duration::from_millis(1_500);

/// Requests and bytes between two peers, both ways.
#[derive(Clone, Copy)]
struct Traffic {
    trips: f64,
    bytes: f64,
}

impl Traffic {
    fn of(counters: Counters) -> Self {
        Self {
            trips: (counters.frames_in + counters.frames_out) as f64 / 2.0,
            bytes: (counters.bytes_in + counters.bytes_out) as f64,
        }
    }
}

/// Round trips until who was away has what was written meanwhile.
pub(crate) fn catch_up(bench: &Bench) -> Result<Row> {
    let (mut most, mut ended) = (0.0_f64, 0.0_f64);
    for smaller_writes in [true, false] {
        let (got, all) = missed(bench, smaller_writes)?;
        most = most.max(got.trips);
        ended = ended.max(all.trips);
    }
    let what = (
        format!("requests until {BEHIND} records that were missed are there"),
        "one",
    );
    let row = Row::new(
        "sync-catch-up",
        what,
        (most, 1.0),
        "round trips",
        Reach::AtMost(3.0),
    );
    Ok(row.note(format!(
        "until both know that they agree: {ended}; the more of whether the smaller id wrote or the greater"
    )))
}

/// What has passed when the records are there, and when nothing passes any more.
fn missed(bench: &Bench, smaller_writes: bool) -> Result<(Traffic, Traffic)> {
    let dirs = [bench.fresh()?, bench.fresh()?];
    let node = |dir: &tempfile::TempDir| engine::node(Lmdb::open(dir.path())?, Durability::Group);
    let mut nodes = [node(&dirs[0])?, node(&dirs[1])?];
    if (nodes[0].peer_id() < nodes[1].peer_id()) != smaller_writes {
        nodes.reverse();
    }
    let [writer, reader] = nodes;
    let collection = engine::collection(&writer, &[])?;
    let theirs = share(collection.db(), &reader)?;
    meet(&writer, &reader)?;
    for number in 0..BEHIND {
        collection.create(&sized(number, SHARED_BYTES))?;
    }
    let all = records(collection.db())?;
    let (here, there) = (Peer::start(&reader, TCP)?, Peer::start(&writer, TCP)?);
    here.wire.connect(&there.wire)?;
    until("catching up", || Ok(records(&theirs)? == all))?;
    let got = Traffic::of(here.counters());
    until("agreement", || {
        Ok(is_level(&theirs)? && is_level(collection.db())?)
    })?;
    pause(QUIET)?;
    Ok((got, Traffic::of(here.counters())))
}

/// Two nodes meet until they agree, and part.
fn meet(one: &Node, other: &Node) -> Result<()> {
    let (one, other) = (Peer::start(one, TCP)?, Peer::start(other, TCP)?);
    one.wire.connect(&other.wire)?;
    for thread in one.node.threads()? {
        let id = thread.id.to_string();
        let both = [one.node.open(&id)?, other.node.open(&id)?];
        until("agreement", || {
            Ok(is_level(&both[0])? && is_level(&both[1])?)
        })?;
    }
    // They sign for what they have a little later, one thread after the other.
    let mut before = 0;
    loop {
        pause(QUIET)?;
        let frames = one.counters().frames_out + one.counters().frames_in;
        if frames == before {
            return Ok(());
        }
        before = frames;
    }
}

/// Bytes for each thread when all are level.
pub(crate) fn level(bench: &Bench) -> Result<Row> {
    let (threads, traffic) = nothing_to_do(bench)?;
    let what = (
        format!("bytes both ways when two meet who share {threads} threads that are level"),
        "threads",
    );
    let figures = (traffic.bytes, threads as f64);
    Ok(Row::new(
        "sync-level",
        what,
        figures,
        "B",
        Reach::AtMost(64.0),
    ))
}

/// Round trips when all are level.
pub(crate) fn level_trips(bench: &Bench) -> Result<Row> {
    let (threads, traffic) = nothing_to_do(bench)?;
    let what = (
        format!("requests when two meet who share {threads} threads that are level"),
        "one",
    );
    let figures = (traffic.trips, 1.0);
    Ok(Row::new(
        "sync-level-trips",
        what,
        figures,
        "round trips",
        Reach::AtMost(1.0),
    ))
}

fn nothing_to_do(bench: &Bench) -> Result<(usize, Traffic)> {
    let threads = bench.size(THREADS);
    let dirs = [bench.fresh()?, bench.fresh()?];
    let node = |dir: &tempfile::TempDir| engine::node(Lmdb::open(dir.path())?, Durability::Relaxed);
    let (one, other) = (node(&dirs[0])?, node(&dirs[1])?);
    for number in 0..threads {
        let db = one.create(&format!("{THREAD}-{number}"))?;
        let spec = engine::spec(&[])?;
        db.define(&spec)?;
        share(&db, &other)?;
    }
    meet(&one, &other)?;
    let (one, other) = (Peer::start(&one, TCP)?, Peer::start(&other, TCP)?);
    one.wire.connect(&other.wire)?;
    until("an answer", || Ok(one.counters().frames_in > 0))?;
    pause(QUIET)?;
    until("rest", || Ok(one.is_settled() && other.is_settled()))?;
    Ok((threads, Traffic::of(one.counters())))
}
