//! The map of keys to states that share one context.

use super::{Causal, CausalContext, Dot, DotMap, DotStore};

/// An observed-remove map: its values are CRDTs, and removing a key removes what was seen of it.
///
/// ```
/// use threads_acl::crdt::{ORMap, RWORSet};
///
/// let mut list = ORMap::<&str, RWORSet<&str>>::default();
/// let dot = list.next_dot(1);
/// list.merge(&list.updated("ann", |roles| roles.added(dot, "write")));
/// assert!(list.get(&"ann").unwrap().contains(&"write"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ORMap<K: Ord, V: Causal> {
    store: DotMap<K, V::Store>,
    context: CausalContext,
}

impl<K: Ord, V: Causal> Default for ORMap<K, V> {
    fn default() -> Self {
        Self {
            store: DotMap::default(),
            context: CausalContext::default(),
        }
    }
}

impl<K: Clone + Ord, V: Causal> ORMap<K, V> {
    /// A name for the next change of a replica, which has merged all of its changes.
    ///
    /// ```
    /// use threads_acl::crdt::{Dot, ORMap, RWORSet};
    /// assert_eq!(ORMap::<u8, RWORSet<u8>>::default().next_dot(3), Dot::new(3, 1));
    /// ```
    pub fn next_dot(&self, replica: u64) -> Dot {
        self.context.next(replica)
    }

    /// What a key leads to, if there is anything.
    ///
    /// ```
    /// use threads_acl::crdt::{ORMap, RWORSet};
    /// assert!(ORMap::<u8, RWORSet<u8>>::default().get(&1).is_none());
    /// ```
    pub fn get(&self, key: &K) -> Option<V> {
        let store = self.store.get(key)?.clone();
        Some(V::from_parts(store, self.context.clone()))
    }

    /// Its keys, in order.
    ///
    /// ```
    /// use threads_acl::crdt::{ORMap, RWORSet};
    /// assert_eq!(ORMap::<u8, RWORSet<u8>>::default().keys().count(), 0);
    /// ```
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.store.iter().map(|(key, _)| key)
    }

    /// The delta of a change to what a key leads to, of which `change` gives the delta.
    ///
    /// ```
    /// use threads_acl::crdt::{Dot, ORMap, RWORSet};
    /// let map = ORMap::<u8, RWORSet<char>>::default();
    /// let delta = map.updated(1, |set| set.added(Dot::new(1, 1), 'x'));
    /// assert!(delta.get(&1).unwrap().contains(&'x'));
    /// ```
    #[must_use]
    pub fn updated(&self, key: K, change: impl FnOnce(&V) -> V) -> Self {
        let store = self.store.get(&key).cloned().unwrap_or_default();
        let delta = change(&V::from_parts(store, self.context.clone()));
        let (store, context) = delta.parts();
        let (store, context) = (store.clone(), context.clone());
        Self {
            store: DotMap::one(key, store),
            context,
        }
    }

    /// The delta that removes a key: what was seen of it. A change at the same time stays.
    ///
    /// ```
    /// use threads_acl::crdt::{ORMap, RWORSet};
    ///
    /// let mut map = ORMap::<u8, RWORSet<char>>::default();
    /// let dot = map.next_dot(1);
    /// map.merge(&map.updated(1, |set| set.added(dot, 'x')));
    /// map.merge(&map.without(&1));
    /// assert_eq!(map.keys().count(), 0);
    /// ```
    #[must_use]
    pub fn without(&self, key: &K) -> Self {
        let mut context = CausalContext::default();
        if let Some(store) = self.store.get(key) {
            store.note(&mut context);
        }
        Self {
            store: DotMap::default(),
            context,
        }
    }

    /// Takes in a delta, or the whole state of another.
    ///
    /// ```
    /// use threads_acl::crdt::{ORMap, RWORSet};
    /// let mut map = ORMap::<u8, RWORSet<char>>::default();
    /// map.merge(&map.clone());
    /// assert_eq!(map, ORMap::default());
    /// ```
    pub fn merge(&mut self, other: &Self) {
        self.store.join(&self.context, &other.store, &other.context);
        self.context.merge(&other.context);
    }
}
