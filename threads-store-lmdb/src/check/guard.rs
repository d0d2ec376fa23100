//! Which pages of a file are checked.
//!
//! A guard knows the file as it was at one commit, its *base*. Pages that were written after it are
//! trusted; every other page is read and checked once, before LMDB may meet it:
//!
//! * its number, kind, bounds and entries make sense, and its keys are in order and between the
//!   keys that lead to it;
//! * every page it points to is *claimed* for it. Nothing is claimed twice, and free pages are
//!   claimed from the start, so a pointer to an old copy of a page, or into another tree, is found.
//!
//! What makes that enough while LMDB changes the trees: LMDB only changes and frees pages that are
//! checked (see [`admit`](super::admit)). So a page of the base that is not checked is as it was,
//! between the same neighbours; and a page whose number is checked was checked or written since.

use std::cmp::Ordering::{self, Less};
use std::fs::File;
use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::Mmap;
use threads_core::datastore::{KEY_BYTES_MAX, unseal_row};
use threads_core::{ErrorKind, Result};

use super::meta::{META_PAGES, Meta};
use super::page::{
    Bounds, Bytes, HEADER_BYTES, Kind, LONG, Node, Page, PageBytes, SUBTREE, WORD, run_pages,
};
use super::set::PageSet;
use super::sweep::Sweep;
use super::tree::{TABLES_MAX, Tree};
use super::{damaged, length_of, read_at};
use crate::env::{FORMAT_KEY, foreign, map_file};

/// What a tree holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds<'n> {
    /// Rows of the keyspace of this name.
    Rows(&'n str),
    /// The format entry and the roots of the keyspaces.
    Tables,
    /// Lists of the pages that commits gave up.
    FreePages,
}

/// What is known about the pages of a file.
pub(crate) struct Guard {
    file: Arc<File>,
    /// The pages of the base, to read checked ones where they are; `None` where that cannot be.
    map: Option<Arc<Mmap>>,
    page_bytes: u64,
    /// The pages of the base that are in the file; whatever comes after them was written since.
    pages: u64,
    last_page: u64,
    /// The commit that is the base.
    pub(crate) transaction: u64,
    claimed: PageSet,
    checked: PageSet,
    /// First pages of long values that match their checksum.
    sealed: PageSet,
    checking: Mutex<()>,
    /// The keyspaces of the base.
    tables: Vec<(String, Tree)>,
    /// Whether a row was seen that does not match its checksum. Its key may be wrong as well, so
    /// that a key which is not found beside it may be there after all.
    rotten: AtomicBool,
    whole: AtomicBool,
    pub(super) sweep: Sweep,
}

impl Guard {
    /// Checks what every transaction needs: the table of tables and the list of free pages.
    pub(super) fn new(file: &Arc<File>, length: u64, meta: &Meta) -> Result<Self> {
        let file_pages = length / meta.page_bytes;
        let pages = meta.last_page.saturating_add(1).min(file_pages);
        let mut guard = Self {
            file: Arc::clone(file),
            map: usize::try_from(pages.saturating_mul(meta.page_bytes))
                .ok()
                .and_then(|bytes| map_file(file, bytes).ok())
                .map(Arc::new),
            page_bytes: meta.page_bytes,
            pages,
            last_page: meta.last_page,
            transaction: meta.transaction,
            claimed: PageSet::new(pages),
            checked: PageSet::new(pages),
            sealed: PageSet::new(pages),
            checking: Mutex::default(),
            tables: Vec::new(),
            rotten: AtomicBool::new(false),
            whole: AtomicBool::new(false),
            sweep: Sweep::default(),
        };
        for header in 0..META_PAGES {
            guard.claim(header)?;
            guard.checked.insert(header);
        }
        guard.tables = guard.read_tables(meta)?;
        let beyond = guard.read_free_pages(meta)?;
        // Pages may be missing at the end only if they hold nothing.
        if meta.last_page.saturating_add(1) - pages != beyond {
            return Err(damaged("truncated"));
        }
        for (_, tree) in &guard.tables {
            if !tree.is_empty()? {
                guard.claim(tree.root)?;
            }
        }
        Ok(guard)
    }

    /// The guard for a later commit, which another process made. `None` when its header is gone.
    pub(crate) fn follow(&self, transaction: u64) -> Result<Option<Self>> {
        let length = length_of(&self.file)?;
        match Meta::of(&self.file, length, transaction)? {
            Some(meta) => Self::new(&self.file, length, &meta).map(Some),
            None => Ok(None),
        }
    }

    /// Checks every page, and every row against its checksum.
    pub(super) fn check_whole(&self) -> Result<()> {
        for (name, tree) in &self.tables {
            let mut note = |node: &Node<'_>| self.note_rot(name, node);
            self.every_entry(tree, Holds::Rows(name), &mut note)?;
        }
        self.finish();
        Ok(())
    }

    /// Every page of every tree is checked now, and every row.
    pub(super) fn finish(&self) {
        // While there is a row that is not right, lookups beside it must be refused.
        self.whole
            .store(!self.is_rotten(), atomic::Ordering::Relaxed);
    }

    /// Whether there is nothing left to watch.
    pub(crate) fn is_done(&self) -> bool {
        self.whole.load(atomic::Ordering::Relaxed)
    }

    /// Reads a page, and checks it if that was not done. `levels` counts it and those below it.
    pub(super) fn page(
        &self,
        number: u64,
        levels: u16,
        holds: Holds<'_>,
        bounds: Bounds<'_>,
    ) -> Result<PageBytes> {
        if let Some(bytes) = self.mapped(number) {
            return Ok(bytes);
        }
        // A page that is not checked is copied, so that what was checked is what is used.
        let mut bytes = vec![0; self.page_bytes as usize];
        read_at(
            &self.file,
            number.saturating_mul(self.page_bytes),
            &mut bytes,
        )?;
        if !self.is_checked(number) {
            let _one_at_a_time = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.is_checked(number) {
                self.check(&bytes, number, levels, holds, bounds)?;
                self.checked.insert(number);
            }
        }
        Ok(PageBytes::Read(bytes))
    }

    /// A checked page of the base, where it is.
    fn mapped(&self, number: u64) -> Option<PageBytes> {
        if number >= self.pages || !self.checked.has(number) {
            return None;
        }
        let start = usize::try_from(number.checked_mul(self.page_bytes)?).ok()?;
        let end = start.checked_add(self.page_bytes as usize)?;
        let map = self.map.as_ref().filter(|map| end <= map.len())?;
        Some(PageBytes::Mapped(Arc::clone(map), start..end))
    }

    pub(super) fn is_checked(&self, number: u64) -> bool {
        number >= self.pages || self.checked.has(number)
    }

    fn check(
        &self,
        bytes: &[u8],
        number: u64,
        levels: u16,
        holds: Holds<'_>,
        bounds: Bounds<'_>,
    ) -> Result<()> {
        let kind = Kind::at(levels);
        let page = Page::parse(bytes, number, kind)?;
        page.check_filled(kind)?;
        check_order(&page, kind, holds, bounds)?;
        for index in 0..page.nodes {
            let node = page.node(index)?;
            match kind {
                Kind::Branch => self.claim(node.child())?,
                Kind::Leaf => self.check_entry(&node, holds)?,
            }
        }
        Ok(())
    }

    fn check_entry(&self, node: &Node<'_>, holds: Holds<'_>) -> Result<()> {
        match node.flags {
            0 => node.value().map(drop),
            LONG => self.check_long(node),
            // Another program's file may rightly use what ours never does.
            _ if holds == Holds::Tables => Ok(()),
            _ => Err(damaged(
                "an entry has options that no version of the store uses",
            )),
        }
    }

    /// The pages of a long value: all of them are in the file, as many as it needs, and its own.
    fn check_long(&self, node: &Node<'_>) -> Result<()> {
        let first = node.long_value_page()?;
        let mut header = [0; HEADER_BYTES];
        self.check_number(first)?;
        read_at(&self.file, first * self.page_bytes, &mut header)?;
        let pages = run_pages(&header, first)?;
        let bytes = HEADER_BYTES as u64 + u64::from(node.size);
        // More than it needs would be given up with it, and belong to others.
        if pages != bytes.div_ceil(self.page_bytes) {
            return Err(damaged("a long value has a wrong number of pages"));
        }
        for number in first..first + pages {
            self.claim(number)?;
            self.checked.insert(number);
        }
        Ok(())
    }

    fn check_number(&self, number: u64) -> Result<()> {
        match number {
            _ if number < self.pages => Ok(()),
            _ if number <= self.last_page => Err(damaged("truncated")),
            _ => Err(damaged("a page number is out of range")),
        }
    }

    /// Takes a page of the base for the one place that points to it.
    fn claim(&self, number: u64) -> Result<()> {
        self.check_number(number)?;
        if !self.claimed.insert(number) {
            return Err(damaged("a page is used twice, or in use and free at once"));
        }
        Ok(())
    }

    /// Whether a row matches its checksum, where it lies now.
    pub(super) fn check_seal(&self, name: &str, node: &Node<'_>) -> Result<()> {
        if node.flags & LONG == 0 {
            return unseal_row(name, node.key, node.value()?).map(drop);
        }
        let first = node.long_value_page()?;
        if !self.sealed.has(first) {
            unseal_row(name, node.key, &self.long_value(node)?)?;
            self.sealed.insert(first);
        }
        Ok(())
    }

    /// Whether a row that [`Self::check_seal`] would read is long and was not read before.
    pub(super) fn is_unread(&self, node: &Node<'_>) -> Result<bool> {
        Ok(node.flags & LONG != 0 && !self.sealed.has(node.long_value_page()?))
    }

    /// Remembers a row that does not match its checksum. Reading it is an error; the rest is not.
    fn note_rot(&self, name: &str, node: &Node<'_>) -> Result<()> {
        match self.check_seal(name, node) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.set_rotten();
                Ok(())
            }
            checked => checked,
        }
    }

    pub(super) fn set_rotten(&self) {
        self.rotten.store(true, atomic::Ordering::Relaxed);
    }

    pub(super) fn is_rotten(&self) -> bool {
        self.rotten.load(atomic::Ordering::Relaxed)
    }

    /// Its pages were found to be inside the file, so it is no longer than the file.
    fn long_value(&self, node: &Node<'_>) -> Result<Vec<u8>> {
        let mut value = vec![0; node.size as usize];
        let offset = node.long_value_page()?.saturating_mul(self.page_bytes);
        let offset = offset.saturating_add(HEADER_BYTES as u64);
        read_at(&self.file, offset, &mut value)?;
        Ok(value)
    }

    /// Visits every page of a tree of the base.
    fn every_entry(&self, tree: &Tree, holds: Holds<'_>, visit: &mut Visit<'_>) -> Result<()> {
        if tree.is_empty()? {
            return Ok(());
        }
        self.below(tree.root, tree.levels()?, holds, Bounds::default(), visit)
    }

    /// Recursion is at most [`DEPTH_MAX`](super::tree::DEPTH_MAX) deep.
    fn below(
        &self,
        number: u64,
        levels: u16,
        holds: Holds<'_>,
        bounds: Bounds<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        let bytes = self.page(number, levels, holds, bounds)?;
        let page = Page::parse(&bytes, number, Kind::at(levels))?;
        for index in 0..page.nodes {
            let node = page.node(index)?;
            if levels == 1 {
                visit(&node)?;
            } else {
                self.below(
                    node.child(),
                    levels - 1,
                    holds,
                    page.bounds(index, bounds)?,
                    visit,
                )?;
            }
        }
        Ok(())
    }

    /// Checks every page below one, itself included.
    pub(super) fn settle(
        &self,
        number: u64,
        levels: u16,
        holds: Holds<'_>,
        bounds: Bounds<'_>,
    ) -> Result<()> {
        if levels == 1 {
            return if self.is_checked(number) {
                Ok(())
            } else {
                self.page(number, levels, holds, bounds).map(drop)
            };
        }
        let bytes = self.page(number, levels, holds, bounds)?;
        let page = Page::parse(&bytes, number, Kind::Branch)?;
        for index in 0..page.nodes {
            let child = page.node(index)?.child();
            self.settle(child, levels - 1, holds, page.bounds(index, bounds)?)?;
        }
        Ok(())
    }

    fn read_tables(&self, meta: &Meta) -> Result<Vec<(String, Tree)>> {
        let (mut tables, mut format_seen, mut foreign_seen) = (Vec::new(), false, false);
        if !meta.main.is_empty()? {
            self.claim(meta.main.root)?;
        }
        self.every_entry(&meta.main, Holds::Tables, &mut |node| {
            match node.flags {
                0 => format_seen |= node.key == FORMAT_KEY,
                SUBTREE => {
                    let tree = Tree::of_entry(node.value()?)?;
                    foreign_seen |= tree.flags != 0;
                    let name = String::from_utf8(node.key.to_vec());
                    tables.push((name.map_err(|_| damaged("a table has no name"))?, tree));
                }
                _ => foreign_seen = true,
            }
            if tables.len() > TABLES_MAX {
                return Err(damaged("too many tables"));
            }
            Ok(())
        })?;
        if !format_seen {
            return Err(foreign());
        }
        if foreign_seen || meta.main.flags != 0 {
            return Err(damaged(
                "a table has options that no version of the store uses",
            ));
        }
        Ok(tables)
    }

    /// Claims the free pages; gives how many of them lie beyond the end of the file.
    fn read_free_pages(&self, meta: &Meta) -> Result<u64> {
        let mut beyond = 0;
        if !meta.free.is_empty()? {
            self.claim(meta.free.root)?;
        }
        self.every_entry(&meta.free, Holds::FreePages, &mut |node| {
            if node.flags & LONG == 0 {
                beyond += self.free_list(node.value()?)?;
            } else {
                beyond += self.free_list(&self.long_value(node)?)?;
            }
            Ok(())
        })?;
        Ok(beyond)
    }

    /// A count, then page numbers, the largest first.
    fn free_list(&self, list: &[u8]) -> Result<u64> {
        let list = Bytes(list);
        let count = list.word(0)? as usize;
        let numbers = list.range(WORD, count.saturating_mul(WORD))?;
        let (mut before, mut beyond) = (self.last_page.saturating_add(1), 0);
        for at in (0..numbers.len()).step_by(WORD) {
            let number = Bytes(numbers).word(at)?;
            if number >= before || number < META_PAGES {
                return Err(damaged("the list of free pages makes no sense"));
            }
            before = number;
            if number >= self.pages {
                beyond += 1;
            } else {
                self.claim(number)?;
                self.checked.insert(number);
            }
        }
        Ok(beyond)
    }
}

type Visit<'v> = dyn FnMut(&Node<'_>) -> Result<()> + 'v;

fn check_order(page: &Page<'_>, kind: Kind, holds: Holds<'_>, bounds: Bounds<'_>) -> Result<()> {
    // The first key of a branch stands for everything before the second.
    let first = usize::from(kind == Kind::Branch);
    let mut before = bounds.low;
    for index in first..page.nodes {
        let key = page.node(index)?.key;
        let wrong_length = match holds {
            Holds::FreePages => key.len() != WORD,
            _ => key.is_empty() || key.len() > KEY_BYTES_MAX,
        };
        if wrong_length {
            return Err(damaged("a key has an impossible length"));
        }
        if let Some(before) = before {
            let ordering = compare(holds, before, key)?;
            // The first key of a leaf may be the one that leads to it.
            if !(ordering == Less || (ordering.is_eq() && kind == Kind::Leaf && index == 0)) {
                return Err(damaged("keys are out of order"));
            }
        }
        before = Some(key);
    }
    match (before, bounds.high) {
        (Some(last), Some(high)) if compare(holds, last, high)? != Less => {
            Err(damaged("keys are out of order"))
        }
        _ => Ok(()),
    }
}

fn compare(holds: Holds<'_>, a: &[u8], b: &[u8]) -> Result<Ordering> {
    Ok(match holds {
        // Transaction numbers, which order as numbers.
        Holds::FreePages => Bytes(a).word(0)?.cmp(&Bytes(b).word(0)?),
        _ => a.cmp(b),
    })
}
