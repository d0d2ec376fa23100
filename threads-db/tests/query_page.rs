//! Order, pages and cursors.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

mod query_support;

use proptest::prelude::*;
use serde_json::{Value, json};
use threads_core::{Error, ErrorKind};
use threads_db::query::{
    Cursor, FIELDS_MAX, Query, SORT_MAX, Sort, compare_values, count, page, page_by_id,
};

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["_id"].as_str().unwrap())
        .collect()
}

fn people() -> Vec<Value> {
    vec![
        json!({"_id": "a", "name": "Bo", "age": 30}),
        json!({"_id": "b", "name": "Al", "age": 30}),
        json!({"_id": "c", "name": "Al"}),
        json!({"_id": "d", "name": "Cy", "age": "30"}),
        json!({"_id": "e", "name": "Al", "age": null}),
    ]
}

fn run(query: &Query) -> Vec<String> {
    let found = page(people().into_iter().map(Ok), query).unwrap();
    ids(&found.rows).into_iter().map(str::to_owned).collect()
}

#[test]
fn sorts_by_several_fields_with_the_missing_first() {
    assert_eq!(run(&Query::new()), ["a", "b", "c", "d", "e"]);
    assert_eq!(run(&Query::new().sort("age")), ["c", "e", "a", "b", "d"]);
    assert_eq!(
        run(&Query::new().sort_desc("age")),
        ["d", "a", "b", "e", "c"]
    );
    assert_eq!(
        run(&Query::new().sort("name").sort_desc("age")),
        ["b", "e", "c", "a", "d"]
    );
    assert_eq!(run(&Query::new().sort_desc("_id").limit(2)), ["e", "d"]);
}

#[test]
fn skip_and_limit_apply_after_the_filter_and_the_order() {
    let query = Query::parse("age = 30").unwrap().sort("name");
    assert_eq!(run(&query.clone().skip(1)), ["a"]);
    assert_eq!(run(&query.clone().limit(1)), ["b"]);
    assert_eq!(run(&query.clone().skip(9).limit(1)), [] as [&str; 0]);
    assert_eq!(run(&query.clone().limit(0)), [] as [&str; 0]);
    assert_eq!(
        run(&query.clone().skip(u64::MAX).limit(u64::MAX)),
        [] as [&str; 0]
    );
    assert_eq!(
        count(people().into_iter().map(Ok), &query.skip(1).limit(0)).unwrap(),
        2
    );
}

#[test]
fn a_page_says_whether_there_is_more() {
    let next = |limit| {
        page(people().into_iter().map(Ok), &Query::new().limit(limit))
            .unwrap()
            .next
    };
    assert!(next(4).is_some());
    assert!(next(5).is_none());
    assert!(next(6).is_none());
    assert!(next(0).is_none());
}

#[test]
fn rows_in_order_of_id_are_read_no_further_than_needed() {
    let mut read = 0;
    let rows = (0..1_000).map(|n| {
        read += 1;
        Ok(json!({"_id": format!("{n:04}"), "n": n}))
    });
    let found = page_by_id(rows, &Query::parse("n >= 10").unwrap().skip(2).limit(3)).unwrap();
    assert_eq!(ids(&found.rows), ["0012", "0013", "0014"]);
    assert!(found.next.is_some());
    assert_eq!(read, 16);
    let rows = || (0..9).map(|n| Ok(json!({"_id": n.to_string(), "n": -n})));
    assert_eq!(
        ids(&page_by_id(rows(), &Query::new().sort("n").limit(1))
            .unwrap()
            .rows),
        ["8"]
    );
}

#[test]
fn an_error_among_the_rows_ends_the_page() {
    let rows = [
        Ok(json!({"_id": "a"})),
        Err(Error::corrupt("a row is damaged")),
    ];
    assert_eq!(
        page(rows, &Query::new().limit(1)).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let rows = [Err(Error::corrupt("a row is damaged"))];
    assert_eq!(
        count(rows, &Query::new()).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

#[test]
fn fields_are_selected_after_the_order() {
    let query = Query::new().sort_desc("age").limit(1).fields(["name"]);
    let found = page(people().into_iter().map(Ok), &query).unwrap();
    assert_eq!(found.rows, [json!({"_id": "d", "name": "Cy"})]);
    let found = page(
        people().into_iter().map(Ok),
        &query.after(found.next.unwrap()),
    )
    .unwrap();
    assert_eq!(found.rows, [json!({"_id": "a", "name": "Bo"})]);
}

#[test]
fn a_cursor_of_another_query_is_refused() {
    let query = Query::parse("age exists").unwrap().sort("age").limit(1);
    let cursor = page(people().into_iter().map(Ok), &query)
        .unwrap()
        .next
        .unwrap();
    let refused = |query: Query| {
        let error = page(people().into_iter().map(Ok), &query.after(cursor.clone())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("another query"), "{error}");
    };
    refused(Query::new().sort("age"));
    refused(Query::parse("age exists").unwrap());
    refused(Query::parse("age exists").unwrap().sort_desc("age"));
    refused(Query::parse("age exists").unwrap().sort("name"));
    refused(Query::parse("age not exists").unwrap().sort("age"));
    let same = Query::parse("(age EXISTS)")
        .unwrap()
        .sort("/age")
        .skip(7)
        .fields(["age"]);
    assert_eq!(
        page(people().into_iter().map(Ok), &same.after(cursor))
            .unwrap()
            .rows
            .len(),
        3
    );
}

#[test]
fn a_damaged_cursor_is_refused() {
    let query = Query::new().sort("age").limit(1);
    let text = page(people().into_iter().map(Ok), &query)
        .unwrap()
        .next
        .unwrap()
        .to_string();
    assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
    for at in 0..text.len() {
        let other = if text.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        let damaged = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        // The digest of the query is checked when the cursor is used.
        let outcome = damaged
            .parse::<Cursor>()
            .and_then(|cursor| query.clone().after(cursor).check());
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid, "{damaged}");
    }
    let error = "u".repeat(3 << 20).parse::<Cursor>().unwrap_err();
    assert!(error.to_string().contains("most_bytes"), "{error}");
    for damaged in ["", "u", "x", "uAQ", &text[..text.len() - 3]] {
        assert_eq!(
            damaged.parse::<Cursor>().unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}

#[test]
fn a_cursor_survives_changes_between_pages() {
    let query = Query::new().sort("n").limit(2);
    let rows = |numbers: &[i64]| {
        let rows: Vec<Value> = numbers
            .iter()
            .map(|n| json!({"_id": format!("{n}"), "n": n}))
            .collect();
        rows.into_iter().map(Ok)
    };
    let first = page(rows(&[1, 3, 5, 7]), &query).unwrap();
    // The last row of the page is gone, one came before the cursor and one after it.
    let second = page(rows(&[1, 2, 4, 5, 7]), &query.after(first.next.unwrap())).unwrap();
    assert_eq!(ids(&second.rows), ["4", "5"]);
}

#[test]
fn cursors_are_text_in_json() {
    let query = Query::new().limit(1);
    let cursor = page(people().into_iter().map(Ok), &query)
        .unwrap()
        .next
        .unwrap();
    let json = serde_json::to_string(&cursor).unwrap();
    assert_eq!(json, format!("\"{cursor}\""));
    assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
}

#[test]
fn too_many_sorts_or_fields_are_refused() {
    let sorted = |n| (0..n).fold(Query::new(), |query, _| query.sort("a"));
    assert!(sorted(SORT_MAX).check().is_ok());
    assert!(sorted(SORT_MAX + 1).check().is_err());
    assert!(Query::new().fields(0..=FIELDS_MAX).check().is_err());
}

/// The order of a result, said the plain way.
fn sorted(mut rows: Vec<Value>, sort: &[Sort]) -> Vec<Value> {
    let at = |row: &Value, sort: &Sort| row.pointer(&format!("/{}", sort.path)).cloned();
    rows.sort_by(|a, b| {
        for sort in sort {
            let order = compare_values(at(a, sort).as_ref(), at(b, sort).as_ref());
            let order = if sort.descending {
                order.reverse()
            } else {
                order
            };
            if order.is_ne() {
                return order;
            }
        }
        a["_id"].as_str().cmp(&b["_id"].as_str())
    });
    rows
}

fn sorting() -> impl Strategy<Value = Query> {
    prop::collection::vec(
        (prop::sample::select(vec!["a", "b", "c"]), any::<bool>()),
        0..3,
    )
    .prop_map(|sorts| {
        sorts
            .into_iter()
            .fold(Query::new(), |query, (path, descending)| {
                if descending {
                    query.sort_desc(path)
                } else {
                    query.sort(path)
                }
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_page_is_a_slice_of_the_sorted_whole(
        rows in query_support::documents(20),
        query in sorting(),
        filter in query_support::leaf(query_support::path().boxed()),
        skip in 0..6_u64,
        limit in prop::option::of(0..6_u64),
    ) {
        let whole = rows.iter().filter(|row| filter.matches(row)).cloned().collect();
        let whole: Vec<Value> = sorted(whole, &query.sort);
        let expected: Vec<Value> = whole.iter().skip(skip as usize)
            .take(limit.map_or(usize::MAX, |n| n as usize)).cloned().collect();
        let mut query = query.filter(filter).skip(skip);
        query.limit = limit;
        prop_assert_eq!(&page(rows.clone().into_iter().map(Ok), &query).unwrap().rows, &expected);
        let by_id = sorted(rows, &[]);
        prop_assert_eq!(page_by_id(by_id.into_iter().map(Ok), &query).unwrap().rows, expected);
    }

    #[test]
    fn following_cursors_gives_every_row_once_in_order(
        rows in query_support::documents(20),
        query in sorting(),
        limit in 1..5_u64,
    ) {
        let whole = page(rows.clone().into_iter().map(Ok), &query).unwrap().rows;
        let mut found = Vec::new();
        let mut next = query.clone().limit(limit);
        // Each page has at least one of at most twenty rows.
        for _ in 0..=20 {
            let page = page(rows.clone().into_iter().map(Ok), &next).unwrap();
            found.extend(page.rows);
            let Some(cursor) = page.next else { break };
            let cursor: Cursor = cursor.to_string().parse().unwrap();
            next = query.clone().limit(limit).after(cursor);
        }
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn no_text_panics_as_a_cursor(text in "\\PC{0,40}", base in "u[A-Za-z0-9_-]{0,80}") {
        let _ = text.parse::<Cursor>();
        let _ = base.parse::<Cursor>();
    }
}
