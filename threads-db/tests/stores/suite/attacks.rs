//! What must be impossible in the engine: tests carry the numbers of the rows in `spec/threats.md`.

use std::ops::Bound::Unbounded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::faulty::{Fails, Faulty};
use threads_core::block::Block;
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, Keyspace, Memory, ReadTxn,
};
use threads_core::module::IndexSpec;
use threads_core::policy::{AccessPolicy, Candidate, Change, Verdict};
use threads_core::record::RECORDS_PER_EPOCH_MAX;
use threads_core::{Cid, Clock, ErrorKind, Result};
use threads_db::query::{Query, QueryCaps, TooExpensive};
use threads_db::{ChangeFilter, Collection, Db, HeldReason, Node, Notice};

use super::common::{SharedClock, Store, all, assert_clean, builder, carry, node, people, spec};

const NOW: u64 = 1_700_000_000_000;

/// Writes one record a thread's clock `ahead_ms` ahead of [`NOW`], and carries it to a node whose
/// clock says [`NOW`].
fn ahead_by(ahead_ms: u64) -> (Db, Db, SharedClock) {
    let fast = SharedClock::at(NOW);
    let one = builder().clock(fast.clone()).open().unwrap();
    let one = one.create("t").unwrap();
    one.define(&spec("N")).unwrap();
    fast.0.set(NOW + ahead_ms);
    let notes = one.collection("N").unwrap();
    notes.create(&json!({"_id": "early"})).unwrap();
    notes.create(&json!({"_id": "next"})).unwrap();
    let clock = SharedClock::at(NOW);
    let two = builder().clock(clock.clone()).open().unwrap();
    let (two, report) = carry(&one, &two).unwrap();
    assert_eq!(report.held, two.held().unwrap().len() as u64);
    (one, two, clock)
}

/// The time of the next record that a node writes.
fn next_time(db: &Db) -> u64 {
    let notes = db.collection("N").unwrap();
    notes.save(&json!({"_id": "mine"})).unwrap();
    db.log(Some(1)).unwrap()[0].time.wall_ms
}

#[test]
fn row_27_a_time_within_a_minute_is_taken_as_it_is() {
    let (_, two, _) = ahead_by(60_000);
    assert!(two.held().unwrap().is_empty());
    assert_eq!(all(&two, "N").len(), 2);
}

#[test]
fn row_27_a_time_beyond_a_minute_waits_until_it_is_due() {
    let (one, two, clock) = ahead_by(60_001);
    let until = HeldReason::EarlyUntilMs(NOW + 1);
    assert_eq!(two.held().unwrap()[0].reason, until);
    assert_eq!(two.held_counts().unwrap().pending, 2);
    assert!(all(&two, "N").is_empty());
    assert_clean(&two);
    assert_eq!(two.retry_held().unwrap(), 0);
    assert_eq!(next_time(&two), NOW, "the clock did not follow");
    clock.0.set(NOW + 1);
    assert_eq!(two.retry_held().unwrap(), 2);
    assert!(two.held().unwrap().is_empty());
    carry(&two, &one.node()).unwrap();
    assert_eq!(all(&one, "N"), all(&two, "N"));
    assert_clean(&two);
}

#[test]
fn row_27_a_time_beyond_ten_minutes_is_quarantined_and_the_clock_does_not_follow() {
    let century = 100 * 365 * 24 * 3_600_000;
    for ahead_ms in [600_001, century, u64::MAX - NOW] {
        let (_, two, clock) = ahead_by(ahead_ms);
        let held = two.held().unwrap();
        assert_eq!(held.len(), 2);
        for record in &held {
            let HeldReason::Quarantine(why) = &record.reason else {
                panic!("{:?}", record.reason);
            };
            assert!(why.contains("set the clock"), "{why}");
        }
        assert_eq!(two.held_counts().unwrap().quarantined, 2);
        assert!(all(&two, "N").is_empty());
        assert_eq!(next_time(&two), NOW);
        assert_clean(&two);
        // Nothing is lost if it was this clock that was wrong.
        clock.0.set(NOW + ahead_ms);
        assert_eq!(two.retry_held().unwrap(), 2);
        assert_eq!(all(&two, "N").len(), 3);
    }
}

#[test]
fn row_27_a_negative_step_of_the_own_clock_stops_nothing() {
    let (one, _, _) = ahead_by(0);
    let behind = builder().clock(SharedClock::at(0)).open().unwrap();
    let (behind, report) = carry(&one, &behind).unwrap();
    assert_eq!((report.records, report.held), (0, 3));
    assert!(behind.collections().unwrap().is_empty());
    assert_clean(&behind);
}

/// Judges what makes or changes the entity `odd` as it is told, and accepts everything else.
#[derive(Clone, Debug, Default)]
struct Judge(Arc<AtomicU8>);

const ACCEPT: u8 = 0;
const QUARANTINE: u8 = 1;
const DEFER: u8 = 2;
const REJECT: u8 = 3;

impl AccessPolicy for Judge {
    fn judge(&self, candidate: &Candidate<'_>, _view: &dyn ReadTxn) -> Result<Verdict> {
        let odd = |change: &Change| change.entity.as_str() == "odd";
        if !candidate.changes.iter().copied().flatten().any(odd) {
            return Ok(Verdict::Accept);
        }
        Ok(match self.0.load(Ordering::SeqCst) {
            ACCEPT => Verdict::Accept,
            QUARANTINE => Verdict::Quarantine("odd".into()),
            REJECT => Verdict::Reject("odd".into()),
            _ => Verdict::Defer(vec![missing()]),
        })
    }
}

fn missing() -> Cid {
    *Block::cbor(*b"\xa0").cid()
}

#[test]
fn what_the_policy_keeps_apart_stands_in_its_log_and_is_not_applied() {
    let (one, people) = people();
    people.create(&json!({"_id": "odd"})).unwrap();
    people.create(&json!({"_id": "even", "n": 1})).unwrap();
    for (verdict, reason) in [
        (QUARANTINE, HeldReason::Access("odd".into())),
        (DEFER, HeldReason::Missing(vec![missing()])),
    ] {
        let judge = Judge::default();
        judge.0.store(verdict, Ordering::SeqCst);
        let store = Store::fresh();
        let strict = || {
            let builder = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
            builder.policy(judge.clone()).open().unwrap()
        };
        let (two, report) = carry(&one, &strict()).unwrap();
        assert_eq!((report.records, report.held), (2, 1));
        assert_eq!(two.held().unwrap()[0].reason, reason);
        // What comes after it in the log is judged on its own.
        assert_eq!(all(&two, "Person"), [json!({"_id": "even", "n": 1})]);
        assert_clean(&two);
        // It is not shown, and it is carried on to those who may judge otherwise.
        assert_eq!(two.log(None).unwrap().len(), 2);
        let (three, _) = carry(&two, &node()).unwrap();
        assert_eq!(all(&three, "Person"), all(&one, "Person"));
        // The same file again changes nothing, nor does another trial, nor a restart.
        let (_, again) = carry(&one, &two.node()).unwrap();
        assert_eq!((again.records, again.held), (0, 1));
        assert_eq!(two.retry_held().unwrap(), 0);
        judge.0.store(REJECT, Ordering::SeqCst);
        assert_eq!(two.retry_held().unwrap(), 0);
        let id = two.id().to_string();
        drop(two);
        let two = strict().open(&id).unwrap();
        assert_eq!(two.held_counts().unwrap().quarantined, 1);
        assert_clean(&two);
        // One's own changes go on meanwhile, and the verdict can change.
        let mut listener = two.listen(ChangeFilter::default()).unwrap();
        two.collection("Person")
            .unwrap()
            .create(&json!({"_id": "mine"}))
            .unwrap();
        judge.0.store(ACCEPT, Ordering::SeqCst);
        assert_eq!(two.retry_held().unwrap(), 1);
        assert!(two.held().unwrap().is_empty());
        assert_eq!(all(&two, "Person").len(), 3);
        assert_clean(&two);
        let mut seen = Vec::new();
        while let Some(notice) = listener.try_next().unwrap() {
            if let Notice::Change(change) = notice {
                seen.push(change.entity.to_string());
            }
        }
        assert_eq!(seen, ["mine", "odd"]);
    }
}

#[test]
fn row_29_what_two_create_under_one_id_merges_and_what_is_deleted_stays_so() {
    let (one, people) = people();
    people.create(&json!({"_id": "seed"})).unwrap();
    let (two, _) = carry(&one, &node()).unwrap();
    let theirs = two.collection("Person").unwrap();
    people
        .create(&json!({"_id": "both", "a": 1, "same": "one"}))
        .unwrap();
    theirs
        .create(&json!({"_id": "both", "b": 2, "same": "two"}))
        .unwrap();
    people.create(&json!({"_id": "gone"})).unwrap();
    carry(&one, &two.node()).unwrap();
    theirs.delete("gone").unwrap();
    people.patch("gone", &json!({"late": true})).unwrap();
    carry(&two, &one.node()).unwrap();
    carry(&one, &two.node()).unwrap();
    assert_eq!(all(&one, "Person"), all(&two, "Person"));
    let both = people.get("both").unwrap().unwrap();
    assert_eq!(
        (&both["a"], &both["b"]),
        (&json!(1), &json!(2)),
        "fields of both"
    );
    assert!(both["same"] == "one" || both["same"] == "two");
    let creates = one.log(None).unwrap();
    let creates = creates
        .iter()
        .filter(|entry| entry.actions.contains_key("create"));
    assert!(creates.count() >= 4, "both are in the history");
    for people in [&people, &theirs] {
        assert!(!people.has("gone").unwrap());
        let again = people.create(&json!({"_id": "gone"})).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
    }
    assert_clean(&one);
    assert_clean(&two);
}

#[test]
fn row_42_another_schema_changes_nothing_that_is_there() {
    let of = |kind: &str| {
        let schema = json!({"type": "object", "properties": {"n": {"type": kind}}});
        spec("Person").with_schema(schema)
    };
    let one = node().create("t").unwrap();
    one.define(&of("integer")).unwrap();
    let people = one.collection("Person").unwrap();
    people.create(&json!({"_id": "old", "n": 1})).unwrap();
    let (two, _) = carry(&one, &node()).unwrap();
    // While one swaps the schema, the other writes under the one it has.
    one.define(&of("string")).unwrap();
    let theirs = two.collection("Person").unwrap();
    theirs.create(&json!({"_id": "meanwhile", "n": 2})).unwrap();
    carry(&two, &one.node()).unwrap();
    carry(&one, &two.node()).unwrap();
    let wanted = [
        json!({"_id": "meanwhile", "n": 2}),
        json!({"_id": "old", "n": 1}),
    ];
    for db in [&one, &two] {
        assert_eq!(all(db, "Person"), wanted);
        let person = &db.collections().unwrap()[0];
        assert_eq!(person.schema_version, 2);
        assert_eq!(
            person.schema.as_ref().unwrap()["properties"]["n"]["type"],
            "string"
        );
        let people = db.collection("Person").unwrap();
        assert!(people.create(&json!({"n": 3})).is_err());
        assert_clean(db);
    }
    // Both schemas are entities of the thread: each event's place in the order says which it had.
    let log = one.log(None).unwrap();
    let schemas = log
        .iter()
        .filter(|entry| entry.collections.iter().any(|c| c.is_reserved()));
    assert_eq!(schemas.count(), 2);
}

/// Whoever may write may define collections; reading and compiling them all takes long.
#[test]
fn row_41_definitions_are_not_read_again_for_each_record_that_comes() {
    let one = node().create("t").unwrap();
    let schema = json!({"properties": {"n": {"pattern": "^[a-z]{1,200}$"}}});
    one.write(|txn| {
        (0..60).try_for_each(|n| txn.define(&spec(&format!("N{n}")).with_schema(schema.clone())))
    })
    .unwrap();
    let store = Arc::new(Faulty::new(Memory::new(), Fails::Reading));
    let node = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
    let node = node.open().unwrap();
    let (two, _) = carry(&one, &node).unwrap();
    assert!(all(&two, "N7").is_empty());
    let notes = one.collection("N7").unwrap();
    for n in 0..3 {
        notes.create(&json!({"_id": format!("{n}")})).unwrap();
        // Reading the definitions takes at least one row for each.
        store.arm(60);
        carry(&one, &node).unwrap();
        assert!(!store.disarm());
    }
    assert_eq!(all(&two, "N7").len(), 3);
}

/// A collection of 1,500 entities of 70 to 80 bytes.
fn many_notes(clock: &SharedClock) -> Collection<Value> {
    let node = builder().clock(clock.clone()).open().unwrap();
    let db = node.create("t").unwrap();
    let index = IndexSpec::on("i".parse().unwrap());
    db.define(&spec("N").with_index(index)).unwrap();
    let notes = db.collection("N").unwrap();
    db.write(|txn| {
        (0..1_500).try_for_each(|n| {
            let text = "x".repeat(40);
            let value = json!({"_id": format!("{n:04}"), "n": n, "i": n % 2, "text": text});
            txn.create(&notes, &value).map(drop)
        })
    })
    .unwrap();
    notes
}

fn cost<R: std::fmt::Debug>(found: Result<R>) -> Option<TooExpensive> {
    TooExpensive::of(&found.unwrap_err())
}

#[test]
fn row_44_a_query_that_takes_too_much_memory_is_refused_by_name() {
    let (notes, caps) = (many_notes(&SharedClock::at(NOW)), QueryCaps::default());
    let with_rows = |rows| Query::new().caps(caps.with_rows(rows));
    let count = |query: &Query| notes.find(query).unwrap().len();
    assert_eq!(count(&Query::new()), 1_500);
    assert_eq!(count(&with_rows(1_500)), 1_500);
    assert_eq!(count(&with_rows(1_499).limit(1_499)), 1_499);
    // Whoever skips far, or sorts much, needs memory for it too.
    let rows = Some(TooExpensive::Rows);
    for query in [
        with_rows(1_499),
        with_rows(1_499).skip(1_480).limit(30),
        with_rows(1_000).sort("n"),
        Query::new().caps(QueryCaps::strict().with_rows(1)),
    ] {
        assert_eq!(cost(notes.find(&query)), rows, "{query:?}");
    }
    assert_eq!(count(&with_rows(1_000).sort("n").limit(10)), 10);
    let bytes = Query::new().caps(caps.with_bytes(64 * 1_500));
    assert_eq!(cost(notes.find(&bytes)), Some(TooExpensive::Bytes));
    assert_eq!(count(&bytes.limit(100)), 100);
    // A page has its length, and goes on.
    let page = notes.find_page(&Query::new()).unwrap();
    assert_eq!((page.rows.len(), page.next.is_some()), (1_000, true));
    let rest = Query::new().after(page.next.unwrap());
    let rest = notes.find_page(&rest).unwrap();
    assert_eq!((rest.rows.len(), rest.next), (500, None));
}

#[test]
fn row_44_a_query_that_takes_too_much_work_or_time_is_refused_by_name() {
    let clock = SharedClock::at(NOW);
    let (notes, caps) = (many_notes(&clock), QueryCaps::default());
    let narrow = caps.with_examined(Some(700));
    let examined = Some(TooExpensive::Examined);
    for filter in ["n = 1400", "i = 1", "i = 0 or i = 1"] {
        let query = Query::parse(filter).unwrap().caps(narrow);
        assert_eq!(cost(notes.find(&query)), examined, "{filter}");
        assert_eq!(cost(notes.count(&query)), examined, "{filter}");
    }
    let everything = Query::new().caps(narrow);
    assert_eq!(cost(notes.count(&everything)), examined);
    assert_eq!(
        cost(notes.for_each(&everything, &mut |_| Ok(true))),
        examined
    );
    let one = Query::parse("_id = '1400'").unwrap().caps(narrow);
    assert_eq!(notes.find(&one).unwrap().len(), 1);
    // A node that runs the queries of strangers says so once.
    let strict = builder().query_caps(caps.with_examined(Some(1)));
    let (strict, _) = carry(notes.db(), &strict.open().unwrap()).unwrap();
    let found = strict.collection("N").unwrap().find(&Query::new());
    assert_eq!(cost(found), examined);

    let slow = Query::new().caps(caps.with_time_ms(Some(5_000)));
    let stopped = notes.for_each(&slow, &mut |_| {
        clock.0.set(clock.now_ms() + 100);
        Ok(true)
    });
    let error = stopped.unwrap_err();
    assert_eq!(TooExpensive::of(&error), Some(TooExpensive::Time));
    assert!(error.to_string().contains("add an index"), "{error}");
}

#[test]
fn row_44_ids_that_an_index_finds_take_memory_too() {
    let (notes, caps) = (many_notes(&SharedClock::at(NOW)), QueryCaps::default());
    let half = Query::parse("i = 1").unwrap();
    let small = half.clone().caps(caps.with_bytes(20_000));
    assert_eq!(notes.count(&small).unwrap(), 750);
    let (some, all) = (small.clone().limit(30), half.clone().limit(30));
    assert_eq!(notes.find(&some).unwrap(), notes.find(&all).unwrap());
    // They are 750; where they do not fit into memory, all 1,500 entities are looked at instead.
    let narrow = caps.with_examined(Some(1_000));
    assert_eq!(notes.count(&half.clone().caps(narrow)).unwrap(), 750);
    let refused = notes.count(&half.caps(narrow.with_bytes(20_000)));
    assert_eq!(cost(refused), Some(TooExpensive::Examined));
}

#[test]
fn row_44_what_is_sorted_by_takes_memory_too() {
    let db = builder().open().unwrap().create("t").unwrap();
    db.define(&spec("N")).unwrap();
    let notes = db.collection("N").unwrap();
    // As text each is 60 KB long; as the values that are compared, more than ten times that.
    for n in 0..20 {
        let list = vec![n; 20_000];
        let note = json!({"_id": format!("{n:02}"), "list": list});
        notes.create(&note).unwrap();
    }
    let count = |query: Query| notes.find(&query).map(|found| found.len());
    let small = QueryCaps::default().with_bytes(2 << 20);
    assert_eq!(count(Query::new().caps(small)).unwrap(), 20);
    let sorted = |limit| Query::new().sort("list").limit(limit);
    assert_eq!(count(sorted(20)).unwrap(), 20);
    assert_eq!(count(sorted(1).caps(small)).unwrap(), 1);
    assert_eq!(
        cost(count(sorted(20).caps(small))),
        Some(TooExpensive::Bytes)
    );
}

/// Entities may be long, and a filter may look at much of each.
#[test]
fn row_44_time_is_looked_at_with_every_entity() {
    let clock = SharedClock::at(NOW);
    let notes = many_notes(&clock);
    let slow = Query::new().caps(QueryCaps::default().with_time_ms(Some(5_000)));
    let mut walked = 0;
    let stopped = notes.for_each(&slow, &mut |_| {
        clock.0.set(clock.now_ms() + 2_000);
        walked += 1;
        Ok(true)
    });
    assert_eq!((cost(stopped), walked), (Some(TooExpensive::Time), 3));
}

#[test]
fn row_44_counting_and_walking_over_all_is_no_attack() {
    let (notes, caps) = (many_notes(&SharedClock::at(NOW)), QueryCaps::default());
    let small = Query::new().caps(caps.with_rows(1).with_bytes(1));
    let mut walked = 0;
    let walk = notes.for_each(&small, &mut |_| {
        walked += 1;
        Ok(true)
    });
    walk.unwrap();
    assert_eq!((walked, notes.count(&small).unwrap()), (1_500, 1_500));
}

#[test]
fn row_45_the_keys_of_an_epoch_seal_a_bounded_number_of_records() {
    let store = Store::fresh();
    let node = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
    let db = node.open().unwrap().create("t").unwrap();
    db.define(&spec("N")).unwrap();
    let tip = |txn: &dyn ReadTxn| {
        let rows = txn.scan(Keyspace::Meta, (Unbounded, Unbounded), Direction::Forward);
        let mut rows = rows.unwrap().map(|row| row.unwrap());
        let row = rows.find(|(key, _)| key.starts_with(b"tip/")).unwrap();
        (row.0.into_owned(), row.1.into_owned())
    };
    let (key, mut value) = tip(&*store.read().unwrap());
    value[12..].copy_from_slice(&RECORDS_PER_EPOCH_MAX.to_be_bytes());
    store
        .transact(Durability::Group, |txn| {
            txn.put(Keyspace::Meta, &key, &value)
        })
        .unwrap();
    let notes = db.collection("N").unwrap();
    let refused = notes.create(&json!({})).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("keys"), "{refused}");
}
