//! The bytes of events: exact, minimal, and nothing else accepted.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "a test asserts")]

mod common;

use common::{apply, encode, state};
use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt, Ordering};
use threads_core::{CodecId, ErrorKind};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

/// The event of a save, as a value.
fn saved(before: &Value, after: &Value) -> Value {
    let event = encode(Some(&state(before)), &Action::Save(after))
        .unwrap()
        .unwrap();
    assert_eq!(apply(Some(&state(before)), &event).unwrap(), state(after));
    serde_ipld_dagcbor::from_slice(&event).unwrap()
}

fn check(before: Value, after: Value, event: Value) {
    assert_eq!(saved(&before, &after), event);
}

/// Enough that replacing the whole document is never smaller.
fn with_ballast(mut document: Value) -> Value {
    document["ballast"] = json!("x".repeat(300));
    document
}

#[test]
fn it_says_what_it_is() {
    assert_eq!(
        JsonPatch::new().id(),
        "jsonpatch/1".parse::<CodecId>().unwrap()
    );
    assert_eq!(JsonPatch::new().ordering(), Ordering::Total);
}

#[test]
fn the_bytes_of_events() {
    let event = |before: Option<&Value>, action: Action<'_>| {
        hex(&encode(before.map(state).as_ref(), &action)
            .unwrap()
            .unwrap())
    };
    let one = json!({"bb": 1, "a": null});
    // [0, {"a": null, "bb": 1}]
    assert_eq!(event(None, Action::Create(&one)), "8200a26161f662626201");
    // [1, …]
    assert_eq!(event(None, Action::Save(&one)), "8201a26161f662626201");
    // [2, [[2, "/bb", 2]]]
    assert_eq!(
        event(Some(&one), Action::Merge(&json!({"bb": 2}))),
        "8202818302632f626202"
    );
    // [2, [[1, "/a"]]]
    assert_eq!(
        event(Some(&one), Action::Merge(&json!({"a": null}))),
        "8202818201622f61"
    );
    // [2, [[0, "/c", 1.0]]]
    let one_point = json!([{"op": "add", "path": "/c", "value": 1.0}]);
    assert_eq!(
        event(Some(&one), Action::Patch(&one_point)),
        "820281830062 2f63 fb3ff0000000000000".replace(' ', "")
    );
}

#[test]
fn actions_that_need_another_state_say_so() {
    let one = json!({"a": 1});
    let kind = |before: Option<&EntityState>, action: Action<'_>| {
        encode(before, &action).unwrap_err().kind()
    };
    assert_eq!(
        kind(Some(&state(&one)), Action::Create(&one)),
        ErrorKind::Conflict
    );
    assert_eq!(kind(None, Action::Merge(&one)), ErrorKind::NotFound);
    assert_eq!(kind(None, Action::Patch(&json!([]))), ErrorKind::NotFound);
    assert_eq!(
        kind(Some(&state(&one)), Action::Patch(&one)),
        ErrorKind::Invalid
    );
    assert_eq!(
        kind(Some(&EntityState::new(*b"x")), Action::Save(&one)),
        ErrorKind::Corrupt
    );
    let error = JsonPatch::new()
        .value(&EntityState::new(*b"x"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn one_change_is_one_operation() {
    let big = |n: usize| (0..n).map(|i| json!({"id": i, "name": format!("number {i}")}));
    let list: Vec<Value> = big(2_000).collect();
    let document = |list: &[Value]| json!({"list": list});

    let mut front = list.clone();
    front.insert(0, json!("new"));
    check(
        document(&list),
        document(&front),
        json!([2, [[0, "/list/0", "new"]]]),
    );
    check(
        document(&front),
        document(&list),
        json!([2, [[1, "/list/0"]]]),
    );

    let mut middle = list.clone();
    middle[1_000]["name"] = json!("other");
    check(
        document(&list),
        document(&middle),
        json!([2, [[2, "/list/1000/name", "other"]]]),
    );

    // Both ends differ, so that only the alignment can see what the middle has in common.
    let mut both = list.clone();
    both.insert(0, json!("new"));
    both.pop();
    check(
        document(&list),
        document(&both),
        json!([2, [[0, "/list/0", "new"], [1, "/list/2000"]]]),
    );

    let mut moved = list[..100].to_vec();
    let one = moved.remove(10);
    moved.insert(90, one.clone());
    check(
        document(&list[..100]),
        document(&moved),
        json!([2, [[1, "/list/10"], [0, "/list/90", one]]]),
    );
}

#[test]
fn lists_too_different_to_align_are_replaced() {
    let list = |from: i64| json!({"list": (from..from + 5_000).collect::<Vec<_>>(), "k": "v"});
    let (mut before, after) = (list(0), list(1));
    before["list"][0] = json!(-1);
    before["k"] = json!("w");
    let event = saved(&before, &after);
    assert_eq!(
        event[0], 1,
        "the whole document is smaller than patching both members"
    );
    let (before, after) = (with_ballast(before), with_ballast(after));
    let event = saved(&before, &after);
    assert_eq!(
        event,
        json!([2, [[2, "/k", "v"], [2, "/list", after["list"]]]])
    );
}

#[test]
fn members_travel_by_name() {
    check(
        with_ballast(json!({"a": 1, "b": {"c": [1, 2, 3], "d": 2}, "e": 5})),
        with_ballast(json!({"a": 1, "b": {"c": [1, 9, 3], "d": 2}, "f/~": 6})),
        json!([2, [[2, "/b/c/1", 9], [1, "/e"], [0, "/f~1~0", 6]]]),
    );
    check(
        with_ballast(json!({"a": {"x": 1, "y": 2, "z": 3}})),
        with_ballast(json!({"a": {"x": 4, "y": 5, "z": 6}})),
        json!([2, [[2, "/a", {"x": 4, "y": 5, "z": 6}]]]),
    );
}

#[test]
fn the_smaller_of_patch_and_document_travels() {
    check(
        json!({"a": 1, "b": 2, "c": 3}),
        json!({"a": 4, "b": 5, "c": 6}),
        json!([1, {"a": 4, "b": 5, "c": 6}]),
    );
    check(
        json!({"a": 1, "text": "long enough"}),
        json!({"a": 2, "text": "long enough"}),
        json!([2, [[2, "/a", 2]]]),
    );
}

#[test]
fn a_merge_or_patch_leaves_other_members_to_others() {
    let before = json!({"a": 1, "b": 2});
    let merge = json!({"a": 3});
    let event = encode(Some(&state(&before)), &Action::Merge(&merge))
        .unwrap()
        .unwrap();
    let concurrent = state(&json!({"a": 1, "b": 7}));
    assert_eq!(
        apply(Some(&concurrent), &event).unwrap(),
        state(&json!({"a": 3, "b": 7}))
    );
}

#[test]
fn a_patch_of_too_many_operations_becomes_the_document() {
    let many = |from: i64| Value::from_iter((0..1_500).map(|i| (format!("m{i}"), json!(from + i))));
    let (before, after) = (many(0), many(1));
    let event = encode(Some(&state(&before)), &Action::Merge(&after))
        .unwrap()
        .unwrap();
    assert_eq!(event, serde_ipld_dagcbor::to_vec(&(1, &after)).unwrap());
    // One level down it is the member that is replaced.
    let (before, after) = (json!({"in": before, "k": 1}), json!({"in": after}));
    let event = encode(Some(&state(&before)), &Action::Merge(&after))
        .unwrap()
        .unwrap();
    let ops = json!([[2, "/in", after["in"]]]);
    assert_eq!(event, serde_ipld_dagcbor::to_vec(&(2, ops)).unwrap());
}

#[test]
fn null_is_a_value() {
    let (null, empty) = (json!({"a": null}), json!({}));
    check(empty.clone(), null.clone(), json!([1, {"a": null}]));
    check(null.clone(), empty.clone(), json!([1, {}]));
    assert_eq!(
        encode(Some(&state(&null)), &Action::Save(&null)).unwrap(),
        None
    );
    let created = encode(None, &Action::Create(&null)).unwrap().unwrap();
    assert_eq!(apply(None, &created).unwrap().as_bytes(), br#"{"a":null}"#);
    let patch = json!([{"op": "add", "path": "/a", "value": null}]);
    let patched = encode(Some(&state(&empty)), &Action::Patch(&patch))
        .unwrap()
        .unwrap();
    assert_eq!(apply(Some(&state(&empty)), &patched).unwrap(), state(&null));
    check(
        with_ballast(json!({"a": 1})),
        with_ballast(json!({"a": null})),
        json!([2, [[2, "/a", null]]]),
    );
}

#[test]
fn numbers_travel_exactly() {
    // (the application's JSON, the canonical text)
    let cases = [
        ("0", "0"),
        ("1", "1"),
        ("1.0", "1.0"),
        ("-1", "-1"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551616", "1.8446744073709552e19"),
        ("0.1", "0.1"),
        ("1e16", "1e16"),
        ("1e15", "1000000000000000.0"),
        ("1.5e300", "1.5e300"),
        ("1e-5", "1e-5"),
        ("0.0001", "0.0001"),
        ("5e-324", "5e-324"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("2.2250738585072011e-308", "2.225073858507201e-308"),
        ("-0.0", "0.0"),
        ("-0", "0.0"),
    ];
    for (given, text) in cases {
        let value: Value = serde_json::from_str(&format!("{{\"n\":{given}}}")).unwrap();
        let want = format!("{{\"n\":{text}}}");
        let event = encode(None, &Action::Create(&value)).unwrap().unwrap();
        let created = apply(None, &event).unwrap();
        assert_eq!(created.as_bytes(), want.as_bytes(), "{given}");
        let event = encode(Some(&state(&json!({"n": "x"}))), &Action::Merge(&value));
        let merged = apply(None, &event.unwrap().unwrap()).unwrap();
        assert_eq!(merged.as_bytes(), want.as_bytes(), "{given}");
    }
    check(
        with_ballast(json!({"n": 1})),
        with_ballast(json!({"n": 1.0})),
        json!([2, [[2, "/n", 1.0]]]),
    );
    let zero = state(&json!({"n": 0.0}));
    assert_eq!(
        encode(Some(&zero), &Action::Save(&json!({"n": -0.0}))).unwrap(),
        None
    );
    assert_eq!(
        encode(Some(&zero), &Action::Merge(&json!({"n": -0.0}))).unwrap(),
        None
    );
}

#[test]
fn rust_numbers_beyond_json_are_refused_or_null() {
    let create = |value: &dyn erased_serde::Serialize| encode(None, &Action::Create(value));
    let map = |n: i128| std::collections::BTreeMap::from([("n", vec![n])]);
    for n in [i128::from(u64::MAX), i128::from(i64::MIN), -1, 0] {
        let state = apply(None, &create(&map(n)).unwrap().unwrap()).unwrap();
        assert_eq!(state.as_bytes(), format!("{{\"n\":[{n}]}}").as_bytes());
    }
    for n in [i128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1] {
        let error = create(&map(n)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("64 bits"), "{error}");
    }
    let nan = std::collections::BTreeMap::from([("n", f64::NAN)]);
    assert_eq!(
        apply(None, &create(&nan).unwrap().unwrap())
            .unwrap()
            .as_bytes(),
        br#"{"n":null}"#
    );
}

#[test]
fn anything_else_is_rejected() {
    let cases = [
        ("nothing", ""),
        ("not a list", "a0"),
        ("a list of one", "8100"),
        ("a list of three", "8300a000"),
        ("an unknown kind", "8203a0"),
        ("a kind that is not a number", "826130a0"),
        ("a float as kind", "82fb0000000000000000a0"),
        ("create without a document", "820080"),
        ("replace by a scalar", "820101"),
        ("patch by a document", "8202a0"),
        ("no operation", "820280"),
        ("an operation that is not a list", "820281a0"),
        ("an operation without a path", "8202818101"),
        ("remove with a value", "820281830162 2f61 00"),
        ("add without a value", "8202818200622f61"),
        ("replace without a value", "8202818202622f61"),
        ("four parts", "82028184 00 622f61 00 00"),
        ("move", "82028183 03 622f61 622f62"),
        ("a named operation", "82028183 63616464 622f61 00"),
        ("a path that is a number", "82028182 01 00"),
        ("the path of the document", "82028182 01 60"),
        ("a path without a slash", "82028182 01 6161"),
        ("a bad escape", "82028182 01 632f7e32"),
        ("a cut escape", "82028182 01 622f7e"),
        ("trailing bytes", "8200a000"),
        ("a cut event", "8200a1"),
        ("a long integer", "821800a0"),
        ("a short float", "8200a16161f93c00"),
        ("NaN", "8200a16161fb7ff8000000000000"),
        ("infinity", "8200a16161fb7ff0000000000000"),
        ("minus zero", "8200a16161fb8000000000000000"),
        ("members out of order", "8200a2616200616100"),
        ("a member twice", "8200a2616100616101"),
        ("a key that is not text", "8200a10000"),
        ("an indefinite map", "8200bfff"),
        ("an indefinite list", "9f00a0ff"),
        ("an indefinite key", "8200a17f616100ff"),
        ("an indefinite text", "8200a161617f6161ff"),
        ("bytes", "8200a161614100"),
        (
            "a link",
            "8200a16161d82a5825000155122000000000000000000000000000000000000000000000000000000000000000ff00",
        ),
        ("undefined", "8200a16161f7"),
        ("an integer below -2^63", "8200a161613b8000000000000000"),
        ("text that is not UTF-8", "8200a1616161ff"),
        ("a length that lies", "8200a161619bffffffffffffffff"),
        ("a text length that lies", "8200a161617b7fffffffffffffff"),
    ];
    for (what, event) in cases {
        let before = state(&json!({"a": 1}));
        for before in [None, Some(&before)] {
            let error = apply(before, &unhex(event)).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Rejected, "{what}: {error}");
        }
    }
    apply(None, &unhex("8202818201632f7e31")).expect("the same in order is an event");
}

#[test]
fn a_create_of_what_exists_merges_its_members() {
    let first = encode(
        None,
        &Action::Create(&json!({"a": 1, "b": {"x": 1}, "c": 1})),
    )
    .unwrap();
    let second = encode(None, &Action::Create(&json!({"b": {"y": 2}, "c": null}))).unwrap();
    let both = common::run(&[first.unwrap(), second.unwrap()]);
    assert_eq!(both.as_bytes(), br#"{"a":1,"b":{"y":2},"c":null}"#);
}

#[test]
fn a_patch_without_its_creation_applies_to_nothing() {
    let before = with_ballast(json!({"a": 1, "l": [1]}));
    let after = with_ballast(json!({"a": 2, "l": [1, 2]}));
    let event = encode(Some(&state(&before)), &Action::Save(&after))
        .unwrap()
        .unwrap();
    assert_eq!(apply(None, &event).unwrap().as_bytes(), br#"{"a":2}"#);
}
