//! Gets to the end of a file in small steps, so that a process that runs long pays for checks once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, TryLockError};

use threads_core::datastore::Keyspace;
use threads_core::{ErrorKind, Result};

use super::guard::Guard;
use super::path::{Place, Table};

/// How many reads pass from one step to the next.
const READS_A_STEP: u32 = 16;
/// How many long values one step reads at most.
const LONG_VALUES_A_STEP: u32 = 4;

/// How far the sweep is.
#[derive(Default)]
pub(super) struct Sweep {
    reads: AtomicU32,
    at: Mutex<Position>,
}

#[derive(Default)]
struct Position {
    /// A place in [`Keyspace::ALL`].
    space: usize,
    /// The first key that is not swept, if that is not the very first.
    from: Option<Vec<u8>>,
}

impl Guard {
    /// Whether a step is due after one more read.
    pub(super) fn step_is_due(&self) -> bool {
        self.sweep.reads.fetch_add(1, Ordering::Relaxed) % READS_A_STEP == READS_A_STEP - 1
    }

    /// One step: a leaf and its rows. `table` gives a keyspace as the present snapshot has it.
    ///
    /// Ranges of keys that are behind stay behind: what LMDB does to them later, it does to pages
    /// that are checked. Damage is for those to hear of who want what is damaged; here it ends the
    /// sweep, and the guard stays.
    pub(super) fn step<'n>(&self, table: impl Fn(Keyspace) -> Result<Table<'n>>) {
        let mut at = match self.sweep.at.try_lock() {
            Ok(at) => at,
            Err(TryLockError::Poisoned(at)) => at.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if self.is_rotten() {
            return;
        }
        let Some(space) = Keyspace::ALL.get(at.space) else {
            return;
        };
        match table(*space).and_then(|table| self.sweep_leaf(&table, &mut at)) {
            Ok(()) if at.space == Keyspace::ALL.len() => self.finish(),
            Err(error) if error.kind() == ErrorKind::Corrupt => self.set_rotten(),
            // A disk that cannot be read now may be read by the next step.
            _ => {}
        }
    }

    fn sweep_leaf(&self, table: &Table<'_>, at: &mut Position) -> Result<()> {
        let place = at.from.as_deref().map_or(Place::First, Place::At);
        let Some(path) = self.path(table, place)? else {
            at.space += 1;
            return Ok(());
        };
        let (leaf, mut long) = (path.leaf()?, 0);
        for index in 0..leaf.nodes {
            let node = leaf.node(index)?;
            long += u32::from(self.is_unread(&node)?);
            if long > LONG_VALUES_A_STEP {
                return Ok(());
            }
            self.check_seal(table.name, &node)?;
        }
        at.from = path.leaf_bounds()?.high.map(<[u8]>::to_vec);
        at.space += usize::from(at.from.is_none());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use threads_core::datastore::{Datastore, DatastoreExt, Durability};

    use crate::{Lmdb, LmdbOptions};

    const ROWS: u32 = 2_000;

    fn is_guarded(store: &Lmdb) -> bool {
        store.watch(&mut store.lock().own).is_some()
    }

    fn read_much(store: &Lmdb) {
        for i in 0..30_000u32 {
            let read = store.read().unwrap();
            let found = read.get(super::Keyspace::Meta, &(i % ROWS).to_be_bytes());
            found.unwrap();
        }
    }

    #[test]
    fn the_guard_goes_when_everything_is_checked_and_stays_beside_rot() {
        let dir = tempfile::tempdir().unwrap();
        let store = Lmdb::open(dir.path()).unwrap();
        store
            .transact(Durability::Group, |txn| {
                for i in 0..ROWS {
                    txn.put(super::Keyspace::Meta, &i.to_be_bytes(), &[1; 100])?;
                }
                txn.put(super::Keyspace::Views, b"long", &[2; 20_000])
            })
            .unwrap();
        drop(store);
        let mut options = LmdbOptions {
            check_bytes_max: 0,
            ..LmdbOptions::default()
        };
        let store = options.open(dir.path()).unwrap();
        assert!(is_guarded(&store));
        read_much(&store);
        assert!(!is_guarded(&store));
        assert!(store.lock().own.guard.is_none(), "nor does its map stay");
        drop(store);

        let file = dir.path().join("data.mdb");
        let mut bytes = std::fs::read(&file).unwrap();
        let long = bytes.windows(1_000).rposition(|bytes| bytes == [2; 1_000]);
        bytes[long.unwrap()] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        for check_bytes_max in [0, u64::MAX] {
            options.check_bytes_max = check_bytes_max;
            let store = options.open(dir.path()).unwrap();
            read_much(&store);
            assert!(is_guarded(&store));
        }
    }
}
