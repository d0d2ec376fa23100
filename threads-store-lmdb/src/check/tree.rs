//! The root of a tree, as headers and the table of tables keep it.

use threads_core::Result;

use super::page::{Bytes, WORD};

/// Two sizes of flags, then five counts.
pub(super) const TREE_BYTES: usize = 8 + 5 * WORD;

#[derive(Clone, Copy)]
pub(super) struct Tree {
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

    /// A tree without pages has all ones for its root.
    pub(super) fn is_empty(&self) -> bool {
        self.root == usize::MAX as u64
    }
}
