//! The least that leads from one result to the next, where few of the kept rows were touched.
//!
//! All other rows keep their order among each other. So a row that was not touched is known by its rank
//! among those, and its index before and after follows from how many touched rows stand before it:
//! nothing here looks at more rows than were touched, or came and went at the ends of what is shown.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::row::Row;

/// The kept rows as they are before or after a change.
#[derive(Debug)]
pub(super) struct Side {
    /// The touched ones among them, by index.
    touched: Vec<(usize, Arc<Row>)>,
    /// Of each of them, how many untouched rows are before it.
    ranks: Vec<usize>,
    /// The indexes that are shown.
    shown: Range<usize>,
}

/// A change, by the indexes of kept rows before and after.
#[derive(Debug)]
pub(super) enum Step {
    Removed(usize, Arc<Row>),
    Moved(usize, usize),
    Added(usize),
    Changed(usize),
}

impl Side {
    pub(super) fn new(mut touched: Vec<(usize, Arc<Row>)>, shown: Range<usize>) -> Self {
        touched.sort_unstable_by_key(|(index, _)| *index);
        let ranks = touched.iter().enumerate();
        let ranks = ranks.map(|(before, (index, _))| index - before).collect();
        Self {
            touched,
            ranks,
            shown,
        }
    }

    pub(super) fn touched(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.touched.iter().map(|(index, row)| (*index, &**row))
    }

    fn touched_shown(&self) -> impl Iterator<Item = &(usize, Arc<Row>)> {
        self.touched
            .iter()
            .filter(|(index, _)| self.shown.contains(index))
    }

    /// The ranks of the untouched rows that are shown.
    fn ranks_shown(&self) -> Range<usize> {
        let rank = |index| index - self.touched.partition_point(|(at, _)| *at < index);
        rank(self.shown.start)..rank(self.shown.end)
    }

    /// The index of the untouched row of a rank.
    fn index(&self, rank: usize) -> usize {
        rank + self.ranks.partition_point(|before| *before <= rank)
    }
}

/// A touched row that is shown before and after.
struct Staying {
    old: usize,
    new: usize,
    /// Whether no untouched row that stays has come between it and its place.
    level: bool,
    changed: bool,
}

/// What leads from one side to the other, whose rows are `rows`: what goes, from the end; what moves; what
/// comes, from the beginning; what shows something else.
pub(super) fn steps(old: &Side, new: &Side, rows: &[Arc<Row>]) -> Vec<Step> {
    let (was, is) = (old.ranks_shown(), new.ranks_shown());
    let staying = staying(old, new, (&was, &is));
    // A row that was not touched is still kept, behind what is shown or before it.
    let untouched = |rank| Some((old.index(rank), rows.get(new.index(rank))?));
    let mut removed: Vec<_> = without(&was, &is).filter_map(untouched).collect();
    let mut added: Vec<usize> = without(&is, &was).map(|rank| new.index(rank)).collect();
    let left: HashSet<usize> = staying.iter().map(|row| row.old).collect();
    let arrived: HashSet<usize> = staying.iter().map(|row| row.new).collect();
    let gone = old
        .touched_shown()
        .filter(|(index, _)| !left.contains(index));
    removed.extend(gone.map(|(index, row)| (*index, row)));
    let come = new
        .touched_shown()
        .filter(|(index, _)| !arrived.contains(index));
    added.extend(come.map(|(index, _)| *index));
    removed.sort_unstable_by_key(|(index, _)| Reverse(*index));
    added.sort_unstable();
    let removed = removed.into_iter();
    let mut steps: Vec<_> = removed
        .map(|(index, row)| Step::Removed(index, Arc::clone(row)))
        .collect();
    steps.extend(moved(&staying).map(|row| Step::Moved(row.old, row.new)));
    steps.extend(added.into_iter().map(Step::Added));
    let changed = staying.iter().filter(|row| row.changed);
    steps.extend(changed.map(|row| Step::Changed(row.new)));
    steps
}

/// What is in `all` and not in `other`.
fn without(all: &Range<usize>, other: &Range<usize>) -> impl Iterator<Item = usize> + use<> {
    let before = all.start..all.end.min(other.start);
    let after = all.start.max(other.end)..all.end;
    // Where they are apart, all of it is before or after; it must not be both.
    let after = after.start.max(before.end)..after.end;
    before.chain(after)
}

/// The touched rows that are shown on both sides, in their old order.
fn staying(old: &Side, new: &Side, (was, is): (&Range<usize>, &Range<usize>)) -> Vec<Staying> {
    let (start, end) = (was.start.max(is.start), was.end.min(is.end));
    let among = |rank: usize| rank.clamp(start, end.max(start));
    let after: HashMap<&str, usize> = (0..)
        .zip(&new.touched)
        .filter(|(_, (index, _))| new.shown.contains(index))
        .map(|(at, (_, row))| (row.place.id(), at))
        .collect();
    let old = old
        .touched
        .iter()
        .zip(&old.ranks)
        .filter_map(|((index, row), rank)| {
            let at = *after
                .get(row.place.id())
                .filter(|_| old.shown.contains(index))?;
            let (new_index, new_row) = &new.touched[at];
            Some(Staying {
                old: *index,
                new: *new_index,
                level: among(*rank) == among(new.ranks[at]),
                changed: row.digest != new_row.digest,
            })
        });
    old.collect()
}

/// Those that have to move: all but a longest run of level ones that keep their order.
fn moved(staying: &[Staying]) -> impl Iterator<Item = &Staying> {
    // For each length the row that ends the run of that length with the smallest new index, and for each
    // row the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; staying.len()];
    for (at, row) in staying.iter().enumerate().filter(|(_, row)| row.level) {
        let length = ends.partition_point(|end| staying[*end].new < row.new);
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut rests = vec![false; staying.len()];
    let mut last = ends.last().copied();
    // Ends: each is before the last one.
    while let Some(at) = last {
        rests[at] = true;
        last = before[at];
    }
    staying
        .iter()
        .zip(rests)
        .filter_map(|(row, rests)| (!rests).then_some(row))
}
