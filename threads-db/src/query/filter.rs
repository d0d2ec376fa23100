//! Filters: conditions on the fields of an entity, and how they are put together.

use std::cmp::Ordering;
use std::fmt;
use std::ops;

use serde_json::Value;
use threads_core::{Error, FieldPath, Result};

use super::{DEPTH_MAX, IN_MAX, Matcher, NODES_MAX};

/// How a field is compared with a value.
///
/// ```
/// assert_eq!(threads_db::query::Op::Ge.to_string(), ">=");
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`, equal.
    Eq,
    /// `!=`, present and not equal.
    Ne,
    /// `<`, less.
    Lt,
    /// `<=`, less or equal.
    Le,
    /// `>`, greater.
    Gt,
    /// `>=`, greater or equal.
    Ge,
}

impl Op {
    pub(super) fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

/// A condition that an entity meets or does not. The [module](super) says what each means.
///
/// Made by [`field`], by [`Filter::parse`], or from its variants. Its `Display` is the canonical
/// text, which parses back to the same filter. (A filter put together by hand from its variants
/// may first be simplified: an `And` of one condition is that condition.)
///
/// ```
/// use serde_json::json;
/// use threads_db::query::{Filter, field};
///
/// let built = field("age").ge(60).and(field("age").lt(66)).or(field("age").eq(67));
/// let parsed = Filter::parse("age >= 60 and age < 66 or age == 67").unwrap();
/// assert_eq!(built, parsed);
/// assert_eq!(built.to_string(), "age >= 60 and age < 66 or age = 67");
/// assert!(built.matches(&json!({"_id": "a", "age": 65})));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All hold. Of none: every entity, written `true`.
    And(Vec<Self>),
    /// At least one holds. Of none: no entity, written `false`.
    Or(Vec<Self>),
    /// Does not hold.
    Not(Box<Self>),
    /// The field compares so with the value.
    Compare {
        /// Where the field is.
        path: FieldPath,
        /// How it compares.
        op: Op,
        /// With what.
        value: Value,
    },
    /// The field equals one of the values.
    In {
        /// Where the field is.
        path: FieldPath,
        /// The values.
        values: Vec<Value>,
    },
    /// The field is present and equals none of the values.
    NotIn {
        /// Where the field is.
        path: FieldPath,
        /// The values.
        values: Vec<Value>,
    },
    /// The field is an array with this element, or a string with this string inside.
    Contains {
        /// Where the field is.
        path: FieldPath,
        /// The element or the part.
        value: Value,
    },
    /// The field is a string that begins so.
    StartsWith {
        /// Where the field is.
        path: FieldPath,
        /// The beginning.
        prefix: String,
    },
    /// The field is present, be it `null`.
    Exists {
        /// Where the field is.
        path: FieldPath,
    },
    /// A condition that could not be built, and why. Running the query reports it.
    Invalid(String),
}

impl Filter {
    /// The filter that holds when all of `filters` do.
    ///
    /// ```
    /// use threads_db::query::{Filter, field};
    /// let filter = Filter::all([field("a").eq(1), field("b").exists()]);
    /// assert_eq!(filter.to_string(), "a = 1 and b exists");
    /// ```
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for filter in filters {
            match filter {
                Self::And(inner) => parts.extend(inner),
                other => parts.push(other),
            }
        }
        only(&mut parts).unwrap_or(Self::And(parts))
    }

    /// The filter that holds when at least one of `filters` does.
    ///
    /// ```
    /// use threads_db::query::{Filter, field};
    /// let filter = Filter::any([field("a").eq(1), field("b").exists()]);
    /// assert_eq!(filter.to_string(), "a = 1 or b exists");
    /// ```
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for filter in filters {
            match filter {
                Self::Or(inner) => parts.extend(inner),
                other => parts.push(other),
            }
        }
        only(&mut parts).unwrap_or(Self::Or(parts))
    }

    /// Both hold.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert_eq!(field("a").eq(1).and(field("b").eq(2)).to_string(), "a = 1 and b = 2");
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::all([self, other])
    }

    /// At least one of both holds.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert_eq!(field("a").eq(1).or(field("b").eq(2)).to_string(), "a = 1 or b = 2");
    /// ```
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::any([self, other])
    }

    /// Whether an entity meets the condition; `false` if the filter is not valid.
    ///
    /// For many entities make a [`Matcher`] once.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert!(field("tags").eq("new").matches(&serde_json::json!({"tags": ["new", "red"]})));
    /// ```
    pub fn matches(&self, entity: &Value) -> bool {
        Matcher::new(self).is_ok_and(|matcher| matcher.matches(entity))
    }

    /// Refuses a filter that could not be built, or is larger than the limits of the module.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid).
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert!(field("a").eq(1).check().is_ok());
    /// assert!(field("a..b").eq(1).check().is_err());
    /// ```
    pub fn check(&self) -> Result<()> {
        let mut nodes = 0;
        self.check_at(0, &mut nodes)
    }

    /// `level` counts the parentheses and `not`s that the text form has around this part.
    fn check_at(&self, level: usize, nodes: &mut usize) -> Result<()> {
        *nodes += 1;
        if *nodes > NODES_MAX {
            return Err(
                Error::invalid("a query has too many conditions: use 'in', or split it")
                    .with("most", NODES_MAX),
            );
        }
        check_level(level)?;
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().try_for_each(|part| {
                let bare = matches!((self, part), (Self::Or(_), Self::And(_)));
                part.check_at(level + usize::from(part.is_compound() && !bare), nodes)
            }),
            // Written `not exists`, without a level of its own.
            Self::Not(inner) if matches!(**inner, Self::Exists { .. }) => {
                inner.check_at(level, nodes)
            }
            Self::Not(inner) => inner.check_at(level + 1 + usize::from(inner.is_compound()), nodes),
            Self::Compare { value, .. } | Self::Contains { value, .. } => check_value(value, level),
            Self::In { values, .. } | Self::NotIn { values, .. } if values.len() > IN_MAX => {
                Err(Error::invalid("a list after 'in' is too long").with("most", IN_MAX))
            }
            Self::In { values, .. } | Self::NotIn { values, .. } => values
                .iter()
                .try_for_each(|value| check_value(value, level)),
            Self::StartsWith { .. } | Self::Exists { .. } => Ok(()),
            Self::Invalid(message) => Err(Error::invalid(message.clone())),
        }
    }

    /// Whether it has parts side by side, and so may need parentheses.
    pub(super) fn is_compound(&self) -> bool {
        matches!(self, Self::And(parts) | Self::Or(parts) if !parts.is_empty())
    }

    /// The paths of every condition, in the order of the text.
    ///
    /// ```
    /// # use threads_db::query::Filter;
    /// let filter = Filter::parse("a.b = 1 or not (c exists)").unwrap();
    /// let paths: Vec<String> = filter.paths().iter().map(ToString::to_string).collect();
    /// assert_eq!(paths, ["a.b", "c"]);
    /// ```
    pub fn paths(&self) -> Vec<&FieldPath> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::paths).collect(),
            Self::Not(inner) => inner.paths(),
            Self::Compare { path, .. }
            | Self::In { path, .. }
            | Self::NotIn { path, .. }
            | Self::Contains { path, .. }
            | Self::StartsWith { path, .. }
            | Self::Exists { path } => vec![path],
            Self::Invalid(_) => Vec::new(),
        }
    }
}

/// The only part, if there is exactly one.
fn only(parts: &mut Vec<Filter>) -> Option<Filter> {
    if parts.len() == 1 { parts.pop() } else { None }
}

fn check_level(level: usize) -> Result<()> {
    if level > DEPTH_MAX {
        return Err(Error::invalid("a query nests too deep").with("most", DEPTH_MAX));
    }
    Ok(())
}

fn check_value(value: &Value, level: usize) -> Result<()> {
    match value {
        Value::Array(items) => {
            check_level(level + 1)?;
            items
                .iter()
                .try_for_each(|item| check_value(item, level + 1))
        }
        Value::Object(members) => {
            check_level(level + 1)?;
            members
                .values()
                .try_for_each(|member| check_value(member, level + 1))
        }
        _ => Ok(()),
    }
}

/// `!filter`: the condition does not hold.
///
/// ```
/// # use threads_db::query::field;
/// assert_eq!((!field("a").eq(1)).to_string(), "not a = 1");
/// ```
impl ops::Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// The beginning of a condition: a field, by its [`FieldPath`] or the text of one.
///
/// Never fails here: a path that does not parse is reported when the query is used.
///
/// ```
/// use threads_db::query::{Query, field};
///
/// let query = Query::new().filter(field("address.city").eq("Paris"));
/// assert!(query.check().is_ok());
/// let query = Query::new().filter(field("address..city").eq("Paris"));
/// assert!(query.check().unwrap_err().to_string().contains("address..city"));
/// ```
pub fn field(path: impl fmt::Display) -> Field {
    Field(
        path.to_string()
            .parse()
            .map_err(|error: Error| error.to_string()),
    )
}

/// A field on its way to a [`Filter`]; made by [`field`].
///
/// Values are anything that is a JSON value: numbers, strings, booleans, `null` (as `()` or
/// [`Value::Null`]), lists. A float that is not finite is `null`, as everywhere in JSON.
///
/// ```
/// # use threads_db::query::field;
/// assert_eq!(field("name").starts_with("A").to_string(), "name starts_with 'A'");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(Result<FieldPath, String>);

macro_rules! comparisons {
    ($($name:ident $op:ident $text:literal;)*) => {
        $(
            #[doc = concat!("`", $text, "`: see [`Op::", stringify!($op), "`].")]
            ///
            /// ```
            /// # use threads_db::query::field;
            #[doc = concat!("assert_eq!(field(\"a\").", stringify!($name), "(1).to_string(), \"", $text, " 1\");")]
            /// ```
            pub fn $name(self, value: impl Into<Value>) -> Filter {
                let value = value.into();
                self.condition(|path| Filter::Compare { path, op: Op::$op, value })
            }
        )*
    };
}

impl Field {
    comparisons! {
        eq Eq "a =";
        ne Ne "a !=";
        lt Lt "a <";
        le Le "a <=";
        gt Gt "a >";
        ge Ge "a >=";
    }

    fn condition(self, make: impl FnOnce(FieldPath) -> Filter) -> Filter {
        self.0.map_or_else(Filter::Invalid, make)
    }

    /// The field equals one of the values.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert_eq!(field("a").is_in([1, 2]).to_string(), "a in [1, 2]");
    /// ```
    pub fn is_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Filter {
        let values = values.into_iter().map(Into::into).collect();
        self.condition(|path| Filter::In { path, values })
    }

    /// The field is present and equals none of the values.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert_eq!(field("a").not_in(["x"]).to_string(), "a not in ['x']");
    /// ```
    pub fn not_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Filter {
        let values = values.into_iter().map(Into::into).collect();
        self.condition(|path| Filter::NotIn { path, values })
    }

    /// The field is an array with this element, or a string with this string inside.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert_eq!(field("tags").contains("new").to_string(), "tags contains 'new'");
    /// ```
    pub fn contains(self, value: impl Into<Value>) -> Filter {
        let value = value.into();
        self.condition(|path| Filter::Contains { path, value })
    }

    /// The field is a string that begins with `prefix`.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert!(field("name").starts_with("An").matches(&serde_json::json!({"name": "Ann"})));
    /// ```
    pub fn starts_with(self, prefix: impl Into<String>) -> Filter {
        let prefix = prefix.into();
        self.condition(|path| Filter::StartsWith { path, prefix })
    }

    /// The field is present, be it `null`.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert!(field("a").exists().matches(&serde_json::json!({"a": null})));
    /// ```
    pub fn exists(self) -> Filter {
        self.condition(|path| Filter::Exists { path })
    }

    /// The field is missing.
    ///
    /// ```
    /// # use threads_db::query::field;
    /// assert_eq!(field("a").not_exists().to_string(), "a not exists");
    /// ```
    pub fn not_exists(self) -> Filter {
        match self.exists() {
            invalid @ Filter::Invalid(_) => invalid,
            exists => !exists,
        }
    }
}
