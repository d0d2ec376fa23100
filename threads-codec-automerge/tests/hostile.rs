//! What strangers send: nothing panics, what is refused is refused for good, and what is applied makes
//! the same of a document in whatever order it came.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, ScalarValue};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use support::{chunk, contents, hash, history, state};
use threads_codec_automerge::{
    Automerge, DOCUMENT_DEPTH_MAX, EVENT_BYTES_MAX, EVENT_OPS_MAX, HISTORY_BYTES_MAX, INCREMENT_MAX,
};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EventCodec, EventCodecExt};

/// What is done to the contents of a change on its way.
#[derive(Clone, Debug)]
enum Harm {
    Flip(Index, u8),
    Set(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    Double(Index, Index),
    /// A piece of another change takes the place of a piece.
    Mix(usize, Index, Index),
}

fn harm() -> impl Strategy<Value = Harm> {
    // Small numbers are lengths, counts and kinds; those near 128 are negative ones.
    let byte = || prop_oneof![0..16_u8, 0x70..0x90_u8, any::<u8>()];
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        (at(), byte()).prop_map(|(at, byte)| Harm::Set(at, byte)),
        at().prop_map(Harm::Remove),
        (at(), byte()).prop_map(|(at, byte)| Harm::Insert(at, byte)),
        (at(), at()).prop_map(|(at, len)| Harm::Double(at, len)),
        (any::<usize>(), at(), at()).prop_map(|(from, at, len)| Harm::Mix(from, at, len)),
    ]
}

impl Harm {
    fn to(&self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match self {
            Self::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Self::Set(at, byte) => bytes[at.index(len)] = *byte,
            Self::Remove(at) => drop(bytes.remove(at.index(len))),
            Self::Insert(at, byte) => bytes.insert(at.index(len + 1), *byte),
            Self::Double(at, count) => {
                let at = at.index(len);
                let piece = bytes[at..at + count.index(len - at)].to_vec();
                bytes.splice(at..at, piece);
            }
            Self::Mix(from, at, count) => {
                let other = contents(&others[from % others.len()]);
                let at = at.index(len.min(other.len()));
                let count = count.index(len.min(other.len()) - at);
                bytes.splice(at..at + count, other[at..at + count].iter().copied());
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_becomes_of_changes_on_their_way_peers_agree(
        harmed in prop::collection::vec((any::<Index>(), prop::collection::vec(harm(), 1..3)), 1..4),
        place in any::<Index>(),
    ) {
        let good = history();
        let mut events = good.clone();
        for (which, harms) in &harmed {
            let mut bytes = contents(&good[which.index(good.len())]).to_vec();
            harms.iter().for_each(|harm| harm.to(&mut bytes, &good));
            let event = chunk(1, &bytes);
            let codec = Automerge::of("ann");
            if let Err(error) = codec.apply(None, &event) {
                prop_assert_eq!(error.kind(), ErrorKind::Rejected);
                // It is refused for what it is, and not for where it comes.
                let state = state(&codec, &good);
                prop_assert!(codec.apply(state.as_ref(), &event).is_err());
            }
            events.push(event);
        }
        let one = state(&Automerge::of("ann"), &events).unwrap();
        events.rotate_left(place.index(good.len()));
        let turned = state(&Automerge::of("ann"), &events).unwrap();
        prop_assert_eq!(&one, &turned);
        events.reverse();
        let other = Automerge::of("ann");
        let back = state(&other, events.iter().chain(&events)).unwrap();
        prop_assert_eq!(&one, &back);
        // Whatever it is by now, people can go on with it.
        let value = other.value(&one).unwrap();
        prop_assert_eq!(other.encode(Some(&one), &Action::Save(&value)).unwrap(), None);
        let wanted = json!({"_id": "e", "body": "new", "list": [1], "steps": 9});
        if let Some(event) = other.encode(Some(&one), &Action::Save(&wanted)).unwrap() {
            let saved = other.apply(Some(&one), &event).unwrap();
            prop_assert_eq!(other.value(&saved).unwrap(), wanted);
        }
    }
}

/// A change that a stranger makes up: a member that nobody else writes.
#[derive(Clone, Debug)]
struct Made {
    actor: u8,
    seq: u8,
    start: u8,
    deps: Vec<Index>,
    names: Option<u8>,
}

fn made() -> impl Strategy<Value = Made> {
    let deps = prop::collection::vec(any::<Index>(), 0..3);
    let names = prop::option::of(0..3_u8);
    (0..3_u8, 1..3_u8, 1..5_u8, deps, names).prop_map(|(actor, seq, start, deps, names)| Made {
        actor,
        seq,
        start,
        deps,
        names,
    })
}

/// The changes, each of which may depend on those before it.
fn changes(made: &[Made]) -> Vec<Vec<u8>> {
    let mut events: Vec<Vec<u8>> = Vec::new();
    for (made, name) in made.iter().zip(b'a'..) {
        let some = made.deps.iter().filter(|_| !events.is_empty());
        let mut deps: Vec<[u8; 32]> = some
            .map(|dep| hash(&events[dep.index(events.len())]))
            .collect();
        deps.sort_unstable();
        deps.dedup();
        let mut bytes = vec![deps.len() as u8];
        bytes.extend(deps.concat());
        bytes.extend([1, made.actor, made.seq, made.start, 0, 0]);
        match made.names {
            Some(other) => bytes.extend([1, 1, other]),
            None => bytes.push(0),
        }
        bytes.extend([5, 0x15, 3, 0x34, 1, 0x42, 2, 0x56, 2, 0x70, 2]);
        bytes.extend([1, 1, name, 1, 1, 1, 1, 0, 1, 0]);
        events.push(chunk(1, &bytes));
    }
    events
}

/// The state in every order that turning and reversing gives is one.
#[track_caller]
fn one_state(events: &[Vec<u8>]) {
    let wanted = state(&Automerge::of("ann"), events);
    let mut order = events.to_vec();
    for _ in 0..events.len() {
        order.rotate_left(1);
        assert_eq!(state(&Automerge::of("ann"), &order), wanted);
        let back = order.iter().rev();
        assert_eq!(state(&Automerge::of("ann"), back), wanted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_changes_strangers_make_up_peers_agree(
        made in prop::collection::vec(made(), 2..7),
        places in any::<[Index; 7]>(),
    ) {
        let events = changes(&made);
        one_state(&events);
        let mut shuffled: Vec<Vec<u8>> = Vec::new();
        for (event, place) in events.iter().zip(&places) {
            shuffled.insert(place.index(shuffled.len() + 1), event.clone());
        }
        one_state(&shuffled);
        prop_assert_eq!(state(&Automerge::of("ann"), &events), state(&Automerge::of("ann"), &shuffled));
    }
}

#[test]
fn who_comes_first_in_the_order_has_the_turn_also_when_it_had_to_wait() {
    let made = |actor, seq, start, deps: &[[u8; 32]], names: &[u8], name| {
        let mut bytes = vec![deps.len() as u8];
        bytes.extend(deps.concat());
        bytes.extend([1, actor, seq, start, 0, 0, names.len() as u8]);
        names.iter().for_each(|name| bytes.extend([1, *name]));
        bytes.extend([5, 0x15, 3, 0x34, 1, 0x42, 2, 0x56, 2, 0x70, 2]);
        bytes.extend([1, 1, name, 1, 1, 1, 1, 0, 1, 0]);
        chunk(1, &bytes)
    };
    let first = made(1, 1, 1, &[], &[], b'd');
    let waits = made(2, 1, 2, &[hash(&first)], &[], b'w');
    let claims = made(2, 1, 3, &[], &[], b'c');
    let events = [claims, waits, first];
    one_state(&events);
    let codec = Automerge::of("ann");
    let seen = codec.value(&state(&codec, &events).unwrap()).unwrap();
    assert_eq!(seen, json!({"d": null, "w": null}));
    // A change that names an actor whom nobody has heard of before it waits for good.
    let names = made(1, 1, 1, &[], &[3], b'x');
    let later = made(3, 1, 5, &[], &[], b'y');
    let events = [later, names];
    one_state(&events);
    let seen = codec.value(&state(&codec, &events).unwrap()).unwrap();
    assert_eq!(seen, json!({"y": null}));
}

#[test]
fn a_history_has_an_end_and_everybody_forgets_the_same() {
    let long = "x".repeat(HISTORY_BYTES_MAX / 9);
    let mut events: Vec<Vec<u8>> = (0..10_u8)
        .map(|actor| {
            let mut document = AutoCommit::new().with_actor([actor].to_vec().into());
            document
                .put(ROOT, format!("{actor}"), long.as_str())
                .unwrap();
            let change = document.get_last_local_change().unwrap();
            change.raw_bytes().to_vec()
        })
        .collect();
    let codec = Automerge::of("ann");
    let full = state(&codec, &events).unwrap();
    let seen = codec.value(&full).unwrap();
    assert_eq!(seen.as_object().unwrap().len(), 8);
    events.reverse();
    events.rotate_left(3);
    assert!(state(&Automerge::of("ann"), &events).unwrap() == full);
    let error = codec.encode(Some(&full), &Action::Save(&json!({"new": long})));
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("history is full"), "{error}");
}

#[track_caller]
fn refused(event: &[u8], why: &str) {
    let codec = Automerge::of("ann");
    let error = codec.apply(None, event).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    let said = format!("{error:?}");
    assert!(said.contains(why), "{said} says nothing of: {why}");
}

/// A change of Automerge itself.
fn change(make: impl FnOnce(&mut AutoCommit)) -> automerge::Change {
    let mut document = AutoCommit::new();
    make(&mut document);
    document.get_last_local_change().unwrap().clone()
}

#[test]
fn a_deflated_event_is_refused_and_a_bomb_is_not_inflated() {
    let mut long = change(|doc| doc.put(ROOT, "a", "x".repeat(10_000)).unwrap());
    let deflated = long.bytes().into_owned();
    assert_eq!(deflated[8], 2);
    refused(&deflated, "deflated");
    assert_eq!(Automerge::event(&deflated).unwrap(), long.raw_bytes());

    // A chunk that inflates to a hundred times its size: more than there may be is never made.
    let bomb = flate(64 << 20);
    assert!(bomb.len() < 1 << 20);
    let error = Automerge::event(&chunk(2, &bomb)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(format!("{error:?}").contains("too many bytes"), "{error:?}");
}

/// So many zero bytes, deflated.
fn flate(bytes: u64) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut zeroes = std::io::repeat(0).take(bytes);
    std::io::copy(&mut zeroes, &mut deflated).unwrap();
    deflated.flush().unwrap();
    deflated.finish().unwrap()
}

/// The contents of a change with these columns, by their numbers.
fn columns(columns: &[(u8, &[u8])]) -> Vec<u8> {
    // No deps; an actor of one byte; seq 1, start 1, time 0, no message, no other actors.
    let mut bytes = vec![0, 1, 7, 1, 1, 0, 0, 0, columns.len() as u8];
    for (number, column) in columns {
        assert!(column.len() < 0x80);
        if *number < 0x80 {
            bytes.extend([*number, column.len() as u8]);
        } else {
            bytes.extend([*number, 1, column.len() as u8]);
        }
    }
    columns.iter().for_each(|(_, column)| bytes.extend(*column));
    chunk(1, &bytes)
}

/// So many in signed LEB128, as the length of a run.
fn run(count: usize) -> Vec<u8> {
    let (mut bytes, mut left) = (Vec::new(), count);
    while left >= 0x40 {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// Insertions of `null` into nothing but the names of members, in a few bytes.
fn many(count: usize, name: &[u8]) -> Vec<u8> {
    let names = [&run(count)[..], &[name.len() as u8], name].concat();
    let inserts: Vec<u8> = leb(count);
    let (actions, values) = (
        [&run(count)[..], &[1]].concat(),
        [&run(count)[..], &[0]].concat(),
    );
    columns(&[
        (0x15, &names),
        (0x34, &inserts),
        (0x42, &actions),
        (0x56, &values),
        (0x70, &values),
    ])
}

fn leb(mut count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while count >= 0x80 {
        bytes.push(count as u8 | 0x80);
        count >>= 7;
    }
    bytes.push(count as u8);
    bytes
}

#[test]
fn a_run_of_a_few_bytes_is_counted_before_it_is_made() {
    let codec = Automerge::of("ann");
    let state = codec.apply(None, &many(1_000, b"a")).unwrap();
    assert_eq!(codec.value(&state).unwrap(), json!({"a": null}));
    codec.apply(None, &many(EVENT_OPS_MAX, b"a")).unwrap();
    refused(&many(EVENT_OPS_MAX + 1, b"a"), "more rows");
    refused(&many(usize::MAX >> 2, b"a"), "more rows");
    refused(
        &many(EVENT_OPS_MAX, b"a name of many bytes"),
        "names have too many bytes",
    );
}

#[test]
fn what_automerge_would_panic_at_is_refused_or_waits() {
    let key: (u8, &[u8]) = (0x15, &[1, 1, b'a']);
    let insert: (u8, &[u8]) = (0x34, &[1]);
    let value: (u8, &[u8]) = (0x56, &[1, 0]);
    // An operation of no kind, a mark, a table.
    for action in [6, 7, 9, 77] {
        let event = columns(&[key, insert, (0x42, &[1, action]), value, (0x70, &[1, 0])]);
        refused(&event, "kind of operation");
    }
    // A later operation than its own, and an actor that the change does not name.
    let put: (u8, &[u8]) = (0x42, &[1, 1]);
    let preds: (u8, &[u8]) = (0x70, &[1, 0]);
    let own = columns(&[
        (0x01, &[1, 0]),
        (0x02, &[1, 1]),
        key,
        insert,
        put,
        value,
        preds,
    ]);
    refused(&own, "refers to a later one");
    let unknown = columns(&[
        (0x01, &[1, 3]),
        (0x02, &[1, 1]),
        key,
        insert,
        put,
        value,
        preds,
    ]);
    refused(&unknown, "cannot be");
    // In an object that is a value: it is kept, and never applied.
    let two: [(u8, &[u8]); 7] = [
        (0x01, &[0, 1, 1, 0]),
        (0x02, &[0, 1, 1, 1]),
        (0x15, &[2, 1, b'a']),
        (0x34, &[2]),
        (0x42, &[2, 1]),
        (0x56, &[2, 0]),
        (0x70, &[2, 0]),
    ];
    let codec = Automerge::of("ann");
    let state = codec.apply(None, &columns(&two)).unwrap();
    assert_eq!(codec.value(&state).unwrap(), json!({}));
    let event = codec.encode(Some(&state), &Action::Save(&json!({"a": 1})));
    let state = codec.apply(Some(&state), &event.unwrap().unwrap()).unwrap();
    assert_eq!(codec.value(&state).unwrap(), json!({"a": 1}));
}

#[test]
fn what_very_many_wrote_at_once_can_be_written_over() {
    let codec = Automerge::of("ann");
    let state = codec.apply(None, &many(2_000, b"a")).unwrap();
    let event = codec.encode(Some(&state), &Action::Save(&json!({"a": 1})));
    let state = codec.apply(Some(&state), &event.unwrap().unwrap()).unwrap();
    assert_eq!(codec.value(&state).unwrap(), json!({"a": 1}));
}

#[test]
fn sizes_and_counters_have_bounds() {
    let long = change(|doc| doc.put(ROOT, "a", "x".repeat(EVENT_BYTES_MAX)).unwrap());
    refused(long.raw_bytes(), "too many bytes");
    let counter = |at: i64, by: i64| {
        change(|doc| {
            doc.put(ROOT, "c", ScalarValue::counter(at)).unwrap();
            doc.increment(ROOT, "c", by).unwrap();
        })
    };
    let codec = Automerge::of("ann");
    let most = counter(1 << 62, INCREMENT_MAX);
    let state = codec.apply(None, most.raw_bytes()).unwrap();
    assert_eq!(
        codec.value(&state).unwrap()["c"],
        (1_i64 << 62) + INCREMENT_MAX
    );
    refused(
        counter(0, INCREMENT_MAX + 1).raw_bytes(),
        "increment is out of bounds",
    );
    refused(
        counter((1 << 62) + 1, 1).raw_bytes(),
        "counter is out of bounds",
    );
}

#[test]
fn what_nests_too_deeply_is_shown_as_null_and_can_be_saved() {
    let deep = change(|doc| {
        let mut at = ROOT;
        for _ in 0..2 * DOCUMENT_DEPTH_MAX {
            at = doc.put_object(at, "d", automerge::ObjType::Map).unwrap();
        }
    });
    let codec = Automerge::of("ann");
    let state = codec.apply(None, deep.raw_bytes()).unwrap();
    let value = codec.value(&state).unwrap();
    let (mut levels, mut at) = (1, &value);
    while at["d"].is_object() {
        (levels, at) = (levels + 1, &at["d"]);
    }
    assert_eq!((levels, &at["d"]), (DOCUMENT_DEPTH_MAX, &json!(null)));
    let same = codec.encode(Some(&state), &Action::Save(&value)).unwrap();
    assert_eq!(same, None);
}

#[test]
fn of_two_changes_that_claim_one_turn_every_peer_applies_the_same() {
    let actor = || automerge::ActorId::from([9; 16]);
    let by = |value: i64, seconds: &[i64]| {
        let mut document = AutoCommit::new().with_actor(actor());
        document.put(ROOT, "a", value).unwrap();
        let mut changes = vec![
            document
                .get_last_local_change()
                .unwrap()
                .raw_bytes()
                .to_vec(),
        ];
        for second in seconds {
            document.put(ROOT, "b", *second).unwrap();
            changes.push(
                document
                    .get_last_local_change()
                    .unwrap()
                    .raw_bytes()
                    .to_vec(),
            );
        }
        changes
    };
    let all = [by(1, &[10, 11]), by(2, &[20]), by(3, &[])].concat();
    let wanted = state(&Automerge::of("ann"), &all).unwrap();
    let mut orders = vec![all.clone()];
    for at in 0..all.len() {
        let mut order = all.clone();
        order.rotate_left(at);
        orders.push(order.iter().rev().cloned().collect());
        orders.push(order);
    }
    for order in orders {
        assert_eq!(state(&Automerge::of("ann"), &order).unwrap(), wanted);
    }
    let value = Automerge::of("ann").value(&wanted).unwrap();
    assert!(value["a"].is_i64(), "{value}");
}
