//! What is held, what is given up for it, and when it is applied.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::sync::Arc;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Memory};
use threads_core::module::CollectionSpec;
use threads_core::record::Record;
use threads_core::{IdentityKey, LogKey, system_rng};

use super::*;
use crate::db::Db;
use crate::export::ByTime;
use crate::ingest::{self, Intake};
use crate::node::Node;
use crate::query::Query;

mod level;
mod made;
mod room;

use made::{Altered, sealed, sealed_as, sealed_at, sealed_event, signed};

fn open(store: &Arc<Memory>) -> Node {
    let builder = Node::builder(Arc::clone(store)).codec(JsonPatch::new());
    builder.open().unwrap()
}

/// A thread whose log has a definition and then `creates` records.
fn source(creates: usize) -> Db {
    let db = open(&Arc::default()).create("source").unwrap();
    let name = "Person".parse().unwrap();
    let spec = CollectionSpec::new(name, "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    let people = db.collection("Person").unwrap();
    for n in 0..creates {
        people.create(&json!({"_id": format!("p{n}")})).unwrap();
    }
    db
}

/// The same thread, with nothing in it, on another node.
fn empty_copy(of: &Db, store: &Arc<Memory>) -> Db {
    let (node, thread) = (open(store), of.thread());
    let keys = (&thread.replica, thread.read.get());
    let number = node.inner.store.transact(Durability::Group, |txn| {
        let number = layout::reserve(txn)?;
        node.add_thread_at(txn, number, &thread.id, "copy", keys.0, keys.1)?;
        Ok(number)
    });
    node.db(number.unwrap()).unwrap()
}

/// The records of a thread, in the order of their times.
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

fn all(db: &Db) -> Vec<Value> {
    let people = db.collection("Person").unwrap();
    people.find(&Query::new()).unwrap()
}

fn assert_clean(db: &Db) {
    let report = db.verify(&mut |_| ()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
    assert_eq!(report.held, db.held().unwrap().len() as u64);
}

/// An entry that stands for a record of `bytes`, with nothing in it.
fn entry(n: u64, bytes: usize, why: Why) -> Entry {
    let record = block::cid_of(block::DAG_CBOR, &n.to_be_bytes());
    let row = Row {
        log: LogId::from_key_bytes([1; 32]),
        seq: n,
        record,
        author: None,
        since_ms: 0,
        why,
    };
    let (event, body) = (Vec::new(), vec![0; bytes]);
    let blocks = Blocks {
        record: vec![1],
        event,
        body,
    };
    Entry {
        row,
        blocks: Some(blocks),
    }
}

fn waits(n: u64, bytes: usize) -> Entry {
    let missing = block::cid_of(block::RAW, &(!n).to_be_bytes());
    entry(n, bytes, Why::Missing(vec![missing]))
}

#[test]
fn row_35_a_record_without_those_before_it_waits_and_is_applied_when_they_come() {
    let (source, store) = (source(40), Arc::default());
    let (copy, records) = (empty_copy(&source, &store), records(&source));
    for record in records[1..].iter().rev() {
        let taken = take(&copy, std::slice::from_ref(record));
        assert_eq!((taken.new, taken.present, taken.dropped), (0, 0, 0));
        assert_eq!(taken.held, copy.held().unwrap().len() as u64);
        assert_eq!(take(&copy, std::slice::from_ref(record)), taken, "twice");
    }
    assert_eq!(copy.held_counts().unwrap().pending, 40);
    assert_eq!(copy.retry_held().unwrap(), 0, "nothing came");
    assert_clean(&copy);
    let last = &copy.held().unwrap()[0];
    let before = records[39].record_id();
    assert_eq!(
        (last.seq, &last.reason),
        (41, &HeldReason::Missing(vec![before]))
    );

    // All of it is still there after a restart, and follows the first record in.
    let (id, name) = (copy.id().to_string(), copy.name().to_owned());
    drop(copy);
    let copy = open(&store).open(&id).unwrap();
    assert_eq!((copy.name(), copy.held().unwrap().len()), (&*name, 40));
    assert_eq!(take(&copy, &records[..1]).new, 41);
    assert_eq!(copy.held_counts().unwrap(), HeldCounts::default());
    assert_eq!(all(&copy), all(&source));
    assert_clean(&copy);
    let txn = copy.thread().node.store.read().unwrap();
    let left = Prefix::new(&copy.thread().number.to_be_bytes());
    let left = txn.scan(Keyspace::Held, left.range(), Direction::Forward);
    assert_eq!(left.unwrap().count(), 0);
    assert!(txn.get(Keyspace::Meta, meta::HELD).unwrap().is_none());
}

#[test]
fn row_35_a_record_waits_for_the_records_of_other_logs_that_it_names() {
    let (one, store) = (source(1), Arc::default());
    let two = empty_copy(&one, &store);
    take(&two, &records(&one));
    let people = two.collection("Person").unwrap();
    people.patch("p0", &json!({"seen": true})).unwrap();
    let (three, all_records) = (empty_copy(&one, &Arc::default()), records(&two));
    let (answer, rest) = all_records.split_last().unwrap();
    take(&three, std::slice::from_ref(answer));
    assert_eq!(three.held().unwrap()[0].author, Some(two.node().peer_id()));
    take(&three, &rest[..1]);
    assert_eq!(three.held_counts().unwrap().pending, 1);
    assert_eq!(take(&three, &rest[1..]).new, 2);
    assert_eq!(all(&three), all(&two));
    assert_clean(&three);
}

#[test]
fn what_is_due_next_is_known_without_looking_at_what_is_held() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    assert_eq!(next_due(&*txn, 7).unwrap(), None);
    for (n, at_ms) in [(0, 30), (1, 10), (2, 20), (3, 10)] {
        keep(&mut *txn, 7, None, &entry(n, 1, Why::Early(at_ms))).unwrap();
    }
    keep(&mut *txn, 7, None, &waits(4, 1)).unwrap();
    keep(&mut *txn, 6, None, &entry(0, 1, Why::Early(5))).unwrap();
    assert_eq!(next_due(&*txn, 7).unwrap(), Some(10));
    remove(&mut *txn, 7, 1).unwrap();
    assert_eq!(
        next_due(&*txn, 7).unwrap(),
        Some(10),
        "there is another one"
    );
    // It waits for something else now.
    keep(&mut *txn, 7, Some(3), &waits(3, 1)).unwrap();
    assert_eq!(next_due(&*txn, 7).unwrap(), Some(20));
    remove(&mut *txn, 7, 2).unwrap();
    remove(&mut *txn, 7, 0).unwrap();
    assert_eq!(next_due(&*txn, 7).unwrap(), None);
}

#[test]
fn a_log_that_goes_on_from_another_is_refused_with_a_reason_whatever_comes_first() {
    let source = source(1);
    let copy = empty_copy(&source, &Arc::default());
    take(&copy, &records(&source));
    let author = IdentityKey::generate(&mut system_rng());
    let [one, two, three] = [0; 3].map(|_| LogKey::generate(&mut system_rng()));
    let first = sealed(&copy, &author, &one, None);
    let other = sealed_at(&copy, &author, &two, 6, Some(first.record_id()), None);
    take(&copy, std::slice::from_ref(&other));
    assert_eq!(copy.held_counts().unwrap().pending, 1, "it may be in order");
    assert_eq!(take(&copy, std::slice::from_ref(&first)).new, 1);
    let held = copy.held().unwrap();
    assert_eq!((held.len(), held[0].record), (1, other.record_id()));
    let why = held[0].reason.to_string();
    assert!(why.starts_with("in quarantine: "), "{why}");
    assert_clean(&copy);

    let other = sealed_at(&copy, &author, &three, 6, Some(first.record_id()), None);
    let refused = ingest::take_in(copy.thread(), &[other]).unwrap_err();
    let why = threads_core::record::Rejection::of(&refused);
    assert_eq!(why, Some(threads_core::record::Rejection::BrokenChain));
}

/// The first record says whose the log is, so two of them may say two things.
#[test]
fn row_09_a_log_forked_at_its_first_record_has_the_author_of_each_branch() {
    let source = source(1);
    let key = LogKey::generate(&mut system_rng());
    let authors = [0; 2].map(|_| IdentityKey::generate(&mut system_rng()));
    let mut firsts =
        [0, 1].map(|n| sealed_at(&source, &authors[n], &key, 5 + n as u64, None, None));
    let mut expected = [0, 1].map(|n| (firsts[n].record_id(), Some(authors[n].peer_id())));
    expected.sort_unstable();
    for _ in 0..2 {
        let copy = empty_copy(&source, &Arc::default());
        take(&copy, &records(&source));
        firsts
            .iter()
            .for_each(|first| _ = take(&copy, std::slice::from_ref(first)));
        let forks = copy.forks().unwrap();
        let branches = forks[0].branches.iter();
        let told: Vec<_> = branches
            .map(|branch| (branch.first, branch.author))
            .collect();
        assert_eq!(told, expected);
        assert_clean(&copy);
        firsts.reverse();
    }
}

#[test]
fn a_held_record_that_is_not_later_stands_when_the_one_before_it_came_and_is_not_applied() {
    let source = source(1);
    let copy = empty_copy(&source, &Arc::default());
    take(&copy, &records(&source));
    let (author, key) = (
        IdentityKey::generate(&mut system_rng()),
        LogKey::generate(&mut system_rng()),
    );
    let first = sealed(&copy, &author, &key, None);
    let second = sealed(&copy, &author, &key, Some(first.record_id()));
    take(&copy, std::slice::from_ref(&second));
    assert_eq!(copy.held_counts().unwrap().pending, 1);
    assert_eq!(take(&copy, &[first]).new, 1);
    let held = copy.held().unwrap();
    let reason = "in quarantine: the record is not later than the one before it";
    assert_eq!((held.len(), held[0].reason.to_string()), (1, reason.into()));
    assert_eq!(held[0].author, Some(author.peer_id()));
    assert_clean(&copy);
    let third = (3, 6, Some(second.record_id()));
    let third = sealed_event(&copy, (&author, &key), third, (b"x", None));
    assert_eq!(take(&copy, &[third]).new, 1, "the log goes on");
    assert_clean(&copy);
}

/// What breaks the rules of logs themselves stands nowhere.
#[test]
fn a_held_record_that_breaks_its_log_is_kept_as_evidence_and_is_in_nobodys_way() {
    let source = source(1);
    let copy = empty_copy(&source, &Arc::default());
    take(&copy, &records(&source));
    let keys = (
        IdentityKey::generate(&mut system_rng()),
        LogKey::generate(&mut system_rng()),
    );
    let first = sealed(&copy, &keys.0, &keys.1, None);
    // Its number is not the next one.
    let third = (3, 6, Some(first.record_id()));
    let third = sealed_event(&copy, (&keys.0, &keys.1), third, (b"x", None));
    take(&copy, std::slice::from_ref(&third));
    assert_eq!(take(&copy, &[first]).new, 1);
    let held = copy.held().unwrap();
    assert!(
        matches!(held[0].reason, HeldReason::Quarantine(_)),
        "{held:?}"
    );
    let txn = copy.thread().node.store.read().unwrap();
    let stands = chain::locate(&*txn, copy.thread().number, &third.record_id());
    assert_eq!((held.len(), stands.unwrap()), (1, None));
    assert_clean(&copy);
}

#[test]
fn row_46_a_body_that_is_not_the_committed_one_is_applied_by_nobody_and_blocks_no_log() {
    let source = source(1);
    let one = empty_copy(&source, &Arc::default());
    let two = empty_copy(&source, &Arc::default());
    let (author, key) = (
        IdentityKey::generate(&mut system_rng()),
        LogKey::generate(&mut system_rng()),
    );
    // Of a body in clear anybody can make another one, and sign for it.
    let bad = sealed_as(&source, &author, &key, None, Some(b"another body"));
    let (record, records) = (bad.record_id(), records(&source));
    for copy in [&one, &two] {
        take(copy, &records);
        assert_eq!(take(copy, std::slice::from_ref(&bad)).new, 0);
        let held = copy.held().unwrap();
        let why = "in quarantine: a body that is not the one its header commits to";
        assert_eq!(
            (held[0].record, &*held[0].reason.to_string()),
            (record, why)
        );
        assert_eq!(all(copy), all(&source));
        assert_clean(copy);
    }
    // It stands in its log, which goes on.
    let next = sealed_at(&one, &author, &key, 6, Some(record), None);
    assert_eq!(take(&one, std::slice::from_ref(&next)).new, 1);
    assert_clean(&one);
}

#[test]
fn verification_finds_what_is_held_wrongly() {
    let (source, store) = (source(3), Arc::<Memory>::default());
    let copy = empty_copy(&source, &store);
    take(&copy, &records(&source)[1..]);
    let (author, key) = (
        IdentityKey::generate(&mut system_rng()),
        LogKey::generate(&mut system_rng()),
    );
    let soon = copy.thread().node.clock.now_ms() + 5 * 60 * 1_000;
    take(&copy, &[sealed_at(&copy, &author, &key, soon, None, None)]);
    assert_clean(&copy);
    let rows: Vec<(Vec<u8>, Vec<u8>)> = {
        let txn = store.read().unwrap();
        let everything = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        txn.scan(Keyspace::Held, everything, Direction::Forward)
            .unwrap()
            .map(|row| row.map(|(key, value)| (key.into_owned(), value.into_owned())))
            .collect::<Result<_>>()
            .unwrap()
    };
    // What waits for what is found by trying again; everything else is checked.
    for (key, value) in rows.iter().filter(|(key, _)| key[4] != b'm') {
        let damaged: Vec<u8> = value.iter().map(|byte| byte ^ 1).collect();
        // A row with no value can only be lost.
        let changes = [Some(&damaged).filter(|value| !value.is_empty()), None];
        for change in changes.into_iter().skip(usize::from(value.is_empty())) {
            store
                .transact(Durability::Group, |txn| match change {
                    Some(value) => txn.put(Keyspace::Held, key, value),
                    None => txn.delete(Keyspace::Held, key),
                })
                .unwrap();
            let report = copy.verify(&mut |_| ()).unwrap();
            assert!(!report.is_clean(), "{} {change:?}", key[4] as char);
            store
                .transact(Durability::Group, |txn| txn.put(Keyspace::Held, key, value))
                .unwrap();
        }
    }
    assert_clean(&copy);
}
