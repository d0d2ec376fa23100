//! The codec `automerge/1`: changes of peers.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use threads_codec_automerge::Automerge;
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt};

use crate::check::refused;

/// What is before the length of a change's contents: magic bytes, checksum and kind.
const HEAD_BYTES: usize = 9;

/// The changes of a document with maps, lists and values of every kind.
pub(crate) fn events() -> Vec<Vec<u8>> {
    let codec = Automerge::of("ann");
    let values = [
        json!({"_id": "ann", "a": {"b": 1.5, "": null}, "l": [1, "x", {"c": true}], "t": "tea"}),
        json!({"_id": "ann", "a": {"b": -7}, "l": ["x", {"c": [u64::MAX]}, 1, 1], "t": "😀"}),
        json!({"_id": "ann", "l": [], "n": "new"}),
    ];
    let (mut state, mut events): (Option<EntityState>, Vec<Vec<u8>>) = (None, Vec::new());
    for value in &values {
        let action = match &state {
            None => Action::Create(value),
            Some(_) => Action::Save(value),
        };
        let event = codec.encode(state.as_ref(), &action).unwrap().unwrap();
        state = Some(codec.apply(state.as_ref(), &event).unwrap());
        events.push(event);
    }
    events
}

/// What a change has behind its length.
pub(crate) fn contents(event: &[u8]) -> &[u8] {
    let rest = &event[HEAD_BYTES..];
    let more = rest.iter().take_while(|byte| **byte >= 0x80).count();
    &rest[more + 1..]
}

/// The change with these contents, and a checksum that is right.
fn event(contents: &[u8]) -> Vec<u8> {
    let (mut head, mut len) = (vec![1], contents.len());
    while len >= 0x80 {
        head.push(len as u8 | 0x80);
        len >>= 7;
    }
    head.push(len as u8);
    let sum = Sha256::new().chain_update(&head).chain_update(contents);
    let sum = sum.finalize();
    [&[0x85, 0x6f, 0x4a, 0x83], &sum[..4], &head, contents].concat()
}

fn state<'e>(events: impl IntoIterator<Item = &'e Vec<u8>>) -> Option<EntityState> {
    let codec = Automerge::of("ann");
    let next = |state: Option<EntityState>, event: &Vec<u8>| {
        codec.apply(state.as_ref(), event).ok().or(state)
    };
    events.into_iter().fold(None, next)
}

/// Saves other scalars in all places: a change that is made without Automerge. A codec that has nothing
/// at hand asks Automerge what it makes of it.
fn save_scalars(codec: &Automerge, before: &EntityState, mut value: Value) {
    for member in value
        .as_object_mut()
        .into_iter()
        .flat_map(|members| members.values_mut())
    {
        if !member.is_array() && !member.is_object() {
            *member = json!(member.as_i64().unwrap_or_default().wrapping_add(1));
        }
    }
    value["n"] = Value::Null;
    if let Ok(Some(event)) = codec.encode(Some(before), &Action::Save(&value)) {
        let saved = codec.apply(Some(before), &event).unwrap();
        assert_eq!(codec.value(&saved).unwrap(), value);
        let anew = Automerge::of("ann").apply(Some(before), &event).unwrap();
        assert_eq!(anew, saved, "Automerge makes the same of it");
    }
}

/// The contents of a change of a peer, on no entity (after a 0) or on one that it was perhaps not made
/// for.
pub(crate) fn change(input: &[u8]) {
    let Some((mode, contents)) = input.split_first() else {
        return;
    };
    let (codec, event) = (Automerge::of("ann"), event(contents));
    let known = if *mode == 0 { Vec::new() } else { events() };
    let before = state(&known);
    match codec.apply(before.as_ref(), &event) {
        Ok(after) => {
            assert_eq!(codec.apply(Some(&after), &event).unwrap(), after);
            let first = state([&event].into_iter().chain(&known));
            assert_eq!(first.as_ref(), Some(&after), "one set has one state");
            let value: Value = codec.value(&after).unwrap();
            assert!(value.is_object());
            let saved = codec.encode(Some(&after), &Action::Save(&value));
            assert_eq!(saved.unwrap(), None, "nothing changes by what is there");
            let wanted = json!({"_id": "ann", "l": [1, 2], "t": "x"});
            if let Some(event) = codec.encode(Some(&after), &Action::Save(&wanted)).unwrap() {
                let saved = codec.apply(Some(&after), &event).unwrap();
                assert_eq!(codec.value(&saved).unwrap(), wanted);
            }
            save_scalars(&codec, &after, value);
        }
        Err(error) => refused(&error, &[ErrorKind::Rejected]),
    }
}
