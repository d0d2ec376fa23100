//! A blind replica that is given the keys to read: it reads all that it has kept, and is then as any reader.

use serde_json::json;
use threads_acl::Acl;
use threads_core::access::{Role, Scope, Subject};
use threads_core::module::CollectionSpec;
use threads_core::{ErrorKind, Variant};
use threads_db::Joined;

use crate::net::{How, Net};

const HOW: How = |builder| builder.policy(Acl::new());

/// How many entities are written: more than one commit reads.
const MANY: usize = 600;

/// The first writes, the second keeps without reading, the third reads from the beginning; the thread has two
/// writers, for the third writes too.
fn kept() -> Net {
    let mut net = Net::new(0);
    (0..3).for_each(|_| net.add(HOW));
    net.shared_thread();
    let peer = net.node(0).peer_id();
    // The second anew, and without the read key.
    net.add(HOW);
    let keys = net.db(0).keys().without_read();
    let blind = net.node(3).add_thread("shared", &keys).unwrap();
    blind.share_with(&peer).unwrap();
    net.db(0).share_with(&net.node(3).peer_id()).unwrap();
    net.use_thread(3, blind);
    for n in 0..MANY {
        net.put(0, json!({"_id": format!("e{n}"), "n": n}));
    }
    net.connect(0, 2);
    net.connect(0, 3);
    net.run();
    net.put(2, json!({"_id": "e1", "n": "again"}));
    net.run();
    net.db(0).collection("Thing").unwrap().delete("e2").unwrap();
    net.run();
    net
}

/// What a node shows of everything.
fn shown(net: &Net, node: usize) -> Vec<serde_json::Value> {
    let things = net.db(node).collection("Thing").unwrap();
    let all = threads_db::query::Query::parse("n >= 0 or n = 'again'").unwrap();
    let mut all = things.find(&all.sort("_id")).unwrap();
    all.sort_by_key(|thing| thing["_id"].to_string());
    all
}

#[test]
fn a_replica_that_gets_the_read_key_reads_what_it_kept() {
    let mut net = kept();
    let db = net.db(3).clone();
    assert!(db.collection("Thing").is_err(), "it reads nothing yet");
    assert!(net.node(3).kept_for_others().unwrap() > 0);
    let wrong = threads_db::ThreadKeys::new(
        db.id().clone(),
        threads_core::ReplicaKey::from_bytes(&[1; 32]),
        threads_core::ReadKey::from_bytes(&[1; 32]),
    );
    let refused = net.node(3).add_thread("other", &wrong).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let keys = net.db(0).keys();
    let again = net.node(3).add_thread("other", &keys).unwrap();
    assert_eq!(again.name(), "shared", "it keeps its name");
    // What was open before reads too.
    let things = db.collection("Thing").unwrap();
    assert_eq!(things.get("e1").unwrap().unwrap()["n"], "again");
    assert!(!things.has("e2").unwrap());
    assert_eq!(shown(&net, 3), shown(&net, 0));
    assert_eq!(shown(&net, 3), shown(&net, 2));
    assert_eq!(shown(&net, 3).len(), MANY - 1);
    assert_eq!(net.node(3).kept_for_others().unwrap(), 0);
    assert_eq!(db.verify(&mut |_| ()).unwrap().problems, []);
    assert!(
        net.node(3).add_thread("other", &keys).is_err(),
        "nothing is new"
    );
    // It goes on as any reader, and writes.
    net.put(0, json!({"_id": "e1", "n": 7}));
    net.put(3, json!({"_id": "mine", "n": 8}));
    net.run();
    net.run_for(60_000);
    assert_eq!(shown(&net, 0), shown(&net, 3));
    assert_eq!(shown(&net, 0).len(), MANY);
    // And is the same after it was closed.
    drop((db, again, things));
    net.reopen(3, HOW);
    net.open_again(3);
    assert_eq!(shown(&net, 3), shown(&net, 0));
    assert!(net.db(3).verify(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn who_kept_a_thread_with_rules_and_is_let_in_reads_by_an_invite() {
    let mut net = Net::new(0);
    (0..2).for_each(|_| net.add(HOW));
    let db = net
        .node(0)
        .create_with("team", Variant::AccessControlled)
        .unwrap();
    let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    let card = net.node(1).card();
    let invite = |role| {
        let options = threads_db::InviteOptions::new(role).to(card);
        db.invite(&options).unwrap()
    };
    let keep = invite(Role::Replicate);
    let bob = Subject::Peer(net.node(1).peer_id());
    net.use_thread(0, db.clone());
    let Joined::Now(kept) = net.node(1).join(&keep, None).unwrap() else {
        panic!("it is for this peer");
    };
    net.use_thread(1, kept);
    net.put(0, json!({"_id": "plan", "n": 1}));
    net.connect(0, 1);
    net.run();
    assert!(net.db(1).collection("Thing").is_err());
    db.write(|txn| txn.grant(bob, Scope::Thread, Role::Read))
        .unwrap();
    let Joined::Now(same) = net.node(1).join(&invite(Role::Read), None).unwrap() else {
        panic!("it is for this peer");
    };
    assert_eq!(same.name(), "team");
    net.run();
    net.run_for(60_000);
    assert_eq!(net.get(1, "plan").unwrap()["n"], 1);
    net.put(0, json!({"_id": "plan", "n": 2}));
    net.run();
    assert_eq!(net.get(1, "plan").unwrap()["n"], 2);
    assert!(net.db(1).verify(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn what_turns_out_not_to_be_allowed_is_not_applied() {
    let mut net = Net::new(0);
    (0..3).for_each(|_| net.add(HOW));
    let db = net
        .node(0)
        .create_with("team", Variant::AccessControlled)
        .unwrap();
    let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    let keys = db.keys();
    let join = |node: usize, keys: &threads_db::ThreadKeys, role| {
        let peer = net.node(node).peer_id();
        db.write(|txn| txn.grant(Subject::Peer(peer), Scope::Thread, role))
            .unwrap();
        net.node(node).add_thread("team", keys).unwrap()
    };
    let writer = join(1, &keys, Role::Write);
    let kept = join(2, &keys.clone().without_read(), Role::Read);
    net.use_thread(0, db);
    net.use_thread(1, writer);
    net.use_thread(2, kept);
    for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
        net.db(a).share_with(&net.node(b).peer_id()).unwrap();
    }
    net.put(0, json!({"_id": "plan", "n": 1}));
    net.connect(0, 1);
    net.run();
    net.part(0, 1);
    // Who only keeps the thread cannot tell which entity this changes.
    net.put(1, json!({"_id": "plan", "n": 2}));
    net.put(1, json!({"_id": "else", "n": 3}));
    let plan = ("Thing".parse().unwrap(), "plan".parse().unwrap());
    net.db(0)
        .write(|txn| txn.restrict(&plan.0, &plan.1))
        .unwrap();
    net.connect(0, 1);
    net.connect(0, 2);
    net.run();
    assert_eq!(net.get(0, "plan").unwrap()["n"], 1);
    assert_eq!(net.db(2).held().unwrap(), []);
    let read = net.node(2).add_thread("team", &keys).unwrap();
    assert_eq!(net.get(2, "plan").unwrap()["n"], 1);
    assert_eq!(net.get(2, "else").unwrap()["n"], 3);
    let [here, there] = [&read, net.db(0)].map(|db| {
        let held = db.held().unwrap();
        held.iter().map(|held| held.record).collect::<Vec<_>>()
    });
    assert_eq!((here.len(), here), (1, there));
    assert_eq!(read.verify(&mut |_| ()).unwrap().problems, []);
}
