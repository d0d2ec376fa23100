//! The codec `registers/1`: each member of an entity is a register of its own.
//!
//! The guide `docs/writing-a-codec.md` leads here. Two writers who change different members both
//! keep what they wrote; of two who change the same member one wins, on every peer the same. Events
//! may come in any order and more than once: it is a CRDT, of [`Ordering::Any`].
//!
//! A state is a map from names to registers, as canonical DAG-CBOR. So is an event, with those
//! registers that it writes. To apply an event is to keep the greater of two registers.
//!
//! ```
//! use example_codec_registers::Registers;
//! use serde_json::json;
//! use threads_core::codec::{Action, EventCodec, EventCodecExt};
//!
//! let codec = Registers;
//! let made = json!({"_id": "ann", "age": 41, "town": "Graz"});
//! let created = codec.encode(None, &Action::Create(&made))?.unwrap();
//! let ann = codec.apply(None, &created)?;
//!
//! // Two peers change different members at the same time.
//! let older = codec.encode(Some(&ann), &Action::Merge(&json!({"age": 42})))?.unwrap();
//! let moved = codec.encode(Some(&ann), &Action::Merge(&json!({"town": null})))?.unwrap();
//! let here = codec.apply(Some(&codec.apply(Some(&ann), &older)?), &moved)?;
//! let there = codec.apply(Some(&codec.apply(Some(&ann), &moved)?), &older)?;
//! assert_eq!(here, there);
//! assert_eq!(codec.value(&here)?, json!({"_id": "ann", "age": 42}));
//! # Ok::<(), threads_core::Error>(())
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Error, Result, block};

/// The longest event: 1 MiB (1,048,576 bytes).
///
/// A bound on states would make the order of events matter, so there is none: a state is at most
/// as long as all events together.
///
/// ```
/// assert_eq!(example_codec_registers::EVENT_BYTES_MAX, 1_048_576);
/// ```
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The codec. See the [crate] for its format.
///
/// ```
/// use example_codec_registers::Registers;
/// use threads_core::codec::EventCodec;
/// assert_eq!(Registers.id().as_str(), "registers/1");
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it has nothing to add a field for"
)]
pub struct Registers;

/// How often a member was written, and its value as JSON text; none where it was removed. The
/// greater one wins: more writes, or else the greater text, so that a value beats a removal.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
struct Register(u64, Option<String>);

type State = BTreeMap<String, Register>;

impl EventCodec for Registers {
    fn id(&self) -> CodecId {
        #[expect(clippy::expect_used, reason = "a constant that the laws parse")]
        "registers/1"
            .parse()
            .expect("a constant codec id is well-formed")
    }

    fn ordering(&self) -> Ordering {
        Ordering::Any
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        let state = before.map(read).transpose()?.unwrap_or_default();
        let after = match action {
            Action::Create(value) | Action::Save(value) => {
                object(serde_json::to_value(value).map_err(not_json)?)?
            }
            Action::Merge(patch) => {
                let mut document = serde_json::from_str(&text(&state)?).map_err(damaged)?;
                merge(&mut document, patch);
                object(document)?
            }
            _ => {
                return Err(Error::unsupported(
                    "this codec has no patches: save or merge",
                ));
            }
        };
        let event = changes(&state, &after)?;
        if event.is_empty() && before.is_some() {
            return Ok(None);
        }
        let bytes = block::encode(&event)?;
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(Error::invalid(
                "too much for one event: use several entities",
            ));
        }
        Ok(Some(bytes))
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        if event.len() > EVENT_BYTES_MAX {
            return Err(Error::rejected("an event is too long").with("bytes", event.len()));
        }
        // Gives Rejected where the bytes are no such map, or another form of one.
        let event: State = block::decode(event)?;
        let mut state = before.map(read).transpose()?.unwrap_or_default();
        for (name, new) in event {
            if new.0 == 0 || new.1.as_deref().is_some_and(|text| !is_canonical(text)) {
                return Err(Error::rejected("a register of an event is malformed"));
            }
            let register = state.entry(name).or_default();
            if new > *register {
                *register = new;
            }
        }
        Ok(EntityState::new(block::encode(&state)?))
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Owned(text(&read(state)?)?.into_bytes()))
    }
}

/// The registers that have to be written so that the members become these.
fn changes(state: &State, after: &Map<String, Value>) -> Result<State> {
    let mut event = State::new();
    for name in state.keys().chain(after.keys()) {
        let (writes, old) = match state.get(name) {
            Some(Register(writes, text)) => (*writes, text.as_ref()),
            None => (0, None),
        };
        let new = after.get(name).map(Value::to_string);
        if new.as_ref() == old {
            continue;
        }
        if new.as_deref().is_some_and(|text| !is_canonical(text)) {
            return Err(Error::invalid("a value nests too deeply: flatten it"));
        }
        let writes = writes.checked_add(1).ok_or_else(|| {
            Error::conflict("a member was written for the last time: use another")
                .with("name", name)
        })?;
        event.insert(name.clone(), Register(writes, new));
    }
    Ok(event)
}

/// Whether a text is JSON as this codec writes it, and fits into an object that serde_json reads.
fn is_canonical(text: &str) -> bool {
    let read = serde_json::from_str::<[Value; 1]>(&format!("[{text}]"));
    read.is_ok_and(|[value]| {
        let written = value.to_string();
        written == text
    })
}

/// The registers of a state.
fn read(state: &EntityState) -> Result<State> {
    block::decode(state.as_bytes())
        .map_err(|cause| Error::corrupt("not a state of registers/1").caused_by(cause))
}

/// The JSON object of the members that are there. Their values are JSON text already.
fn text(state: &State) -> Result<String> {
    let mut text = String::from("{");
    for (name, Register(_, value)) in state {
        let Some(value) = value else { continue };
        if text.len() > 1 {
            text.push(',');
        }
        text += &serde_json::to_string(name).map_err(not_json)?;
        text.push(':');
        text += value;
    }
    text.push('}');
    Ok(text)
}

fn object(value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Error::invalid(
            "an entity is a JSON object: wrap the value in one",
        )),
    }
}

/// A merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    let mut members = match target.take() {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
    *target = Value::Object(members);
}

fn not_json(cause: serde_json::Error) -> Error {
    Error::invalid("a value cannot be written as JSON").caused_by(cause)
}

fn damaged(cause: serde_json::Error) -> Error {
    Error::corrupt("the state of an entity is damaged: rebuild it from its log").caused_by(cause)
}
