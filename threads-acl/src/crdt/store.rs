//! What is left of the changes: dots that nothing has overwritten, in sets and maps.

use std::collections::{BTreeMap, BTreeSet};

use super::{CausalContext, Dot};

/// The part of a state that holds dots.
///
/// A dot that a context has seen and a store does not hold was overwritten; that is how a removal is known
/// without being kept.
///
/// ```
/// use threads_acl::crdt::{CausalContext, Dot, DotSet, DotStore};
///
/// let dot = Dot::new(1, 1);
/// let (mut mine, mut seen) = (DotSet::from(dot), CausalContext::default());
/// seen.insert(dot);
/// // The other has seen the same change and overwritten it.
/// mine.join(&seen, &DotSet::default(), &seen);
/// assert!(mine.is_empty());
/// ```
pub trait DotStore: Clone + Default + PartialEq {
    /// Whether it holds no dot.
    fn is_empty(&self) -> bool;

    /// Notes every dot in a context.
    fn note(&self, context: &mut CausalContext);

    /// Takes in another store: what either has and the other has not seen, and what both have.
    fn join(&mut self, seen: &CausalContext, other: &Self, other_seen: &CausalContext);
}

/// A set of dots.
///
/// ```
/// use threads_acl::crdt::{Dot, DotSet, DotStore};
/// assert!(!DotSet::from(Dot::new(1, 1)).is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DotSet(BTreeSet<Dot>);

impl From<Dot> for DotSet {
    fn from(dot: Dot) -> Self {
        Self(BTreeSet::from([dot]))
    }
}

impl DotStore for DotSet {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn note(&self, context: &mut CausalContext) {
        self.0.iter().for_each(|dot| context.insert(*dot));
    }

    fn join(&mut self, seen: &CausalContext, other: &Self, other_seen: &CausalContext) {
        self.0
            .retain(|dot| other.0.contains(dot) || !other_seen.contains(*dot));
        let new = other.0.iter().filter(|dot| !seen.contains(**dot));
        self.0.extend(new);
    }
}

/// A map to stores, without those that are empty.
///
/// ```
/// use threads_acl::crdt::{Dot, DotMap, DotSet};
/// let map = DotMap::one("key", DotSet::from(Dot::new(1, 1)));
/// assert!(map.get(&"key").is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotMap<K, S>(BTreeMap<K, S>);

impl<K, S> Default for DotMap<K, S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, S> DotMap<K, S> {
    /// A map with one key.
    ///
    /// ```
    /// use threads_acl::crdt::{Dot, DotMap, DotSet};
    /// assert_eq!(DotMap::one(1, DotSet::from(Dot::new(1, 1))).iter().count(), 1);
    /// ```
    pub fn one(key: K, store: S) -> Self {
        Self(BTreeMap::from([(key, store)]))
    }

    /// What a key leads to, if there is anything.
    ///
    /// ```
    /// use threads_acl::crdt::{DotMap, DotSet};
    /// assert!(DotMap::<u8, DotSet>::default().get(&1).is_none());
    /// ```
    pub fn get(&self, key: &K) -> Option<&S> {
        self.0.get(key)
    }

    /// Its keys and what they lead to, in the order of the keys.
    ///
    /// ```
    /// use threads_acl::crdt::{DotMap, DotSet};
    /// assert_eq!(DotMap::<u8, DotSet>::default().iter().count(), 0);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&K, &S)> {
        self.0.iter()
    }
}

impl<K: Clone + Ord, S: DotStore> DotStore for DotMap<K, S> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn note(&self, context: &mut CausalContext) {
        self.0.values().for_each(|store| store.note(context));
    }

    fn join(&mut self, seen: &CausalContext, other: &Self, other_seen: &CausalContext) {
        let nothing = S::default();
        for (key, store) in &mut self.0 {
            store.join(seen, other.0.get(key).unwrap_or(&nothing), other_seen);
        }
        for (key, theirs) in &other.0 {
            if !self.0.contains_key(key) {
                let mut store = S::default();
                store.join(seen, theirs, other_seen);
                self.0.insert(key.clone(), store);
            }
        }
        self.0.retain(|_, store| !store.is_empty());
    }
}

/// A state made of a store and the context that says what the store no longer holds.
///
/// ```
/// use threads_acl::crdt::{Causal, RWORSet};
///
/// let set = RWORSet::<u8>::default();
/// let (store, context) = set.parts();
/// assert_eq!(RWORSet::from_parts(store.clone(), context.clone()), set);
/// ```
pub trait Causal {
    /// What it holds.
    type Store: DotStore;

    /// The state of this store and context.
    fn from_parts(store: Self::Store, context: CausalContext) -> Self;

    /// Its store and context.
    fn parts(&self) -> (&Self::Store, &CausalContext);
}
