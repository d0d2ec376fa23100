//! The root of a tree, as headers and the table of tables keep it.

use threads_core::Result;

use super::damaged;
use super::page::{Bytes, WORD};

/// Two sizes of flags, then five counts.
pub(super) const TREE_BYTES: usize = 8 + 5 * WORD;

/// The deepest tree LMDB can follow.
pub(super) const DEPTH_MAX: u16 = 32;
/// More tables than any version of the store has.
pub(super) const TABLES_MAX: usize = 1_024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    pub(super) pad: u32,
    pub(super) flags: u16,
    pub(super) depth: u16,
    pub(super) root: u64,
}

impl Tree {
    pub(super) fn parse(bytes: Bytes<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            pad: bytes.u32(at)?,
            flags: bytes.u16(at + 4)?,
            depth: bytes.u16(at + 6)?,
            root: bytes.word(at + 8 + 4 * WORD)?,
        })
    }

    /// The tree in an entry of the table of tables.
    pub(crate) fn of_entry(entry: &[u8]) -> Result<Self> {
        if entry.len() != TREE_BYTES {
            return Err(damaged("the root of a keyspace is not there"));
        }
        Self::parse(Bytes(entry), 0)
    }

    /// How many levels a tree with pages has.
    pub(super) fn levels(&self) -> Result<u16> {
        if self.depth == 0 || self.depth > DEPTH_MAX {
            return Err(damaged("a tree has an impossible depth"));
        }
        Ok(self.depth)
    }

    /// A tree without pages has all ones for its root, and no levels. LMDB would count on from more
    /// when the first page comes, and nobody would find that page again.
    pub(super) fn is_empty(&self) -> Result<bool> {
        let empty = self.root == usize::MAX as u64;
        if empty && self.depth != 0 {
            return Err(damaged("a tree has an impossible depth"));
        }
        Ok(empty)
    }
}
