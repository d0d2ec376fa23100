//! Ranges of ids: looked at in order from either end, and no further than asked.

use serde_json::json;
use threads_core::datastore::Durability;
use threads_db::query::{Query, QueryCaps};
use threads_db::{Collection, Db};

use super::common::{builder, spec};

/// Ids with prefixes of each other, around the end of a byte and beyond ASCII.
const IDS: [&str; 12] = [
    "a",
    "a!",
    "aa",
    "ab",
    "ab\u{7e}",
    "b",
    "b~",
    "b\u{e9}",
    "c",
    "c\u{ffff}",
    "c\u{10ffff}",
    "d",
];

fn letters() -> (Db, Collection) {
    let node = builder().durability(Durability::Relaxed).open().unwrap();
    let db = node.create("t").unwrap();
    // Its neighbours must not be seen.
    for name in ["Before", "Letter", "Then"] {
        db.define(&spec(name)).unwrap();
        let rows = db.collection(name).unwrap();
        db.write(|txn| {
            IDS.iter()
                .try_for_each(|id| txn.create(&rows, &json!({"_id": id, "n": 1})).map(drop))
        })
        .unwrap();
    }
    let letters = db.collection("Letter").unwrap();
    letters.delete("ab").unwrap();
    (db, letters)
}

/// Every page of a query, with `limit` rows on each but the last.
fn pages(letters: &Collection, query: &Query, limit: u64) -> Vec<String> {
    let mut found = Vec::new();
    let mut query = query.clone().limit(limit);
    loop {
        let page = letters.find_page(&query).unwrap();
        assert!(page.rows.len() as u64 <= limit);
        found.extend(
            page.rows
                .iter()
                .map(|row| row["_id"].as_str().unwrap().to_owned()),
        );
        match page.next {
            Some(next) => query = query.after(next),
            None => return found,
        }
    }
}

#[test]
fn a_range_of_ids_is_what_a_filter_of_all_finds_from_either_end() {
    let (_db, letters) = letters();
    let bounds = IDS.iter().copied().chain(["", "a0", "zz"]);
    let mut filters = Vec::new();
    for low in bounds.clone() {
        filters.push(format!("_id starts_with '{low}'"));
        for high in bounds.clone() {
            filters.push(format!("_id >= '{low}' and _id < '{high}'"));
            filters.push(format!(
                "n = 1 and _id > '{low}' and _id <= '{high}' and _id >= 'a!'"
            ));
        }
    }
    for text in filters {
        let query = Query::parse(&text).unwrap();
        assert!(
            letters
                .explain(&query)
                .unwrap()
                .to_string()
                .starts_with("id: 1 range"),
            "{text}"
        );
        let matches = |id: &&str| {
            query
                .filter
                .as_ref()
                .unwrap()
                .matches(&json!({"_id": id, "n": 1}))
        };
        let mut wanted: Vec<_> = IDS
            .into_iter()
            .filter(|id| *id != "ab")
            .filter(matches)
            .collect();
        assert_eq!(pages(&letters, &query, 3), wanted, "{text}");
        assert_eq!(letters.count(&query).unwrap(), wanted.len() as u64);
        assert_eq!(
            pages(&letters, &query.clone().sort("_id"), 2),
            wanted,
            "{text}"
        );
        wanted.reverse();
        assert_eq!(
            pages(&letters, &query.sort_desc("_id"), 3),
            wanted,
            "{text}, reversed"
        );
    }
}

/// A cap on the rows that are looked at shows how far a query looks.
#[test]
fn no_more_is_looked_at_than_the_range_and_the_page_need() {
    let (_db, letters) = letters();
    let few = QueryCaps::unbounded().with_examined(Some(4));
    let query = |text: &str| Query::parse(text).unwrap().caps(few).limit(2);
    let found = |query: &Query| pages(&letters, query, 2).len();
    assert_eq!(found(&query("_id >= 'd'")), 1);
    assert_eq!(found(&query("_id starts_with 'b'")), 3);
    // Each page begins where the one before it ended, from either end.
    assert_eq!(found(&query("_id >= 'a'")), IDS.len() - 1);
    assert_eq!(found(&query("_id >= 'a'").sort_desc("_id")), IDS.len() - 1);
    // All of it is too much at once.
    let all = Query::parse("n = 2").unwrap().caps(few);
    assert!(letters.find(&all).is_err());
}
