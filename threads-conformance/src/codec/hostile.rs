//! Laws of what strangers send and disks lose.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::vec;
use proptest::prelude::any;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::json;
use threads_core::codec::{Action, EntityState, EventCodec};
use threads_core::{ErrorKind, Result};

use super::Subject;
use super::asked::{created, document, shown};
use super::damage::{common, damaged, good, states};
use crate::cases::for_all;
use crate::law::{Checked, Violation, ensure};

/// How many levels the documents have that may be too deep for JSON text.
const LEVELS_MAX: usize = 300;

/// How long bytes at random are.
const RANDOM_BYTES_MAX: usize = 64;

/// What a call gives, or that it panics.
pub(super) fn outcome<T>(call: impl FnOnce() -> Result<T>) -> Result<Result<T>, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        format!("a panic: {}", text.unwrap_or("with no message"))
    })
}

/// Fails a law if the call panics, or fails with none of these kinds.
#[track_caller]
fn harmless<T>(kinds: &[ErrorKind], done: &str, call: impl FnOnce() -> Result<T>) -> Checked {
    match outcome(call) {
        Err(panic) => Err(Violation::new(done, panic)),
        Ok(Err(error)) if !kinds.contains(&error.kind()) => {
            let seen = format_args!("an error of kind {:?}: {error:?}", error.kind()).to_string();
            Err(Violation::new(done, seen))
        }
        Ok(_) => Ok(()),
    }
}

/// Damage to every event the codec makes, and bytes that no codec has made.
fn bad_events(codec: &dyn EventCodec) -> Result<Vec<Vec<u8>>, Violation> {
    let mut bad = common();
    for (_, event) in good(codec)? {
        bad.extend(damaged(&event));
    }
    Ok(bad)
}

pub(super) fn what_is_no_event_is_rejected(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let state = created(
        &*codec,
        json!({"a": 1, "list": [1, {"b": "c"}], "text": "abc"}),
    )?;
    let check = |event: &[u8]| {
        for (before, name) in [(None, "to no entity"), (Some(&state), "to an entity")] {
            let done = format!("applied an event {name}: {}", shown(event));
            harmless(&[ErrorKind::Rejected], &done, || codec.apply(before, event))?;
        }
        Ok(())
    };
    meets_any_state(&*codec)?;
    bad_events(&*codec)?
        .iter()
        .try_for_each(|event| check(event))?;
    for_all(vec(any::<u8>(), 0..RANDOM_BYTES_MAX), |event: &Vec<u8>| {
        check(event)
    })
}

/// The codec's own events, on states that their authors did not know.
fn meets_any_state(codec: &dyn EventCodec) -> Checked {
    let states = states(codec)?;
    for (_, event) in good(codec)? {
        for state in &states {
            let done = format!(
                "applied an event of its own to a state that its author did not know: {}; state {}",
                shown(&event),
                shown(state.as_bytes())
            );
            let applied = || codec.apply(Some(state), &event);
            harmless(&[ErrorKind::Rejected], &done, applied)?;
        }
    }
    Ok(())
}

pub(super) fn a_rejected_event_leaves_nothing(subject: &Subject) -> Checked {
    let (codec, fresh) = (subject.codec(), subject.codec());
    let mut good_ones = Vec::new();
    for (before, event) in good(&*fresh)? {
        let after = fresh.apply(before.as_ref(), &event)?;
        good_ones.push((before, event, after));
    }
    // After each bad event comes one of the good ones, in turn.
    for (bad, (before, good, wanted)) in bad_events(&*fresh)?.iter().zip(good_ones.iter().cycle()) {
        if !matches!(outcome(|| codec.apply(before.as_ref(), bad)), Ok(Err(_))) {
            continue;
        }
        let state = codec.apply(before.as_ref(), good)?;
        let done = format!("applied a bad event, and then a good one: {}", shown(bad));
        let seen = "the good event gives another state than without the bad one";
        ensure(state == *wanted, done, seen)?;
    }
    Ok(())
}

pub(super) fn a_view_is_one_json_object(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let check = |state: &EntityState, done: &str| match outcome(|| codec.view(state)) {
        Ok(Ok(text)) => match serde_json::from_slice::<StrictObject>(&text) {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                Err(Violation::new(
                    done,
                    format_args!("the view is {text:.300}: {error}"),
                ))
            }
        },
        Ok(Err(error)) => Err(Violation::new(done, format_args!("view gives {error:?}"))),
        Err(panic) => Err(Violation::new(done, format_args!("view gives {panic}"))),
    };
    let states = states(&*codec)?;
    for state in &states {
        check(
            state,
            "viewed a state that apply gave for an event of its own",
        )?;
    }
    for event in bad_events(&*codec)? {
        for before in [None, states.first()] {
            if let Ok(Ok(state)) = outcome(|| codec.apply(before, &event)) {
                check(
                    &state,
                    &format!("viewed what apply made of {}", shown(&event)),
                )?;
            }
        }
    }
    // Readers of JSON text have a depth of their own: what one cannot read is not to be applied.
    let mut deep = json!([]);
    for level in 2..LEVELS_MAX {
        deep = json!([deep]);
        let value = document(json!({ "d": deep }));
        let event = outcome(|| codec.encode(None, &Action::Create(&value)));
        let Ok(Ok(Some(event))) = event else { break };
        if let Ok(Ok(state)) = outcome(|| codec.apply(None, &event)) {
            check(&state, &format!("viewed a document of {level} levels"))?;
        }
    }
    Ok(())
}

pub(super) fn what_is_no_state_is_corrupt(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let events = good(&*codec)?;
    let mut bad = common();
    for state in states(&*codec)? {
        bad.extend(damaged(state.as_bytes()));
    }
    // On each of them is applied one of the good events, in turn.
    for (bytes, (_, event)) in bad.iter().zip(events.iter().cycle()) {
        a_bad_state(&*codec, bytes, event)?;
    }
    for_all(vec(any::<u8>(), 0..RANDOM_BYTES_MAX), |bytes: &Vec<u8>| {
        a_bad_state(&*codec, bytes, &events[0].1)
    })
}

fn a_bad_state(codec: &dyn EventCodec, bytes: &[u8], event: &[u8]) -> Checked {
    let (state, of) = (EntityState::new(bytes), shown(bytes));
    let kinds = [ErrorKind::Corrupt, ErrorKind::Rejected];
    let (viewed, applied) = (
        format!("viewed a state of {of}"),
        format!("applied an event of its own to a state of {of}"),
    );
    harmless(&kinds[..1], &viewed, || codec.view(&state).map(drop))?;
    harmless(&kinds, &applied, || codec.apply(Some(&state), event))?;
    let value = document(json!({"a": 2}));
    match outcome(|| codec.encode(Some(&state), &Action::Save(&value))) {
        Err(panic) => Err(Violation::new(format!("saved over a state of {of}"), panic)),
        Ok(_) => Ok(()),
    }
}

/// Any JSON object in which, at every level, no name is there twice.
struct StrictObject;

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Strict).map(|()| Self)
    }
}

/// Any JSON value of the same kind.
struct StrictValue;

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strict).map(|()| Self)
    }
}

struct Strict;

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                let message = format_args!("the name {name:?} is there twice").to_string();
                return Err(serde::de::Error::custom(message));
            }
            names.insert(name);
            map.next_value::<StrictValue>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<StrictValue>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _value: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _value: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _value: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _value: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _value: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
