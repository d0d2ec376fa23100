//! The codec of the framework's own collections: the later write wins, whole.

use std::borrow::Cow;

use serde_json::{Map, Value};
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Error, Result, block};

use crate::schema::values_in;

/// The name of the codec. It is written in records.
pub(crate) const WHOLE: &str = "whole/1";

/// The deepest document: one that readers of JSON text cannot read would keep every peer that has
/// it from reading any definition. Every peer refuses the same ones, so this is part of the format.
const DEPTH_MAX: usize = 64;

/// Events are whole documents as canonical DAG-CBOR; so are states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole;

/// The id of [`Whole`].
#[expect(clippy::expect_used, reason = "a constant that the tests parse")]
pub(crate) fn whole_id() -> CodecId {
    WHOLE.parse().expect("a constant codec id is well-formed")
}

impl EventCodec for Whole {
    fn id(&self) -> CodecId {
        whole_id()
    }

    fn ordering(&self) -> Ordering {
        Ordering::Total
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        let (Action::Create(value) | Action::Save(value)) = action else {
            return Err(Error::unsupported(
                "the framework's own entities are saved whole",
            ));
        };
        let bytes = block::encode(value)?;
        members(&bytes).map_err(|cause| {
            Error::invalid("an entity is a JSON object: wrap the value in one").caused_by(cause)
        })?;
        Ok((before.map(EntityState::as_bytes) != Some(&bytes)).then_some(bytes))
    }

    fn apply(&self, _before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        members(event)?;
        Ok(EntityState::new(event))
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        let members = members(state.as_bytes()).map_err(|cause| {
            Error::corrupt("the state of a definition is damaged: restore it from a copy")
                .caused_by(cause)
        })?;
        let text = serde_json::to_vec(&members)
            .map_err(|cause| Error::corrupt("a definition is not JSON").caused_by(cause))?;
        Ok(Cow::Owned(text))
    }
}

/// The members of a document, from an event or a state.
fn members(bytes: &[u8]) -> Result<Map<String, Value>> {
    let document: Value = block::decode(bytes)?;
    if values_in(&document, DEPTH_MAX).is_none() {
        return Err(Error::rejected("a definition nests too deep").with("most", DEPTH_MAX));
    }
    match document {
        Value::Object(members) => Ok(members),
        _ => Err(Error::rejected("a definition is not a map")),
    }
}

#[cfg(test)]
mod tests {
    use threads_conformance::codec::Subject;

    use super::*;

    threads_conformance::codec_laws!(Subject::new(|| Whole));

    /// `{"a": [[…]]}` with so many levels below the document itself.
    fn nested(levels: usize) -> Vec<u8> {
        let mut event = b"\xa1\x61a".to_vec();
        event.extend(vec![0x81; levels - 1]);
        event.push(0x80);
        event
    }

    #[test]
    fn row_31_a_definition_that_is_too_deep_to_be_read_is_refused() {
        use threads_core::codec::EventCodecExt;
        for levels in 1..400 {
            match Whole.apply(None, &nested(levels)) {
                Ok(state) => assert!(Whole.value(&state).is_ok(), "{levels}"),
                Err(error) => assert_eq!(error.kind(), threads_core::ErrorKind::Rejected),
            }
        }
    }

    #[test]
    fn bytes_in_another_form_are_refused() {
        assert!(Whole.apply(None, b"\x18\x01").is_err(), "not canonical");
    }
}
