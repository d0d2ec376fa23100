//! Ranges of ids. Entities are kept in the order of their ids, so a part of them can be looked at
//! as if it were all.

use std::ops::Bound;

use serde_json::Value;
use threads_core::datastore::{KeyRange, prefix_range};

use super::filter::{Filter, Op};

/// The ids between two bounds, in the order of their bytes.
///
/// ```
/// use threads_db::query::{Filter, Plan};
///
/// let filter = Filter::parse("_id >= 'b' and _id starts_with 'ba' and n > 1").unwrap();
/// let Plan::IdRange(range) = Plan::choose(Some(&filter), &[]) else { panic!() };
/// assert!(range.contains("ban") && !range.contains("bb"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdRange {
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
}

impl IdRange {
    /// Every id.
    pub(crate) const ALL: Self = Self {
        low: Bound::Unbounded,
        high: Bound::Unbounded,
    };

    /// The ids of all that meets a filter, if it says anything of them.
    pub(super) fn of(filter: &Filter) -> Option<Self> {
        let mut range = Self::ALL;
        let parts = match filter {
            Filter::And(parts) => parts.as_slice(),
            leaf => std::slice::from_ref(leaf),
        };
        parts.iter().for_each(|part| range.narrow(part));
        (range != Self::ALL).then_some(range)
    }

    /// Whether an id is in it.
    ///
    /// The example of the [type](Self) uses it.
    ///
    /// ```
    /// # use threads_db::query::{Filter, Plan};
    /// let Plan::IdRange(range) = Plan::choose(Some(&Filter::parse("_id < 'b'").unwrap()), &[]) else { panic!() };
    /// assert!(range.contains("a") && !range.contains("b"));
    /// ```
    pub fn contains(&self, id: &str) -> bool {
        std::ops::RangeBounds::<[u8]>::contains(&self.bounds(), id.as_bytes())
    }

    fn bounds(&self) -> KeyRange<'_> {
        let (low, high) = (&self.low, &self.high);
        (
            low.as_ref().map(Vec::as_slice),
            high.as_ref().map(Vec::as_slice),
        )
    }

    fn narrow(&mut self, part: &Filter) {
        match part {
            Filter::Compare {
                path,
                op,
                value: Value::String(id),
            } if path.segments() == ["_id"] => {
                let id = id.as_bytes().to_vec();
                match op {
                    Op::Gt => self.from(Bound::Excluded(id)),
                    Op::Ge => self.from(Bound::Included(id)),
                    Op::Lt => self.to(Bound::Excluded(id)),
                    Op::Le => self.to(Bound::Included(id)),
                    Op::Eq | Op::Ne => {}
                }
            }
            Filter::StartsWith { path, prefix } if path.segments() == ["_id"] => {
                let (low, high) = prefix_range(prefix.as_bytes());
                self.from(Bound::Included(low));
                self.to(high.map_or(Bound::Unbounded, Bound::Excluded));
            }
            _ => {}
        }
    }

    /// Nothing before `low`.
    pub(crate) fn from(&mut self, low: Bound<Vec<u8>>) {
        let place = |bound: &Bound<Vec<u8>>| match bound {
            Bound::Unbounded => None,
            Bound::Included(id) => Some((id.clone(), false)),
            Bound::Excluded(id) => Some((id.clone(), true)),
        };
        if place(&low) > place(&self.low) {
            self.low = low;
        }
    }

    /// Nothing after `high`.
    pub(crate) fn to(&mut self, high: Bound<Vec<u8>>) {
        let place = |bound: &Bound<Vec<u8>>| match bound {
            Bound::Unbounded => (true, Vec::new(), false),
            Bound::Excluded(id) => (false, id.clone(), false),
            Bound::Included(id) => (false, id.clone(), true),
        };
        if place(&high) < place(&self.high) {
            self.high = high;
        }
    }

    /// The keys of these ids after `prefix`, which `all` are the bounds of.
    pub(crate) fn under(&self, prefix: &[u8], all: KeyRange<'_>) -> [Bound<Vec<u8>>; 2] {
        let key = |id: &Vec<u8>| [prefix, id].concat();
        let or = |bound: &Bound<Vec<u8>>, all: Bound<&[u8]>| match bound {
            Bound::Unbounded => all.map(<[u8]>::to_vec),
            bound => bound.as_ref().map(key),
        };
        [or(&self.low, all.0), or(&self.high, all.1)]
    }
}
