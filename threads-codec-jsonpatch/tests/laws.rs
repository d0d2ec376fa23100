//! The laws of codecs, and what this codec promises beyond them.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "a test asserts")]

mod common;

use common::{Step, action, apply, document, encode};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::codec::Subject;
use threads_core::codec::{Action, EventCodecExt};

threads_conformance::codec_laws!(Subject::new(JsonPatch::new));

/// The document that `step` asks for, worked out by the reference crate alone.
fn expected(before: &Value, step: &Step) -> Value {
    let mut after = before.clone();
    match step {
        Step::Save(value) => after = value.clone(),
        Step::Merge(value) => json_patch::merge(&mut after, value),
        Step::Patch(value) => {
            let patch: json_patch::Patch = serde_json::from_value(value.clone()).unwrap();
            json_patch::patch(&mut after, &patch).unwrap();
        }
    }
    after
}

/// The operations of a patch event as RFC 6902 writes them.
fn rfc6902(event: &[u8]) -> Option<json_patch::Patch> {
    let (2, ops) = serde_ipld_dagcbor::from_slice::<(u8, Value)>(event).unwrap() else {
        return None;
    };
    let op = |op: &Value| match op[0].as_u64().unwrap() {
        0 => serde_json::json!({"op": "add", "path": op[1], "value": op[2]}),
        1 => serde_json::json!({"op": "remove", "path": op[1]}),
        2 => serde_json::json!({"op": "replace", "path": op[1], "value": op[2]}),
        other => panic!("operation {other}"),
    };
    let list = ops.as_array().unwrap().iter().map(op).collect();
    Some(serde_json::from_value(Value::Array(list)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_event_is_a_strict_patch_and_the_state_canonical_text(
        first in document(),
        choices in prop::collection::vec(action(), 0..6),
    ) {
        let event = encode(None, &Action::Create(&first)).unwrap().unwrap();
        let mut state = apply(None, &event).unwrap();
        let mut value = first;
        for choice in choices {
            let step = choice.on(&value);
            let want = expected(&value, &step);
            let event = encode(Some(&state), &step.action()).unwrap();
            if let Some(event) = event {
                if let Some(patch) = rfc6902(&event) {
                    let mut strict = value.clone();
                    json_patch::patch(&mut strict, &patch).unwrap();
                    prop_assert_eq!(&strict, &want);
                }
                state = apply(Some(&state), &event).unwrap();
            }
            value = want;
            prop_assert_eq!(&state, &common::state(&value));
        }
    }

    #[test]
    fn a_save_is_never_larger_than_the_document(before in document(), after in document()) {
        let state = common::state(&before);
        if let Some(event) = encode(Some(&state), &Action::Save(&after)).unwrap() {
            let whole = serde_ipld_dagcbor::to_vec(&(1, &after)).unwrap();
            prop_assert!(event.len() <= whole.len());
        }
    }

    #[test]
    fn any_event_applies_to_any_document(
        one in document(), two in document(), other in document(),
    ) {
        let event = encode(Some(&common::state(&one)), &Action::Save(&two)).unwrap();
        if let Some(event) = event {
            apply(Some(&common::state(&other)), &event).unwrap();
            apply(None, &event).unwrap();
        }
    }

    #[test]
    fn a_mutated_event_is_rejected_or_canonical(
        before in document(), after in document(),
        at in any::<Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let Some(mut event) = encode(Some(&common::state(&before)), &Action::Save(&after)).unwrap()
        else { return Ok(()) };
        let at = at.index(event.len());
        event[at] = byte;
        if cut {
            event.truncate(at);
        }
        if let Ok(state) = apply(Some(&common::state(&before)), &event) {
            let again: Value = serde_ipld_dagcbor::from_slice(&event).unwrap();
            prop_assert_eq!(serde_ipld_dagcbor::to_vec(&again).unwrap(), event);
            prop_assert_eq!(&state, &common::state(&JsonPatch::new().value(&state).unwrap()));
        }
    }
}
