//! Which entities the records after a position touched, whatever they did to them.

use std::collections::BTreeSet;

use threads_core::datastore::ReadTxn;
use threads_core::{CollectionName, EntityId, Error, Result};

use crate::base;
use crate::feed;
use crate::history::Events;
use crate::thread::Thread;

/// How many records a live query may be behind before it begins anew.
pub const LIVE_RECORDS_MAX: u64 = 1_024;

/// How many entities those may touch before it begins anew.
pub const LIVE_ENTITIES_MAX: usize = 4_096;

/// The entities of a collection that were touched after the position `seen`, up to `end`; none when there
/// are too many records, or entities.
///
/// A record that was purged names none any more: its entities were dead before, or die by a delete that is
/// in a record of its own.
pub(super) fn since(
    txn: &dyn ReadTxn,
    thread: &Thread,
    collection: &CollectionName,
    (seen, end): (u64, u64),
) -> Result<Option<BTreeSet<EntityId>>> {
    let mut touched = BTreeSet::new();
    if seen < base::position(txn, thread.number)? {
        // What came after it is not here any more.
        return Ok(None);
    }
    if end
        .checked_sub(seen)
        .is_none_or(|records| records > LIVE_RECORDS_MAX)
    {
        return Ok(None);
    }
    let mut events = Events::new(txn, thread);
    for position in seen + 1..=end {
        let row = feed::row(txn, thread.number, position)?
            .ok_or_else(|| Error::corrupt("the feed has a gap").with("position", position))?;
        let opened = events.record(row.place)?;
        let batch = opened.batch().map_or(&[][..], |batch| &batch.events);
        let ours = batch.iter().filter(|event| event.collection == *collection);
        touched.extend(ours.map(|event| event.entity.clone()));
        if touched.len() > LIVE_ENTITIES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(touched))
}
