//! Where a thread stands, told as it changes.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use serde_json::json;
use threads_core::transport::memory::Hub;
use threads_db::sync::SyncChanges;

use crate::durable::{LONG, nodes, serve};
use crate::net::Net;

#[test]
fn who_looks_late_is_told_once_and_how_it_stands_then() {
    let mut net = Net::new(3);
    net.shared_thread();
    let mut changes = net.db(0).sync_changes();
    let before = changes.try_next().unwrap().unwrap();
    assert!(!before.is_in_sync());
    net.connect_all();
    for n in 0..50 {
        net.put(n % 3, json!({"_id": format!("x{n}")}));
        net.run();
    }
    let after = changes.try_next().unwrap().unwrap();
    assert!(after.is_in_sync(), "{after:?}");
    assert_eq!(after, net.db(0).sync_status().unwrap());
    assert_eq!(changes.try_next().unwrap(), None);

    let late = Duration::from_millis(10);
    assert_eq!(changes.next_timeout(late).unwrap(), None);
    net.part(0, 1);
    net.put(0, json!({"_id": "y"}));
    let lacks = |changes: &mut SyncChanges| {
        let status = changes.next_timeout(LONG).unwrap().unwrap();
        status.peers.iter().map(|peer| peer.lacks).sum::<u64>()
    };
    assert_eq!(lacks(&mut changes), 2);
    net.run();
    assert_eq!(lacks(&mut changes), 1);
}

#[test]
fn of_a_node_each_thread_is_told_of_when_it_changes_and_no_other() {
    let mut net = Net::new(2);
    net.shared_thread();
    for n in 0..1_100 {
        net.node(0).create(&format!("thread {n}")).unwrap();
    }
    let mut changes = net.node(0).sync_changes();
    let mut told = || {
        let next = || changes.try_next().unwrap();
        let told: Vec<_> = std::iter::from_fn(next)
            .map(|(db, status)| (db.name().to_owned(), status))
            .collect();
        told
    };
    assert_eq!(told().len(), 1_101, "all as they are");
    assert_eq!(told(), []);
    net.connect(0, 1);
    for n in 0..50 {
        net.put(1, json!({"_id": format!("x{n}")}));
        net.run();
    }
    let now = net.db(0).sync_status().unwrap();
    assert!(now.is_in_sync());
    assert_eq!(told(), [("shared".to_owned(), now)], "once for all of it");
    // More than are noted.
    for n in 0..1_100 {
        let db = net.node(0).open(&format!("thread {n}")).unwrap();
        db.share_with(&net.node(1).peer_id()).unwrap();
    }
    assert_eq!(told().len(), 1_100);
    assert_eq!(told(), []);
}

/// Each step of sync wakes it: were one missed, the last change would never come.
#[test]
fn as_a_stream_it_wakes_for_what_peers_say_and_sign() {
    let hub = Hub::new();
    let (db, replicas) = nodes(&hub);
    let mut changes = db.sync_changes();
    for replica in &replicas {
        serve(&replica.node(), &hub);
    }
    let until_signed = async {
        loop {
            let next = poll_fn(|cx| Pin::new(&mut changes).poll_next(cx)).await;
            let status = next.unwrap().unwrap();
            let log = &status.logs[0];
            if log
                .signed
                .values()
                .filter(|signed| **signed == log.have)
                .count()
                == 2
            {
                return status;
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let status = runtime.block_on(async { tokio::time::timeout(LONG, until_signed).await });
    assert!(status.unwrap().is_in_sync());
}
