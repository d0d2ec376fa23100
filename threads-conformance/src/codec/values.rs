//! Laws of values: what is put in comes out.

use serde::Serialize;
use serde_json::{Map, Value, json};
use threads_core::codec::{Action, EventCodec, EventCodecExt};

use super::asked::{ID, after, created, document, event, same_bytes, shows};
use super::{DOCUMENT_BYTES_MIN, DOCUMENT_LEVELS_MIN, Subject};
use crate::law::{Checked, ensure};

/// Fails unless the members survive being created, and being saved over others.
#[track_caller]
fn survive(codec: &dyn EventCodec, members: Value, done: &str) -> Checked {
    let state = created(codec, members.clone())?;
    shows(codec, &state, &members, done)?;
    // Other values of the same members, so that nothing has to be removed.
    let names = members.as_object().into_iter().flat_map(Map::keys);
    let other = Value::Object(names.map(|name| (name.clone(), json!("old"))).collect());
    let other = created(codec, other)?;
    let saved = after(
        codec,
        Some(&other),
        &Action::Save(&document(members.clone())),
    )?;
    shows(codec, &saved, &members, done)
}

pub(super) fn every_json_value_survives(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let integers = [0, 1, -1, i64::MIN, i64::MAX, (1 << 53) + 1, -(1 << 53) - 1];
    let mut values: Vec<Value> = integers.map(Value::from).into();
    values.extend([
        json!(u64::MAX),
        json!(1_u64 << 63),
        json!(null),
        json!(true),
        json!(false),
    ]);
    let floats = [
        0.0,
        1.0,
        -1.5,
        0.1,
        1e300,
        -1e-300,
        5e-324,
        f64::MAX,
        f64::MIN_POSITIVE,
        9_007_199_254_740_993.0,
        1e16,
        1.797_693_134_862_315_7e308,
    ];
    values.extend(floats.map(Value::from));
    let strings = [
        "",
        " ",
        "\0",
        "a\0b",
        "\u{1}\u{8}\u{1f}\u{7f}",
        "\"\\/\n\r\t",
        "\u{2028}\u{feff}\u{fffd}\u{ffff}",
        "😀\u{10ffff}",
        "e\u{301}",
        "\u{e9}",
        "\\ud800",
        "null",
        "{\"a\":1}",
    ];
    values.extend(strings.map(Value::from));
    values.extend([
        json!([]),
        json!({}),
        json!([[], {}, [[]], [{}], null]),
        json!({"": {"": {"": []}}}),
        json!({"a": {"b": {"c": [{"d": [1, [2, [3]]]}]}}}),
        json!(["a", ["a"], {"a": "a"}]),
    ]);
    for value in values {
        let done = format!("created and saved a member {value}");
        survive(&*codec, json!({"v": value}), &done)?;
        survive(&*codec, json!({"v": {"in": [value]}}), &done)?;
    }
    Ok(())
}

pub(super) fn every_member_name_survives(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let names = [
        "",
        " ",
        ".",
        "a.b",
        "/",
        "a/b",
        "~",
        "~0",
        "~1",
        "$ref",
        "__proto__",
        "_",
        "0",
        "-",
        "-1",
        "\"",
        "\\",
        "'",
        "\0",
        "\u{1f}",
        "A",
        "a",
        "e\u{301}",
        "\u{e9}",
        "😀",
        "\u{ffff}",
        "null",
    ];
    for name in names {
        let done = format!("created and saved a member named {name:?}");
        survive(&*codec, json!({name: 1}), &done)?;
        survive(&*codec, json!({"in": [{name: {name: 2}}]}), &done)?;
    }
    // All at once, so that one does not stand for another.
    let all: Map<String, Value> = names
        .iter()
        .map(|name| (*name).into())
        .zip((0..).map(Value::from))
        .collect();
    survive(
        &*codec,
        Value::Object(all),
        "created and saved members of all these names",
    )?;
    let long = "n".repeat(1_000);
    survive(
        &*codec,
        json!({long: 1}),
        "created and saved a member with a name of 1,000 bytes",
    )
}

pub(super) fn the_id_stays(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let check = |state, done: &str| {
        let value = codec.value(state)?;
        let right = value["_id"] == ID;
        ensure(
            right,
            done,
            format_args!("the view is {value}, without the _id {ID:?}"),
        )
    };
    let state = created(&*codec, json!({"a": 1}))?;
    check(&state, "created {\"_id\": \"e\", \"a\": 1}")?;
    let value = document(json!({"b": 2}));
    let state = after(&*codec, Some(&state), &Action::Save(&value))?;
    check(&state, "saved {\"_id\": \"e\", \"b\": 2} over it")
}

pub(super) fn a_small_document_has_room(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let room = DOCUMENT_BYTES_MIN - document(json!({"t": ""})).to_string().len();
    let text = "x".repeat(room);
    survive(
        &*codec,
        json!({"t": text}),
        "created and saved 64 KiB of text",
    )?;
    let many: Vec<Value> = (0..room / 8).map(|n| json!(1_000_000 + n)).collect();
    survive(
        &*codec,
        json!({"t": many}),
        "created and saved 64 KiB of numbers",
    )?;
    let members: Map<String, Value> = (0..room / 16)
        .map(|n| (format!("n{n:08}"), json!(100)))
        .collect();
    survive(
        &*codec,
        Value::Object(members),
        "created and saved 64 KiB of members",
    )?;
    for inner in [json!([]), json!({})] {
        let deep = (2..DOCUMENT_LEVELS_MIN).fold(inner, |inner, level| match level % 2 {
            0 => json!([inner]),
            _ => json!({"d": inner}),
        });
        survive(&*codec, json!({"d": deep}), "created and saved 32 levels")?;
    }
    Ok(())
}

/// Names its members against their order.
#[derive(Serialize)]
struct Backwards {
    z: u8,
    m: Inner,
    a: u8,
    _id: &'static str,
}

#[derive(Serialize)]
struct Inner {
    y: Vec<u8>,
    b: Option<u8>,
}

pub(super) fn the_order_of_members_does_not_matter(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let m = Inner {
        y: vec![1, 2],
        b: None,
    };
    let backwards = Backwards {
        z: 1,
        m,
        a: 2,
        _id: ID,
    };
    let value = document(json!({"a": 2, "m": {"b": null, "y": [1, 2]}, "z": 1}));
    let map: std::collections::HashMap<_, _> = match &value {
        Value::Object(members) => members.iter().collect(),
        _ => return Ok(()),
    };
    let state = created(&*codec, json!({"m": 1}))?;
    for before in [None, Some(&state)] {
        let events = [&backwards as &dyn erased_serde::Serialize, &map, &value].map(|value| {
            let action = match before {
                None => Action::Create(value),
                Some(_) => Action::Save(value),
            };
            event(&*subject.codec(), before, &action)
        });
        let [backwards, map, value] = events;
        let value = value?;
        same_bytes(
            &backwards?,
            &value,
            "wrote a struct, then a JSON object of the same members",
        )?;
        same_bytes(
            &map?,
            &value,
            "wrote a hash map, then a JSON object of the same members",
        )?;
    }
    Ok(())
}
