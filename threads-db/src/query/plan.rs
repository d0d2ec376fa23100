//! How to find the rows of a query: by id, by index, or by looking at all of them.
//!
//! A plan finds every entity that meets the filter, and usually some that do not: whoever runs it
//! checks each row against the filter, as [`page`](super::page()) does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::slice;

use serde_json::Value;
use threads_core::FieldPath;

use super::filter::{Filter, Op};
use super::ids::IdRange;
use crate::index::key::{Constraint, KeyRange, RANGES_MAX, merge, ranges};

/// What the planner knows of an index.
///
/// ```
/// use threads_db::query::IndexInfo;
///
/// let index = IndexInfo::new("age", ["age".parse().unwrap()]).single_valued(true);
/// assert!(!index.unique);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// Its columns, the first one first.
    pub paths: Vec<FieldPath>,
    /// Whether two entities may not have the same values.
    pub unique: bool,
    /// Whether no entity has more than one entry in it, now. Otherwise two conditions on a field
    /// may be met by two elements of an array, and only one of them can narrow the search.
    pub single_valued: bool,
}

impl IndexInfo {
    /// An index that is not unique and may have several entries of one entity.
    ///
    /// ```
    /// # use threads_db::query::IndexInfo;
    /// assert!(!IndexInfo::new("tags", ["tags".parse().unwrap()]).single_valued);
    /// ```
    pub fn new(name: impl Into<String>, paths: impl IntoIterator<Item = FieldPath>) -> Self {
        let paths = paths.into_iter().collect();
        Self {
            name: name.into(),
            paths,
            unique: false,
            single_valued: false,
        }
    }

    /// The same index, unique or not.
    ///
    /// ```
    /// # use threads_db::query::IndexInfo;
    /// assert!(IndexInfo::new("email", ["email".parse().unwrap()]).unique(true).unique);
    /// ```
    #[must_use]
    pub fn unique(mut self, unique: bool) -> Self {
        self.unique = unique;
        self
    }

    /// The same index, with at most one entry of each entity or not.
    ///
    /// ```
    /// # use threads_db::query::IndexInfo;
    /// assert!(IndexInfo::new("age", ["age".parse().unwrap()]).single_valued(true).single_valued);
    /// ```
    #[must_use]
    pub fn single_valued(mut self, single_valued: bool) -> Self {
        self.single_valued = single_valued;
        self
    }
}

/// Where to look for the rows of a query.
///
/// ```
/// use threads_db::query::{Filter, IndexInfo, Plan};
///
/// let age = IndexInfo::new("age", ["age".parse().unwrap()]);
/// let filter = Filter::parse("age = 7 and name exists or age > 70").unwrap();
/// let plan = Plan::choose(Some(&filter), &[age]);
/// assert!(matches!(&plan, Plan::Index { name, ranges } if name == "age" && ranges.len() == 2));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// These ids, in order, each once. None: nothing can meet the filter.
    ById(Vec<String>),
    /// These ranges of an index, in order and apart; an entity may be found in several.
    Index {
        /// The name of the index.
        name: String,
        /// The ranges.
        ranges: Vec<KeyRange>,
    },
    /// What any of these finds: ids at most once, each index at most once. An entity may be
    /// found by several.
    Union(Vec<Self>),
    /// Every entity of a range of ids.
    IdRange(IdRange),
    /// Every entity.
    Scan,
}

impl Plan {
    /// The best way to find what meets `filter`.
    ///
    /// By id before index before a range of ids before looking at everything. Of several indexes, a unique one whose
    /// columns are all given is best, then the one with most leading columns given, then one with
    /// a range after them.
    ///
    /// ```
    /// use threads_db::query::{Plan, field};
    /// let filter = field("_id").eq("a").and(field("age").gt(3));
    /// assert_eq!(Plan::choose(Some(&filter), &[]), Plan::ById(vec!["a".into()]));
    /// ```
    pub fn choose(filter: Option<&Filter>, indexes: &[IndexInfo]) -> Self {
        let Some(filter) = filter.filter(|filter| filter.check().is_ok()) else {
            return Self::Scan;
        };
        match access_to(filter, indexes) {
            Some(access) => access.into_plan(),
            None => IdRange::of(filter).map_or(Self::Scan, Self::IdRange),
        }
    }

    /// Whether it looks at entities one by one in the order of their ids.
    pub(crate) fn is_scan(&self) -> bool {
        matches!(self, Self::IdRange(_) | Self::Scan)
    }
}

/// A way to find entities that is not looking at all of them.
struct Access {
    ids: BTreeSet<String>,
    ranges: BTreeMap<String, Vec<KeyRange>>,
    cost: Cost,
}

/// Smaller is better: first by kind and columns, then by how many columns the index has.
type Cost = (u32, usize);

const COST_ID: Cost = (0, 0);
const COST_UNIQUE: u32 = 1;
const COST_INDEX: u32 = 1_000;

impl Access {
    fn to_ids(ids: BTreeSet<String>) -> Self {
        Self {
            ids,
            ranges: BTreeMap::new(),
            cost: COST_ID,
        }
    }

    /// What this or `other` finds, if that is still worth it.
    fn union(mut self, other: Self) -> Option<Self> {
        self.ids.extend(other.ids);
        for (name, ranges) in other.ranges {
            self.ranges.entry(name).or_default().extend(ranges);
        }
        self.cost = self.cost.max(other.cost);
        let ranges: usize = self.ranges.values().map(Vec::len).sum();
        (self.ids.len() + ranges <= RANGES_MAX).then_some(self)
    }

    fn into_plan(self) -> Plan {
        let index = |(name, ranges)| Plan::Index {
            name,
            ranges: merge(ranges),
        };
        let mut parts: Vec<Plan> = self.ranges.into_iter().map(index).collect();
        if !self.ids.is_empty() || parts.is_empty() {
            parts.insert(0, Plan::ById(self.ids.into_iter().collect()));
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => Plan::Union(parts.into_iter().chain(last).collect()),
        }
    }
}

fn access_to(filter: &Filter, indexes: &[IndexInfo]) -> Option<Access> {
    match filter {
        Filter::And(parts) => access_to_all(parts, indexes),
        Filter::Or(parts) => parts
            .iter()
            .try_fold(Access::to_ids(BTreeSet::new()), |access, part| {
                access.union(access_to(part, indexes)?)
            }),
        // What does not hold of an entity says nothing of where its entries are.
        Filter::Not(_) | Filter::Invalid(_) => None,
        leaf => access_to_all(slice::from_ref(leaf), indexes),
    }
}

/// The best access to what meets all of `parts`: whatever finds what meets some of them will do.
fn access_to_all(parts: &[Filter], indexes: &[IndexInfo]) -> Option<Access> {
    let by_id = parts
        .iter()
        .filter_map(ids_of)
        .min_by_key(BTreeSet::len)
        .map(Access::to_ids);
    let by_index = indexes.iter().filter_map(|index| access_by(index, parts));
    let compound = parts
        .iter()
        .filter(|part| part.is_compound() || is_never(part));
    let by_part = compound.filter_map(|part| access_to(part, indexes));
    by_id
        .into_iter()
        .chain(by_index)
        .chain(by_part)
        .min_by_key(|access| access.cost)
}

fn is_never(filter: &Filter) -> bool {
    matches!(filter, Filter::Or(parts) if parts.is_empty())
}

/// The ids that a condition names. Every entity has one, a string; so other values find nothing.
fn ids_of(leaf: &Filter) -> Option<BTreeSet<String>> {
    let (path, values) = match leaf {
        Filter::Compare {
            path,
            op: Op::Eq,
            value,
        } => (path, slice::from_ref(value)),
        Filter::In { path, values } => (path, values.as_slice()),
        _ => return None,
    };
    (path.segments() == ["_id"]).then(|| {
        values
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    })
}

/// The access by the leading columns of `index` that `parts` say something about.
fn access_by(index: &IndexInfo, parts: &[Filter]) -> Option<Access> {
    let mut constraints = Vec::new();
    for path in &index.paths {
        let conditions: Vec<Condition<'_>> = parts
            .iter()
            .filter_map(|part| Condition::on(path, part))
            .collect();
        match narrowest(&conditions, index.single_valued) {
            Some(constraint @ (Constraint::Eq(_) | Constraint::In(_))) => {
                constraints.push(constraint);
            }
            Some(constraint) => {
                constraints.push(constraint);
                break;
            }
            None => break,
        }
    }
    // Fewer columns find more; that is right too, when all of them make too many ranges.
    while !constraints.is_empty() {
        if let Some(ranges) = ranges(index.paths.len(), &constraints) {
            let cost = cost(index, &constraints);
            let ranges = BTreeMap::from([(index.name.clone(), ranges)]);
            return Some(Access {
                ids: BTreeSet::new(),
                ranges,
                cost,
            });
        }
        constraints.pop();
    }
    None
}

fn cost(index: &IndexInfo, constraints: &[Constraint<'_>]) -> Cost {
    let columns = index.paths.len();
    let equal = constraints
        .iter()
        .filter(|c| matches!(c, Constraint::Eq(_)))
        .count();
    if index.unique && equal == columns {
        return (COST_UNIQUE, columns);
    }
    let worth = |constraint: &Constraint<'_>| match constraint {
        Constraint::Eq(_) => 10,
        Constraint::In(_) => 8,
        Constraint::Range(Bound::Unbounded, _) | Constraint::Range(_, Bound::Unbounded) => 2,
        Constraint::Range(..) | Constraint::StartsWith(_) => 4,
    };
    (
        COST_INDEX - constraints.iter().map(worth).sum::<u32>(),
        columns,
    )
}

/// A condition that entries can show: each entity that meets it has an entry that does.
enum Condition<'f> {
    Whole(Constraint<'f>),
    Low(Bound<&'f Value>),
    High(Bound<&'f Value>),
}

impl<'f> Condition<'f> {
    fn on(column: &FieldPath, filter: &'f Filter) -> Option<Self> {
        let scalar = |value: &Value| !value.is_array() && !value.is_object();
        match filter {
            Filter::Compare { path, op, value } if path == column && scalar(value) => match op {
                Op::Eq => Some(Self::Whole(Constraint::Eq(value))),
                Op::Gt => Some(Self::Low(Bound::Excluded(value))),
                Op::Ge => Some(Self::Low(Bound::Included(value))),
                Op::Lt => Some(Self::High(Bound::Excluded(value))),
                Op::Le => Some(Self::High(Bound::Included(value))),
                Op::Ne => None,
            },
            Filter::In { path, values } if path == column && values.iter().all(scalar) => {
                Some(Self::Whole(Constraint::In(values)))
            }
            // A text may also be part of a text, which no entry shows.
            Filter::Contains { path, value }
                if path == column && scalar(value) && !value.is_string() =>
            {
                Some(Self::Whole(Constraint::Eq(value)))
            }
            Filter::StartsWith { path, prefix } if path == column => {
                Some(Self::Whole(Constraint::StartsWith(prefix)))
            }
            _ => None,
        }
    }
}

/// One constraint that every entity meeting all `conditions` has an entry for.
fn narrowest<'f>(conditions: &[Condition<'f>], single_valued: bool) -> Option<Constraint<'f>> {
    let whole = conditions.iter().filter_map(|condition| match condition {
        Condition::Whole(constraint) => Some(constraint),
        _ => None,
    });
    let rank = |constraint: &&Constraint<'_>| match constraint {
        Constraint::Eq(_) => 0,
        Constraint::In(values) => values.len(),
        Constraint::Range(..) | Constraint::StartsWith(_) => usize::MAX,
    };
    if let Some(constraint) = whole.min_by_key(rank) {
        return Some(constraint.clone());
    }
    let low = conditions.iter().find_map(|condition| match condition {
        Condition::Low(bound) => Some(*bound),
        _ => None,
    });
    let high = conditions.iter().find_map(|condition| match condition {
        Condition::High(bound) => Some(*bound),
        _ => None,
    });
    match (low, high) {
        (None, None) => None,
        (Some(low), Some(high)) if single_valued => Some(Constraint::Range(low, high)),
        (Some(low), _) => Some(Constraint::Range(low, Bound::Unbounded)),
        (None, Some(high)) => Some(Constraint::Range(Bound::Unbounded, high)),
    }
}
