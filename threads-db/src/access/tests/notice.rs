//! What a node believes of a record that says it was removed, and that the rules here cannot judge.

use std::sync::Arc;

use serde_json::json;
use threads_acl::Acl;
use threads_core::access::{Role, Scope, Statement, Subject};
use threads_core::block::Block;
use threads_core::module::CollectionSpec;
use threads_core::{ErrorKind, IdentityKey, PeerId, Variant, system_rng};

use super::author::{COLLECTION, builder};
use super::forger::{Forged, Forger};
use crate::chain;
use crate::db::Db;
use crate::ingest;
use crate::line;

fn node(key: &IdentityKey) -> crate::Node {
    let builder = builder(&Arc::default()).policy(Acl::new());
    builder.identity(key.clone()).open().unwrap()
}

fn carry(from: &Db, to: &Db) {
    let (thread, mut all) = (from.thread(), Vec::new());
    {
        let txn = thread.node.store.read().unwrap();
        for (line, head) in line::all(&*txn, thread).unwrap() {
            for seq in line.first..=head.seq {
                all.push(chain::expect(&*txn, line.place(thread.number, seq)).unwrap());
            }
        }
    }
    ingest::take_in(to.thread(), &all).unwrap();
}

fn put(db: &Db) -> threads_core::Result<()> {
    let things = db.collection(COLLECTION)?;
    things.save(&json!({"n": 1})).map(drop)
}

/// A record that takes somebody's part, and names one that nobody has: the rules never get to it.
fn forged(by: &IdentityKey, db: &Db, from: PeerId) -> chain::Blocks {
    let revoke = Statement::Revoke {
        from: Subject::Peer(from),
        scope: Scope::Thread,
        role: Role::Replicate,
        seen: Vec::new(),
    };
    let nowhere = *Block::raw(*b"nowhere").cid();
    let forged = Forged::stating(&[revoke]).naming(&[nowhere]);
    Forger::new(by, db).write(forged)
}

#[test]
fn a_removal_that_nobody_can_judge_is_believed_of_who_has_a_say_and_no_longer() {
    let keys: [IdentityKey; 3] = std::array::from_fn(|_| IdentityKey::generate(&mut system_rng()));
    let [root_key, admin, member] = &keys;
    let (root_node, member_node) = (node(root_key), node(member));
    let root = root_node
        .create_with("t", Variant::AccessControlled)
        .unwrap();
    let spec = CollectionSpec::new(COLLECTION.parse().unwrap(), "jsonpatch/1".parse().unwrap());
    root.define(&spec).unwrap();
    let grant = |to: &IdentityKey, scope| {
        let to = Subject::Peer(to.peer_id());
        root.write(|txn| txn.grant(to, scope, Role::Write)).unwrap();
    };
    grant(admin, Scope::Acl);
    grant(member, Scope::Thread);
    let db = member_node.add_thread("t", &root.keys()).unwrap();
    carry(&root, &db);
    put(&db).unwrap();

    let notice = forged(admin, &root, member.peer_id());
    ingest::take_in(db.thread(), std::slice::from_ref(&notice)).unwrap();
    let removal = db.removal().unwrap().map(|removal| removal.by);
    assert_eq!(removal, Some(admin.peer_id()));
    assert_eq!(put(&db).unwrap_err().kind(), ErrorKind::Rejected);
    // Who had a say, and has it no more, could not do that by the rules.
    let from = Subject::Peer(admin.peer_id());
    root.write(|txn| txn.revoke(from, Scope::Acl, Role::Write))
        .unwrap();
    carry(&root, &db);
    assert_eq!(db.removal().unwrap(), None);
    put(&db).unwrap();

    // And nobody takes root's part, whatever say it has.
    grant(admin, Scope::Acl);
    let notice = forged(admin, &root, root_key.peer_id());
    ingest::take_in(root.thread(), std::slice::from_ref(&notice)).unwrap();
    assert_eq!(root.removal().unwrap(), None);
    put(&root).unwrap();
}
