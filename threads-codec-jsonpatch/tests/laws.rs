//! What the codec promises for every document and every sequence of actions.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "a test asserts")]

mod common;

use common::{Step, action, apply, document, encode, run};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::codec::{Action, EntityState, EventCodecExt};

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
    fn the_state_is_what_the_actions_ask_for(
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
            prop_assert_eq!(encode(Some(&state), &step.action()).unwrap(), event.clone());
            prop_assert_eq!(event.is_none(), want == value, "{:?}", step);
            if let Some(event) = event {
                if let Some(patch) = rfc6902(&event) {
                    let mut strict = value.clone();
                    json_patch::patch(&mut strict, &patch).unwrap();
                    prop_assert_eq!(&strict, &want);
                }
                state = apply(Some(&state), &event).unwrap();
            }
            value = want;
            prop_assert_eq!(JsonPatch::new().value(&state).unwrap(), value.clone());
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
    fn the_same_events_in_any_order_of_arrival_give_the_same_bytes(
        first in document(),
        choices in prop::collection::vec((any::<Index>(), action()), 1..8),
        arrival in any::<Index>(),
    ) {
        // Each event is made on the state after some prefix: peers that had seen less.
        let mut events = vec![encode(None, &Action::Create(&first)).unwrap().unwrap()];
        for (seen, choice) in choices {
            let state = run(&events[..=seen.index(events.len())]);
            let step = choice.on(&JsonPatch::new().value(&state).unwrap());
            events.extend(encode(Some(&state), &step.action()).unwrap());
        }
        let want = run(&events);
        // Arrive rotated and reversed, one at a time, each arrival a replay in total order.
        let mut arriving: Vec<_> = events.iter().cloned().enumerate().rev().collect();
        let turn = arrival.index(arriving.len());
        arriving.rotate_left(turn);
        let mut here: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut state = None;
        for event in arriving {
            here.push(event);
            here.sort();
            state = Some(run(&here.iter().map(|(_, e)| e.clone()).collect::<Vec<_>>()));
        }
        prop_assert_eq!(state.unwrap(), want);
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
    fn random_bytes_never_panic(
        event in prop::collection::vec(any::<u8>(), 0..64),
        state in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let state = EntityState::new(state);
        let _ = apply(None, &event);
        let _ = apply(Some(&state), &event);
        let _ = JsonPatch::new().value(&state);
        let _ = encode(Some(&state), &Action::Merge(&Value::Null));
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
