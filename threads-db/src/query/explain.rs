//! A plan for people and programs to read.

use std::fmt;

use serde::Serialize;

use super::filter::Filter;
use super::plan::Plan;

/// A plan, step by step.
///
/// ```
/// use threads_db::query::{Plan, field};
///
/// let filter = field("age").gt(3);
/// let explained = Plan::Scan.explain(Some(&filter));
/// assert_eq!(explained.to_string(), "scan, then filter: age > 3");
/// let json = serde_json::to_value(&explained).unwrap();
/// assert_eq!(json, serde_json::json!({"steps": [{"by": "scan"}], "filter": "age > 3"}));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explain {
    /// Where rows are looked for; what any of them finds counts once.
    pub steps: Vec<Step>,
    /// The filter that every row found is checked against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// One place where rows are looked for.
///
/// ```
/// use threads_db::query::Step;
/// let step = Step::Index { name: "age".into(), ranges: 2 };
/// assert_eq!(step.to_string(), "index age: 2 ranges");
/// assert_eq!(serde_json::to_value(step).unwrap()["by"], "index");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum Step {
    /// Entities by their ids.
    Id {
        /// How many.
        ids: usize,
    },
    /// Ranges of an index.
    Index {
        /// Its name.
        name: String,
        /// How many ranges of it.
        ranges: usize,
    },
    /// Every entity of a range of ids.
    Range,
    /// Every entity.
    Scan,
}

impl Plan {
    /// The plan in words and numbers.
    ///
    /// ```
    /// use threads_db::query::{Filter, IndexInfo, Plan};
    ///
    /// let age = IndexInfo::new("age", ["age".parse().unwrap()]);
    /// let filter = Filter::parse("age = 7 and name exists").unwrap();
    /// let plan = Plan::choose(Some(&filter), &[age]);
    /// let explained = plan.explain(Some(&filter)).to_string();
    /// assert_eq!(explained, "index age: 1 range, then filter: age = 7 and name exists");
    /// ```
    pub fn explain(&self, filter: Option<&Filter>) -> Explain {
        let steps = match self {
            Self::Union(parts) => parts.iter().map(Step::of).collect(),
            plan => vec![Step::of(plan)],
        };
        let filter = filter.map(ToString::to_string);
        Explain { steps, filter }
    }
}

impl Step {
    fn of(plan: &Plan) -> Self {
        match plan {
            Plan::ById(ids) => Self::Id { ids: ids.len() },
            Plan::Index { name, ranges } => Self::Index {
                name: name.clone(),
                ranges: ranges.len(),
            },
            Plan::IdRange(_) => Self::Range,
            // A union has no unions in it, and with a scan it would be one.
            Plan::Union(_) | Plan::Scan => Self::Scan,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: &usize| if *count == 1 { "" } else { "s" };
        match self {
            Self::Id { ids } => write!(f, "id: {ids} id{}", plural(ids)),
            Self::Index { name, ranges } => {
                write!(f, "index {name}: {ranges} range{}", plural(ranges))
            }
            Self::Range => f.write_str("id: 1 range"),
            Self::Scan => f.write_str("scan"),
        }
    }
}

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            write!(f, "{}{step}", if i == 0 { "" } else { " + " })?;
        }
        match &self.filter {
            Some(filter) => write!(f, ", then filter: {filter}"),
            None => Ok(()),
        }
    }
}
