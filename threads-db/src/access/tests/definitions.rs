//! What defines an index can be undone and done again by late news, like everything else.

use std::sync::Arc;

use serde_json::{Value, json};
use threads_acl::Acl;
use threads_core::access::{Role, Scope, Subject};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{PeerId, Variant};

use super::author::{blocks, builder};
use crate::chain::Blocks;
use crate::db::Db;
use crate::ingest;
use crate::node::Node;
use crate::query::{Query, Step};

fn node() -> Node {
    builder(&Arc::default()).policy(Acl::new()).open().unwrap()
}

/// Every record of a thread, as it came.
fn all(db: &Db) -> Vec<Blocks> {
    let log = db.log(None).unwrap();
    log.iter()
        .rev()
        .map(|entry| blocks(db, &entry.record))
        .collect()
}

fn take(db: &Db, from: &[Blocks]) {
    ingest::take_in(db.thread(), from).unwrap();
}

fn revoke_say(db: &Db, peer: PeerId) {
    let from = Subject::Peer(peer);
    db.write(|txn| txn.revoke(from, Scope::Acl, Role::Write))
        .unwrap();
}

fn spec(indexed: bool) -> CollectionSpec {
    let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    match indexed {
        true => spec.with_index(IndexSpec::on("n".parse().unwrap())),
        false => spec,
    }
}

fn save(db: &Db, value: &Value) {
    db.collection("Thing").unwrap().save(value).unwrap();
}

#[test]
fn an_index_that_is_undone_and_done_again_has_what_changed_meanwhile() {
    let [root, ann, bob, reader] = [node(), node(), node(), node()];
    let by_root = root.create_with("team", Variant::AccessControlled).unwrap();
    let keys = by_root.keys();
    let [by_ann, by_bob, read] =
        [&ann, &bob, &reader].map(|node| node.add_thread("team", &keys).unwrap());
    by_root.define(&spec(false)).unwrap();
    for peer in [ann.peer_id(), bob.peer_id()] {
        let to = Subject::Peer(peer);
        by_root
            .write(|txn| txn.grant(to, Scope::Acl, Role::Write))
            .unwrap();
        by_root
            .write(|txn| txn.grant(to, Scope::Thread, Role::Write))
            .unwrap();
        by_root
            .write(|txn| txn.grant(to, Scope::Thread, Role::Delete))
            .unwrap();
    }
    for (id, n) in [("changed", 1), ("gone", 1), ("same", 1)] {
        save(&by_root, &json!({"_id": id, "n": n}));
    }
    let common = all(&by_root);
    for db in [&by_ann, &by_bob, &read] {
        take(db, &common);
    }
    // Nobody of them knows what the others do.
    by_ann.define(&spec(true)).unwrap();
    revoke_say(&by_bob, ann.peer_id());
    save(&by_bob, &json!({"_id": "changed", "n": 2}));
    save(&by_bob, &json!({"_id": "new", "n": 1}));
    by_bob.collection("Thing").unwrap().delete("gone").unwrap();
    revoke_say(&by_root, bob.peer_id());

    let things = read.collection("Thing").unwrap();
    let query = Query::parse("n == 1").unwrap();
    let is_used = || {
        let steps = things.explain(&query).unwrap().steps;
        matches!(steps[..], [Step::Index { .. }])
    };
    let found = || {
        let found = things.find(&query).unwrap().into_iter();
        found
            .map(|thing| thing["_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    take(&read, &all(&by_ann));
    assert!(is_used());
    assert_eq!(found(), ["changed", "gone", "same"]);
    take(&read, &all(&by_bob));
    assert!(!is_used(), "Bob removed Ann");
    assert_eq!(found(), ["new", "same"]);
    take(&read, &all(&by_root));
    assert!(is_used(), "and root Bob, who had not seen that");
    assert_eq!(found(), ["new", "same"]);
    assert!(read.verify(&mut |_| ()).unwrap().is_clean());
}
