//! The codecs `jsonpatch/1` and `lww/1`: events of peers, and patches of applications; and definitions.

use serde_json::{Map, Value, json};
use threads_codec_jsonpatch::{DOCUMENT_BYTES_MAX, EVENT_BYTES_MAX, JsonPatch};
use threads_codec_lww::{Lww, STATE_BYTES_MAX};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt};
use threads_db::fuzzing;

use crate::check::{canonical, refused};

/// What an application's mistake may be called.
const MISTAKES: [ErrorKind; 3] = [ErrorKind::Invalid, ErrorKind::Conflict, ErrorKind::NotFound];

fn state(value: &Value) -> EntityState {
    let codec = JsonPatch::new();
    let created = codec.encode(None, &Action::Create(value)).unwrap().unwrap();
    codec.apply(None, &created).unwrap()
}

fn document() -> Value {
    json!({"_id": "ann", "age": 41, "tags": ["a", "b", {"c": [1.5, null]}], "a/b": {"~": true}})
}

/// An event of a peer, on no entity (after a 0) or on one that it was perhaps not made for.
pub(crate) fn change(input: &[u8]) {
    let Some((mode, event)) = input.split_first() else {
        return;
    };
    let codec = JsonPatch::new();
    let before = (*mode != 0).then(|| state(&document()));
    match codec.apply(before.as_ref(), event) {
        Ok(after) => {
            canonical(event);
            assert!(after.as_bytes().len() <= DOCUMENT_BYTES_MAX);
            assert_eq!(codec.apply(before.as_ref(), event).unwrap(), after);
            let value = codec.value(&after).unwrap();
            assert!(value.is_object());
            assert_eq!(state(&value), after, "one document has one text");
        }
        Err(error) => refused(&error, &[ErrorKind::Rejected]),
    }
}

/// An event of a peer of `lww/1`, on no entity (after a 0) or on one with a member that was removed.
pub(crate) fn lww(input: &[u8]) {
    let Some((mode, event)) = input.split_first() else {
        return;
    };
    let codec = Lww::new();
    let events: &[&[u8]] = match mode {
        0 => &[],
        _ => &[
            br#"{"set":{"_id":"ann","a":[1.5]}}"#,
            br#"{"remove":{"a":1}}"#,
        ],
    };
    let before = events
        .iter()
        .fold(None, |state: Option<EntityState>, event| {
            Some(codec.apply(state.as_ref(), event).unwrap())
        });
    match codec.apply(before.as_ref(), event) {
        Ok(after) => {
            assert!(after.as_bytes().len() <= STATE_BYTES_MAX);
            assert_eq!(codec.apply(before.as_ref(), event).unwrap(), after);
            let value = codec.value(&after).unwrap();
            // Saving what is there changes nothing, and what an application saves is an event again.
            assert_eq!(
                codec.encode(Some(&after), &Action::Save(&value)).unwrap(),
                None
            );
            let again = codec
                .encode(None, &Action::Create(&value))
                .unwrap()
                .unwrap();
            let made = codec.apply(None, &again).unwrap();
            assert_eq!(codec.value(&made).unwrap(), value);
        }
        Err(error) => refused(&error, &[ErrorKind::Rejected]),
    }
}

/// An event of a definition: whoever accepts it can read it back.
pub(crate) fn definition(input: &[u8]) {
    match fuzzing::read_definition(input) {
        Ok(value) => {
            canonical(input);
            assert!(value.is_object());
        }
        Err(error) => refused(&error, &[ErrorKind::Rejected]),
    }
}

/// What an action on the document gives, if the codec accepts it.
fn acted(action: &Action<'_>) -> Option<Value> {
    let (codec, before) = (JsonPatch::new(), state(&document()));
    match codec.encode(Some(&before), action) {
        Ok(None) => Some(document()),
        Ok(Some(event)) => {
            assert!(event.len() <= EVENT_BYTES_MAX);
            canonical(&event);
            let after = codec.apply(Some(&before), &event).unwrap();
            assert_ne!(after, before, "an event that changes nothing");
            Some(codec.value(&after).unwrap())
        }
        Err(error) => {
            refused(&error, &MISTAKES);
            None
        }
    }
}

/// A JSON Patch (RFC 6902) of an application.
pub(crate) fn patch(input: &[u8]) {
    let Ok(list) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    if let Some(after) = acted(&Action::Patch(&list)) {
        // Saving the outcome has the same outcome.
        assert_eq!(acted(&Action::Save(&after)), Some(after));
    }
}

/// A merge patch (RFC 7396) of an application.
pub(crate) fn merge(input: &[u8]) {
    let Ok(patch) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    if let Some(after) = acted(&Action::Merge(&patch)) {
        let expected = state(&merged(document(), &patch));
        assert_eq!(state(&after), expected);
    }
}

/// The algorithm of RFC 7396, section 2.
fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        match (value, members.remove(name)) {
            (Value::Null, _) => {}
            (value, old) => {
                members.insert(name.clone(), merged(old.unwrap_or(Value::Null), value));
            }
        }
    }
    Value::Object(members)
}
