//! Receipts: what peers sign for, and what they are asked to show.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::sim::store::Disk;
use threads_core::block::{decode, encode};
use threads_core::books::HeadBook;
use threads_core::datastore::{Datastore, Direction, Durability, Keyspace};
use threads_core::{Cid, Error, PeerId, system_rng};
use threads_db::Node;
use threads_db::sync::{Input, Machine, Output, PeerStatus};

use crate::frames::{self, Answer, Ask};
use crate::net::{Net, Reply};
use crate::victim::{self, Known};

/// Whether a frame begins with this kind of request.
fn is(kind: &str, frame: &[u8]) -> bool {
    frame[2..].starts_with(kind.as_bytes())
}

fn refuse_to_sign(asked: &[u8], reply: Reply) -> Reply {
    match is("sign", asked) {
        true => Err(Error::unavailable("no")),
        false => reply,
    }
}

fn forge(asked: &[u8], reply: Reply) -> Reply {
    let mut reply = reply?;
    if is("sign", asked) {
        // A signature is last.
        *reply.last_mut().unwrap() ^= 1;
    }
    Ok(reply)
}

/// The record of what is put by the first node.
fn put(net: &Net, id: &str) -> Cid {
    let things = net.db(0).collection("Thing").unwrap();
    let mut txn = net.db(0).begin().unwrap();
    txn.create(&things, &json!({"_id": id})).unwrap();
    txn.commit().unwrap().unwrap().record
}

/// What the first node knows of another.
fn status_of(net: &Net, node: usize) -> PeerStatus {
    let peer = net.node(node).peer_id();
    let peers = net.db(0).sync_status().unwrap().peers;
    peers
        .into_iter()
        .find(|status| status.peer == peer)
        .unwrap()
}

/// For how many records of the first node's log a peer signed.
fn signed(net: &Net, by: &PeerId) -> Option<u64> {
    let logs = net.db(0).sync_status().unwrap().logs;
    let me = Some(net.node(0).peer_id());
    let own = logs.into_iter().find(|log| log.author == me).unwrap();
    own.signed.get(by).copied()
}

#[test]
fn peers_sign_for_what_a_writer_wrote_when_they_have_it() {
    let mut net = Net::new(3);
    net.shared_thread();
    let first = put(&net, "a");
    assert!(net.db(0).replicas_of(&first).unwrap().is_empty());
    net.connect_all();
    net.run();
    let mut both = [net.node(1).peer_id(), net.node(2).peer_id()];
    both.sort();
    assert_eq!(net.db(0).replicas_of(&first).unwrap(), both);
    assert_eq!(signed(&net, &both[0]), Some(2), "the definition and a");

    net.part(0, 2);
    let second = put(&net, "b");
    net.run();
    assert_eq!(
        net.db(0).replicas_of(&second).unwrap(),
        [net.node(1).peer_id()]
    );
    assert_eq!(net.db(0).replicas_of(&first).unwrap(), both);
    let logs = net.db(1).sync_status().unwrap().logs;
    assert!(
        logs.iter().all(|log| log.signed.is_empty()),
        "who writes nothing collects nothing"
    );
}

#[test]
fn receipts_that_were_missed_are_asked_for_when_peers_meet_and_no_others() {
    let mut net = Net::new(2);
    net.shared_thread();
    net.connect_all();
    net.run();
    net.tamper(1, Some(refuse_to_sign));
    let record = put(&net, "a");
    net.run();
    assert!(status_of(&net, 1).is_level());
    assert!(
        net.db(0).replicas_of(&record).unwrap().is_empty(),
        "it acknowledged, and did not sign"
    );

    net.tamper(1, None);
    net.part(0, 1);
    net.run();
    net.connect(0, 1);
    net.run();
    assert_eq!(net.db(0).replicas_of(&record).unwrap().len(), 1);
    // Of several times, for now and then one is asked to show what it signed for.
    let meetings = (0..10).map(|_| {
        net.part(0, 1);
        net.run();
        let before = net.received(0) + net.received(1);
        net.connect(0, 1);
        net.run();
        net.received(0) + net.received(1) - before
    });
    let level = meetings.min().unwrap();
    assert!(level < 100, "one question and its answer, {level} bytes");
}

#[test]
fn a_forged_receipt_is_refused_and_its_sender_cut_off() {
    let mut net = Net::new(2);
    net.shared_thread();
    net.tamper(1, Some(forge));
    net.connect_all();
    let record = put(&net, "a");
    net.run();
    assert!(net.db(0).replicas_of(&record).unwrap().is_empty());
    assert_eq!(net.cut_off(), [(0, net.node(1).peer_id())]);
}

#[test]
fn unsharing_forgets_receipts() {
    let mut net = Net::new(2);
    net.shared_thread();
    net.connect_all();
    let record = put(&net, "a");
    net.run();
    let peer = net.node(1).peer_id();
    assert_eq!(net.db(0).replicas_of(&record).unwrap(), [peer]);
    net.db(0).unshare(&peer).unwrap();
    net.db(0).share_with(&peer).unwrap();
    assert!(net.db(0).replicas_of(&record).unwrap().is_empty());
}

/// The blocks of the records that a node has, by their keys.
fn blocks(net: &Net, node: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let txn = net.store(node).read().unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let rows = txn.scan(Keyspace::Blocks, all, Direction::Forward).unwrap();
    rows.map(|row| {
        row.map(|(key, value)| (key.to_vec(), value.to_vec()))
            .unwrap()
    })
    .collect()
}

fn delete_block(net: &Net, node: usize, key: &[u8]) {
    let mut txn = net.store(node).write().unwrap();
    txn.delete(Keyspace::Blocks, key).unwrap();
    txn.commit(Durability::Group).unwrap();
}

fn put_block(net: &Net, node: usize, key: &[u8], value: &[u8]) {
    let mut txn = net.store(node).write().unwrap();
    txn.put(Keyspace::Blocks, key, value).unwrap();
    txn.commit(Durability::Group).unwrap();
}

/// Shows nothing when a single record is pulled.
fn show_nothing(asked: &[u8], reply: Reply) -> Reply {
    match is("pull", asked) {
        true => Err(Error::unavailable("no")),
        false => reply,
    }
}

/// Two nodes of which the first asks the second to show records every ten seconds.
fn checked() -> (Net, Cid) {
    let mut net = Net::new(2);
    net.shared_thread();
    net.machine_mut(0).check_every(Some(10_000));
    net.connect_all();
    for n in 0..20 {
        put(&net, &n.to_string());
    }
    let record = put(&net, "last");
    net.run();
    (net, record)
}

#[test]
fn a_peer_that_shows_what_it_signed_for_keeps_its_standing() {
    let (mut net, record) = checked();
    net.run();
    let status = status_of(&net, 1);
    assert!(
        status.shown_ms.is_some() && status.failed_check.is_none(),
        "{status:?}"
    );
    assert_eq!(net.db(0).replicas_of(&record).unwrap().len(), 1);
    let none = net.db(1).sync_status().unwrap();
    assert_eq!(
        none.peers[0].shown_ms, None,
        "the other has signed for nothing"
    );
}

#[test]
fn a_replica_that_signed_for_what_it_does_not_keep_loses_its_standing_until_it_shows_it() {
    let (mut net, record) = checked();
    // It keeps the last record alone, and goes on signing.
    let kept = blocks(&net, 1);
    for (key, _) in &kept[..kept.len() - 1] {
        delete_block(&net, 1, key);
    }
    net.run();
    let status = status_of(&net, 1);
    let failed = status.failed_check.unwrap();
    assert!(failed.answered && failed.seq < 22, "{failed:?}");
    assert_eq!(status.lacks, 0, "it acknowledged all of it");
    assert_eq!(
        signed(&net, &status.peer),
        Some(22),
        "what it signed is shown, and counts no more"
    );
    assert!(net.db(0).replicas_of(&record).unwrap().is_empty());
    let newer = put(&net, "newer");
    net.run();
    assert!(
        net.db(0).replicas_of(&newer).unwrap().is_empty(),
        "nor do later receipts"
    );

    for (key, value) in &kept {
        put_block(&net, 1, key, value);
    }
    net.run();
    assert_eq!(status_of(&net, 1).failed_check, None);
    assert_eq!(net.db(0).replicas_of(&newer).unwrap().len(), 1);
}

#[test]
fn a_replica_that_shows_another_record_than_it_signed_for_loses_its_standing() {
    let (mut net, record) = checked();
    let kept = blocks(&net, 1);
    let other = &kept[kept.len() - 1].1;
    for (key, _) in &kept[..kept.len() - 1] {
        put_block(&net, 1, key, other);
    }
    net.run();
    assert!(
        status_of(&net, 1)
            .failed_check
            .is_some_and(|failed| failed.answered)
    );
    assert!(net.db(0).replicas_of(&record).unwrap().is_empty());
}

#[test]
fn a_replica_that_never_answers_when_asked_to_show_loses_its_standing() {
    let (mut net, record) = checked();
    net.tamper(1, Some(show_nothing));
    for _ in 0..2 {
        net.run();
    }
    let failed = status_of(&net, 1).failed_check.unwrap();
    assert!(!failed.answered, "{failed:?}");
    assert!(net.db(0).replicas_of(&record).unwrap().is_empty());
}

/// Whoever asks to sign for what was never acknowledged, too, gets no receipt for what could be lost.
#[test]
fn nothing_is_signed_for_before_it_is_on_disk() {
    let (known, disk) = (Known::new(), Arc::new(Disk::new()));
    let node = Node::builder(Arc::clone(&disk))
        .codec(JsonPatch::new())
        .durability(Durability::Relaxed)
        .open()
        .unwrap();
    let db = node.add_thread("shared", &known.keys()).unwrap();
    victim::put(&db, 1);
    let status = db.sync_status().unwrap();
    let (log, have) = (status.logs[0].log, status.logs[0].have);
    let synced = |disk: &Disk| {
        let synced = disk.synced();
        let txn = synced.read().unwrap();
        let head = HeadBook::new(&*txn).get(&known.id, &log).unwrap();
        head.map_or(0, |head| head.seq)
    };
    assert_eq!((have, synced(&disk)), (2, 0));

    let (peer, mut machine) = (victim::anybody(), Machine::new(node.peer_id()));
    let claim = frames::claim(&known.replica, peer, node.peer_id());
    let ask = encode(&Ask::Sign(claim, vec![(log, have)])).unwrap();
    let mut inputs = vec![Input::Request(peer, 1, ask), Input::Connected(peer)];
    let mut replies = Vec::new();
    while let Some(input) = inputs.pop() {
        for output in machine.handle(0, input, &mut system_rng()) {
            match output {
                Output::Work(work) => inputs.push(Input::Worked(node.perform(work))),
                Output::Reply(_, frame) => replies.push((frame, synced(&disk))),
                _ => {}
            }
        }
    }
    let (frame, on_disk) = replies.pop().unwrap();
    let Answer::Signed(receipts) = decode(&frame).unwrap() else {
        panic!("no receipts");
    };
    assert_eq!((receipts[0].seq(), on_disk), (have, have));
    assert!(receipts[0].verify(&node.peer_id(), &known.id).is_ok());
}
