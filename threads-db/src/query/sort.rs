//! The order of rows.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use threads_core::{Error, FieldPath, Result};

use super::order::{compare_values, first_difference};
use super::walk::first_at;
use crate::schema::values_in;

/// A field to sort by, and the direction.
///
/// Its text form is the path, with `:desc` behind it for largest first.
///
/// ```
/// use threads_db::query::Sort;
///
/// let sort: Sort = "address.city:desc".parse().unwrap();
/// assert!(sort.descending);
/// assert_eq!(sort.to_string(), "address.city:desc");
/// assert!(!"name:asc".parse::<Sort>().unwrap().descending);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// Where the field is.
    pub path: FieldPath,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl FromStr for Sort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (path, descending) = match text.rsplit_once(':') {
            Some((path, "desc")) => (path, true),
            Some((path, "asc")) => (path, false),
            _ => (text, false),
        };
        Ok(Self {
            path: path.parse()?,
            descending,
        })
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            self.path,
            if self.descending { ":desc" } else { "" }
        )
    }
}

impl Sort {
    fn directed(&self, order: Ordering) -> Ordering {
        if self.descending {
            order.reverse()
        } else {
            order
        }
    }
}

/// Where a row stands in an order: what it sorts by, and its id, which decides between equals.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// `None` for a missing field.
    pub(super) keys: Vec<Option<Value>>,
    /// Every entity has one; a value that is none has the empty one.
    pub(super) id: String,
}

impl Place {
    /// The place of `row`, which needs no more than the members that `sort` looks at and its id.
    pub(crate) fn of(sort: &[Sort], row: &Value) -> Self {
        let key = |sort: &Sort| first_at(row, sort.path.segments()).cloned();
        let id = row.get("_id").and_then(Value::as_str).unwrap_or_default();
        Self {
            keys: sort.iter().map(key).collect(),
            id: id.to_owned(),
        }
    }

    /// The id of the row.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// About how many bytes it takes in memory: a small value takes many times its text.
    pub(crate) fn bytes(&self) -> u64 {
        let values = |key: &Value| values_in(key, usize::MAX).unwrap_or_default();
        let values: usize = self.keys.iter().flatten().map(values).sum();
        (values * size_of::<Value>()) as u64
    }

    /// The order of two places of one `sort`.
    pub(crate) fn compare(&self, other: &Self, sort: &[Sort]) -> Ordering {
        let keys = sort.iter().zip(self.keys.iter().zip(&other.keys));
        let by_keys = keys.map(|(s, (a, b))| s.directed(compare_values(a.as_ref(), b.as_ref())));
        first_difference(by_keys).then_with(|| self.id.cmp(&other.id))
    }
}
