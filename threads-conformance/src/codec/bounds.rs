//! Laws of bounds: the stack and the memory that an event may take.

use std::panic::resume_unwind;
use std::thread;

use serde_json::{Value, json};
use threads_core::codec::{Action, EntityState, EventCodec};

use super::asked::{created, document, shown};
use super::damage::{damaged, good};
use super::hostile::outcome;
use super::{GROWTH_BYTES_MAX, STACK_BYTES, Subject};
use crate::law::{Checked, Violation, ensure};

/// How deep hostile events nest.
const LEVELS: usize = 50_000;

/// How many places of an event are tried as the beginning of deep nesting.
const PLACES_MAX: usize = 64;

/// The deepest JSON text that serde_json reads, which is what applications have.
const VALUE_LEVELS: usize = 127;

/// How often an event is applied again.
const ROUNDS: usize = 24;

/// An overflow of the stack ends the process, and no message of ours. The name of the thread is in
/// what the system says then.
pub(super) fn deep_nesting_fits_a_small_stack(subject: &Subject) -> Checked {
    let (events, codec) = (deep_events(&*subject.codec())?, subject.codec());
    let name = "EC-21: however deep an event nests, a codec needs little stack".to_owned();
    let run = move || {
        for event in events {
            for before in [None, created(&*codec, json!({"a": 1})).ok().as_ref()] {
                if let Ok(Ok(state)) = outcome(|| codec.apply(before, &event)) {
                    // Whatever it gives: it is the stack that is checked.
                    let _ = codec.view(&state);
                }
            }
        }
        deep_values(&*codec)
    };
    let small = thread::Builder::new().name(name).stack_size(STACK_BYTES);
    let thread = small
        .spawn(run)
        .map_err(|error| Violation::new("a thread was begun", error))?;
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Beginnings of good events, and then many levels of lists or maps in formats that are in use.
fn deep_events(codec: &dyn EventCodec) -> Result<Vec<Vec<u8>>, Violation> {
    // JSON, then CBOR, then MessagePack.
    let levels: [&[u8]; 6] = [
        b"[",
        b"{\"a\":",
        b"\x81",
        b"\xa1\x61a",
        b"\x91",
        b"\x81\xa1a",
    ];
    let mut deep = Vec::new();
    for (_, event) in good(codec)? {
        for at in 0..event.len().min(PLACES_MAX) {
            deep.extend(levels.map(|level| [&event[..at], &level.repeat(LEVELS)[..]].concat()));
        }
    }
    Ok(deep)
}

fn deep_values(codec: &dyn EventCodec) -> Checked {
    let deepest = (2..VALUE_LEVELS).fold(json!([]), |inner, _| json!([inner]));
    let value: Value = document(json!({"d": deepest}));
    if let Ok(Some(event)) = codec.encode(None, &Action::Create(&value)) {
        let state = codec.apply(None, &event)?;
        codec.view(&state)?;
        codec.encode(Some(&state), &Action::Save(&document(json!({"d": 1}))))?;
    }
    Ok(())
}

pub(super) fn an_event_does_not_explode(subject: &Subject) -> Checked {
    let codec = subject.codec();
    for (before, event) in good(&*codec)? {
        let mut state = before.clone();
        for round in 1..=ROUNDS {
            state = bounded(&*codec, state.as_ref(), &event, round)?.or(state);
        }
        for event in damaged(&event) {
            bounded(&*codec, before.as_ref(), &event, 1)?;
        }
    }
    Ok(())
}

/// The state after an event, if it is applied.
#[track_caller]
fn bounded(
    codec: &dyn EventCodec,
    before: Option<&EntityState>,
    event: &[u8],
    round: usize,
) -> Result<Option<EntityState>, Violation> {
    let Ok(Ok(state)) = outcome(|| codec.apply(before, event)) else {
        return Ok(None);
    };
    let (now, was) = (
        state.as_bytes().len(),
        before.map_or(0, |state| state.as_bytes().len()),
    );
    let done = format!("applied this, time {round}: {}", shown(event));
    let seen = format!("a state of {was} bytes becomes one of {now}");
    ensure(now <= was + GROWTH_BYTES_MAX, done, seen)?;
    Ok(Some(state))
}
