//! Events for tests: of every kind, and chunks made anew from contents.
#![allow(dead_code, reason = "not every test needs all of it")]

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use threads_codec_automerge::{Automerge, Counter, Text};
use threads_core::codec::{Action, EntityState, EventCodec};

/// A chunk of a kind, with a checksum that is right.
pub(crate) fn chunk(kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut head = vec![kind];
    let mut len = contents.len();
    while len >= 0x80 {
        head.push(len as u8 | 0x80);
        len >>= 7;
    }
    head.push(len as u8);
    let sum = Sha256::new().chain_update(&head).chain_update(contents);
    let sum = sum.finalize();
    [&[0x85, 0x6f, 0x4a, 0x83], &sum[..4], &head, contents].concat()
}

/// A change's name.
pub(crate) fn hash(event: &[u8]) -> [u8; 32] {
    Sha256::digest(&event[8..]).into()
}

/// What is in a chunk that is a change.
pub(crate) fn contents(event: &[u8]) -> &[u8] {
    let len = event[9..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
    &event[9 + len..]
}

/// The state after events, without those that are rejected.
pub(crate) fn state<'e>(
    codec: &Automerge,
    events: impl IntoIterator<Item = &'e Vec<u8>>,
) -> Option<EntityState> {
    let mut state: Option<EntityState> = None;
    for event in events {
        state = codec.apply(state.as_ref(), event).ok().or(state);
    }
    state
}

/// A page with everything in it that a document can have.
#[derive(Clone, Serialize)]
pub(crate) struct Page {
    pub(crate) _id: &'static str,
    pub(crate) body: Text,
    pub(crate) steps: Counter,
    pub(crate) list: Vec<serde_json::Value>,
    pub(crate) map: serde_json::Value,
}

/// Changes of one document by two writers, after each of whom the other goes on.
pub(crate) fn history() -> Vec<Vec<u8>> {
    let writers = [Automerge::of("ann"), Automerge::of("bob")];
    let first = Page {
        _id: "e",
        body: "tea".into(),
        steps: Counter(3),
        list: vec![json!(1), json!({"a": [null, true]}), json!("x"), json!(1)],
        map: json!({"a": 1.5, "b": {"c": "d"}, "": u64::MAX, "n": -7}),
    };
    let pages = [
        Page {
            body: "green tea 😀".into(),
            list: vec![json!({"a": [null, true, 2]}), json!("y"), json!("z")],
            ..first.clone()
        },
        Page {
            steps: Counter(5),
            map: json!({"b": {"c": null, "e": []}, "n": -8}),
            ..first.clone()
        },
        Page {
            body: "".into(),
            steps: Counter(1),
            list: vec![],
            map: json!({}),
            ..first.clone()
        },
    ];
    let created = writers[0].encode(None, &Action::Create(&first)).unwrap();
    let mut events = vec![created.unwrap()];
    for (page, writer) in pages.iter().zip(writers.iter().cycle()) {
        let state = state(writer, &events).unwrap();
        let event = writer.encode(Some(&state), &Action::Save(page)).unwrap();
        // Of what was not seen by the other there is one as well.
        let aside = json!({"_id": "e", "aside": [page.body.0]});
        let aside = writer.encode(Some(&state), &Action::Merge(&aside)).unwrap();
        events.extend(event.into_iter().chain(aside));
    }
    events
}
