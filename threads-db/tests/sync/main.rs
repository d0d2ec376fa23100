//! Synchronising nodes by the machine of sync, over a network that delivers at once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod abuse;
mod access;
mod automerge;
mod blobs;
mod changes;
mod codecs;
mod durable;
mod epochs;
mod forks;
mod frames;
mod gossip;
mod invites;
mod many;
mod net;
mod newcomers;
mod once;
mod purge;
mod receipts;
mod replicas;
mod snapshots;
mod stripped;
mod upgrades;
mod victim;
mod whereabouts;

use net::Net;
use serde_json::json;

#[test]
fn what_one_writes_another_gets() {
    let mut net = Net::new(2);
    let db = net.shared_thread();
    net.put(0, json!({"_id": "bob", "age": 42}));
    net.connect_all();
    net.run();
    assert_eq!(net.get(1, "bob"), Some(json!({"_id": "bob", "age": 42})));
    net.put(1, json!({"_id": "eve"}));
    net.run();
    assert_eq!(net.get(0, "eve"), Some(json!({"_id": "eve"})));
    net.assert_level(&db);
    for node in 0..2 {
        let status = net.db(node).sync_status().unwrap();
        assert!(status.is_in_sync(), "{status:?}");
    }
}

#[test]
fn status_says_what_a_peer_lacks_and_nothing_that_it_did_not_say() {
    let mut net = Net::new(2);
    net.shared_thread();
    net.put(0, json!({"_id": "x"}));
    net.run();
    let status = net.db(0).sync_status().unwrap();
    assert!(!status.is_in_sync());
    assert_eq!(
        (status.peers[0].lacks, status.peers[0].last_contact_ms),
        (2, None)
    );

    net.connect_all();
    net.run();
    for node in 0..2 {
        let status = net.db(node).sync_status().unwrap();
        assert!(status.is_in_sync(), "{node}: {status:?}");
        assert_eq!(status.logs[0].have, 2);
        assert_eq!(status.logs[0].acked.values().collect::<Vec<_>>(), [&2]);
    }
}

#[test]
fn three_agree_after_offline_edits_on_all_sides() {
    let mut net = Net::new(3);
    let db = net.shared_thread();
    for node in 0..3 {
        for n in 0..20 {
            net.put(node, json!({"_id": format!("x{n}"), "by": node}));
        }
    }
    net.connect_all();
    net.run();
    net.assert_level(&db);
    for node in 0..3 {
        let status = net.db(node).sync_status().unwrap();
        assert!(status.is_in_sync(), "{node}: {status:?}");
    }
}

#[test]
fn a_long_log_comes_in_pages_and_nothing_comes_twice() {
    let mut net = Net::new(2);
    let db = net.shared_thread();
    for n in 0..2_500 {
        net.put(0, json!({"_id": "x", "n": n}));
    }
    net.connect_all();
    net.run();
    net.assert_level(&db);
    let (received, whole) = (net.received(1), net.exported(0));
    assert!(received < whole, "{received} bytes for {whole}");
}

#[test]
fn what_is_dated_ahead_is_applied_and_told_when_its_time_comes() {
    let mut net = Net::new(3);
    net.shared_thread();
    net.set_ahead(0, 5 * 60_000);
    net.put(0, json!({"_id": "x"}));
    // The third hears of it from the second alone.
    net.connect(0, 1);
    net.connect(1, 2);
    net.run();
    assert_eq!(net.db(1).held_counts().unwrap().pending, 1);
    // Nobody sends it again.
    net.part(0, 1);
    for _ in 0..6 {
        net.run();
    }
    for node in 1..3 {
        assert_eq!(net.get(node, "x"), Some(json!({"_id": "x"})), "{node}");
        assert_eq!(net.db(node).held_counts().unwrap().pending, 0);
    }
}

#[test]
fn a_thread_that_is_level_is_put_away() {
    let mut net = Net::new(3);
    let db = net.shared_thread();
    net.put(0, json!({"_id": "x"}));
    net.connect_all();
    net.run();
    net.assert_level(&db);
    for node in 0..3 {
        let machine = format!("{:?}", net.machine(node));
        assert!(machine.contains("active: 0"), "{machine}");
    }
}
