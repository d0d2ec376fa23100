//! States of entities: a snapshot of a stranger has them, so a codec reads them as it reads events.

use serde_json::{Value, json};
use threads_codec_automerge::Automerge;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt};

use super::automerge;
use crate::check::refused;

/// What damage may be called, and what an application may hear of it.
const KINDS: [ErrorKind; 3] = [ErrorKind::Corrupt, ErrorKind::Rejected, ErrorKind::Invalid];

fn codecs() -> [Box<dyn EventCodec>; 3] {
    [
        Box::new(JsonPatch::new()),
        Box::new(Lww::new()),
        Box::new(Automerge::of("ann")),
    ]
}

fn document() -> Value {
    json!({"_id": "ann", "age": 41, "tags": ["a", {"c": [1.5, null]}], "t": "tea"})
}

/// Sound states of each codec, each after the number of its codec.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, codec) in codecs().iter().enumerate() {
        let document = document();
        let event = codec
            .encode(None, &Action::Create(&document))
            .unwrap()
            .unwrap();
        let state = codec.apply(None, &event).unwrap();
        let removes = json!({"age": null, "n": 1});
        let event = codec
            .encode(Some(&state), &Action::Merge(&removes))
            .unwrap()
            .unwrap();
        for state in [codec.apply(Some(&state), &event).unwrap(), state] {
            seeds.push([&[number as u8], state.as_bytes()].concat());
        }
    }
    seeds
}

/// A state after the number of its codec: it is read, changed by an event of a peer, and by an application.
pub(crate) fn state(input: &[u8]) {
    let Some((number, bytes)) = input.split_first() else {
        return;
    };
    let codecs = codecs();
    let number = usize::from(*number) % codecs.len();
    let (codec, state) = (&codecs[number], EntityState::new(bytes.to_vec()));
    if let Err(error) = codec.value(&state) {
        refused(&error, &KINDS);
    }
    let events = match number {
        2 => automerge::events(),
        _ => {
            let document = document();
            vec![
                codec
                    .encode(None, &Action::Create(&document))
                    .unwrap()
                    .unwrap(),
            ]
        }
    };
    for event in events {
        match codec.apply(Some(&state), &event) {
            Ok(after) => {
                let again = codec.apply(Some(&state), &event).unwrap();
                assert_eq!(after, again, "one state and one event give one state");
            }
            Err(error) => refused(&error, &KINDS),
        }
    }
    match codec.encode(Some(&state), &Action::Merge(&json!({"n": 1}))) {
        Ok(None) => {}
        Ok(Some(event)) => {
            codec.apply(Some(&state), &event).unwrap();
        }
        Err(error) => refused(&error, &KINDS),
    }
}
