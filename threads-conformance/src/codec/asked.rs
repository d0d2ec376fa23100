//! Asking a codec for what the laws take for granted, and saying so when it fails.

use std::fmt::Debug;

use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt};

use crate::law::{Checked, Violation, ensure};

/// The `_id` of every entity of the laws.
pub(super) const ID: &str = "e";

/// A document with the `_id` that the engine gives every entity.
pub(super) fn document(members: Value) -> Value {
    let mut document = members;
    document["_id"] = json!(ID);
    document
}

/// What an action is called in a message.
pub(super) fn name(action: &Action<'_>) -> String {
    let text = match action {
        Action::Create(value) | Action::Save(value) => serde_json::to_string(value),
        Action::Merge(value) | Action::Patch(value) => serde_json::to_string(value),
        _ => Ok(String::new()),
    };
    format!("{action:?} {:.300}", text.unwrap_or_default())
}

/// The event of an action that has to give one.
#[track_caller]
pub(super) fn event(
    codec: &dyn EventCodec,
    before: Option<&EntityState>,
    action: &Action<'_>,
) -> Result<Vec<u8>, Violation> {
    let answer = codec.encode(before, action);
    let seen = format!("encode gives {answer:?}");
    match answer {
        Ok(Some(event)) => Ok(event),
        _ => Err(Violation::new(name(action), seen)),
    }
}

/// The state after an event that has to be applied.
#[track_caller]
pub(super) fn apply(
    codec: &dyn EventCodec,
    before: Option<&EntityState>,
    event: &[u8],
) -> Result<EntityState, Violation> {
    let done = || format!("applied an event of its own: {}", shown(event));
    codec
        .apply(before, event)
        .map_err(|error| Violation::new(done(), format_args!("apply gives {error:?}")))
}

/// The state after an action that changes something.
#[track_caller]
pub(super) fn after(
    codec: &dyn EventCodec,
    before: Option<&EntityState>,
    action: &Action<'_>,
) -> Result<EntityState, Violation> {
    let event = event(codec, before, action)?;
    apply(codec, before, &event)
}

/// The state of a new entity.
#[track_caller]
pub(super) fn created(codec: &dyn EventCodec, members: Value) -> Result<EntityState, Violation> {
    after(codec, None, &Action::Create(&document(members)))
}

/// The entity as seen, without its `_id`, which has a law of its own.
#[track_caller]
pub(super) fn seen(codec: &dyn EventCodec, state: &EntityState) -> Result<Value, Violation> {
    let mut value = codec.value(state).map_err(|error| {
        Violation::new(
            "viewed a state that apply gave",
            format_args!("view gives {error:?}"),
        )
    })?;
    if let Some(members) = value.as_object_mut() {
        members.remove("_id");
    }
    Ok(value)
}

/// Fails a law unless the state shows these members.
#[track_caller]
pub(super) fn shows(
    codec: &dyn EventCodec,
    state: &EntityState,
    members: &Value,
    done: &str,
) -> Checked {
    let mut wanted = members.clone();
    if let Some(members) = wanted.as_object_mut() {
        members.remove("_id");
    }
    let seen = seen(codec, state)?;
    ensure(
        seen == wanted,
        done,
        format_args!("the view is {seen:.1000}, not {wanted:.1000}"),
    )
}

/// Fails a law unless encoding fails with this kind.
#[track_caller]
pub(super) fn refuses(
    codec: &dyn EventCodec,
    before: Option<&EntityState>,
    action: &Action<'_>,
    kind: ErrorKind,
) -> Checked {
    let answer = codec.encode(before, action);
    let right = answer.as_ref().is_err_and(|error| error.kind() == kind);
    let seen = format_args!("encode gives {answer:?}, not an error of kind {kind:?}").to_string();
    ensure(right, name(action), seen)
}

/// Whether the codec has merges at all.
pub(super) fn has_merges(codec: &dyn EventCodec) -> bool {
    has(codec, &Action::Merge(&json!({"a": 2})))
}

/// Whether the codec has patches at all.
pub(super) fn has_patches(codec: &dyn EventCodec) -> bool {
    let list = json!([{"op": "replace", "path": "/a", "value": 2}]);
    has(codec, &Action::Patch(&list))
}

/// A codec that cannot even create has them, so that the laws find out why.
fn has(codec: &dyn EventCodec, action: &Action<'_>) -> bool {
    let Ok(state) = created(codec, json!({"a": 1})) else {
        return true;
    };
    let answer = codec.encode(Some(&state), action);
    !answer.is_err_and(|error| error.kind() == ErrorKind::Unsupported)
}

/// How many bytes a message shows in hexadecimal, and how many characters of text.
const SHOWN_BYTES_MAX: usize = 64;
const SHOWN_CHARS_MAX: usize = 240;

/// How many bytes a message shows before the first that differs.
const ALIKE_BYTES_MAX: usize = 16;

/// Bytes in a message: as text where they are text, else hexadecimal; cut off where they are many.
pub(super) fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "no bytes".into();
    }
    let text = std::str::from_utf8(bytes).ok();
    let (mut shown, all) = match text.filter(|text| !text.contains(char::is_control)) {
        Some(text) => {
            let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            let all = shown.len() == text.len();
            (shown, all)
        }
        None => {
            let first = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
            let shown = first.iter().map(|byte| format!("{byte:02x}")).collect();
            (shown, first.len() == bytes.len())
        }
    };
    if !all {
        shown += &format!("… ({} bytes)", bytes.len());
    }
    shown
}

/// Fails a law unless two answers of a codec are the same bytes; says where they begin to differ.
#[track_caller]
pub(super) fn same_bytes(one: &[u8], other: &[u8], done: &str) -> Checked {
    let at = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let from = at.saturating_sub(ALIKE_BYTES_MAX);
    let [first, then] = [one, other].map(|bytes| shown(&bytes[from..]));
    let seen = match from {
        0 => format!("first {first}, then {then}"),
        _ => format!("first …{first}, then …{then} (they differ from byte {at} on)"),
    };
    ensure(one == other, done, seen)
}

/// Fails a law unless two answers of a codec are equal.
#[track_caller]
pub(super) fn same<T: PartialEq + Debug>(one: &T, other: &T, done: &str) -> Checked {
    ensure(
        one == other,
        done,
        format_args!("first {one:?}, then {other:?}"),
    )
}
