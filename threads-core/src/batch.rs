//! Batches: the body of one transaction, a list of per-entity events.
//!
//! Names are written once, in two tables; each event refers to them by position. The whole
//! batch travels as one body, so a transaction arrives whole on every other peer, or not at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::block::{decode, encode};
use crate::codec::ActionKind;
use crate::record::Rejection;
use crate::{CodecId, CollectionName, EntityId, Error, Result};

/// The body format that a header names for a batch.
pub const BATCH_FORMAT: &str = "batch/1";
/// The most events in one batch.
pub const EVENTS_MAX: usize = 10_000;

/// One change of one entity, in its codec's own bytes.
///
/// ```
/// use threads_core::batch::EntityEvent;
/// use threads_core::codec::ActionKind;
///
/// let event = EntityEvent {
///     collection: "Person".parse().unwrap(),
///     entity: "alice".parse().unwrap(),
///     codec: "jsonpatch/1".parse().unwrap(),
///     action: ActionKind::Delete,
///     payload: Vec::new(),
/// };
/// assert_eq!(event.entity.as_str(), "alice");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityEvent {
    /// Where the entity lives.
    pub collection: CollectionName,
    /// Which entity.
    pub entity: EntityId,
    /// Whose bytes `payload` is.
    pub codec: CodecId,
    /// What happens to the entity.
    pub action: ActionKind,
    /// The codec's event; empty for a delete.
    pub payload: Vec<u8>,
}

/// The events of one transaction, in their order.
///
/// ```
/// use threads_core::batch::{Batch, EntityEvent};
/// use threads_core::codec::ActionKind;
///
/// let batch = Batch {
///     events: vec![EntityEvent {
///         collection: "Person".parse().unwrap(),
///         entity: "alice".parse().unwrap(),
///         codec: "jsonpatch/1".parse().unwrap(),
///         action: ActionKind::Delete,
///         payload: Vec::new(),
///     }],
/// };
/// assert_eq!(Batch::decode(&batch.encode().unwrap()).unwrap(), batch);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The events, at least one and at most [`EVENTS_MAX`].
    pub events: Vec<EntityEvent>,
}

/// The encoded form: `{codecs, collections, events: [[collection, id, codec, action, payload]]}`.
#[derive(Serialize, Deserialize)]
struct Wire {
    codecs: Vec<CodecId>,
    collections: Vec<CollectionName>,
    events: Vec<(u32, EntityId, u32, u8, ByteBuf)>,
}

impl Batch {
    /// The canonical bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when there is no event, or more than
    /// [`EVENTS_MAX`].
    ///
    /// ```
    /// assert!(threads_core::batch::Batch::default().encode().is_err());
    /// ```
    pub fn encode(&self) -> Result<Vec<u8>> {
        check_count(self.events.len()).map_err(Error::invalid)?;
        let mut codecs = Table::default();
        let mut collections = Table::default();
        let events = self
            .events
            .iter()
            .map(|event| {
                (
                    collections.index(&event.collection),
                    event.entity.clone(),
                    codecs.index(&event.codec),
                    event.action.code(),
                    ByteBuf::from(event.payload.clone()),
                )
            })
            .collect();
        encode(&Wire {
            codecs: codecs.names,
            collections: collections.names,
            events,
        })
    }

    /// Decodes what [`Batch::encode`] wrote, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Rejection::Malformed`] as the source of an error of kind
    /// [`Rejected`](crate::ErrorKind::Rejected).
    ///
    /// ```
    /// assert!(threads_core::batch::Batch::decode(&[0xa0]).is_err());
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let wire: Wire = decode(bytes).map_err(|_| Rejection::Malformed)?;
        check_count(wire.events.len()).map_err(|_| Rejection::Malformed)?;
        let events = wire
            .events
            .into_iter()
            .map(|(collection, entity, codec, action, payload)| {
                Ok(EntityEvent {
                    collection: entry(&wire.collections, collection)?,
                    entity,
                    codec: entry(&wire.codecs, codec)?,
                    action: ActionKind::from_code(action).ok_or(Rejection::Malformed)?,
                    payload: payload.into_vec(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let batch = Self { events };
        let empty = |event: &EntityEvent| event.payload.is_empty();
        if batch
            .events
            .iter()
            .any(|e| e.action == ActionKind::Delete && !empty(e))
        {
            return Err(Rejection::Malformed.into());
        }
        // The tables must hold the names in order of first use, each once, and no other.
        if batch.encode()? != bytes {
            return Err(Rejection::Malformed.into());
        }
        Ok(batch)
    }
}

fn check_count(events: usize) -> Result<(), &'static str> {
    match events {
        0 => Err("a batch has no event"),
        1..=EVENTS_MAX => Ok(()),
        _ => Err("a batch has more than 10,000 events: use several transactions"),
    }
}

fn entry<T: Clone>(table: &[T], index: u32) -> Result<T> {
    let found = usize::try_from(index)
        .ok()
        .and_then(|index| table.get(index));
    found.cloned().ok_or_else(|| Rejection::Malformed.into())
}

/// Names in order of first use.
struct Table<T> {
    names: Vec<T>,
    positions: BTreeMap<T, u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            positions: BTreeMap::new(),
        }
    }
}

impl<T: Clone + Ord> Table<T> {
    fn index(&mut self, name: &T) -> u32 {
        if let Some(position) = self.positions.get(name) {
            return *position;
        }
        // At most EVENTS_MAX names enter a table, far below u32::MAX.
        let position = self.names.len() as u32;
        self.names.push(name.clone());
        self.positions.insert(name.clone(), position);
        position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(collection: &str, entity: &str) -> EntityEvent {
        EntityEvent {
            collection: collection.parse().unwrap(),
            entity: entity.parse().unwrap(),
            codec: "jsonpatch/1".parse().unwrap(),
            action: ActionKind::Save,
            payload: vec![1, 2],
        }
    }

    #[test]
    fn names_are_written_once() {
        let one = Batch {
            events: vec![event("Person", "a")],
        }
        .encode()
        .unwrap();
        let two = Batch {
            events: vec![event("Person", "a"), event("Person", "b")],
        };
        assert_eq!(
            two.encode().unwrap().len() - one.len(),
            9,
            "five small items and an array head"
        );
    }

    #[test]
    fn unused_or_unordered_table_entries_are_refused() {
        let wire = |collections: &[&str], index| {
            encode(&Wire {
                codecs: vec!["jsonpatch/1".parse().unwrap()],
                collections: collections.iter().map(|c| c.parse().unwrap()).collect(),
                events: vec![(index, "a".parse().unwrap(), 0, 1, ByteBuf::new())],
            })
            .unwrap()
        };
        assert!(Batch::decode(&wire(&["P"], 0)).is_ok());
        for bytes in [wire(&["P", "Q"], 0), wire(&["P", "Q"], 1), wire(&["P"], 1)] {
            assert!(Batch::decode(&bytes).is_err());
        }
    }

    #[test]
    fn a_delete_with_a_payload_is_refused() {
        let delete = EntityEvent {
            action: ActionKind::Delete,
            ..event("P", "a")
        };
        let bytes = Batch {
            events: vec![delete],
        }
        .encode()
        .unwrap();
        assert!(Batch::decode(&bytes).is_err());
    }

    #[test]
    fn an_unknown_action_is_refused() {
        let bytes = Batch {
            events: vec![event("P", "a")],
        }
        .encode()
        .unwrap();
        let mut wire: Wire = decode(&bytes).unwrap();
        wire.events[0].3 = 3;
        let error = Batch::decode(&encode(&wire).unwrap()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Rejected);
    }
}
