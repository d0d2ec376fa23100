//! Changes that are not in LMDB yet, in key order.

use std::collections::BTreeMap;
use std::sync::Arc;

use threads_core::datastore::{Direction, KeyRange, Keyspace};

/// What happens to one key: a new value, or `None` for removal.
pub(crate) type Change = Option<Arc<[u8]>>;

/// Where an ordered run of changes comes from.
pub(crate) type Changes<'a> = Box<dyn Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + 'a>;

/// A set of changes, laid over whatever is below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    spaces: BTreeMap<Keyspace, BTreeMap<Box<[u8]>, Change>>,
    bytes: usize,
}

impl Layer {
    pub(crate) fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }

    /// The bytes of its keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn set(&mut self, space: Keyspace, key: impl Into<Box<[u8]>>, change: Change) {
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
    pub(crate) fn get(&self, space: Keyspace, key: &[u8]) -> Option<&Change> {
        self.spaces.get(&space)?.get(key)
    }

    /// The changes in a range that is not empty, in `direction`.
    pub(crate) fn range(
        &self,
        space: Keyspace,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Option<Changes<'_>> {
        let changes = self.spaces.get(&space)?.range::<[u8], _>(range);
        let changes = changes.map(|(key, change)| (&**key, change.as_deref()));
        Some(match direction {
            Direction::Forward => Box::new(changes),
            Direction::Reverse => Box::new(changes.rev()),
        })
    }

    /// Every change, by keyspace and key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Keyspace, &[u8], Option<&[u8]>)> {
        self.spaces.iter().flat_map(|(space, changes)| {
            changes
                .iter()
                .map(|(key, change)| (*space, &**key, change.as_deref()))
        })
    }

    /// Lays `newer` over this layer; where both speak, `newer` wins.
    pub(crate) fn absorb(&mut self, newer: &Self) {
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
