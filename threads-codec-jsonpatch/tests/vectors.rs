//! The vectors of the specification: `THREADS_VECTORS=write` writes them, otherwise they are
//! compared with what the codec does now.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "tables of examples"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{apply, encode, state};
use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState};

const FILE: &str = "../spec/vectors/jsonpatch.json";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

/// `None` for no document.
fn before(document: &Value) -> Option<EntityState> {
    (!document.is_null()).then(|| state(document))
}

/// A case of the file from an action on a document.
fn made(name: &str, document: Value, action: Value) -> Value {
    let (kind, value) = action.as_object().unwrap().iter().next().unwrap();
    let asked = match kind.as_str() {
        "create" => Action::Create(value),
        "save" => Action::Save(value),
        "merge" => Action::Merge(value),
        "patch" => Action::Patch(value),
        other => panic!("no action {other}"),
    };
    let event = encode(before(&document).as_ref(), &asked).unwrap();
    let after = match &event {
        Some(event) => apply(before(&document).as_ref(), event).unwrap(),
        None => state(&document),
    };
    json!({
        "name": name,
        "before": document,
        "action": action,
        "event_hex": event.as_deref().map(hex),
        "after": str::from_utf8(after.as_bytes()).unwrap(),
    })
}

/// A case of the file from an event that was made for another document, or is not one.
fn met(name: &str, document: Value, event: &[u8]) -> Value {
    let after = apply(before(&document).as_ref(), event);
    if let Err(error) = &after {
        assert_eq!(error.kind(), ErrorKind::Rejected, "{name}: {error}");
    }
    let text = |state: EntityState| String::from_utf8(state.as_bytes().to_vec()).unwrap();
    json!({
        "name": name,
        "before": document,
        "action": null,
        "event_hex": hex(event),
        "after": after.ok().map(text),
    })
}

fn actions() -> Vec<Value> {
    let long = "a name that is long enough to make the whole document larger than a change";
    let list = |range: std::ops::Range<i64>| Value::from_iter(range);
    vec![
        made(
            "create",
            json!(null),
            json!({"create": {"name": "Ann", "age": 41}}),
        ),
        made(
            "create an empty document",
            json!(null),
            json!({"create": {}}),
        ),
        made(
            "save without a document before",
            json!(null),
            json!({"save": {"a": 1}}),
        ),
        made(
            "save one member",
            json!({"age": 41, "name": "Ann"}),
            json!({"save": {"age": 42, "name": "Ann"}}),
        ),
        made(
            "save nothing new",
            json!({"a": [1, {"b": null}]}),
            json!({"save": {"a": [1, {"b": null}]}}),
        ),
        made(
            "save what is smaller whole",
            json!({"a": 1, "b": 2, "c": 3}),
            json!({"save": {"a": 4, "b": 5, "c": 6}}),
        ),
        made(
            "save removes, changes inside, then adds",
            json!({"long": long, "a": 1, "b": {"c": 1, "d": [1, 2, 3]}}),
            json!({"save": {"long": long, "b": {"c": 1, "d": [1, 9, 3]}, "e/~": "x"}}),
        ),
        made(
            "insert at the front of a list",
            json!({"list": list(0..100)}),
            json!({"save": {"list": list(-1..100)}}),
        ),
        made(
            "move within a list",
            json!({"list": ["a", "b", "c", "d", "e", "f"], "long": long}),
            json!({"save": {"list": ["a", "c", "d", "e", "b", "f"], "long": long}}),
        ),
        made(
            "a member of an object replaced whole",
            json!({"p": {"x": 1, "y": 2, "z": 3}, "long": long}),
            json!({"save": {"p": {"x": 4, "y": 5, "z": 6}, "long": long}}),
        ),
        made(
            "explicit null",
            json!({"a": 1, "long": long}),
            json!({"save": {"a": null, "long": long}}),
        ),
        made(
            "merge: null removes",
            json!({"a": 1, "b": {"c": 2}}),
            json!({"merge": {"a": null, "b": {"d": 3}}}),
        ),
        made(
            "merge nothing new",
            json!({"a": 1}),
            json!({"merge": {"a": 1, "b": null}}),
        ),
        made(
            "patch: test, copy and move do not travel",
            json!({"a": {"x": 1}, "b": [1, 2]}),
            json!({"patch": [
                {"op": "test", "path": "/a/x", "value": 1.0},
                {"op": "copy", "from": "/a", "path": "/c"},
                {"op": "move", "from": "/b/0", "path": "/b/1"},
                {"op": "add", "path": "/b/-", "value": null},
            ]}),
        ),
        made(
            "numbers",
            json!(null),
            json!({"create": {
                "n": [0, 1, -1, 23, 24, 255, 256, 65535, 65536, 4294967295_u64, 4294967296_u64,
                    u64::MAX, i64::MIN, i64::MAX],
                "f": [0.0, 1.0, -1.5, 0.1, 0.0001, 0.00001, 1e15, 1e16, 1e100, -2.5e-7, 5e-324,
                    f64::MAX, 123456789012345680.0, 9007199254740993.0],
            }}),
        ),
        made(
            "an integer becomes a float",
            json!({"n": 1, "long": long}),
            json!({"save": {"n": 1.0, "long": long}}),
        ),
        made(
            "strings and names",
            json!(null),
            json!({"create": {
                "": "empty", "b": "\u{0}\u{1f}\u{7f}\u{8}\t\n\u{c}\r\"\\/", "aa": "é€😀\u{2028}", "é": 1, "B": 2, "😀": 3, "\u{ffff}": 4,
            }}),
        ),
    ]
}

fn meetings() -> Vec<Value> {
    let event = |value: Value| serde_ipld_dagcbor::to_vec(&value).unwrap();
    let met = |name, document, value| met(name, document, &event(value));
    vec![
        met(
            "a second create sets its members",
            json!({"a": 1, "b": {"x": 1}}),
            json!([0, {"b": {"y": 2}, "c": null}]),
        ),
        met(
            "a replace leaves nothing",
            json!({"a": 1}),
            json!([1, {"b": 2}]),
        ),
        met(
            "a patch before its create",
            json!(null),
            json!([2, [[2, "/a", 2], [0, "/l/0", 1]]]),
        ),
        met(
            "a missing parent",
            json!({"a": 1}),
            json!([2, [[0, "/b/c", 1], [2, "/b/c", 1], [1, "/b/c"]]]),
        ),
        met(
            "a scalar parent",
            json!({"a": 1, "n": null}),
            json!([2, [[0, "/a/b", 1], [0, "/n/0", 1]]]),
        ),
        met(
            "a missing member",
            json!({"a": 1}),
            json!([2, [[1, "/b"], [2, "/c", 3]]]),
        ),
        met(
            "a member that is there",
            json!({"a": 1}),
            json!([2, [[0, "/a", 2]]]),
        ),
        met(
            "indexes at and beyond the end",
            json!({"l": [1, 2]}),
            json!([
                2,
                [
                    [0, "/l/2", 3],
                    [2, "/l/3", 4],
                    [0, "/l/9", 4],
                    [2, "/l/18446744073709551615", 5],
                    [1, "/l/5"],
                    [1, "/l/0"]
                ]
            ]),
        ),
        met(
            "steps that are not indexes",
            json!({"l": [1, 2]}),
            json!([
                2,
                [
                    [0, "/l/-", 3],
                    [0, "/l/01", 3],
                    [0, "/l/+1", 3],
                    [0, "/l/", 3],
                    [1, "/l/00"],
                    [0, "/l/18446744073709551616", 3],
                    [0, "/l/x", 3],
                ]
            ]),
        ),
        met(
            "names that look like indexes",
            json!({"0": {"-": 1}}),
            json!([2, [[2, "/0/-", 2], [0, "/0/00", 3]]]),
        ),
        met(
            "escapes in a path",
            json!({"~1": 1, "/": 2}),
            json!([2, [[1, "/~01"], [2, "/~1", 3]]]),
        ),
        met(
            "the empty name",
            json!({"": {"": 1}}),
            json!([2, [[2, "//", 2]]]),
        ),
        met(
            "one operation after another",
            json!({}),
            json!([2, [[0, "/a", {}], [0, "/a/b", []], [0, "/a/b/0", 1]]]),
        ),
    ]
}

fn rejections() -> Vec<Value> {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let encoded = |value: Value| hex(&serde_ipld_dagcbor::to_vec(&value).unwrap());
    let cases = [
        ("no bytes", String::new()),
        ("a map", "a0".into()),
        ("three parts", "8300a000".into()),
        ("an unknown kind", "8203a0".into()),
        ("a float as kind", "82fb3ff0000000000000a0".into()),
        ("a boolean as kind", "82f5a0".into()),
        ("a create of a list", "820080".into()),
        ("a patch without operations", "820280".into()),
        ("a patch that is a map", "8202a0".into()),
        ("a remove with a value", encoded(json!([2, [[1, "/a", 0]]]))),
        ("an add without a value", encoded(json!([2, [[0, "/a"]]]))),
        (
            "an unknown operation",
            encoded(json!([2, [[3, "/a", "/b"]]])),
        ),
        (
            "an operation by name",
            encoded(json!([2, [["add", "/a", 0]]])),
        ),
        ("the document as target", encoded(json!([2, [[2, "", {}]]]))),
        ("a path without a slash", encoded(json!([2, [[1, "a"]]]))),
        ("an unknown escape", encoded(json!([2, [[1, "/~2"]]]))),
        ("a cut escape", encoded(json!([2, [[1, "/~"]]]))),
        (
            "a path of 65 steps",
            encoded(json!([2, [[1, "/a".repeat(65)]]])),
        ),
        ("trailing bytes", "8200a000".into()),
        ("a cut event", "8200a1".into()),
        ("a long integer", "821800a0".into()),
        ("a short float", "8200a16161f93c00".into()),
        ("not a number", "8200a16161fb7ff8000000000000".into()),
        ("infinity", "8200a16161fb7ff0000000000000".into()),
        ("minus zero", "8200a16161fb8000000000000000".into()),
        (
            "an integer below -2^63",
            "8200a161613b8000000000000000".into(),
        ),
        ("members out of order", "8200a2616200616100".into()),
        ("a member twice", "8200a2616100616101".into()),
        ("a name that is a number", "8200a10000".into()),
        ("an indefinite list", "9f00a0ff".into()),
        ("bytes", "8200a161614100".into()),
        ("a tag", "8200a16161d82a4100".into()),
        ("undefined", "8200a16161f7".into()),
        ("text that is not UTF-8", "8200a1616161ff".into()),
        (
            "a document of 65 levels",
            encoded(json!([0, {"a": nested(64)}])),
        ),
    ];
    let case = |(name, event): &(&str, String)| {
        let case = met(&format!("rejected: {name}"), json!({"a": 1}), &unhex(event));
        assert_eq!(case["after"], json!(null), "{name}");
        case
    };
    let mut cases: Vec<_> = cases.iter().map(case).collect();
    let deepest = json!([0, {"a": nested(63)}]);
    cases.push(met(
        "a document of 64 levels",
        json!(null),
        &unhex(&encoded(deepest)),
    ));
    cases
}

#[test]
fn the_vectors_are_what_the_codec_does() {
    let cases = [actions(), meetings(), rejections()].concat();
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("THREADS_VECTORS").is_some_and(|mode| mode == "write") {
        fs::write(&file, &text).unwrap();
    }
    let pinned = fs::read_to_string(&file).unwrap();
    let pinned: Vec<Value> = serde_json::from_str(&pinned).unwrap();
    for (now, then) in cases.iter().zip(&pinned) {
        assert_eq!(now, then, "the format changed: that needs another codec id");
    }
    assert_eq!(cases.len(), pinned.len());
}
