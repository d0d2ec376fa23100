//! Tables, and documents.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_db::Db;
use threads_db::query::{Query, QueryCaps, TooExpensive};
use threads_shapes::table::{Column, Kind};
use threads_shapes::{Docs, Table};

use crate::peers::Peers;

fn books(db: &Db) -> Table {
    let columns = [
        Column::new("title", Kind::Text).required(),
        Column::new("year", Kind::Integer).indexed(),
        Column::new("price", Kind::Number),
        Column::new("sold", Kind::Boolean),
        Column::new("isbn", Kind::Text).unique(),
        Column::new("author", Kind::Key),
        Column::new("more", Kind::Json),
    ];
    Table::define(db, "Book", &columns).unwrap()
}

#[test]
fn a_column_holds_what_it_says() {
    let peers = Peers::alone();
    let books = books(&peers.dbs[0]);
    for (row, is_taken) in [
        (json!({"title": "a"}), true),
        (json!({"title": "a", "year": null, "more": [{}]}), true),
        (
            json!({"title": "a", "year": -1, "price": 1.5, "sold": true}),
            true,
        ),
        (json!({}), false),
        (json!({"title": null}), false),
        (json!({"title": "a", "year": 1.5}), false),
        (json!({"title": "a", "year": "1"}), false),
        (json!({"title": "a", "price": "1"}), false),
        (json!({"title": "a", "sold": 1}), false),
        (json!({"title": "a", "author": 1}), false),
        (json!({"title": "a", "unknown": 1}), false),
        (json!({"title": "a", "year": i64::MIN}), true),
        (json!({"title": "a", "year": u64::MAX}), true),
        (json!({"title": "a", "year": 1e300}), false),
        (json!({"title": "a", "year": -1e19}), false),
    ] {
        let inserted = books.insert(&row);
        assert_eq!(inserted.is_ok(), is_taken, "{row}");
        if let Err(error) = inserted {
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
    let key = books.insert(&json!({"title": "b", "isbn": "1"})).unwrap();
    let taken = books
        .insert(&json!({"title": "c", "isbn": "1"}))
        .unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    assert!(books.update(&key, &json!({"year": "x"})).is_err());
    books
        .update(&key, &json!({"year": 7, "isbn": null}))
        .unwrap();
    assert_eq!(books.count(&Query::parse("year = 7").unwrap()).unwrap(), 1);
    // All rows or none.
    let all = Query::new();
    assert!(books.update_all(&all, &json!({"title": null})).is_err());
    let rows = books.count(&all).unwrap();
    assert_eq!(
        books.update_all(&all, &json!({"sold": false})).unwrap(),
        rows
    );
    assert!(books.delete(&key).unwrap() && books.get(&key).unwrap().is_none());
    for columns in [
        vec![Column::new("_id", Kind::Text)],
        vec![Column::new("a", Kind::Text), Column::new("a", Kind::Key)],
        vec![Column::new("a", Kind::Json); 257],
    ] {
        let refused = Table::define(&peers.dbs[0], "Other", &columns).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_json_column_that_is_required_holds_anything_but_null() {
    let peers = Peers::alone();
    let more = [Column::new("more", Kind::Json).required()];
    let rows = Table::define(&peers.dbs[0], "Row", &more).unwrap();
    for more in [json!(0), json!(false), json!([null]), json!({"a": null})] {
        rows.insert(&json!({"more": more})).unwrap();
    }
    for row in [json!({"more": null}), json!({})] {
        let refused = rows.insert(&row).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn an_update_replaces_a_column_whole() {
    let peers = Peers::alone();
    let books = books(&peers.dbs[0]);
    let key = books
        .insert(&json!({"title": "a", "year": 1, "more": {"b": 1, "c": 2}}))
        .unwrap();
    let more = json!({"b": null, "d": {"e": null}});
    books
        .update(&key, &json!({"more": more, "year": null}))
        .unwrap();
    let row = json!({"_id": key, "title": "a", "more": more});
    assert_eq!(books.get(&key).unwrap(), Some(row.clone()));
    // The key is no column that changes, and columns are an object.
    books.update(&key, &json!({"_id": key})).unwrap();
    for columns in [json!({"_id": "other"}), json!({"_id": null}), json!([])] {
        let refused = books.update(&key, &columns).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{columns}");
    }
    assert_eq!(books.get(&key).unwrap(), Some(row));
    let nobody = books.update("nobody", &json!({"year": 1})).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
}

#[test]
fn two_who_change_one_row_both_keep_their_columns() {
    let mut peers = Peers::new(|db| {
        books(db)
            .insert(&json!({"_id": "x", "title": "a", "year": 1}))
            .unwrap();
    });
    let tables: Vec<_> = peers
        .dbs
        .iter()
        .map(|db| Table::open(db, "Book").unwrap())
        .collect();
    tables[0].update("x", &json!({"year": 2})).unwrap();
    tables[1].update("x", &json!({"title": "b"})).unwrap();
    tables[2].update("x", &json!({"price": 3})).unwrap();
    peers.meet();
    for table in &tables {
        let row = json!({"_id": "x", "title": "b", "year": 2, "price": 3});
        assert_eq!(table.get("x").unwrap(), Some(row));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_join_is_what_comparing_every_row_with_every_other_gives(
        authors in prop::collection::btree_set(0..8_u8, 0..8),
        books_of in prop::collection::vec((prop::option::of(0..8_u8), 0..4_i64), 0..12),
        least in 0..4_i64,
    ) {
        let peers = Peers::alone();
        let db = &peers.dbs[0];
        let people = Table::define(db, "Author", &[Column::new("name", Kind::Text)]).unwrap();
        let books = books(db);
        for author in &authors {
            people.insert(&json!({"_id": author.to_string(), "name": "n"})).unwrap();
        }
        for (author, year) in &books_of {
            let author = author.map(|author| author.to_string());
            books.insert(&json!({"title": "t", "year": year, "author": author})).unwrap();
        }
        let query = Query::parse(&format!("year >= {least}")).unwrap().sort_desc("year");
        let joined = books.join(&query, "author", &people).unwrap();
        let left = books.select(&query).unwrap().rows;
        let every = people.select(&Query::new()).unwrap().rows;
        prop_assert_eq!(joined.len(), left.len());
        for (joined, left) in joined.iter().zip(left) {
            let right: Option<&Value> = every.iter().find(|row| row["_id"] == left["author"]);
            prop_assert_eq!(&joined.left, &left);
            prop_assert_eq!(joined.right.as_deref(), right);
        }
    }
}

#[test]
fn a_join_of_more_keys_than_one_condition_may_name_finds_all() {
    let peers = Peers::alone();
    let people = Table::define(&peers.dbs[0], "P", &[Column::new("next", Kind::Key)]).unwrap();
    people
        .write(|rows| {
            let row = |n: u32| json!({"_id": n.to_string(), "next": (n + 1).to_string()});
            (0..2_500).try_for_each(|n| rows.insert(&row(n)).map(drop))
        })
        .unwrap();
    let joined = people.join(&Query::new(), "next", &people).unwrap();
    assert_eq!(
        joined.iter().filter(|row| row.right.is_some()).count(),
        2_499
    );
}

/// Authors with much to say, and a book of each.
fn authors_with_books(db: &Db) -> (Table, Table) {
    let people = Table::define(db, "Author", &[Column::new("about", Kind::Text)]).unwrap();
    let books = books(db);
    for author in ["ann", "bob"] {
        let about = "a".repeat(2_000);
        people
            .insert(&json!({"_id": author, "about": about}))
            .unwrap();
        books
            .insert(&json!({"title": author, "author": author}))
            .unwrap();
    }
    (people, books)
}

#[test]
fn a_join_needs_not_be_asked_for_its_column() {
    let peers = Peers::alone();
    let (people, books) = authors_with_books(&peers.dbs[0]);
    let titles = Query::new().fields(["title"]);
    let joined = books.join(&titles, "author", &people).unwrap();
    assert_eq!(joined.len(), 2);
    for row in joined {
        assert_eq!(row.right.unwrap()["_id"], row.left["title"]);
    }
}

#[test]
fn a_join_is_held_to_the_caps_of_its_query_on_both_sides() {
    let peers = Peers::alone();
    let (people, books) = authors_with_books(&peers.dbs[0]);
    let within = |bytes| Query::new().caps(QueryCaps::default().with_bytes(bytes));
    assert!(books.join(&within(8_000), "author", &people).is_ok());
    let refused = books.join(&within(3_000), "author", &people).unwrap_err();
    assert!(TooExpensive::of(&refused).is_some(), "{refused}");
}

#[test]
fn rows_of_a_join_that_have_one_key_share_its_row() {
    let peers = Peers::alone();
    let (people, books) = authors_with_books(&peers.dbs[0]);
    for title in ["c", "d"] {
        books
            .insert(&json!({"title": title, "author": "ann"}))
            .unwrap();
    }
    let of_ann = Query::parse("author = 'ann'").unwrap();
    let joined = books.join(&of_ann, "author", &people).unwrap();
    let rights: Vec<_> = joined.into_iter().filter_map(|row| row.right).collect();
    assert_eq!(rights.len(), 3);
    assert!(rights.iter().all(|row| Arc::ptr_eq(row, &rights[0])));
}

#[test]
fn documents_keep_what_two_change_inside() {
    let mut peers = Peers::new(|db| {
        let docs = Docs::open(db, "d").unwrap();
        docs.insert(&json!({"_id": "x", "a": {"b": 1, "c": [1]}}))
            .unwrap();
    });
    let docs: Vec<_> = peers
        .dbs
        .iter()
        .map(|db| Docs::open(db, "d").unwrap())
        .collect();
    docs[0].update("x", &json!({"a": {"b": 2}})).unwrap();
    docs[1].update("x", &json!({"a": {"d": 3}})).unwrap();
    docs[2].index("a.b").unwrap();
    peers.meet();
    for docs in &docs {
        assert_eq!(docs.find("a.b = 2 and a.d = 3").unwrap().len(), 1);
        let gone = docs.replace(&json!({"_id": "y"})).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
    assert!(docs[0].remove("x").unwrap() && !docs[0].remove("x").unwrap());
    peers.meet();
    assert!(docs.iter().all(|docs| docs.count("true").unwrap() == 0));
}
