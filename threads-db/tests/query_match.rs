//! What conditions mean, and the order of values.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

mod query_support;

use std::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};
use threads_db::query::{Filter, compare_values, project};

#[track_caller]
fn check(document: &Value, holding: &[&str], failing: &[&str]) {
    for (texts, expected) in [(holding, true), (failing, false)] {
        for text in texts {
            let filter = Filter::parse(text).expect(text);
            assert_eq!(filter.matches(document), expected, "{text} of {document}");
        }
    }
}

#[test]
fn values_compare_by_type_without_coercion() {
    check(
        &json!({"n": 5, "s": "5", "t": true, "z": null, "e": ""}),
        &[
            "n = 5",
            "n = 5.0",
            "s = '5'",
            "n != '5'",
            "s != 5",
            "t = true",
            "t > false",
            "e = ''",
            "n in ['5', 5]",
            "s not in [5]",
            "e starts_with ''",
            "s contains ''",
        ],
        &[
            "n = '5'",
            "s = 5",
            "n < '6'",
            "n > '4'",
            "s < 6",
            "t = 1",
            "t > 0",
            "t = 'true'",
            "e = null",
            "e < 1",
            "n starts_with '5'",
            "n contains 5",
            "n in ['5']",
        ],
    );
}

#[test]
fn null_is_a_value_and_missing_is_none() {
    check(
        &json!({"z": null, "n": 1, "deep": {"z": null}}),
        &[
            "z = null",
            "z exists",
            "z != 1",
            "z <= null",
            "z in [null]",
            "z not in [1]",
            "m not exists",
            "not m exists",
            "not (m = 1)",
            "deep.z = null",
            "z.x not exists",
            "n != null",
            "n.x not exists",
        ],
        &[
            "m = null",
            "m != 1",
            "m != null",
            "m < 1",
            "m >= 1",
            "m in [null]",
            "m not in [1]",
            "m exists",
            "z not exists",
            "z < 1",
            "z > 1",
            "z < null",
            "n = null",
            "z.x = null",
            "m contains 1",
            "m starts_with ''",
            "deep.m != 1",
        ],
    );
}

#[test]
fn a_missing_field_never_ends_a_scan() {
    let documents = [
        json!({"a": 1}),
        json!({}),
        json!({"a": "x"}),
        json!({"a": 1}),
    ];
    let filter = Filter::parse("a = 1").unwrap();
    assert_eq!(
        documents
            .iter()
            .filter(|document| filter.matches(document))
            .count(),
        2
    );
}

#[test]
fn numbers_compare_exactly() {
    check(
        &json!({"n": 9_007_199_254_740_993_i64, "m": -9_007_199_254_740_993_i64, "u": u64::MAX}),
        &[
            "n > 9007199254740992",
            "n > 9007199254740992.0",
            "n != 9007199254740992.0",
            "n < 9007199254740994.0",
            "m < -9007199254740992.0",
            "m > -9007199254740994.0",
            "u < 18446744073709551616",
            "u > 18446744073709551614",
            "u > -1",
            "u > 9223372036854775807",
        ],
        &[
            "n = 9007199254740992.0",
            "n = 9007199254740992",
            "u = 18446744073709551616",
            "u < 0",
        ],
    );
    check(
        &json!({"n": 0}),
        &["n = -0.0", "n < 1e-300", "n > -1e-300"],
        &["n < 0.0"],
    );
}

#[test]
fn texts_compare_by_scalar_values() {
    check(
        &json!({"s": "\u{10000}"}),
        &["s > '\u{ffff}'", "s > 'zz'", "s starts_with '\u{10000}'"],
        &["s < '\u{ffff}'"],
    );
}

#[test]
fn conditions_on_arrays_hold_if_they_do_for_any_element() {
    check(
        &json!({"tags": ["new", "red"], "sizes": [1, 9], "none": [], "mixed": [1, "1", null, [7]]}),
        &[
            "tags = 'new'",
            "tags != 'old'",
            "tags in ['old', 'red']",
            "tags not in ['old']",
            "tags contains 'new'",
            "tags starts_with 're'",
            "tags.0 = 'new'",
            "tags.1 exists",
            "tags = ['new', 'red']",
            "tags < ['new', 'z']",
            "sizes > 3 and sizes < 5",
            "none exists",
            "none = []",
            "none != 1",
            "none not in [1]",
            "mixed = null",
            "mixed = '1'",
            "mixed contains [7]",
            "mixed.3 = [7]",
            "mixed.3.0 = 7",
        ],
        &[
            "tags = 'ne'",
            "tags != 'new'",
            "tags not in ['red']",
            "tags contains 'ne'",
            "tags.2 exists",
            "tags.00 exists",
            "tags = ['red', 'new']",
            "tags = []",
            "none = null",
            "none.0 exists",
            "none.x exists",
            "mixed = 7",
            "mixed = [7]",
            "mixed in [[7]]",
            "sizes.0 > 3",
        ],
    );
}

#[test]
fn a_name_over_an_array_means_any_element() {
    check(
        &json!({"kids": [{"name": "A", "age": 3}, {"name": "B"}, 4, [{"name": "C"}]]}),
        &[
            "kids.name = 'A'",
            "kids.name = 'C'",
            "kids.1.name = 'B'",
            "kids.age exists",
            "kids.name != 'D'",
            "kids.3.0.name = 'C'",
        ],
        &[
            "kids.name = 'D'",
            "kids.name != 'A'",
            "kids.1.age exists",
            "kids.size exists",
        ],
    );
}

#[test]
fn a_list_after_in_may_be_in_any_order() {
    let text = "n in [9, 'x', 3, null, 7.5, true, 1, [2], 5]";
    for value in [
        json!(9),
        json!("x"),
        json!(3),
        json!(null),
        json!(7.5),
        json!(true),
        json!(1),
    ] {
        check(&json!({"n": value}), &[text], &[]);
    }
    check(&json!({"n": 2}), &[], &[text]);
}

#[test]
fn objects_compare_by_their_members_in_any_order() {
    check(
        &json!({"o": {"b": 2, "a": 1.0}}),
        &[
            "o = {a: 1, b: 2}",
            "o in [{b: 2, a: 1}]",
            "o > {a: 1}",
            "o.a = 1",
        ],
        &["o = {a: 1}", "o != {a: 1, b: 2}", "o = 1"],
    );
}

#[test]
fn nothing_but_filters_of_none_match_everything() {
    check(
        &json!({}),
        &["true", "not false", "a = 1 or true"],
        &["false", "true and a = 1"],
    );
    assert!(!Filter::Or(vec![]).matches(&json!({})));
    assert!(Filter::And(vec![]).matches(&json!({})));
}

#[test]
fn the_order_of_types_is_as_documented() {
    let ordered = [
        None,
        Some(json!(null)),
        Some(json!(false)),
        Some(json!(true)),
        Some(json!(-1e300)),
        Some(json!(i64::MIN)),
        Some(json!(-1.5)),
        Some(json!(0)),
        Some(json!(u64::MAX)),
        Some(json!(1e300)),
        Some(json!("")),
        Some(json!("a")),
        Some(json!("é")),
        Some(json!([])),
        Some(json!([1])),
        Some(json!([1, 0])),
        Some(json!(["a"])),
        Some(json!({})),
        Some(json!({"a": 1})),
        Some(json!({"a": 1, "b": 0})),
        Some(json!({"aa": 1, "b": 2})),
        Some(json!({"aa": 2, "b": 1})),
        Some(json!({"b": 0})),
    ];
    for (i, a) in ordered.iter().enumerate() {
        for (j, b) in ordered.iter().enumerate() {
            assert_eq!(
                compare_values(a.as_ref(), b.as_ref()),
                i.cmp(&j),
                "{a:?} {b:?}"
            );
        }
    }
}

#[test]
fn projection_keeps_the_shape_and_the_id() {
    let entity = json!({
        "_id": "x", "a": {"b": 1, "c": 2}, "list": [{"p": 1, "q": 2}, {"q": 3}, 4], "n": null,
        "grid": [[{"p": 1}], {"0": 5, "p": 6}], "rows": [{"0": 1, "p": 2}, {"0": 3, "p": 4}],
    });
    let table = [
        (vec!["a.b"], json!({"_id": "x", "a": {"b": 1}})),
        (vec!["a", "a.b"], json!({"_id": "x", "a": {"b": 1, "c": 2}})),
        (vec!["a.x", "missing"], json!({"_id": "x"})),
        (vec!["n"], json!({"_id": "x", "n": null})),
        (vec!["list.p"], json!({"_id": "x", "list": [{"p": 1}]})),
        (vec!["list.1"], json!({"_id": "x", "list": [{"q": 3}]})),
        (
            vec!["list.1", "list.p"],
            json!({"_id": "x", "list": [{"p": 1}, {"q": 3}]}),
        ),
        (vec!["list.2.x"], json!({"_id": "x"})),
        (
            vec!["grid.p"],
            json!({"_id": "x", "grid": [[{"p": 1}], {"p": 6}]}),
        ),
        (
            vec!["grid.0.0.p"],
            json!({"_id": "x", "grid": [[{"p": 1}]]}),
        ),
        (
            vec!["list.0.q", "list.p"],
            json!({"_id": "x", "list": [{"p": 1, "q": 2}]}),
        ),
        (
            vec!["list.0.x", "list.p"],
            json!({"_id": "x", "list": [{"p": 1}]}),
        ),
        (
            vec!["rows.0", "rows.p"],
            json!({"_id": "x", "rows": [{"0": 1, "p": 2}, {"p": 4}]}),
        ),
        (vec![], entity.clone()),
    ];
    for (paths, expected) in table {
        let parsed: Vec<_> = paths.iter().map(|path| path.parse().unwrap()).collect();
        assert_eq!(project(&entity, &parsed), expected, "{paths:?}");
    }
    assert_eq!(project(&json!(5), &["a".parse().unwrap()]), json!({}));
}

/// Orders numbers by their decimal expansion, which is exact for each of them.
fn by_decimals(a: &Value, b: &Value) -> Ordering {
    let expand = |value: &Value| {
        let text = match (value.as_i64(), value.as_u64()) {
            (Some(n), _) => format!("{n}."),
            (_, Some(n)) => format!("{n}."),
            // A double has at most 1,074 digits behind the point.
            _ => format!("{:.1074}", value.as_f64().unwrap()),
        };
        let negative = text.starts_with('-');
        let (whole, rest) = text.trim_start_matches('-').split_once('.').unwrap();
        let digits = format!("{whole:0>400}{rest:0<1074}");
        (negative && digits.bytes().any(|b| b != b'0'), digits)
    };
    match (expand(a), expand(b)) {
        ((true, a), (true, b)) => b.cmp(&a),
        ((false, a), (false, b)) => a.cmp(&b),
        ((a, _), (b, _)) => b.cmp(&a),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn numbers_order_as_their_decimals(a in query_support::number(), b in query_support::number()) {
        prop_assert_eq!(compare_values(Some(&a), Some(&b)), by_decimals(&a, &b));
    }

    #[test]
    fn neighbours_order_as_their_decimals(n in any::<i64>(), near in -2..3_i64) {
        let (whole, float) = (json!(n), json!(n.saturating_add(near) as f64));
        prop_assert_eq!(compare_values(Some(&whole), Some(&float)), by_decimals(&whole, &float));
    }

    #[test]
    fn the_order_is_total(a in query_support::value(), b in query_support::value(), c in query_support::value()) {
        let order = |a, b| compare_values(Some(a), Some(b));
        prop_assert_eq!(order(&a, &a), Ordering::Equal);
        prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
        if order(&a, &b).is_le() && order(&b, &c).is_le() {
            prop_assert!(order(&a, &c).is_le());
        }
    }

    #[test]
    fn ne_and_not_in_deny_of_present_fields(
        path in query_support::path(),
        value in query_support::value(),
        document in query_support::document(),
    ) {
        let present = Filter::Exists { path: path.clone() }.matches(&document);
        let compare = |op| Filter::Compare { path: path.clone(), op, value: value.clone() }.matches(&document);
        let values = vec![value.clone()];
        let among = Filter::In { path: path.clone(), values: values.clone() }.matches(&document);
        let not_among = Filter::NotIn { path: path.clone(), values }.matches(&document);
        use threads_db::query::Op;
        prop_assert_eq!(compare(Op::Ne), present && !compare(Op::Eq));
        prop_assert_eq!(among, compare(Op::Eq));
        prop_assert_eq!(not_among, compare(Op::Ne));
    }
}
