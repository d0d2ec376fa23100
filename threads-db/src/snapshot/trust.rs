//! Whose word for a snapshot is enough to begin a thread with it.

use std::collections::BTreeSet;

use threads_core::datastore::ReadTxn;
use threads_core::{Cid, Error, PeerId, Result};

use super::{Snapshot, signed};
use crate::base::Base;
use crate::chain;
use crate::layout::Place;
use crate::thread::Thread;

/// The snapshot that a thread was just opened from, if enough of those who are trusted signed for it in the records
/// after it, as far as these are applied. Its signers are those who count.
///
/// # Errors
///
/// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when they are too few.
pub(crate) fn vouched(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (signers_min, trusted): (usize, &BTreeSet<PeerId>),
) -> Result<Snapshot> {
    let missing = || Error::corrupt("the thread does not begin with a snapshot");
    let base = Base::get(txn, thread.number)?.ok_or_else(missing)?;
    // Whoever says that the name is of other records signed for something else.
    let is_it = |snapshot: &Snapshot| covers(txn, thread, (&base, snapshot));
    let (mut found, mut signers) = (None, BTreeSet::new());
    for snapshot in signed(txn, thread)? {
        if snapshot.id == base.snapshot && is_it(&snapshot)? {
            signers.extend(snapshot.signers.iter().copied());
            found = Some(snapshot);
        }
    }
    let found = found.ok_or_else(|| unsigned(&base.snapshot))?;
    let counts = |signer: &PeerId| trusted.is_empty() || trusted.contains(signer);
    let signers: Vec<_> = signers.into_iter().filter(counts).collect();
    let needed = signers_min.max(1);
    if signers.len() < needed {
        return Err(Error::rejected(
            "too few of those whom you trust signed the snapshot: ask for one that more of them signed, or for all records",
        )
        .with("snapshot", base.snapshot)
        .with("signers", signers.len())
        .with("needed", needed));
    }
    Ok(Snapshot { signers, ..found })
}

/// Whether a snapshot says to cover what a thread begins with.
fn covers(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (base, snapshot): (&Base, &Snapshot),
) -> Result<bool> {
    if snapshot.frontier.len() != base.covered.last.len() {
        return Ok(false);
    }
    for dep in &snapshot.frontier {
        let place = chain::locate(txn, thread.number, &dep.cid)?;
        let is_last =
            |place: &Place| base.covered.last(place.log) == dep.seq && place.seq == dep.seq;
        if !place.as_ref().is_some_and(is_last) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn unsigned(id: &Cid) -> Error {
    Error::rejected(
        "nobody who takes part in the thread signed the snapshot in this file: do not trust it",
    )
    .with("snapshot", id)
}
