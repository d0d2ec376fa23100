//! Changes that are not in a store yet, in key order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::range::range_is_empty;
use super::{Direction, KeyRange, Keyspace};

/// What happens to one key: a new value, or `None` for removal.
///
/// ```
/// let removal: threads_core::datastore::Change = None;
/// assert!(removal.is_none());
/// ```
pub type Change = Option<Arc<[u8]>>;

/// An ordered run of changes: keys, each with its new value or `None` for removal.
///
/// ```
/// use threads_core::datastore::Changes;
/// let changes: Changes<'_> = Box::new([(&b"gone"[..], None)].into_iter());
/// assert_eq!(changes.count(), 1);
/// ```
pub type Changes<'a> = Box<dyn Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + 'a>;

/// A set of changes, laid over whatever is below it: what a transaction buffers, for stores whose
/// own transactions are bound to a thread or cannot be read while they are written.
///
/// ```
/// use threads_core::datastore::{Keyspace, Layer};
/// let mut layer = Layer::default();
/// layer.set(Keyspace::Meta, *b"key", Some(b"value"[..].into()));
/// assert_eq!(layer.get(Keyspace::Meta, b"key").unwrap().as_deref(), Some(&b"value"[..]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Layer {
    spaces: BTreeMap<Keyspace, BTreeMap<Box<[u8]>, Change>>,
    bytes: usize,
}

impl Layer {
    /// Whether it changes nothing.
    ///
    /// ```
    /// assert!(threads_core::datastore::Layer::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }

    /// The bytes of its keys and values.
    ///
    /// ```
    /// use threads_core::datastore::{Keyspace, Layer};
    /// let mut layer = Layer::default();
    /// layer.set(Keyspace::Meta, *b"key", Some(b"value"[..].into()));
    /// assert_eq!(layer.bytes(), 8);
    /// ```
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes `key`, whatever was said about it before.
    ///
    /// ```
    /// use threads_core::datastore::{Keyspace, Layer};
    /// let mut layer = Layer::default();
    /// layer.set(Keyspace::Meta, *b"gone", None);
    /// assert!(!layer.is_empty());
    /// ```
    pub fn set(&mut self, space: Keyspace, key: impl Into<Box<[u8]>>, change: Change) {
        let key = key.into();
        let (key_bytes, added) = (key.len(), weight(&change));
        self.bytes += match self.spaces.entry(space).or_default().insert(key, change) {
            Some(replaced) => {
                self.bytes -= weight(&replaced);
                added
            }
            None => key_bytes + added,
        };
    }

    /// What this layer says about a key: `None` when it says nothing.
    ///
    /// ```
    /// use threads_core::datastore::{Keyspace, Layer};
    /// let mut layer = Layer::default();
    /// layer.set(Keyspace::Meta, *b"gone", None);
    /// assert_eq!(layer.get(Keyspace::Meta, b"gone"), Some(&None));
    /// assert_eq!(layer.get(Keyspace::Meta, b"other"), None);
    /// ```
    pub fn get(&self, space: Keyspace, key: &[u8]) -> Option<&Change> {
        self.spaces.get(&space)?.get(key)
    }

    /// The changes in `range`, in `direction`: `None` when there can be none.
    ///
    /// ```
    /// use std::ops::Bound::Unbounded;
    /// use threads_core::datastore::{Direction, Keyspace, Layer};
    /// let mut layer = Layer::default();
    /// layer.set(Keyspace::Meta, *b"gone", None);
    /// let mut changes = layer.range(Keyspace::Meta, (Unbounded, Unbounded), Direction::Forward).unwrap();
    /// assert_eq!(changes.next(), Some((&b"gone"[..], None)));
    /// ```
    pub fn range(
        &self,
        space: Keyspace,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Option<Changes<'_>> {
        // Ordered maps panic on an end before its start.
        if range_is_empty(&range) {
            return None;
        }
        let changes = self.spaces.get(&space)?.range::<[u8], _>(range);
        let changes = changes.map(|(key, change)| (&**key, change.as_deref()));
        Some(match direction {
            Direction::Forward => Box::new(changes),
            Direction::Reverse => Box::new(changes.rev()),
        })
    }

    /// Every change, by keyspace and key.
    ///
    /// ```
    /// use threads_core::datastore::{Keyspace, Layer};
    /// let mut layer = Layer::default();
    /// layer.set(Keyspace::Meta, *b"gone", None);
    /// assert_eq!(layer.iter().count(), 1);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (Keyspace, &[u8], Option<&[u8]>)> {
        self.spaces.iter().flat_map(|(space, changes)| {
            changes
                .iter()
                .map(|(key, change)| (*space, &**key, change.as_deref()))
        })
    }

    /// Lays `newer` over this layer; where both speak, `newer` wins.
    ///
    /// ```
    /// use threads_core::datastore::{Keyspace, Layer};
    /// let (mut old, mut new) = (Layer::default(), Layer::default());
    /// old.set(Keyspace::Meta, *b"k", Some(b"1"[..].into()));
    /// new.set(Keyspace::Meta, *b"k", None);
    /// old.absorb(&new);
    /// assert_eq!(old.get(Keyspace::Meta, b"k"), Some(&None));
    /// ```
    pub fn absorb(&mut self, newer: &Self) {
        for (space, changes) in &newer.spaces {
            for (key, change) in changes {
                self.set(*space, key.clone(), change.clone());
            }
        }
    }
}

fn weight(change: &Change) -> usize {
    change.as_ref().map_or(0, |value| value.len())
}
