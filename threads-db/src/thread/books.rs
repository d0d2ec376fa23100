//! What the engine asks of the books, and the tip of a thread, which only the engine knows.

use threads_core::books::{Head, HeadBook, HeadBookMut, KeyBook, KeyBookMut};
use threads_core::datastore::{Keyspace, ReadTxn, WriteTxn};
use threads_core::{EpochKeys, Error, Hlc, LogId, LogKey, ReadKey, ReplicaKey, Result, ThreadId};

use crate::layout::{Number, meta};

/// Where a thread stands on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tip {
    /// The latest time of any event.
    pub(crate) time: Hlc,
    /// The last position of the feed; the first one is 1.
    pub(crate) position: u64,
}

impl Tip {
    pub(crate) fn get(txn: &dyn ReadTxn, thread: Number) -> Result<Self> {
        let Some(bytes) = txn.get(Keyspace::Meta, &meta::tip(thread))? else {
            return Ok(Self::default());
        };
        let damaged = || Error::corrupt("a thread's tip is damaged: verify the thread");
        let (time, position) = bytes.split_at_checked(12).ok_or_else(damaged)?;
        Ok(Self {
            time: Hlc::from_bytes(time).ok_or_else(damaged)?,
            position: u64::from_be_bytes(position.try_into().map_err(|_| damaged())?),
        })
    }

    pub(crate) fn put(&self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        let value = [&self.time.to_bytes()[..], &self.position.to_be_bytes()].concat();
        txn.put(Keyspace::Meta, &meta::tip(thread), &value)
    }
}

pub(crate) fn put_thread_keys(
    txn: &mut dyn WriteTxn,
    thread: &ThreadId,
    replica: &ReplicaKey,
    read: Option<&ReadKey>,
) -> Result<()> {
    let mut keys = KeyBookMut::new(txn);
    keys.add_replica_key(thread, replica)?;
    read.map_or(Ok(()), |read| keys.add_read_key(thread, read))
}

/// Files the keys of later epochs.
pub(crate) fn put_epochs(
    txn: &mut dyn WriteTxn,
    thread: &ThreadId,
    later: &[EpochKeys],
) -> Result<()> {
    let mut keys = KeyBookMut::new(txn);
    later
        .iter()
        .try_for_each(|later| keys.add_epoch(thread, later))
}

/// The replica key, and the read key unless the thread is kept without it.
pub(crate) fn thread_keys(
    txn: &dyn ReadTxn,
    thread: &ThreadId,
) -> Result<(ReplicaKey, Option<ReadKey>)> {
    let keys = KeyBook::new(txn);
    match keys.replica_key(thread)? {
        Some(replica) => Ok((replica, keys.read_key(thread)?)),
        None => Err(Error::corrupt("a thread's key is missing").with("thread", thread)),
    }
}

/// Whether anything of a thread can be read here.
pub(crate) fn can_read(txn: &dyn ReadTxn, thread: &ThreadId) -> Result<bool> {
    if thread_keys(txn, thread)?.1.is_some() {
        return Ok(true);
    }
    let keys = KeyBook::new(txn);
    for epoch in keys.epochs(thread)? {
        let keys = keys.epoch_keys(thread, epoch)?;
        if keys.is_some_and(|keys| keys.read().is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn log_key(txn: &dyn ReadTxn, thread: &ThreadId, log: &LogId) -> Result<LogKey> {
    let key = KeyBook::new(txn).log_key(thread, log)?;
    key.ok_or_else(|| Error::corrupt("the key of this node's log is missing").with("log", log))
}

/// The heads of every log, by log id.
pub(crate) fn heads(txn: &dyn ReadTxn, thread: &ThreadId) -> Result<Vec<(LogId, Head)>> {
    HeadBook::new(txn).all(thread)
}

/// Forgets the keys and heads of a thread.
pub(crate) fn clear(txn: &mut dyn WriteTxn, thread: &ThreadId) -> Result<()> {
    KeyBookMut::new(txn).clear(thread)?;
    HeadBookMut::new(txn).clear(thread)
}
