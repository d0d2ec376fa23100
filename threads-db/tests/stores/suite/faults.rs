//! A datastore that fails at every possible place: the error comes out, nothing is half done,
//! and the next operation works.
#![allow(clippy::print_stdout, reason = "a test says what it found")]

use std::ops::Bound::Unbounded;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::faulty::{Fails, Faulty};
use threads_core::datastore::{Datastore, Direction, Keyspace};
use threads_core::module::IndexSpec;
use threads_core::{ErrorKind, Result};
use threads_db::query::Query;
use threads_db::{Collection, Db, Node, RestoreOptions, WriteTransaction};

use super::common::{
    SharedClock, Store, all, assert_clean, builder, export, passphrase, people, spec,
};

/// More operations of the store than any step here takes.
const OPERATIONS_MAX: u64 = 5_000;

type Broken = Faulty<Arc<Store>>;

fn faulty(fails: Fails) -> Arc<Broken> {
    Arc::new(Faulty::new(Store::fresh(), fails))
}

/// Every row, so that what a fault left behind is seen wherever it is.
fn rows(store: &Store, keep: fn(Keyspace) -> bool) -> Vec<(Keyspace, Vec<u8>, Vec<u8>)> {
    let txn = store.read().unwrap();
    let mut rows = Vec::new();
    for space in Keyspace::ALL.iter().copied().filter(|space| keep(*space)) {
        for row in txn
            .scan(space, (Unbounded, Unbounded), Direction::Forward)
            .unwrap()
        {
            let (key, value) = row.unwrap();
            rows.push((space, key.into_owned(), value.into_owned()));
        }
    }
    rows
}

/// Runs `step` with its first operation failing, then its second, and so on until it passes.
/// A step that failed must have said so, and left what `kept` says as it was.
fn fail_everywhere(
    store: &Broken,
    name: &str,
    kept: fn(Keyspace) -> bool,
    step: &dyn Fn() -> Result<()>,
    then: &dyn Fn(),
) {
    for nth in 1..OPERATIONS_MAX {
        let at = format!("{name}, operation {nth} of {:?}", store.fails());
        let before = rows(store.inner(), kept);
        store.arm(nth);
        let result = step();
        if !store.disarm() {
            result.unwrap_or_else(|error| panic!("{at}: {error:?}"));
            then();
            println!("{name}: {} places of {:?}", nth - 1, store.fails());
            return;
        }
        let error = result.expect_err(&at);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{at}: {error:?}");
        assert!(
            rows(store.inner(), kept) == before,
            "{at}: left something behind"
        );
        then();
    }
    panic!("{name} takes too many operations");
}

fn everything(_: Keyspace) -> bool {
    true
}

/// A restore that is given up uses local numbers up, which are in this keyspace.
fn all_but_meta(space: Keyspace) -> bool {
    space != Keyspace::Meta
}

fn path(path: &str) -> IndexSpec {
    IndexSpec::on(path.parse().unwrap())
}

/// A thread with something in it on a store that fails on demand.
fn world(fails: Fails) -> (Arc<Broken>, Db) {
    let store = faulty(fails);
    let node = Node::builder(Arc::clone(&store))
        .codec(JsonPatch::new())
        .open()
        .unwrap();
    let db = node.create("friends").unwrap();
    db.define(&spec("Tick")).unwrap();
    db.define(
        &spec("Person")
            .with_index(path("n"))
            .with_index(path("mail").unique()),
    )
    .unwrap();
    db.write(|txn| {
        let people = db.collection("Person")?;
        ["a", "b", "c"]
            .iter()
            .try_for_each(|id| txn.create(&people, &person(id)).map(drop))
    })
    .unwrap();
    (store, db)
}

fn person(id: &str) -> Value {
    json!({"_id": id, "n": id.len(), "mail": id, "tags": ["x"]})
}

/// The next operation works, and all that is there is sound.
fn go_on(db: &Db) {
    let tick = json!({"_id": "tick", "at": "every fault"});
    db.collection("Tick").unwrap().save(&tick).unwrap();
    assert_clean(db);
}

/// What an application sees.
fn seen(db: &Db) -> Vec<Value> {
    let mut seen = Vec::new();
    for collection in db.collections().unwrap() {
        if collection.name.as_str() != "Tick" {
            seen.extend(all(db, collection.name.as_str()));
            seen.push(serde_json::to_value(collection).unwrap());
        }
    }
    seen
}

type Step = (&'static str, fn(&Db) -> Result<()>);

const STEPS: &[Step] = &[
    ("define", |db| {
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let spec = spec("Pet")
            .with_schema(schema)
            .with_index(path("name").unique());
        db.define(&spec)
    }),
    ("change the schema", |db| {
        db.define(&spec("Person").with_schema(json!({"required": ["_id"]})))
    }),
    ("add an index", |db| {
        db.define(&spec("Person").with_index(path("tags")))
    }),
    ("drop an index", |db| {
        db.drop_index("Person", &["n".parse()?])
    }),
    ("create", |db| {
        db.collection("Person")?.create(&person("d")).map(drop)
    }),
    ("save", |db| {
        db.collection("Person")?
            .save(&json!({"_id": "a", "n": 7}))
            .map(drop)
    }),
    ("patch", |db| {
        db.collection("Person")?
            .patch("a", &json!({"n": 7, "mail": "z"}))
    }),
    ("delete", |db| db.collection("Person")?.delete("a")),
    ("transact", |db| {
        let (people, ticks) = (db.collection("Person")?, db.collection("Tick")?);
        db.write(|txn| {
            txn.delete(&people, "a")?;
            txn.patch(&people, "b", &json!({"mail": "a"}))?;
            txn.save(&ticks, &json!({"_id": "other"}))?;
            txn.create(&people, &json!({"_id": "d", "mail": "b"}))
                .map(drop)
        })
    }),
    ("import", |db| {
        let people = db.collection("Person")?;
        db.write(|txn| {
            let ids = (0..20).map(|n| format!("row {n}"));
            ids.into_iter()
                .try_for_each(|id| txn.create(&people, &person(&id)).map(drop))
        })
    }),
    ("find", |db| {
        let query = Query::parse("n = 1 and mail > 'a'")?.sort("mail");
        db.collection("Person")?.find(&query).map(drop)
    }),
];

fn fail_every_step(fails: Fails) {
    for (name, step) in STEPS {
        let (_, unharmed) = world(fails);
        step(&unharmed).unwrap();
        let (store, db) = world(fails);
        fail_everywhere(&store, name, everything, &|| step(&db), &|| go_on(&db));
        assert_eq!(seen(&db), seen(&unharmed), "{name}");
    }
}

#[test]
fn every_failing_write_leaves_all_as_it_was() {
    fail_every_step(Fails::Writing);
}

#[test]
fn every_failing_read_leaves_all_as_it_was() {
    fail_every_step(Fails::Reading);
}

#[test]
fn a_node_and_a_thread_are_made_whole_or_not_at_all() {
    let store = faulty(Fails::Writing);
    let open = || {
        Node::builder(Arc::clone(&store))
            .codec(JsonPatch::new())
            .open()
    };
    fail_everywhere(&store, "open", everything, &|| open().map(drop), &|| ());
    let node = open().unwrap();
    let create = || node.create("friends").map(drop);
    fail_everywhere(&store, "create a thread", everything, &create, &|| ());
    let db = node.open("friends").unwrap();
    db.define(&spec("Tick")).unwrap();
    go_on(&db);
}

type People = Collection<Value>;
type ActionStep = (
    &'static str,
    fn(&mut WriteTransaction<'_>, &People) -> Result<()>,
);

const ACTIONS: &[ActionStep] = &[
    ("create", |txn, people| {
        txn.create(people, &person("failed")).map(drop)
    }),
    ("patch", |txn, people| {
        txn.patch(people, "a", &json!({"mail": "failed"}))
    }),
    ("delete", |txn, people| txn.delete(people, "a")),
    ("define", |txn, _| {
        txn.define(&spec("Pet").with_schema(json!({})).with_index(path("name")))
    }),
    ("add an index", |txn, _| {
        txn.define(&spec("Person").with_index(path("tags")))
    }),
    ("drop an index", |txn, _| {
        txn.drop_index(&"Person".parse()?, &["n".parse()?])
    }),
];

/// An application may go on after an action that failed, and commit the rest.
#[test]
fn an_action_that_the_store_failed_is_never_committed_in_part() {
    for (name, action) in ACTIONS {
        for nth in 1..OPERATIONS_MAX {
            let (store, db) = world(Fails::Writing);
            let people = db.collection("Person").unwrap();
            let before = seen(&db);
            let mut txn = db.begin().unwrap();
            txn.create(&people, &person("before")).unwrap();
            store.arm(nth);
            let failed = action(&mut txn, &people);
            if !store.disarm() {
                failed.unwrap();
                assert!(
                    nth > 3,
                    "{name}: a state, its history and its indexes are written"
                );
                break;
            }
            assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
            txn.create(&people, &person("after")).unwrap();
            if txn.commit().is_ok() {
                ["before", "after"]
                    .iter()
                    .try_for_each(|id| people.delete(id))
                    .unwrap();
            }
            assert_eq!(seen(&db), before, "{name}, operation {nth}");
            go_on(&db);
        }
    }
}

/// A definition has several parts, and may be refused by the last.
#[test]
fn a_definition_that_was_refused_is_never_committed_in_part() {
    let (_, db) = world(Fails::Writing);
    let people = db.collection("Person").unwrap();
    let before = seen(&db);
    let mut txn = db.begin().unwrap();
    let refused = txn
        .define(&spec("Person").with_index(path("n").unique()))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused:?}");
    txn.create(&people, &person("after")).unwrap();
    if txn.commit().is_ok() {
        people.delete("after").unwrap();
    }
    assert_eq!(seen(&db), before);
    go_on(&db);
}

fn restore(node: &Node, file: &Path) -> Result<Db> {
    let options = RestoreOptions {
        passphrase: passphrase(),
        ..Default::default()
    };
    Ok(node.restore(file, &options, &mut |_| ())?.0)
}

#[test]
fn a_failing_restore_shows_nothing_and_can_be_tried_again() {
    let (source, theirs) = people();
    theirs.create(&person("a")).unwrap();
    theirs.patch("a", &json!({"n": 7})).unwrap();
    let file = export(&source);
    let store = faulty(Fails::Writing);
    let node = Node::builder(Arc::clone(&store))
        .codec(JsonPatch::new())
        .open()
        .unwrap();
    let own = node.create("own").unwrap();
    own.define(&spec("Tick")).unwrap();
    let step = || restore(&node, &file).map(drop);
    fail_everywhere(&store, "restore", all_but_meta, &step, &|| go_on(&own));
    let copy = node.open("friends").unwrap();
    assert_eq!(seen(&copy), seen(&source));
    assert_clean(&copy);
    std::fs::remove_file(file).unwrap();
}

fn fail_to_catch_up(fails: Fails) {
    let clock = SharedClock::at(1_000);
    let source = builder()
        .clock(clock.clone())
        .open()
        .unwrap()
        .create("friends")
        .unwrap();
    source
        .define(&spec("Person").with_index(path("n")))
        .unwrap();
    source.define(&spec("Tick")).unwrap();
    let theirs = source.collection("Person").unwrap();
    theirs.create(&person("a")).unwrap();
    let store = faulty(fails);
    let node = Node::builder(Arc::clone(&store))
        .codec(JsonPatch::new())
        .open()
        .unwrap();
    let first = export(&source);
    let copy = restore(&node, &first).unwrap();
    // Ours comes later than theirs, which is known later: theirs has to be worked in.
    theirs.patch("a", &json!({"n": 2, "tags": null})).unwrap();
    theirs.create(&person("b")).unwrap();
    theirs.delete("b").unwrap();
    source
        .define(&spec("Person").with_index(path("tags")))
        .unwrap();
    copy.collection("Person")
        .unwrap()
        .patch("a", &json!({"n": 3}))
        .unwrap();
    let second = export(&source);
    let step = || restore(&node, &second).map(drop);
    fail_everywhere(&store, "catch up", everything, &step, &|| go_on(&copy));
    let merged = json!([{"_id": "a", "mail": "a", "n": 3}]);
    assert_eq!(json!(all(&copy, "Person")), merged);
    std::fs::remove_file(first).unwrap();
    std::fs::remove_file(second).unwrap();
}

#[test]
fn a_thread_that_fails_to_catch_up_stays_as_it_was() {
    fail_to_catch_up(Fails::Writing);
    fail_to_catch_up(Fails::Reading);
}
