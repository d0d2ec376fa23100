//! Bytes that are no event or no state: good ones that are damaged, and some of many formats.

use serde_json::{Value, json};
use threads_core::codec::{Action, EntityState, EventCodec};

use super::asked::{after, created, document, event, has_merges, has_patches};
use super::plain::{patch, places};
use crate::law::Violation;

/// How many bytes of an event are damaged one by one.
const DAMAGED_BYTES_MAX: usize = 256;

/// A state, or nothing, and an event that was made on it.
pub(super) type Good = (Option<EntityState>, Vec<u8>);

/// Events of every action that the codec has.
pub(super) fn good(codec: &dyn EventCodec) -> Result<Vec<Good>, Violation> {
    let first = document(json!({"a": 1, "list": [1, {"b": "c"}], "text": "abc"}));
    let state = after(codec, None, &Action::Create(&first))?;
    let fuller = document(json!({"a": {"b": 7}, "list": [1, 2, 3], "text": "abd", "x": 1.5}));
    let less = document(json!({"a": 2}));
    let mut made = vec![
        (None, event(codec, None, &Action::Create(&first))?),
        (
            Some(state.clone()),
            event(codec, Some(&state), &Action::Save(&fuller))?,
        ),
        (
            Some(state.clone()),
            event(codec, Some(&state), &Action::Save(&less))?,
        ),
    ];
    if has_merges(codec) {
        let merge = json!({"a": {"x": "y"}, "text": null});
        made.push((
            Some(state.clone()),
            event(codec, Some(&state), &Action::Merge(&merge))?,
        ));
    }
    if has_patches(codec) {
        let patch = json!([
            {"op": "add", "path": "/list/0", "value": {"n": -5}},
            {"op": "copy", "from": "/list", "path": "/list/0/d"},
            {"op": "remove", "path": "/text"},
        ]);
        made.push((
            Some(state.clone()),
            event(codec, Some(&state), &Action::Patch(&patch))?,
        ));
    }
    Ok(made)
}

/// States of entities of several shapes.
pub(super) fn states(codec: &dyn EventCodec) -> Result<Vec<EntityState>, Violation> {
    let mut states = Vec::new();
    for (before, event) in good(codec)? {
        states.push(codec.apply(before.as_ref(), &event)?);
    }
    states.push(created(codec, json!({"a": [[1], "b"], "list": "none"}))?);
    Ok(states)
}

/// Well-formed damage to JSON text: each value in its turn is gone, or is one of another type, or
/// as large as there are. Other formats have none.
fn well_formed(good: &[u8]) -> Vec<Vec<u8>> {
    let Ok(good) = serde_json::from_slice::<Value>(good) else {
        return Vec::new();
    };
    let others = json!([
        null,
        true,
        -1,
        1.5,
        1e308,
        i64::MAX,
        i64::MIN,
        u64::MAX,
        "x",
        "",
        [],
        [null],
        {}
    ]);
    let mut found = Vec::new();
    for path in places(&good) {
        found.extend(patch(&good, &json!([{"op": "remove", "path": path}])));
        for other in others.as_array().into_iter().flatten() {
            found.extend(patch(
                &good,
                &json!([{"op": "replace", "path": path, "value": other}]),
            ));
        }
    }
    found
        .iter()
        .map(|value| value.to_string().into_bytes())
        .collect()
}

/// What becomes of good bytes on the way: cut off, changed, doubled.
pub(super) fn damaged(good: &[u8]) -> Vec<Vec<u8>> {
    let mut found = well_formed(good);
    for at in 0..good.len().min(DAMAGED_BYTES_MAX) {
        found.push(good[..at].to_vec());
        found.push(good[at..].to_vec());
        for bit in 0..8 {
            let mut flipped = good.to_vec();
            flipped[at] ^= 1 << bit;
            found.push(flipped);
        }
        for byte in [0x00, 0xff, b'9', b'"', b'{', b'['] {
            let mut replaced = good.to_vec();
            replaced[at] = byte;
            found.push(replaced);
            let (head, tail) = good.split_at(at);
            found.push([head, &[byte], tail].concat());
        }
    }
    found.push([good, good].concat());
    found.push([good, b"\0"].concat());
    found.push([b" ", good].concat());
    found
}

/// Small values in formats that a codec may be made of.
pub(super) fn common() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 24] = [
        // Text: nothing, JSON of every type, JSON that is cut off or no UTF-8.
        b"",
        b"null",
        b"true",
        b"0",
        b"-1e999",
        b"\"x\"",
        b"\"\\ud800\"",
        b"\"\xff\"",
        b"[]",
        b"[null]",
        b"{}",
        b"{\"a\":1,\"a\":2}",
        b"{\"_id\":",
        // CBOR: null, an integer, texts, lists, maps, floats, a tag, lengths that lie.
        b"\xf6",
        b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x61\xff",
        b"\x80",
        b"\xa0",
        b"\xa2\x61a\x01\x61a\x02",
        b"\xf9\x7e\x00",
        b"\xd8\x2a\x40",
        b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\x00\x00\x00\xff\xff\xff\xff\xff",
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
    ];
    texts.map(<[u8]>::to_vec).into()
}
