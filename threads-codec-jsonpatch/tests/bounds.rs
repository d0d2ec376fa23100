//! Whatever the input, memory and stack stay bounded, and the error says so.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "a test asserts")]

mod common;

use common::{apply, encode, state};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::{Value, json};
use threads_codec_jsonpatch::{
    DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_VALUES_MAX, EVENT_BYTES_MAX, EVENT_OPS_MAX,
};
use threads_core::codec::{Action, EntityState};
use threads_core::{Error, ErrorKind, Result};

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, word: &str) -> Error {
    let error = result.expect_err(word);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(word), "{error}");
    error
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// A document of exactly `bytes` bytes of text.
fn long(bytes: usize) -> Value {
    json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())})
}

#[test]
fn row_30_a_copy_bomb_is_refused() {
    let mut bomb = vec![json!({"op": "add", "path": "/a", "value": ["x".repeat(100)]})];
    for _ in 0..20 {
        bomb.push(json!({"op": "copy", "from": "/a", "path": "/a/-"}));
    }
    let bomb = Value::Array(bomb);
    assert!(bomb.to_string().len() < 1_300);
    let error = check(
        encode(Some(&state(&json!({}))), &Action::Patch(&bomb)),
        ErrorKind::Invalid,
        "bytes",
    );
    assert!(
        error.context().any(|fact| fact == ("op", "copy")),
        "{error}"
    );
}

#[test]
fn many_copies_of_one_large_value_are_refused() {
    let before = state(&json!({"a": "x".repeat(300_000)}));
    let copy = |i: usize| json!({"op": "copy", "from": "/a", "path": format!("/{i}")});
    let error = check(
        encode(
            Some(&before),
            &Action::Patch(&Value::from_iter((0..1_000).map(copy))),
        ),
        ErrorKind::Invalid,
        "bytes",
    );
    assert!(
        error.context().any(|fact| fact == ("operation", "5")),
        "{error}"
    );
}

#[test]
fn a_patch_is_bounded_before_it_is_read() {
    let test = |value| json!([{"op": "test", "path": "/a", "value": value}]);
    let before = state(&json!({"a": 1}));
    let deep = test(nested(DOCUMENT_DEPTH_MAX + 1));
    check(
        encode(Some(&before), &Action::Patch(&deep)),
        ErrorKind::Invalid,
        "deep",
    );
    let long = test(json!("x".repeat(DOCUMENT_BYTES_MAX)));
    check(
        encode(Some(&before), &Action::Patch(&long)),
        ErrorKind::Invalid,
        "bytes",
    );
}

#[test]
fn a_copy_that_nests_is_refused_before_the_stack_knows() {
    let mut op = json!({"op": "copy", "from": "/a", "path": "/a/a"});
    let mut bomb = vec![json!({"op": "add", "path": "/a", "value": {"a": {}}})];
    for _ in 0..20 {
        bomb.push(op.clone());
        op["path"] = json!(format!("{}/a", op["path"].as_str().unwrap()));
        bomb.push(op.clone());
    }
    let bomb = Value::Array(bomb);
    check(
        encode(Some(&state(&json!({}))), &Action::Patch(&bomb)),
        ErrorKind::Invalid,
        "deep",
    );
    let far = "/a".repeat(DOCUMENT_DEPTH_MAX + 1);
    let bomb = json!([{"op": "add", "path": far, "value": 1}]);
    check(
        encode(Some(&state(&json!({}))), &Action::Patch(&bomb)),
        ErrorKind::Invalid,
        "deep",
    );
}

#[test]
fn moving_large_values_is_not_growth() {
    let before = long(DOCUMENT_BYTES_MAX - 2);
    let there_and_back = [("/a", "/b"), ("/b", "/a")].repeat(20);
    let ops = there_and_back
        .into_iter()
        .map(|(from, path)| json!({"op": "move", "from": from, "path": path}));
    let patch = Value::Array(ops.collect());
    assert_eq!(
        encode(Some(&state(&before)), &Action::Patch(&patch)).unwrap(),
        None
    );
    // A copy has room while the patch runs, as long as the original goes.
    let copy = json!([
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "remove", "path": "/a"}
    ]);
    let before = long(DOCUMENT_BYTES_MAX - 100);
    encode(Some(&state(&before)), &Action::Patch(&copy))
        .unwrap()
        .unwrap();
}

#[test]
fn a_document_has_a_longest_text() {
    let longest = EntityState::new(long(DOCUMENT_BYTES_MAX).to_string());
    check(
        encode(None, &Action::Create(&long(DOCUMENT_BYTES_MAX + 1))),
        ErrorKind::Invalid,
        "bytes",
    );
    // The same document takes two bytes more as an event.
    let fits = long(DOCUMENT_BYTES_MAX - 2);
    let event = encode(None, &Action::Create(&fits)).unwrap().unwrap();
    assert_eq!(apply(None, &event).unwrap(), state(&fits));
    assert_eq!(
        encode(Some(&longest), &Action::Save(&long(DOCUMENT_BYTES_MAX))).unwrap(),
        None
    );
    let more = json!({"b": 1});
    for action in [
        Action::Merge(&more),
        Action::Save(&long(DOCUMENT_BYTES_MAX + 1)),
    ] {
        check(encode(Some(&longest), &action), ErrorKind::Invalid, "bytes");
    }
    let event = encode(Some(&state(&json!({}))), &Action::Merge(&more))
        .unwrap()
        .unwrap();
    check(apply(Some(&longest), &event), ErrorKind::Rejected, "bytes");
}

#[test]
fn text_that_grows_when_escaped_is_counted_as_text() {
    let escaped = json!({"a": "\u{1}".repeat(DOCUMENT_BYTES_MAX / 5)});
    check(
        encode(None, &Action::Create(&escaped)),
        ErrorKind::Invalid,
        "bytes",
    );
    let event = serde_ipld_dagcbor::to_vec(&(0, &escaped)).unwrap();
    check(apply(None, &event), ErrorKind::Rejected, "bytes");
}

#[test]
fn a_document_has_a_deepest_level() {
    let deepest = json!({"a": nested(DOCUMENT_DEPTH_MAX - 1)});
    let event = encode(None, &Action::Create(&deepest)).unwrap().unwrap();
    assert_eq!(apply(None, &event).unwrap(), state(&deepest));

    let deeper = json!({"a": nested(DOCUMENT_DEPTH_MAX)});
    check(
        encode(None, &Action::Create(&deeper)),
        ErrorKind::Invalid,
        "deep",
    );
    check(
        encode(Some(&state(&json!({}))), &Action::Merge(&deeper)),
        ErrorKind::Invalid,
        "deep",
    );
    let event = serde_ipld_dagcbor::to_vec(&(0, &deeper)).unwrap();
    check(apply(None, &event), ErrorKind::Rejected, "deep");
    let far = serde_ipld_dagcbor::to_vec(&(2, [(1, "/a".repeat(DOCUMENT_DEPTH_MAX + 1))])).unwrap();
    check(apply(None, &far), ErrorKind::Rejected, "deep");

    // Operations that only together are too deep.
    let half = json!([0, "/a", nested(40)]);
    let other = json!([0, format!("/a{}", "/0".repeat(40)), nested(40)]);
    let event = serde_ipld_dagcbor::to_vec(&(2, [half, other])).unwrap();
    check(apply(None, &event), ErrorKind::Rejected, "deep");
}

#[test]
fn row_31_endless_nesting_never_reaches_the_stack() {
    let mut event = vec![0x82, 0x00];
    event.resize(EVENT_BYTES_MAX, 0x81);
    check(apply(None, &event), ErrorKind::Rejected, "deep");

    /// Nests for ever.
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut list = serializer.serialize_seq(Some(1))?;
            list.serialize_element(&Self)?;
            list.end()
        }
    }
    check(
        encode(None, &Action::Create(&Endless)),
        ErrorKind::Invalid,
        "deep",
    );
}

#[test]
fn an_endless_value_is_refused_while_it_is_written() {
    struct Endless(usize);
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::repeat("x".repeat(self.0)))
        }
    }
    check(
        encode(None, &Action::Create(&Endless(100))),
        ErrorKind::Invalid,
        "bytes",
    );
    check(
        encode(None, &Action::Create(&Endless(0))),
        ErrorKind::Invalid,
        "values",
    );
}

#[test]
fn a_document_has_a_greatest_number_of_values() {
    // The document and the list are values too.
    let list = |n: usize| json!({"a": vec![0; n - 2]});
    let most = list(DOCUMENT_VALUES_MAX);
    let event = encode(None, &Action::Create(&most)).unwrap().unwrap();
    assert_eq!(apply(None, &event).unwrap(), state(&most));
    let more = list(DOCUMENT_VALUES_MAX + 1);
    check(
        encode(None, &Action::Create(&more)),
        ErrorKind::Invalid,
        "values",
    );
    let event = serde_ipld_dagcbor::to_vec(&(0, &more)).unwrap();
    check(apply(None, &event), ErrorKind::Rejected, "values");
    // Three bytes each that would take two hundred times as much memory.
    let maps = vec![json!({"": 0}); 150_000];
    let event = serde_ipld_dagcbor::to_vec(&(0, json!({"a": maps}))).unwrap();
    check(apply(None, &event), ErrorKind::Rejected, "values");
}

#[test]
fn an_event_has_a_greatest_length() {
    let mut event = encode(None, &Action::Create(&json!({}))).unwrap().unwrap();
    event.resize(EVENT_BYTES_MAX + 1, 0);
    check(apply(None, &event), ErrorKind::Rejected, "too large");
    // Nine bytes in an event for four of text.
    let floats = json!({"a": vec![0.5; 200_000]});
    check(
        encode(None, &Action::Create(&floats)),
        ErrorKind::Invalid,
        "values",
    );
    let keys: Value = Value::from_iter((0..80_000).map(|i| (format!("{i}"), json!(0.5))));
    check(
        encode(None, &Action::Create(&keys)),
        ErrorKind::Invalid,
        "too large",
    );
}

#[test]
fn operations_are_counted() {
    let ops = |n: usize| vec![json!([1, "/a"]); n];
    let event = serde_ipld_dagcbor::to_vec(&(2, ops(EVENT_OPS_MAX))).unwrap();
    apply(None, &event).unwrap();
    let event = serde_ipld_dagcbor::to_vec(&(2, ops(EVENT_OPS_MAX + 1))).unwrap();
    check(apply(None, &event), ErrorKind::Rejected, "operations");
    let patch = vec![json!({"op": "test", "path": "", "value": {}}); EVENT_OPS_MAX + 1];
    let patch = Value::Array(patch);
    check(
        encode(Some(&state(&json!({}))), &Action::Patch(&patch)),
        ErrorKind::Invalid,
        "operations",
    );
}

#[test]
fn a_long_name_above_many_changes_is_not_repeated_for_each() {
    let document =
        |from: u64| json!({"n".repeat(400_000): (from..from + 40_000).collect::<Vec<_>>()});
    let event = encode(Some(&state(&document(0))), &Action::Save(&document(1)))
        .unwrap()
        .unwrap();
    assert!(event.len() < 700_000);
}
