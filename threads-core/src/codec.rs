//! Event codecs: how a change to an entity becomes bytes, and bytes become a change.
//!
//! # Contract
//!
//! What is in brackets is the law in `threads-conformance` that checks the sentence.
//!
//! * Id and ordering are constants (EC-1). The id names one format, and never another one.
//! * A codec is pure: no clock, randomness or storage. The same arguments give the same event
//!   (EC-2), state and view (EC-3), in every instance.
//! * `apply(before, encode(before, action))` is the state that `action` asks for: a Create (EC-4),
//!   a Save (EC-5), a Merge after RFC 7396 (EC-6), a Patch after RFC 6902 (EC-7), all of it or
//!   nothing (EC-8). A codec without merges or patches answers
//!   [`Unsupported`](crate::ErrorKind::Unsupported).
//! * `encode` gives `None` when the action changes nothing (EC-9), and only then (EC-10).
//! * A value is an object, or it is [`Invalid`](crate::ErrorKind::Invalid) (EC-11). Every JSON
//!   value (EC-12) and member name (EC-13) survives, `_id` too (EC-14). There is room for 64 KiB
//!   and 32 levels, or more (EC-15). The order in which a value names its members is not part of
//!   it (EC-16).
//! * An event may meet any state that the codec has given, and none: its author may not have known
//!   of other events, and of two who create one entity, one comes second. It may also come from a
//!   stranger. What cannot be applied is [`Rejected`](crate::ErrorKind::Rejected) (EC-17) and
//!   leaves nothing behind (EC-18). Any other error of `apply` stops whoever takes in the record.
//! * The view of a state that `apply` gave is one JSON object, as text in UTF-8 (EC-19). A state
//!   that it did not give is [`Corrupt`](crate::ErrorKind::Corrupt) at worst (EC-20).
//! * Stack (EC-21) and memory (EC-22) are bounded, whatever the event.
//! * By [`Ordering`]: whatever it is, one sequence of events is one state (EC-23). Of `Causal`, all
//!   orders agree that have causes before effects (EC-24). Of `Any`, all orders (EC-25), also when
//!   events come again (EC-26).
//! * Whatever is done in whatever order, the view is what a plain JSON document would be (EC-27).
//!
//! # For implementers
//!
//! Keep whatever you need in [`EntityState`]; the framework stores it and never looks inside.
//! Deleting is the framework's business: a deleted entity never reaches a codec again. It asks to
//! create where there is nothing, and for the other actions where there is something.
//!
//! Run the laws: `threads_conformance::codec_laws!` makes a test of each, and the guide
//! `docs/writing-a-codec.md` leads there in an hour.
//!
//! # For users
//!
//! Register codecs when the node is opened; a collection names the one it uses.
//!
//! # Example
//!
//! A codec that replaces the whole entity. It keeps every law.
//!
//! ```
//! use std::borrow::Cow;
//! use serde_json::{Map, Value};
//! use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt, Ordering};
//! use threads_core::{CodecId, Error, Result};
//!
//! #[derive(Debug)]
//! struct Replace;
//!
//! impl EventCodec for Replace {
//!     fn id(&self) -> CodecId { "replace/1".parse().unwrap() }
//!     fn ordering(&self) -> Ordering { Ordering::Total }
//!     fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
//!         let (Action::Create(value) | Action::Save(value)) = action else {
//!             return Err(Error::unsupported("this codec replaces whole entities: save, do not patch"));
//!         };
//!         let invalid = |cause| Error::invalid("an entity is a JSON object").caused_by(cause);
//!         // Through a value, so that the members are in order.
//!         let members: Map<String, Value> =
//!             serde_json::to_value(value).and_then(serde_json::from_value).map_err(invalid)?;
//!         let bytes = serde_json::to_vec(&members).map_err(invalid)?;
//!         Ok((before.map(EntityState::as_bytes) != Some(&bytes)).then_some(bytes))
//!     }
//!     fn apply(&self, _before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
//!         let members: Map<String, Value> = serde_json::from_slice(event)
//!             .map_err(|cause| Error::rejected("not a JSON object").caused_by(cause))?;
//!         Ok(EntityState::new(Value::Object(members).to_string()))
//!     }
//!     fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
//!         Ok(Cow::Borrowed(state.as_bytes()))
//!     }
//! }
//!
//! let value = serde_json::json!({"_id": "a", "n": 1});
//! let event = Replace.encode(None, &Action::Create(&value)).unwrap().unwrap();
//! let state = Replace.apply(None, &event).unwrap();
//! assert_eq!(Replace.value(&state).unwrap(), value);
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::{CodecId, Error, Result};

/// The order in which a codec needs the events of one entity to converge.
///
/// ```
/// use threads_core::codec::Ordering;
/// assert_ne!(Ordering::Any, Ordering::Total);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ordering {
    /// Any order, with duplicates: a CRDT.
    Any,
    /// Causes before their effects, each once; concurrent events in any order.
    Causal,
    /// The order of (hybrid time, log, sequence number), each once. A late event is a replay.
    Total,
}

/// What happened to an entity, as listeners, reducers and policies see it.
///
/// ```
/// assert_eq!(threads_core::codec::ActionKind::Create.as_str(), "create");
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// It began.
    Create,
    /// It changed.
    Save,
    /// It ended, for good.
    Delete,
}

impl ActionKind {
    /// Every kind.
    ///
    /// ```
    /// assert_eq!(threads_core::codec::ActionKind::ALL.len(), 3);
    /// ```
    pub const ALL: &'static [Self] = &[Self::Create, Self::Save, Self::Delete];

    /// A stable word for programs and people.
    ///
    /// ```
    /// assert_eq!(threads_core::codec::ActionKind::Delete.as_str(), "delete");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Save => "save",
            Self::Delete => "delete",
        }
    }

    /// Its number in the batch format.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Create => 0,
            Self::Save => 1,
            Self::Delete => 2,
        }
    }

    /// The kind of a number in the batch format.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// What an application asks of one entity.
///
/// ```
/// use threads_core::codec::Action;
/// let value = serde_json::json!({"_id": "a"});
/// assert_eq!(format!("{:?}", Action::Create(&value)), "Create");
/// ```
#[non_exhaustive]
pub enum Action<'a> {
    /// The entity begins, with this value.
    Create(&'a dyn erased_serde::Serialize),
    /// The entity's value becomes this one, whole.
    Save(&'a dyn erased_serde::Serialize),
    /// The members of this object replace the entity's; `null` removes (RFC 7396).
    Merge(&'a Value),
    /// These operations change the entity, all or none (RFC 6902).
    Patch(&'a Value),
}

impl fmt::Debug for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create(_) => "Create",
            Self::Save(_) => "Save",
            Self::Merge(_) => "Merge",
            Self::Patch(_) => "Patch",
        })
    }
}

/// The state of an entity in its codec's own form.
///
/// ```
/// use threads_core::codec::EntityState;
/// assert_eq!(EntityState::new(*b"{}").as_bytes(), b"{}");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntityState(Vec<u8>);

impl EntityState {
    /// A state from its bytes.
    ///
    /// ```
    /// assert_eq!(threads_core::codec::EntityState::new(*b"x").as_bytes(), b"x");
    /// ```
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    ///
    /// ```
    /// assert_eq!(threads_core::codec::EntityState::new(*b"x").as_bytes(), b"x");
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, taken out.
    ///
    /// ```
    /// assert_eq!(threads_core::codec::EntityState::new(*b"x").into_bytes(), b"x");
    /// ```
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Says how long it is; the contents are the application's.
impl fmt::Debug for EntityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityState({} bytes)", self.0.len())
    }
}

/// A codec. See the [module](self) for its contract.
pub trait EventCodec: fmt::Debug + Send + Sync + 'static {
    /// Its name and version, written in every batch and never used again for another format.
    fn id(&self) -> CodecId;

    /// The order its events need.
    fn ordering(&self) -> Ordering;

    /// The event that carries out `action` on `before`; `None` when nothing would change.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a value that is no object or that
    /// `apply` would refuse, and for a Patch that does not fit;
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) for a Patch whose `test` fails;
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a Merge or a Patch, if the
    /// codec has none: every codec has Create and Save;
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for a state that is none.
    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>>;

    /// The state after `event`. It may come from a stranger: check everything, bound everything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the event cannot be applied; the
    /// state stays as it was.
    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState>;

    /// The entity as the text of a JSON object: what queries, indexes and applications see.
    ///
    /// Text and not a [`Value`], because most readers want a few members of it, or a type of their
    /// own. A codec whose state is that text already borrows it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for a state that `apply` did not give.
    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>>;
}

/// Conveniences on every [`EventCodec`].
///
/// The example of the [module](self) uses it.
pub trait EventCodecExt: EventCodec {
    /// The entity as a JSON value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when what the codec shows is not JSON,
    /// and those of [`EventCodec::view`].
    ///
    /// ```
    /// use threads_core::codec::{EntityState, EventCodec, EventCodecExt};
    /// fn age(codec: &dyn EventCodec, state: &EntityState) -> threads_core::Result<Option<u64>> {
    ///     Ok(codec.value(state)?["age"].as_u64())
    /// }
    /// ```
    fn value(&self, state: &EntityState) -> Result<Value> {
        serde_json::from_slice(&self.view(state)?).map_err(|cause| {
            Error::corrupt("the state of an entity is not JSON: rebuild it from its log")
                .caused_by(cause)
        })
    }
}

impl<T: EventCodec + ?Sized> EventCodecExt for T {}

impl<T: EventCodec + ?Sized> EventCodec for Arc<T> {
    fn id(&self) -> CodecId {
        (**self).id()
    }

    fn ordering(&self) -> Ordering {
        (**self).ordering()
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        (**self).encode(before, action)
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        (**self).apply(before, event)
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        (**self).view(state)
    }
}
