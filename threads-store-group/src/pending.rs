//! What is committed and not on disk yet, and who may see it.
//!
//! Four layers lie over the rows on disk, oldest first:
//!
//! 1. the *flight*: what the present leader is writing, itself in two parts, acknowledged below
//!    and queued above;
//! 2. *acknowledged*: relaxed commits that have returned. Readers see them;
//! 3. *queued*: commits that wait for their sync. Only the next writer sees them.
//!
//! A relaxed commit that lies above a queued one cannot be shown without it, so it waits with
//! it. That keeps the two parts in order: nothing acknowledged ever lies above something queued.

use std::mem;
use std::sync::Arc;

use threads_core::Result;
use threads_core::datastore::Layer;

use crate::fault::Fault;
use crate::flight::{Batch, Flight, Outcome, Queue};
use crate::snapshot::View;

/// The layers.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) acknowledged: Batch,
    pub(crate) queued: Queue,
    pub(crate) flight: Option<Flight>,
    /// How many flights took off.
    flights: u64,
    /// Set when the disk failed: no writes until the store is opened again.
    pub(crate) broken: Option<Fault>,
}

impl Pending {
    /// The layers over rows that have the flights up to number `carried`, newest first.
    pub(crate) fn layers(&self, carried: u64, view: View) -> Vec<Arc<Layer>> {
        // The rows may have the flight while its leader has not come back to say so. Then laying its
        // older part over its newer one would tear it.
        let flight = self
            .flight
            .as_ref()
            .filter(|flight| flight.number > carried);
        let writer = view == View::Writer;
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

    /// Whether everything that a commit is built on still stands.
    pub(crate) fn check(&self, foundations: &[Arc<Outcome>]) -> Result<()> {
        let lost = foundations
            .iter()
            .find_map(|outcome| outcome.get()?.as_ref().err());
        match lost.or(self.broken.as_ref()) {
            Some(fault) => Err(fault.to_error()),
            None => Ok(()),
        }
    }

    /// Whether a commit made now lies above one that waits for its sync.
    pub(crate) fn has_waiters(&self) -> bool {
        self.queued.batch.commits > 0 || self.flight.as_ref().is_some_and(Flight::has_waiters)
    }

    /// Relaxed commits that have returned and are not known to be on disk.
    pub(crate) fn unsynced(&self) -> usize {
        let flying = self.flight.as_ref();
        self.acknowledged.commits + flying.map_or(0, |flight| flight.acknowledged.commits)
    }

    /// Everything that is not on disk becomes the flight.
    pub(crate) fn take_off(&mut self, last: bool) -> Flight {
        self.flights += 1;
        let flight = Flight {
            number: self.flights,
            last,
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
            if fault.breaks() {
                self.broken = Some(fault.clone());
            }
            if flight.has_waiters() || fault.breaks() {
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
#[allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
mod tests {
    use threads_core::ErrorKind;
    use threads_core::datastore::Keyspace;

    use super::*;

    fn change(key: &[u8], value: &[u8]) -> Layer {
        let mut layer = Layer::default();
        layer.set(Keyspace::Meta, key, Some(value.into()));
        layer
    }

    fn seen(pending: &Pending, carried: u64, view: View, key: &[u8]) -> Option<Vec<u8>> {
        let layers = pending.layers(carried, view);
        let change = layers
            .iter()
            .find_map(|layer| layer.get(Keyspace::Meta, key).cloned());
        change.flatten().map(|value| value.to_vec())
    }

    fn kind(outcome: &Outcome) -> ErrorKind {
        outcome.get().unwrap().as_ref().unwrap_err().kind()
    }

    #[test]
    fn readers_see_what_is_acknowledged_and_writers_see_all() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"k", b"1"));
        pending.queued.batch.add(change(b"flies", b"1"));
        pending.take_off(false);
        pending.queued.batch.add(change(b"waits", b"1"));
        assert_eq!(seen(&pending, 0, View::Reader, b"k").unwrap(), b"1");
        for waiting in [&b"flies"[..], b"waits"] {
            assert_eq!(seen(&pending, 0, View::Reader, waiting), None);
            assert_eq!(seen(&pending, 0, View::Writer, waiting).unwrap(), b"1");
        }
        pending.land(Err(Fault::disk_full()));
        pending.acknowledged.add(change(b"k", b"2"));
        pending.queued.batch.add(change(b"k", b"3"));
        assert_eq!(seen(&pending, 0, View::Reader, b"k").unwrap(), b"2");
        assert_eq!(seen(&pending, 0, View::Writer, b"k").unwrap(), b"3");
    }

    #[test]
    fn a_flight_that_the_rows_have_is_not_laid_over_them() {
        let mut pending = Pending::default();
        pending.take_off(false);
        pending.land(Ok(()));
        pending.acknowledged.add(change(b"k", b"1"));
        pending.queued.batch.add(change(b"k", b"2"));
        assert_eq!(pending.take_off(false).number(), 2);
        assert_eq!(seen(&pending, 1, View::Reader, b"k").unwrap(), b"1");
        assert_eq!(seen(&pending, 1, View::Writer, b"k").unwrap(), b"2");
        assert_eq!(seen(&pending, 2, View::Reader, b"k"), None);
        assert_eq!(seen(&pending, 2, View::Writer, b"k"), None);
        // What comes after it is laid over them all the same.
        pending.acknowledged.add(change(b"k", b"3"));
        assert_eq!(seen(&pending, 2, View::Reader, b"k").unwrap(), b"3");
    }

    #[test]
    fn of_a_key_in_both_layers_the_newer_change_flies() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"both", b"old"));
        pending.acknowledged.add(change(b"older", b"1"));
        pending.queued.batch.add(change(b"both", b"new"));
        let flight = pending.take_off(false);
        let both = (Keyspace::Meta, &b"both"[..], Some(&b"new"[..]));
        let older = (Keyspace::Meta, &b"older"[..], Some(&b"1"[..]));
        assert_eq!(flight.changes().collect::<Vec<_>>(), [older, both]);
    }

    #[test]
    fn a_lost_flight_takes_down_what_was_built_on_it_and_keeps_what_was_acknowledged() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"kept", b"1"));
        pending.queued.batch.add(change(b"lost", b"1"));
        let flying = Arc::clone(&pending.queued.outcome);
        pending.take_off(false);
        let running_writer = pending.foundations(View::Writer);
        pending.queued.batch.add(change(b"above", b"1"));
        let above = Arc::clone(&pending.queued.outcome);
        assert!(pending.has_waiters());

        pending.land(Err(Fault::disk_full()));
        for outcome in [&flying, &above, &running_writer[0]] {
            assert_eq!(kind(outcome), ErrorKind::Full);
        }
        assert!(pending.check(&running_writer).is_err());
        assert_eq!(seen(&pending, 0, View::Reader, b"kept").unwrap(), b"1");
        assert_eq!(seen(&pending, 0, View::Writer, b"lost"), None);
        assert_eq!(seen(&pending, 0, View::Writer, b"above"), None);
        assert!(pending.broken.is_none() && !pending.has_waiters());
        assert!(pending.foundations(View::Writer).is_empty());
    }

    #[test]
    fn a_failed_flight_without_waiters_takes_nothing_down() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"k", b"old"));
        pending.acknowledged.add(change(b"below", b"1"));
        pending.take_off(false);
        pending.acknowledged.add(change(b"k", b"new"));
        pending.queued.batch.add(change(b"waits", b"1"));
        let waits = Arc::clone(&pending.queued.outcome);

        pending.land(Err(Fault::disk_full()));
        assert!(waits.get().is_none());
        assert_eq!(seen(&pending, 0, View::Reader, b"k").unwrap(), b"new");
        assert_eq!(seen(&pending, 0, View::Reader, b"below").unwrap(), b"1");
        assert_eq!(seen(&pending, 0, View::Writer, b"waits").unwrap(), b"1");
        assert_eq!(pending.unsynced(), 3);
        assert_eq!(pending.acknowledged.layer.bytes(), b"knewbelow1".len());
    }

    #[test]
    fn a_broken_disk_takes_everything_down_that_waits() {
        let mut pending = Pending::default();
        pending.acknowledged.add(change(b"k", b"1"));
        pending.take_off(false);
        pending.queued.batch.add(change(b"waits", b"1"));
        let waits = Arc::clone(&pending.queued.outcome);
        pending.land(Err(Fault::disk_full().breaking()));
        assert_eq!(kind(&waits), ErrorKind::Full);
        assert!(pending.broken.is_some() && pending.check(&[]).is_err());
    }

    #[test]
    fn a_landed_flight_is_gone() {
        let mut pending = Pending::default();
        pending.queued.batch.add(change(b"k", b"1"));
        let outcome = Arc::clone(&pending.queued.outcome);
        pending.take_off(false);
        pending.land(Ok(()));
        assert!(matches!(outcome.get(), Some(Ok(()))));
        assert!(pending.layers(0, View::Writer).is_empty());
    }
}
