//! What a purge takes away, what it leaves, and who does it on whose word.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use threads_acl::Acl;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::access::{ACCESS_FORMAT, Role, Scope, Statement, Subject};
use threads_core::block::{DAG_CBOR, cid_of};
use threads_core::books::KeyBook;
use threads_core::codec::ActionKind;
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, Keyspace, Memory, WriteTxn,
};
use threads_core::event::{Encryption, Position, SealedEvent};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::policy::OpenPolicy;
use threads_core::record::{Dep, Fields, Record, SignedRecord};
use threads_core::reducer::{DispatchedEvent, Reducer, View};
use threads_core::{
    Cid, EpochKeys, ErrorKind, Hlc, IdentityKey, LogKey, ManualClock, Variant, system_rng,
};

use crate::chain::{self, Blocks};
use crate::db::Db;
use crate::export::ByTime;
use crate::ingest::{self, Intake};
use crate::node::{Node, NodeBuilder};
use crate::sharing::ThreadKeys;
use crate::{ChangeFilter, ExportOptions, Notice, RestoreOptions};

mod here;
mod peers;
mod rights;
mod room;
mod stripped;

const NOW_MS: u64 = 1_900_000_000_000;

fn builder(store: &Arc<Memory>) -> NodeBuilder {
    let builder = Node::builder(Arc::clone(store)).codec(JsonPatch::new());
    builder.clock(ManualClock::at(NOW_MS))
}

fn define(db: &Db) {
    let spec = CollectionSpec::new("Note".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    let text = IndexSpec::on("text".parse().unwrap());
    db.define(&spec.with_index(text)).unwrap();
}

/// A thread that is made here; with rules, if it has some.
fn made(variant: Variant) -> Db {
    made_by(Acl::new(), variant)
}

fn made_by(policy: Acl, variant: Variant) -> Db {
    let node = builder(&Arc::default()).policy(policy).open().unwrap();
    let db = node.create_with("t", variant).unwrap();
    define(&db);
    db
}

/// The same thread on another node, with nothing of it.
fn copy(keys: &ThreadKeys) -> Db {
    copy_by(Acl::new(), keys)
}

fn copy_by(policy: Acl, keys: &ThreadKeys) -> Db {
    let node = builder(&Arc::default()).policy(policy).open().unwrap();
    node.add_thread("t", keys).unwrap()
}

fn save(db: &Db, id: &str, text: &str) -> Cid {
    let notes = db.collection("Note").unwrap();
    notes.save(&json!({"_id": id, "text": text})).unwrap();
    db.log(Some(1)).unwrap()[0].record
}

fn name(id: &str) -> (threads_core::CollectionName, threads_core::EntityId) {
    ("Note".parse().unwrap(), id.parse().unwrap())
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

/// Brings two nodes level.
fn level(one: &Db, other: &Db) {
    take(other, &records(one));
    take(one, &records(other));
}

fn blocks(db: &Db, record: &Cid) -> Blocks {
    let (thread, txn) = (db.thread(), db.thread().node.store.read().unwrap());
    let place = chain::locate(&*txn, thread.number, record).unwrap();
    chain::expect(&*txn, place.unwrap()).unwrap()
}

fn is_emptied(db: &Db, record: &Cid) -> bool {
    blocks(db, record).is_emptied()
}

/// Whether these bytes are anywhere in a node's store.
fn has(db: &Db, bytes: &[u8]) -> bool {
    let txn = db.thread().node.store.read().unwrap();
    let all = || (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    Keyspace::ALL.iter().any(|space| {
        let mut rows = txn.scan(*space, all(), Direction::Forward).unwrap();
        rows.any(|row| {
            let (key, value) = row.unwrap();
            let within = |part: &[u8]| part.windows(bytes.len()).any(|window| window == bytes);
            within(&key) || within(&value)
        })
    })
}

fn texts(db: &Db) -> Vec<Value> {
    let found = db.collection("Note").unwrap();
    found.find(&crate::query::Query::new()).unwrap()
}

/// The rows of all entities, as they are.
fn entities(db: &Db) -> Vec<(Vec<u8>, crate::entity::Life)> {
    let txn = db.thread().node.store.read().unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = txn
        .scan(Keyspace::Entities, all, Direction::Forward)
        .unwrap();
    let mut rows: Vec<_> = rows
        .map(|row| {
            let (key, value) = row.unwrap();
            // Without the numbers, which are the node's own.
            let life = crate::entity::EntityRow::decode(&value).unwrap().life;
            (key[8..].to_vec(), life)
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

fn assert_clean(db: &Db) {
    let report = db.verify(&mut |_| ()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}

fn grant(db: &Db, peer: threads_core::PeerId, roles: &[Role]) {
    db.write(|txn| {
        let mut roles = roles.iter();
        roles.try_for_each(|role| txn.grant(Subject::Peer(peer), Scope::Thread, *role))
    })
    .unwrap();
}

/// Root, somebody who may write, and a replica that reads nothing, all level.
struct Team {
    root: Db,
    ann: Db,
    blind: Db,
}

impl Team {
    fn new(roles: &[Role]) -> Self {
        Self::by(Acl::new, roles)
    }

    fn by(policy: fn() -> Acl, roles: &[Role]) -> Self {
        let root = made_by(policy(), Variant::AccessControlled);
        let ann = copy_by(policy(), &root.keys());
        let blind = copy_by(policy(), &root.keys().without_read());
        grant(&root, ann.thread().own_author(), &[Role::Read, Role::Write]);
        grant(&root, ann.thread().own_author(), roles);
        grant(&root, blind.thread().own_author(), &[Role::Replicate]);
        let team = Self { root, ann, blind };
        team.level();
        team
    }

    fn all(&self) -> [&Db; 3] {
        [&self.root, &self.ann, &self.blind]
    }

    fn level(&self) {
        level(&self.root, &self.ann);
        level(&self.root, &self.blind);
    }
}

/// A node of Ann's that keeps to no rules.
fn rogue(team: &Team) -> Db {
    let rogue = Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .policy(OpenPolicy)
        .identity(team.ann.node().identity().clone())
        .clock(ManualClock::at(NOW_MS))
        .open()
        .unwrap();
    let rogue = rogue.add_thread("t", &team.root.keys()).unwrap();
    take(&rogue, &records(&team.root));
    rogue
}

/// An access record of somebody's own log, which says this.
fn access_record(db: &Db, said: &[u8]) -> Blocks {
    let (thread, rng) = (db.thread(), &mut system_rng());
    let (author, key) = (IdentityKey::generate(rng), LogKey::generate(rng));
    let position = Position {
        thread: &thread.id,
        log: key.log_id(),
        seq: 1,
        epoch: 0,
    };
    let sealed = SealedEvent::seal(
        &position,
        &thread.replica.access_key(),
        Hlc::ZERO,
        ACCESS_FORMAT.parse().unwrap(),
        said,
        Encryption::SingleUse,
        rng,
    );
    let SealedEvent { event, body } = sealed.unwrap();
    let fields = Fields {
        thread: thread.id.clone(),
        log: key.log_id(),
        seq: 1,
        prev: None,
        skip: None,
        deps: Vec::new(),
        acl: Vec::new(),
        access: true,
        epoch: 0,
        tags: Vec::new(),
        event: *event.cid(),
    };
    let record = SignedRecord::seal(fields, &key, Some(&author), &thread.replica).unwrap();
    Blocks {
        record: record.block().to_vec(),
        event: event.into_bytes(),
        body: body.into_bytes(),
    }
}

fn dep_of(db: &Db, blocks: &Blocks) -> Dep {
    let record = db.thread().open_record(&blocks.record).unwrap();
    Dep {
        log: record.fields().log,
        seq: record.fields().seq,
        cid: record.id(),
    }
}

/// States that these records are purged, whatever they are.
fn state(db: &Db, mut records: Vec<Dep>) -> Cid {
    records.sort();
    db.write(|txn| txn.state(Statement::Purge { records }))
        .unwrap();
    db.log(Some(1)).unwrap()[0].record
}

fn dep(db: &Db, record: &Cid) -> Dep {
    let log = db.log(None).unwrap().into_iter();
    let entry = log
        .into_iter()
        .find(|entry| entry.record == *record)
        .unwrap();
    Dep {
        log: entry.log,
        seq: entry.seq,
        cid: *record,
    }
}

/// Delivers records to a node one by one.
fn deliver<'b>(db: &Db, records: impl IntoIterator<Item = &'b Blocks>) {
    for blocks in records {
        take(db, std::slice::from_ref(blocks));
    }
}
