//! Group commit: whoever finds no flush under way leads the next one, for all who wait.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::sync::{Arc, MutexGuard, PoisonError};

use heed::{MdbError, RwTxn};
use threads_core::datastore::{Durability, Layer, seal_row};
use threads_core::{Error, ErrorKind, Result};

use crate::check::Watch;
use crate::env::{self, DATA_FILE};
use crate::fault::Fault;
use crate::state::{Flight, Outcome, State};
use crate::store::{Lmdb, Turn, Writing};

/// The most bytes that a commit which also removes something may put, to use the reserve.
const RESERVED_PUT_BYTES_MAX: usize = 256 * 1024;
/// How much is written beyond the end of the data to learn whether the disk is full.
const PROBE_BYTES: usize = 1 << 20;

impl Lmdb {
    /// Commits `changes`. Holds `turn` until they have their place in the order of commits.
    pub(crate) fn commit(
        &self,
        changes: Layer,
        foundations: &[Arc<Outcome>],
        durability: Durability,
        turn: Turn<'_>,
    ) -> Result<()> {
        let mut state = self.lock();
        check_foundations(&state, foundations)?;
        state.commits += u64::from(!changes.is_empty());
        if durability == Durability::Relaxed && !state.has_waiters() {
            if state.acknowledged.is_over_bounds() {
                // Before the changes join: an error must leave nothing of them.
                let outcome = Arc::clone(&state.queued.outcome);
                state = self.settle(state, &outcome)?;
            }
            if !changes.is_empty() {
                state.acknowledged.add(changes);
            }
            return Ok(());
        }
        state.queued.batch.add(changes);
        let outcome = Arc::clone(&state.queued.outcome);
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
                None if state.flight.is_some() => {
                    state = self
                        .landed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                None => state = self.lead(state, Reserved::IfRemoving),
            }
        }
    }

    /// Takes everything that is not on disk there, in one LMDB transaction with one sync.
    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        reserved: Reserved,
    ) -> MutexGuard<'a, State> {
        let flight = state.take_off();
        drop(state);
        let result = if flight.is_empty() {
            Ok(false)
        } else {
            self.carry(&flight, reserved)
        };
        let mut state = self.lock();
        state.syncs += u64::from(matches!(result, Ok(true)));
        state.land(result.map(drop));
        self.landed.notify_all();
        state
    }

    /// `Ok(true)` when the flight is on disk.
    fn carry(&self, flight: &Flight, reserved: Reserved) -> Result<bool, Fault> {
        let Some(writing) = &self.writing else {
            return Ok(false);
        };
        let reserved = reserved == Reserved::Always || may_use_reserve(&flight.queued.batch.layer);
        // Each turn either doubles the map up to its bound or gives the one reserve up.
        loop {
            match self.write_out(flight) {
                Ok(()) => {
                    writing.reserve.renew();
                    return Ok(true);
                }
                Err(Unwritten::Refused(error)) => return Err(Fault::of_check(&error)),
                Err(Unwritten::Heed(heed::Error::Mdb(MdbError::MapFull))) => {
                    self.grow(writing, reserved)?;
                }
                Err(Unwritten::Heed(error)) => {
                    let fault = self.diagnose(&error);
                    let relieved =
                        fault.kind() == ErrorKind::Full && reserved && writing.reserve.release();
                    if !relieved {
                        return Err(fault);
                    }
                }
            }
        }
    }

    /// LMDB's transaction begins and ends here, on the leader's thread, to which it is bound.
    fn write_out(&self, flight: &Flight) -> Result<(), Unwritten> {
        let mut txn = self.env.write_txn()?;
        let mut state = self.lock();
        state.board(txn.id());
        let watch = self.watch(&mut state);
        drop(state);
        if let Some(watch) = watch {
            admit(&watch, &txn, flight).map_err(Unwritten::Refused)?;
        }
        let mut sealed = Vec::new();
        // Each key is written once: a long value that shrinks in the same transaction keeps pages
        // that it does not need, and that is what damage looks like.
        for (space, key, change) in flight.changes() {
            let Ok(table) = self.tables.of(space) else {
                continue;
            };
            match change {
                Some(value) => {
                    seal_row(space.name(), key, value, &mut sealed);
                    table.put(&mut txn, key, &sealed)?;
                }
                None => {
                    table.delete(&mut txn, key)?;
                }
            }
        }
        self.tables.stamp(&mut txn)?;
        Ok(txn.commit()?)
    }

    /// LMDB reports a write cut short by a full disk as an I/O error; this tells them apart.
    fn diagnose(&self, error: &heed::Error) -> Fault {
        let fault = Fault::of(error);
        if fault.breaks && matches!(error, heed::Error::Io(_)) && self.disk_is_full() {
            return Fault::disk_full();
        }
        fault
    }

    /// Tries to write beyond the end of the data file, where nothing is that anyone reads, so
    /// that every limit counts: of the disk, of a quota, and of a file's length.
    fn disk_is_full(&self) -> bool {
        let probe = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .open(self.dir.join(DATA_FILE))?;
            let end = file.seek(SeekFrom::End(0))?;
            let written = file
                .write_all(&vec![0; PROBE_BYTES])
                .and_then(|()| file.sync_data());
            file.set_len(end)?;
            written
        };
        probe().is_err_and(|error| Fault::of(&heed::Error::Io(error)).kind() == ErrorKind::Full)
    }

    /// Doubles the map. Beyond its largest size there is only what removals may use.
    fn grow(&self, writing: &Writing, reserved: bool) -> Result<(), Fault> {
        // A reader that was killed keeps pages from being used again until it is cleared away.
        let _ = self.env.clear_stale_readers();
        let headroom = if reserved {
            writing.reserve.bytes() as usize
        } else {
            0
        };
        let most = writing.map_bytes_max.saturating_add(headroom);
        let bytes = self.env.info().map_size;
        if bytes >= most {
            return Err(Fault::of(&heed::Error::Mdb(MdbError::MapFull)));
        }
        self.remap(bytes.saturating_mul(2).min(most))
    }

    /// Changes the size of the map as soon as no snapshot is open, and waits for that in bounds.
    pub(crate) fn remap(&self, bytes: usize) -> Result<(), Fault> {
        let mut state = self.lock();
        state.remapping = true;
        let (mut state, _) = self
            .drained
            .wait_timeout_while(state, self.readers_wait, |state| state.readers > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.remapping = false;
        self.remapped.notify_all();
        if state.readers > 0 {
            return Err(Fault::new(
                ErrorKind::Unavailable,
                "the store must grow, and open read transactions keep it from growing: \
                 close them and try again",
            ));
        }
        env::remap(&self.env, bytes).map_err(|error| {
            let fault = Fault::of(&error).breaking();
            state.unmapped = Some(fault.clone());
            fault
        })
    }

    /// The last chance of what is acknowledged. Nobody is left to hear of an error.
    pub(crate) fn flush_at_last(&self) {
        let state = self.lock();
        if state.broken.is_none() && !state.acknowledged.layer.is_empty() {
            drop(self.lead(state, Reserved::Always));
        }
    }
}

/// Why a flight was not written.
enum Unwritten {
    Heed(heed::Error),
    /// A page that it needs is damaged, or cannot be read.
    Refused(Error),
}

impl From<heed::Error> for Unwritten {
    fn from(error: heed::Error) -> Self {
        Self::Heed(error)
    }
}

/// Checks what the changes of a flight reach, before any of them is made.
fn admit(watch: &Watch<'_>, txn: &RwTxn<'_>, flight: &Flight) -> Result<()> {
    let mut changes: Vec<_> = flight
        .changes()
        .map(|(space, key, change)| (space, (key, change.is_none())))
        .collect();
    changes.sort_unstable();
    for of_one in changes.chunk_by(|a, b| a.0 == b.0) {
        let keys: Vec<_> = of_one.iter().map(|(_, change)| *change).collect();
        watch.changes(txn, of_one[0].0, &keys)?;
    }
    watch.sweep(txn);
    Ok(())
}

/// Who may use what is kept back for a full disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reserved {
    /// A small commit that removes something.
    IfRemoving,
    /// Any.
    Always,
}

fn may_use_reserve(queued: &Layer) -> bool {
    let removes = queued.iter().any(|(_, _, change)| change.is_none());
    removes && queued.bytes() <= RESERVED_PUT_BYTES_MAX
}

/// Whether everything that a commit is built on still stands.
fn check_foundations(state: &State, foundations: &[Arc<Outcome>]) -> Result<()> {
    let lost = foundations
        .iter()
        .find_map(|outcome| outcome.get()?.as_ref().err());
    match lost.or(state.broken.as_ref()) {
        Some(fault) => Err(fault.to_error()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use threads_core::datastore::{Datastore, Keyspace};

    use super::*;

    /// A writer that began above a commit which is then lost cannot commit.
    #[test]
    fn a_writer_falls_with_what_it_was_built_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Lmdb::open(dir.path()).unwrap();
        let mut lost = Layer::default();
        lost.set(Keyspace::Meta, *b"lost", Some(b"v"[..].into()));
        store.lock().queued.batch.add(lost);
        let mut txn = store.write().unwrap();
        assert!(txn.get(Keyspace::Meta, b"lost").unwrap().is_some());
        txn.put(Keyspace::Meta, b"above", b"v").unwrap();
        let mut state = store.lock();
        state.take_off();
        state.land(Err(Fault::disk_full()));
        drop(state);
        assert_eq!(
            txn.commit(Durability::Relaxed).unwrap_err().kind(),
            ErrorKind::Full
        );

        let mut txn = store.write().unwrap();
        assert!(txn.get(Keyspace::Meta, b"lost").unwrap().is_none());
        assert!(txn.get(Keyspace::Meta, b"above").unwrap().is_none());
        txn.put(Keyspace::Meta, b"next", b"v").unwrap();
        txn.commit(Durability::Group).unwrap();
    }
}
