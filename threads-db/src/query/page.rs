//! Running a query over rows: filter, order, skip, limit, fields.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::Value;
use threads_core::Result;

use super::project::Projection;
use super::sort::{self, Sort, compare_keys, compare_to, id};
use super::{Cursor, Filter, Matcher, Query};

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
    let found = run(rows.into_iter().map(alone), query, false)?;
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
    let found = run(rows.into_iter().map(alone), query, true)?;
    Ok(Page::of(found, query))
}

/// A row that is all there is of its entity.
fn alone(row: Result<Value>) -> Result<(Value, ())> {
    Ok((row?, ()))
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
    query.check()?;
    let everything = Filter::And(Vec::new());
    let matcher = Matcher::new(query.filter.as_ref().unwrap_or(&everything))?;
    let mut count = 0;
    for row in rows {
        count += u64::from(matcher.matches(&row?));
    }
    Ok(count)
}

impl Page {
    fn of(found: Found<()>, query: &Query) -> Self {
        let projection = Projection::new(&query.fields);
        let all = query.fields.is_empty();
        let shown = |row| if all { row } else { projection.apply(&row) };
        Self {
            rows: found.rows.into_iter().map(|(row, ())| shown(row)).collect(),
            next: found.next,
        }
    }
}

/// The rows that a query finds, each with what came along, and where the next ones begin.
pub(crate) struct Found<P> {
    pub(crate) rows: Vec<(Value, P)>,
    pub(crate) next: Option<Cursor>,
}

/// Runs `query`, but for its fields, over rows that come in the order of their `_id` if `by_id`. A
/// row needs no more than the members that the query looks at; what comes along with it is kept.
pub(crate) fn run<P>(
    rows: impl IntoIterator<Item = Result<(Value, P)>>,
    query: &Query,
    by_id: bool,
) -> Result<Found<P>> {
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
        let (row, payload) = row?;
        let later = query
            .after
            .as_ref()
            .is_none_or(|cursor| cursor.precedes(query, &row));
        if later && matcher.matches(&row) {
            first.push(row, payload);
            if by_id && query.sort.is_empty() && first.is_full() {
                break;
            }
        }
    }
    let mut rows = first.into_sorted();
    let more = rows.len() > end;
    rows.truncate(end);
    rows.drain(..skip.min(rows.len()));
    let next = rows
        .last()
        .filter(|_| more)
        .map(|(last, _)| Cursor::at(query, last));
    Ok(Found { rows, next })
}

fn rows_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The first rows in the order of `sort`, of all that are pushed.
struct First<'q, P> {
    sort: &'q [Sort],
    most: usize,
    /// The last of them on top, to be pushed out first.
    heap: BinaryHeap<Row<'q, P>>,
}

/// A row and what it sorts by, taken from it once: comparing is most of the work.
struct Row<'q, P> {
    sort: &'q [Sort],
    keys: Vec<Option<Value>>,
    value: Value,
    payload: P,
}

impl<'q, P> First<'q, P> {
    fn new(sort: &'q [Sort], most: usize) -> Self {
        Self {
            sort,
            most,
            heap: BinaryHeap::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.heap.len() >= self.most
    }

    fn push(&mut self, value: Value, payload: P) {
        let sort = self.sort;
        let row = |value, payload| Row {
            sort,
            keys: sort::keys(sort, &value),
            value,
            payload,
        };
        if !self.is_full() {
            self.heap.push(row(value, payload));
        } else if let Some(mut last) = self.heap.peek_mut()
            && compare_to(sort, &value, &last.keys, id(&last.value)).is_lt()
        {
            *last = row(value, payload);
        }
    }

    fn into_sorted(self) -> Vec<(Value, P)> {
        let mut rows = self.heap.into_vec();
        rows.sort_unstable();
        rows.into_iter()
            .map(|row| (row.value, row.payload))
            .collect()
    }
}

impl<P> Ord for Row<'_, P> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_keys(self.sort, &self.keys, &other.keys)
            .then_with(|| id(&self.value).cmp(id(&other.value)))
    }
}

impl<P> PartialOrd for Row<'_, P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Row<'_, P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P> Eq for Row<'_, P> {}
