//! What a hostile reading found once, and must not be found again.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{CodecId, ErrorKind, Result};
use threads_db::query::Query;
use threads_db::{ChangeFilter, Db, FeedCursor, Node, Notice, RestoreOptions};

use super::common::{
    SharedClock, Store, all, assert_clean, builder, carry, export, node, passphrase, people, spec,
};

/// A codec that replaces whole documents.
#[derive(Debug)]
pub(crate) struct Replace;

impl EventCodec for Replace {
    fn id(&self) -> CodecId {
        "replace/1".parse().unwrap()
    }

    fn ordering(&self) -> Ordering {
        Ordering::Total
    }

    fn encode(&self, _: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        let (Action::Create(value) | Action::Save(value)) = action else {
            return Ok(None);
        };
        Ok(Some(serde_json::to_vec(value).unwrap()))
    }

    fn apply(&self, _: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        Ok(EntityState::new(event))
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(state.as_bytes()))
    }
}

fn of_codec(name: &str, codec: &str) -> CollectionSpec {
    CollectionSpec::new(name.parse().unwrap(), codec.parse().unwrap())
}

fn exchange(one: &Db, two: &Db) {
    carry(one, &two.node()).unwrap();
    carry(two, &one.node()).unwrap();
}

#[test]
fn two_codecs_for_one_collection_neither_block_nor_poison_it() {
    let open = || builder().codec(Replace).open().unwrap();
    let one = open().create("t").unwrap();
    one.define(&spec("Other")).unwrap();
    let (two, _) = carry(&one, &open()).unwrap();
    one.define(&of_codec("Q", "jsonpatch/1")).unwrap();
    two.define(&of_codec("Q", "replace/1")).unwrap();
    for (db, id) in [(&one, "a"), (&two, "b"), (&one, "both"), (&two, "both")] {
        db.collection("Q")
            .unwrap()
            .create(&json!({"_id": id, "n": 1}))
            .unwrap();
    }
    exchange(&one, &two);
    assert_eq!(all(&one, "Q"), all(&two, "Q"));
    assert_eq!(all(&one, "Q").len(), 3);
    assert_clean(&one);
    assert_clean(&two);
}

#[test]
fn the_frameworks_own_collections_are_read_and_not_written() {
    let (db, _) = people();
    let own = db.collection("$collections").unwrap();
    assert!(own.has("Person").unwrap());
    for refused in [
        own.delete("Person").unwrap_err(),
        own.create(&json!({"_id": "hack"})).unwrap_err(),
        own.patch("Person", &json!({"codec": "none/1"}))
            .unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_codec_that_is_installed_later_applies_what_waited_for_it() {
    let one = builder()
        .codec(Replace)
        .open()
        .unwrap()
        .create("t")
        .unwrap();
    let index = IndexSpec::on("n".parse().unwrap());
    one.define(&of_codec("Q", "replace/1").with_index(index))
        .unwrap();
    one.collection("Q")
        .unwrap()
        .create(&json!({"_id": "a", "n": 1}))
        .unwrap();
    let store = Store::fresh();
    let open = |with: bool| {
        let builder = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
        if with {
            builder.codec(Replace).open().unwrap()
        } else {
            builder.open().unwrap()
        }
    };
    let (without, _) = carry(&one, &open(false)).unwrap();
    assert_eq!(
        without.collection("Q").unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_clean(&without);
    drop(without);
    let with = open(true).open("t").unwrap();
    assert_eq!(all(&with, "Q"), all(&one, "Q"));
    let found = with
        .collection("Q")
        .unwrap()
        .explain(&Query::parse("n = 1").unwrap())
        .unwrap();
    assert!(found.to_string().contains("index n"), "{found}");
    assert_clean(&with);
    // Away again, and a delete arrives meanwhile: the index follows when it is back.
    drop(with);
    one.collection("Q").unwrap().delete("a").unwrap();
    carry(&one, &open(false)).unwrap();
    let with = open(true).open("t").unwrap();
    assert!(all(&with, "Q").is_empty());
    assert_clean(&with);
}

#[test]
fn one_index_too_many_is_refused() {
    let (db, people) = people();
    for n in 0..threads_core::module::INDEXES_MAX {
        let index = IndexSpec::on(format!("f{n}").parse().unwrap());
        db.define(&spec("Person").with_index(index)).unwrap();
    }
    let more = spec("Person").with_index(IndexSpec::on("more".parse().unwrap()));
    assert_eq!(db.define(&more).unwrap_err().kind(), ErrorKind::Invalid);
    people.create(&json!({"f3": 7})).unwrap();
    db.drop_index("Person", &["f0".parse().unwrap()]).unwrap();
    db.define(&more).unwrap();
    assert_eq!(people.count(&Query::parse("f3 = 7").unwrap()).unwrap(), 1);
    assert_clean(&db);
}

#[test]
fn a_late_event_that_changes_nothing_visible_is_no_change() {
    let (slow, fast) = (SharedClock::at(5_000), SharedClock::at(10_000));
    let one = builder()
        .clock(fast.clone())
        .open()
        .unwrap()
        .create("t")
        .unwrap();
    one.define(&spec("N")).unwrap();
    one.collection("N")
        .unwrap()
        .create(&json!({"_id": "a"}))
        .unwrap();
    let (two, _) = carry(&one, &builder().clock(slow.clone()).open().unwrap()).unwrap();
    fast.0.set(30_000);
    one.collection("N")
        .unwrap()
        .patch("a", &json!({"x": 10}))
        .unwrap();
    slow.0.set(20_000);
    two.collection("N")
        .unwrap()
        .patch("a", &json!({"x": 5}))
        .unwrap();
    slow.0.set(21_000);
    two.collection("N")
        .unwrap()
        .patch("a", &json!({"x": 7}))
        .unwrap();
    carry(&two, &one.node()).unwrap();
    assert_eq!(all(&one, "N")[0]["x"], 10);
    let mut listener = one
        .listen_from(ChangeFilter::all(), FeedCursor::START)
        .unwrap();
    let mut last = Value::Null;
    while let Some(notice) = listener.try_next().unwrap() {
        let Notice::Change(change) = notice else {
            panic!("unexpected {notice:?}")
        };
        last = change.after.unwrap();
    }
    assert_eq!(last["x"], 10);
}

#[test]
fn a_transaction_finds_what_it_wrote_through_an_index_that_became_multi_valued() {
    let (db, people) = people();
    db.define(&spec("Person").with_index(IndexSpec::on("n".parse().unwrap())))
        .unwrap();
    people.create(&json!({"n": 1})).unwrap();
    let query = Query::parse("n > 50 and n < 60").unwrap();
    let mut txn = db.begin().unwrap();
    txn.create(&people, &json!({"n": [1, 100]})).unwrap();
    let within = txn.count(&people, &query).unwrap();
    txn.commit().unwrap();
    assert_eq!(within, people.count(&query).unwrap());
}

#[test]
fn defining_the_same_unique_index_again_changes_nothing() {
    let (one, people) = people();
    let pair = IndexSpec::on("a".parse().unwrap())
        .then("b".parse().unwrap())
        .unique();
    one.define(&spec("Person").with_index(pair.clone()))
        .unwrap();
    people.create(&json!({"_id": "x", "a": 1})).unwrap();
    people.create(&json!({"_id": "y", "a": 1})).unwrap();
    assert!(
        one.conflicts("Person").unwrap().is_empty(),
        "b is missing in both"
    );
    one.define(&spec("Person").with_index(pair.clone()))
        .unwrap();
    // Both sides of a conflict can still be changed, and the definition repeated.
    let (two, _) = carry(&one, &node()).unwrap();
    people.create(&json!({"_id": "p", "a": 2, "b": 2})).unwrap();
    two.collection("Person")
        .unwrap()
        .create(&json!({"_id": "q", "a": 2, "b": 2}))
        .unwrap();
    exchange(&one, &two);
    assert_eq!(one.conflicts("Person").unwrap().len(), 1);
    one.define(&spec("Person").with_index(pair)).unwrap();
    people.patch("p", &json!({"c": 1})).unwrap();
    people.patch("q", &json!({"c": 1})).unwrap();
}

#[test]
fn an_entity_has_its_own_id_whatever_its_events_say() {
    let one = builder()
        .codec(Replace)
        .open()
        .unwrap()
        .create("t")
        .unwrap();
    one.define(&of_codec("Q", "replace/1")).unwrap();
    let queue = one.collection("Q").unwrap();
    queue.create(&json!({"_id": "a", "n": 1})).unwrap();
    assert_eq!(
        queue.patch("a", &json!({"_id": "b"})).map_err(|e| e.kind()),
        Ok(()),
        "no change"
    );
    let renamed = queue.save(&json!({"_id": "a", "n": 2})).unwrap();
    assert_eq!(renamed.as_str(), "a");
    assert_eq!(all(&one, "Q"), [json!({"_id": "a", "n": 2})]);
}

#[test]
fn many_events_of_one_entity_in_a_record_are_taken_in_one_after_the_other() {
    let (db, people) = people();
    people.create(&json!({"_id": "a", "n": 0})).unwrap();
    db.write(|txn| (1..2_000).try_for_each(|n| txn.patch(&people, "a", &json!({"n": n}))))
        .unwrap();
    let (copy, _) = carry(&db, &node()).unwrap();
    assert_eq!(all(&copy, "Person"), all(&db, "Person"));
    assert_clean(&copy);
}

#[test]
fn a_restore_within_a_restore_is_refused() {
    let (db, people) = people();
    for _ in 0..300 {
        people.create(&json!({})).unwrap();
    }
    let (path, other) = (export(&db), node());
    let options = || RestoreOptions {
        passphrase: passphrase(),
        ..Default::default()
    };
    let mut inner = Vec::new();
    let outer = other.restore(&path, &options(), &mut |_| {
        inner.push(other.restore(&path, &options(), &mut |_| ()).map(|_| ()));
    });
    std::fs::remove_file(&path).unwrap();
    assert_clean(&outer.unwrap().0);
    assert!(inner.len() > 1);
    for refused in inner {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[test]
fn a_thread_is_not_named_like_another() {
    let (db, _) = people();
    let node = db.node();
    assert_eq!(
        node.create(&db.id().to_string()).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(
        node.create("fr\u{200b}iends").unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn rows_come_in_the_order_of_ids_whatever_the_plan() {
    let (db, people) = people();
    for (id, n) in [("c", 1), ("a", 3), ("b", 2)] {
        people.create(&json!({"_id": id, "n": n})).unwrap();
    }
    let first = || {
        let mut rows = Vec::new();
        let query = Query::parse("n > 0").unwrap().limit(2);
        people
            .for_each(&query, &mut |row| {
                rows.push(row["_id"].as_str().unwrap().to_owned());
                Ok(true)
            })
            .unwrap();
        (rows, people.find(&query).unwrap())
    };
    let scanned = first();
    db.define(&spec("Person").with_index(IndexSpec::on("n".parse().unwrap())))
        .unwrap();
    assert_eq!(first(), scanned);
    assert_eq!(scanned.0, ["a", "b"]);
}

#[test]
fn pages_go_on_after_the_longest_values() {
    let (_, people) = people();
    for id in ["a", "b"] {
        people
            .create(&json!({"_id": id, "long": "x".repeat(1000 * 1024)}))
            .unwrap();
    }
    let query = Query::new().sort("long").limit(1);
    let cursor = people.find_page(&query).unwrap().next.unwrap().to_string();
    let rest = people
        .find_page(&query.after(cursor.parse().unwrap()))
        .unwrap();
    assert_eq!(rest.rows[0]["_id"], "b");
}
