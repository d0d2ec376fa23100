//! The suite on the store in memory.

use std::path::Path;

use threads_core::Result;
use threads_core::datastore::Memory;

use super::place::{Kind, Place};

#[path = "suite/mod.rs"]
mod suite;

/// The kind of store in which everything below this module runs.
pub(crate) struct InMemory;

impl Kind for InMemory {
    type Store = Memory;

    fn open(_: &Path) -> Result<Memory> {
        Ok(Memory::new())
    }

    /// It is its own place.
    fn reopen(store: Memory, _: &Path) -> Result<Memory> {
        Ok(store)
    }
}

pub(crate) type Store = Place<InMemory>;
