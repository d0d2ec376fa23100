//! Queries: which entities, in which order, how many, and which of their fields.
//!
//! Everything here is a pure function of JSON values; nothing knows where they are kept.
//!
//! ```
//! use serde_json::json;
//! use threads_db::query::{Query, field, page};
//!
//! let people = [
//!     json!({"_id": "a", "name": "Ann", "age": 61}),
//!     json!({"_id": "b", "name": "Bob", "age": 66}),
//!     json!({"_id": "c", "name": "Cid", "age": 67}),
//! ];
//! let built = Query::new().filter(field("age").ge(60).and(field("age").lt(66)).or(field("age").eq(67)));
//! let query = Query::parse("age >= 60 and age < 66 or age == 67").unwrap();
//! assert_eq!(query, built);
//!
//! let found = page(people.into_iter().map(Ok), &query.sort_desc("age").fields(["name"])).unwrap();
//! assert_eq!(found.rows, [json!({"_id": "c", "name": "Cid"}), json!({"_id": "a", "name": "Ann"})]);
//! ```
//!
//! # The text form
//!
//! | Write | To find entities whose field |
//! |---|---|
//! | `age = 1` or `age == 1` | equals |
//! | `age != 1` or `age <> 1` | is present and does not equal |
//! | `age < 1`, `<=`, `>`, `>=` | is of the same type, and less, … |
//! | `age in [1, 2]` or `age in (1, 2)` | equals one of them |
//! | `age not in [1, 2]` | is present and equals none of them |
//! | `tags contains 'new'` | is an array with this element, or a string with this part |
//! | `name starts_with 'An'` | is a string that begins so |
//! | `email exists`, `email not exists` | is present, is missing |
//! | `a = 1 and not (b = 2 or c = 3)` | `not` binds before `and`, `and` before `or` |
//!
//! `true` and `false` alone are every entity and none. Keywords are in any case.
//!
//! **Fields** are plain words (letters, digits, `_`, `$` and `-`, not beginning with a digit or
//! `-`) joined by dots: `address.city`, `tags.0`. A name that is not a plain word, or is a
//! keyword, goes in double quotes, where `""` is a quote: `address."postal code"`. A JSON Pointer
//! such as `/address/city` works too.
//!
//! **Values** are texts in single quotes, where `''` is a quote and everything else stands for
//! itself; numbers; `true`, `false`, `null`; lists `[1, 'a']`; objects `{name: 'a'}`.
//!
//! # What it means
//!
//! * Values compare by their JSON type and are never converted: `'1'` does not equal `1`, and is
//!   neither less nor greater. So `!=` is true of a present field of another type.
//! * Numbers compare by exact value: `1` equals `1.0`, and integers beyond 2^53 keep every digit.
//!   Texts compare by Unicode scalar values, `false` comes before `true`.
//! * A missing field meets no condition but `not exists`: `age != 1` is false of it. It does meet
//!   `not (age = 1)`, because `not` turns the answer around. `null` is a value: `age = null` is
//!   true of an explicit `null` only, which also `exists`.
//! * Over an array, a number in a path picks one element and a name means any element:
//!   `tags.0`, `children.name`. A missing element is a missing field.
//! * When the value at the path is an array, a condition holds if it holds for any element:
//!   `tags = 'new'`. So `sizes > 3 and sizes < 5` may be met by two elements. An array literal is
//!   compared with the whole array: `tags = ['new', 'red']`. `!=` and `not in` deny `=` and `in`.
//! * `tags = 'new'` can use an index, `tags contains 'new'` cannot: it also means part of a text.
//! * Rows sort in the order of [`compare_values`]; over an array, a name means the first element
//!   that has it. Equal rows order by `_id`, so every order is total and pages are stable.
//!
//! # Limits
//!
//! [`TEXT_BYTES_MAX`], [`NODES_MAX`], [`DEPTH_MAX`], [`IN_MAX`], [`SORT_MAX`] and [`FIELDS_MAX`]
//! bound a query itself, [`QueryCaps`] what running it may cost; beyond them it is refused as
//! [`Invalid`](threads_core::ErrorKind::Invalid).

mod caps;
mod cursor;
mod error;
mod explain;
mod filter;
mod ids;
mod matcher;
pub(crate) mod order;
mod page;
mod parse;
mod plan;
mod print;
mod project;
mod sort;
mod token;
pub(crate) mod walk;

use std::fmt;

use threads_core::datastore::Direction;
use threads_core::{Error, FieldPath, Result};

pub(crate) use caps::Guard;
pub use caps::{PAGE_ROWS, QueryCaps, TooExpensive};
pub use cursor::Cursor;
pub use error::QueryError;
pub use explain::{Explain, Step};
pub use filter::{Field, Filter, Op, field};
pub use ids::IdRange;
pub use matcher::Matcher;
pub use order::compare_values;
pub(crate) use page::{Candidate, Found, count_of, run};
pub use page::{Page, count, page, page_by_id};
pub use plan::{IndexInfo, Plan};
pub(crate) use project::Projection;
pub use project::project;
pub(crate) use sort::Place;
pub use sort::Sort;

/// The longest text of a query, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// The most conditions in a query, `and`, `or` and `not` counted too.
pub const NODES_MAX: usize = 256;

/// The most levels of parentheses, `not`, and brackets around values.
pub const DEPTH_MAX: usize = 16;

/// The most values in the list of one `in`.
pub const IN_MAX: usize = 1_000;

/// The most fields to sort by.
pub const SORT_MAX: usize = 16;

/// The most fields to ask for.
pub const FIELDS_MAX: usize = 256;

/// Which entities, in which order, how many, and which of their fields.
///
/// ```
/// use threads_db::query::{Query, field};
///
/// let query = Query::new().filter(field("age").ge(60)).sort("name").sort_desc("age").skip(1).limit(5);
/// assert_eq!(query.limit, Some(5));
/// assert_eq!(query.sort[1].to_string(), "age:desc");
/// assert!(query.check().is_ok());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// The condition to meet; `None` is every entity.
    pub filter: Option<Filter>,
    /// What to order by, the most important first; `_id` decides between equals.
    pub sort: Vec<Sort>,
    /// How many rows to leave out at the beginning. Without effect after a cursor, because a page
    /// goes on where the last one ended.
    pub skip: u64,
    /// The most rows to return; `None` is all of them, and [`PAGE_ROWS`] where a page is asked for.
    pub limit: Option<u64>,
    /// Where the page before this one ended.
    pub after: Option<Cursor>,
    /// The fields to return; none is all of them. `_id` is always returned.
    pub fields: Vec<FieldPath>,
    /// What it may cost; `None` is what the node's other queries may.
    pub caps: Option<QueryCaps>,
    problem: Option<String>,
}

impl Query {
    /// The query for every entity, in the order of `_id`.
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// assert_eq!(Query::new().filter, None);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The query for what meets the filter written in `text`.
    ///
    /// # Errors
    ///
    /// Those of [`Filter::parse`].
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// assert!(Query::parse("age >= 60 and age < 66 or age == 67").is_ok());
    /// let error = Query::parse("age >= 60 und age < 66").unwrap_err();
    /// assert!(error.to_string().contains("column 11"));
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self::new().filter(Filter::parse(text)?))
    }

    /// Only what meets `filter` too.
    ///
    /// ```
    /// # use threads_db::query::{Query, field};
    /// let query = Query::parse("a = 1 or a = 2").unwrap().filter(field("b").exists());
    /// assert_eq!(query.filter.unwrap().to_string(), "(a = 1 or a = 2) and b exists");
    /// ```
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter {
            Some(first) => first.and(filter),
            None => filter,
        });
        self
    }

    /// Then by `path`, smallest first.
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// assert_eq!(Query::new().sort("name").sort[0].to_string(), "name");
    /// ```
    #[must_use]
    pub fn sort(self, path: impl fmt::Display) -> Self {
        self.sort_by(path, false)
    }

    /// Then by `path`, largest first.
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// assert_eq!(Query::new().sort_desc("age").sort[0].to_string(), "age:desc");
    /// ```
    #[must_use]
    pub fn sort_desc(self, path: impl fmt::Display) -> Self {
        self.sort_by(path, true)
    }

    fn sort_by(mut self, path: impl fmt::Display, descending: bool) -> Self {
        if let Some(path) = self.path(path) {
            self.sort.push(Sort { path, descending });
        }
        self
    }

    /// Without the first `rows`.
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// assert_eq!(Query::new().skip(20).skip, 20);
    /// ```
    #[must_use]
    pub fn skip(mut self, rows: u64) -> Self {
        self.skip = rows;
        self
    }

    /// At most so many `rows`; none for 0.
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// assert_eq!(Query::new().limit(10).limit, Some(10));
    /// ```
    #[must_use]
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// With caps of its own; see [`QueryCaps`].
    ///
    /// ```
    /// # use threads_db::query::{Query, QueryCaps};
    /// let query = Query::new().caps(QueryCaps::strict());
    /// assert_eq!(query.caps, Some(QueryCaps::strict()));
    /// ```
    #[must_use]
    pub fn caps(mut self, caps: QueryCaps) -> Self {
        self.caps = Some(caps);
        self
    }

    /// Only what comes after the page that ended with `cursor`.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use threads_db::query::{Query, page};
    /// let rows = [json!({"_id": "a"}), json!({"_id": "b"})];
    /// let query = Query::new().limit(1);
    /// let first = page(rows.clone().into_iter().map(Ok), &query).unwrap();
    /// let second = page(rows.into_iter().map(Ok), &query.after(first.next.unwrap())).unwrap();
    /// assert_eq!(second.rows, [json!({"_id": "b"})]);
    /// assert_eq!(second.next, None);
    /// ```
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Only these fields, and `_id`.
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// assert_eq!(Query::new().fields(["name", "address.city"]).fields.len(), 2);
    /// ```
    #[must_use]
    pub fn fields<P: fmt::Display>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        for path in paths {
            if let Some(path) = self.path(path) {
                self.fields.push(path);
            }
        }
        self
    }

    /// Parses a path, or keeps the first problem for [`Query::check`].
    fn path(&mut self, path: impl fmt::Display) -> Option<FieldPath> {
        match path.to_string().parse::<FieldPath>() {
            Ok(path) => Some(path),
            Err(error) => {
                self.problem.get_or_insert_with(|| error.to_string());
                None
            }
        }
    }

    /// Refuses a query that could not be built, exceeds a limit, or has another query's cursor.
    ///
    /// Whatever runs a query asks this first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid).
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// assert!(Query::new().check().is_ok());
    /// assert!(Query::new().sort("a..b").check().is_err());
    /// ```
    pub fn check(&self) -> Result<()> {
        if let Some(problem) = &self.problem {
            return Err(Error::invalid(problem.clone()));
        }
        if self.sort.len() > SORT_MAX {
            return Err(Error::invalid("a query sorts by too many fields").with("most", SORT_MAX));
        }
        if self.fields.len() > FIELDS_MAX {
            let error = Error::invalid("a query asks for too many fields: ask for all of them");
            return Err(error.with("most", FIELDS_MAX));
        }
        if let Some(filter) = &self.filter {
            filter.check()?;
        }
        self.after
            .as_ref()
            .map_or(Ok(()), |cursor| cursor.check(self))
    }

    /// Every path the query names: of its filter, its order and its fields.
    ///
    /// ```
    /// # use threads_db::query::Query;
    /// let query = Query::parse("a = 1").unwrap().sort("b").fields(["c"]);
    /// assert_eq!(query.paths().len(), 3);
    /// ```
    pub fn paths(&self) -> Vec<&FieldPath> {
        let filtered = self.filter.iter().flat_map(Filter::paths);
        let sorted = self.sort.iter().map(|sort| &sort.path);
        filtered.chain(sorted).chain(&self.fields).collect()
    }

    /// In which order of ids the rows are to come, if it is one.
    pub(crate) fn id_order(&self) -> Option<Direction> {
        match self.sort.as_slice() {
            [] => Some(Direction::Forward),
            [sort] if sort.path.segments() == ["_id"] => Some(match sort.descending {
                true => Direction::Reverse,
                false => Direction::Forward,
            }),
            _ => None,
        }
    }

    /// How to find the rows with these indexes; see [`Plan::choose`].
    ///
    /// ```
    /// # use threads_db::query::{Plan, Query};
    /// assert_eq!(Query::new().plan(&[]), Plan::Scan);
    /// ```
    pub fn plan(&self, indexes: &[IndexInfo]) -> Plan {
        Plan::choose(self.filter.as_ref(), indexes)
    }
}
