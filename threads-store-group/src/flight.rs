//! What one leader carries to disk.
//!
//! ```
//! use std::collections::BTreeMap;
//! use threads_core::datastore::Keyspace;
//! use threads_store_group::Flight;
//!
//! /// What a store does with one, where its disk is a map.
//! fn carry(flight: &Flight, rows: &mut BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>) {
//!     for (space, key, change) in flight.changes() {
//!         match change {
//!             Some(value) => rows.insert((space, key.into()), value.into()),
//!             None => rows.remove(&(space, key.into())),
//!         };
//!     }
//! }
//! ```

use std::sync::{Arc, OnceLock};

use threads_core::datastore::{Keyspace, Layer};

use crate::fault::Fault;

/// How many acknowledged bytes may wait for the disk before a relaxed commit flushes them.
const ACKNOWLEDGED_BYTES_MAX: usize = 1 << 20;
/// How many acknowledged commits may wait for the disk before a relaxed commit flushes them.
const ACKNOWLEDGED_COMMITS_MAX: usize = 4_096;

/// What became of a batch of queued commits; empty until that is known.
pub(crate) type Outcome = OnceLock<Result<(), Fault>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) layer: Arc<Layer>,
    pub(crate) commits: usize,
}

impl Batch {
    pub(crate) fn add(&mut self, changes: Layer) {
        self.commits += 1;
        if self.layer.is_empty() {
            self.layer = Arc::new(changes);
        } else {
            Arc::make_mut(&mut self.layer).absorb(&changes);
        }
    }

    pub(crate) fn is_over_bounds(&self) -> bool {
        self.commits >= ACKNOWLEDGED_COMMITS_MAX || self.layer.bytes() >= ACKNOWLEDGED_BYTES_MAX
    }
}

/// Commits that wait for one sync, and where they learn how it went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) batch: Batch,
    pub(crate) outcome: Arc<Outcome>,
}

/// What one leader carries to disk: relaxed commits that have returned, below, and commits that wait
/// for it, above. See the [module](self).
#[derive(Clone, Debug)]
pub struct Flight {
    pub(crate) number: u64,
    pub(crate) last: bool,
    pub(crate) acknowledged: Batch,
    pub(crate) queued: Queue,
}

impl Flight {
    /// Its number: one more than that of the flight before, from 1 on. See the [module](self).
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the store closes after it. Nobody waits for it, and what fails now is lost. See the
    /// [module](self).
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Its layers, oldest first. See the [module](self).
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        [&*self.acknowledged.layer, self.waiting()].into_iter()
    }

    /// The newer of its layers: what somebody waits for. See the [module](self).
    pub fn waiting(&self) -> &Layer {
        &self.queued.batch.layer
    }

    /// The last change of each key. See the [module](self).
    pub fn changes(&self) -> impl Iterator<Item = (Keyspace, &[u8], Option<&[u8]>)> {
        let newer = self.waiting();
        let older = self.acknowledged.layer.iter();
        older
            .filter(|(space, key, _)| newer.get(*space, key).is_none())
            .chain(newer.iter())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.layers().all(Layer::is_empty)
    }

    pub(crate) fn has_waiters(&self) -> bool {
        self.queued.batch.commits > 0
    }
}
