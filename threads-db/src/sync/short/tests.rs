//! What is noted of what peers dropped, and what is told of what was dropped here.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::block::{RAW, cid_of};
use threads_core::datastore::{Datastore, Durability, Memory};
use threads_core::module::CollectionSpec;

use super::super::shares;
use super::*;
use crate::compact::{CompactOptions, Keep};

const THREAD: Number = 7;

fn log(n: u64) -> LogId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    LogId::from_key_bytes(id)
}

fn says(snapshot: &[u8], logs: impl IntoIterator<Item = (u64, u64)>) -> Short {
    Short {
        logs: logs.into_iter().map(|(n, last)| (log(n), last)).collect(),
        snapshot: cid_of(RAW, snapshot),
    }
}

/// What is noted when a peer says these, one after the other.
fn noted(store: &Memory, all: Vec<Short>) -> Dropped {
    let (mut txn, peer) = (store.write().unwrap(), PeerId::from_key_bytes([2; 32]));
    for (told_ms, short) in (1..).zip(all) {
        note(&mut *txn, (THREAD, &peer), short, told_ms).unwrap();
    }
    txn.commit(Durability::Group).unwrap();
    let txn = store.read().unwrap();
    dropped(&*txn, THREAD, &peer, |_, _| true).unwrap().unwrap()
}

#[test]
fn what_a_peer_said_of_another_snapshot_is_over() {
    let store = Memory::new();
    let one = [says(b"one", [(1, 5)]), says(b"one", [(2, 6)])];
    let known = noted(&store, one.to_vec());
    assert_eq!(
        known.logs,
        [(log(1), 5), (log(2), 6)],
        "it says more of one"
    );
    let known = noted(&store, vec![says(b"other", [(2, 9)])]);
    assert_eq!(known.logs, [(log(2), 9)]);
    assert_eq!(known.snapshot, cid_of(RAW, b"other"));
}

#[test]
fn what_a_peer_says_of_logs_without_end_is_noted_of_so_many() {
    let most = SHORT_LOGS_MAX as u64;
    let many = says(b"one", (0..most + 10).map(|n| (n, 1)));
    let raised = says(b"one", [(0, 3), (most + 11, 3)]);
    let known = noted(&Memory::new(), vec![many, raised]);
    assert_eq!(known.logs.len(), SHORT_LOGS_MAX);
    assert_eq!(known.logs[0], (log(0), 3), "of those that are noted all is");
}

#[test]
fn of_who_shares_nothing_any_more_nothing_is_noted() {
    let (store, peer) = (Memory::new(), PeerId::from_key_bytes([2; 32]));
    noted(&store, vec![says(b"one", [(1, 5)])]);
    let mut txn = store.write().unwrap();
    shares::remove(&mut *txn, THREAD, &peer).unwrap();
    let left = dropped(txn.as_read(), THREAD, &peer, |_, _| true);
    assert!(left.unwrap().is_none());
}

#[test]
fn what_is_here_is_not_said_to_be_dropped() {
    let node = Node::builder(Memory::new()).codec(JsonPatch::new());
    let db = node.open().unwrap().create("t").unwrap();
    let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    let things = db.collection("Thing").unwrap();
    for n in 0..40 {
        things.save(&json!({"_id": "a", "n": n})).unwrap();
    }
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    assert!(db.compact(&options, &mut |_| ()).unwrap().dropped > 20);

    let (thread, txn) = (db.thread(), db.thread().node.store.read().unwrap());
    let (line, head) = line::all(&*txn, thread).unwrap().remove(0);
    let (mut here, mut gone) = (0, 0);
    for from in 1..=head.seq {
        let is_here = chain::get(&*txn, line.place(thread.number, from)).unwrap();
        let range = Range {
            log: line.log,
            from,
            to: head.seq,
        };
        let told = short(&*txn, thread, &[range]).unwrap();
        assert_eq!(told.is_none(), is_here.is_some(), "{from}");
        match told {
            Some(_) => gone += 1,
            None => here += 1,
        }
    }
    assert!(here > 1 && gone > 20, "{here} {gone}");
}
