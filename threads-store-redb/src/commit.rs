//! Group commit: whoever finds no flush under way leads the next one, for all who wait.

use std::sync::{Arc, MutexGuard, PoisonError};

use redb::Database;
use threads_core::Result;
use threads_core::datastore::{Durability, Layer};

use crate::check;
use crate::fault::{Failure, Fault};
use crate::pending::{Flight, Outcome, Pending, State};
use crate::store::{Redb, Turn};
use crate::table::{self, Tables};

impl Redb {
    /// Commits `changes`. Holds `turn` until they have their place in the order of commits.
    pub(crate) fn commit(
        &self,
        changes: Layer,
        foundations: &[Arc<Outcome>],
        durability: Durability,
        turn: Turn<'_>,
    ) -> Result<()> {
        let mut state = self.lock();
        check_foundations(&state.pending, foundations)?;
        state.commits += u64::from(!changes.is_empty());
        if durability == Durability::Relaxed && !state.pending.has_waiters() {
            if state.pending.acknowledged.is_over_bounds() {
                // Before the changes join: an error must leave nothing of them.
                let outcome = Arc::clone(&state.pending.queued.outcome);
                state = self.settle(state, &outcome)?;
            }
            if !changes.is_empty() {
                state.pending.acknowledged.add(changes);
            }
            return Ok(());
        }
        state.pending.queued.batch.add(changes);
        let outcome = Arc::clone(&state.pending.queued.outcome);
        drop(state);
        // An immediate commit keeps its turn, so that nobody joins its sync after it.
        let _kept = (durability == Durability::Immediate).then_some(turn);
        self.settle(self.lock(), &outcome).map(drop)
    }

    /// Waits until `outcome` is known, leading flights while nobody else does.
    fn settle<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        outcome: &Outcome,
    ) -> Result<MutexGuard<'a, State>> {
        loop {
            match outcome.get() {
                Some(Ok(())) => return Ok(state),
                Some(Err(fault)) => return Err(fault.to_error()),
                None if state.pending.flight.is_some() => {
                    state = self
                        .landed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                None => state = self.lead(state),
            }
        }
    }

    /// Takes everything that is not on disk there, in one transaction of redb with one sync.
    pub(crate) fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let flight = state.pending.take_off();
        drop(state);
        let result = if flight.is_empty() {
            Ok(None)
        } else {
            self.carry(&flight).map(Some)
        };
        let mut state = self.lock();
        let landed = result.map(|rows| {
            if let Some(rows) = rows {
                state.syncs += 1;
                state.rows = rows;
            }
        });
        // The rows and the layers change together, under one lock.
        state.pending.land(landed);
        self.landed.notify_all();
        state
    }

    /// Writes the flight to disk; gives the rows as they are then.
    fn carry(&self, flight: &Flight) -> Result<Arc<Tables>, Fault> {
        let mut slot = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let db = match slot.take() {
            Some(db) => slot.insert(db),
            None => slot.insert(self.restart()?),
        };
        let written = table::write(db, flight.layers()).and_then(|()| Tables::read(db));
        written.map(Arc::new).map_err(|failure| {
            let fault = self.disk.fault(&failure);
            if !fault.breaks {
                // redb does nothing more after any failure, not even reading. It starts again,
                // now or, where that fails, with the next commit.
                drop(slot.take());
                *slot = self.restart().ok();
            }
            fault
        })
    }

    /// Starts redb again, as after a crash: the last whole commit is what is there.
    fn restart(&self) -> Result<Database, Fault> {
        self.disk.forgive();
        let fault = |failure: Failure| self.disk.fault(&failure);
        let db = check::start(self.disk.clone(), self.cache_bytes).map_err(fault)?;
        let rows = Tables::read(&db).map_err(fault)?;
        self.lock().rows = Arc::new(rows);
        Ok(db)
    }

    /// The last chance of what is acknowledged. Nobody is left to hear of an error.
    pub(crate) fn flush_at_last(&self) {
        let state = self.lock();
        if state.pending.broken.is_none() && !state.pending.acknowledged.layer.is_empty() {
            drop(self.lead(state));
        }
    }
}

/// Whether everything that a commit is built on still stands.
fn check_foundations(pending: &Pending, foundations: &[Arc<Outcome>]) -> Result<()> {
    let lost = foundations
        .iter()
        .find_map(|outcome| outcome.get()?.as_ref().err());
    match lost.or(pending.broken.as_ref()) {
        Some(fault) => Err(fault.to_error()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use threads_core::ErrorKind;
    use threads_core::datastore::{Datastore, Keyspace};

    use super::*;

    /// A writer that began above a commit which is then lost cannot commit.
    #[test]
    fn a_writer_falls_with_what_it_was_built_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Redb::open(dir.path()).unwrap();
        let mut lost = Layer::default();
        lost.set(Keyspace::Meta, *b"lost", Some(b"v"[..].into()));
        store.lock().pending.queued.batch.add(lost);
        let mut txn = store.write().unwrap();
        assert!(txn.get(Keyspace::Meta, b"lost").unwrap().is_some());
        txn.put(Keyspace::Meta, b"above", b"v").unwrap();
        let mut state = store.lock();
        state.pending.take_off();
        state.pending.land(Err(Fault::disk_full("")));
        drop(state);
        let error = txn.commit(Durability::Relaxed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);

        let mut txn = store.write().unwrap();
        assert!(txn.get(Keyspace::Meta, b"lost").unwrap().is_none());
        assert!(txn.get(Keyspace::Meta, b"above").unwrap().is_none());
        txn.put(Keyspace::Meta, b"next", b"v").unwrap();
        txn.commit(Durability::Group).unwrap();
    }
}
