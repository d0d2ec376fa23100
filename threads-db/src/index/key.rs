//! Index keys: values as bytes that order as the values do.
//!
//! An **entry** is what one entity contributes to an index under one combination of the values of
//! its columns. It is the columns one after the other, each a tag and what the tag asks for:
//!
//! | Column | Bytes |
//! |---|---|
//! | nothing to index | `01`, never in the first column |
//! | null | `10` |
//! | false, true | `20`, `21` |
//! | number | `30`, the largest double not above it (8, sortable), the exact rest (2) |
//! | string | `40`, its bytes with `00` as `00 ff`, then `00 00` |
//! | long string | `40`, as many bytes as fit, `00 01`, the first 16 bytes of its SHA-256 |
//!
//! No column is the beginning of another, so entries of one index order column by column, and the
//! entries with equal first columns are those that begin with the same bytes. An entry is at most
//! [`ENTRY_BYTES_MAX`] bytes, which leaves room in a key of 511 bytes for what the store puts before
//! it and an entity id of 256 bytes after it.
//!
//! Long strings are exact for equality, as far as the hash is, but order only by their beginning:
//! ranges include all strings that begin like a long bound, so **rows found by a range are always
//! checked against the filter**. Arrays and objects have no encoding; an array has one entry per
//! distinct scalar element.

use std::collections::BTreeSet;
use std::ops::Bound;

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};
use threads_core::datastore::prefix_range;
use threads_core::{Error, FieldPath, Result};

use crate::query::order::{exact, kind};
use crate::query::walk::any_at;

/// The most columns of an index.
pub const COLUMNS_MAX: usize = threads_core::module::INDEX_PATHS_MAX;

/// The longest entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 224;

/// The most entries of one entity in one index.
pub const ENTRIES_MAX: usize = 1_024;

/// The most ranges for one condition on an index.
pub const RANGES_MAX: usize = 4_096;

/// The most bytes of a string that an entry keeps; fewer when columns share [`ENTRY_BYTES_MAX`].
pub const STRING_BYTES_MAX: usize = 96;

const HASH_BYTES: usize = 16;

const NOTHING: u8 = 0x01;
const NULL: u8 = 0x10;
const FALSE: u8 = 0x20;
const TRUE: u8 = 0x21;
const NUMBER: u8 = 0x30;
const STRING: u8 = 0x40;

const STRING_END: [u8; 2] = [0x00, 0x00];
const STRING_CUT: [u8; 2] = [0x00, 0x01];

/// One entry of an entity in an index.
///
/// ```
/// use threads_db::index::key::entries;
/// let paths = ["a".parse().unwrap(), "b".parse().unwrap()];
/// let found = entries(&serde_json::json!({"a": 1}), &paths).unwrap();
/// assert!(!found[0].whole);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The bytes.
    pub key: Vec<u8>,
    /// Whether every column has a value. Only then does a unique index compare it.
    pub whole: bool,
}

/// The entry of one value per column; `None` for arrays, objects, and more than
/// [`COLUMNS_MAX`] columns or none.
///
/// ```
/// use serde_json::json;
/// use threads_db::index::key::encode_values;
///
/// let key = |value| encode_values(&[&value]).unwrap();
/// assert!(key(json!(-1.5)) < key(json!(0)));
/// assert!(key(json!(9_007_199_254_740_992.0)) < key(json!(9_007_199_254_740_993_i64)));
/// assert!(key(json!(1e300)) < key(json!("a")));
/// assert_eq!(encode_values(&[&json!([1])]), None);
/// ```
pub fn encode_values(values: &[&Value]) -> Option<Vec<u8>> {
    check_columns(values.len()).ok()?;
    let mut key = Vec::new();
    for value in values {
        key.extend(encode(value, values.len())?.bytes);
    }
    Some(key)
}

/// The entries of an entity in the index over `paths`, in their order, each once.
///
/// None when the first column has nothing to index: the field is missing, an object, or an array
/// without scalar elements. A later column that has nothing is marked so, for the entity has to be
/// found by its first columns.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for more than [`ENTRIES_MAX`] entries
/// or [`COLUMNS_MAX`] columns.
///
/// ```
/// use serde_json::json;
/// use threads_db::index::key::{encode_values, entries};
///
/// let entity = json!({"_id": "a", "tags": ["new", "red", "new"], "home": {"city": "Rome"}});
/// let paths = ["tags".parse().unwrap(), "home.city".parse().unwrap()];
/// let found = entries(&entity, &paths).unwrap();
/// assert_eq!(found.len(), 2);
/// assert_eq!(found[0].key, encode_values(&[&json!("new"), &json!("Rome")]).unwrap());
/// assert!(entries(&json!({"_id": "b"}), &paths).unwrap().is_empty());
/// ```
pub fn entries(value: &Value, paths: &[FieldPath]) -> Result<Vec<Entry>> {
    check_columns(paths.len())?;
    let mut entries = vec![Entry {
        key: Vec::new(),
        whole: true,
    }];
    for (column, path) in paths.iter().enumerate() {
        let scalars = scalars(value, path, paths.len());
        if scalars.len() * entries.len() > ENTRIES_MAX {
            return Err(Error::invalid(
                "an entity has too many values for one index: index fewer or shorter arrays",
            )
            .with("path", path)
            .with("most", ENTRIES_MAX));
        }
        if scalars.is_empty() {
            if column == 0 {
                return Ok(Vec::new());
            }
            for entry in &mut entries {
                entry.key.push(NOTHING);
                entry.whole = false;
            }
            continue;
        }
        let with = |entry: &Entry, scalar: &Vec<u8>| Entry {
            key: [entry.key.as_slice(), scalar].concat(),
            whole: entry.whole,
        };
        entries = entries
            .iter()
            .flat_map(|e| scalars.iter().map(move |s| with(e, s)))
            .collect();
    }
    Ok(entries)
}

/// The distinct scalars at `path`, encoded; at most one more than [`ENTRIES_MAX`].
fn scalars(value: &Value, path: &FieldPath, columns: usize) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    any_at(value, path.segments(), &mut |value| {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        for item in items {
            found.extend(encode(item, columns).map(|encoded| encoded.bytes));
            if found.len() > ENTRIES_MAX {
                return true;
            }
        }
        false
    });
    found
}

fn check_columns(columns: usize) -> Result<()> {
    if (1..=COLUMNS_MAX).contains(&columns) {
        return Ok(());
    }
    Err(Error::invalid("an index has too few or too many fields")
        .with("fields", columns)
        .with("most", COLUMNS_MAX))
}

/// A column's bytes.
struct Encoded {
    bytes: Vec<u8>,
    /// How many of them it shares with every value that orders the same; all, unless it is cut.
    ordered: usize,
}

fn encode(value: &Value, columns: usize) -> Option<Encoded> {
    let bytes = match value {
        Value::Null => vec![NULL],
        Value::Bool(false) => vec![FALSE],
        Value::Bool(true) => vec![TRUE],
        Value::Number(number) => encode_number(number),
        Value::String(text) => return Some(encode_string(text, columns)),
        Value::Array(_) | Value::Object(_) => return None,
    };
    Some(Encoded {
        ordered: bytes.len(),
        bytes,
    })
}

fn encode_number(number: &Number) -> Vec<u8> {
    let (floor, rest) = exact(number);
    let bits = floor.to_bits();
    // Positive doubles order as their bits do, negative ones the other way round.
    let sortable = if floor.is_sign_negative() {
        !bits
    } else {
        bits | 1 << 63
    };
    [&[NUMBER][..], &sortable.to_be_bytes(), &rest.to_be_bytes()].concat()
}

fn encode_string(text: &str, columns: usize) -> Encoded {
    let (mut bytes, cut) = escape(text, columns);
    if !cut {
        bytes.extend(STRING_END);
        return Encoded {
            ordered: bytes.len(),
            bytes,
        };
    }
    bytes.extend(STRING_CUT);
    let ordered = bytes.len();
    bytes.extend(&Sha256::digest(text)[..HASH_BYTES]);
    Encoded { bytes, ordered }
}

/// The tag and as much of the text as fits, and whether that is less than all of it.
fn escape(text: &str, columns: usize) -> (Vec<u8>, bool) {
    let overhead = 1 + STRING_CUT.len() + HASH_BYTES;
    let most = 1 + (ENTRY_BYTES_MAX / columns - overhead).min(STRING_BYTES_MAX);
    let mut bytes = vec![STRING];
    for &byte in text.as_bytes() {
        let escaped: &[u8] = if byte == 0 { &[0x00, 0xff] } else { &[byte] };
        if bytes.len() + escaped.len() > most {
            return (bytes, true);
        }
        bytes.extend(escaped);
    }
    (bytes, false)
}

/// Entries from `start` up to, and without, `end`.
///
/// ```
/// use serde_json::json;
/// use threads_db::index::key::{Constraint, encode_values, ranges};
///
/// let found = ranges(1, &[Constraint::Eq(&json!(7))]).unwrap();
/// assert!(found[0].contains(&encode_values(&[&json!(7.0)]).unwrap()));
/// assert!(!found[0].contains(&encode_values(&[&json!(8)]).unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRange {
    /// The first entry that may be in it.
    pub start: Vec<u8>,
    /// The first entry after it.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// Whether an entry, with or without something behind it, is in the range.
    ///
    /// ```
    /// use threads_db::index::key::KeyRange;
    /// assert!(KeyRange { start: vec![1], end: vec![2] }.contains(&[1, 9]));
    /// ```
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && key < self.end.as_slice()
    }

    /// The same entries where each has `prefix` before it: the bounds of a scan.
    ///
    /// ```
    /// use threads_db::index::key::KeyRange;
    /// let range = KeyRange { start: vec![1], end: vec![2] };
    /// assert_eq!(range.under(b"x"), KeyRange { start: b"x\x01".to_vec(), end: b"x\x02".to_vec() });
    /// ```
    #[must_use]
    pub fn under(&self, prefix: &[u8]) -> Self {
        Self {
            start: [prefix, &self.start].concat(),
            end: [prefix, &self.end].concat(),
        }
    }

    /// The bounds, as stores take them.
    ///
    /// ```
    /// use std::ops::Bound;
    /// use threads_db::index::key::KeyRange;
    /// let range = KeyRange { start: vec![1], end: vec![2] };
    /// assert_eq!(range.bounds(), (Bound::Included(&[1][..]), Bound::Excluded(&[2][..])));
    /// ```
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (Bound::Included(&self.start), Bound::Excluded(&self.end))
    }

    fn of_prefix(prefix: &[u8]) -> Self {
        let (start, end) = prefix_range(prefix);
        // Every tag is below 0xff, so a prefix with a tag always has an end.
        Self {
            start,
            end: end.unwrap_or_default(),
        }
    }
}

/// What a query asks of one column.
///
/// ```
/// use threads_db::index::key::{Constraint, ranges};
/// assert!(ranges(1, &[Constraint::StartsWith("An")]).is_some());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint<'a> {
    /// A value, or element, that equals this.
    Eq(&'a Value),
    /// A value, or element, that equals one of these.
    In(&'a [Value]),
    /// A value, or element, of the type of the bounds and between them.
    Range(Bound<&'a Value>, Bound<&'a Value>),
    /// A string, or element, that begins so.
    StartsWith(&'a str),
}

/// The ranges that hold every entry of an index of `columns` columns whose first ones meet
/// `leading`; a range or a beginning may only be the last of them.
///
/// They are sorted and do not overlap. `None` when ranges cannot say it: an array or object among
/// the values, no constraint, a range without bounds, or more than [`RANGES_MAX`] ranges.
///
/// ```
/// use std::ops::Bound;
/// use serde_json::json;
/// use threads_db::index::key::{Constraint, encode_values, ranges};
///
/// let (low, high) = (json!(60), json!(66));
/// let ages = Constraint::Range(Bound::Included(&low), Bound::Excluded(&high));
/// let found = ranges(2, &[Constraint::Eq(&json!("NL")), ages]).unwrap();
/// let entry = |country, age| encode_values(&[&json!(country), &json!(age)]).unwrap();
/// assert!(found[0].contains(&entry("NL", 65.9)));
/// assert!(!found[0].contains(&entry("NL", 66.0)));
/// assert!(!found[0].contains(&entry("BE", 65.0)));
/// ```
pub fn ranges(columns: usize, leading: &[Constraint<'_>]) -> Option<Vec<KeyRange>> {
    check_columns(columns).ok()?;
    let (last, points) = leading.split_last()?;
    if leading.len() > columns {
        return None;
    }
    let mut prefixes = vec![Vec::new()];
    for constraint in points {
        let values = match constraint {
            Constraint::Eq(value) => std::slice::from_ref(*value),
            Constraint::In(values) => values,
            Constraint::Range(..) | Constraint::StartsWith(_) => return None,
        };
        let next = column_points(values, columns)?;
        if prefixes.len() * next.len() > RANGES_MAX {
            return None;
        }
        prefixes = join(&prefixes, &next);
    }
    let column = match last {
        Constraint::Eq(value) => point_ranges(std::slice::from_ref(*value), columns)?,
        Constraint::In(values) => point_ranges(values, columns)?,
        Constraint::Range(low, high) => vec![range(*low, *high, columns)?],
        Constraint::StartsWith(prefix) => vec![beginning(prefix, columns)],
    };
    if prefixes.len() * column.len() > RANGES_MAX {
        return None;
    }
    let under = prefixes
        .iter()
        .flat_map(|prefix| column.iter().map(|range| range.under(prefix)));
    Some(merge(under.collect()))
}

fn join(prefixes: &[Vec<u8>], next: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let with = |prefix: &Vec<u8>, next: &Vec<u8>| [prefix.as_slice(), next].concat();
    prefixes
        .iter()
        .flat_map(|p| next.iter().map(move |n| with(p, n)))
        .collect()
}

fn column_points(values: &[Value], columns: usize) -> Option<Vec<Vec<u8>>> {
    values
        .iter()
        .map(|value| encode(value, columns).map(|encoded| encoded.bytes))
        .collect()
}

fn point_ranges(values: &[Value], columns: usize) -> Option<Vec<KeyRange>> {
    let points = column_points(values, columns)?;
    Some(
        points
            .iter()
            .map(|point| KeyRange::of_prefix(point))
            .collect(),
    )
}

fn range(low: Bound<&Value>, high: Bound<&Value>, columns: usize) -> Option<KeyRange> {
    let value = |bound| match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    };
    let sample = value(low).or(value(high))?;
    let mut range = kind_range(sample)?;
    let bounds = [value(low), value(high)];
    if bounds
        .iter()
        .flatten()
        .any(|value| kind(value) != kind(sample))
    {
        // Nothing is of two types.
        return Some(KeyRange {
            end: range.start.clone(),
            start: range.start,
        });
    }
    if let Some(value) = bounds[0] {
        let (edge, exact) = edge(value, columns)?;
        let after = exact && matches!(low, Bound::Excluded(_));
        range.start = if after { edge.end } else { edge.start };
    }
    if let Some(value) = bounds[1] {
        let (edge, exact) = edge(value, columns)?;
        let before = exact && matches!(high, Bound::Excluded(_));
        range.end = if before { edge.start } else { edge.end };
    }
    Some(range)
}

/// The entries that may equal a bound, and whether none of them is anything else.
fn edge(value: &Value, columns: usize) -> Option<(KeyRange, bool)> {
    let encoded = encode(value, columns)?;
    let exact = encoded.ordered == encoded.bytes.len();
    Some((
        KeyRange::of_prefix(&encoded.bytes[..encoded.ordered]),
        exact,
    ))
}

/// All values of a type.
fn kind_range(value: &Value) -> Option<KeyRange> {
    let (first, last) = match value {
        Value::Null => (NULL, NULL),
        Value::Bool(_) => (FALSE, TRUE),
        Value::Number(_) => (NUMBER, NUMBER),
        Value::String(_) => (STRING, STRING),
        Value::Array(_) | Value::Object(_) => return None,
    };
    Some(KeyRange {
        start: vec![first],
        end: vec![last + 1],
    })
}

/// As much of a long beginning as entries keep.
fn beginning(prefix: &str, columns: usize) -> KeyRange {
    KeyRange::of_prefix(&escape(prefix, columns).0)
}

/// The same entries in sorted ranges that neither overlap nor touch; empty ranges vanish.
pub(crate) fn merge(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_unstable();
    let mut merged: Vec<KeyRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = range.end.max(last.end.clone()),
            _ => merged.push(range),
        }
    }
    merged
}
