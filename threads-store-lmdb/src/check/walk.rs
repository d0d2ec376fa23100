//! A walk over every page that LMDB could reach.

use std::fs::File;
use std::mem;

use threads_core::Result;
use threads_core::datastore::KEY_BYTES_MAX;

use super::meta::{META_PAGES, Meta};
use super::page::{Bytes, HEADER_BYTES, Kind, LONG, Node, Page, SUBTREE, WORD, run_pages};
use super::tree::{TREE_BYTES, Tree};
use super::{damaged, read_at};
use crate::env::{FORMAT_KEY, foreign};

/// The deepest tree LMDB can follow.
const DEPTH_MAX: u16 = 32;
/// More tables than any version of the store has.
const TABLES_MAX: usize = 1_024;

/// What a tree holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Rows of a keyspace.
    Rows,
    /// The format entry and the roots of the keyspaces.
    Tables,
    /// Lists of the pages that commits gave up.
    FreePages,
}

/// The order of keys: where the last one stood, and whether the next may be equal to it.
#[derive(Default)]
struct Order {
    last: Vec<u8>,
    or_equal: bool,
    begun: bool,
}

pub(super) struct Walk<'a> {
    file: &'a File,
    meta: &'a Meta,
    /// Whole pages in the file.
    file_pages: u64,
    used: PageSet,
    free: PageSet,
    free_beyond_file: u64,
    tables: Vec<Tree>,
    format_seen: bool,
    foreign_seen: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a File, length: u64, meta: &'a Meta) -> Self {
        let file_pages = length / meta.page_bytes;
        Self {
            file,
            meta,
            file_pages,
            used: PageSet::new(file_pages),
            free: PageSet::new(file_pages),
            free_beyond_file: 0,
            tables: Vec::new(),
            format_seen: false,
            foreign_seen: false,
        }
    }

    pub(super) fn all(mut self) -> Result<()> {
        self.tree(&self.meta.main, Holds::Tables)?;
        if !self.format_seen {
            return Err(foreign());
        }
        if self.foreign_seen || self.meta.main.flags != 0 {
            return Err(damaged(
                "a table has options that no version of the store uses",
            ));
        }
        for table in mem::take(&mut self.tables) {
            self.tree(&table, Holds::Rows)?;
        }
        self.tree(&self.meta.free, Holds::FreePages)?;
        if self.used.meets(&self.free) {
            return Err(damaged("a page is in use and free at once"));
        }
        // Pages may be missing at the end only if they hold nothing.
        let beyond = (self.meta.last_page + 1).saturating_sub(self.file_pages);
        if beyond != self.free_beyond_file {
            return Err(damaged("truncated"));
        }
        Ok(())
    }

    fn tree(&mut self, tree: &Tree, holds: Holds) -> Result<()> {
        if tree.is_empty() {
            return Ok(());
        }
        if tree.depth == 0 || tree.depth > DEPTH_MAX {
            return Err(damaged("a tree has an impossible depth"));
        }
        self.page(tree.root, tree.depth, holds, &mut Order::default())
    }

    /// Recursion is at most [`DEPTH_MAX`] deep.
    fn page(&mut self, number: u64, levels: u16, holds: Holds, order: &mut Order) -> Result<()> {
        self.take(number, 1)?;
        let bytes = self.read_page(number)?;
        let kind = if levels > 1 { Kind::Branch } else { Kind::Leaf };
        let page = Page::parse(&bytes, number, kind)?;
        for index in 0..page.nodes {
            let node = page.node(index)?;
            if kind == Kind::Leaf {
                self.entry(&node, holds, order)?;
                continue;
            }
            // The first key of a branch stands for everything before the second.
            if index > 0 {
                order.separator(node.key, holds)?;
            }
            self.page(node.child(), levels - 1, holds, order)?;
        }
        Ok(())
    }

    fn entry(&mut self, node: &Node<'_>, holds: Holds, order: &mut Order) -> Result<()> {
        order.key(node.key, holds)?;
        if node.flags == LONG {
            let pages = self.take_run(node)?;
            return if holds == Holds::FreePages {
                self.long_free_list(node, pages)
            } else {
                Ok(())
            };
        }
        let value = node.value()?;
        match (holds, node.flags) {
            (Holds::FreePages, 0) => self.free_list(value),
            (Holds::Rows, 0) => Ok(()),
            (Holds::Tables, 0) => {
                self.format_seen |= node.key == FORMAT_KEY;
                Ok(())
            }
            (Holds::Tables, SUBTREE) if value.len() == TREE_BYTES => self.table(value),
            // Another program's file may rightly use what ours never does.
            (Holds::Tables, _) => {
                self.foreign_seen = true;
                Ok(())
            }
            _ => Err(damaged(
                "an entry has options that no version of the store uses",
            )),
        }
    }

    fn table(&mut self, value: &[u8]) -> Result<()> {
        let tree = Tree::parse(Bytes(value), 0)?;
        self.foreign_seen |= tree.flags != 0;
        if self.tables.len() == TABLES_MAX {
            return Err(damaged("too many tables"));
        }
        self.tables.push(tree);
        Ok(())
    }

    /// The pages of a long value: all of them are in the file, and they are enough.
    fn take_run(&mut self, node: &Node<'_>) -> Result<u64> {
        let first = node.long_value_page()?;
        let mut header = [0; HEADER_BYTES];
        if first >= self.file_pages {
            return Err(damaged("truncated"));
        }
        read_at(self.file, first * self.meta.page_bytes, &mut header)?;
        let pages = run_pages(&header, first)?;
        let bytes = HEADER_BYTES as u64 + u64::from(node.size);
        if pages < bytes.div_ceil(self.meta.page_bytes) {
            return Err(damaged("a long value has too few pages"));
        }
        self.take(first, pages)?;
        Ok(first)
    }

    fn long_free_list(&mut self, node: &Node<'_>, first: u64) -> Result<()> {
        // The run was found to be inside the file, so this is no longer than the file.
        let mut list = vec![0; node.size as usize];
        read_at(
            self.file,
            first * self.meta.page_bytes + HEADER_BYTES as u64,
            &mut list,
        )?;
        self.free_list(&list)
    }

    /// A count, then page numbers, the largest first.
    fn free_list(&mut self, list: &[u8]) -> Result<()> {
        let list = Bytes(list);
        let count = list.word(0)? as usize;
        let numbers = list.range(WORD, count.saturating_mul(WORD))?;
        let mut before = self.meta.last_page.saturating_add(1);
        for at in (0..numbers.len()).step_by(WORD) {
            let number = Bytes(numbers).word(at)?;
            if number >= before || number < META_PAGES {
                return Err(damaged("the list of free pages makes no sense"));
            }
            before = number;
            if number >= self.file_pages {
                self.free_beyond_file += 1;
            } else if !self.free.insert(number) {
                return Err(damaged("a page is free twice"));
            }
        }
        Ok(())
    }

    /// Marks pages as used: inside the file, and by nothing else.
    fn take(&mut self, first: u64, pages: u64) -> Result<()> {
        let end = first
            .checked_add(pages)
            .filter(|end| *end <= self.meta.last_page.saturating_add(1));
        let Some(end) = end.filter(|_| first >= META_PAGES) else {
            return Err(damaged("a page number is out of range"));
        };
        if end > self.file_pages {
            return Err(damaged("truncated"));
        }
        if !(first..end).all(|number| self.used.insert(number)) {
            return Err(damaged("a page is used twice"));
        }
        Ok(())
    }

    fn read_page(&self, number: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.meta.page_bytes as usize];
        read_at(self.file, number * self.meta.page_bytes, &mut bytes)?;
        Ok(bytes)
    }
}

impl Order {
    /// A key of a leaf: after all before it.
    fn key(&mut self, key: &[u8], holds: Holds) -> Result<()> {
        self.step(key, false, holds)
    }

    /// A key of a branch: after all before it, and not after the key that comes next.
    fn separator(&mut self, key: &[u8], holds: Holds) -> Result<()> {
        self.step(key, true, holds)
    }

    fn step(&mut self, key: &[u8], separator: bool, holds: Holds) -> Result<()> {
        let wrong_length = match holds {
            Holds::FreePages => key.len() != WORD,
            _ => key.is_empty() || key.len() > KEY_BYTES_MAX,
        };
        if wrong_length {
            return Err(damaged("a key has an impossible length"));
        }
        let ordering = match holds {
            // Transaction numbers, which order as numbers.
            Holds::FreePages if self.begun => Bytes(key).word(0)?.cmp(&Bytes(&self.last).word(0)?),
            _ => key.cmp(&self.last),
        };
        if self.begun && !(ordering.is_gt() || (ordering.is_eq() && self.or_equal)) {
            return Err(damaged("keys are out of order"));
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        (self.or_equal, self.begun) = (separator, true);
        Ok(())
    }
}

/// A set of page numbers of one file: a bit for each.
struct PageSet(Vec<u64>);

impl PageSet {
    fn new(pages: u64) -> Self {
        Self(vec![0; pages.div_ceil(64) as usize])
    }

    /// `false` when it was there already, or cannot be.
    fn insert(&mut self, number: u64) -> bool {
        let Some(bits) = self.0.get_mut((number / 64) as usize) else {
            return false;
        };
        let bit = 1 << (number % 64);
        let new = *bits & bit == 0;
        *bits |= bit;
        new
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
}
