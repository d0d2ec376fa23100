//! The engine's view of the books: keys, heads, and the tip of a thread.

use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, Hlc, LogId, LogKey, ReadKey, ReplicaKey, Result, ThreadId};

use crate::layout::{Number, Prefix, meta};

/// The head of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) cid: Cid,
    pub(crate) time: Hlc,
}

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

pub(crate) fn thread_key(thread: &ThreadId) -> Vec<u8> {
    [&[thread.as_bytes().len() as u8], thread.as_bytes()].concat()
}

fn log_key_of(thread: &ThreadId, log: &LogId) -> Vec<u8> {
    [&thread_key(thread)[..], log.key_bytes()].concat()
}

pub(crate) fn put_thread_keys(
    txn: &mut dyn WriteTxn,
    thread: &ThreadId,
    replica: &ReplicaKey,
    read: &ReadKey,
) -> Result<()> {
    txn.put(Keyspace::Keys, &[&thread_key(thread)[..], b"replica"].concat(), &*replica.to_bytes())?;
    txn.put(Keyspace::Keys, &[&thread_key(thread)[..], b"read"].concat(), &*read.to_bytes())
}

pub(crate) fn thread_keys(txn: &dyn ReadTxn, thread: &ThreadId) -> Result<(ReplicaKey, ReadKey)> {
    let get = |name: &[u8]| -> Result<[u8; 32]> {
        let bytes = txn.get(Keyspace::Keys, &[&thread_key(thread)[..], name].concat())?;
        bytes
            .and_then(|bytes| (&*bytes).try_into().ok())
            .ok_or_else(|| Error::corrupt("a thread's key is missing"))
    };
    Ok((ReplicaKey::from_bytes(&get(b"replica")?), ReadKey::from_bytes(&get(b"read")?)))
}

pub(crate) fn put_log_key(txn: &mut dyn WriteTxn, thread: &ThreadId, key: &LogKey) -> Result<()> {
    txn.put(Keyspace::Keys, &log_key_of(thread, &key.log_id()), &*key.to_bytes())
}

pub(crate) fn log_key(txn: &dyn ReadTxn, thread: &ThreadId, log: &LogId) -> Result<LogKey> {
    let bytes = txn.get(Keyspace::Keys, &log_key_of(thread, log))?;
    let seed: Option<[u8; 32]> = bytes.and_then(|bytes| (&*bytes).try_into().ok());
    Ok(LogKey::from_bytes(&seed.ok_or_else(|| Error::corrupt("this log's key is missing"))?))
}

pub(crate) fn put_head(
    txn: &mut dyn WriteTxn,
    thread: &ThreadId,
    log: &LogId,
    head: &Head,
) -> Result<()> {
    let value =
        [&head.seq.to_be_bytes()[..], &head.time.to_bytes(), &head.cid.to_bytes()].concat();
    txn.put(Keyspace::Heads, &log_key_of(thread, log), &value)
}

fn decode_head(bytes: &[u8]) -> Result<Head> {
    let parts = || {
        let (seq, rest) = bytes.split_first_chunk::<8>()?;
        let (time, cid) = rest.split_at_checked(12)?;
        let (time, cid) = (Hlc::from_bytes(time)?, Cid::try_from(cid).ok()?);
        Some(Head { seq: u64::from_be_bytes(*seq), cid, time })
    };
    parts().ok_or_else(|| Error::corrupt("a log's head is damaged: verify the thread"))
}

pub(crate) fn head(txn: &dyn ReadTxn, thread: &ThreadId, log: &LogId) -> Result<Option<Head>> {
    let bytes = txn.get(Keyspace::Heads, &log_key_of(thread, log))?;
    bytes.map(|bytes| decode_head(&bytes)).transpose()
}

pub(crate) fn heads(txn: &dyn ReadTxn, thread: &ThreadId) -> Result<Vec<(LogId, Head)>> {
    let prefix = thread_key(thread);
    let bounds = Prefix::new(&prefix);
    txn.scan(Keyspace::Heads, bounds.range(), Direction::Forward)?
        .map(|row| {
            let (key, value) = row?;
            let log = key[prefix.len()..]
                .try_into()
                .map_err(|_| Error::corrupt("a log's head is damaged"))?;
            Ok((LogId::from_key_bytes(log), decode_head(&value)?))
        })
        .collect()
}
