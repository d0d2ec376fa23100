//! Whether an entity meets a filter.

use std::fmt;

use serde_json::Value;
use threads_core::Result;

use super::filter::{Filter, Op};
use super::order::{compare, kind};
use super::walk::{any_at, any_in_text};

/// A filter made ready to be asked many times.
///
/// ```
/// use serde_json::json;
/// use threads_db::query::{Filter, Matcher};
///
/// let filter = Filter::parse("tags = 'new' and price < 10").unwrap();
/// let matcher = Matcher::new(&filter).unwrap();
/// assert!(matcher.matches(&json!({"tags": ["red", "new"], "price": 9.5})));
/// assert!(!matcher.matches(&json!({"tags": "new", "price": "9.5"})));
/// ```
pub struct Matcher<'f> {
    filter: &'f Filter,
    node: Node<'f>,
}

enum Node<'f> {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Leaf(&'f [String], Test<'f>),
}

enum Test<'f> {
    Compare(Op, &'f Value),
    NotEqual(&'f Value),
    /// The values in their order, and whether one of them has to be found.
    Among(Vec<&'f Value>, bool),
    Contains(&'f Value),
    StartsWith(&'f str),
    Exists,
}

impl<'f> Matcher<'f> {
    /// Makes a filter ready.
    ///
    /// # Errors
    ///
    /// Those of [`Filter::check`].
    ///
    /// ```
    /// use threads_db::query::{Matcher, field};
    /// assert!(Matcher::new(&field("").exists()).is_err());
    /// ```
    pub fn new(filter: &'f Filter) -> Result<Self> {
        filter.check()?;
        Ok(Self {
            filter,
            node: Node::new(filter),
        })
    }

    /// Whether `entity` meets the filter.
    ///
    /// ```
    /// use threads_db::query::{Matcher, field};
    /// let filter = field("a").gt(1);
    /// assert!(!Matcher::new(&filter).unwrap().matches(&serde_json::json!({"b": 2})));
    /// ```
    pub fn matches(&self, entity: &Value) -> bool {
        self.node
            .matches(&|path, visit| any_at(entity, path, visit))
    }

    /// Whether the entity of this JSON text meets the filter. Reads what the filter looks at.
    pub(crate) fn matches_text(&self, entity: &[u8]) -> bool {
        self.node
            .matches(&|path, visit| any_in_text(entity, path, visit))
    }
}

/// Calls its visitor with every value at a path until that says `true`; whether it did.
type AnyAt<'a> = dyn Fn(&[String], &mut dyn FnMut(&Value) -> bool) -> bool + 'a;

/// Shows the filter it was made from.
impl fmt::Debug for Matcher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({})", self.filter)
    }
}

impl<'f> Node<'f> {
    fn new(filter: &'f Filter) -> Self {
        let among = |values: &'f [Value], wanted| {
            let mut values: Vec<_> = values.iter().collect();
            values.sort_unstable_by(|a, b| compare(a, b));
            Test::Among(values, wanted)
        };
        let (path, test) = match filter {
            Filter::And(parts) => return Self::All(parts.iter().map(Self::new).collect()),
            Filter::Or(parts) => return Self::Any(parts.iter().map(Self::new).collect()),
            Filter::Not(inner) => return Self::Not(Box::new(Self::new(inner))),
            // The check before has refused it; nothing matches what cannot be said.
            Filter::Invalid(_) => return Self::Any(Vec::new()),
            Filter::Compare {
                path,
                op: Op::Ne,
                value,
            } => (path, Test::NotEqual(value)),
            Filter::Compare { path, op, value } => (path, Test::Compare(*op, value)),
            Filter::In { path, values } => (path, among(values, true)),
            Filter::NotIn { path, values } => (path, among(values, false)),
            Filter::Contains { path, value } => (path, Test::Contains(value)),
            Filter::StartsWith { path, prefix } => (path, Test::StartsWith(prefix)),
            Filter::Exists { path } => (path, Test::Exists),
        };
        Self::Leaf(path.segments(), test)
    }

    fn matches(&self, any_at: &AnyAt<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(any_at)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(any_at)),
            Self::Not(inner) => !inner.matches(any_at),
            Self::Leaf(path, test) => test.matches(any_at, path),
        }
    }
}

impl Test<'_> {
    fn matches(&self, any_at: &AnyAt<'_>, path: &[String]) -> bool {
        let mut present = false;
        let found = any_at(path, &mut |value| {
            present = true;
            self.finds(value)
        });
        let negative = matches!(self, Self::NotEqual(_) | Self::Among(_, false));
        if negative { present && !found } else { found }
    }

    /// Whether the value at the path, or an element of it, is what the test looks for.
    fn finds(&self, value: &Value) -> bool {
        match self {
            Self::Compare(op, wanted) => compares(value, *op, wanted),
            Self::NotEqual(wanted) => compares(value, Op::Eq, wanted),
            Self::Among(wanted, _) => {
                let among = |v: &Value| wanted.binary_search_by(|w| compare(w, v)).is_ok();
                let mut items = value.as_array().into_iter().flatten();
                among(value) || items.any(|item| !item.is_array() && among(item))
            }
            Self::Contains(wanted) => match (value, wanted) {
                (Value::Array(items), _) => items.iter().any(|item| compare(item, wanted).is_eq()),
                (Value::String(text), Value::String(part)) => text.contains(part),
                _ => false,
            },
            Self::StartsWith(prefix) => {
                let begins = |v: &Value| v.as_str().is_some_and(|text| text.starts_with(prefix));
                begins(value)
                    || value
                        .as_array()
                        .is_some_and(|items| items.iter().any(begins))
            }
            Self::Exists => true,
        }
    }
}

/// A list is compared with a list; anything else with the elements of one.
fn compares(value: &Value, op: Op, wanted: &Value) -> bool {
    let test = |v: &Value| kind(v) == kind(wanted) && op.accepts(compare(v, wanted));
    match value {
        Value::Array(items) if !wanted.is_array() => items.iter().any(test),
        _ => test(value),
    }
}
