//! The examples of RFC 6902 (appendix A) and RFC 7396 (section 3 and appendix A), on the member
//! "d" of a document, because an entity is an object and many examples are lists or scalars.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "tables of examples"
)]

mod common;

use common::{apply, encode, state};
use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::ErrorKind;
use threads_core::codec::{Action, EventCodecExt};

fn after(before: &Value, action: &Action<'_>) -> Result<Value, ErrorKind> {
    let before = state(before);
    match encode(Some(&before), action).map_err(|error| error.kind())? {
        Some(event) => JsonPatch::new().value(&apply(Some(&before), &event).unwrap()),
        None => JsonPatch::new().value(&before),
    }
    .map_err(|error| error.kind())
}

/// The patch with every pointer below "d".
fn below(patch: &Value) -> Value {
    let mut patch = patch.clone();
    for op in patch.as_array_mut().unwrap() {
        for name in ["path", "from"] {
            if let Some(pointer) = op.get_mut(name) {
                *pointer = json!(format!("/d{}", pointer.as_str().unwrap()));
            }
        }
    }
    patch
}

fn check_6902(section: &str, before: Value, patch: Value, want: Result<Value, ErrorKind>) {
    let want = want.map(|value| json!({"d": value}));
    let patch = below(&patch);
    let got = after(&json!({"d": before}), &Action::Patch(&patch));
    assert_eq!(got, want, "{section}");
}

#[test]
fn rfc_6902_changes() {
    let cases = [
        (
            "A.1",
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/baz", "value": "qux"}]),
            json!({"baz": "qux", "foo": "bar"}),
        ),
        (
            "A.2",
            json!({"foo": ["bar", "baz"]}),
            json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
            json!({"foo": ["bar", "qux", "baz"]}),
        ),
        (
            "A.3",
            json!({"baz": "qux", "foo": "bar"}),
            json!([{"op": "remove", "path": "/baz"}]),
            json!({"foo": "bar"}),
        ),
        (
            "A.4",
            json!({"foo": ["bar", "qux", "baz"]}),
            json!([{"op": "remove", "path": "/foo/1"}]),
            json!({"foo": ["bar", "baz"]}),
        ),
        (
            "A.5",
            json!({"baz": "qux", "foo": "bar"}),
            json!([{"op": "replace", "path": "/baz", "value": "boo"}]),
            json!({"baz": "boo", "foo": "bar"}),
        ),
        (
            "A.6",
            json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
            json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
            json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
        ),
        (
            "A.7",
            json!({"foo": ["all", "grass", "cows", "eat"]}),
            json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
            json!({"foo": ["all", "cows", "eat", "grass"]}),
        ),
        (
            "A.8",
            json!({"baz": "qux", "foo": ["a", 2, "c"]}),
            json!([
                {"op": "test", "path": "/baz", "value": "qux"},
                {"op": "test", "path": "/foo/1", "value": 2}
            ]),
            json!({"baz": "qux", "foo": ["a", 2, "c"]}),
        ),
        (
            "A.10",
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/child", "value": {"grandchild": {}}}]),
            json!({"foo": "bar", "child": {"grandchild": {}}}),
        ),
        (
            "A.11",
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]),
            json!({"foo": "bar", "baz": "qux"}),
        ),
        (
            "A.14",
            json!({"/": 9, "~1": 10}),
            json!([{"op": "test", "path": "/~01", "value": 10}]),
            json!({"/": 9, "~1": 10}),
        ),
        (
            "A.16",
            json!({"foo": ["bar"]}),
            json!([{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]),
            json!({"foo": ["bar", ["abc", "def"]]}),
        ),
        (
            "4.6: numbers are equal by value",
            json!({"n": [1, {"x": 2.0}]}),
            json!([{"op": "test", "path": "/n", "value": [1.0, {"x": 2}]}]),
            json!({"n": [1, {"x": 2.0}]}),
        ),
    ];
    for (section, before, patch, want) in cases {
        check_6902(section, before, patch, Ok(want));
    }
}

#[test]
fn rfc_6902_errors() {
    let cases = [
        (
            "A.9",
            json!({"baz": "qux"}),
            json!([{"op": "test", "path": "/baz", "value": "bar"}]),
            ErrorKind::Conflict,
        ),
        (
            "A.12",
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/baz/bat", "value": "qux"}]),
            ErrorKind::Invalid,
        ),
        (
            "A.13: an unknown operation",
            json!({"foo": "bar"}),
            json!([{"op": "xyz", "path": "/baz", "value": "qux"}]),
            ErrorKind::Invalid,
        ),
        (
            "A.15",
            json!({"/": 9, "~1": 10}),
            json!([{"op": "test", "path": "/~01", "value": "10"}]),
            ErrorKind::Conflict,
        ),
    ];
    for (section, before, patch, want) in cases {
        check_6902(section, before, patch, Err(want));
    }
}

#[test]
fn an_error_names_the_operation_and_changes_nothing() {
    let patch = json!([
        {"op": "add", "path": "/a", "value": 1},
        {"op": "test", "path": "/b", "value": 2}
    ]);
    let error = encode(Some(&state(&json!({"b": 3}))), &Action::Patch(&patch)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let facts: Vec<_> = error.context().collect();
    assert_eq!(facts, [("operation", "1"), ("op", "test"), ("path", "/b")]);
}

#[test]
fn rfc_7396_examples() {
    // (original, patch, result)
    let cases = [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": "b"}),
            json!({"b": "c"}),
            json!({"a": "b", "b": "c"}),
        ),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (
            json!({"a": "b", "b": "c"}),
            json!({"a": null}),
            json!({"b": "c"}),
        ),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": "d", "c": null}}),
            json!({"a": {"b": "d"}}),
        ),
        (
            json!({"a": [{"b": "c"}]}),
            json!({"a": [1]}),
            json!({"a": [1]}),
        ),
        (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
        (json!({"a": "b"}), json!(["c"]), json!(["c"])),
        (json!({"a": "foo"}), json!("bar"), json!("bar")),
        (
            json!({"e": null}),
            json!({"a": 1}),
            json!({"e": null, "a": 1}),
        ),
        (
            json!([1, 2]),
            json!({"a": "b", "c": null}),
            json!({"a": "b"}),
        ),
        (
            json!({}),
            json!({"a": {"bb": {"ccc": null}}}),
            json!({"a": {"bb": {}}}),
        ),
    ];
    for (original, patch, want) in cases {
        let merge = json!({"d": patch});
        let got = after(&json!({"d": original}), &Action::Merge(&merge));
        assert_eq!(got, Ok(json!({"d": want})), "{original} {patch}");
    }
    // {"a": "foo"} merged with null: a member that null removes.
    let gone = json!({"d": null});
    assert_eq!(
        after(&json!({"d": {"a": "foo"}}), &Action::Merge(&gone)),
        Ok(json!({}))
    );
}

#[test]
fn a_document_stays_an_object() {
    let before = json!({"a": 1});
    for scalar in [json!(null), json!([1]), json!("x"), json!(7)] {
        let root = json!([{"op": "replace", "path": "", "value": scalar}]);
        let actions = [
            Action::Merge(&scalar),
            Action::Patch(&root),
            Action::Save(&scalar),
        ];
        for action in actions {
            assert_eq!(
                after(&before, &action),
                Err(ErrorKind::Invalid),
                "{action:?} {scalar}"
            );
        }
        let created = encode(None, &Action::Create(&scalar)).unwrap_err();
        assert_eq!(created.kind(), ErrorKind::Invalid);
    }
    let root = json!([{"op": "replace", "path": "", "value": {"b": 2}}]);
    assert_eq!(after(&before, &Action::Patch(&root)), Ok(json!({"b": 2})));
}
