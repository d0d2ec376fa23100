//! What is committed but not in LMDB yet, and who may see it.
//!
//! Four layers lie over the last LMDB commit, oldest first:
//!
//! 1. the *flight*: what the present leader is writing to disk, itself in two parts,
//!    acknowledged below and queued above;
//! 2. *acknowledged*: relaxed commits that have returned. Readers see them;
//! 3. *queued*: commits that wait for their sync. Only the next writer sees them.
//!
//! A relaxed commit that lies above a queued one cannot be shown without it, so it waits with
//! it. That keeps the two parts in order: nothing acknowledged ever lies above something queued.

use std::mem;
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;

use threads_core::datastore::{Keyspace, Layer};

use crate::check::Guard;
use crate::fault::Fault;

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
    /// The LMDB transaction that carries it, once that began.
    transaction: Option<usize>,
}

impl Flight {
    pub(crate) fn is_empty(&self) -> bool {
        self.layers().all(|layer| layer.is_empty())
    }

    /// Oldest first.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        [&*self.acknowledged.layer, &*self.queued.batch.layer].into_iter()
    }

    /// The last change of each key.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (Keyspace, &[u8], Option<&[u8]>)> {
        let newer = &*self.queued.batch.layer;
        let older = self.acknowledged.layer.iter();
        older
            .filter(|(space, key, _)| newer.get(*space, key).is_none())
            .chain(newer.iter())
    }

    fn has_waiters(&self) -> bool {
        self.queued.batch.commits > 0
    }
}

#[derive(Default)]
pub(crate) struct State {
    /// The thread that holds the write transaction.
    pub(crate) turn: Option<ThreadId>,
    pub(crate) acknowledged: Batch,
    pub(crate) queued: Queue,
    pub(crate) flight: Option<Flight>,
    /// Open LMDB read transactions, writers' snapshots included.
    pub(crate) readers: usize,
    /// Whether the map waits for the readers to go, so that it can change its size.
    pub(crate) remapping: bool,
    /// Set when the disk failed: no writes until the store is opened again.
    pub(crate) broken: Option<Fault>,
    /// Set when the map was lost while changing its size: no reads either.
    pub(crate) unmapped: Option<Fault>,
    /// What is known about the pages of the file. `None` when all of them are in order.
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) commits: u64,
    pub(crate) syncs: u64,
}

/// Which layers a snapshot includes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// What has been acknowledged.
    Reader,
    /// Everything, since a writer comes after all that is queued.
    Writer,
}

impl State {
    /// The layers over the LMDB snapshot of `transaction`, newest first.
    pub(crate) fn layers(&self, transaction: usize, view: View) -> Vec<Arc<Layer>> {
        // LMDB may have committed the flight while its leader has not come back to say so. Then
        // the snapshot has it, and laying its older part over its newer one would tear it.
        let flight = self
            .flight
            .as_ref()
            .filter(|flight| flight.transaction.is_none_or(|t| t > transaction));
        let in_flight = flight.map(|flight| (&flight.queued.batch, &flight.acknowledged));
        let writer = view == View::Writer;
        [
            writer.then_some(&self.queued.batch),
            Some(&self.acknowledged),
            in_flight.map(|(queued, _)| queued).filter(|_| writer),
            in_flight.map(|(_, acknowledged)| acknowledged),
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
            .map(|f| &f.queued)
            .into_iter()
            .chain(queued)
            .map(|q| Arc::clone(&q.outcome))
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
            transaction: None,
        };
        self.flight = Some(flight.clone());
        flight
    }

    /// The flight is in the hands of this LMDB transaction.
    pub(crate) fn board(&mut self, transaction: usize) {
        if let Some(flight) = &mut self.flight {
            flight.transaction = Some(transaction);
        }
    }

    /// The flight is over: settles what became of it and of what was built on it.
    pub(crate) fn land(&mut self, result: Result<(), Fault>) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        if let Err(fault) = &result {
            let above = mem::replace(&mut self.acknowledged, flight.acknowledged.clone());
            if above.commits > 0 {
                Arc::make_mut(&mut self.acknowledged.layer).absorb(&above.layer);
                self.acknowledged.commits += above.commits;
            }
            if fault.breaks {
                self.broken = Some(fault.clone());
            }
            if flight.has_waiters() || fault.breaks {
                self.fail_queue(fault);
            }
        }
        // A batch is decided once, here or in `fail_queue`, and never flies again after it.
        let _ = flight.queued.outcome.set(result);
    }

    /// Everything queued was built on commits that are lost now.
    fn fail_queue(&mut self, fault: &Fault) {
        let queue = mem::take(&mut self.queued);
        let _ = queue.outcome.set(Err(fault.clone()));
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

    fn seen(state: &State, transaction: usize, view: View, key: &[u8]) -> Option<Vec<u8>> {
        let layers = state.layers(transaction, view);
        let change = layers
            .iter()
            .find_map(|layer| layer.get(Keyspace::Meta, key).cloned());
        change.flatten().map(|value| value.to_vec())
    }

    fn full() -> Fault {
        Fault::disk_full()
    }

    #[test]
    fn readers_see_what_is_acknowledged_and_writers_see_all() {
        let mut state = State::default();
        state.acknowledged.add(change(b"k", b"1"));
        state.take_off();
        state.acknowledged.add(change(b"k", b"2"));
        state.queued.batch.add(change(b"k", b"3"));
        assert_eq!(seen(&state, 0, View::Reader, b"k").unwrap(), b"2");
        assert_eq!(seen(&state, 0, View::Writer, b"k").unwrap(), b"3");
    }

    #[test]
    fn a_flight_that_the_snapshot_has_is_not_laid_over_it() {
        let mut state = State::default();
        state.acknowledged.add(change(b"k", b"1"));
        state.queued.batch.add(change(b"k", b"2"));
        state.take_off();
        assert_eq!(seen(&state, 6, View::Reader, b"k").unwrap(), b"1");
        state.board(7);
        assert_eq!(seen(&state, 6, View::Reader, b"k").unwrap(), b"1");
        assert_eq!(seen(&state, 7, View::Reader, b"k"), None);
        assert_eq!(seen(&state, 7, View::Writer, b"k"), None);
    }

    #[test]
    fn a_lost_flight_takes_down_what_was_built_on_it_and_keeps_what_was_acknowledged() {
        let mut state = State::default();
        state.acknowledged.add(change(b"kept", b"1"));
        state.queued.batch.add(change(b"lost", b"1"));
        let flying = Arc::clone(&state.queued.outcome);
        state.take_off();
        let running_writer = state.foundations(View::Writer);
        state.queued.batch.add(change(b"above", b"1"));
        let above = Arc::clone(&state.queued.outcome);
        assert!(state.has_waiters());

        state.land(Err(full()));
        assert!(matches!(flying.get(), Some(Err(_))));
        assert!(matches!(above.get(), Some(Err(_))));
        assert!(
            running_writer
                .iter()
                .any(|outcome| matches!(outcome.get(), Some(Err(_))))
        );
        assert_eq!(seen(&state, 0, View::Writer, b"lost"), None);
        assert_eq!(seen(&state, 0, View::Writer, b"above"), None);
        assert_eq!(seen(&state, 0, View::Reader, b"kept").unwrap(), b"1");
        assert!(state.broken.is_none() && !state.has_waiters());
        assert!(state.foundations(View::Writer).is_empty());
    }

    #[test]
    fn a_failed_flight_without_waiters_takes_nothing_down() {
        let mut state = State::default();
        state.acknowledged.add(change(b"k", b"old"));
        state.acknowledged.add(change(b"below", b"1"));
        state.take_off();
        state.acknowledged.add(change(b"k", b"new"));
        state.queued.batch.add(change(b"waits", b"1"));
        let waits = Arc::clone(&state.queued.outcome);

        state.land(Err(full()));
        assert!(waits.get().is_none());
        assert_eq!(seen(&state, 0, View::Reader, b"k").unwrap(), b"new");
        assert_eq!(seen(&state, 0, View::Reader, b"below").unwrap(), b"1");
        assert_eq!(seen(&state, 0, View::Writer, b"waits").unwrap(), b"1");
        assert_eq!(state.acknowledged.commits, 3);
        assert_eq!(state.acknowledged.layer.bytes(), b"knewbelow1".len());
    }

    #[test]
    fn a_broken_disk_takes_everything_down_that_waits() {
        let mut state = State::default();
        state.acknowledged.add(change(b"k", b"1"));
        state.take_off();
        state.queued.batch.add(change(b"waits", b"1"));
        let waits = Arc::clone(&state.queued.outcome);
        state.land(Err(full().breaking()));
        assert_eq!(
            waits.get().unwrap().as_ref().unwrap_err().kind(),
            ErrorKind::Full
        );
        assert!(state.broken.is_some());
    }

    #[test]
    fn a_landed_flight_is_gone() {
        let mut state = State::default();
        state.queued.batch.add(change(b"k", b"1"));
        let outcome = Arc::clone(&state.queued.outcome);
        state.take_off();
        state.land(Ok(()));
        assert!(matches!(outcome.get(), Some(Ok(()))));
        assert!(state.layers(0, View::Writer).is_empty());
    }
}
