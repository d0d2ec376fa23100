//! What is written at the same time merges, whoever writes it and in whatever order it comes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use proptest::prelude::*;
use proptest::sample::Index;
use serde::Serialize;
use serde_json::{Value, json};
use threads_codec_automerge::{Automerge, Counter, Text};
use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt};

fn created(codec: &Automerge, value: &impl Serialize) -> EntityState {
    let event = codec.encode(None, &Action::Create(value)).unwrap().unwrap();
    codec.apply(None, &event).unwrap()
}

fn saved(codec: &Automerge, state: &EntityState, value: &impl Serialize) -> Vec<u8> {
    let event = codec.encode(Some(state), &Action::Save(value)).unwrap();
    event.unwrap()
}

fn all<'e>(
    codec: &Automerge,
    state: Option<&EntityState>,
    events: impl IntoIterator<Item = &'e Vec<u8>>,
) -> EntityState {
    let mut state = state.cloned();
    for event in events {
        state = Some(codec.apply(state.as_ref(), event).unwrap());
    }
    state.unwrap()
}

/// Both save on the same state; what each then sees is the same, and as wanted.
#[track_caller]
fn merge(first: &impl Serialize, one: &impl Serialize, other: &impl Serialize, wanted: &Value) {
    let (ann, bob) = (Automerge::of("ann"), Automerge::of("bob"));
    let state = created(&ann, first);
    let events = [saved(&ann, &state, one), saved(&bob, &state, other)];
    let seen = all(&ann, Some(&state), &events);
    assert_eq!(seen, all(&bob, Some(&state), events.iter().rev()));
    assert_eq!(ann.value(&seen).unwrap(), *wanted);
}

#[test]
fn members_merge_at_every_level() {
    merge(
        &json!({"a": 1, "in": {"x": 1, "y": {"z": 1}}, "gone": 1}),
        &json!({"a": 2, "in": {"x": 1, "y": {"z": 2}}, "gone": 1}),
        &json!({"a": 1, "in": {"x": 2, "y": {"z": 1}, "new": []}}),
        &json!({"a": 2, "in": {"x": 2, "y": {"z": 2}, "new": []}}),
    );
}

#[test]
fn elements_of_lists_merge() {
    merge(
        &json!({"l": ["bread", "milk", {"n": 1, "m": 1}]}),
        &json!({"l": ["milk", {"n": 2, "m": 1}]}),
        &json!({"l": ["bread", "oat milk", {"n": 1, "m": 2}, "tea"]}),
        &json!({"l": ["oat milk", {"n": 2, "m": 2}, "tea"]}),
    );
}

#[derive(Serialize)]
struct Page {
    body: Text,
    views: Counter,
    inner: Vec<Option<Text>>,
}

fn page(body: &str, views: i64) -> Page {
    Page {
        body: body.into(),
        views: views.into(),
        inner: vec![Some(body.into()), None],
    }
}

#[test]
fn characters_and_steps_merge() {
    merge(
        &page("the cat", 5),
        &page("the black cat", 6),
        &page("the cat sleeps 😀", 6),
        &json!({
            "body": "the black cat sleeps 😀",
            "views": 7,
            "inner": ["the black cat sleeps 😀", null],
        }),
    );
}

#[test]
fn strings_and_integers_saved_over_texts_and_counters_edit_them() {
    let (ann, bob) = (Automerge::of("ann"), Automerge::of("bob"));
    let state = created(&ann, &page("tea", 0));
    let plain = |body: &str, views| json!({"body": body, "views": views, "inner": ["tea", null]});
    let events = [
        saved(&ann, &state, &plain("green tea", 1)),
        saved(&bob, &state, &plain("tea please", 1)),
    ];
    let seen = ann.value(&all(&ann, Some(&state), &events)).unwrap();
    assert_eq!(seen, plain("green tea please", 2));
    // And nothing changes by saving what is there.
    let same = ann.encode(Some(&state), &Action::Save(&plain("tea", 0)));
    assert_eq!(same.unwrap(), None);
}

#[test]
fn texts_and_counters_are_more_than_strings_and_integers() {
    let codec = Automerge::of("eve");
    let plain = json!({"body": "tea", "views": 0, "inner": ["tea", null]});
    let state = created(&codec, &plain);
    let event = saved(&codec, &state, &page("tea", 0));
    let state = codec.apply(Some(&state), &event).unwrap();
    assert_eq!(codec.value(&state).unwrap(), plain);
    let again = codec.encode(Some(&state), &Action::Save(&page("tea", 0)));
    assert_eq!(again.unwrap(), None);
}

#[test]
fn counters_do_not_overflow() {
    let codec = Automerge::of("eve");
    let far = |views| json!({"body": "", "views": views, "inner": ["", null]});
    for (from, to) in [
        (0, i64::MAX),
        (0, i64::MIN),
        (1 << 62, 1 << 40),
        (0, -(1 << 31)),
    ] {
        let state = created(&codec, &page("", from));
        let event = saved(&codec, &state, &far(to));
        let state = codec.apply(Some(&state), &event).unwrap();
        assert_eq!(codec.value(&state).unwrap(), far(to));
    }
}

#[test]
fn a_counter_is_stepped_where_something_else_was_put_at_the_same_time() {
    let (ann, bob) = (Automerge::of("ann"), Automerge::of("bob"));
    let counted = ann.encode(None, &Action::Create(&page("", 5)));
    let told = bob.encode(None, &Action::Create(&json!({"views": "many"})));
    let events = [counted.unwrap().unwrap(), told.unwrap().unwrap()];
    let mut state = all(&ann, None, &events);
    for views in 5..8 {
        let mut seen = ann.value(&state).unwrap();
        assert_eq!(seen["views"], views);
        seen["views"] = json!(views + 1);
        let event = saved(&ann, &state, &seen);
        state = ann.apply(Some(&state), &event).unwrap();
    }
}

#[test]
fn two_who_create_one_entity_share_it() {
    let (ann, bob) = (Automerge::of("ann"), Automerge::of("bob"));
    let create = |codec: &Automerge, value: Value| {
        let event = codec.encode(None, &Action::Create(&value));
        event.unwrap().unwrap()
    };
    let events = [
        create(&ann, json!({"_id": "e", "a": 1, "both": "ann"})),
        create(&bob, json!({"_id": "e", "b": 2, "both": "bob"})),
    ];
    let state = all(&ann, None, &events);
    assert_eq!(state, all(&bob, None, events.iter().rev()));
    let seen = ann.value(&state).unwrap();
    assert_eq!(
        (&seen["_id"], &seen["a"], &seen["b"]),
        (&json!("e"), &json!(1), &json!(2))
    );
    assert!(seen["both"] == "ann" || seen["both"] == "bob");
    // And both go on from there.
    let mut value = seen;
    value["both"] = json!("one");
    let event = saved(&ann, &state, &value);
    let state = ann.apply(Some(&state), &event).unwrap();
    assert_eq!(ann.value(&state).unwrap(), value);
}

#[test]
fn one_writer_on_two_states_makes_changes_that_stand_together() {
    // As after a backup was restored: one of them never hears of the other's first change.
    let codec = Automerge::of("ann");
    let state = created(&codec, &json!({"a": 0, "b": 0}));
    let one = saved(&codec, &state, &json!({"a": 1, "b": 0}));
    let further = codec.apply(Some(&state), &one).unwrap();
    let two = saved(&codec, &further, &json!({"a": 2, "b": 0}));
    let other = saved(&codec, &state, &json!({"a": 0, "b": 1}));
    let seen = all(&codec, Some(&state), [&two, &other, &one]);
    assert_eq!(codec.value(&seen).unwrap(), json!({"a": 2, "b": 1}));
}

#[test]
fn what_is_at_hand_changes_no_answer() {
    let codec = Automerge::of("ann");
    let state = created(&codec, &json!({"a": 0}));
    let first = saved(&codec, &state, &json!({"a": 1}));
    // The document at hand is ahead of the state that is asked about.
    assert_eq!(saved(&codec, &state, &json!({"a": 1})), first);
    assert_eq!(
        saved(&codec, &state, &json!({"a": 1})),
        saved(&Automerge::of("ann"), &state, &json!({"a": 1}))
    );
    let after = codec.apply(Some(&state), &first).unwrap();
    assert_eq!(
        after,
        Automerge::of("eve").apply(Some(&state), &first).unwrap()
    );
    assert_eq!(codec.apply(Some(&after), &first).unwrap(), after);
}

/// What one of three writers does next.
#[derive(Clone, Debug)]
enum Act {
    Set(&'static str, i64),
    Remove(&'static str),
    Push(u8),
    Pull(Index),
    Write(Index, String),
    Erase(Index),
    Step(i64),
    /// Takes in some of what the others wrote, in an order of its own.
    Hear(Vec<Index>),
}

fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
    let names = || prop::sample::select(vec!["x", "y"]);
    let act = prop_oneof![
        (names(), 0..5_i64).prop_map(|(name, value)| Act::Set(name, value)),
        names().prop_map(Act::Remove),
        any::<u8>().prop_map(Act::Push),
        any::<Index>().prop_map(Act::Pull),
        (any::<Index>(), "[a-cä😀]{1,3}").prop_map(|(at, text)| Act::Write(at, text)),
        any::<Index>().prop_map(Act::Erase),
        (-3..4_i64).prop_map(Act::Step),
        prop::collection::vec(any::<Index>(), 1..6).prop_map(Act::Hear),
    ];
    prop::collection::vec((0..3_usize, act), 1..24)
}

fn act(value: &mut Value, act: &Act) {
    let chars = |value: &Value| value["t"].as_str().unwrap_or_default().chars().collect();
    match act {
        Act::Set(name, number) => value["m"][*name] = json!(number),
        Act::Remove(name) => drop(value["m"].as_object_mut().unwrap().remove(*name)),
        Act::Push(byte) => value["l"].as_array_mut().unwrap().push(json!(byte)),
        Act::Pull(at) => {
            let list = value["l"].as_array_mut().unwrap();
            if !list.is_empty() {
                list.remove(at.index(list.len()));
            }
        }
        Act::Write(at, text) => {
            let mut all: Vec<char> = chars(value);
            let at = at.index(all.len() + 1);
            all.splice(at..at, text.chars());
            value["t"] = json!(all.into_iter().collect::<String>());
        }
        Act::Erase(at) => {
            let mut all: Vec<char> = chars(value);
            if !all.is_empty() {
                all.remove(at.index(all.len()));
            }
            value["t"] = json!(all.into_iter().collect::<String>());
        }
        Act::Step(by) => value["c"] = json!(value["c"].as_i64().unwrap() + by),
        Act::Hear(_) => {}
    }
}

#[derive(Serialize)]
struct First {
    m: std::collections::BTreeMap<String, i64>,
    l: Vec<u8>,
    t: Text,
    c: Counter,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_history_of_three_writers_is_one_state(acts in acts(), orders in any::<[Index; 8]>()) {
        let writers = ["ann", "bob", "eve"].map(Automerge::of);
        let first = First { m: [].into(), l: vec![], t: "ab".into(), c: Counter(0) };
        let begin = writers[0].encode(None, &Action::Create(&first)).unwrap().unwrap();
        let begun = writers[0].apply(None, &begin).unwrap();
        let mut states = [begun.clone(), begun.clone(), begun];
        let (mut events, mut steps, mut typed) = (vec![begin], 0, 0);
        for (who, what) in &acts {
            let (codec, state) = (&writers[*who], &mut states[*who]);
            if let Act::Hear(which) = what {
                for at in which {
                    *state = codec.apply(Some(state), &events[at.index(events.len())]).unwrap();
                }
                continue;
            }
            let before = codec.value(state).unwrap();
            let mut value = before.clone();
            act(&mut value, what);
            let event = codec.encode(Some(state), &Action::Save(&value)).unwrap();
            prop_assert_eq!(event.is_some(), value != before);
            if let Some(event) = event {
                *state = codec.apply(Some(state), &event).unwrap();
                prop_assert_eq!(codec.value(state).unwrap(), value);
                events.push(event);
                match what {
                    Act::Step(by) => steps += by,
                    Act::Write(_, text) => typed += text.chars().count(),
                    _ => {}
                }
            }
        }
        let mut shuffled: Vec<&Vec<u8>> = Vec::new();
        for (event, at) in events.iter().zip(orders.iter().cycle()) {
            shuffled.insert(at.index(shuffled.len() + 1), event);
        }
        let wanted = all(&writers[0], None, &events);
        let codec = Automerge::of("eve");
        prop_assert_eq!(&all(&codec, None, shuffled.iter().copied().chain(&events)), &wanted);
        for (codec, state) in writers.iter().zip(&states) {
            prop_assert_eq!(&all(codec, Some(state), shuffled.iter().copied()), &wanted);
        }
        // Nothing that was said is lost, and nothing counts twice.
        let seen = codec.value(&wanted).unwrap();
        prop_assert_eq!(seen["c"].as_i64(), Some(steps));
        let erased = acts.iter().filter(|(_, act)| matches!(act, Act::Erase(_))).count();
        let shown = seen["t"].as_str().unwrap().chars().count();
        prop_assert!(shown <= typed + 2 && shown + erased >= typed + 2, "{shown} of {typed}");
    }
}
