//! What is committed and not on disk yet, and who may see it.
//!
//! Four layers lie over the rows on disk, oldest first:
//!
//! 1. the *flight*: what the present leader is writing, itself in two parts, acknowledged below
//!    and queued above;
//! 2. *acknowledged*: relaxed commits that have returned. Readers see them;
//! 3. *queued*: commits that wait for their sync. Only the next writer sees them.
//!
//! A relaxed commit that lies above a queued one cannot be shown without it, so it waits with it.
//! The rows on disk are kept as of the last landing, and change together with the layers: nobody
//! sees a flight both below and above.

use std::mem;
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;

use threads_core::datastore::Layer;

use crate::fault::Fault;
use crate::table::Tables;

/// How many acknowledged bytes may wait for the disk before a relaxed commit flushes them.
pub(crate) const ACKNOWLEDGED_BYTES_MAX: usize = 1 << 20;
/// How many acknowledged commits may wait for the disk before a relaxed commit flushes them.
pub(crate) const ACKNOWLEDGED_COMMITS_MAX: usize = 4_096;

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

/// What one leader carries to disk.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) acknowledged: Batch,
    pub(crate) queued: Queue,
}

impl Flight {
    pub(crate) fn is_empty(&self) -> bool {
        self.layers().all(Layer::is_empty)
    }

    /// Oldest first.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Layer> {
        [&*self.acknowledged.layer, &*self.queued.batch.layer].into_iter()
    }

    fn has_waiters(&self) -> bool {
        self.queued.batch.commits > 0
    }
}

pub(crate) struct State {
    /// The thread that holds the write transaction.
    pub(crate) turn: Option<ThreadId>,
    /// The rows on disk, as of the last landing.
    pub(crate) rows: Arc<Tables>,
    pub(crate) pending: Pending,
    pub(crate) commits: u64,
    pub(crate) syncs: u64,
}

/// The layers.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) acknowledged: Batch,
    pub(crate) queued: Queue,
    pub(crate) flight: Option<Flight>,
    /// Set when the disk failed: no writes until the store is opened again.
    pub(crate) broken: Option<Fault>,
}

/// Which layers a snapshot includes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// What has been acknowledged.
    Reader,
    /// Everything, since a writer comes after all that is queued.
    Writer,
}

impl Pending {
    /// The layers over the rows on disk, newest first.
    pub(crate) fn layers(&self, view: View) -> Vec<Arc<Layer>> {
        let writer = view == View::Writer;
        let flight = self.flight.as_ref();
        [
            writer.then_some(&self.queued.batch),
            Some(&self.acknowledged),
            flight.map(|flight| &flight.queued.batch).filter(|_| writer),
            flight.map(|flight| &flight.acknowledged),
        ]
        .into_iter()
        .flatten()
        .filter(|batch| !batch.layer.is_empty())
        .map(|batch| Arc::clone(&batch.layer))
        .collect()
    }

    /// The outcomes that a snapshot taken now depends on: a reader's, on none.
    pub(crate) fn foundations(&self, view: View) -> Vec<Arc<Outcome>> {
        if view == View::Reader {
            return Vec::new();
        }
        let flight = self.flight.as_ref().filter(|flight| flight.has_waiters());
        let queued = Some(&self.queued).filter(|queue| queue.batch.commits > 0);
        flight
            .map(|flight| &flight.queued)
            .into_iter()
            .chain(queued)
            .map(|queue| Arc::clone(&queue.outcome))
            .collect()
    }

    /// Whether a commit made now lies above one that waits for its sync.
    pub(crate) fn has_waiters(&self) -> bool {
        self.queued.batch.commits > 0 || self.flight.as_ref().is_some_and(Flight::has_waiters)
    }

    /// Everything that is not on disk becomes the flight.
    pub(crate) fn take_off(&mut self) -> Flight {
        let flight = Flight {
            acknowledged: mem::take(&mut self.acknowledged),
            queued: mem::take(&mut self.queued),
        };
        self.flight = Some(flight.clone());
        flight
    }

    /// The flight is over: settles what became of it and of what was built on it.
    pub(crate) fn land(&mut self, result: Result<(), Fault>) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        if let Err(fault) = &result {
            // What was acknowledged stays, and flies again.
            let above = mem::replace(&mut self.acknowledged, flight.acknowledged.clone());
            if above.commits > 0 {
                Arc::make_mut(&mut self.acknowledged.layer).absorb(&above.layer);
                self.acknowledged.commits += above.commits;
            }
            if fault.breaks {
                self.broken = Some(fault.clone());
            }
            if flight.has_waiters() || fault.breaks {
                // Everything queued was built on commits that are lost now.
                let queue = mem::take(&mut self.queued);
                let _ = queue.outcome.set(Err(fault.clone()));
            }
        }
        // A batch is decided once, here or above, and never flies again after it.
        let _ = flight.queued.outcome.set(result);
    }
}

#[cfg(test)]
mod tests {
    use threads_core::ErrorKind;
    use threads_core::datastore::Keyspace;

    use super::*;

    fn change(key: &[u8], value: &[u8]) -> Layer {
        let mut layer = Layer::default();
        layer.set(Keyspace::Meta, key, Some(value.into()));
        layer
    }

    fn seen(pending: &Pending, view: View, key: &[u8]) -> Option<Vec<u8>> {
        let layers = pending.layers(view);
        let change = layers
            .iter()
            .find_map(|layer| layer.get(Keyspace::Meta, key).cloned());
        change.flatten().map(|value| value.to_vec())
    }

    #[test]
    fn readers_see_what_is_acknowledged_and_writers_see_all() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"k", b"1"));
        pending.take_off();
        pending.acknowledged.add(change(b"k", b"2"));
        pending.queued.batch.add(change(b"k", b"3"));
        assert_eq!(seen(&pending, View::Reader, b"k").unwrap(), b"2");
        assert_eq!(seen(&pending, View::Writer, b"k").unwrap(), b"3");
    }

    #[test]
    fn a_lost_flight_takes_down_what_was_built_on_it_and_keeps_what_was_acknowledged() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"kept", b"1"));
        pending.queued.batch.add(change(b"lost", b"1"));
        let flying = Arc::clone(&pending.queued.outcome);
        pending.take_off();
        let running_writer = pending.foundations(View::Writer);
        pending.queued.batch.add(change(b"above", b"1"));
        let above = Arc::clone(&pending.queued.outcome);
        assert!(pending.has_waiters());
        pending.land(Err(Fault::disk_full("")));
        for outcome in [&flying, &above, &running_writer[0]] {
            let fault = outcome.get().unwrap().as_ref().unwrap_err();
            assert_eq!(fault.kind(), ErrorKind::Full);
        }
        assert_eq!(seen(&pending, View::Writer, b"kept").unwrap(), b"1");
        assert_eq!(seen(&pending, View::Writer, b"lost"), None);
        assert_eq!(seen(&pending, View::Writer, b"above"), None);
        assert!(!pending.has_waiters() && pending.broken.is_none());
    }

    #[test]
    fn what_was_acknowledged_during_a_lost_flight_stays_above_it() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"k", b"old"));
        pending.take_off();
        pending.acknowledged.add(change(b"k", b"new"));
        pending.land(Err(Fault::disk_full("")));
        assert_eq!(seen(&pending, View::Reader, b"k").unwrap(), b"new");
        assert_eq!(pending.acknowledged.commits, 2);
    }

    #[test]
    fn a_broken_disk_takes_everything_down_that_waits() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"k", b"1"));
        pending.take_off();
        pending.queued.batch.add(change(b"waits", b"1"));
        let waits = Arc::clone(&pending.queued.outcome);
        pending.land(Err(Fault::broken("")));
        assert!(waits.get().unwrap().is_err());
        assert!(pending.broken.is_some());
    }

    #[test]
    fn a_landed_flight_is_gone() {
        let mut pending = Pending::default();
        pending.queued.batch.add(change(b"k", b"1"));
        let outcome = Arc::clone(&pending.queued.outcome);
        pending.take_off();
        pending.land(Ok(()));
        assert!(matches!(outcome.get(), Some(Ok(()))));
        assert!(pending.layers(View::Writer).is_empty());
    }
}
