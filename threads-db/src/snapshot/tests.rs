//! Snapshots: the same for all who have the same records, and as good as these.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod apart;
mod base;
mod codec;
mod forger;
mod hostile;
mod late;
mod liars;
mod links;
mod meanwhile;
mod opening;
mod purges;
mod random;
mod ruled;
mod shared;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;

use codec::Most;
use serde_json::{Value, json};
use threads_acl::Acl;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::access::{Role, Scope, Subject};
use threads_core::datastore::{Datastore, Memory};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{Cid, ManualClock, Variant};

use super::*;
use crate::chain::{self, Blocks};
use crate::compact::{CompactOptions, Keep};
use crate::export::ByTime;
use crate::ingest::{self, Intake};
use crate::node::{Node, NodeBuilder};
use crate::query::Query;
use crate::sharing::ThreadKeys;
use crate::{ExportOptions, RestoreOptions, RestoreReport};

pub(super) const NOW_MS: u64 = 1_900_000_000_000;

/// A node whose clock can be set.
struct Peer {
    db: Db,
    clock: Arc<ManualClock>,
    store: Arc<Memory>,
}

fn builder(store: &Arc<Memory>) -> NodeBuilder {
    let builder = Node::builder(Arc::clone(store)).codec(JsonPatch::new());
    builder.codec(Most).policy(Acl::new())
}

fn define(db: &Db) {
    let text = IndexSpec::on("text".parse().unwrap());
    for (name, codec) in [("Note", "jsonpatch/1"), ("Score", "most/1")] {
        let spec = CollectionSpec::new(name.parse().unwrap(), codec.parse().unwrap());
        db.define(&spec.with_index(text.clone())).unwrap();
    }
}

impl Peer {
    fn open(make: impl FnOnce(&Node) -> Db) -> Self {
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let store = Arc::default();
        let node = builder(&store).clock(Arc::clone(&clock));
        let db = make(&node.open().unwrap());
        Self { db, clock, store }
    }

    fn id(&self) -> PeerId {
        self.db.node().peer_id()
    }

    /// The same after a restart.
    fn reopen(&mut self) {
        let node = builder(&self.store).clock(Arc::clone(&self.clock));
        self.db = node.open().unwrap().open("t").unwrap();
    }

    /// A thread that is made here.
    fn made(variant: Variant) -> Self {
        let peer = Self::open(|node| node.create_with("t", variant).unwrap());
        define(&peer.db);
        peer
    }

    /// The same thread on another node, with nothing of it.
    fn copy(keys: &ThreadKeys) -> Self {
        Self::open(|node| node.add_thread("t", keys).unwrap())
    }

    /// The same thread on another node, from a file.
    fn restored(file: &[u8]) -> Result<Self> {
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let store = Arc::default();
        let node = builder(&store).clock(Arc::clone(&clock));
        let node = node.open().unwrap();
        restore(&node, file).map(|db| Self { db, clock, store })
    }
}

fn restore(node: &Node, file: &[u8]) -> Result<Db> {
    restore_by(node, file, RestoreOptions::default()).map(|(db, _)| db)
}

fn restore_by(node: &Node, file: &[u8], options: RestoreOptions) -> Result<(Db, RestoreReport)> {
    let path = PathBuf::from(tempfile::tempdir().unwrap().path()).with_extension("car");
    std::fs::write(&path, file).unwrap();
    let options = RestoreOptions {
        passphrase: Some("p".to_owned().into()),
        ..options
    };
    let restored = node.restore(&path, &options, &mut |_| ());
    std::fs::remove_file(path).unwrap();
    restored
}

fn with_keys() -> ExportOptions {
    ExportOptions {
        passphrase: Some("p".to_owned().into()),
        ..Default::default()
    }
}

/// The thread as a file that begins with a snapshot.
fn exported(db: &Db) -> Vec<u8> {
    let mut file = Vec::new();
    db.export_snapshot(&mut file, &with_keys(), &mut |_| ())
        .unwrap();
    file
}

fn save(db: &Db, id: &str, text: &str) -> Cid {
    let notes = db.collection("Note").unwrap();
    notes.save(&json!({"_id": id, "text": text})).unwrap();
    db.log(Some(1)).unwrap()[0].record
}

fn patch(db: &Db, id: &str, change: &Value) -> Cid {
    db.collection("Note").unwrap().patch(id, change).unwrap();
    db.log(Some(1)).unwrap()[0].record
}

fn records(db: &Db) -> Vec<Blocks> {
    let (thread, txn) = (db.thread(), db.thread().node.store.read().unwrap());
    let mut order = ByTime::new(&*txn, thread).unwrap();
    std::iter::from_fn(|| order.next(&*txn, thread).unwrap())
        .map(|place| chain::expect(&*txn, place).unwrap())
        .collect()
}

fn take(db: &Db, records: &[Blocks]) -> Intake {
    ingest::take_in(db.thread(), records).unwrap()
}

pub(super) fn level(one: &Db, other: &Db) {
    take(other, &records(one));
    take(one, &records(other));
}

/// The name of all that is here: two nodes have the same one only if they have the same state to the byte, and
/// know the same events as the last ones.
fn now(db: &Db) -> Cid {
    let txn = db.thread().node.store.read().unwrap();
    let covered = covered_until(&*txn, db.thread(), None).unwrap();
    make_of(&*txn, db.thread(), covered).unwrap().id
}

fn notes(db: &Db) -> Vec<Value> {
    let found = db.collection("Note").unwrap();
    found.find(&Query::new()).unwrap()
}

fn clean(db: &Db) {
    assert_eq!(db.verify(&mut |_| ()).unwrap().problems, []);
}

fn edits(db: &Db, count: u64) {
    for n in 0..count {
        patch(db, "a", &json!({"text": format!("{n}")}));
    }
}

/// Gives a role of the thread.
fn grant(db: &Db, to: PeerId, role: Role) {
    let to = Subject::Peer(to);
    db.write(|txn| txn.grant(to, Scope::Thread, role)).unwrap();
}

/// Takes a role of the thread.
fn revoke(db: &Db, from: PeerId, role: Role) {
    let from = Subject::Peer(from);
    db.write(|txn| txn.revoke(from, Scope::Thread, role))
        .unwrap();
}

fn even_alone() -> CompactOptions {
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    options
}

fn compact_alone(db: &Db) -> crate::CompactReport {
    db.compact(&even_alone(), &mut |_| ()).unwrap()
}

fn compact(db: &Db, keep: Keep) -> crate::CompactReport {
    db.compact(&CompactOptions::new(keep), &mut |_| ()).unwrap()
}

#[test]
fn who_has_the_same_records_makes_the_same_and_signs_for_it() {
    for variant in [Variant::Raw, Variant::AccessControlled] {
        let ann = Peer::made(variant);
        let bob = Peer::copy(&ann.db.keys());
        if variant == Variant::AccessControlled {
            for role in [Role::Write, Role::Delete] {
                grant(&ann.db, bob.id(), role);
            }
        }
        save(&ann.db, "a", "one");
        level(&ann.db, &bob.db);
        save(&bob.db, "b", "two");
        patch(&bob.db, "a", &json!({"text": "three"}));
        bob.db.collection("Note").unwrap().delete("b").unwrap();
        level(&ann.db, &bob.db);

        let made = ann.db.snapshot().unwrap();
        assert_eq!(made.signers, [ann.db.node().peer_id()]);
        assert_eq!(ann.db.snapshots().unwrap(), std::slice::from_ref(&made));
        assert!(
            bob.db.sign_snapshot(&made.id).is_err(),
            "nobody told it of that"
        );
        take(&bob.db, &records(&ann.db));
        // What came since makes no difference to what is covered.
        save(&bob.db, "c", "later");
        patch(&bob.db, "a", &json!({"text": "later"}));
        assert_eq!(
            bob.db.check_snapshot(&made.id).unwrap(),
            SnapshotCheck::Agrees
        );
        let signed = bob.db.sign_snapshot(&made.id).unwrap();
        assert_eq!(signed.signers.len(), 2);
        level(&ann.db, &bob.db);
        assert_eq!(ann.db.snapshots().unwrap(), [signed]);
        assert_eq!(now(&ann.db), now(&bob.db));
    }
}

#[test]
fn a_snapshot_that_says_something_else_is_found_and_not_signed() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    let right = ann.db.snapshot().unwrap();
    // It signs for a state that the records do not give.
    let lie = Snapshot {
        id: threads_core::block::cid_of(threads_core::block::RAW, b"a lie"),
        ..right.clone()
    };
    ann.db.sign(lie.clone()).unwrap();
    take(&bob.db, &records(&ann.db));
    assert_eq!(bob.db.snapshots().unwrap().len(), 2);
    assert_eq!(
        bob.db.check_snapshot(&lie.id).unwrap(),
        SnapshotCheck::Differs(right.id)
    );
    let refused = bob.db.sign_snapshot(&lie.id).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(bob.db.sign_snapshot(&right.id).is_ok());
}

#[test]
fn nobody_signs_in_the_name_of_another() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    let made = ann.db.snapshot().unwrap();
    take(&bob.db, &records(&ann.db));
    let carol = PeerId::from_key_bytes([7; 32]);
    let entity = SignedEntity {
        id: format!("{}.{carol}", made.id),
        snapshot: made.id.to_string(),
        logs: Vec::new(),
        entities: 0,
        records: 0,
        bytes: 0,
        emptied: 0,
        content: None,
    };
    let forged = |txn: &mut crate::WriteTransaction<'_>| {
        txn.save_reserved(SNAPSHOTS, &entity.id, &entity).map(drop)
    };
    bob.db.write(forged).unwrap();
    assert_eq!(bob.db.snapshots().unwrap(), std::slice::from_ref(&made));
    // And nobody takes back what another signed.
    let ann_said = format!("{}.{}", made.id, ann.db.node().peer_id());
    let overwrite = |txn: &mut crate::WriteTransaction<'_>| {
        txn.save_reserved(SNAPSHOTS, &ann_said, &json!({"_id": ann_said}))
    };
    assert!(bob.db.write(overwrite).unwrap());
    assert_eq!(bob.db.snapshots().unwrap(), [made]);
}

#[test]
fn what_cannot_be_told_is_not_called_a_lie() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    level(&ann.db, &bob.db);
    save(&ann.db, "a", "two");
    let made = ann.db.snapshot().unwrap();
    let all = records(&ann.db);
    let unknown = |db: &Db| {
        let check = db.check_snapshot(&made.id).unwrap();
        matches!(check, SnapshotCheck::Unknown(_))
    };
    // Bob knows that it was signed, and has dropped the records since.
    take(&bob.db, &all);
    save(&bob.db, "b", "three");
    assert!(!unknown(&bob.db));
    compact(&bob.db, Keep::Latest);
    assert!(unknown(&bob.db));
}
