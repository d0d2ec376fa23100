//! The way from the root of a keyspace to one of its leaves.

use threads_core::Result;

use super::guard::{Guard, Holds};
use super::page::{Bounds, Kind, Node, Page};
use super::tree::Tree;

/// A keyspace as one snapshot has it.
#[derive(Clone, Copy)]
pub(super) struct Table<'n> {
    pub(super) name: &'n str,
    pub(super) tree: Tree,
}

/// Which leaf to go to.
#[derive(Clone, Copy)]
pub(super) enum Place<'k> {
    First,
    Last,
    /// Where this key is, or would be.
    At(&'k [u8]),
    /// The one before that which begins at this key.
    Before(&'k [u8]),
}

/// The pages from a root to a leaf, all of them checked.
pub(super) struct Path {
    steps: Vec<Step>,
}

struct Step {
    number: u64,
    bytes: Vec<u8>,
    /// Which child comes next; for the leaf, none.
    index: usize,
}

/// Where a key is in a leaf.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) found: bool,
    /// Its place, or that of the first key after it.
    pub(super) index: usize,
}

impl Guard {
    /// Goes to a leaf. `None` when the keyspace is empty.
    pub(super) fn path(&self, table: &Table<'_>, place: Place<'_>) -> Result<Option<Path>> {
        if table.tree.is_empty() {
            return Ok(None);
        }
        let (mut number, depth) = (table.tree.root, table.tree.levels()?);
        let mut path = Path {
            steps: Vec::with_capacity(usize::from(depth)),
        };
        for levels in (1..=depth).rev() {
            let bounds = path.bounds()?;
            let bytes = self.page(number, levels, Holds::Rows(table.name), bounds)?;
            let page = Page::parse(&bytes, number, Kind::at(levels))?;
            let (mut index, mut child) = (0, number);
            if levels > 1 {
                index = match place {
                    Place::First => 0,
                    Place::Last => page.nodes - 1,
                    Place::At(key) => page.partition(1, |start| start <= key)? - 1,
                    Place::Before(key) => page.partition(1, |start| start < key)? - 1,
                };
                child = page.node(index)?.child();
            }
            path.steps.push(Step {
                number,
                bytes,
                index,
            });
            number = child;
        }
        Ok(Some(path))
    }
}

impl Path {
    /// How many branches lead to the leaf.
    pub(super) fn branches(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// The branch at a level, counted from the root, and which of its children comes next.
    pub(super) fn branch(&self, level: usize) -> Result<(Page<'_>, usize)> {
        let step = &self.steps[level];
        Ok((
            Page::parse(&step.bytes, step.number, Kind::Branch)?,
            step.index,
        ))
    }

    /// The bounds of the page that comes next.
    pub(super) fn bounds(&self) -> Result<Bounds<'_>> {
        self.bounds_at(self.steps.len())
    }

    /// The bounds of the page at a level, counted from the root.
    pub(super) fn bounds_at(&self, level: usize) -> Result<Bounds<'_>> {
        let mut bounds = Bounds::default();
        for level in 0..level {
            let (page, index) = self.branch(level)?;
            bounds = page.bounds(index, bounds)?;
        }
        Ok(bounds)
    }

    pub(super) fn leaf_bounds(&self) -> Result<Bounds<'_>> {
        self.bounds_at(self.branches())
    }

    pub(super) fn leaf(&self) -> Result<Page<'_>> {
        // A path has a leaf at its end.
        let step = &self.steps[self.branches()];
        Page::parse(&step.bytes, step.number, Kind::Leaf)
    }

    pub(super) fn spot(&self, key: &[u8]) -> Result<Spot> {
        let leaf = self.leaf()?;
        let index = leaf.partition(0, |found| found < key)?;
        let found = index < leaf.nodes && leaf.node(index)?.key == key;
        Ok(Spot { found, index })
    }

    pub(super) fn first(&self) -> Result<Node<'_>> {
        self.leaf()?.node(0)
    }

    pub(super) fn last(&self) -> Result<Node<'_>> {
        let leaf = self.leaf()?;
        leaf.node(leaf.nodes - 1)
    }
}
