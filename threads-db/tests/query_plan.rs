//! Index keys, and that a plan finds what looking at everything finds.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

mod query_support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use proptest::prelude::*;
use serde_json::{Value, json};
use threads_core::{ErrorKind, FieldPath};
use threads_db::index::key::{
    COLUMNS_MAX, Constraint, ENTRIES_MAX, ENTRY_BYTES_MAX, KeyRange, RANGES_MAX, encode_values,
    entries, ranges,
};
use threads_db::query::{Filter, IndexInfo, Plan, compare_values, field};

fn paths<const N: usize>(paths: [&str; N]) -> Vec<FieldPath> {
    paths.iter().map(|path| path.parse().unwrap()).collect()
}

fn index<const N: usize>(name: &str, columns: [&str; N]) -> IndexInfo {
    IndexInfo::new(name, paths(columns))
}

fn plan(text: &str, indexes: &[IndexInfo]) -> String {
    let filter = Filter::parse(text).unwrap();

    Plan::choose(Some(&filter), indexes)
        .explain(None)
        .to_string()
}

#[test]
fn entries_are_one_per_distinct_scalar_and_combination() {
    let keys = |entity: Value, columns: &[FieldPath]| -> Vec<(Vec<u8>, bool)> {
        entries(&entity, columns)
            .unwrap()
            .into_iter()
            .map(|e| (e.key, e.whole))
            .collect()
    };
    let one = |value: Value| (encode_values(&[&value]).unwrap(), true);
    let a = paths(["a"]);
    assert_eq!(keys(json!({"a": 1}), &a), [one(json!(1))]);
    assert_eq!(keys(json!({"a": null}), &a), [one(json!(null))]);
    assert_eq!(keys(json!({}), &a), []);
    assert_eq!(keys(json!({"a": {}}), &a), []);
    assert_eq!(keys(json!({"a": []}), &a), []);
    assert_eq!(
        keys(json!({"a": [2, 1, 1.0, [3], {}]}), &a),
        [one(json!(1)), one(json!(2))]
    );
    let ab = paths(["a.x", "b"]);
    let entity = json!({"a": [{"x": 1}, {"x": [2]}, {}], "b": ["p", "q"]});
    assert_eq!(keys(entity, &ab).len(), 4);
    let partial = keys(json!({"a": {"x": 1}, "b": {}}), &ab);
    assert_eq!(partial.len(), 1);
    assert!(!partial[0].1);
    assert_eq!(keys(json!({"b": 1}), &ab), []);
}

#[test]
fn entries_and_columns_are_bounded() {
    let list = |n: usize| json!({"a": (0..n).collect::<Vec<_>>(), "b": [1, 2]});
    assert_eq!(
        entries(&list(ENTRIES_MAX), &paths(["a"])).unwrap().len(),
        ENTRIES_MAX
    );
    let error = entries(&list(ENTRIES_MAX + 1), &paths(["a"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(entries(&list(ENTRIES_MAX / 2), &paths(["a", "b"])).is_ok());
    assert!(entries(&list(ENTRIES_MAX / 2 + 1), &paths(["a", "b"])).is_err());
    assert!(entries(&json!({}), &[]).is_err());
    assert!(entries(&json!({}), &vec!["a".parse().unwrap(); COLUMNS_MAX + 1]).is_err());
    let long = json!("\0".repeat(500));
    for columns in 1..=COLUMNS_MAX {
        assert!(encode_values(&vec![&long; columns]).unwrap().len() <= ENTRY_BYTES_MAX);
    }
}

#[test]
fn long_strings_that_begin_alike_differ() {
    let text = |end: &str| json!("x".repeat(300) + end);
    assert_ne!(encode_values(&[&text("a")]), encode_values(&[&text("b")]));
    let range = |value| ranges(1, &[Constraint::Eq(value)]).unwrap().remove(0);
    assert!(!range(&text("a")).contains(&encode_values(&[&text("b")]).unwrap()));
}

#[test]
fn ranges_that_cannot_be_said_are_refused() {
    let (one, list) = (json!(1), json!([1]));
    assert_eq!(ranges(1, &[]), None);
    assert_eq!(ranges(1, &[Constraint::Eq(&list)]), None);
    assert_eq!(
        ranges(1, &[Constraint::Eq(&one), Constraint::Eq(&one)]),
        None
    );
    assert_eq!(
        ranges(1, &[Constraint::Range(Bound::Unbounded, Bound::Unbounded)]),
        None
    );
    assert_eq!(
        ranges(2, &[Constraint::StartsWith("a"), Constraint::Eq(&one)]),
        None
    );
    assert_eq!(ranges(0, &[Constraint::Eq(&one)]), None);
    let many: Vec<Value> = (0..=RANGES_MAX / 2).map(Value::from).collect();
    let two = [json!(1), json!(3)];
    assert_eq!(
        ranges(2, &[Constraint::In(&many), Constraint::In(&two)]),
        None
    );
    let other = json!("a");
    let crossed = Constraint::Range(Bound::Included(&one), Bound::Included(&other));
    assert_eq!(ranges(1, &[crossed]), Some(vec![]));
}

#[test]
fn the_papers_query_uses_two_ranges_of_an_index() {
    let age = index("age", ["age"]).single_valued(true);
    let filter = Filter::parse("age >= 60 and age < 66 or age == 67").unwrap();
    let plan = Plan::choose(Some(&filter), &[age]);
    let Plan::Index { ranges, .. } = &plan else {
        panic!("{plan:?}")
    };
    let found: Vec<i64> = (0..100)
        .filter(|age| {
            let key = encode_values(&[&json!(age)]).unwrap();
            ranges.iter().any(|range| range.contains(&key))
        })
        .collect();
    assert_eq!(found, [60, 61, 62, 63, 64, 65, 67]);
    assert_eq!(
        plan.explain(Some(&filter)).to_string(),
        "index age: 2 ranges, then filter: age >= 60 and age < 66 or age = 67"
    );
}

#[test]
fn a_range_within_another_leaves_it_whole() {
    let filter = Filter::parse("a > 1 or a = 5 or a > 3 and a <= 4").unwrap();
    let Plan::Index { ranges, .. } = Plan::choose(Some(&filter), &[index("a", ["a"])]) else {
        panic!("no index")
    };
    assert_eq!(ranges.len(), 1);
    assert!(ranges[0].contains(&encode_values(&[&json!(9)]).unwrap()));
}

#[test]
fn only_one_end_of_a_range_narrows_an_index_with_several_entries() {
    let filter = Filter::parse("a > 3 and a < 5").unwrap();
    let entity = json!({"_id": "x", "a": [1, 9]});
    assert!(filter.matches(&entity));
    let Plan::Index { ranges, .. } = Plan::choose(Some(&filter), &[index("a", ["a"])]) else {
        panic!("no index")
    };
    let keys = entries(&entity, &paths(["a"])).unwrap();
    assert!(keys.iter().any(|entry| ranges[0].contains(&entry.key)));
}

#[test]
fn chooses_by_id_then_unique_then_the_most_columns() {
    let indexes = [
        index("a", ["a"]),
        index("ab", ["a", "b"]),
        index("abc", ["a", "b", "c"]),
        index("u", ["u"]).unique(true),
    ];
    let table = [
        ("_id = 'x' and a = 1", "id: 1 id"),
        ("_id in ['x', 'y', 'x', 3]", "id: 2 ids"),
        ("_id in ['x', 'y'] and _id = 'x'", "id: 1 id"),
        ("_id = 5", "id: 0 ids"),
        ("false", "id: 0 ids"),
        ("a = 1 and false", "id: 0 ids"),
        ("a = 1", "index a: 1 range"),
        ("a = 1 and b > 2", "index ab: 1 range"),
        ("a = 1 and b = 2", "index ab: 1 range"),
        (
            "a = 1 and b = 2 and c starts_with 'x'",
            "index abc: 1 range",
        ),
        ("a in [1, 3] and b in [5, 7, 9]", "index ab: 6 ranges"),
        ("a > 1 and b = 2", "index a: 1 range"),
        ("u = 1 and a = 1 and b = 2", "index u: 1 range"),
        ("a = 1 or u = 2", "index a: 1 range + index u: 1 range"),
        ("a = 1 or _id = 'x'", "id: 1 id + index a: 1 range"),
        (
            "(a = 1 or u = 2) and x = 3",
            "index a: 1 range + index u: 1 range",
        ),
        ("(a = 1 or u = 2) and a = 3", "index a: 1 range"),
        ("a contains 5", "index a: 1 range"),
        ("a = null", "index a: 1 range"),
        ("a in []", "index a: 0 ranges"),
        ("a in [1, 1.0]", "index a: 1 range"),
        ("a > 1 or a > 2", "index a: 1 range"),
        ("a > 1 or a = 5", "index a: 1 range"),
        ("a = 1 or a = 5", "index a: 2 ranges"),
        ("a contains 'x'", "scan"),
        ("a exists", "scan"),
        ("a != 1", "scan"),
        ("a not in [1]", "scan"),
        ("not a = 1", "scan"),
        ("a = [1]", "scan"),
        ("a in [1, [2]]", "scan"),
        ("a = 1 or x = 2", "scan"),
        ("b = 1", "scan"),
        ("_id > 'x'", "id: 1 range"),
        ("true", "scan"),
    ];
    for (text, expected) in table {
        assert_eq!(plan(text, &indexes), expected, "{text}");
    }
    assert_eq!(Plan::choose(None, &indexes), Plan::Scan);
}

#[test]
fn a_condition_on_fewer_columns_stands_in_for_too_many_ranges() {
    let list = (0..100)
        .map(|n| (2 * n).to_string())
        .collect::<Vec<_>>()
        .join(",");
    let text = format!("a in [{list}] and b in [{list}]");
    assert_eq!(
        plan(&text, &[index("ab", ["a", "b"])]),
        "index ab: 100 ranges"
    );
}

#[test]
fn a_filter_beyond_the_limits_is_not_planned() {
    let filter = Filter::any((0..300).map(|n| field("a").eq(n)));
    assert_eq!(
        Plan::choose(Some(&filter), &[index("a", ["a"])]),
        Plan::Scan
    );
}

#[test]
fn strings_longer_than_an_entry_keeps_are_all_found() {
    let long = |end: &str| json!("x".repeat(100) + end);
    let ends = ["", "\0", "a", "b", "c"];
    let documents: Vec<Value> = (ends.iter().enumerate())
        .map(|(i, end)| json!({"_id": format!("{i}"), "a": long(end)}))
        .collect();
    let (rows, _) = build(&documents, &paths(["a"]));
    let stored = BTreeMap::from([("a".to_owned(), rows)]);
    let info = index("a", ["a"]).single_valued(true);
    for (low, high) in ends.iter().flat_map(|low| ends.map(|high| (*low, high))) {
        for filter in [
            field("a").gt(long(low)).and(field("a").lt(long(high))),
            field("a").ge(long(low)).and(field("a").le(long(high))),
            field("a").is_in([long(low), long(high)]),
            field("a").starts_with("x".repeat(100) + low),
        ] {
            let plan = Plan::choose(Some(&filter), std::slice::from_ref(&info));
            assert!(matches!(plan, Plan::Index { .. }));
            let found = candidates(&plan, &stored, &[]);
            for document in documents.iter().filter(|document| filter.matches(document)) {
                assert!(
                    found.contains(document["_id"].as_str().unwrap()),
                    "{filter}"
                );
            }
        }
    }
}

#[test]
fn ranges_move_under_a_prefix() {
    let range = &ranges(1, &[Constraint::Eq(&json!(u64::MAX))]).unwrap()[0];
    let key = [
        &b"p"[..],
        &encode_values(&[&json!(u64::MAX)]).unwrap(),
        b"id",
    ]
    .concat();
    assert!(range.under(b"p").contains(&key));
}

fn indexes() -> impl Strategy<Value = Vec<(Vec<FieldPath>, bool)>> {
    let column = prop::sample::select(vec!["a", "b", "c", "a.b", "a.0", "b.a"]);
    let columns = prop::collection::btree_set(column, 1..4)
        .prop_map(|columns| {
            columns
                .iter()
                .map(|path| path.parse().unwrap())
                .collect::<Vec<_>>()
        })
        .prop_shuffle();
    prop::collection::vec((columns, any::<bool>()), 0..4)
}

/// An index as a store keeps it: the entry and then the id.
type Rows = BTreeMap<Vec<u8>, String>;

fn build(documents: &[Value], columns: &[FieldPath]) -> (Rows, bool) {
    let mut rows = Rows::new();
    let mut single_valued = true;
    for document in documents {
        let id = document["_id"].as_str().unwrap();
        let entries = entries(document, columns).unwrap();
        single_valued &= entries.len() <= 1;
        for entry in entries {
            assert!(entry.key.len() <= ENTRY_BYTES_MAX);
            rows.insert(
                [entry.key.as_slice(), id.as_bytes()].concat(),
                id.to_owned(),
            );
        }
    }
    (rows, single_valued)
}

fn candidates(plan: &Plan, indexes: &BTreeMap<String, Rows>, all: &[Value]) -> BTreeSet<String> {
    let scan = |name: &String, range: &KeyRange| -> Vec<String> {
        indexes[name]
            .range::<[u8], _>(range.bounds())
            .map(|(_, id)| id.clone())
            .collect()
    };
    match plan {
        Plan::ById(ids) => ids.iter().cloned().collect(),
        Plan::Index { name, ranges } => ranges.iter().flat_map(|r| scan(name, r)).collect(),
        Plan::Union(parts) => parts
            .iter()
            .flat_map(|p| candidates(p, indexes, all))
            .collect(),
        Plan::IdRange(range) => all
            .iter()
            .map(|d| d["_id"].as_str().unwrap().to_owned())
            .filter(|id| range.contains(id))
            .collect(),
        _ => all
            .iter()
            .map(|d| d["_id"].as_str().unwrap().to_owned())
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_plan_finds_what_a_scan_finds(
        documents in query_support::documents(12),
        filter in query_support::filter(query_support::leaf_or_id()),
        indexes in indexes(),
    ) {
        let mut infos = Vec::new();
        let mut stored = BTreeMap::new();
        for (i, (columns, unique)) in indexes.into_iter().enumerate() {
            let (rows, single_valued) = build(&documents, &columns);
            let name = i.to_string();
            infos.push(IndexInfo::new(&name, columns).unique(unique).single_valued(single_valued));
            stored.insert(name, rows);
        }
        let plan = Plan::choose(Some(&filter), &infos);
        let candidates = candidates(&plan, &stored, &documents);
        for document in documents.iter().filter(|document| filter.matches(document)) {
            prop_assert!(
                candidates.contains(document["_id"].as_str().unwrap()),
                "{} missed {} by {}", filter, document, plan.explain(None),
            );
        }
    }

    #[test]
    fn entries_order_as_their_values(a in query_support::scalar(), b in query_support::scalar()) {
        let order = compare_values(Some(&a), Some(&b));
        let keys = encode_values(&[&a]).cmp(&encode_values(&[&b]));
        let cut = |value: &Value| value.as_str().is_some_and(|s| s.replace('\0', "00").len() > 96);
        if cut(&a) && cut(&b) {
            prop_assert_eq!(order.is_eq(), keys.is_eq());
        } else {
            prop_assert_eq!(order, keys, "{} {}", a, b);
        }
    }

    #[test]
    fn compound_entries_order_column_by_column(
        a in query_support::number(), b in query_support::string(),
        c in query_support::number(), d in query_support::string(),
    ) {
        let [b, d] = [b, d].map(|s| s.chars().take(20).collect::<String>());
        let order = compare_values(Some(&json!(b)), Some(&json!(d)))
            .then(compare_values(Some(&a), Some(&c)));
        let key = |s: &String, n| encode_values(&[&json!(s), n]).unwrap();
        prop_assert_eq!(key(&b, &a).cmp(&key(&d, &c)), order);
        prop_assert!(!key(&b, &a).starts_with(&key(&d, &c)) || order.is_eq());
    }

    #[test]
    fn a_range_holds_what_its_bounds_do(
        value in query_support::scalar(),
        low in query_support::scalar(),
        high in query_support::scalar(),
        inclusive in any::<(bool, bool)>(),
    ) {
        let bound = |v, inclusive| if inclusive { Bound::Included(v) } else { Bound::Excluded(v) };
        let found = ranges(2, &[Constraint::Range(bound(&low, inclusive.0), bound(&high, inclusive.1))]);
        let key = encode_values(&[&value, &json!(1)]).unwrap();
        let inside = found.unwrap().iter().any(|range| range.contains(&key));
        let ops = (if inclusive.0 { ">=" } else { ">" }, if inclusive.1 { "<=" } else { "<" });
        let text = |op: &str, value: &Value| {
            let filter = Filter::parse(&format!("a {op} 0")).unwrap();
            let Filter::Compare { path, op, .. } = filter else { panic!("{filter}") };
            Filter::Compare { path, op, value: value.clone() }
        };
        let matches = text(ops.0, &low).and(text(ops.1, &high)).matches(&json!({"a": value}));
        prop_assert!(inside || !matches);
        let short = |v: &Value| v.as_str().is_none_or(|s| s.len() < 40);
        if short(&value) && short(&low) && short(&high) {
            prop_assert_eq!(inside, matches);
        }
    }
}
