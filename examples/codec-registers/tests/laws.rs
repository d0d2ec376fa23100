//! The codec keeps every law that is one of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use example_codec_registers::Registers;
use serde_json::json;
use threads_conformance::codec::{LAWS, Subject};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EventCodec, EventCodecExt};

threads_conformance::codec_laws!(Subject::new(|| Registers));

#[test]
fn patches_and_causal_order_are_not_its_own() {
    let line = threads_conformance::summary(LAWS, || Subject::new(|| Registers));
    let skips = "EC-7 (patch = unsupported), EC-8 (patch = unsupported), EC-24 (ordering = Any)";
    assert_eq!(line, format!("checked 24 of 27 laws, skipped 3: {skips}"));
}

/// Of two writers of one member the greater text wins, and any value wins over a removal.
#[test]
fn one_of_two_writers_of_a_member_wins() {
    let check = |one: Action<'_>, other: Action<'_>, wanted| {
        let first = json!({"a": 0});
        let event = Registers
            .encode(None, &Action::Create(&first))
            .unwrap()
            .unwrap();
        let state = Registers.apply(None, &event).unwrap();
        let events = [one, other].map(|action| Registers.encode(Some(&state), &action));
        let mut after = state.clone();
        for event in events {
            after = Registers
                .apply(Some(&after), &event.unwrap().unwrap())
                .unwrap();
        }
        assert_eq!(Registers.value(&after).unwrap(), wanted);
    };
    let (one, two) = (json!({"a": 1}), json!({"a": 2}));
    check(Action::Save(&one), Action::Save(&two), json!({"a": 2}));
    check(Action::Save(&two), Action::Save(&one), json!({"a": 2}));
    let none = json!({"a": null});
    check(Action::Merge(&none), Action::Merge(&one), json!({"a": 1}));
    check(Action::Merge(&one), Action::Merge(&none), json!({"a": 1}));
}

/// A stranger may write the greatest number there is; nobody panics, and somebody is told.
#[test]
fn a_member_that_was_written_for_the_last_time_says_so() {
    let last = threads_core::block::encode(&json!({"a": [u64::MAX, "1"]})).unwrap();
    let state = Registers.apply(None, &last).unwrap();
    let refused = Registers.encode(Some(&state), &Action::Save(&json!({"a": 2})));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
}
