//! With whom a thread is shared, and what they acknowledged: rows of the store.

use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, LogId, PeerId, Result};

use super::wire::Frontier;
use crate::layout::{self, Number, Prefix, meta, peers};
use crate::thread::Thread;

/// The most peers that share one thread.
pub(crate) const PEERS_PER_THREAD_MAX: usize = 10_000;

fn damaged() -> Error {
    Error::corrupt("a row about a peer is damaged: verify the thread")
}

/// Notes that a peer shares a thread; says whether that is new.
pub(crate) fn add(txn: &mut dyn WriteTxn, thread: Number, peer: &PeerId) -> Result<bool> {
    if has(txn.as_read(), thread, peer)? {
        return Ok(false);
    }
    if of_thread(txn.as_read(), thread)?.len() >= PEERS_PER_THREAD_MAX {
        return Err(Error::full(
            "a thread is shared with as many peers as it may be",
        ));
    }
    txn.put(Keyspace::Peers, &peers::share(thread, peer), b"")?;
    txn.put(Keyspace::Peers, &peers::share_by_peer(peer, thread), b"")?;
    Ok(true)
}

pub(crate) fn has(txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<bool> {
    Ok(txn
        .get(Keyspace::Peers, &peers::share(thread, peer))?
        .is_some())
}

/// Forgets that a peer shares a thread, and what it acknowledged.
pub(crate) fn remove(txn: &mut dyn WriteTxn, thread: Number, peer: &PeerId) -> Result<()> {
    txn.delete(Keyspace::Peers, &peers::share(thread, peer))?;
    txn.delete(Keyspace::Peers, &peers::share_by_peer(peer, thread))?;
    for key in tails(txn.as_read(), &peers::acks(thread, peer))? {
        txn.delete(Keyspace::Peers, &[peers::acks(thread, peer), key].concat())?;
    }
    Ok(())
}

/// What the keys under a prefix have behind it.
fn tails(txn: &dyn ReadTxn, prefix: &[u8]) -> Result<Vec<Vec<u8>>> {
    let bounds = Prefix::new(prefix);
    txn.scan(Keyspace::Peers, bounds.range(), Direction::Forward)?
        .map(|row| row.map(|(key, _)| key[prefix.len()..].to_vec()))
        .collect()
}

/// The peers that share a thread.
pub(crate) fn of_thread(txn: &dyn ReadTxn, thread: Number) -> Result<Vec<PeerId>> {
    let tails = tails(txn, &peers::of_thread(thread))?.into_iter();
    let peer = |tail: Vec<u8>| {
        Ok(PeerId::from_key_bytes(
            tail.try_into().map_err(|_| damaged())?,
        ))
    };
    tails.map(peer).collect()
}

/// The threads that a peer shares.
pub(crate) fn of_peer(txn: &dyn ReadTxn, peer: &PeerId) -> Result<Vec<Number>> {
    let tails = tails(txn, &peers::of_peer(peer))?.into_iter();
    let number = |tail: Vec<u8>| {
        Ok(Number::from_be_bytes(
            tail.try_into().map_err(|_| damaged())?,
        ))
    };
    tails.map(number).collect()
}

/// What a peer acknowledged of a thread's logs.
pub(crate) fn acked(txn: &dyn ReadTxn, thread: &Thread, peer: &PeerId) -> Result<Frontier> {
    let prefix = peers::acks(thread.number, peer);
    let bounds = Prefix::new(&prefix);
    let logs = thread.log_ids(txn)?;
    let rows = txn.scan(Keyspace::Peers, bounds.range(), Direction::Forward)?;
    let mut acked = Frontier::new();
    for row in rows {
        let (key, value) = row?;
        let log = key[prefix.len()..].try_into().map_err(|_| damaged())?;
        let seq = (&*value).try_into().map_err(|_| damaged())?;
        let log = logs.get(&Number::from_be_bytes(log)).ok_or_else(damaged)?;
        acked.insert(*log, u64::from_be_bytes(seq));
    }
    Ok(acked)
}

/// Notes what a peer acknowledged, of logs that are here.
pub(crate) fn acknowledge<'a>(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    heads: impl IntoIterator<Item = (&'a LogId, &'a u64)>,
) -> Result<()> {
    for (log, seq) in heads {
        let Some(log) = layout::number(txn.as_read(), &meta::log_by_id(thread, log))? else {
            continue;
        };
        let (key, seq) = (peers::ack(thread, peer, log), seq.to_be_bytes());
        if txn.get(Keyspace::Peers, &key)?.as_deref() != Some(&seq[..]) {
            txn.put(Keyspace::Peers, &key, &seq)?;
        }
    }
    Ok(())
}
