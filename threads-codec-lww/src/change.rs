//! Events: what changed, and no more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use threads_core::{Error, Result};

use crate::limits::{EVENT_BYTES_MAX, are_shallow};
use crate::text::{sorted, text};

/// What an event does. Written as JSON, members sorted, without white space: there is one text.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Members to remove, each with how many writes of it the author had seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) remove: BTreeMap<String, u64>,
    /// Members to write.
    #[serde(
        default,
        skip_serializing_if = "Map::is_empty",
        serialize_with = "sorted"
    )]
    pub(crate) set: Map<String, Value>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty()
    }

    /// The event.
    pub(crate) fn write(&self) -> Result<Vec<u8>> {
        text(self)
            .map_err(|cause| Error::invalid("a value cannot be written as JSON").caused_by(cause))
    }

    /// The change that an event is, which a stranger may have made.
    pub(crate) fn read(event: &[u8]) -> Result<Self> {
        if event.len() > EVENT_BYTES_MAX {
            return Err(Error::rejected(
                "an event has too many bytes: split the entity into several",
            )
            .with("most", EVENT_BYTES_MAX));
        }
        // serde_json refuses more than 127 levels, so this needs little stack.
        let change: Self = serde_json::from_slice(event)
            .map_err(|cause| Error::rejected("not an event of lww/1").caused_by(cause))?;
        // Members out of order or named twice, white space, a number written in another way:
        // whoever compares or hashes events has to find one form of each.
        if change.write()? != event {
            return Err(Error::rejected("an event is not in its one form"));
        }
        if change
            .remove
            .keys()
            .any(|name| change.set.contains_key(name))
        {
            return Err(Error::rejected("an event writes and removes one member"));
        }
        if !are_shallow(&change.set) {
            return Err(Error::rejected("a value nests too deeply: flatten it"));
        }
        Ok(change)
    }
}
