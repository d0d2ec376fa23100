//! How much this node keeps of threads that it cannot read: for others.

use threads_core::datastore::{Datastore, Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, Result, ThreadId};

use crate::layout::{Number, Prefix, meta};
use crate::node::Node;
use crate::thread::{Thread, books};

fn read(bytes: &[u8]) -> Result<u64> {
    let damaged = || Error::corrupt("the count of what is kept for others is damaged");
    bytes
        .try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| damaged())
}

/// Counts the bytes of a record that was put into a log of a thread.
pub(crate) fn add(txn: &mut dyn WriteTxn, thread: &Thread, bytes: u64) -> Result<()> {
    change(txn, thread, |before| before.saturating_add(bytes))
}

/// Counts the bytes that went from a record of a thread.
pub(crate) fn subtract(txn: &mut dyn WriteTxn, thread: &Thread, bytes: u64) -> Result<()> {
    change(txn, thread, |before| before.saturating_sub(bytes))
}

fn change(txn: &mut dyn WriteTxn, thread: &Thread, with: impl Fn(u64) -> u64) -> Result<()> {
    if !thread.is_blind() {
        return Ok(());
    }
    let key = meta::kept(thread.number);
    let before = match txn.get(Keyspace::Meta, &key)? {
        Some(row) => read(&row)?,
        None => 0,
    };
    txn.put(Keyspace::Meta, &key, &with(before).to_be_bytes())
}

/// Forgets a thread.
pub(crate) fn forget(txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
    txn.delete(Keyspace::Meta, &meta::kept(thread))
}

fn total(txn: &dyn ReadTxn) -> Result<u64> {
    let bounds = Prefix::new(meta::KEPT);
    let mut total: u64 = 0;
    for row in txn.scan(Keyspace::Meta, bounds.range(), Direction::Forward)? {
        total = total.saturating_add(read(&row?.1)?);
    }
    Ok(total)
}

impl Node {
    /// How many bytes of records and blobs this node keeps of threads that it cannot read: what
    /// [`NodeBuilder::replica_quota`](crate::NodeBuilder::replica_quota) bounds.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(node.kept_for_others().unwrap(), 0, "its own thread is not counted");
    /// ```
    pub fn kept_for_others(&self) -> Result<u64> {
        total(&*self.inner.store.read()?)
    }

    /// Whether this node takes no more of a thread.
    pub(crate) fn is_full_for(&self, txn: &dyn ReadTxn, thread: &ThreadId) -> Result<bool> {
        let Some(quota) = self.inner.replica_quota else {
            return Ok(false);
        };
        Ok(!books::can_read(txn, thread)? && total(txn)? >= quota)
    }
}
