//! Running a query over rows: filter, order, skip, limit, fields.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::Value;
use threads_core::Result;

use super::project::Projection;
use super::sort::{Place, Sort};
use super::{Cursor, Filter, Matcher, Query, QueryCaps};

/// Rows of a result, and where the next ones begin.
///
/// ```
/// use threads_db::query::{Query, page};
/// let page = page([Ok(serde_json::json!({"_id": "a"}))], &Query::new()).unwrap();
/// assert_eq!((page.rows.len(), page.next), (1, None));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The rows, in order, with the fields that were asked for.
    pub rows: Vec<Value>,
    /// For [`Query::after`]; `None` when there is nothing more, or the limit is 0.
    pub next: Option<Cursor>,
}

/// Runs `query` over `rows`, each entity once, in whatever order they come.
///
/// With a limit, memory holds skip + limit + 1 rows at a time, however many there are.
///
/// # Errors
///
/// Those of [`Query::check`], and the first error among the rows.
///
/// ```
/// use serde_json::json;
/// use threads_db::query::{Query, page};
///
/// let rows = (0..100).map(|n| Ok(json!({"_id": format!("{n:02}"), "n": n % 10})));
/// let query = Query::parse("n > 3").unwrap().sort_desc("n").skip(1).limit(2).fields(["n"]);
/// let page = page(rows, &query).unwrap();
/// assert_eq!(page.rows, [json!({"_id": "19", "n": 9}), json!({"_id": "29", "n": 9})]);
/// assert!(page.next.is_some());
/// ```
pub fn page(rows: impl IntoIterator<Item = Result<Value>>, query: &Query) -> Result<Page> {
    let caps = query.caps.unwrap_or(QueryCaps::unbounded());
    let found = run(rows, query, false, caps)?;
    Ok(Page::of(found, query))
}

/// As [`page`], for rows that come in the order of their `_id`: without a sort, it reads no more
/// of them than it needs.
///
/// # Errors
///
/// As [`page`].
///
/// ```
/// use serde_json::json;
/// use threads_db::query::{Query, page_by_id};
///
/// let rows = (0..).map(|n| Ok(json!({"_id": format!("{n:04}"), "n": n})));
/// let page = page_by_id(rows, &Query::parse("n > 3").unwrap().limit(2)).unwrap();
/// assert_eq!(page.rows[1]["n"], 5);
/// ```
pub fn page_by_id(rows: impl IntoIterator<Item = Result<Value>>, query: &Query) -> Result<Page> {
    let caps = query.caps.unwrap_or(QueryCaps::unbounded());
    let found = run(rows, query, query.sort.is_empty(), caps)?;
    Ok(Page::of(found, query))
}

/// How many of `rows` meet the filter of `query`; order, skip, limit and cursor do not matter.
///
/// # Errors
///
/// As [`page`].
///
/// ```
/// use serde_json::json;
/// use threads_db::query::{Query, count};
/// let rows = (0..9).map(|n| Ok(json!({"_id": n.to_string(), "n": n})));
/// assert_eq!(count(rows, &Query::parse("n >= 5").unwrap().limit(1)).unwrap(), 4);
/// ```
pub fn count(rows: impl IntoIterator<Item = Result<Value>>, query: &Query) -> Result<u64> {
    count_of(rows, query)
}

/// [`count`] of any rows.
pub(crate) fn count_of<C: Candidate>(
    rows: impl IntoIterator<Item = Result<C>>,
    query: &Query,
) -> Result<u64> {
    query.check()?;
    let everything = Filter::And(Vec::new());
    let matcher = Matcher::new(query.filter.as_ref().unwrap_or(&everything))?;
    let mut count = 0;
    for row in rows {
        count += u64::from(row?.meets(&matcher));
    }
    Ok(count)
}

/// A row that a query may find, in whatever form it is at hand.
pub(crate) trait Candidate {
    /// Whether it meets a filter.
    fn meets(&self, matcher: &Matcher<'_>) -> bool;

    /// Where it stands in an order.
    fn place(&self, sort: &[Sort]) -> Result<Place>;

    /// How many bytes its text has, if it has one.
    fn bytes(&self) -> u64;
}

impl Candidate for Value {
    fn meets(&self, matcher: &Matcher<'_>) -> bool {
        matcher.matches(self)
    }

    fn place(&self, sort: &[Sort]) -> Result<Place> {
        Ok(Place::of(sort, self))
    }

    fn bytes(&self) -> u64 {
        0
    }
}

impl Page {
    fn of(found: Found<Value>, query: &Query) -> Self {
        let projection = Projection::new(&query.fields);
        let all = query.fields.is_empty();
        let shown = |row| if all { row } else { projection.apply(&row) };
        Self {
            rows: found.rows.into_iter().map(shown).collect(),
            next: found.next,
        }
    }
}

/// The rows that a query finds, and where the next ones begin.
pub(crate) struct Found<C> {
    pub(crate) rows: Vec<C>,
    pub(crate) next: Option<Cursor>,
}

/// Runs `query`, but for its fields, over rows that come in its order if `in_order`.
pub(crate) fn run<C: Candidate>(
    rows: impl IntoIterator<Item = Result<C>>,
    query: &Query,
    in_order: bool,
    caps: QueryCaps,
) -> Result<Found<C>> {
    query.check()?;
    if query.limit == Some(0) {
        let (rows, next) = (Vec::new(), None);
        return Ok(Found { rows, next });
    }
    let everything = Filter::And(Vec::new());
    let matcher = Matcher::new(query.filter.as_ref().unwrap_or(&everything))?;
    let skip = if query.after.is_some() {
        0
    } else {
        rows_of(query.skip)
    };
    let limit = query.limit.map_or(usize::MAX, rows_of);
    let end = skip.saturating_add(limit);
    // One row more than asked for tells whether there are more.
    let mut first = First::new(&query.sort, end.saturating_add(1));
    for row in rows {
        let row = row?;
        if !row.meets(&matcher) {
            continue;
        }
        let place = row.place(&query.sort)?;
        let after = query.after.as_ref();
        if after.is_some_and(|cursor| !cursor.precedes(query, &place)) {
            continue;
        }
        first.push(place, row);
        caps.check_memory(first.heap.len().min(end), first.bytes)?;
        if in_order && first.is_full() {
            break;
        }
    }
    let mut rows = first.into_sorted();
    let more = rows.len() > end;
    rows.truncate(end);
    rows.drain(..skip.min(rows.len()));
    let last = rows.last().filter(|_| more);
    Ok(Found {
        next: last.map(|last| Cursor::at(query, last.place.clone())),
        rows: rows.into_iter().map(|row| row.row).collect(),
    })
}

fn rows_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The first rows in the order of `sort`, of all that are pushed.
struct First<'q, C> {
    sort: &'q [Sort],
    most: usize,
    /// The last of them on top, to be pushed out first.
    heap: BinaryHeap<Placed<'q, C>>,
    /// How many bytes they have.
    bytes: u64,
}

/// A row and its place, taken from it once: comparing is most of the work.
struct Placed<'q, C> {
    sort: &'q [Sort],
    place: Place,
    row: C,
}

impl<'q, C: Candidate> First<'q, C> {
    fn new(sort: &'q [Sort], most: usize) -> Self {
        Self {
            sort,
            most,
            heap: BinaryHeap::new(),
            bytes: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.heap.len() >= self.most
    }

    fn push(&mut self, place: Place, row: C) {
        let sort = self.sort;
        let placed = Placed { sort, place, row };
        if !self.is_full() {
            self.bytes += placed.bytes();
            self.heap.push(placed);
        } else if let Some(mut last) = self.heap.peek_mut()
            && placed < *last
        {
            self.bytes += placed.bytes();
            self.bytes -= last.bytes();
            *last = placed;
        }
    }

    fn into_sorted(self) -> Vec<Placed<'q, C>> {
        let mut rows = self.heap.into_vec();
        rows.sort_unstable();
        rows
    }
}

impl<C: Candidate> Placed<'_, C> {
    fn bytes(&self) -> u64 {
        self.row.bytes() + self.place.bytes()
    }
}

impl<C> Ord for Placed<'_, C> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.compare(&other.place, self.sort)
    }
}

impl<C> PartialOrd for Placed<'_, C> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<C> PartialEq for Placed<'_, C> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<C> Eq for Placed<'_, C> {}
