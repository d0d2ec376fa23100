//! The vectors of the specification: `THREADS_VECTORS=write` writes them, otherwise they are
//! compared with what the codec does now.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use threads_codec_lww::Lww;
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec};

const FILE: &str = "../spec/vectors/lww.json";

/// A case of the file: these events, one after the other, then an action on what they made.
fn made(name: &str, events: &[&str], action: Value) -> Value {
    let state = replay(events);
    let (kind, value) = action.as_object().unwrap().iter().next().unwrap();
    let asked = match kind.as_str() {
        "create" => Action::Create(value),
        "save" => Action::Save(value),
        "merge" => Action::Merge(value),
        other => panic!("no action {other}"),
    };
    let event = Lww::new().encode(state.as_ref(), &asked).unwrap();
    let after = match &event {
        Some(event) => Some(Lww::new().apply(state.as_ref(), event).unwrap()),
        None => state,
    };
    json!({
        "name": name, "before": events, "action": action,
        "event": event.map(|event| String::from_utf8(event).unwrap()),
        "after": after.map(text),
    })
}

/// A case of the file: an event that was made elsewhere, or is not one.
fn met(name: &str, events: &[&str], event: &str) -> Value {
    let after = Lww::new().apply(replay(events).as_ref(), event.as_bytes());
    if let Err(error) = &after {
        assert_eq!(error.kind(), ErrorKind::Rejected, "{name}: {error}");
    }
    json!({
        "name": name, "before": events, "action": null,
        "event": event,
        "after": after.ok().map(text),
    })
}

fn replay(events: &[&str]) -> Option<EntityState> {
    let apply = |state: Option<EntityState>, event: &&str| {
        Some(Lww::new().apply(state.as_ref(), event.as_bytes()).unwrap())
    };
    events.iter().fold(None, apply)
}

/// The document, and the counts.
fn text(state: EntityState) -> [String; 2] {
    let (document, counts) = str::from_utf8(state.as_bytes())
        .unwrap()
        .split_once('\0')
        .unwrap();
    [document.into(), counts.into()]
}

const ANN: &str = r#"{"set":{"_id":"ann","age":41}}"#;

fn actions() -> Vec<Value> {
    let removed = [ANN, r#"{"remove":{"age":1}}"#];
    vec![
        made("create", &[], json!({"create": {"name": "Ann", "age": 41}})),
        made("create an empty document", &[], json!({"create": {}})),
        made(
            "save one member",
            &[ANN],
            json!({"save": {"_id": "ann", "age": 42}}),
        ),
        made(
            "save nothing new",
            &[ANN],
            json!({"save": {"_id": "ann", "age": 41}}),
        ),
        made(
            "save without a member",
            &[ANN],
            json!({"save": {"_id": "ann"}}),
        ),
        made(
            "save a member again",
            &removed,
            json!({"save": {"_id": "ann", "age": 43}}),
        ),
        made(
            "merge: null removes",
            &[ANN],
            json!({"merge": {"age": null, "nick": "a"}}),
        ),
        made(
            "merge: an object inside",
            &[r#"{"set":{"a":{"b":1,"c":2}}}"#],
            json!({"merge": {"a": {"b": null, "d": 3}}}),
        ),
        made(
            "merge nothing new",
            &[ANN],
            json!({"merge": {"age": 41, "nick": null}}),
        ),
        made(
            "numbers",
            &[],
            json!({"create": {
                "n": [0, -1, u64::MAX, i64::MIN],
                "f": [0.0, -0.0, 1.0, 0.1, 0.00001, 1e15, 1e16, -2.5e-7, 5e-324, f64::MAX],
            }}),
        ),
        made(
            "an integer becomes a float",
            &[r#"{"set":{"n":1}}"#],
            json!({"save": {"n": 1.0}}),
        ),
        made(
            "strings and names",
            &[],
            json!({"create": {
                "": "empty", "b": "\u{0}\u{1f}\u{7f}\u{8}\t\n\u{c}\r\"\\/", "é": "é€😀\u{2028}", "\u{ffff}": 4, "😀": 3,
            }}),
        ),
    ]
}

fn meetings() -> Vec<Value> {
    let late = [ANN, r#"{"set":{"age":42}}"#];
    vec![
        met("a second create", &[ANN], r#"{"set":{"age":7,"nick":"a"}}"#),
        met(
            "a removal that knew of all writes",
            &late,
            r#"{"remove":{"age":2}}"#,
        ),
        met(
            "a removal that did not know of one",
            &late,
            r#"{"remove":{"age":1}}"#,
        ),
        met(
            "a removal that claims more writes than there are",
            &late,
            r#"{"remove":{"age":18446744073709551615}}"#,
        ),
        met(
            "a removal of what is not there",
            &[ANN],
            r#"{"remove":{"b":1}}"#,
        ),
        met(
            "a second removal",
            &[ANN, r#"{"remove":{"age":1}}"#],
            r#"{"remove":{"age":1}}"#,
        ),
        met(
            "a removal after one that counted, and a write",
            &[ANN, r#"{"remove":{"age":1}}"#, r#"{"set":{"age":1}}"#],
            r#"{"remove":{"age":1}}"#,
        ),
        met(
            "a removal before the create",
            &[],
            r#"{"remove":{"age":1}}"#,
        ),
        met("no change", &[ANN], "{}"),
    ]
}

fn rejections() -> Vec<Value> {
    let nested = |levels: usize| {
        format!(
            r#"{{"set":{{"a":{}{}}}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let cases = [
        ("no bytes", String::new()),
        ("a list", "[]".into()),
        ("another member", r#"{"add":{}}"#.into()),
        ("white space", r#"{"set":{"a": 1}}"#.into()),
        ("trailing bytes", "{} ".into()),
        ("an empty set", r#"{"set":{}}"#.into()),
        ("an empty removal", r#"{"remove":{}}"#.into()),
        (
            "parts out of order",
            r#"{"set":{"a":1},"remove":{"b":1}}"#.into(),
        ),
        ("members out of order", r#"{"set":{"b":1,"a":1}}"#.into()),
        ("a member twice", r#"{"set":{"a":1,"a":1}}"#.into()),
        (
            "a member written and removed",
            r#"{"remove":{"a":1},"set":{"a":1}}"#.into(),
        ),
        ("a count below zero", r#"{"remove":{"a":-1}}"#.into()),
        ("a count that is a float", r#"{"remove":{"a":1.0}}"#.into()),
        (
            "a count beyond 64 bits",
            r#"{"remove":{"a":18446744073709551616}}"#.into(),
        ),
        (
            "an integer beyond 64 bits",
            r#"{"set":{"a":18446744073709551616}}"#.into(),
        ),
        ("minus zero without a point", r#"{"set":{"a":-0}}"#.into()),
        ("a float in another form", r#"{"set":{"a":1e0}}"#.into()),
        (
            "an escape that need not be",
            r#"{"set":{"a":"\u0041"}}"#.into(),
        ),
        ("64 levels in a member", nested(64)),
    ];
    let case = |(name, event): &(&str, String)| {
        let case = met(&format!("rejected: {name}"), &[ANN], event);
        assert_eq!(case["after"], json!(null), "{name}");
        case
    };
    let mut cases: Vec<_> = cases.iter().map(case).collect();
    cases.push(met("63 levels in a member", &[], &nested(63)));
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
