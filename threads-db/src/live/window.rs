//! The rows that a live query keeps, in its order: of each its id, what it is sorted by, and a digest
//! of what is shown of it.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use threads_core::{EntityId, Result};

use super::diff::Side;
use super::row::Row;
use crate::query::{Place, QueryCaps, Sort};

/// A row by its id.
#[derive(Debug)]
struct ById(Arc<Row>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        self.0.place.id()
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.place.id().hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.place.id() == other.0.place.id()
    }
}

impl Eq for ById {}

/// How many rows a window is to keep.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Which of the kept rows are shown: without those that the query skips, up to its limit.
    pub(super) shown: Range<usize>,
    /// How many rows behind the limit are kept, so that a row that goes has one to take its place.
    pub(super) spare: usize,
}

/// The first rows that meet a query, in its order.
#[derive(Debug)]
pub(super) struct Window {
    sort: Vec<Sort>,
    room: Room,
    order: Vec<Arc<Row>>,
    by_id: HashSet<ById>,
    /// All that meets the query up to here is kept; everything when there is none.
    horizon: Option<Place>,
    bytes: u64,
}

/// What became of an entity that was touched: its row now, if it meets the query.
pub(super) type Touched = (EntityId, Option<Row>);

impl Window {
    /// A window of the first rows that meet a query; there are `more` behind them or not.
    pub(super) fn new(sort: Vec<Sort>, room: Room, rows: Vec<Row>, more: bool) -> Self {
        let mut window = Self {
            sort,
            room,
            order: Vec::with_capacity(rows.len()),
            by_id: HashSet::new(),
            horizon: None,
            bytes: 0,
        };
        window.append(rows, more);
        window
    }

    /// Adds the rows behind the horizon.
    pub(super) fn append(&mut self, rows: Vec<Row>, more: bool) {
        for row in rows.into_iter().map(Arc::new) {
            self.bytes += row.bytes;
            self.by_id.insert(ById(Arc::clone(&row)));
            self.order.push(row);
        }
        let last = self.order.last().filter(|_| more);
        self.horizon = last.map(|last| last.place.clone());
    }

    /// How many rows it lacks, and behind which place they are.
    pub(super) fn lacks(&self) -> Option<(&Place, usize)> {
        let horizon = self.horizon.as_ref()?;
        let Room { shown, spare } = &self.room;
        (self.order.len() < shown.end).then(|| (horizon, shown.end + spare - self.order.len()))
    }

    /// The kept row at an index.
    pub(super) fn row(&self, index: usize) -> Option<&Row> {
        self.order.get(index).map(|row| &**row)
    }

    /// All that are kept.
    pub(super) fn order(&self) -> &[Arc<Row>] {
        &self.order
    }

    /// The rows that are shown.
    pub(super) fn shown(&self) -> &[Arc<Row>] {
        &self.order[self.visible()]
    }

    /// Where the first row is that is shown.
    pub(super) fn first(&self) -> usize {
        self.room.shown.start
    }

    fn visible(&self) -> Range<usize> {
        let Range { start, end } = self.room.shown;
        start.min(self.order.len())..end.min(self.order.len())
    }

    /// Leaves of what was touched only those that make a difference to the kept rows.
    pub(super) fn sift(&self, touched: &mut Vec<Touched>) {
        touched.retain_mut(|(id, row)| {
            row.take_if(|row| !self.reaches(&row.place));
            match (self.by_id.get(id.as_str()), row) {
                (None, None) => false,
                (Some(ById(old)), Some(new)) => old.digest != new.digest || old.place != new.place,
                _ => true,
            }
        });
    }

    fn reaches(&self, place: &Place) -> bool {
        let horizon = self.horizon.as_ref();
        horizon.is_none_or(|horizon| place.compare(horizon, &self.sort).is_le())
    }

    /// Where the entities stand that are kept, of these.
    pub(super) fn side(&self, ids: &[EntityId]) -> Side {
        let rows = ids.iter().filter_map(|id| {
            let ById(row) = self.by_id.get(id.as_str())?;
            Some((self.index(&row.place), Arc::clone(row)))
        });
        Side::new(rows.collect(), self.visible())
    }

    /// The index of a kept row, or where it would be.
    fn index(&self, place: &Place) -> usize {
        let before = |row: &Arc<Row>| row.place.compare(place, &self.sort).is_lt();
        self.order.partition_point(before)
    }

    /// Takes the rows of `old` out and puts those that were touched in, which reach the horizon.
    pub(super) fn replace(&mut self, old: &Side, touched: Vec<Touched>) {
        let mut kept = std::mem::take(&mut self.order).into_iter();
        let mut taken = 0;
        for (index, row) in old.touched() {
            self.order.extend(kept.by_ref().take(index - taken));
            kept.next();
            taken = index + 1;
            self.bytes -= row.bytes;
            self.by_id.remove(row.place.id());
        }
        self.order.extend(kept);
        let mut rows: Vec<_> = touched.into_iter().filter_map(|(_, row)| row).collect();
        rows.sort_unstable_by(|a, b| a.place.compare(&b.place, &self.sort));
        let at: Vec<_> = rows.iter().map(|row| self.index(&row.place)).collect();
        let mut kept = std::mem::take(&mut self.order).into_iter();
        let mut taken = 0;
        for (index, row) in at.into_iter().zip(rows.into_iter().map(Arc::new)) {
            self.order.extend(kept.by_ref().take(index - taken));
            taken = index;
            self.bytes += row.bytes;
            self.by_id.insert(ById(Arc::clone(&row)));
            self.order.push(row);
        }
        self.order.extend(kept);
    }

    /// Lets go of spare rows that are too many, and refuses a result that the query could not have.
    pub(super) fn trim(&mut self, caps: QueryCaps) -> Result<()> {
        let Room { shown, spare } = &self.room;
        let (end, most) = (shown.end, shown.end.saturating_add(2 * spare));
        if self.order.len() > most {
            self.truncate(most - spare);
        }
        if self.bytes > caps.bytes {
            self.truncate(end);
        }
        caps.check_memory(self.order.len().min(end), self.bytes)
    }

    /// Keeps the first `rows`, at least one.
    fn truncate(&mut self, rows: usize) {
        if self.order.len() <= rows {
            return;
        }
        for row in self.order.drain(rows..) {
            self.bytes -= row.bytes;
            self.by_id.remove(row.place.id());
        }
        self.horizon = self.order.last().map(|row| row.place.clone());
    }
}
