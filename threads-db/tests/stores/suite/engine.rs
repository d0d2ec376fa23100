//! The engine as an application uses it: transactions, reads, definitions.

use std::sync::Arc;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::ErrorKind;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_db::Node;
use threads_db::query::Query;

use super::common::{Store, all, assert_clean, node, people, spec};

fn kind<T>(result: threads_core::Result<T>) -> ErrorKind {
    result.err().expect("must fail").kind()
}

#[test]
fn an_entity_is_created_saved_patched_and_deleted() {
    let (_, people) = people();
    let id = people.create(&json!({"name": "Ann"})).unwrap();
    people
        .save(&json!({"_id": id, "name": "Ann", "age": 30}))
        .unwrap();
    people
        .patch(id.as_str(), &json!({"age": 31, "name": null}))
        .unwrap();
    assert_eq!(
        people.get(id.as_str()).unwrap().unwrap(),
        json!({"_id": id, "age": 31})
    );
    people.delete(id.as_str()).unwrap();
    assert!(!people.has(id.as_str()).unwrap());
}

#[test]
fn ids_are_kept_made_and_checked() {
    let (_, people) = people();
    assert_eq!(
        people.create(&json!({"_id": "own id"})).unwrap().as_str(),
        "own id"
    );
    assert_eq!(kind(people.create(&json!({"_id": 7}))), ErrorKind::Invalid);
    assert_eq!(
        kind(people.create(&json!({"_id": "x".repeat(257)}))),
        ErrorKind::Invalid
    );
    assert_eq!(kind(people.create(&json!([1]))), ErrorKind::Invalid);
    assert_eq!(
        kind(people.create(&json!({"_id": "own id"}))),
        ErrorKind::Conflict
    );
    assert_eq!(
        kind(people.patch("own id", &json!({"_id": "other"}))),
        ErrorKind::Invalid
    );
    assert!(people.get(&"x".repeat(600)).unwrap().is_none());
}

#[test]
fn a_deleted_id_stays_deleted() {
    let (_, people) = people();
    people.create(&json!({"_id": "a"})).unwrap();
    people.delete("a").unwrap();
    assert_eq!(
        kind(people.create(&json!({"_id": "a"}))),
        ErrorKind::Conflict
    );
    assert_eq!(kind(people.save(&json!({"_id": "a"}))), ErrorKind::Conflict);
    assert_eq!(
        kind(people.patch("a", &json!({"n": 1}))),
        ErrorKind::NotFound
    );
    assert_eq!(kind(people.delete("a")), ErrorKind::NotFound);
}

#[test]
fn a_transaction_reads_its_own_writes_and_nobody_else_does() {
    let (db, people) = people();
    let mut txn = db.begin().unwrap();
    txn.create(&people, &json!({"_id": "a", "n": 1})).unwrap();
    txn.patch(&people, "a", &json!({"n": 2})).unwrap();
    let all = Query::parse("n = 2").unwrap();
    assert_eq!(txn.find(&people, &all).unwrap().len(), 1);
    assert_eq!(people.count(&Query::new()).unwrap(), 0);
    txn.commit().unwrap().unwrap();
    assert_eq!(people.count(&all).unwrap(), 1);
}

#[test]
fn a_dropped_or_failed_transaction_leaves_no_trace() {
    let (db, people) = people();
    let mut txn = db.begin().unwrap();
    txn.create(&people, &json!({"_id": "a"})).unwrap();
    drop(txn);
    let failed: threads_core::Result<()> = db.write(|txn| {
        txn.create(&people, &json!({"_id": "b"}))?;
        txn.delete(&people, "nobody")
    });
    assert_eq!(kind(failed), ErrorKind::NotFound);
    assert_eq!(people.count(&Query::new()).unwrap(), 0);
}

#[test]
fn an_action_that_fails_leaves_the_rest_of_its_transaction() {
    let (db, people) = people();
    let commit = {
        let mut txn = db.begin().unwrap();
        txn.create(&people, &json!({"_id": "a"})).unwrap();
        assert!(txn.create(&people, &json!({"_id": "a"})).is_err());
        assert!(txn.create(&people, &json!("no object")).is_err());
        assert_eq!(txn.staged_events(), 1);
        txn.commit().unwrap().unwrap()
    };
    assert_eq!(commit.seq, 2, "the definition was the first record");
    assert_eq!(people.count(&Query::new()).unwrap(), 1);
}

#[test]
fn one_transaction_over_several_collections_is_one_record() {
    let (db, people) = people();
    db.define(&spec("Pet")).unwrap();
    let pets = db.collection("Pet").unwrap();
    let before = db.node().threads().unwrap()[0].records;
    db.write(|txn| {
        txn.create(&people, &json!({"_id": "ann"}))?;
        txn.create(&pets, &json!({"_id": "rex", "owner": "ann"}))
    })
    .unwrap();
    assert_eq!(db.node().threads().unwrap()[0].records, before + 1);
}

#[test]
fn a_transaction_that_changes_nothing_makes_no_record() {
    let (db, people) = people();
    people.create(&json!({"_id": "a", "n": 1})).unwrap();
    let records = db.node().threads().unwrap()[0].records;
    people.save(&json!({"_id": "a", "n": 1})).unwrap();
    people.patch("a", &json!({"n": 1})).unwrap();
    assert_eq!(db.node().threads().unwrap()[0].records, records);
}

#[test]
fn a_transaction_too_large_is_refused_and_what_was_staged_commits() {
    let (db, people) = people();
    let half = "x".repeat(600 * 1024);
    let mut txn = db.begin().unwrap();
    txn.create(&people, &json!({"_id": "a", "text": half}))
        .unwrap();
    let second = txn.create(&people, &json!({"_id": "b", "text": half}));
    assert_eq!(kind(second), ErrorKind::Invalid);
    txn.commit().unwrap().unwrap();
    assert!(people.has("a").unwrap());
}

#[test]
fn a_unique_value_is_taken_once() {
    let db = node().create("friends").unwrap();
    db.define(&spec("Person").with_index(IndexSpec::on("email".parse().unwrap()).unique()))
        .unwrap();
    let people = db.collection("Person").unwrap();
    people.create(&json!({"_id": "a", "email": "a@x"})).unwrap();
    let error = people
        .create(&json!({"_id": "b", "email": "a@x"}))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("holder: a"), "{error}");
    people.create(&json!({"_id": "c"})).unwrap();
    people.create(&json!({"_id": "d"})).unwrap();
    people.delete("a").unwrap();
    people.create(&json!({"_id": "b", "email": "a@x"})).unwrap();
}

#[test]
fn an_index_is_filled_when_added_and_forgotten_when_dropped() {
    let (db, people) = people();
    for n in 0..20 {
        people
            .create(&json!({"n": n, "kind": if n % 2 == 0 { "even" } else { "odd" }}))
            .unwrap();
    }
    let query = Query::parse("n >= 5 and n < 8").unwrap();
    assert!(people.explain(&query).unwrap().to_string().contains("scan"));
    db.define(&spec("Person").with_index(IndexSpec::on("n".parse().unwrap())))
        .unwrap();
    assert!(
        people
            .explain(&query)
            .unwrap()
            .to_string()
            .contains("index n")
    );
    assert_eq!(people.count(&query).unwrap(), 3);
    db.drop_index("Person", &["n".parse().unwrap()]).unwrap();
    assert!(people.explain(&query).unwrap().to_string().contains("scan"));
    assert_eq!(people.count(&query).unwrap(), 3);
    db.define(&spec("Person").with_index(IndexSpec::on("n".parse().unwrap())))
        .unwrap();
    assert!(
        people
            .explain(&query)
            .unwrap()
            .to_string()
            .contains("index n")
    );
    assert_eq!(people.count(&query).unwrap(), 3);
}

#[test]
fn a_unique_index_is_not_added_over_values_that_are_not() {
    let (db, people) = people();
    people.create(&json!({"_id": "a", "n": 1})).unwrap();
    people.create(&json!({"_id": "b", "n": 1})).unwrap();
    let unique = spec("Person").with_index(IndexSpec::on("n".parse().unwrap()).unique());
    let error = db.define(&unique).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(db.collections().unwrap()[0].indexes.is_empty());
}

#[test]
fn definitions_are_checked_and_versioned() {
    let (db, _) = people();
    let schema =
        |minimum: i32| json!({"type": "object", "properties": {"age": {"minimum": minimum}}});
    db.define(&spec("Person").with_schema(schema(0))).unwrap();
    db.define(&spec("Person").with_schema(schema(1))).unwrap();
    db.define(&spec("Person").with_schema(schema(1))).unwrap();
    let info = &db.collections().unwrap()[0];
    assert_eq!(
        (info.schema_version, info.schema.clone()),
        (2, Some(schema(1)))
    );
    let people = db.collection("Person").unwrap();
    assert_eq!(kind(people.create(&json!({"age": 0}))), ErrorKind::Invalid);
    let other = CollectionSpec::new("Person".parse().unwrap(), "whole/1".parse().unwrap());
    assert_eq!(kind(db.define(&other)), ErrorKind::Conflict);
    let unknown = CollectionSpec::new("Pet".parse().unwrap(), "none/1".parse().unwrap());
    assert_eq!(kind(db.define(&unknown)), ErrorKind::Unsupported);
    assert_eq!(kind(db.collection("Pet")), ErrorKind::NotFound);
    assert_eq!(kind(db.define(&spec("$mine"))), ErrorKind::Invalid);
}

#[test]
fn a_collection_of_another_thread_is_refused() {
    let (db, _) = people();
    let other = db.node().create("others").unwrap();
    other.define(&spec("Person")).unwrap();
    let theirs = other.collection("Person").unwrap();
    let mixed = db.write(|txn| txn.create(&theirs, &json!({})));
    assert_eq!(kind(mixed), ErrorKind::Invalid);
}

#[test]
fn queries_page_sort_project_and_count() {
    let (_, people) = people();
    for (id, age) in [("a", 30), ("b", 20), ("c", 10), ("d", 20)] {
        people
            .create(&json!({"_id": id, "age": age, "name": id}))
            .unwrap();
    }
    let query = Query::new().sort_desc("age").limit(3).fields(["age"]);
    let page = people.find_page(&query).unwrap();
    let rows: Vec<_> = page
        .rows
        .iter()
        .map(|row| row["_id"].as_str().unwrap())
        .collect();
    assert_eq!(rows, ["a", "b", "d"]);
    assert!(page.rows[0].get("name").is_none());
    let rest = people.find_page(&query.after(page.next.unwrap())).unwrap();
    assert_eq!(rest.rows[0]["_id"], "c");
    assert!(rest.next.is_none());
    let mut streamed = Vec::new();
    let query = Query::new().skip(1).limit(2);
    people
        .for_each(&query, &mut |row| {
            streamed.push(row["_id"].as_str().unwrap().to_owned());
            Ok(true)
        })
        .unwrap();
    assert_eq!(streamed, ["b", "c"]);
}

#[test]
fn a_node_that_is_dropped_lets_go_of_its_datastore() {
    let store = Store::fresh();
    let node = Node::builder(Arc::clone(&store))
        .codec(JsonPatch::new())
        .open()
        .unwrap();
    let db = node.create("friends").unwrap();
    drop(node);
    assert!(Arc::strong_count(&store) > 1, "the open thread holds it");
    drop(db);
    assert_eq!(Arc::strong_count(&store), 1);
}

#[test]
fn a_field_that_the_schema_cannot_have_is_an_error_and_not_an_empty_answer() {
    let db = node().create("friends").unwrap();
    let closed = json!({"properties": {"age": {"type": "integer"}}, "additionalProperties": false});
    db.define(&spec("Person").with_schema(closed)).unwrap();
    let people = db.collection("Person").unwrap();
    people.create(&json!({"_id": "a", "age": 3})).unwrap();
    for query in ["agee = 3", "age = 3 or agee > 1", "agee exists"] {
        let query = Query::parse(query).unwrap();
        assert_eq!(kind(people.find(&query)), ErrorKind::NotFound);
        assert_eq!(kind(people.count(&query)), ErrorKind::NotFound);
        assert_eq!(kind(people.explain(&query)), ErrorKind::NotFound);
    }
    assert_eq!(
        kind(people.find(&Query::new().sort("agee"))),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(people.find(&Query::new().fields(["agee"]))),
        ErrorKind::NotFound
    );
    let index = spec("Person").with_index(IndexSpec::on("agee".parse().unwrap()));
    assert_eq!(kind(db.define(&index)), ErrorKind::NotFound);
    assert_eq!(
        people
            .count(&Query::parse("_id = 'a' and age = 3").unwrap())
            .unwrap(),
        1
    );
}

#[test]
fn a_store_that_is_closed_and_opened_again_shows_the_same() {
    let mut store = Store::fresh();
    let open = |store: &Arc<Store>| {
        let builder = Node::builder(Arc::clone(store)).codec(JsonPatch::new());
        builder.open().unwrap()
    };
    let db = open(&store).create("friends").unwrap();
    db.define(&spec("Person").with_index(IndexSpec::on("n".parse().unwrap())))
        .unwrap();
    let people = db.collection("Person").unwrap();
    for n in 0..20 {
        people
            .create(&json!({"_id": format!("p{n}"), "n": n}))
            .unwrap();
    }
    people.delete("p7").unwrap();
    let before = all(&db, "Person");
    drop((people, db));
    for writes in 1..4 {
        store = store.reopen();
        let db = open(&store).open("friends").unwrap();
        let people = db.collection("Person").unwrap();
        assert_eq!(all(&db, "Person"), before);
        assert_eq!(people.count(&Query::parse("n < 10").unwrap()).unwrap(), 9);
        assert_eq!(
            kind(people.create(&json!({"_id": "p7"}))),
            ErrorKind::Conflict
        );
        // What was opened again takes writes, too.
        people.patch("p1", &json!({"writes": writes})).unwrap();
        people.patch("p1", &json!({"writes": null})).unwrap();
        assert_clean(&db);
    }
}
