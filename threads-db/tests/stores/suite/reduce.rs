//! Reducers: run with every commit, replayed when new, blind to where events come from.

use std::sync::Arc;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::{DatastoreExt, Direction, Durability};
use threads_core::reducer::{DispatchedEvent, Reducer, View, view_prefix};
use threads_core::{Error, Result};
use threads_db::{Db, Node};

use super::common::{Store, assert_clean, builder, carry, spec};

/// Adds up the field `n` of every entity.
#[derive(Debug)]
struct Sum(u32);

impl Reducer for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn version(&self) -> u32 {
        self.0
    }

    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
        let stored = view
            .get(b"sum")?
            .map(|bytes| bytes.as_ref().try_into().unwrap());
        let mut sum = i64::from_be_bytes(stored.unwrap_or_default());
        let n = |value: &Option<Arc<serde_json::Value>>| {
            value
                .as_ref()
                .and_then(|value| value["n"].as_i64())
                .unwrap_or(0)
        };
        for event in events {
            if n(&event.after) < 0 {
                return Err(Error::invalid("no negative numbers"));
            }
            sum += i64::from(self.0) * (n(&event.after) - n(&event.before));
        }
        view.put(b"sum", &sum.to_be_bytes())
    }
}

fn sum(db: &Db) -> i64 {
    let bytes = db.view("sum", |view| {
        Ok(view.get(b"sum")?.map(|bytes| bytes.into_owned()))
    });
    i64::from_be_bytes(
        bytes
            .unwrap()
            .map_or([0; 8], |bytes| bytes.try_into().unwrap()),
    )
}

#[test]
fn a_reducer_follows_creates_saves_and_deletes() {
    let db = builder()
        .reducer(Sum(1))
        .open()
        .unwrap()
        .create("t")
        .unwrap();
    db.define(&spec("N")).unwrap();
    let numbers = db.collection("N").unwrap();
    numbers.create(&json!({"_id": "a", "n": 5})).unwrap();
    numbers.create(&json!({"_id": "b", "n": 7})).unwrap();
    numbers.patch("a", &json!({"n": 6})).unwrap();
    assert_eq!(sum(&db), 13);
    numbers.delete("b").unwrap();
    assert_eq!(sum(&db), 6);
}

#[test]
fn a_reducer_that_fails_fails_the_commit() {
    let db = builder()
        .reducer(Sum(1))
        .open()
        .unwrap()
        .create("t")
        .unwrap();
    db.define(&spec("N")).unwrap();
    let numbers = db.collection("N").unwrap();
    assert!(numbers.create(&json!({"_id": "a", "n": -1})).is_err());
    assert!(!numbers.has("a").unwrap());
    assert_eq!(sum(&db), 0);
}

#[test]
fn a_new_reducer_or_version_replays() {
    let store = Store::fresh();
    let open = |reducer: Option<Sum>| {
        let builder = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
        match reducer {
            Some(reducer) => builder.reducer(reducer).open().unwrap(),
            None => builder.open().unwrap(),
        }
    };
    let db = open(None).create("t").unwrap();
    db.define(&spec("N")).unwrap();
    db.collection("N")
        .unwrap()
        .create(&json!({"_id": "a", "n": 5}))
        .unwrap();
    db.collection("N")
        .unwrap()
        .patch("a", &json!({"n": 6}))
        .unwrap();
    assert_eq!(sum(&open(Some(Sum(1))).open("t").unwrap()), 6);
    assert_eq!(sum(&open(Some(Sum(10))).open("t").unwrap()), 60);
}

#[test]
fn records_from_elsewhere_are_reduced_like_our_own() {
    let db = builder().open().unwrap().create("t").unwrap();
    db.define(&spec("N")).unwrap();
    let numbers = db.collection("N").unwrap();
    numbers.create(&json!({"_id": "a", "n": 5})).unwrap();
    numbers.patch("a", &json!({"n": 6})).unwrap();
    let (copy, _) = carry(&db, &builder().reducer(Sum(1)).open().unwrap()).unwrap();
    assert_eq!(sum(&copy), 6);
    numbers.patch("a", &json!({"n": 9})).unwrap();
    carry(&db, &copy.node()).unwrap();
    assert_eq!(sum(&copy), 9);
}

#[test]
fn a_reducer_that_fails_on_a_record_from_elsewhere_stops_its_view_and_not_the_log() {
    let db = builder().open().unwrap().create("t").unwrap();
    db.define(&spec("N")).unwrap();
    let store = Store::fresh();
    let open = || {
        let builder = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
        builder.reducer(Sum(1)).open().unwrap()
    };
    let (copy, _) = carry(&db, &open()).unwrap();
    let numbers = db.collection("N").unwrap();
    numbers.create(&json!({"_id": "bad", "n": -1})).unwrap();
    numbers.create(&json!({"_id": "good", "n": 5})).unwrap();
    carry(&db, &copy.node()).unwrap();
    assert!(copy.collection("N").unwrap().has("good").unwrap());
    let behind = copy.view("sum", |_| Ok(())).unwrap_err();
    assert_eq!(behind.kind(), threads_core::ErrorKind::Unavailable);
    // The view comes back once its reducer can digest the history.
    let fixed = Node::builder(Arc::clone(&store))
        .codec(JsonPatch::new())
        .reducer(Count);
    let count = fixed
        .open()
        .unwrap()
        .open("t")
        .unwrap()
        .view("sum", |view| Ok(view.get(b"n")?.is_some()));
    assert!(count.unwrap());
}

/// The fixed version of [`Sum`].
#[derive(Debug)]
struct Count;

impl Reducer for Count {
    fn name(&self) -> &str {
        "sum"
    }

    fn version(&self) -> u32 {
        2
    }

    fn reduce(&self, view: &mut View<'_>, _: &[DispatchedEvent]) -> Result<()> {
        view.put(b"n", b"")
    }
}

/// Writes down what it is told, one row per event.
#[derive(Debug)]
struct Tape(u32);

impl Reducer for Tape {
    fn name(&self) -> &str {
        "tape"
    }

    fn version(&self) -> u32 {
        self.0
    }

    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
        for event in events {
            let count = view.scan(b"", Direction::Forward)?.count() as u32;
            let line = format!(
                "{} {:?} {:?}",
                event.action.as_str(),
                event.before,
                event.after
            );
            view.put(&count.to_be_bytes(), line.as_bytes())?;
        }
        Ok(())
    }
}

fn tape(db: &Db) -> Vec<String> {
    let lines = db.view("tape", |view| {
        let rows = view.scan(b"", Direction::Forward)?;
        rows.map(|row| Ok(String::from_utf8(row?.1.into_owned()).unwrap()))
            .collect()
    });
    lines.unwrap()
}

#[test]
fn a_replay_tells_what_was_told_at_the_time() {
    let store = Store::fresh();
    let open = |reducer: Option<u32>| {
        let builder = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
        match reducer {
            Some(version) => builder.reducer(Tape(version)).open().unwrap(),
            None => builder.open().unwrap(),
        }
    };
    let live = {
        let db = open(Some(1)).create("t").unwrap();
        db.define(&spec("N")).unwrap();
        let numbers = db.collection("N").unwrap();
        db.write(|txn| {
            txn.create(&numbers, &json!({"_id": "a", "n": 1}))?;
            txn.patch(&numbers, "a", &json!({"n": 2}))?;
            txn.create(&numbers, &json!({"_id": "gone"}))?;
            txn.delete(&numbers, "gone")
        })
        .unwrap();
        numbers.patch("a", &json!({"n": 3})).unwrap();
        tape(&db)
    };
    assert_eq!(live.len(), 2, "{live:?}");
    assert_eq!(tape(&open(Some(2)).open("t").unwrap()), live);
    // What is written while the reducer is away is in its view when it is back.
    open(None)
        .open("t")
        .unwrap()
        .collection("N")
        .unwrap()
        .delete("a")
        .unwrap();
    assert_eq!(tape(&open(Some(2)).open("t").unwrap()).len(), 3);
}

#[test]
fn verification_makes_views_again_and_finds_one_that_was_changed() {
    let store = Store::fresh();
    let builder = Node::builder(Arc::clone(&store))
        .codec(JsonPatch::new())
        .reducer(Sum(1));
    let db = builder.open().unwrap().create("t").unwrap();
    db.define(&spec("N")).unwrap();
    db.collection("N")
        .unwrap()
        .create(&json!({"_id": "a", "n": 5}))
        .unwrap();
    assert_clean(&db);
    assert_eq!(sum(&db), 5, "verifying changes nothing");
    let prefix = view_prefix(db.id(), "sum").unwrap();
    let changed = store.transact(Durability::Group, |txn| {
        View::new(txn, &prefix)?.put(b"sum", &6_i64.to_be_bytes())
    });
    changed.unwrap();
    let report = db.verify(&mut |_| ()).unwrap();
    assert_eq!(report.problem_count, 1);
    assert_eq!(report.problems[0].place, "view sum");
}
