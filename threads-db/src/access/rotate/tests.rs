//! Keys that are in use for long are changed, by who may, and by one of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::sync::Arc;

use serde_json::json;
use threads_acl::Acl;
use threads_core::access::{Scope, Subject};
use threads_core::datastore::{DatastoreExt, Durability, Memory};
use threads_core::module::CollectionSpec;
use threads_core::{ManualClock, Variant};

use super::*;
use crate::{ExportOptions, InviteOptions, Joined, Node, RestoreOptions};

const BEGIN_MS: u64 = 1_800_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn node(clock: &Arc<ManualClock>) -> Node {
    Node::builder(Memory::new())
        .codec(threads_codec_jsonpatch::JsonPatch::new())
        .clock(Arc::clone(clock))
        .policy(Acl::new())
        .open()
        .unwrap()
}

/// Root's thread, with a collection.
fn begin(clock: &Arc<ManualClock>) -> (Node, Db) {
    let node = node(clock);
    let db = node.create_with("t", Variant::AccessControlled).unwrap();
    let codec = "jsonpatch/1".parse().unwrap();
    db.define(&CollectionSpec::new("Thing".parse().unwrap(), codec))
        .unwrap();
    (node, db)
}

fn put(db: &Db, id: &str) {
    let things = db.collection("Thing").unwrap();
    things.save(&json!({ "_id": id })).unwrap();
}

fn numbers(db: &Db) -> Vec<u64> {
    let epochs = db.epochs().unwrap();
    epochs.iter().map(|epoch| epoch.number).collect()
}

/// Takes all of one to another, as a file.
fn carry(from: &Db, to: &Node) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.car");
    let file = std::fs::File::create(&path).unwrap();
    from.export(file, &ExportOptions::default(), &mut |_| ())
        .unwrap();
    to.restore(&path, &RestoreOptions::default(), &mut |_| ())
        .unwrap();
}

#[test]
fn keys_are_changed_with_the_first_commit_after_thirty_days() {
    let clock = Arc::new(ManualClock::at(BEGIN_MS));
    let (node, db) = begin(&clock);
    clock.set(BEGIN_MS + 30 * DAY_MS - 1);
    put(&db, "a");
    assert_eq!(numbers(&db), [0], "they are young");
    clock.set(BEGIN_MS + 31 * DAY_MS);
    put(&db, "b");
    let epochs = db.epochs().unwrap();
    assert_eq!(epochs.len(), 2);
    assert!(!epochs[0].in_use && epochs[1].in_use);
    assert_eq!(epochs[1].readers, [node.peer_id()]);
    put(&db, "c");
    assert_eq!(numbers(&db).len(), 2, "the new ones are young");
    assert!(!db.attend_access().unwrap());
    clock.set(BEGIN_MS + 62 * DAY_MS);
    assert!(
        db.attend_access().unwrap(),
        "without a commit, when somebody asks"
    );
    assert!(!db.attend_access().unwrap());
    assert_eq!(numbers(&db).len(), 3);
    assert!(db.verify(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn keys_are_changed_after_so_many_records() {
    let clock = Arc::new(ManualClock::at(BEGIN_MS));
    let (node, db) = begin(&clock);
    let at = |position: u64| {
        let number = db.thread().number;
        let moved = node.inner.store.transact(Durability::Group, |txn| {
            let tip = Tip::get(txn.as_read(), number)?;
            Tip { position, ..tip }.put(txn, number)
        });
        moved.unwrap();
    };
    at(ROTATE_RECORDS - 2);
    put(&db, "a");
    assert_eq!(numbers(&db), [0]);
    put(&db, "b");
    assert_eq!(numbers(&db).len(), 2);
    put(&db, "c");
    assert_eq!(numbers(&db).len(), 2, "they are counted anew");
}

#[test]
fn who_comes_back_gets_the_keys_that_were_made_meanwhile_with_another_invite() {
    let clock = Arc::new(ManualClock::at(BEGIN_MS));
    let (_, root) = begin(&clock);
    let bob = node(&clock);
    let who = Subject::Peer(bob.peer_id());
    let invite = || {
        let options = InviteOptions::new(Role::Read).to(bob.card());
        root.invite(&options).unwrap()
    };
    let Joined::Now(reader) = bob.join(&invite(), None).unwrap() else {
        panic!("it is for this peer");
    };
    root.write(|txn| txn.revoke(who, Scope::Thread, Role::Replicate))
        .unwrap();
    put(&root, "between");
    carry(&root, &bob);
    assert!(reader.removal().unwrap().is_some());
    bob.join(&invite(), None).unwrap();
    put(&root, "after");
    carry(&root, &bob);
    assert_eq!(reader.removal().unwrap(), None);
    let things = reader.collection("Thing").unwrap();
    assert!(things.has("between").unwrap() && things.has("after").unwrap());
    assert_eq!(reader.verify(&mut |_| ()).unwrap().problems, []);
}

#[test]
fn root_is_the_first_and_others_wait_longer_and_who_may_not_never_does() {
    let clock = Arc::new(ManualClock::at(BEGIN_MS));
    let (_, root) = begin(&clock);
    let (admin, writer) = (node(&clock), node(&clock));
    root.write(|txn| {
        for (peer, scopes) in [
            (&admin, &[Scope::Thread, Scope::Acl][..]),
            (&writer, &[Scope::Thread]),
        ] {
            txn.state(threads_core::access::Statement::Card(peer.card()))?;
            for scope in scopes {
                txn.grant(Subject::Peer(peer.peer_id()), *scope, Role::Write)?;
            }
        }
        Ok(())
    })
    .unwrap();
    put(&root, "a");
    let keys = root.keys();
    let [admins, writers] = [&admin, &writer].map(|node| node.add_thread("t", &keys).unwrap());
    carry(&root, &admin);
    carry(&root, &writer);
    let mut rules = root.rules().unwrap().unwrap();
    let of = |rules: &Rules, node: &Node| Rotates::of(rules, &node.peer_id());
    let patience = of(&rules, &admin).unwrap().patience;
    assert_eq!(patience, u64::from(admin.peer_id().key_bytes()[0]));
    assert_eq!(of(&rules, &writer), None);
    // No two of 256 kinds wait alike, and nobody a quarter longer than root.
    let waits = [0, 1, 128, 255].map(|patience| Rotates { patience }.longer(ROTATE_MS));
    assert!(waits.is_sorted_by(|a, b| a < b) && waits[0] == ROTATE_MS);
    assert_eq!(waits[3], ROTATE_MS + ROTATE_MS / 4);
    clock.set(BEGIN_MS + 40 * DAY_MS);
    put(&writers, "b");
    assert!(!writers.attend_access().unwrap());
    assert_eq!(numbers(&writers), [0]);
    put(&admins, "c");
    assert_eq!(numbers(&admins).len(), 2, "root did not come, so it does");
    // Who left has no say in it, whatever else it had.
    rules.peers.clear();
    assert_eq!(of(&rules, &admin), None);
}
