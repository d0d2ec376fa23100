//! The way from the root of a keyspace to one of its leaves.

use threads_core::Result;

use super::guard::{Guard, Holds};
use super::page::{Bounds, Kind, Node, Page, PageBytes};
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

impl Place<'_> {
    /// Whether a page with these bounds is on the way.
    fn is_below(self, bounds: Bounds<'_>) -> bool {
        match self {
            Self::First => bounds.low.is_none(),
            Self::Last => bounds.high.is_none(),
            Self::At(key) => bounds.have(key),
            Self::Before(key) => {
                bounds.low.is_none_or(|low| low < key) && bounds.high.is_none_or(|high| key <= high)
            }
        }
    }

    /// Which child of a branch comes next.
    fn index_in(self, branch: &Page<'_>) -> Result<usize> {
        Ok(match self {
            Self::First => 0,
            Self::Last => branch.nodes - 1,
            Self::At(key) => branch.partition(1, |start| start <= key)? - 1,
            Self::Before(key) => branch.partition(1, |start| start < key)? - 1,
        })
    }
}

/// The pages from a root to a leaf, all of them checked. The default is a path that was not begun.
#[derive(Default)]
pub(super) struct Path {
    steps: Vec<Step>,
}

struct Step {
    number: u64,
    bytes: PageBytes,
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
        self.path_near(table, place, Path::default())
    }

    /// Goes to a leaf. What that way has in common with another, in the same snapshot, is not read
    /// again.
    pub(super) fn path_near(
        &self,
        table: &Table<'_>,
        place: Place<'_>,
        mut path: Path,
    ) -> Result<Option<Path>> {
        if table.tree.is_empty()? {
            return Ok(None);
        }
        let depth = table.tree.levels()?;
        path.turn_to(place)?;
        while path.steps.len() < usize::from(depth) {
            let levels = depth - path.steps.len() as u16;
            let number = match path.last_branch()? {
                Some((branch, index)) => branch.node(index)?.child(),
                None => table.tree.root,
            };
            let holds = Holds::Rows(table.name);
            let bytes = self.page(number, levels, holds, path.bounds_at(path.steps.len())?)?;
            let page = Page::parse(&bytes, number, Kind::at(levels))?;
            let index = match levels {
                1 => 0,
                _ => place.index_in(&page)?,
            };
            path.steps.push(Step {
                number,
                bytes,
                index,
            });
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

    /// Keeps the pages that lead to another place as well.
    fn turn_to(&mut self, place: Place<'_>) -> Result<()> {
        let branches = self.branches();
        let (mut kept, mut bounds) = (0, Bounds::default());
        while kept < self.steps.len() && place.is_below(bounds) {
            if kept < branches {
                let (branch, index) = self.branch(kept)?;
                bounds = branch.bounds(index, bounds)?;
            }
            kept += 1;
        }
        self.steps.truncate(kept);
        if (1..=branches).contains(&kept) {
            let index = place.index_in(&self.branch(kept - 1)?.0)?;
            self.steps[kept - 1].index = index;
        }
        Ok(())
    }

    /// The last branch of a path that has no leaf yet.
    fn last_branch(&self) -> Result<Option<(Page<'_>, usize)>> {
        match self.steps.len() {
            0 => Ok(None),
            steps => self.branch(steps - 1).map(Some),
        }
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
