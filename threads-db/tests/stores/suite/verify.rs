//! Verification finds what is wrong: each kind of damage is planted once.

use std::sync::Arc;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};
use threads_core::module::IndexSpec;
use threads_db::{Db, Node};

use super::common::{Store, spec};

fn filled() -> (Arc<Store>, Db) {
    let store = Store::fresh();
    // Hundreds of these are made, and none is kept.
    let node = Node::builder(Arc::clone(&store))
        .codec(JsonPatch::new())
        .durability(Durability::Relaxed)
        .open()
        .unwrap();
    let db = node.create("t").unwrap();
    db.define(&spec("N").with_index(IndexSpec::on("n".parse().unwrap())))
        .unwrap();
    let numbers = db.collection("N").unwrap();
    for n in 0..12 {
        numbers
            .create(&json!({"_id": format!("e{n}"), "n": n}))
            .unwrap();
    }
    numbers.patch("e3", &json!({"n": 30})).unwrap();
    numbers.delete("e4").unwrap();
    (store, db)
}

/// The keys of a space's rows.
fn keys(store: &Store, space: Keyspace) -> Vec<Vec<u8>> {
    let txn = store.read().unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = txn.scan(space, all, Direction::Forward).unwrap();
    rows.map(|row| row.unwrap().0.into_owned()).collect()
}

/// Changes a row, or removes it.
fn damage(store: &Store, space: Keyspace, key: &[u8], change: Option<fn(&mut Vec<u8>)>) {
    store
        .transact(Durability::Group, |txn| match change {
            Some(change) => {
                let mut value = txn.get(space, key)?.unwrap().into_owned();
                change(&mut value);
                txn.put(space, key, &value)
            }
            None => txn.delete(space, key),
        })
        .unwrap();
}

fn flip_last(value: &mut Vec<u8>) {
    match value.last_mut() {
        Some(last) => *last ^= 1,
        None => value.push(1),
    }
}

#[test]
fn an_undamaged_thread_is_clean() {
    let (_, db) = filled();
    let report = db.verify(&mut |_| ()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
    assert_eq!(
        (report.records, report.signatures, report.index_rows),
        (15, 16, 11)
    );
}

#[test]
fn a_changed_row_is_found_wherever_it_is() {
    let spaces = [
        Keyspace::Blocks,
        Keyspace::Entities,
        Keyspace::Heads,
        Keyspace::Feed,
        Keyspace::Links,
    ];
    for space in spaces {
        let count = keys(&filled().0, space).len();
        for row in 0..count {
            let (store, db) = filled();
            damage(&store, space, &keys(&store, space)[row], Some(flip_last));
            let found = db
                .verify(&mut |_| ())
                .map_or(true, |report| !report.is_clean());
            assert!(found, "{space:?} row {row} of {count}");
        }
    }
}

#[test]
fn a_missing_row_is_found_wherever_it_is() {
    let spaces = [
        Keyspace::Blocks,
        Keyspace::Entities,
        Keyspace::History,
        Keyspace::Indexes,
        Keyspace::Feed,
        Keyspace::Links,
    ];
    for space in spaces {
        let count = keys(&filled().0, space).len();
        for row in 0..count {
            let (store, db) = filled();
            damage(&store, space, &keys(&store, space)[row], None);
            let found = db
                .verify(&mut |_| ())
                .map_or(true, |report| !report.is_clean());
            assert!(found, "{space:?} row {row} of {count}");
        }
    }
}

#[test]
fn a_row_too_many_is_found() {
    for space in [
        Keyspace::Entities,
        Keyspace::Indexes,
        Keyspace::History,
        Keyspace::Feed,
    ] {
        let (store, db) = filled();
        let mut key = keys(&store, space).pop().unwrap();
        let value = store
            .read()
            .unwrap()
            .get(space, &key)
            .unwrap()
            .unwrap()
            .into_owned();
        *key.last_mut().unwrap() ^= 0x40;
        store
            .transact(Durability::Group, |txn| txn.put(space, &key, &value))
            .unwrap();
        let found = db
            .verify(&mut |_| ())
            .map_or(true, |report| !report.is_clean());
        assert!(found, "{space:?}");
    }
}
