//! The codec: what each action becomes, and what each event does.

use std::borrow::Cow;

use serde_json::{Map, Value};
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Error, Result};

use crate::change::Change;
use crate::state::{self, State};

/// The codec `lww/1`. See the [crate] for its format and rules.
///
/// ```
/// use threads_codec_lww::Lww;
/// use threads_core::codec::EventCodec;
/// assert_eq!(Lww::new().id().as_str(), "lww/1");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Lww;

impl Lww {
    /// The codec.
    ///
    /// ```
    /// use threads_codec_lww::Lww;
    /// use threads_core::codec::{EventCodec, Ordering};
    /// assert_eq!(Lww::new().ordering(), Ordering::Total);
    /// ```
    pub fn new() -> Self {
        Self
    }
}

impl EventCodec for Lww {
    fn id(&self) -> CodecId {
        // Invariant: the text is a well-formed codec id; the laws parse it.
        "lww/1".parse().expect("a well-formed codec id")
    }

    /// The order is that of time: whatever is applied last was written last.
    fn ordering(&self) -> Ordering {
        Ordering::Total
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        let mut state = before.map(State::read).transpose()?.unwrap_or_default();
        let wanted = match action {
            Action::Create(value) | Action::Save(value) => {
                object(serde_json::to_value(value).map_err(not_json)?)?
            }
            Action::Merge(patch) => {
                let mut document = Value::Object(state.members.clone());
                merge(&mut document, patch);
                object(document)?
            }
            _ => {
                return Err(Error::unsupported(
                    "this codec has no patches: save or merge",
                ));
            }
        };
        let change = state.change_to(wanted);
        if change.is_empty() && before.is_some() {
            return Ok(None);
        }
        let event = change.write()?;
        // What others would refuse, the application has to hear of now.
        let accepted = Change::read(&event).and_then(|change| {
            state.apply(change);
            state.write()
        });
        match accepted {
            Ok(_) => Ok(Some(event)),
            Err(refused) => Err(Error::invalid(refused.message().to_owned()).caused_by(refused)),
        }
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        let change = Change::read(event)?;
        let mut state = before.map(State::read).transpose()?.unwrap_or_default();
        state.apply(change);
        state.write()
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        state::document(state).map(Cow::Borrowed)
    }
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
