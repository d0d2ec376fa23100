//! Codecs that were installed since a thread was last open: their events are applied now.

use threads_core::Result;
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};

use crate::db::Db;
use crate::definitions;
use crate::entity::EntityRow;
use crate::history;
use crate::layout::{self, Prefix, meta};
use crate::thread::Thread;

impl Db {
    /// Applies what waited for codecs that are installed now, and brings definitions and indexes in
    /// line. Does nothing when the codecs are those of the last time, or the store is only read:
    /// whoever writes to it next will do it.
    pub(crate) fn install_codecs(&self) -> Result<()> {
        let thread = self.thread();
        let (key, installed) = (meta::codecs(thread.number), thread.node.codecs.names());
        let seen = {
            let txn = thread.node.store.read()?;
            let seen = txn.get(Keyspace::Meta, &key)?.unwrap_or_default();
            String::from_utf8_lossy(&seen).into_owned()
        };
        if seen == installed {
            return Ok(());
        }
        let Some(mut txn) = thread.node.writer()? else {
            return Ok(());
        };
        let known: Vec<_> = seen.split(' ').collect();
        if !installed.split(' ').all(|codec| known.contains(&codec)) {
            install(&mut *txn, thread)?;
        }
        txn.put(Keyspace::Meta, &key, installed.as_bytes())?;
        txn.commit(thread.node.durability)
    }
}

fn install(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    let applied = apply_waiting(txn, thread)?;
    definitions::changed(txn, thread)?;
    if applied > 0 {
        // What the events changed is not in any view yet.
        for reducer in &thread.node.reducers {
            txn.delete(
                Keyspace::Meta,
                &meta::reducer(thread.number, reducer.name()),
            )?;
        }
    }
    Ok(())
}

/// Replays every entity that waited for a codec which is here now; gives how many.
fn apply_waiting(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<u64> {
    let waiting = waiting(txn.as_read(), thread)?;
    let mut applied = 0;
    for key in waiting {
        let Some(row) = EntityRow::get(txn.as_read(), &key)? else {
            continue;
        };
        let made = history::made_again(txn.as_read(), thread, &key)?;
        let Some(EntityRow { life, .. }) = made else {
            continue;
        };
        EntityRow {
            last: row.last,
            life,
        }
        .put(txn, &key)?;
        if let Some(collection) = key.get(4..8).and_then(|number| number.try_into().ok()) {
            // Its indexes were not kept while it waited.
            txn.put(
                Keyspace::Meta,
                &meta::stale(u32::from_be_bytes(collection)),
                &[],
            )?;
        }
        applied += 1;
    }
    Ok(applied)
}

/// The keys of entities whose codec was missing and is installed now.
fn waiting(txn: &dyn ReadTxn, thread: &Thread) -> Result<Vec<Vec<u8>>> {
    let bounds = Prefix::new(&layout::thread_prefix(thread.number));
    let mut keys = Vec::new();
    for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
        let (key, value) = row?;
        if let Some(codec) = EntityRow::waiting(&value)?
            && thread.node.codecs.get(&codec).is_ok()
        {
            keys.push(key.into_owned());
        }
    }
    Ok(keys)
}
