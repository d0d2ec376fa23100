//! The laws of codecs, and what this codec promises beyond them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use threads_codec_lww::{DOCUMENT_DEPTH_MAX, EVENT_BYTES_MAX, Lww, STATE_BYTES_MAX};
use threads_conformance::codec::{LAWS, Subject};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt};

threads_conformance::codec_laws!(Subject::new(Lww::new));

#[test]
fn the_readme_says_which_laws_were_checked() {
    let line = threads_conformance::summary(LAWS, || Subject::new(Lww::new));
    assert!(
        include_str!("../README.md").contains(&line),
        "README.md: {line}"
    );
}

fn encode(before: Option<&EntityState>, action: &Action<'_>) -> Vec<u8> {
    Lww::new().encode(before, action).unwrap().unwrap()
}

/// The entity after these events, in the order of their times.
fn replay<'e>(events: impl IntoIterator<Item = &'e Vec<u8>>) -> EntityState {
    let apply = |state: Option<EntityState>, event: &Vec<u8>| {
        Some(Lww::new().apply(state.as_ref(), event).unwrap())
    };
    events.into_iter().fold(None, apply).unwrap()
}

/// What becomes of one entity that two change without knowing of each other, the first one earlier.
fn meet(first: Action<'_>, second: Action<'_>) -> Value {
    let made = encode(None, &Action::Create(&json!({"a": 0, "b": 0})));
    let start = replay([&made]);
    let [first, second] = [first, second].map(|action| encode(Some(&start), &action));
    Lww::new().value(&replay([&made, &first, &second])).unwrap()
}

#[test]
fn of_one_member_the_last_writer_wins_and_others_are_not_disturbed() {
    let (one, two) = (json!({"a": 1, "b": 0}), json!({"a": 2, "b": 0}));
    assert_eq!(meet(Action::Save(&one), Action::Save(&two)), two);
    assert_eq!(meet(Action::Save(&two), Action::Save(&one)), one);
    let other = json!({"a": 0, "b": [1]});
    assert_eq!(
        meet(Action::Save(&one), Action::Save(&other)),
        json!({"a": 1, "b": [1]})
    );
}

#[test]
fn a_write_wins_over_a_removal_that_did_not_know_of_it() {
    let (none, one) = (json!({"a": null}), json!({"a": 1}));
    let kept = json!({"a": 1, "b": 0});
    assert_eq!(meet(Action::Merge(&none), Action::Merge(&one)), kept);
    assert_eq!(meet(Action::Merge(&one), Action::Merge(&none)), kept);
    let gone = json!({"b": 0});
    assert_eq!(meet(Action::Merge(&none), Action::Merge(&none)), gone);
}

#[test]
fn a_removal_that_knew_of_all_writes_counts_and_the_name_can_be_used_again() {
    let made = encode(None, &Action::Create(&json!({"a": 0})));
    let mut events = vec![made];
    for (merge, wanted) in [
        (json!({"a": null}), json!({})),
        (json!({"a": 1}), json!({"a": 1})),
        (json!({"a": null}), json!({})),
        (json!({"a": 2}), json!({"a": 2})),
    ] {
        let state = replay(&events);
        events.push(encode(Some(&state), &Action::Merge(&merge)));
        assert_eq!(Lww::new().value(&replay(&events)).unwrap(), wanted);
    }
}

/// Of two who make one id, both keep what they wrote.
#[test]
fn two_creates_of_one_id_make_one_entity() {
    let one = encode(None, &Action::Create(&json!({"a": 1, "b": 1})));
    let two = encode(None, &Action::Create(&json!({"b": 2, "c": 2})));
    let both = Lww::new().value(&replay([&one, &two])).unwrap();
    assert_eq!(both, json!({"a": 1, "b": 2, "c": 2}));
}

#[test]
fn a_change_of_one_member_sends_that_one() {
    let long = json!({"a": "a".repeat(1_000), "b": 1});
    let state = replay([&encode(None, &Action::Create(&long))]);
    let event = encode(Some(&state), &Action::Merge(&json!({"b": 2})));
    assert_eq!(event, br#"{"set":{"b":2}}"#);
}

/// Some crate of a build may have serde_json keep members as they came.
#[test]
fn members_are_in_order_however_the_build_keeps_them() {
    let mut value = json!({"b": [{"d": 1, "c": 2}]});
    value["a"] = json!(0);
    let event = encode(None, &Action::Create(&value));
    assert_eq!(event, br#"{"set":{"a":0,"b":[{"c":2,"d":1}]}}"#);
    let state = replay([&event, &br#"{"set":{"aa":0}}"#.to_vec()]);
    let text = br#"{"a":0,"aa":0,"b":[{"c":2,"d":1}]}"#;
    assert_eq!(&*Lww::new().view(&state).unwrap(), text);
    for unsorted in [r#"{"set":{"b":0,"a":0}}"#, r#"{"set":{"a":{"c":0,"b":0}}}"#] {
        let refused = Lww::new().apply(None, unsorted.as_bytes()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Rejected);
    }
}

#[test]
fn limits_hold_exactly() {
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    let create = |value: &Value| Lww::new().encode(None, &Action::Create(value));
    assert!(create(&nested(DOCUMENT_DEPTH_MAX)).is_ok());
    let deep = create(&nested(DOCUMENT_DEPTH_MAX + 1)).unwrap_err();
    assert_eq!(deep.kind(), ErrorKind::Invalid);

    // `{"a":"…"}`, a NUL and `{}`; the event has `{"set":…}` around it.
    let around = r#"{"a":""}"#.len() + 3;
    let text = |bytes: usize| json!({"a": "a".repeat(bytes)});
    let event_around = r#"{"set":{"a":""}}"#.len();
    let most = (STATE_BYTES_MAX - around).min(EVENT_BYTES_MAX - event_around);
    assert!(create(&text(most)).is_ok());
    assert_eq!(
        create(&text(most + 1)).unwrap_err().kind(),
        ErrorKind::Invalid
    );

    // Several events make a state longer than any of them.
    let half = text(STATE_BYTES_MAX / 2);
    let state = replay([&create(&half).unwrap().unwrap()]);
    let more = json!({"b": "b".repeat(STATE_BYTES_MAX / 2)});
    let event = create(&more).unwrap().unwrap();
    let refused = Lww::new().apply(Some(&state), &event).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
}

/// What one writer does: a merge, having seen what the others did up to some moment.
#[derive(Clone, Debug)]
struct Step {
    writer: usize,
    /// Which of the other writers' steps it takes in before.
    hears: BTreeSet<usize>,
    member: String,
    /// `None` removes.
    value: Option<u8>,
}

const WRITERS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let hears = prop::collection::btree_set(0..WRITERS, 0..=WRITERS);
    (0..WRITERS, hears, "[ab]", prop::option::of(0..3_u8)).prop_map(
        |(writer, hears, member, value)| Step {
            writer,
            hears,
            member,
            value,
        },
    )
}

/// One event of a history, and which earlier ones its author knew.
struct Told {
    event: Vec<u8>,
    knew: BTreeSet<usize>,
    member: String,
    value: Option<u8>,
}

/// Carries out steps, each on what its writer knows. The order of steps is that of their times.
fn history(steps: &[Step]) -> Vec<Told> {
    let mut knows = vec![BTreeSet::new(); WRITERS];
    let made = encode(None, &Action::Create(&json!({"_id": "e"})));
    let mut told = vec![Told {
        event: made,
        knew: BTreeSet::new(),
        member: "_id".into(),
        value: Some(0),
    }];
    for known in &mut knows {
        known.insert(0);
    }
    for step in steps {
        for other in &step.hears {
            let heard = knows[*other].clone();
            knows[step.writer].extend(heard);
        }
        let known = &knows[step.writer];
        let state = replay(known.iter().map(|place| &told[*place].event));
        let merge = json!({&step.member: step.value});
        let encoded = Lww::new().encode(Some(&state), &Action::Merge(&merge));
        let Some(event) = encoded.unwrap() else {
            continue;
        };
        let knew = known.clone();
        knows[step.writer].insert(told.len());
        told.push(Told {
            event,
            knew,
            member: step.member.clone(),
            value: step.value,
        });
    }
    told
}

/// What the rules say of a history, worked out from who knew what: a removal counts when its
/// author knew of every write before it, and the last of what counts decides.
fn expected(told: &[Told]) -> Value {
    let mut members = Map::new();
    for (place, one) in told.iter().enumerate() {
        let of_member = |other: &usize| told[*other].member == one.member;
        match one.value {
            Some(_) if one.member == "_id" => drop(members.insert("_id".into(), json!("e"))),
            Some(value) => drop(members.insert(one.member.clone(), json!(value))),
            None => {
                let mut writes = (0..place).filter(of_member);
                if writes.all(|other| told[other].value.is_none() || one.knew.contains(&other)) {
                    members.remove(&one.member);
                }
            }
        }
    }
    Value::Object(members)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_writers_apart_do_comes_to_what_the_rules_say(
        steps in prop::collection::vec(step(), 0..12),
    ) {
        let told = history(&steps);
        let state = replay(told.iter().map(|one| &one.event));
        prop_assert_eq!(Lww::new().value(&state).unwrap(), expected(&told));
        // A write that no removal knew of is there, whatever the times.
        for (place, one) in told.iter().enumerate() {
            let removals = |other: &&Told| other.value.is_none() && other.member == one.member;
            let known = told.iter().filter(removals).any(|other| other.knew.contains(&place));
            if one.value.is_some() && !known {
                let value = Lww::new().value(&state).unwrap();
                prop_assert!(value.get(&one.member).is_some(), "{} is lost", one.member);
            }
        }
    }
}
