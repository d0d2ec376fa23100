//! What is held, what is given up for it, and when it is applied.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::sync::Arc;

use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::batch::BATCH_FORMAT;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Memory};
use threads_core::event::{Encryption, Position, SealedEvent};
use threads_core::module::CollectionSpec;
use threads_core::record::{Fields, Record, SignedRecord};
use threads_core::{Hlc, IdentityKey, LogKey, system_rng};

use super::*;
use crate::db::Db;
use crate::export::ByTime;
use crate::ingest::{self, Intake};
use crate::node::Node;
use crate::query::Query;

mod level;

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

fn kept_seqs(txn: &dyn ReadTxn, thread: Number) -> Vec<u64> {
    let arrivals = arrivals(txn, thread).unwrap().into_iter();
    let entries = arrivals.map(|arrival| get(txn, thread, arrival).unwrap().unwrap());
    entries.map(|entry| entry.row.seq).collect()
}

#[test]
fn row_35_a_flood_that_waits_is_bounded_and_the_oldest_unneeded_is_given_up() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let first = waits(0, 1);
    assert!(keep(&mut *txn, 7, None, &first).unwrap().kept);
    // One that waits for the first keeps it from being given up.
    let needs = entry(1, 1, Why::Missing(vec![first.row.record]));
    assert!(keep(&mut *txn, 7, None, &needs).unwrap().kept);
    for n in 2..RECORDS_MAX {
        assert_eq!(keep(&mut *txn, 7, None, &waits(n, 1)).unwrap().given_up, 0);
    }
    let room = keep(&mut *txn, 7, None, &waits(RECORDS_MAX, 1)).unwrap();
    assert_eq!((room.kept, room.given_up), (true, 1));
    assert_eq!(
        kept_seqs(&*txn, 7)[..2],
        [0, 2],
        "1 was the oldest unneeded"
    );
    let tally = Tally::get(&*txn, Keyspace::Held, &layout::held::tally(7, &[])).unwrap();
    assert_eq!(tally.records, RECORDS_MAX);
    // Another thread has its own bound.
    assert_eq!(keep(&mut *txn, 8, None, &waits(0, 1)).unwrap().given_up, 0);
}

#[test]
fn row_35_bytes_are_bounded_by_thread_and_by_node() {
    const MIB: usize = 1024 * 1024;
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    for thread in 0..6 {
        for n in 0..80 {
            keep(&mut *txn, thread, None, &waits(n, MIB)).unwrap();
        }
    }
    let node = Tally::get(&*txn, Keyspace::Meta, meta::HELD).unwrap();
    assert!(
        node.bytes <= WAITING_BYTES_MAX && node.records == 255,
        "{node:?}"
    );
    let seqs = kept_seqs(&*txn, 0);
    assert_eq!((seqs.len(), seqs[0]), (63, 17), "the oldest made room");
    assert!(
        kept_seqs(&*txn, 5).is_empty(),
        "the node had no room for it"
    );
    forget(&mut *txn, 0).unwrap();
    let node = Tally::get(&*txn, Keyspace::Meta, meta::HELD).unwrap();
    assert_eq!(node.records, 192);
}

#[test]
fn row_35_quarantine_is_bounded_by_author_and_gives_nothing_up() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let by = |n, author| {
        let mut entry = entry(n, 1, Why::quarantine("x".repeat(10_000)));
        entry.row.author = Some(PeerId::from_key_bytes([author; 32]));
        entry
    };
    for n in 0..RECORDS_MAX {
        assert!(keep(&mut *txn, 7, None, &by(n, 1)).unwrap().kept);
    }
    let refused = keep(&mut *txn, 7, None, &by(RECORDS_MAX, 1)).unwrap();
    assert_eq!((refused.kept, refused.given_up), (false, 0));
    assert!(keep(&mut *txn, 7, None, &by(RECORDS_MAX, 2)).unwrap().kept);
    assert!(keep(&mut *txn, 7, None, &waits(0, 1)).unwrap().kept);
    let why = get(&*txn, 7, 0).unwrap().unwrap().row.why;
    assert_eq!(why, Why::Quarantine("x".repeat(WHY_CHARS_MAX)));
}

#[test]
fn row_35_what_is_in_quarantine_does_not_keep_the_oldest_that_waits_from_being_given_up() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    for n in 0..100 {
        let apart = entry(RECORDS_MAX + 1 + n, 1, Why::quarantine("odd"));
        assert!(keep(&mut *txn, 7, None, &apart).unwrap().kept);
    }
    for n in 0..RECORDS_MAX {
        assert!(keep(&mut *txn, 7, None, &waits(n, 1)).unwrap().kept);
    }
    let room = keep(&mut *txn, 7, None, &waits(RECORDS_MAX, 1)).unwrap();
    assert_eq!((room.kept, room.given_up), (true, 1));
    assert_eq!(kept_seqs(&*txn, 7)[100], 1, "0 was the oldest that waited");
}

#[test]
fn row_35_quarantine_takes_no_room_of_what_waits_and_nothing_is_given_up_in_vain() {
    const MIB: usize = 1024 * 1024;
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    for author in 0..5 {
        for n in 0..63 {
            let mut apart = entry(n, MIB, Why::quarantine("odd"));
            apart.row.author = Some(PeerId::from_key_bytes([author; 32]));
            keep(&mut *txn, 7, None, &apart).unwrap();
        }
    }
    assert_eq!(kept_seqs(&*txn, 7).len(), 127, "the bound of a node");
    for thread in [8, 9, 10, 11] {
        for n in 0..63 {
            let room = keep(&mut *txn, thread, None, &waits(n, MIB)).unwrap();
            assert_eq!((room.kept, room.given_up), (true, 0));
        }
    }
    // Three more fit. Then only another thread's could make room for a long one.
    assert!(keep(&mut *txn, 6, None, &waits(0, MIB)).unwrap().kept);
    let room = keep(&mut *txn, 6, None, &waits(1, 9 * MIB)).unwrap();
    assert_eq!((room.kept, room.given_up), (false, 0));
    assert_eq!(kept_seqs(&*txn, 6), [0]);
}

/// There is always room for what stands in its log, so it must not take that of others.
#[test]
fn what_stands_and_is_not_applied_takes_no_room_of_what_waits_in_other_threads() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let (node, most) = (meta::HELD_WAITING, WAITING_BYTES_MAX);
    for n in 0..1_000 {
        let mut stands = entry(n, 1, Why::access("the author may not write"));
        stands.blocks = None;
        assert!(keep(&mut *txn, 7, None, &stands).unwrap().kept);
    }
    let count = |txn: &dyn ReadTxn, key| Tally::get(txn, Keyspace::Meta, key).unwrap();
    assert_eq!(count(&*txn, meta::HELD).records, 1_000);
    assert_eq!(count(&*txn, node), Tally::default());
    assert_eq!(count(&*txn, meta::HELD_APART), Tally::default());
    // As if there were as many of them as a node waits for: another thread's find room.
    let full = Tally {
        records: 1,
        bytes: most,
    };
    full.put(&mut *txn, Keyspace::Meta, meta::HELD).unwrap();
    assert!(keep(&mut *txn, 8, None, &waits(0, 1)).unwrap().kept);
    let waiting = count(&*txn, node);
    assert_eq!(waiting.records, 1);
    forget(&mut *txn, 8).unwrap();
    assert_eq!(count(&*txn, node), Tally::default());
}

/// Whoever follows its log, or names it in another one, waits for it.
#[test]
fn row_35_a_full_quarantine_does_not_block_the_log_of_what_is_kept_apart() {
    let source = source(1);
    let copy = empty_copy(&source, &Arc::default());
    take(&copy, &records(&source));
    let (author, key) = (
        IdentityKey::generate(&mut system_rng()),
        LogKey::generate(&mut system_rng()),
    );
    let (thread, number) = (copy.thread(), copy.thread().number);
    thread
        .node
        .store
        .transact(Durability::Group, |txn| {
            (0..RECORDS_MAX).try_for_each(|n| {
                let mut apart = entry(n, 1, Why::quarantine("odd"));
                apart.row.author = Some(author.peer_id());
                keep(txn, number, None, &apart).map(|room| assert!(room.kept))
            })
        })
        .unwrap();
    let bad = sealed_as(&copy, &author, &key, None, Some(b"another body"));
    assert_eq!(take(&copy, std::slice::from_ref(&bad)).dropped, 0);
    let next = sealed_at(&copy, &author, &key, 6, Some(bad.record_id()), None);
    assert_eq!(take(&copy, std::slice::from_ref(&next)).new, 1);
    assert_eq!(copy.held_counts().unwrap().quarantined, RECORDS_MAX + 1);
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

/// A record that is always dated alike: a second one cannot follow a first.
fn sealed(db: &Db, author: &IdentityKey, key: &LogKey, prev: Option<Cid>) -> Blocks {
    sealed_as(db, author, key, prev, None)
}

fn sealed_as(
    db: &Db,
    author: &IdentityKey,
    key: &LogKey,
    prev: Option<Cid>,
    other_body: Option<&[u8]>,
) -> Blocks {
    sealed_at(db, author, key, 5, prev, other_body)
}

/// An event's block, whose parts can be exchanged.
#[derive(Serialize, Deserialize)]
struct Altered {
    body: Cid,
    header: ByteBuf,
}

/// A record of one's own making, perhaps with a body that is not the one its header commits to.
fn sealed_at(
    db: &Db,
    author: &IdentityKey,
    key: &LogKey,
    wall_ms: u64,
    prev: Option<Cid>,
    other_body: Option<&[u8]>,
) -> Blocks {
    let place = (1 + u64::from(prev.is_some()), wall_ms, prev);
    sealed_event(db, (author, key), place, (b"x", other_body))
}

/// A record with a number, a time and a predecessor; its body, and another one to exchange it for.
fn sealed_event(
    db: &Db,
    (author, key): (&IdentityKey, &LogKey),
    (seq, wall_ms, prev): (u64, u64, Option<Cid>),
    (plain, other_body): (&[u8], Option<&[u8]>),
) -> Blocks {
    let (thread, rng) = (db.thread(), &mut system_rng());
    let position = Position {
        thread: &thread.id,
        log: key.log_id(),
        seq,
        epoch: 0,
    };
    let time = Hlc {
        wall_ms,
        counter: 0,
    };
    let format = match plain {
        b"x" => "other/1",
        _ => BATCH_FORMAT,
    };
    let (format, kind) = (format.parse().unwrap(), Encryption::None);
    let sealed = SealedEvent::seal(
        &position,
        thread.read.get().unwrap(),
        time,
        format,
        plain,
        kind,
        rng,
    )
    .unwrap();
    let (mut event, mut body) = (sealed.event.into_bytes(), sealed.body.into_bytes());
    if let Some(other) = other_body {
        let mut altered: Altered = block::decode(&event).unwrap();
        body = other.to_vec();
        altered.body = block::cid_of(block::RAW, &body);
        event = block::encode(&altered).unwrap();
    }
    signed(db, (author, key), (seq, prev), (event, body))
}

/// The record of an event's blocks.
fn signed(
    db: &Db,
    (author, key): (&IdentityKey, &LogKey),
    (seq, prev): (u64, Option<Cid>),
    (event, body): (Vec<u8>, Vec<u8>),
) -> Blocks {
    let thread = db.thread();
    let fields = Fields {
        thread: thread.id.clone(),
        log: key.log_id(),
        seq,
        prev,
        skip: None,
        deps: Vec::new(),
        acl: Vec::new(),
        access: false,
        epoch: 0,
        tags: Vec::new(),
        event: block::cid_of(block::DAG_CBOR, &event),
    };
    let author = (seq == 1).then_some(author);
    let record = SignedRecord::seal(fields, key, author, &thread.replica).unwrap();
    Blocks {
        record: record.block().to_vec(),
        event,
        body,
    }
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
