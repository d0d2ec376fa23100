//! Purges between peers: what they claim to have erased.

use serde_json::json;
use threads_core::datastore::{Datastore, Direction, Keyspace};
use threads_core::{Cid, Erased};
use threads_db::Purge;

use crate::access::{OTHER, REPLICA, ROOT, WRITER, team};
use crate::net::{Net, Reply};
use crate::stripped::strip;

pub(crate) fn is(kind: &str, frame: &[u8]) -> bool {
    frame[2..].starts_with(kind.as_bytes())
}

/// An entity that a writer made and changed, and root purged.
fn purged(net: &mut Net, id: &str) -> Cid {
    for text in ["CANARY one", "CANARY two"] {
        net.put(WRITER, json!({"_id": id, "text": text}));
    }
    net.run();
    let name = ("Thing".parse().unwrap(), id.parse().unwrap());
    let report = net.db(ROOT).purge([name]).unwrap();
    assert_eq!(report.records, 2);
    net.run();
    report.stated.unwrap()
}

fn the_purge(net: &Net, node: usize, record: &Cid) -> Purge {
    let purges = net.db(node).purges().unwrap().into_iter();
    let mut purges = purges.filter(|purge| purge.record == *record);
    purges.next().unwrap()
}

/// How many bytes of blocks a node keeps.
fn kept(net: &Net, node: usize) -> usize {
    let txn = net.store(node).read().unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = txn.scan(Keyspace::Blocks, all, Direction::Forward).unwrap();
    rows.map(|row| row.unwrap().1.len()).sum()
}

#[test]
fn peers_follow_a_purge_and_say_so() {
    let mut net = team();
    let record = purged(&mut net, "plan");
    let purge = the_purge(&net, ROOT, &record);
    assert_eq!((purge.listed, purge.emptied), (2, 2));
    let done = Erased {
        emptied: 2,
        ..Erased::default()
    };
    for node in [WRITER, REPLICA, OTHER] {
        let peer = net.node(node).peer_id();
        assert_eq!(purge.claims.get(&peer), Some(&done), "{node}");
        assert_eq!(net.db(node).sync_status().unwrap().emptied.purged, 2);
        assert!(
            the_purge(&net, node, &record).claims.is_empty(),
            "who did not ask has none"
        );
        assert!(net.db(node).verify(&mut |_| ()).unwrap().is_clean());
    }
    for node in 0..4 {
        assert!(net.db(node).sync_status().unwrap().is_in_sync());
    }
}

#[test]
fn who_comes_later_gets_what_is_left_and_who_was_away_follows() {
    let mut net = team();
    net.part(ROOT, OTHER);
    net.part(WRITER, OTHER);
    net.part(REPLICA, OTHER);
    let record = purged(&mut net, "plan");
    let other = net.node(OTHER).peer_id();
    assert!(!the_purge(&net, ROOT, &record).claims.contains_key(&other));
    let before = kept(&net, REPLICA);
    // From the replica alone, which has nothing else.
    net.connect(REPLICA, OTHER);
    net.run();
    assert_eq!(the_purge(&net, OTHER, &record).emptied, 2);
    assert_eq!(kept(&net, REPLICA), before);
    net.connect(ROOT, OTHER);
    net.put(ROOT, json!({"_id": "list"}));
    net.run();
    let claim = the_purge(&net, ROOT, &record).claims[&other];
    assert_eq!((claim.emptied, claim.absent), (2, 0));
}

fn forge(asked: &[u8], reply: Reply) -> Reply {
    let mut reply = reply?;
    if is("erased", asked) {
        // A signature is last.
        *reply.last_mut().unwrap() ^= 1;
    }
    Ok(reply)
}

#[test]
fn a_forged_claim_is_refused_and_its_sender_cut_off() {
    let mut net = team();
    net.tamper(REPLICA, Some(forge));
    let record = purged(&mut net, "plan");
    let replica = net.node(REPLICA).peer_id();
    assert!(!the_purge(&net, ROOT, &record).claims.contains_key(&replica));
    assert_eq!(net.cut_off(), [(ROOT, replica)]);
}

#[test]
fn a_peer_that_purged_keeps_its_standing_and_one_that_strips_loses_it() {
    let mut net = team();
    for node in 0..4 {
        net.machine_mut(node).check_every(Some(10_000));
    }
    // Checks are planned when peers meet.
    for (a, b) in [(ROOT, WRITER), (ROOT, REPLICA), (WRITER, REPLICA)] {
        net.part(a, b);
        net.connect(a, b);
    }
    purged(&mut net, "plan");
    net.run_for(5 * 60_000);
    for node in 0..4 {
        for peer in net.db(node).sync_status().unwrap().peers {
            assert_eq!(peer.failed_check, None, "{node}");
        }
    }
    net.tamper(REPLICA, Some(strip));
    net.put(WRITER, json!({"_id": "list"}));
    net.run_for(5 * 60_000);
    let replica = net.node(REPLICA).peer_id();
    let peers = net.db(WRITER).sync_status().unwrap().peers;
    let status = peers.into_iter().find(|status| status.peer == replica);
    assert!(status.unwrap().failed_check.is_some());
}
