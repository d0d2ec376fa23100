//! The codec of the framework's own collections: the later write wins, whole.

use std::borrow::Cow;

use serde_json::Value;
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Error, Result, block};

/// The name of the codec. It is written in records.
pub(crate) const WHOLE: &str = "whole/1";

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
        Ok((before.map(EntityState::as_bytes) != Some(&bytes)).then_some(bytes))
    }

    fn apply(&self, _before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        block::decode::<Value>(event)?;
        Ok(EntityState::new(event))
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        let value = block::decode::<Value>(state.as_bytes())?;
        let text = serde_json::to_vec(&value)
            .map_err(|cause| Error::corrupt("a definition is not JSON").caused_by(cause))?;
        Ok(Cow::Owned(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use threads_core::codec::EventCodecExt;

    use super::*;

    #[test]
    fn the_later_write_wins_whole() {
        let (one, two) = (json!({"a": 1}), json!({"b": 2}));
        let created = Whole.encode(None, &Action::Create(&one)).unwrap().unwrap();
        let state = Whole.apply(None, &created).unwrap();
        assert_eq!(
            Whole.encode(Some(&state), &Action::Save(&one)).unwrap(),
            None
        );
        let saved = Whole
            .encode(Some(&state), &Action::Save(&two))
            .unwrap()
            .unwrap();
        let state = Whole.apply(Some(&state), &saved).unwrap();
        assert_eq!(Whole.value(&state).unwrap(), two);
    }

    #[test]
    fn bytes_that_are_no_document_are_refused() {
        assert!(Whole.apply(None, b"\xff").is_err());
        assert!(Whole.apply(None, b"\x18\x01").is_err(), "not canonical");
    }
}
