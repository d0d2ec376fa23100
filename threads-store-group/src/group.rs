//! Group commit: whoever finds no flush under way leads the next one, for all who wait.
//!
//! A store keeps a [`Group`] and is its [`Carrier`]; [`Writer`](crate::Writer) commits through both.
//!
//! ```
//! use threads_store_group::{Carrier, Fault, Flight, Group};
//!
//! /// A store that has no rows and counts what it is asked to keep.
//! struct Counting {
//!     group: Group<usize>,
//! }
//!
//! impl Carrier for Counting {
//!     fn carry(&self, flight: &Flight) -> Result<(), Fault> {
//!         self.group.lock().own += flight.changes().count();
//!         Ok(())
//!     }
//! }
//!
//! let store = Counting { group: Group::new(0) };
//! assert_eq!(store.group.lock().own, 0);
//! store.group.close(&store);
//! ```

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use threads_core::datastore::{Durability, Layer, ReadTxn};
use threads_core::{Error, Result};

use crate::fault::Fault;
use crate::flight::{Flight, Outcome};
use crate::pending::Pending;
use crate::snapshot::{Snapshot, View};

/// How a flight gets to the disk of one store. See the [module](self).
pub trait Carrier {
    /// Takes a flight to disk, with one sync: all of it, or nothing.
    ///
    /// The group is not locked meanwhile, and no other flight is carried. As soon as a snapshot of
    /// the rows may have the flight, it says so by the flight's number: see [`State::snapshot`].
    ///
    /// # Errors
    ///
    /// A fault that [breaks](Fault::breaks) the store when it is not known whether the flight is on
    /// disk. Otherwise nothing of it is; what has been acknowledged flies again.
    fn carry(&self, flight: &Flight) -> Result<(), Fault>;
}

/// What is committed in one store and not on disk yet, whose turn it is to write, and what the store keeps
/// beside that. See the [module](self).
pub struct Group<Own> {
    state: Mutex<State<Own>>,
    /// The writer's turn is free.
    turn_free: Condvar,
    /// A flight landed.
    landed: Condvar,
}

/// What is under the lock of a [`Group`]. See the [module](self).
pub struct State<Own> {
    /// What the store keeps here.
    pub own: Own,
    /// The thread that holds the write transaction.
    turn: Option<ThreadId>,
    pub(crate) pending: Pending,
    commits: u64,
    syncs: u64,
}

/// What a store has done since it was opened. See the [module](self).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Commits that changed something and succeeded or still wait.
    pub commits: u64,
    /// Flights that reached the disk; each carried one commit or many.
    pub syncs: u64,
    /// Relaxed commits that are acknowledged and not on disk yet.
    pub unsynced: usize,
}

impl<Own> State<Own> {
    /// The rows of this moment, and what is to be laid over them in this view. See the [module](self).
    ///
    /// `carried` is the number of the last flight that the rows have: 0 when none took off since the
    /// store was opened. They must have no part of a later one, and all of those that landed.
    pub fn snapshot<R: ReadTxn>(&self, rows: R, carried: u64, view: View) -> Snapshot<R> {
        Snapshot {
            rows,
            layers: self.pending.layers(carried, view),
            foundations: self.pending.foundations(view),
        }
    }

    /// What the store has done since it was opened. See the [module](self).
    pub fn counts(&self) -> Counts {
        Counts {
            commits: self.commits,
            syncs: self.syncs,
            unsynced: self.pending.unsynced(),
        }
    }
}

impl<Own> Group<Own> {
    /// A group of no commits, and what the store keeps beside it. See the [module](self).
    pub fn new(own: Own) -> Self {
        Self {
            state: Mutex::new(State {
                own,
                turn: None,
                pending: Pending::default(),
                commits: 0,
                syncs: 0,
            }),
            turn_free: Condvar::new(),
            landed: Condvar::new(),
        }
    }

    /// The state, locked. Never held while the disk is written. See the [module](self).
    ///
    /// A panic elsewhere while the lock was held is taken to have broken nothing: each change of what
    /// a store keeps here has to be one assignment, or to end in a consistent state before anything
    /// can panic.
    pub fn lock(&self) -> MutexGuard<'_, State<Own>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the one writer's turn, and takes it. See the [module](self).
    ///
    /// # Errors
    ///
    /// [`Invalid`](threads_core::ErrorKind::Invalid) when this thread has the turn already; the
    /// fault that broke the store, if one did.
    pub fn turn(&self) -> Result<Turn<'_, Own>> {
        let me = thread::current().id();
        let mut state = self.lock();
        if state.turn == Some(me) {
            return Err(Error::invalid(
                "this thread holds the write transaction already: commit or drop it first",
            ));
        }
        state = self
            .turn_free
            .wait_while(state, |state| state.turn.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        state.turn = Some(me);
        drop(state);
        let turn = Turn(self);
        let whole = self.lock().pending.check(&[]);
        whole.map(|()| turn)
    }
    /// The last chance of what is acknowledged, when the store is dropped. Nobody is left to hear of an
    /// error. See the [module](self).
    pub fn close(&self, carrier: &dyn Carrier) {
        let state = self.lock();
        if state.pending.broken.is_none() && !state.pending.acknowledged.layer.is_empty() {
            drop(self.lead(carrier, state, true));
        }
    }

    /// Waits until `outcome` is known, leading flights while nobody else does.
    fn settle<'a>(
        &'a self,
        carrier: &dyn Carrier,
        mut state: MutexGuard<'a, State<Own>>,
        outcome: &Outcome,
    ) -> Result<MutexGuard<'a, State<Own>>> {
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
                None => state = self.lead(carrier, state, false),
            }
        }
    }

    /// Takes everything that is not on disk there, as one flight with one sync.
    fn lead<'a>(
        &'a self,
        carrier: &dyn Carrier,
        mut state: MutexGuard<'a, State<Own>>,
        last: bool,
    ) -> MutexGuard<'a, State<Own>> {
        let flight = state.pending.take_off(last);
        drop(state);
        let result = if flight.is_empty() {
            Ok(())
        } else {
            carrier.carry(&flight)
        };
        let mut state = self.lock();
        state.syncs += u64::from(result.is_ok() && !flight.is_empty());
        state.pending.land(result);
        self.landed.notify_all();
        state
    }
}

/// The one writer's turn, until it is dropped. See the [module](self).
pub struct Turn<'a, Own>(&'a Group<Own>);

impl<Own> Turn<'_, Own> {
    /// Commits `changes`. The turn is held until they have their place in the order of commits.
    pub(crate) fn commit(
        self,
        carrier: &dyn Carrier,
        changes: Layer,
        foundations: &[Arc<Outcome>],
        durability: Durability,
    ) -> Result<()> {
        let group = self.0;
        let mut state = group.lock();
        state.pending.check(foundations)?;
        state.commits += u64::from(!changes.is_empty());
        if durability == Durability::Relaxed && !state.pending.has_waiters() {
            if state.pending.acknowledged.is_over_bounds() {
                // Before the changes join: an error must leave nothing of them.
                let outcome = Arc::clone(&state.pending.queued.outcome);
                state = group.settle(carrier, state, &outcome)?;
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
        let _kept = (durability == Durability::Immediate).then_some(self);
        group.settle(carrier, group.lock(), &outcome).map(drop)
    }
}

impl<Own> Drop for Turn<'_, Own> {
    fn drop(&mut self) {
        self.0.lock().turn = None;
        self.0.turn_free.notify_one();
    }
}

impl<Own> fmt::Debug for Group<Own> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Group").field(&self.lock().counts()).finish()
    }
}

impl<Own> fmt::Debug for State<Own> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&self.counts()).finish()
    }
}

impl<Own> fmt::Debug for Turn<'_, Own> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
mod tests {
    use std::borrow::Cow;

    use threads_core::ErrorKind;
    use threads_core::datastore::{Direction, KeyRange, Keyspace, Scan, WriteTxn};

    use super::*;
    use crate::Writer;

    /// A store without rows, whose flights reach nothing.
    struct Void(Group<()>);

    struct NoRows;

    impl ReadTxn for NoRows {
        fn get(&self, _: Keyspace, _: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
            Ok(None)
        }

        fn scan(&self, _: Keyspace, _: KeyRange<'_>, _: Direction) -> Result<Scan<'_>> {
            Ok(Box::new(std::iter::empty()))
        }
    }

    impl Carrier for Void {
        fn carry(&self, _: &Flight) -> Result<(), Fault> {
            Ok(())
        }
    }

    impl Void {
        fn write(&self) -> Box<Writer<'_, (), NoRows>> {
            let turn = self.0.turn().unwrap();
            let snapshot = self.0.lock().snapshot(NoRows, 0, View::Writer);
            Box::new(Writer::new(self, snapshot, turn))
        }
    }

    /// A writer that began above a commit which is then lost cannot commit.
    #[test]
    fn a_writer_falls_with_what_it_was_built_on() {
        let store = Void(Group::new(()));
        let mut lost = Layer::default();
        lost.set(Keyspace::Meta, *b"lost", Some(b"v"[..].into()));
        store.0.lock().pending.queued.batch.add(lost);
        let mut txn = store.write();
        assert!(txn.get(Keyspace::Meta, b"lost").unwrap().is_some());
        txn.put(Keyspace::Meta, b"above", b"v").unwrap();
        let mut state = store.0.lock();
        state.pending.take_off(false);
        state.pending.land(Err(Fault::disk_full()));
        drop(state);
        let error = txn.commit(Durability::Relaxed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);

        let mut txn = store.write();
        assert!(txn.get(Keyspace::Meta, b"lost").unwrap().is_none());
        assert!(txn.get(Keyspace::Meta, b"above").unwrap().is_none());
        txn.put(Keyspace::Meta, b"next", b"v").unwrap();
        txn.commit(Durability::Group).unwrap();
        assert_eq!(store.0.lock().counts().syncs, 1);
    }

    /// What has been acknowledged and lies above what waits could not be shown without it.
    #[test]
    fn a_relaxed_commit_above_one_that_waits_waits_with_it() {
        let store = Void(Group::new(()));
        let mut waits = Layer::default();
        waits.set(Keyspace::Meta, *b"waits", Some(b"v"[..].into()));
        store.0.lock().pending.queued.batch.add(waits);
        let mut txn = store.write();
        txn.put(Keyspace::Meta, b"above", b"v").unwrap();
        txn.commit(Durability::Relaxed).unwrap();
        let counts = store.0.lock().counts();
        assert_eq!((counts.syncs, counts.unsynced), (1, 0));
    }
}
