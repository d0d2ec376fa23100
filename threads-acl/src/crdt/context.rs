//! Which changes a state has seen.

use std::collections::{BTreeMap, BTreeSet};

/// The name of one change: who made it, and a number, from 1, that it has used for no other.
///
/// ```
/// use threads_acl::crdt::Dot;
/// assert!(Dot::new(1, 1) < Dot::new(1, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    replica: u64,
    count: u64,
}

impl Dot {
    /// The change number `count` of a replica.
    ///
    /// ```
    /// use threads_acl::crdt::Dot;
    /// assert_ne!(Dot::new(1, 1), Dot::new(2, 1));
    /// ```
    pub fn new(replica: u64, count: u64) -> Self {
        Self { replica, count }
    }
}

/// A set of changes, most of it as one number for each replica.
///
/// ```
/// use threads_acl::crdt::{CausalContext, Dot};
///
/// let mut seen = CausalContext::default();
/// seen.insert(Dot::new(7, 2));
/// assert!(seen.contains(Dot::new(7, 2)) && !seen.contains(Dot::new(7, 1)));
/// assert_eq!(seen.next(7), Dot::new(7, 3));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CausalContext {
    /// All changes of a replica up to this one.
    runs: BTreeMap<u64, u64>,
    /// Those beyond.
    others: BTreeSet<Dot>,
}

impl CausalContext {
    /// Whether a change was seen.
    ///
    /// ```
    /// use threads_acl::crdt::{CausalContext, Dot};
    /// assert!(!CausalContext::default().contains(Dot::new(1, 1)));
    /// ```
    pub fn contains(&self, dot: Dot) -> bool {
        dot.count <= self.run(dot.replica) || self.others.contains(&dot)
    }

    fn run(&self, replica: u64) -> u64 {
        self.runs.get(&replica).copied().unwrap_or_default()
    }

    /// Notes a change.
    ///
    /// ```
    /// use threads_acl::crdt::{CausalContext, Dot};
    /// let mut seen = CausalContext::default();
    /// seen.insert(Dot::new(1, 1));
    /// assert!(seen.contains(Dot::new(1, 1)));
    /// ```
    pub fn insert(&mut self, dot: Dot) {
        if self.contains(dot) {
            return;
        }
        self.others.insert(dot);
        self.settle(dot.replica);
    }

    /// Lengthens a replica's run by what stands right behind it, so that one set has one form.
    fn settle(&mut self, replica: u64) {
        let mut run = self.run(replica);
        while let Some(next) = run.checked_add(1) {
            if !self.others.remove(&Dot::new(replica, next)) {
                break;
            }
            run = next;
        }
        if run > 0 {
            self.runs.insert(replica, run);
        }
    }

    /// Notes every change that the other has seen.
    ///
    /// ```
    /// use threads_acl::crdt::{CausalContext, Dot};
    /// let (mut mine, mut yours) = (CausalContext::default(), CausalContext::default());
    /// yours.insert(Dot::new(1, 1));
    /// mine.merge(&yours);
    /// assert_eq!(mine, yours);
    /// ```
    pub fn merge(&mut self, other: &Self) {
        for (replica, run) in &other.runs {
            if *run > self.run(*replica) {
                self.runs.insert(*replica, *run);
                let (from, to) = (Dot::new(*replica, 0), Dot::new(*replica, *run));
                let within: Vec<_> = self.others.range(from..=to).copied().collect();
                within.iter().for_each(|dot| {
                    self.others.remove(dot);
                });
                self.settle(*replica);
            }
        }
        other.others.iter().for_each(|dot| self.insert(*dot));
    }

    /// A name that the replica has not used, if this context has seen all of its changes.
    ///
    /// ```
    /// use threads_acl::crdt::{CausalContext, Dot};
    /// assert_eq!(CausalContext::default().next(4), Dot::new(4, 1));
    /// ```
    pub fn next(&self, replica: u64) -> Dot {
        let (from, to) = (Dot::new(replica, 0), Dot::new(replica, u64::MAX));
        let last = self.others.range(from..=to).next_back();
        let last = last.map_or(self.run(replica), |dot| dot.count);
        Dot::new(replica, last.saturating_add(1))
    }
}
