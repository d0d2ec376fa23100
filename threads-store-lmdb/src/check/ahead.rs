//! What must be checked before LMDB scans a range: always the leaf that it may step to next.

use std::ops::Bound;

use threads_core::Result;
use threads_core::datastore::{Direction, KeyRange};

use super::guard::Guard;
use super::path::{Path, Place, Table};

/// How far ahead of a scan the leaves are checked.
pub(super) struct Ahead {
    direction: Direction,
    /// Where the scan ends, and whether that key belongs to it.
    end: Option<(Vec<u8>, bool)>,
    /// The furthest leaf that is checked. `None` when there is none.
    leaf: Option<Path>,
}

impl Ahead {
    pub(super) fn new(
        guard: &Guard,
        table: &Table<'_>,
        range: KeyRange<'_>,
        direction: Direction,
        near: Path,
    ) -> Result<Self> {
        let (start, end) = match direction {
            Direction::Forward => (key_of(range.0), key_of(range.1)),
            Direction::Reverse => (key_of(range.1), key_of(range.0)),
        };
        let place = match (start, direction) {
            (Some((key, _)), _) => Place::At(key),
            (None, Direction::Forward) => Place::First,
            (None, Direction::Reverse) => Place::Last,
        };
        let mut ahead = Self {
            direction,
            end: end.map(|(key, included)| (key.to_vec(), included)),
            leaf: guard.path_near(table, place, near)?,
        };
        if let (Some((key, included)), Some(path)) = (start, &ahead.leaf) {
            begin(guard, table, path, (key, included), direction)?;
            ahead.passed(guard, table, key)?;
        }
        Ok(ahead)
    }

    /// The scan is at `key`. If the next step may leave the furthest leaf, checks another.
    pub(super) fn passed(&mut self, guard: &Guard, table: &Table<'_>, key: &[u8]) -> Result<()> {
        let Some(path) = &self.leaf else {
            return Ok(());
        };
        let bounds = path.leaf_bounds()?;
        let forward = self.direction == Direction::Forward;
        let next = match forward {
            true => bounds
                .high
                .filter(|_| path.last().is_ok_and(|last| key >= last.key)),
            false => bounds
                .low
                .filter(|_| path.first().is_ok_and(|first| key <= first.key)),
        };
        if let Some(next) = next.map(<[u8]>::to_vec) {
            let near = self.take_path();
            let place = match forward {
                true => Place::At(&next),
                false => Place::Before(&next),
            };
            self.leaf = guard.path_near(table, place, near)?;
        }
        Ok(())
    }

    /// The way to the furthest leaf, once it is not needed here any more.
    pub(super) fn take_path(&mut self) -> Path {
        self.leaf.take().unwrap_or_default()
    }

    /// The scan found its end: the row that ended it must be right, or its key may be wrong.
    pub(super) fn finish(&self, guard: &Guard, table: &Table<'_>) -> Result<()> {
        let (Some((key, included)), Some(path)) = (&self.end, &self.leaf) else {
            return Ok(());
        };
        let spot = path.spot(key)?;
        let forward = self.direction == Direction::Forward;
        // The gap between the rows inside and those beyond.
        let gap = spot.index + usize::from(spot.found && *included == forward);
        guard.check_beside(table, &path.leaf()?, gap)
    }
}

/// Checks the edge at which a scan begins.
fn begin(
    guard: &Guard,
    table: &Table<'_>,
    path: &Path,
    (key, included): (&[u8], bool),
    direction: Direction,
) -> Result<()> {
    let (spot, leaf, bounds) = (path.spot(key)?, path.leaf()?, path.leaf_bounds()?);
    let forward = direction == Direction::Forward;
    let gap = spot.index + usize::from(spot.found && included != forward);
    guard.check_beside(table, &leaf, gap)?;
    if gap == 0
        && let Some(low) = bounds.low
    {
        guard.path(table, Place::Before(low))?;
    }
    // LMDB finds where a scan backwards begins by stepping back from the key after it.
    if spot.index == leaf.nodes
        && let Some(high) = bounds.high
    {
        guard.path(table, Place::At(high))?;
    }
    Ok(())
}

fn key_of(bound: Bound<&[u8]>) -> Option<(&[u8], bool)> {
    match bound {
        Bound::Included(key) => Some((key, true)),
        Bound::Excluded(key) => Some((key, false)),
        Bound::Unbounded => None,
    }
}
