//! Nodes that dropped old records, and those that need them.

use serde_json::json;
use threads_core::LogId;
use threads_core::block::{RAW, cid_of, decode, encode};
use threads_db::sync::PeerStatus;
use threads_db::{CompactOptions, Keep};

use crate::frames::Ask;
use crate::net::{Net, Reply};

const HERE: usize = 0;
const THERE: usize = 1;
const LATER: usize = 2;

fn compact(net: &Net, node: usize) {
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    let did = net.db(node).compact(&options, &mut |_| ()).unwrap();
    assert!(did.dropped > 10, "{did:?}");
}

fn clean(net: &Net, node: usize) {
    assert_eq!(net.db(node).verify(&mut |_| ()).unwrap().problems, []);
}

fn edited(nodes: usize) -> Net {
    let mut net = Net::new(nodes);
    net.shared_thread();
    net.connect(HERE, THERE);
    for n in 0..40 {
        net.put(HERE, json!({"_id": "x", "n": n}));
    }
    net.run();
    net
}

#[test]
fn what_waits_for_older_records_gets_them_from_a_peer_that_has_them() {
    let mut net = edited(3);
    net.connect(HERE, LATER);
    net.run();
    net.part(HERE, THERE);
    net.put(THERE, json!({"_id": "x", "there": 1}));
    net.run_for(1_000);
    net.put(HERE, json!({"_id": "x", "here": 1}));
    net.put(HERE, json!({"_id": "y"}));
    net.run();
    let careful = CompactOptions::new(Keep::Latest);
    let refused = net.db(HERE).compact(&careful, &mut |_| ());
    assert!(refused.is_err(), "no peer promises to keep what it has");
    compact(&net, HERE);
    clean(&net, HERE);
    net.connect(HERE, THERE);
    net.connect(LATER, THERE);
    net.run_for(60_000);
    let db = net.db(HERE);
    assert!(db.base().unwrap().is_none(), "it has all records again");
    assert!(db.held().unwrap().is_empty());
    for id in ["x", "y"] {
        assert_eq!(net.get(HERE, id), net.get(THERE, id));
    }
    [HERE, THERE].iter().for_each(|node| clean(&net, *node));
}

#[test]
fn nobody_is_asked_for_older_records_that_nothing_needs() {
    let mut net = edited(2);
    compact(&net, HERE);
    net.put(THERE, json!({"_id": "x", "there": 1}));
    net.run_for(60_000);
    assert_eq!(net.get(HERE, "x"), net.get(THERE, "x"));
    assert!(net.db(HERE).base().unwrap().is_some());
}

#[test]
fn who_asks_for_what_was_dropped_gets_it_elsewhere_and_is_not_called_level() {
    let mut net = edited(3);
    compact(&net, HERE);
    net.connect(HERE, LATER);
    net.run_for(10_000);
    assert_eq!(net.get(LATER, "x"), None);
    assert!(!net.db(LATER).sync_status().unwrap().is_in_sync());
    net.connect(THERE, LATER);
    net.run_for(60_000);
    assert_eq!(net.get(LATER, "x"), net.get(THERE, "x"));
    clean(&net, LATER);
}

#[test]
fn who_dropped_records_says_so_and_is_not_blamed() {
    let mut net = edited(3);
    compact(&net, HERE);
    let snapshot = net.db(HERE).base().unwrap().unwrap().snapshot;
    // Asked again and again for a day, as the other has nobody else to ask.
    net.connect(HERE, LATER);
    for _ in 0..24 {
        net.run_for(60 * 60_000);
    }
    assert_eq!(net.cut_off(), []);
    let status = net.db(LATER).sync_status().unwrap();
    let told = |peer: &PeerStatus| peer.peer == net.node(HERE).peer_id();
    let told = status.peers.iter().find(|peer| told(peer)).unwrap();
    let dropped = told.dropped.as_ref().unwrap();
    assert_eq!((dropped.snapshot, dropped.logs.len()), (snapshot, 1));
    let covered = net.db(HERE).base().unwrap().unwrap().logs[0];
    assert_eq!(dropped.logs[0], covered);
    assert!(told.missing > 0 && !status.is_in_sync());
    // What comes from another is lacking no more.
    net.connect(THERE, LATER);
    net.run_for(600_000);
    assert_eq!(net.get(LATER, "x"), net.get(THERE, "x"));
    let status = net.db(LATER).sync_status().unwrap();
    assert!(status.peers.iter().all(|peer| peer.dropped.is_none()));
    clean(&net, LATER);
}

#[test]
fn what_was_signed_for_and_dropped_counts_no_more_and_costs_nothing() {
    let mut net = edited(2);
    net.run();
    let record = net.db(HERE).log(Some(20)).unwrap()[19].record;
    assert_eq!(net.db(HERE).replicas_of(&record).unwrap().len(), 1);
    compact(&net, THERE);
    net.machine_mut(HERE).check_every(Some(10_000));
    for _ in 0..60 {
        net.part(HERE, THERE);
        net.run_for(1_000);
        net.connect(HERE, THERE);
        net.run_for(120_000);
    }
    assert!(net.db(HERE).replicas_of(&record).unwrap().is_empty());
    assert_eq!(net.cut_off(), []);
}

/// Says of everything that was asked for that it was dropped, or of what nobody asked for.
fn drops_what_nobody_asked_for(request: &[u8], reply: Reply) -> Reply {
    match decode(request) {
        Ok(Ask::Pull(..)) => {
            let log = LogId::from_key_bytes([7; 32]);
            encode(&Shortened::Short(vec![(log, 7)], cid_of(RAW, b"s")))
        }
        _ => reply,
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Shortened {
    Short(Vec<(LogId, u64)>, threads_core::Cid),
}

#[test]
fn who_says_so_of_what_nobody_asked_for_breaks_a_promise() {
    let mut net = edited(3);
    // It wrote none of it, so that it is asked.
    net.tamper(THERE, Some(drops_what_nobody_asked_for));
    net.connect(THERE, LATER);
    for _ in 0..40 {
        net.part(THERE, LATER);
        net.run_for(500);
        net.connect(THERE, LATER);
        net.run_for(2_000);
    }
    assert_eq!(net.cut_off()[0], (LATER, net.node(THERE).peer_id()));
    let status = net.db(LATER).sync_status().unwrap();
    assert!(status.peers.iter().all(|peer| peer.dropped.is_none()));
}

#[test]
fn who_dropped_records_signs_for_no_log_of_them() {
    let mut net = edited(2);
    compact(&net, THERE);
    net.put(HERE, json!({"_id": "x", "n": 41}));
    net.run_for(60_000);
    let record = net.db(HERE).log(Some(1)).unwrap()[0].record;
    assert_eq!(net.get(THERE, "x"), net.get(HERE, "x"));
    assert!(net.db(HERE).replicas_of(&record).unwrap().is_empty());
}
