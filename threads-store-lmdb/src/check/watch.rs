//! One snapshot under its guard.

use std::mem;
use std::sync::{Arc, Mutex, OnceLock};

use heed::RoTxn;
use threads_core::Result;
use threads_core::datastore::{Direction, KeyRange, Keyspace};

use super::ahead::Ahead;
use super::guard::Guard;
use super::path::{Path, Table};
use super::tree::Tree;
use crate::env::Tables;

/// How many steps of the sweep go with a commit.
const STEPS_A_COMMIT: u32 = 4;

/// What a transaction asks before it lets LMDB touch a page.
pub(crate) struct Watch<'a> {
    guard: Arc<Guard>,
    tables: &'a Tables<'static>,
    /// In the order of [`Keyspace::ALL`].
    spaces: Vec<Space>,
}

/// A keyspace as the transaction sees it.
#[derive(Default)]
struct Space {
    root: OnceLock<Tree>,
    /// The last way to a leaf: the next one has much of it in common.
    near: Mutex<Path>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(guard: Arc<Guard>, tables: &'a Tables<'static>) -> Self {
        let spaces = Keyspace::ALL.iter().map(|_| Space::default()).collect();
        Self {
            guard,
            tables,
            spaces,
        }
    }

    /// Whether there is anything left to ask.
    pub(crate) fn is_needed(&self) -> bool {
        !self.guard.is_done()
    }

    /// Before LMDB looks `key` up.
    pub(crate) fn get(&self, txn: &RoTxn<'_>, space: Keyspace, key: &[u8]) -> Result<()> {
        if self.guard.is_done() {
            return Ok(());
        }
        self.read(txn);
        let table = self.table(txn, space)?;
        let path = self.guard.before_get(&table, key, self.take_near(space))?;
        self.keep_near(space, path);
        Ok(())
    }

    /// Before LMDB is given the changes of one keyspace, in the order of their keys; `true`
    /// removes. The transaction has changed nothing yet.
    pub(crate) fn changes(
        &self,
        txn: &RoTxn<'_>,
        space: Keyspace,
        changes: &[(&[u8], bool)],
    ) -> Result<()> {
        self.guard.before_changes(&self.table(txn, space)?, changes)
    }

    /// Beside a commit: a few pages more.
    pub(crate) fn sweep(&self, txn: &RoTxn<'_>) {
        for _ in 0..STEPS_A_COMMIT {
            self.guard.step(|space| self.table(txn, space));
        }
    }

    /// Before LMDB scans a range.
    pub(crate) fn scan<'s>(
        &'s self,
        txn: &'s RoTxn<'_>,
        space: Keyspace,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Result<Scan<'s>> {
        let table = self.table(txn, space)?;
        let near = self.take_near(space);
        let ahead = Ahead::new(&self.guard, &table, range, direction, near)?;
        Ok(Scan {
            watch: self,
            txn,
            space,
            table,
            ahead,
        })
    }

    fn read(&self, txn: &RoTxn<'_>) {
        if self.guard.step_is_due() {
            self.guard.step(|space| self.table(txn, space));
        }
    }

    fn table(&self, txn: &RoTxn<'_>, space: Keyspace) -> Result<Table<'static>> {
        let name = space.name();
        let root = self.space(space).map(|space| &space.root);
        if let Some(tree) = root.and_then(OnceLock::get) {
            return Ok(Table { name, tree: *tree });
        }
        let tree = self.tables.tree(txn, space)?;
        if let Some(root) = root {
            // Another thread may have been here first, and saw the same.
            let _ = root.set(tree);
        }
        Ok(Table { name, tree })
    }

    fn space(&self, space: Keyspace) -> Option<&Space> {
        let place = Keyspace::ALL.iter().position(|known| *known == space)?;
        self.spaces.get(place)
    }

    fn take_near(&self, space: Keyspace) -> Path {
        let near = self
            .space(space)
            .and_then(|space| space.near.try_lock().ok());
        near.map(|mut near| mem::take(&mut *near))
            .unwrap_or_default()
    }

    /// Several threads may read here: whoever comes last is kept, or nobody.
    fn keep_near(&self, space: Keyspace, path: Path) {
        if let Some(space) = self.space(space)
            && let Ok(mut near) = space.near.try_lock()
        {
            *near = path;
        }
    }
}

/// A scan under its guard.
pub(crate) struct Scan<'s> {
    watch: &'s Watch<'s>,
    txn: &'s RoTxn<'s>,
    space: Keyspace,
    table: Table<'static>,
    ahead: Ahead,
}

impl Scan<'_> {
    /// Before LMDB steps on from `key`.
    pub(crate) fn step_from(&mut self, key: &[u8]) -> Result<()> {
        let guard = &self.watch.guard;
        if guard.is_done() {
            return Ok(());
        }
        self.watch.read(self.txn);
        self.ahead.passed(guard, &self.table, key)
    }

    /// After the last row.
    pub(crate) fn finish(&self) -> Result<()> {
        self.ahead.finish(&self.watch.guard, &self.table)
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.watch.keep_near(self.space, self.ahead.take_path());
    }
}
