//! The vectors of the specification: `THREADS_VECTORS=write` writes them, otherwise they are compared
//! with what the codec does now.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

use std::fs;
use std::path::Path;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, ScalarValue};
use serde_json::{Value, json};
use support::{Page, chunk, contents, history};
use threads_codec_automerge::{Automerge, Counter};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec};

const FILE: &str = "../spec/vectors/automerge.json";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A case of the file: events in the order in which they come, which of them are refused, what is seen
/// then, and the state.
fn case(name: &str, events: &[Vec<u8>]) -> Value {
    let codec = Automerge::of("ann");
    let (mut state, mut refused): (Option<EntityState>, Vec<usize>) = (None, Vec::new());
    for (at, event) in events.iter().enumerate() {
        match codec.apply(state.as_ref(), event) {
            Ok(after) => state = Some(after),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Rejected);
                refused.push(at);
            }
        }
    }
    let view = state.as_ref().map(|state| codec.view(state).unwrap());
    let events: Vec<String> = events.iter().map(|event| hex(event)).collect();
    json!({
        "name": name,
        "events_hex": events,
        "refused": refused,
        "view": view.map(|view| String::from_utf8(view.into_owned()).unwrap()),
        "state_hex": state.as_ref().map(|state| hex(state.as_bytes())),
    })
}

fn merging() -> Vec<Value> {
    let all = history();
    let mut turned = all.clone();
    turned.reverse();
    let mut twice = all.clone();
    twice.extend(all.iter().cloned());
    let mut waits = all.clone();
    waits.remove(1);
    let (ann, bob) = (Automerge::of("ann"), Automerge::of("bob"));
    let page = |steps| Page {
        _id: "e",
        body: "tea".into(),
        steps: Counter(steps),
        list: vec![json!("x"); 3],
        map: json!({}),
    };
    let created = ann
        .encode(None, &Action::Create(&page(7)))
        .unwrap()
        .unwrap();
    let state = ann.apply(None, &created).unwrap();
    let save = |codec: &Automerge, page: &Page| {
        let event = codec.encode(Some(&state), &Action::Save(page));
        event.unwrap().unwrap()
    };
    let at_once = [(&ann, "ann"), (&bob, "bob")].map(|(codec, name)| {
        let mut page = page(8);
        page.list.insert(1, json!(name));
        page.body.0.insert_str(0, "a ");
        page.map = json!({"by": name});
        save(codec, &page)
    });
    let [one, other] = at_once;
    let empty = ann.encode(None, &Action::Create(&json!({}))).unwrap();
    vec![
        case("nothing", &[]),
        case("an entity without members", &[empty.unwrap()]),
        case("members, elements, characters and steps", &all),
        case("the same, the last first", &turned),
        case("the same, each twice", &twice),
        case("the same, with one that is missing", &waits),
        case(
            "two at once",
            &[created.clone(), one.clone(), other.clone()],
        ),
        case("two at once, the other first", &[other, created, one]),
    ]
}

fn elsewhere() -> Vec<Value> {
    let actor = |byte: u8| automerge::ActorId::from([byte; 4]);
    let last = |document: &mut AutoCommit| {
        let change = document.get_last_local_change().unwrap();
        change.raw_bytes().to_vec()
    };
    let mut document = AutoCommit::new().with_actor(actor(9));
    document
        .put(ROOT, "bytes", ScalarValue::Bytes(vec![0, 255]))
        .unwrap();
    document
        .put(ROOT, "time", ScalarValue::Timestamp(-5))
        .unwrap();
    document
        .put(ROOT, "unsigned", ScalarValue::Uint(7))
        .unwrap();
    document.put(ROOT, "none", f64::NAN).unwrap();
    document.put(ROOT, "far", f64::MAX).unwrap();
    document.put(ROOT, "near", 1e-5).unwrap();
    document.put(ROOT, "zero", -0.0).unwrap();
    let first = last(&mut document);
    let mut twin = AutoCommit::new().with_actor(actor(9));
    twin.put(ROOT, "twin", true).unwrap();
    let twin = last(&mut twin);
    document.delete(ROOT, "bytes").unwrap();
    let second = last(&mut document);
    vec![
        case("kinds that JSON has not", std::slice::from_ref(&first)),
        case(
            "two of one turn",
            &[second.clone(), first.clone(), twin.clone()],
        ),
        case("two of one turn, the other first", &[twin, first, second]),
    ]
}

fn refusals() -> Vec<Value> {
    let good = &history()[0];
    let body = contents(good);
    let with = |at: usize, byte: u8| {
        let mut bytes = body.to_vec();
        bytes[at] = byte;
        chunk(1, &bytes)
    };
    let mut sum = good.clone();
    sum[4] ^= 1;
    let bad = vec![
        vec![],
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        chunk(0, body),
        chunk(2, body),
        sum,
        // It depends on something; its number; where its operations begin.
        with(0, 1),
        with(18, 0),
        with(19, 0),
        b"{}".to_vec(),
    ];
    let mut named = vec![case("a change", std::slice::from_ref(good))];
    let each = bad.iter().enumerate();
    named.extend(
        each.map(|(at, event)| case(&format!("no event, {at}"), std::slice::from_ref(event))),
    );
    named
}

#[test]
fn the_vectors_are_what_the_codec_does() {
    let cases = [merging(), elsewhere(), refusals()].concat();
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("THREADS_VECTORS").is_some_and(|word| word == "write") {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}
