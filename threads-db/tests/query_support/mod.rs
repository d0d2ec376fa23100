//! Random documents, values and filters over few names and values, so that they often meet.

#![allow(dead_code, reason = "each test file uses its part")]

use proptest::prelude::*;
use serde_json::{Value, json};
use threads_core::FieldPath;
use threads_db::query::{Filter, Op};

/// Strings about as long as an index keeps, and with zeros, which index keys escape.
pub(crate) fn string() -> impl Strategy<Value = String> {
    let ends = prop::sample::select(vec!["", "a", "b", "\0", "\0\0", "\u{1}", "\u{ff}", "it's"]);
    let lengths = prop::sample::select(vec![0, 0, 0, 1, 2, 36, 37, 38, 92, 93, 94, 95, 96, 97, 98]);
    (lengths, prop::sample::select(vec!["a", "\0", "é"]), ends)
        .prop_map(|(count, unit, end)| unit.repeat(count) + end)
}

pub(crate) fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-3..4_i64).prop_map(Value::from),
        2 => prop::sample::select(vec![-1.5, -0.0, 0.5, 1.0, 1e300, -1e300, 5e-324, 1.8446744073709552e19])
            .prop_map(Value::from),
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, -(1 << 53) - 1, i64::MAX])
            .prop_map(Value::from),
        1 => prop::sample::select(vec![u64::MAX, u64::MAX - 1, (1 << 53) + 1, 1 << 63])
            .prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_filter("JSON has finite numbers only", |n| n.is_finite()).prop_map(Value::from),
    ]
}

pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => number(),
        3 => string().prop_map(Value::from),
    ]
}

pub(crate) fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "0", "1"]).prop_map(str::to_owned)
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// An entity without its id.
pub(crate) fn document() -> impl Strategy<Value = Value> {
    let member = prop::sample::select(vec!["a", "b", "c"]);
    prop::collection::btree_map(member, prop_oneof![3 => scalar(), 2 => value()], 0..4).prop_map(
        |members| {
            members
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect()
        },
    )
}

pub(crate) fn documents(most: usize) -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(document(), 0..most).prop_map(|mut documents| {
        for (i, document) in documents.iter_mut().enumerate() {
            document["_id"] = json!(format!("id{i}"));
        }
        documents
    })
}

pub(crate) fn path() -> impl Strategy<Value = FieldPath> {
    let common = prop::sample::select(vec!["a", "b", "c", "a.b", "a.0", "b.a", "a.a.b", "/a"]);
    common.prop_map(|path| path.parse().unwrap())
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop::sample::select(vec![Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge])
}

pub(crate) fn leaf(
    path: impl Strategy<Value = FieldPath> + Clone,
) -> impl Strategy<Value = Filter> {
    let literal = prop_oneof![6 => scalar(), 1 => value()].boxed();
    let values = prop::collection::vec(literal.clone(), 0..4);
    prop_oneof![
        6 => (path.clone(), op(), literal.clone())
            .prop_map(|(path, op, value)| Filter::Compare { path, op, value }),
        2 => (path.clone(), values.clone()).prop_map(|(path, values)| Filter::In { path, values }),
        1 => (path.clone(), values).prop_map(|(path, values)| Filter::NotIn { path, values }),
        1 => (path.clone(), literal).prop_map(|(path, value)| Filter::Contains { path, value }),
        1 => (path.clone(), string())
            .prop_map(|(path, prefix)| Filter::StartsWith { path, prefix }),
        1 => path.prop_map(|path| Filter::Exists { path }),
    ]
}

/// A condition on the id, or any other.
pub(crate) fn leaf_or_id() -> impl Strategy<Value = Filter> {
    let id = prop_oneof![
        4 => (0..12_u8).prop_map(|i| json!(format!("id{i}"))),
        1 => scalar(),
    ];
    prop_oneof![
        8 => leaf(path().boxed()),
        1 => prop::collection::vec(id, 1..4).prop_map(|mut ids| {
            let path = "_id".parse().unwrap();
            if ids.len() > 1 {
                return Filter::In { path, values: ids };
            }
            Filter::Compare { path, op: Op::Eq, value: ids.remove(0) }
        }),
    ]
}

/// Filters as the parser and the builder make them.
pub(crate) fn filter(
    leaf: impl Strategy<Value = Filter> + 'static,
) -> impl Strategy<Value = Filter> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::all),
            3 => prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::any),
            1 => inner.prop_map(|filter| !filter),
        ]
    })
}
