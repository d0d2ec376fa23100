//! The set in which removal wins.

use super::{Causal, CausalContext, Dot, DotMap, DotSet, DotStore};

/// A remove-wins observed-remove set.
///
/// An element is in the set when it was added, and every removal of it was seen by who added or removed it
/// later. See the [module](super).
///
/// ```
/// use threads_acl::crdt::RWORSet;
///
/// let mut set = RWORSet::default();
/// let delta = set.added(set.next_dot(1), "read");
/// set.merge(&delta);
/// assert!(set.elements().eq([&"read"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RWORSet<E> {
    /// Of each element, the additions (`true`) and the removals (`false`) that nothing has overwritten.
    store: DotMap<E, DotMap<bool, DotSet>>,
    context: CausalContext,
}

impl<E> Default for RWORSet<E> {
    fn default() -> Self {
        Self {
            store: DotMap::default(),
            context: CausalContext::default(),
        }
    }
}

impl<E: Clone + Ord> RWORSet<E> {
    /// A name for the next change of a replica, which has merged all of its changes.
    ///
    /// ```
    /// use threads_acl::crdt::{Dot, RWORSet};
    /// assert_eq!(RWORSet::<u8>::default().next_dot(3), Dot::new(3, 1));
    /// ```
    pub fn next_dot(&self, replica: u64) -> Dot {
        self.context.next(replica)
    }

    /// The delta that adds an element, by a change of this name.
    ///
    /// ```
    /// use threads_acl::crdt::{Dot, RWORSet};
    /// let delta = RWORSet::default().added(Dot::new(1, 1), 'x');
    /// assert!(delta.contains(&'x'));
    /// ```
    #[must_use]
    pub fn added(&self, dot: Dot, element: E) -> Self {
        self.changed(dot, element, true)
    }

    /// The delta that removes an element, there or not, by a change of this name.
    ///
    /// ```
    /// use threads_acl::crdt::{Dot, RWORSet};
    ///
    /// let mut set = RWORSet::default();
    /// let (added, removed) = (set.added(Dot::new(1, 1), 'x'), set.removed(Dot::new(2, 1), 'x'));
    /// set.merge(&removed);
    /// set.merge(&added);
    /// assert!(!set.contains(&'x'));
    /// ```
    #[must_use]
    pub fn removed(&self, dot: Dot, element: E) -> Self {
        self.changed(dot, element, false)
    }

    /// A change overwrites what was done to the element before.
    fn changed(&self, dot: Dot, element: E, is_in: bool) -> Self {
        let mut context = CausalContext::default();
        if let Some(before) = self.store.get(&element) {
            before.note(&mut context);
        }
        context.insert(dot);
        let store = DotMap::one(element, DotMap::one(is_in, DotSet::from(dot)));
        Self { store, context }
    }

    /// Takes in a delta, or the whole state of another.
    ///
    /// ```
    /// use threads_acl::crdt::{Dot, RWORSet};
    /// let delta = RWORSet::default().added(Dot::new(1, 1), 'x');
    /// let mut set = delta.clone();
    /// set.merge(&delta);
    /// assert_eq!(set, delta, "twice is once");
    /// ```
    pub fn merge(&mut self, other: &Self) {
        self.store.join(&self.context, &other.store, &other.context);
        self.context.merge(&other.context);
    }

    /// Whether an element is in the set.
    ///
    /// ```
    /// use threads_acl::crdt::RWORSet;
    /// assert!(!RWORSet::default().contains(&'x'));
    /// ```
    pub fn contains(&self, element: &E) -> bool {
        self.store
            .get(element)
            .is_some_and(|changes| changes.get(&false).is_none())
    }

    /// Its elements, in order.
    ///
    /// ```
    /// use threads_acl::crdt::RWORSet;
    /// assert_eq!(RWORSet::<char>::default().elements().count(), 0);
    /// ```
    pub fn elements(&self) -> impl Iterator<Item = &E> {
        let all = self.store.iter();
        all.filter(|(_, changes)| changes.get(&false).is_none())
            .map(|(element, _)| element)
    }
}

impl<E: Clone + Ord> Causal for RWORSet<E> {
    type Store = DotMap<E, DotMap<bool, DotSet>>;

    fn from_parts(store: Self::Store, context: CausalContext) -> Self {
        Self { store, context }
    }

    fn parts(&self) -> (&Self::Store, &CausalContext) {
        (&self.store, &self.context)
    }
}
