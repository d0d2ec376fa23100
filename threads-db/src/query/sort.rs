//! The order of rows.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use threads_core::{Error, FieldPath, Result};

use super::order::{compare_values, first_difference};
use super::walk::first_at;

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

/// The order of what two rows sort by; rows that are equal in it order by `_id`.
pub(super) fn compare_keys(sort: &[Sort], a: &[Option<Value>], b: &[Option<Value>]) -> Ordering {
    let keys = sort.iter().zip(a.iter().zip(b));
    first_difference(keys.map(|(s, (a, b))| s.directed(compare_values(a.as_ref(), b.as_ref()))))
}

/// The order of a row and the place that `keys` and `id` name.
pub(super) fn compare_to(
    sort: &[Sort],
    row: &Value,
    keys: &[Option<Value>],
    row_id: &str,
) -> Ordering {
    let by_keys = sort.iter().zip(keys).map(|(sort, key)| {
        let value = first_at(row, sort.path.segments());
        sort.directed(compare_values(value, key.as_ref()))
    });
    first_difference(by_keys).then_with(|| id(row).cmp(row_id))
}

/// What a row sorts by; `None` for a missing field.
pub(super) fn keys(sort: &[Sort], row: &Value) -> Vec<Option<Value>> {
    sort.iter()
        .map(|sort| first_at(row, sort.path.segments()).cloned())
        .collect()
}

/// The id of a row. Every entity has one; a value that is none has the empty one.
pub(super) fn id(row: &Value) -> &str {
    row.get("_id").and_then(Value::as_str).unwrap_or_default()
}
