//! One page of an LMDB file, read with every bound checked.
//!
//! A page begins with its own number, two unused bytes, its flags, and either the bounds of its
//! free space or, for a run of pages that holds one long value, how many pages it has. Then come
//! the offsets of its nodes; the nodes grow from the end of the page. A node is a size or a page
//! number, flags, the length of its key, the key and, in a leaf, the value.

use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;
use threads_core::Result;

use super::damaged;

/// LMDB stores page numbers and counts in machine words, in the order of the machine.
pub(super) const WORD: usize = size_of::<usize>();
pub(super) const HEADER_BYTES: usize = WORD + 8;
const NODE_BYTES: usize = 8;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
pub(super) const META: u16 = 0x08;

/// The value of a node lies on pages of its own.
pub(super) const LONG: u16 = 0x01;
/// The value of a node is the root of a tree.
pub(super) const SUBTREE: u16 = 0x02;

/// Bytes at offsets that the file itself names.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn range(self, offset: usize, length: usize) -> Result<&'a [u8]> {
        let end = offset.checked_add(length);
        end.and_then(|end| self.0.get(offset..end))
            .ok_or_else(|| damaged("a page points outside itself"))
    }

    fn array<const N: usize>(self, offset: usize) -> Result<[u8; N]> {
        let found = self.range(offset, N)?.first_chunk().copied();
        found.ok_or_else(|| damaged("a page points outside itself"))
    }

    pub(super) fn u16(self, offset: usize) -> Result<u16> {
        Ok(u16::from_ne_bytes(self.array(offset)?))
    }

    pub(super) fn u32(self, offset: usize) -> Result<u32> {
        Ok(u32::from_ne_bytes(self.array(offset)?))
    }

    pub(super) fn word(self, offset: usize) -> Result<u64> {
        Ok(usize::from_ne_bytes(self.array(offset)?) as u64)
    }
}

/// What kind of page the way to it promises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Branch,
    Leaf,
}

impl Kind {
    /// Leaves are the first level of a tree.
    pub(super) fn at(levels: u16) -> Self {
        if levels > 1 { Self::Branch } else { Self::Leaf }
    }
}

/// The keys that lead to a page: its own are not before the first, and before the second.
#[derive(Clone, Copy, Default)]
pub(super) struct Bounds<'k> {
    pub(super) low: Option<&'k [u8]>,
    pub(super) high: Option<&'k [u8]>,
}

impl Bounds<'_> {
    pub(super) fn have(&self, key: &[u8]) -> bool {
        self.low.is_none_or(|low| low <= key) && self.high.is_none_or(|high| key < high)
    }
}

/// A page as it is in the file: where it is, or a copy.
pub(super) enum PageBytes {
    Mapped(Arc<Mmap>, Range<usize>),
    Read(Vec<u8>),
}

impl Deref for PageBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            // Whoever made the range looked that it is within the map.
            Self::Mapped(map, range) => &map[range.clone()],
            Self::Read(bytes) => bytes,
        }
    }
}

/// A page of a tree, with its header checked.
pub(super) struct Page<'a> {
    bytes: Bytes<'a>,
    first_node: usize,
    pub(super) nodes: usize,
}

/// One node of a page.
pub(super) struct Node<'a> {
    pub(super) key: &'a [u8],
    pub(super) flags: u16,
    /// The length of the value, or the low half of a page number.
    pub(super) size: u32,
    page: Bytes<'a>,
    at: usize,
    value_at: usize,
}

impl<'a> Page<'a> {
    pub(super) fn parse(bytes: &'a [u8], number: u64, kind: Kind) -> Result<Self> {
        let page = Bytes(bytes);
        let (flags, fewest) = match kind {
            Kind::Branch => (BRANCH, 2),
            Kind::Leaf => (LEAF, 1),
        };
        if page.word(0)? != number || page.u16(WORD + 2)? != flags {
            return Err(damaged("a page is not the one that belongs there"));
        }
        let lower = usize::from(page.u16(WORD + 4)?);
        let upper = usize::from(page.u16(WORD + 6)?);
        if lower < HEADER_BYTES || lower > upper || upper > bytes.len() || lower % 2 != 0 {
            return Err(damaged("the bounds of a page make no sense"));
        }
        let nodes = (lower - HEADER_BYTES) / 2;
        if nodes < fewest {
            return Err(damaged("a page has too few entries"));
        }
        Ok(Self {
            bytes: page,
            first_node: upper,
            nodes,
        })
    }

    pub(super) fn node(&self, index: usize) -> Result<Node<'a>> {
        let at = usize::from(self.bytes.u16(HEADER_BYTES + 2 * index)?);
        if at < self.first_node || at % 2 != 0 {
            return Err(damaged("an entry of a page lies outside its space"));
        }
        let key_bytes = usize::from(self.bytes.u16(at + 6)?);
        let key_at = at + NODE_BYTES;
        Ok(Node {
            size: self.bytes.u32(at)?,
            flags: self.bytes.u16(at + 4)?,
            key: self.bytes.range(key_at, key_bytes)?,
            page: self.bytes,
            at,
            value_at: key_at + key_bytes,
        })
    }

    /// The bounds of a child of this branch, whose own are given.
    pub(super) fn bounds(&self, index: usize, own: Bounds<'a>) -> Result<Bounds<'a>> {
        let (mut low, mut high) = (own.low, own.high);
        if index > 0 {
            low = Some(self.node(index)?.key);
        }
        if index + 1 < self.nodes {
            high = Some(self.node(index + 1)?.key);
        }
        Ok(Bounds { low, high })
    }

    /// Whether the nodes fill their space without a gap, as LMDB keeps them. A node that went
    /// missing leaves one.
    pub(super) fn check_filled(&self, kind: Kind) -> Result<()> {
        let mut extents = Vec::with_capacity(self.nodes);
        for index in 0..self.nodes {
            let node = self.node(index)?;
            extents.push((node.at, node.end(kind)));
        }
        extents.sort_unstable();
        let mut filled = self.first_node;
        for (at, end) in extents {
            if at != filled {
                return Err(damaged("the entries of a page do not fill their space"));
            }
            filled = end;
        }
        if filled != self.bytes.0.len() {
            return Err(damaged("the entries of a page do not fill their space"));
        }
        Ok(())
    }

    /// The first node from `from` on for which `before` no longer holds.
    pub(super) fn partition(&self, from: usize, before: impl Fn(&[u8]) -> bool) -> Result<usize> {
        let (mut low, mut high) = (from, self.nodes);
        while low < high {
            let middle = low.midpoint(high);
            if before(self.node(middle)?.key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

impl<'a> Node<'a> {
    /// The child of a branch: its number takes the place of size and flags.
    pub(super) fn child(&self) -> u64 {
        let high = if WORD > 4 {
            u64::from(self.flags) << 32
        } else {
            0
        };
        u64::from(self.size) | high
    }

    /// Where the next node may begin.
    fn end(&self, kind: Kind) -> usize {
        let value = match kind {
            Kind::Branch => 0,
            Kind::Leaf if self.flags & LONG != 0 => WORD,
            Kind::Leaf => self.size as usize,
        };
        self.value_at.saturating_add(value).next_multiple_of(2)
    }

    /// The value, when it is on the page.
    pub(super) fn value(&self) -> Result<&'a [u8]> {
        self.page.range(self.value_at, self.size as usize)
    }

    /// The first of the pages of a long value.
    pub(super) fn long_value_page(&self) -> Result<u64> {
        self.page.word(self.value_at)
    }
}

/// The number of pages that a run says it has.
pub(super) fn run_pages(bytes: &[u8], number: u64) -> Result<u64> {
    let page = Bytes(bytes);
    if page.word(0)? != number || page.u16(WORD + 2)? != OVERFLOW {
        return Err(damaged("a page is not the one that belongs there"));
    }
    Ok(u64::from(page.u32(WORD + 4)?))
}
