//! The state of an entity: its members, and how often each was written.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use threads_core::codec::EntityState;
use threads_core::{Error, Result};

use crate::change::Change;
use crate::limits::STATE_BYTES_MAX;
use crate::text::{Members, text};

/// What stands between the document and the counts. JSON text has no such byte.
const END: u8 = 0;

/// A state, read.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) members: Map<String, Value>,
    /// How often members were written, but for those that are there and were written once.
    counts: BTreeMap<String, u64>,
}

impl State {
    /// How many writes of a member were applied, whether or not it is there now.
    fn writes(&self, name: &str) -> u64 {
        let unlisted = || u64::from(self.members.contains_key(name));
        self.counts.get(name).copied().unwrap_or_else(unlisted)
    }

    /// What has to be done so that the members are these.
    pub(crate) fn change_to(&self, mut wanted: Map<String, Value>) -> Change {
        let gone = |name: &&String| !wanted.contains_key(*name);
        let remove = self.members.keys().filter(gone);
        let remove = remove.map(|name| (name.clone(), self.writes(name)));
        let remove = remove.collect();
        wanted.retain(|name, value| self.members.get(name) != Some(value));
        Change {
            remove,
            set: wanted,
        }
    }

    /// Does what a change says, as far as its author knew what it is about.
    pub(crate) fn apply(&mut self, change: Change) {
        for (name, seen) in change.remove {
            let writes = self.writes(&name);
            // One write more: somebody wrote who did not know of this removal, nor it of them.
            if writes > seen || self.members.remove(&name).is_none() {
                continue;
            }
            self.counts.insert(name, writes);
        }
        for (name, value) in change.set {
            let writes = self.writes(&name).saturating_add(1);
            if writes > 1 {
                self.counts.insert(name.clone(), writes);
            }
            self.members.insert(name, value);
        }
    }

    pub(crate) fn write(&self) -> Result<EntityState> {
        let not_json =
            |cause| Error::rejected("an entity cannot be written as JSON").caused_by(cause);
        let mut bytes = text(&Members(&self.members)).map_err(not_json)?;
        bytes.push(END);
        bytes.extend(text(&self.counts).map_err(not_json)?);
        if bytes.len() > STATE_BYTES_MAX {
            return Err(
                Error::rejected("an entity has too many bytes: split it into several")
                    .with("most", STATE_BYTES_MAX),
            );
        }
        Ok(EntityState::new(bytes))
    }

    pub(crate) fn read(state: &EntityState) -> Result<Self> {
        let bytes = state.as_bytes();
        let end = end_of_document(bytes)?;
        Ok(Self {
            members: parse(&bytes[..end])?,
            counts: parse(&bytes[end + 1..])?,
        })
    }
}

/// The document of a state.
pub(crate) fn document(state: &EntityState) -> Result<&[u8]> {
    let bytes = state.as_bytes();
    Ok(&bytes[..end_of_document(bytes)?])
}

fn end_of_document(bytes: &[u8]) -> Result<usize> {
    let end = bytes.iter().position(|byte| *byte == END);
    end.ok_or_else(|| Error::corrupt("not a state of lww/1: rebuild it from its log"))
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|cause| {
        Error::corrupt("the state of an entity is damaged: rebuild it from its log")
            .caused_by(cause)
    })
}
