//! The two header pages of an LMDB file.

use std::fs::File;

use threads_core::{Error, Result};

use super::page::{Bytes, HEADER_BYTES, META, WORD};
use super::tree::{TREE_BYTES, Tree};
use super::{damaged, read_at};

const MAGIC: u32 = 0xBEEF_C0DE;
const DATA_VERSION: u32 = 1;
const PAGE_BYTES_MIN: u64 = 512;
const PAGE_BYTES_MAX: u64 = 65_536;
/// Magic, version, address, map size; two trees; last page, transaction.
const META_BYTES: usize = 8 + 2 * WORD + 2 * TREE_BYTES + 2 * WORD;
/// The header pages, and with them the fewest pages a file has.
pub(super) const META_PAGES: u64 = 2;
/// LMDB keeps the flags of the environment beside those of its list of free pages. Ours have none.
const FREE_FLAGS: u16 = 0x08;

/// The header of one commit.
pub(super) struct Meta {
    pub(super) page_bytes: u64,
    pub(super) free: Tree,
    pub(super) main: Tree,
    pub(super) last_page: u64,
    pub(super) transaction: u64,
}

impl Meta {
    pub(super) fn newest(file: &File, length: u64) -> Result<Self> {
        let [first, second] = Self::both(file, length)?;
        Ok(if second.transaction > first.transaction {
            second
        } else {
            first
        })
    }

    /// The header of one commit, if it is one of the newest two.
    pub(super) fn of(file: &File, length: u64, transaction: u64) -> Result<Option<Self>> {
        let both = Self::both(file, length)?;
        Ok(both
            .into_iter()
            .find(|meta| meta.transaction == transaction))
    }

    fn both(file: &File, length: u64) -> Result<[Self; 2]> {
        let first = Self::read_one(file, length, 0)?;
        if length < META_PAGES * first.page_bytes {
            return Err(damaged("truncated"));
        }
        let second = Self::read_one(file, length, first.page_bytes)?;
        if first.page_bytes != second.page_bytes {
            return Err(damaged("its two headers disagree on the size of a page"));
        }
        // Commits take turns with the headers, so these two are of neighbouring commits. A number
        // that was changed would make LMDB go back to an older state without a word.
        let in_turn = first.transaction % 2 == 0
            && second.transaction % 2 == 1
            && first.transaction.abs_diff(second.transaction) == 1;
        if !in_turn {
            return Err(damaged("its two headers are not of neighbouring commits"));
        }
        Ok([first, second])
    }

    fn read_one(file: &File, length: u64, offset: u64) -> Result<Self> {
        let mut page = [0; HEADER_BYTES + META_BYTES];
        if length < offset + page.len() as u64 {
            return Err(damaged("truncated"));
        }
        read_at(file, offset, &mut page)?;
        let (header, meta) = page.split_at(HEADER_BYTES);
        if Bytes(header).u16(WORD + 2)? != META || Bytes(meta).u32(0)? != MAGIC {
            return Err(not_lmdb());
        }
        if Bytes(meta).u32(4)? != DATA_VERSION {
            return Err(Error::unsupported(
                "the data file has a format of LMDB that this version does not read",
            )
            .with("version", Bytes(meta).u32(4)?));
        }
        let trees = 8 + 2 * WORD;
        let free = Tree::parse(Bytes(meta), trees)?;
        let tail = trees + 2 * TREE_BYTES;
        let found = Self {
            page_bytes: u64::from(free.pad),
            main: Tree::parse(Bytes(meta), trees + TREE_BYTES)?,
            free,
            last_page: Bytes(meta).word(tail)?,
            transaction: Bytes(meta).word(tail + WORD)?,
        };
        found
            .plausible()
            .then_some(found)
            .ok_or_else(|| damaged("its header makes no sense"))
    }

    fn plausible(&self) -> bool {
        self.page_bytes.is_power_of_two()
            && (PAGE_BYTES_MIN..=PAGE_BYTES_MAX).contains(&self.page_bytes)
            && self.free.flags == FREE_FLAGS
            && self.last_page >= META_PAGES - 1
    }
}

fn not_lmdb() -> Error {
    Error::corrupt(
        "the data file is not an LMDB file: restore it from a copy, or use another directory",
    )
}
