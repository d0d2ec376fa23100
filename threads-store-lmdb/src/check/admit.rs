//! What must be checked before LMDB looks a key up, puts or removes it.
//!
//! *Looking up* goes from the root to one leaf. That a key is not there is believed only if it
//! could not be elsewhere: a key of a branch that rotted sends lookups to the leaf beside the right
//! one, and they miss at its edge, so there the neighbour is checked as well; a key of a row that
//! rotted stays beside where it was, so the rows on both sides of a miss must match their checksums.
//!
//! *Putting* looks up, and changes pages on that way only.
//!
//! *Removing* may empty pages. Then LMDB takes entries from a neighbour under the same branch, or
//! joins the two; each removal does that at most once on each level. So `n` removals below a branch
//! reach no further than `n` leaves from where they are, and `n + 1` is checked. If the branch has
//! more children than that, it keeps at least two, and LMDB leaves it in its place. If not, all of
//! it is checked, and the same is asked of the branch above it.

use threads_core::Result;

use super::guard::{Guard, Holds};
use super::page::{Bounds, Page};
use super::path::{Path, Place, Spot, Table};

impl Guard {
    /// Before LMDB looks `key` up. Takes a path of the same snapshot, and gives one.
    pub(super) fn before_get(&self, table: &Table<'_>, key: &[u8], near: Path) -> Result<Path> {
        let Some(path) = self.path_near(table, Place::At(key), near)? else {
            return Ok(Path::default());
        };
        match path.spot(key)? {
            spot if spot.found => Ok(path),
            spot => self.check_miss(table, path, spot),
        }
    }

    /// Before LMDB is given changes, in the order of their keys; `true` removes.
    pub(super) fn before_changes(
        &self,
        table: &Table<'_>,
        changes: &[(&[u8], bool)],
    ) -> Result<()> {
        let removals = changes.iter().filter(|(_, removes)| *removes);
        let removals: Vec<&[u8]> = removals.map(|(key, _)| *key).collect();
        let (mut near, mut covered) = (Path::default(), Covered::Nothing);
        for (key, removes) in changes {
            if covered.has(key) {
                continue;
            }
            let Some(path) = self.path_near(table, Place::At(key), near)? else {
                return Ok(());
            };
            let spot = path.spot(key)?;
            if spot.found && *removes {
                covered = self.before_removal(table, &path, &removals)?;
            }
            near = match spot.found {
                true => path,
                false => self.check_miss(table, path, spot)?,
            };
        }
        Ok(())
    }

    /// A key that is not in its leaf is not in the keyspace.
    fn check_miss(&self, table: &Table<'_>, path: Path, spot: Spot) -> Result<Path> {
        let (leaf, bounds) = (path.leaf()?, path.leaf_bounds()?);
        self.check_beside(table, &leaf, spot.index)?;
        let before = bounds.low.filter(|_| spot.index == 0).map(<[u8]>::to_vec);
        let after = bounds.high.filter(|_| spot.index == leaf.nodes);
        let path = match (&before, after.map(<[u8]>::to_vec)) {
            (Some(low), _) => self.path_near(table, Place::Before(low), path)?,
            (None, Some(high)) => self.path_near(table, Place::At(&high), path)?,
            (None, None) => Some(path),
        };
        Ok(path.unwrap_or_default())
    }

    /// Checks the rows on both sides of a gap.
    pub(super) fn check_beside(
        &self,
        table: &Table<'_>,
        leaf: &Page<'_>,
        gap: usize,
    ) -> Result<()> {
        for index in [gap.wrapping_sub(1), gap] {
            if index < leaf.nodes {
                self.check_seal(table.name, &leaf.node(index)?)?;
            }
        }
        Ok(())
    }

    /// Checks what removing keys may reach from a leaf. See the top of this file.
    fn before_removal(
        &self,
        table: &Table<'_>,
        path: &Path,
        removals: &[&[u8]],
    ) -> Result<Covered> {
        let holds = Holds::Rows(table.name);
        let mut covered = Covered::Nothing;
        // LMDB may step from the end of a leaf to the next one.
        if let Some(high) = path.leaf_bounds()?.high {
            self.path(table, Place::At(high))?;
        }
        for level in (0..path.branches()).rev() {
            let (branch, index) = path.branch(level)?;
            let own = path.bounds_at(level)?;
            let reach = count_within(removals, own) + 1;
            let levels_below = (path.branches() - level) as u16;
            let end = branch.nodes.min(index.saturating_add(reach + 1));
            for child in index.saturating_sub(reach)..end {
                let bounds = branch.bounds(child, own)?;
                self.settle(branch.node(child)?.child(), levels_below, holds, bounds)?;
            }
            if branch.nodes > reach {
                break;
            }
            covered = Covered::up_to(own.high);
        }
        Ok(covered)
    }
}

fn count_within(keys: &[&[u8]], bounds: Bounds<'_>) -> usize {
    let low = bounds
        .low
        .map_or(0, |low| keys.partition_point(|key| *key < low));
    let high = bounds
        .high
        .map_or(keys.len(), |high| keys.partition_point(|key| *key < high));
    high.saturating_sub(low)
}

/// Up to which key everything is checked that removals may reach.
enum Covered {
    Nothing,
    Before(Vec<u8>),
    All,
}

impl Covered {
    fn up_to(high: Option<&[u8]>) -> Self {
        high.map_or(Self::All, |high| Self::Before(high.to_vec()))
    }

    fn has(&self, key: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Before(high) => key < &high[..],
            Self::All => true,
        }
    }
}
