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
    let node = builder(&Arc::default()).policy(Acl::new()).open().unwrap();
    let db = node.create_with("t", variant).unwrap();
    define(&db);
    db
}

/// The same thread on another node, with nothing of it.
fn copy(keys: &ThreadKeys) -> Db {
    let node = builder(&Arc::default()).policy(Acl::new()).open().unwrap();
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

#[test]
fn what_is_purged_is_gone_and_the_rest_stays() {
    for variant in [Variant::Raw, Variant::AccessControlled] {
        let db = made(variant);
        let gone = [
            save(&db, "plan", "CANARY one"),
            save(&db, "plan", "CANARY two"),
            save(&db, "plan", "CANARY three"),
        ];
        let stays = save(&db, "list", "eggs");
        let bodies: Vec<_> = gone.iter().map(|record| blocks(&db, record)).collect();
        assert!(has(&db, b"CANARY"), "the control: it is there before");
        let cursor = db.listen(ChangeFilter::all()).unwrap().cursor();

        let report = db.purge([name("plan")]).unwrap();
        assert_eq!((report.entities, report.records), (1, 3));
        assert_eq!(
            report.stated.is_some(),
            variant == Variant::AccessControlled
        );
        assert!(!has(&db, b"CANARY"));
        for Blocks { event, body, .. } in &bodies {
            assert!(!has(&db, body) && !has(&db, event));
        }
        assert!(gone.iter().all(|record| is_emptied(&db, record)));
        assert!(!is_emptied(&db, &stays) && !is_emptied(&db, &report.deleted));
        assert_eq!(texts(&db), [json!({"_id": "list", "text": "eggs"})]);
        assert_clean(&db);
        assert_eq!(db.verify(&mut |_| ()).unwrap().emptied, 3);

        // It stays dead, and whoever knew it hears of that, but nobody what it was.
        let notes = db.collection("Note").unwrap();
        let again = notes.create(&json!({"_id": "plan"})).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let mut listener = db.listen_from(ChangeFilter::all(), cursor).unwrap();
        let Some(Notice::Change(change)) = listener.try_next().unwrap() else {
            panic!("nobody hears of it");
        };
        assert_eq!(
            (change.entity.as_str(), change.action),
            ("plan", ActionKind::Delete)
        );
        assert_eq!((&change.before, &change.after), (&None, &None));
        assert!(listener.try_next().unwrap().is_none());
        assert!(db.why(&gone[0]).unwrap()[0].starts_with("it was purged"));
        assert_eq!(
            db.purge([name("plan")]).unwrap().records,
            0,
            "nothing is left"
        );
    }
}

#[test]
fn what_was_written_with_others_goes_with_them_or_not_at_all() {
    let db = made(Variant::Raw);
    let notes = db.collection("Note").unwrap();
    db.write(|txn| {
        txn.create(&notes, &json!({"_id": "a", "text": "CANARY"}))?;
        txn.create(&notes, &json!({"_id": "b", "text": "CANARY"}))
    })
    .unwrap();
    let refused = db.purge([name("a")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("Note/b"), "{refused}");
    assert!(notes.has("a").unwrap(), "nothing happened");
    assert_eq!(db.purge([name("a"), name("b")]).unwrap().records, 1);
    assert!(!has(&db, b"CANARY"));
    assert_clean(&db);
    let unknown = db.purge([name("c")]).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let none = db.purge([]).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Invalid);
}

/// Root, somebody who may write, and a replica that reads nothing, all level.
struct Team {
    root: Db,
    ann: Db,
    blind: Db,
}

impl Team {
    fn new(roles: &[Role]) -> Self {
        let root = made(Variant::AccessControlled);
        let ann = copy(&root.keys());
        let blind = copy(&root.keys().without_read());
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

#[test]
fn peers_do_the_same_and_newcomers_get_what_is_left() {
    let team = Team::new(&[]);
    let gone = [
        save(&team.ann, "plan", "CANARY"),
        save(&team.ann, "plan", "CANARY two"),
    ];
    team.level();
    let bodies: Vec<_> = gone
        .iter()
        .map(|record| blocks(&team.blind, record).body)
        .collect();
    assert!(
        bodies.iter().all(|body| has(&team.blind, body)),
        "the control"
    );
    let before = team.blind.node().kept_for_others().unwrap();

    let report = team.root.purge([name("plan")]).unwrap();
    team.level();
    for db in team.all() {
        assert!(gone.iter().all(|record| is_emptied(db, record)));
        assert!(bodies.iter().all(|body| !has(db, body)) && !has(db, b"CANARY"));
        assert_clean(db);
        let purge = &db.purges().unwrap()[0];
        assert_eq!((purge.listed, purge.emptied, &purge.void), (2, 2, &None));
        assert_eq!(Some(purge.record), report.stated);
        assert_eq!(db.emptied().unwrap().len(), 2);
    }
    let after = team.blind.node().kept_for_others().unwrap();
    assert!(after < before + 3_000, "{before} {after}");

    // Whoever comes later, and only from the replica, makes the same of it, in any order.
    let records = records(&team.blind);
    for backwards in [false, true] {
        let late = copy(&team.root.keys());
        let mut order = records.clone();
        if backwards {
            order.reverse();
        }
        for record in &order {
            take(&late, std::slice::from_ref(record));
        }
        assert_eq!(entities(&late), entities(&team.root));
        let emptied = late.emptied().unwrap();
        assert_eq!(emptied.iter().filter(|record| record.explained).count(), 2);
        assert_eq!(late.sync_status().unwrap().emptied.stripped, 0);
        assert_clean(&late);
    }

    // Somebody has the whole of it still and knows nothing of the purge: it stays purged.
    let whole: Vec<_> = gone
        .iter()
        .map(|record| blocks(&team.ann, record))
        .collect();
    assert!(whole.iter().all(Blocks::is_emptied));
}

#[test]
fn a_record_that_comes_whole_after_its_purge_is_filed_emptied() {
    let team = Team::new(&[]);
    let gone = save(&team.ann, "plan", "CANARY");
    let later = save(&team.ann, "list", "eggs");
    let whole = [gone, later].map(|record| blocks(&team.ann, &record));
    level(&team.root, &team.ann);
    team.root.purge([name("plan")]).unwrap();
    // The replica has none of what Ann wrote; it learns of the purge as soon as nothing is missing.
    let mut all = records(&team.root);
    let of_ann = |record: &Blocks| whole.iter().any(|own| own.record == record.record);
    all.retain(|record| !of_ann(record));
    take(&team.blind, &all);
    take(&team.blind, &whole);
    assert!(is_emptied(&team.blind, &gone) && !is_emptied(&team.blind, &later));
    assert!(!has(&team.blind, &whole[0].body));
    assert_clean(&team.blind);

    // Again, whole, to those who have it emptied.
    for db in [&team.root, &team.blind] {
        take(db, &whole);
        assert!(is_emptied(db, &gone));
        assert!(!has(db, b"CANARY"));
    }
}

#[test]
fn a_late_edit_does_not_bring_back_what_was_purged() {
    let team = Team::new(&[]);
    save(&team.root, "plan", "CANARY one");
    team.level();
    // Ann is away, and goes on with it.
    let late = save(&team.ann, "plan", "CANARY two");
    let record = blocks(&team.ann, &late);
    team.root.purge([name("plan")]).unwrap();
    take(&team.root, std::slice::from_ref(&record));
    assert!(texts(&team.root).is_empty());
    assert!(!has(&team.root, b"CANARY"), "it stays sealed");
    assert_clean(&team.root);
    assert!(!is_emptied(&team.root, &late), "nobody had listed it");
    // Purged again, it goes too, for everybody.
    assert_eq!(team.root.purge([name("plan")]).unwrap().records, 1);
    team.level();
    team.level();
    for db in team.all() {
        assert!(is_emptied(db, &late));
        assert!(!has(db, &record.body));
        assert_clean(db);
    }
    assert_eq!(entities(&team.root), entities(&team.ann));
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

#[test]
fn only_who_may_delete_may_purge() {
    let team = Team::new(&[]);
    let record = save(&team.root, "plan", "kept");
    team.level();
    let refused = team.ann.purge([name("plan")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    assert!(!is_emptied(&team.ann, &record));
    let rogue = rogue(&team);
    let listed = dep(&rogue, &record);
    rogue
        .write(|txn| {
            txn.state(Statement::Purge {
                records: vec![listed],
            })
        })
        .unwrap();
    take(&team.root, &records(&rogue));
    team.level();
    for db in team.all() {
        assert!(!is_emptied(db, &record));
        assert!(db.purges().unwrap()[0].void.is_some());
        assert_clean(db);
    }
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

/// A removal may be of a newer version, and be understood later.
#[test]
fn row_57_a_purge_hides_no_removal_that_does_not_decode() {
    let team = Team::new(&[]);
    let said = access_record(&team.root, b"no statement of this version");
    let listed = dep_of(&team.root, &said);
    take(&team.root, std::slice::from_ref(&said));
    assert!(team.root.thread().open(&said).is_err(), "the control");
    state(&team.root, vec![listed.clone()]);
    for keys in [team.root.keys(), team.root.keys().without_read()] {
        for purge_first in [false, true] {
            let late = copy(&keys);
            let mut all = records(&team.root);
            all.retain(|blocks| *blocks != said);
            let at = if purge_first { all.len() } else { 0 };
            all.insert(at, said.clone());
            for blocks in &all {
                take(&late, std::slice::from_ref(blocks));
            }
            assert_eq!(blocks(&late, &listed.cid), said, "{purge_first}");
            let purge = &late.purges().unwrap()[0];
            assert_eq!((purge.living, purge.emptied, &purge.void), (1, 0, &None));
            assert_clean(&late);
        }
    }
    assert_eq!(blocks(&team.root, &listed.cid), said);
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

#[test]
fn a_purge_of_what_lives_is_done_by_nobody_who_can_read_it() {
    let team = Team::new(&[Role::Delete]);
    let record = save(&team.root, "plan", "kept");
    team.level();
    let listed = dep(&team.ann, &record);
    team.ann
        .write(|txn| {
            txn.state(Statement::Purge {
                records: vec![listed],
            })
        })
        .unwrap();
    team.level();
    for db in [&team.root, &team.ann] {
        assert!(!is_emptied(db, &record));
        let purge = &db.purges().unwrap()[0];
        assert_eq!((purge.living, purge.emptied), (1, 0));
        assert_eq!(texts(db).len(), 1);
    }
    assert!(is_emptied(&team.blind, &record), "it does as told");
    // Nor by a delete in the very record that is to go.
    let notes = team.ann.collection("Note").unwrap();
    notes.delete("plan").unwrap();
    let deleted = team.ann.log(Some(1)).unwrap()[0].record;
    let records = [dep(&team.ann, &record), dep(&team.ann, &deleted)];
    let mut records = records.to_vec();
    records.sort();
    team.ann
        .write(|txn| txn.state(Statement::Purge { records }))
        .unwrap();
    team.level();
    for db in [&team.root, &team.ann] {
        assert!(!is_emptied(db, &record) && !is_emptied(db, &deleted));
        assert_clean(db);
    }
}

/// Delivers records to a node one by one.
fn deliver<'b>(db: &Db, records: impl IntoIterator<Item = &'b Blocks>) {
    for blocks in records {
        take(db, std::slice::from_ref(blocks));
    }
}

#[test]
fn what_only_a_replica_emptied_is_filled_for_whoever_can_read() {
    let team = Team::new(&[Role::Delete]);
    let record = save(&team.root, "plan", "kept");
    team.level();
    let whole = blocks(&team.root, &record);
    state(&team.ann, vec![dep(&team.ann, &record)]);
    team.level();
    assert!(is_emptied(&team.blind, &record), "it does as told");
    assert!(!is_emptied(&team.ann, &record));
    let examined = |db: &Db, shown: &Blocks| {
        let (ours, shown) = (blocks(db, &record), vec![shown.clone().into()]);
        let node = db.node();
        node.compare_shown(db.thread().number, &ours, shown)
            .unwrap()
    };
    let left = records(&team.blind);
    let (late, replica) = (
        copy(&team.root.keys()),
        copy(&team.root.keys().without_read()),
    );
    for db in [&late, &replica] {
        deliver(db, &left);
        assert!(is_emptied(db, &record));
    }
    take(&replica, std::slice::from_ref(&whole));
    assert!(is_emptied(&replica, &record), "it may not know better");
    // The replica becomes a reader.
    let thread = replica.thread();
    let read = team.root.thread().read.get();
    let add = |txn: &mut dyn WriteTxn| thread.add_keys(txn, (read, &[]));
    let store = &thread.node.store;
    assert!(store.transact(Durability::Group, add).unwrap());
    thread.take_up_keys().unwrap();
    ingest::read_on(thread).unwrap();
    for db in [&late, &replica] {
        assert!(texts(db).is_empty());
        // A peer is asked to show what it signed for.
        assert!(examined(db, &blocks(&team.blind, &record)));
        assert!(is_emptied(db, &record));
        assert!(examined(db, &whole));
        assert_eq!(blocks(db, &record), whole);
        assert_eq!(texts(db), texts(&team.root));
        assert_eq!(entities(db), entities(&team.root));
        assert_clean(db);
    }
    // It is listed, and once it is of the dead it goes, for good.
    team.ann.collection("Note").unwrap().delete("plan").unwrap();
    for db in [&late, &replica] {
        deliver(db, &records(&team.ann));
        take(db, std::slice::from_ref(&whole));
        assert!(is_emptied(db, &record));
        assert_clean(db);
    }
}

#[test]
fn a_reader_that_lacks_the_keys_of_an_epoch_waits_for_them() {
    let Team { root, ann, .. } = Team::new(&[Role::Delete]);
    save(&root, "plan", "before");
    level(&root, &ann);
    let before = root.keys();
    let epoch = root.rotate_keys().unwrap();
    let record = save(&root, "plan", "CANARY");
    state(&root, vec![dep(&root, &record)]);
    let whole = blocks(&root, &record);
    let late = copy(&before);
    let thread = late.thread();
    let give = |keys: &EpochKeys| {
        let keys = std::slice::from_ref(keys);
        let add = |txn: &mut dyn WriteTxn| thread.add_keys(txn, (None, keys));
        let store = &thread.node.store;
        assert!(store.transact(Durability::Group, add).unwrap());
        thread.take_up_keys().unwrap();
        ingest::read_on(thread).unwrap();
    };
    let keys = {
        let txn = root.thread().node.store.read().unwrap();
        let keys = KeyBook::new(&*txn).epoch_keys(root.id(), epoch);
        keys.unwrap().unwrap()
    };
    give(&keys.without_read());
    deliver(&late, &records(&root));
    assert_eq!(blocks(&late, &record), whole, "it cannot tell");
    let purge = &late.purges().unwrap()[0];
    assert_eq!((purge.unread, purge.emptied, &purge.void), (1, 0, &None));
    // Ann knows nothing of new keys.
    ann.collection("Note").unwrap().delete("plan").unwrap();
    for db in [&root, &late] {
        take(db, &records(&ann));
        assert!(texts(db).is_empty());
    }
    assert!(is_emptied(&root, &record));
    assert_eq!(blocks(&late, &record), whole, "it may be of something else");
    // The keys come.
    give(&keys);
    assert!(is_emptied(&late, &record));
    assert_eq!(entities(&late), entities(&root));
    assert_clean(&late);
}

/// Keeps what every entity was last, and counts how often it is asked.
#[derive(Debug, Default)]
struct Last(Arc<AtomicUsize>);

impl Reducer for Last {
    fn name(&self) -> &str {
        "last"
    }

    fn version(&self) -> u32 {
        1
    }

    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> threads_core::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        for event in events {
            let after = event.after.as_ref().map(ToString::to_string);
            view.put(
                event.entity.as_str().as_bytes(),
                after.unwrap_or_default().as_bytes(),
            )?;
        }
        Ok(())
    }
}

#[test]
fn views_are_made_again_once_however_many_records_go() {
    let asked = Arc::new(AtomicUsize::new(0));
    let node = builder(&Arc::default()).policy(Acl::new());
    let node = node.reducer(Last(Arc::clone(&asked))).open().unwrap();
    let db = node.create_with("t", Variant::AccessControlled).unwrap();
    define(&db);
    for n in 0..200 {
        save(&db, "plan", &format!("CANARY {n}"));
    }
    for n in 0..20 {
        save(&db, "list", &format!("eggs {n}"));
    }
    let before = asked.load(Ordering::Relaxed);
    assert_eq!(db.purge([name("plan")]).unwrap().records, 200);
    let times = asked.load(Ordering::Relaxed) - before;
    assert!((20..40).contains(&times), "{times}");
    assert!(!has(&db, b"CANARY"));
    let list = db.view("last", |view| {
        Ok(view.get(b"list")?.map(|row| row.into_owned()))
    });
    assert!(
        String::from_utf8(list.unwrap().unwrap())
            .unwrap()
            .contains("eggs 19")
    );
    assert_clean(&db);
}

#[test]
fn what_is_kept_as_it_lives_goes_when_somebody_deletes_it() {
    let team = Team::new(&[Role::Delete]);
    let first = save(&team.ann, "list", "eggs");
    let record = save(&team.ann, "plan", "CANARY");
    team.level();
    let whole = [blocks(&team.root, &record), blocks(&team.root, &first)];
    state(&team.ann, vec![dep(&team.ann, &record)]);
    team.level();
    assert!(!is_emptied(&team.root, &record) && !is_emptied(&team.ann, &record));
    let notes = team.root.collection("Note").unwrap();
    notes.delete("plan").unwrap();
    assert!(is_emptied(&team.root, &record), "by who deletes");
    team.level();
    for db in team.all() {
        assert!(is_emptied(db, &record) && !has(db, b"CANARY"));
        assert_clean(db);
    }
    assert_eq!(entities(&team.ann), entities(&team.root));
    // It waits while the purge and the delete come, or comes before them, or after.
    let others: Vec<_> = records(&team.root)
        .into_iter()
        .filter(|blocks| !whole.iter().any(|own| own.record == blocks.record))
        .collect();
    let [record_of, first_of] = &whole;
    let orders: [Vec<&Blocks>; 3] = [
        [record_of]
            .into_iter()
            .chain(&others)
            .chain([first_of])
            .collect(),
        [first_of, record_of].into_iter().chain(&others).collect(),
        others.iter().chain([first_of, record_of]).collect(),
    ];
    for order in orders {
        let late = copy(&team.root.keys());
        deliver(&late, order);
        assert!(is_emptied(&late, &record) && !has(&late, b"CANARY"));
        assert_eq!(entities(&late), entities(&team.root));
        assert_eq!(late.held_counts().unwrap().pending, 0);
        assert_clean(&late);
    }
}

#[test]
fn a_stripped_copy_takes_nothing_from_a_whole_one_that_waits() {
    let team = Team::new(&[]);
    save(&team.ann, "list", "eggs");
    let record = save(&team.ann, "plan", "not gone");
    level(&team.root, &team.ann);
    let whole = blocks(&team.ann, &record);
    let nobody = cid_of(DAG_CBOR, b"no such record");
    let late = copy(&team.root.keys());
    take(&late, std::slice::from_ref(&whole));
    assert_eq!(late.held_counts().unwrap().pending, 1, "the control");
    take(&late, &[Blocks::emptied(whole.record.clone(), &nobody)]);
    let mut rest = records(&team.root);
    rest.retain(|blocks| *blocks != whole);
    take(&late, &rest);
    assert_eq!(blocks(&late, &record), whole);
    assert_eq!(texts(&late), texts(&team.root));
    assert_clean(&late);
}

#[test]
fn nobody_makes_an_entity_unpurgeable_by_what_is_not_applied() {
    let team = Team::new(&[]);
    save(&team.root, "plan", "CANARY one");
    save(&team.root, "list", "eggs");
    team.level();
    // Ann is away while root takes writing from her, and writes both at once.
    let notes = team.ann.collection("Note").unwrap();
    team.ann
        .write(|txn| {
            txn.save(&notes, &json!({"_id": "plan", "text": "CANARY two"}))?;
            txn.save(&notes, &json!({"_id": "list", "text": "no eggs"}))
        })
        .unwrap();
    let mixed = team.ann.log(Some(1)).unwrap()[0].record;
    let whole = blocks(&team.ann, &mixed);
    let peer = Subject::Peer(team.ann.thread().own_author());
    team.root
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Write))
        .unwrap();
    team.level();
    assert_eq!(team.root.held().unwrap().len(), 1, "the control");
    assert_eq!(team.root.purge([name("plan")]).unwrap().records, 2);
    team.level();
    let late = copy(&team.root.keys());
    let mut all = records(&team.root);
    all.retain(|blocks| blocks.record != whole.record);
    deliver(&late, &all);
    take(&late, std::slice::from_ref(&whole));
    for db in team.all().into_iter().chain([&late]) {
        assert!(is_emptied(db, &mixed));
        assert!(!has(db, b"CANARY") && db.held().unwrap().is_empty());
        assert_clean(db);
    }
    for db in [&team.root, &team.ann, &late] {
        assert_eq!(texts(db), [json!({"_id": "list", "text": "eggs"})]);
        assert_eq!(entities(db), entities(&team.root));
    }
}

#[test]
fn of_several_purges_in_a_record_those_count_that_do() {
    let team = Team::new(&[Role::Delete]);
    let kept = [save(&team.root, "a", "one"), save(&team.root, "b", "two")];
    let notes = team.root.collection("Note").unwrap();
    for id in ["a", "b"] {
        notes.delete(id).unwrap();
    }
    team.level();
    let rogue = rogue(&team);
    let [first, second] = kept.map(|record| vec![dep(&rogue, &record)]);
    rogue
        .write(|txn| {
            txn.state(Statement::Purge { records: first })?;
            txn.state(Statement::Leave { seen: Vec::new() })?;
            txn.state(Statement::Purge { records: second })
        })
        .unwrap();
    take(&team.root, &records(&rogue));
    level(&team.root, &team.blind);
    for db in [&team.root, &team.blind] {
        assert!(is_emptied(db, &kept[0]), "she had the right still");
        assert!(!is_emptied(db, &kept[1]), "and had it no more");
        assert_eq!(db.emptied().unwrap().len(), 1);
        assert_clean(db);
    }
}

/// Whether a node takes what another one has of a record for what it has itself.
fn is_shown(by: &Db, to: &Db, record: &Cid) -> bool {
    let txn = to.thread().node.store.read().unwrap();
    let (shown, ours) = (blocks(by, record), blocks(to, record));
    super::is_shown(&*txn, to.thread(), &shown, &ours).unwrap()
}

#[test]
fn who_purged_shows_all_that_it_need_show() {
    let one = made(Variant::Raw);
    let two = copy(&one.keys());
    let (gone, stays) = (save(&one, "plan", "mine"), save(&one, "list", "eggs"));
    level(&one, &two);
    one.purge([name("plan")]).unwrap();
    assert!(is_shown(&two, &one, &gone));
    assert!(!is_shown(&one, &two, &gone), "nobody knows why");
    level(&one, &two);
    assert!(!is_emptied(&two, &gone), "nobody is asked");
    assert!(is_shown(&two, &one, &gone) && is_shown(&one, &two, &gone));
    let (thread, txn) = (two.thread(), two.thread().node.store.read().unwrap());
    let shown = |record: &Cid, shown: &Blocks| {
        super::is_shown(&*txn, thread, shown, &blocks(&two, record)).unwrap()
    };
    let whole = blocks(&one, &stays);
    let stripped = Blocks::emptied(whole.record.clone(), &gone);
    assert!(!shown(&stays, &stripped), "it lives");
    let other = Blocks {
        body: b"other".to_vec(),
        ..whole.clone()
    };
    assert!(!shown(&stays, &other) && !shown(&gone, &whole) && shown(&stays, &whole));

    // Where there are rules, a purge that counts says so, whichever each took for the reason.
    let team = Team::new(&[]);
    let gone = save(&team.ann, "plan", "CANARY");
    team.level();
    let (whole, nobody) = (blocks(&team.ann, &gone), cid_of(DAG_CBOR, b"nobody"));
    let stripped = Blocks::emptied(whole.record.clone(), &nobody);
    let passes = |db: &Db, shown: &Blocks| {
        let txn = db.thread().node.store.read().unwrap();
        super::is_shown(&*txn, db.thread(), shown, &blocks(db, &gone)).unwrap()
    };
    assert!(team.all().iter().all(|db| !passes(db, &stripped)));
    team.root.purge([name("plan")]).unwrap();
    assert!(passes(&team.root, &stripped) && passes(&team.root, &whole));
    assert!(!passes(&team.ann, &blocks(&team.root, &gone)), "not yet");
    team.level();
    for db in team.all() {
        assert!(passes(db, &stripped) && passes(db, &whole));
    }
}

#[test]
fn what_was_stripped_by_nobody_knows_whom_is_told_and_filled() {
    let team = Team::new(&[]);
    let record = save(&team.ann, "plan", "not gone");
    level(&team.root, &team.ann);
    let all = records(&team.root);
    let nobody = cid_of(DAG_CBOR, b"no such record");
    let strip = |blocks: &Blocks, by: &Cid| Blocks::emptied(blocks.record.clone(), by);
    for reason in [nobody, all[0].record_id()] {
        let late = copy(&team.root.keys());
        for blocks in &all {
            match blocks.record_id() == record {
                true => drop(take(&late, &[strip(blocks, &reason)])),
                false => drop(take(&late, std::slice::from_ref(blocks))),
            }
        }
        let counts = late.sync_status().unwrap().emptied;
        assert_eq!((counts.purged, counts.stripped), (0, 1));
        assert_eq!(counts.stripped_of.values().sum::<u64>(), 1);
        assert!(!late.emptied().unwrap()[0].explained);
        assert!(late.why(&record).unwrap()[0].starts_with("it came without"));
        assert!(texts(&late).is_empty());
        assert_clean(&late);
        take(&late, &[strip(&blocks(&team.ann, &record), &nobody)]);
        assert_eq!(late.sync_status().unwrap().emptied.stripped, 1, "no news");
        // Whole, from whoever has it.
        take(&late, &[blocks(&team.ann, &record)]);
        assert_eq!(texts(&late), texts(&team.root));
        assert_eq!(entities(&late), entities(&team.root));
        assert_eq!(late.sync_status().unwrap().emptied.stripped, 0);
        assert_clean(&late);
    }
    // What is said about access is never taken without what it says.
    let late = copy(&team.root.keys());
    let access = strip(&all[0], &nobody);
    let refused = ingest::take_in(late.thread(), &[access]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    let mut cut = strip(&all[3], &nobody);
    cut.body.pop();
    let refused = ingest::take_in(late.thread(), &[cut]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
}

#[test]
fn a_purge_by_who_had_lost_the_right_is_taken_back_where_somebody_has_it_whole() {
    let team = Team::new(&[Role::Delete]);
    let record = save(&team.root, "plan", "worth keeping");
    team.level();
    let whole = blocks(&team.root, &record);
    // Ann purges, and root takes the role from her without having seen that.
    team.ann.purge([name("plan")]).unwrap();
    level(&team.ann, &team.blind);
    assert!(is_emptied(&team.blind, &record) && is_emptied(&team.ann, &record));
    let peer = Subject::Peer(team.ann.thread().own_author());
    team.root
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Delete))
        .unwrap();
    team.level();
    assert!(!is_emptied(&team.root, &record), "it does not count");
    assert_eq!(texts(&team.root).len(), 1);
    for db in [&team.ann, &team.blind] {
        assert!(is_emptied(db, &record));
        assert_eq!(db.sync_status().unwrap().emptied.stripped, 1);
        assert!(db.purges().unwrap()[0].void.is_some());
        take(db, std::slice::from_ref(&whole));
        assert!(!is_emptied(db, &record));
        assert_clean(db);
    }
    assert_eq!(texts(&team.ann), texts(&team.root));
    assert_eq!(entities(&team.ann), entities(&team.root));

    // Root saw this one before: it stands.
    let record = save(&team.root, "list", "CANARY");
    grant(&team.root, team.ann.thread().own_author(), &[Role::Delete]);
    team.level();
    team.ann.purge([name("list")]).unwrap();
    team.level();
    team.root
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Delete))
        .unwrap();
    team.level();
    for db in team.all() {
        assert!(is_emptied(db, &record) && !has(db, b"CANARY"));
        assert_eq!(db.sync_status().unwrap().emptied.stripped, 0);
        assert_clean(db);
    }
}

#[test]
fn what_is_in_quarantine_and_was_adopted_goes_too() {
    let team = Team::new(&[]);
    save(&team.root, "plan", "CANARY one");
    team.level();
    // Ann is away while root takes writing from her.
    let late = save(&team.ann, "plan", "CANARY two");
    let peer = Subject::Peer(team.ann.thread().own_author());
    team.root
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Write))
        .unwrap();
    team.level();
    assert_eq!(team.root.held().unwrap().len(), 1);
    team.root.write(|txn| txn.adopt(&late)).unwrap();
    team.level();
    assert_eq!(team.root.purge([name("plan")]).unwrap().records, 3);
    team.level();
    for db in team.all() {
        assert!(is_emptied(db, &late));
        assert!(!has(db, b"CANARY") && db.held().unwrap().is_empty());
        assert_clean(db);
    }
    assert_eq!(entities(&team.root), entities(&team.ann));
}

#[test]
fn an_export_carries_what_is_left() {
    let db = made(Variant::AccessControlled);
    save(&db, "plan", "CANARY");
    save(&db, "list", "eggs");
    db.purge([name("plan")]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.car");
    let passphrase = || Some("correct horse".to_owned().into());
    let file = std::fs::File::create(&path).unwrap();
    db.export(
        file,
        &ExportOptions {
            passphrase: passphrase(),
        },
        &mut |_| (),
    )
    .unwrap();
    let other = builder(&Arc::default()).policy(Acl::new()).open().unwrap();
    let options = RestoreOptions {
        passphrase: passphrase(),
        name: None,
    };
    let (copy, _) = other.restore(&path, &options, &mut |_| ()).unwrap();
    assert_eq!(entities(&copy), entities(&db));
    assert_eq!(copy.emptied().unwrap(), db.emptied().unwrap());
    assert_eq!(
        copy.log(None).unwrap().len(),
        db.log(None).unwrap().len() - 1
    );
    assert_clean(&copy);
}

#[test]
fn what_is_left_to_do_is_done_when_the_thread_is_opened() {
    let store: Arc<Memory> = Arc::default();
    let team = Team::new(&[]);
    let node = builder(&store)
        .policy(Acl::new())
        .identity(IdentityKey::generate(&mut system_rng()));
    let db = node
        .open()
        .unwrap()
        .add_thread("t", &team.root.keys())
        .unwrap();
    let gone: Vec<_> = (0..200)
        .map(|n| save(&team.root, "plan", &format!("CANARY {n}")))
        .collect();
    let report = team.root.purge([name("plan")]).unwrap();
    assert_eq!(report.records, 200);
    take(&db, &records(&team.root));
    // As after a crash half-way.
    let purge = report.stated.unwrap();
    let number = db.thread().number;
    let mut row = super::rows::PurgeRow::get(&*store.read().unwrap(), number, &purge)
        .unwrap()
        .unwrap();
    assert_eq!(row.next, None);
    row.next = Some(64);
    let mut txn = store.write().unwrap();
    row.put(&mut *txn, number).unwrap();
    txn.commit(Durability::Group).unwrap();
    drop(db);
    let db = builder(&store)
        .policy(Acl::new())
        .open()
        .unwrap()
        .open("t")
        .unwrap();
    let row = super::rows::PurgeRow::get(&*store.read().unwrap(), number, &purge)
        .unwrap()
        .unwrap();
    assert_eq!(row.next, None);
    assert!(gone.iter().all(|record| is_emptied(&db, record)));
    assert_clean(&db);
}
