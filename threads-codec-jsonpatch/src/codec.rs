//! The codec: what each action becomes, and what each event does.

use std::borrow::Cow;

use serde_json::Value;
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Error, ErrorKind, Result};

use crate::apply::apply;
use crate::diff::{Ops, diff};
use crate::document::{self, Members};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX};
use crate::patch::patch;
use crate::wire::{self, Event};

/// The codec `jsonpatch/1`. See the [crate](crate) for its format and rules.
///
/// ```
/// use threads_codec_jsonpatch::JsonPatch;
/// use threads_core::codec::EventCodec;
/// assert_eq!(JsonPatch::new().id().as_str(), "jsonpatch/1");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct JsonPatch;

impl JsonPatch {
    /// The codec.
    ///
    /// ```
    /// use threads_codec_jsonpatch::JsonPatch;
    /// use threads_core::codec::{EventCodec, Ordering};
    /// assert_eq!(JsonPatch::new().ordering(), Ordering::Total);
    /// ```
    pub fn new() -> Self {
        Self
    }
}

impl EventCodec for JsonPatch {
    fn id(&self) -> CodecId {
        // Invariant: the text is a well-formed codec id; a test parses it.
        "jsonpatch/1".parse().expect("a well-formed codec id")
    }

    fn ordering(&self) -> Ordering {
        Ordering::Total
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        match (action, before) {
            (Action::Create(_), Some(_)) => Err(Error::conflict(
                "the entity exists already: save or patch it",
            )),
            (Action::Create(value), None) => {
                let after = document::members(document::read(*value)?)?;
                wire::create(&after).map(Some)
            }
            (Action::Save(value), None) => {
                let after = document::members(document::read(*value)?)?;
                wire::replace(&after).map(Some)
            }
            (Action::Save(value), Some(state)) => change(
                state,
                document::members(document::read(*value)?)?,
                Whole::IfSmaller,
            ),
            (Action::Merge(_) | Action::Patch(_), None) => Err(Error::not_found(
                "there is no entity to patch: create it first",
            )),
            (Action::Merge(merge), Some(state)) => {
                document::measure(merge, DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX)
                    .map_err(|excess| excess.error(ErrorKind::Invalid))?;
                let mut after = Value::Object(document::open(state)?);
                json_patch::merge(&mut after, merge);
                change(state, document::members(after)?, Whole::IfNeeded)
            }
            (Action::Patch(list), Some(state)) => {
                let mut after = Value::Object(document::open(state)?);
                patch(&mut after, list)?;
                change(state, document::members(after)?, Whole::IfNeeded)
            }
            _ => Err(Error::unsupported(
                "this codec creates, saves, merges and patches only",
            )),
        }
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        let event = wire::decode(event)?;
        let before = before.map(document::open).transpose()?.unwrap_or_default();
        let after = match event {
            Event::Create(members) => before.into_iter().chain(members).collect(),
            Event::Replace(members) => members,
            Event::Patch(ops) => {
                let mut after = Value::Object(before);
                ops.into_iter().for_each(|op| apply(&mut after, op));
                document::members(after)?
            }
        };
        let text = document::close(&after).map_err(|excess| excess.error(ErrorKind::Rejected))?;
        Ok(EntityState::new(text))
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(state.as_bytes()))
    }
}

/// When an event may carry the whole document instead of what changed.
enum Whole {
    /// The application gave the whole document.
    IfSmaller,
    /// The application gave a part: the other members are not its concern, and a concurrent
    /// change to one of them should survive.
    IfNeeded,
}

/// The event from the document in `state` to `after`.
fn change(state: &EntityState, after: Members, whole: Whole) -> Result<Option<Vec<u8>>> {
    check(&after)?;
    let before = document::open(state)?;
    if before == after {
        return Ok(None);
    }
    let event = match diff(&before, &after) {
        Some(ops) if matches!(whole, Whole::IfNeeded) || !is_smaller(&after, &ops) => {
            wire::patch(&ops.list)
        }
        _ => wire::replace(&after),
    };
    event.map(Some)
}

fn is_smaller(document: &Members, ops: &Ops<'_>) -> bool {
    wire::document_len(document) < wire::list_len(ops.list.len(), ops.bytes)
}

/// Every peer must be able to hold the document that an event makes.
fn check(document: &Members) -> Result<()> {
    document::close(document)
        .map(drop)
        .map_err(|excess| excess.error(ErrorKind::Invalid))
}
