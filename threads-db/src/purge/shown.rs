//! Whether a record that a peer shows is the one that is here, though one of the two may be emptied.

use std::collections::BTreeMap;

use threads_core::Result;
use threads_core::datastore::ReadTxn;

use super::empty::{self, Fate};
use super::rows;
use crate::chain::{self, Blocks};
use crate::thread::Thread;

/// Whether what a peer shows is what is here. Whoever purged a record need not show what it said, and who did not
/// may have it still; but who shows less than is here has to have been told to, by a purge that counts here. In
/// a thread without rules nobody is told: there the record has to be of the dead, and its reason here.
pub(crate) fn is_shown(
    txn: &dyn ReadTxn,
    thread: &Thread,
    shown: &Blocks,
    ours: &Blocks,
) -> Result<bool> {
    if shown.record != ours.record {
        return Ok(false);
    }
    if ours.is_emptied() || shown == ours {
        return Ok(true);
    }
    let Some(by) = shown.purged_by()? else {
        return Ok(false);
    };
    if rows::listed_by(txn, thread.number, &ours.record_id(), None)?.is_some() {
        return Ok(true);
    }
    if thread.node.policy.rules(&thread.id, txn)?.is_some() {
        return Ok(false);
    }
    let record = (thread.open_record(&ours.record)?, ours);
    let (fate, _) = empty::look(txn, thread, record, &mut BTreeMap::new())?;
    Ok(fate == Fate::Goes && chain::locate(txn, thread.number, &by)?.is_some())
}

/// Whether what a peer shows is what is here, but that it was purged for a reason that is not here.
pub(crate) fn is_ahead(txn: &dyn ReadTxn, thread: &Thread, shown: &Blocks, ours: &Blocks) -> bool {
    let same = shown.record == ours.record;
    let by = shown.purged_by().ok().flatten();
    // What cannot be looked up is not here.
    let here = |by| matches!(chain::locate(txn, thread.number, &by), Ok(Some(_)));
    same && by.is_some_and(|by| !here(by))
}
