//! What five writers send each other, all connected to all.

use std::sync::Arc;
use std::thread;

use threads_core::datastore::{Datastore as _, Direction, Durability, Keyspace};
use threads_db::Collection;
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::documents::{Small, sized};
use crate::engine::{self, COLLECTION, SHARED_BYTES};
use crate::peer::{Peer, TCP, is_level, records, share, until};
use crate::report::{Reach, Row};

const WRITERS: usize = 5;
const WRITES: usize = 1_000;
/// The lengths in front of a record's blocks, which are not sent.
const LENGTHS: u64 = 8;

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let count = bench.size(WRITES);
    let (sent, least, frames) = mesh(bench, count)?;
    let what = (
        format!("bytes that {WRITERS} writers of {count} records each send, all connected to all"),
        "bytes of the records × receivers",
    );
    let row = Row::new("sync-mesh", what, (sent, least), "B", Reach::AtMost(1.15));
    Ok(row.note(format!("{frames} frames were sent")))
}

/// Bytes sent, the least that had to be, and frames sent.
fn mesh(bench: &Bench, count: usize) -> Result<(f64, f64, u64)> {
    let mut dirs = Vec::new();
    let mut stores = Vec::new();
    for _ in 0..WRITERS {
        let dir = bench.fresh()?;
        stores.push(Arc::new(Lmdb::open(dir.path())?));
        dirs.push(dir);
    }
    let node = |store: &Arc<Lmdb>| engine::node(Arc::clone(store), Durability::Group);
    let nodes = stores.iter().map(node).collect::<Result<Vec<_>>>()?;
    let mut collections = vec![engine::collection(&nodes[0], &[])?];
    let mut threads = vec![collections[0].db().clone()];
    for node in &nodes[1..] {
        threads.push(share(&threads[0], node)?);
    }
    for thread in &threads {
        for node in nodes
            .iter()
            .filter(|node| node.peer_id() != thread.node().peer_id())
        {
            thread.share_with(&node.peer_id())?;
        }
    }
    let start = |node| Peer::start(node, TCP);
    let peers = nodes.iter().map(start).collect::<Result<Vec<_>>>()?;
    for (number, peer) in peers.iter().enumerate() {
        for other in &peers[..number] {
            peer.wire.connect(&other.wire)?;
        }
    }
    let agree = |all: u64| {
        until("agreement", || {
            for thread in &threads {
                if records(thread)? != all || !is_level(thread)? {
                    return Ok(false);
                }
            }
            Ok(peers.iter().all(Peer::is_settled))
        })
    };
    agree(1)?;
    for thread in &threads[1..] {
        collections.push(thread.typed(COLLECTION)?);
    }
    let before = (traffic(&peers), block_bytes(&stores[0])?);
    write(&collections, count)?;
    agree(1 + (WRITERS * count) as u64)?;
    let after = (traffic(&peers), block_bytes(&stores[0])?);
    let least = (after.1 - before.1) * (WRITERS as u64 - 1);
    let (bytes, frames) = (after.0.0 - before.0.0, after.0.1 - before.0.1);
    Ok((bytes as f64, least as f64, frames))
}

/// Everybody writes at the same time.
fn write(collections: &[Collection<Small>], count: usize) -> Result<()> {
    thread::scope(|scope| {
        let write = |writer: usize, collection: &Collection<Small>| {
            let numbers = (0..count).map(|number| number + writer * count);
            numbers
                .map(|number| sized(number, SHARED_BYTES))
                .try_for_each(|entity| collection.create(&entity).map(drop))
        };
        let started: Vec<_> = collections
            .iter()
            .enumerate()
            .map(|(writer, collection)| scope.spawn(move || write(writer, collection)))
            .collect();
        for writer in started {
            writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok(())
    })
}

/// Bytes and frames that were sent so far.
fn traffic(peers: &[Peer]) -> (u64, u64) {
    let counters = peers.iter().map(Peer::counters);
    counters.fold((0, 0), |sum, one| {
        (sum.0 + one.bytes_out, sum.1 + one.frames_out)
    })
}

/// Bytes of all blocks of all records.
fn block_bytes(store: &Lmdb) -> Result<u64> {
    let txn = store.read()?;
    let mut bytes = 0;
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    for row in txn.scan(Keyspace::Blocks, all, Direction::Forward)? {
        bytes += row?.1.len() as u64 - LENGTHS;
    }
    Ok(bytes)
}
