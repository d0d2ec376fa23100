//! With whom a thread is shared, and what they acknowledged: rows of the store.

use std::collections::BTreeSet;
use std::ops::Bound;

use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, LogId, PeerId, Result};

use super::io::Room;
use super::wire::Frontier;
use super::{located, standing};
use crate::layout::{Number, Prefix, peers};
use crate::line;
use crate::snapshot;

/// The most peers that share one thread.
pub(crate) const PEERS_PER_THREAD_MAX: usize = 10_000;
/// The most logs of a thread that are not here of which is noted how far one peer has got.
const STRANGERS_PER_PEER_MAX: usize = 4_096;
/// How exactly the last contact with a peer is noted, in milliseconds.
const HEARD_AGAIN_MS: u64 = 10_000;

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
    txn.delete(Keyspace::Peers, &peers::full(thread, peer))?;
    txn.delete(Keyspace::Peers, &peers::dropped(thread, peer))?;
    if of_peer(txn.as_read(), peer)?.is_empty() {
        located::forget(txn, peer)?;
    }
    txn.delete(Keyspace::Peers, &peers::announced(thread, peer))?;
    snapshot::forget_words(txn, thread, peer)?;
    standing::remove(txn, thread, peer)
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

/// At most so many of them, from a number on.
pub(crate) fn of_peer_from(
    txn: &dyn ReadTxn,
    peer: &PeerId,
    first: Number,
    most: usize,
) -> Result<Vec<Number>> {
    let bounds = Prefix::new(&peers::of_peer(peer));
    let first = peers::share_by_peer(peer, first);
    let range = (Bound::Included(&first[..]), bounds.range().1);
    let rows = txn.scan(Keyspace::Peers, range, Direction::Forward)?;
    let number = |key: &[u8]| key.last_chunk().copied().map(Number::from_be_bytes);
    rows.take(most)
        .map(|row| number(&row?.0).ok_or_else(damaged))
        .collect()
}

/// The threads that are shared with anybody.
pub(crate) fn threads(txn: &dyn ReadTxn) -> Result<BTreeSet<Number>> {
    let tails = tails(txn, &peers::all_shares())?.into_iter();
    let number = |tail: Vec<u8>| {
        let number = tail.last_chunk().ok_or_else(damaged)?;
        Ok(Number::from_be_bytes(*number))
    };
    tails.map(number).collect()
}

/// What a peer said that it has of a thread's logs, on its disk.
pub(crate) fn acked(txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<Frontier> {
    let prefix = peers::acks(thread, peer);
    let bounds = Prefix::new(&prefix);
    let rows = txn.scan(Keyspace::Peers, bounds.range(), Direction::Forward)?;
    let mut acked = Frontier::new();
    for row in rows {
        let (key, value) = row?;
        let log = key[prefix.len()..].try_into().map_err(|_| damaged())?;
        let seq = (&*value).try_into().map_err(|_| damaged())?;
        acked.insert(LogId::from_key_bytes(log), u64::from_be_bytes(seq));
    }
    Ok(acked)
}

/// The same of one log.
pub(crate) fn acked_of(
    txn: &dyn ReadTxn,
    thread: Number,
    peer: &PeerId,
    log: &LogId,
) -> Result<Option<u64>> {
    let Some(seq) = txn.get(Keyspace::Peers, &peers::ack(thread, peer, log))? else {
        return Ok(None);
    };
    let seq = (&*seq).try_into().map_err(|_| damaged())?;
    Ok(Some(u64::from_be_bytes(seq)))
}

/// Notes whether a peer takes more of a thread, if it said so.
pub(crate) fn note_room(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    room: Option<Room>,
) -> Result<()> {
    let key = peers::full(thread, peer);
    match (room, is_full(txn.as_read(), thread, peer)?) {
        (Some(Room::None), false) => txn.put(Keyspace::Peers, &key, b""),
        (Some(Room::Some), true) => txn.delete(Keyspace::Peers, &key),
        _ => Ok(()),
    }
}

/// Whether a peer said that it takes no more of a thread.
pub(crate) fn is_full(txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<bool> {
    let row = txn.get(Keyspace::Peers, &peers::full(thread, peer))?;
    Ok(row.is_some())
}

/// Notes what a peer said that it has, where 0 is nothing, and that it was heard.
pub(crate) fn acknowledge<'a>(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    heads: impl IntoIterator<Item = (&'a LogId, &'a u64)>,
    now_ms: u64,
) -> Result<()> {
    let mut room = None;
    let cuts = line::cuts(txn.as_read(), thread)?;
    for (log, seq) in heads {
        // Of a log that was forked it may not know, and means another line.
        let seq = cuts.get(log).map_or(*seq, |cut| cut.end.min(*seq));
        let (key, seq) = (peers::ack(thread, peer, log), seq.to_be_bytes());
        let known = txn.get(Keyspace::Peers, &key)?.map(|known| *known == seq);
        if known == Some(true) {
            continue;
        }
        if seq == [0; 8] {
            txn.delete(Keyspace::Peers, &key)?;
            continue;
        }
        if known.is_none() && !line::is_here(txn.as_read(), thread, log)? {
            let room = match &mut room {
                Some(room) => room,
                none => none.insert(room_for_strangers(txn.as_read(), thread, peer)?),
            };
            // It is noted when some of it is here.
            let Some(less) = room.checked_sub(1) else {
                continue;
            };
            *room = less;
        }
        txn.put(Keyspace::Peers, &key, &seq)?;
    }
    heard(txn, thread, peer, now_ms)
}

/// A line ends at `last` because of a fork: what peers have of it ends there too.
pub(crate) fn cut(txn: &mut dyn WriteTxn, thread: Number, line: &LogId, last: u64) -> Result<()> {
    for peer in of_thread(txn.as_read(), thread)? {
        let key = peers::ack(thread, &peer, line);
        let known = txn.get(Keyspace::Peers, &key)?;
        let known: Option<[u8; 8]> = known.and_then(|known| (&*known).try_into().ok());
        if known.is_some_and(|known| u64::from_be_bytes(known) > last) {
            txn.put(Keyspace::Peers, &key, &last.to_be_bytes())?;
        }
        standing::cut(txn, thread, &peer, (line, last))?;
    }
    Ok(())
}

/// Notes all that a peer has: what it said before that it has more is not so any more.
pub(crate) fn acknowledge_all(
    txn: &mut dyn WriteTxn,
    thread: Number,
    peer: &PeerId,
    heads: &Frontier,
    now_ms: u64,
) -> Result<()> {
    for log in acked(txn.as_read(), thread, peer)?.keys() {
        if !heads.contains_key(log) {
            txn.delete(Keyspace::Peers, &peers::ack(thread, peer, log))?;
        }
    }
    acknowledge(txn, thread, peer, heads, now_ms)
}

fn room_for_strangers(txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<usize> {
    let mut room = STRANGERS_PER_PEER_MAX;
    for log in acked(txn, thread, peer)?.keys() {
        room = room.saturating_sub(usize::from(!line::is_here(txn, thread, log)?));
    }
    Ok(room)
}

/// Notes that a peer was heard of a thread, once in a while.
fn heard(txn: &mut dyn WriteTxn, thread: Number, peer: &PeerId, now_ms: u64) -> Result<()> {
    let before = last_contact(txn.as_read(), thread, peer)?;
    let shares = has(txn.as_read(), thread, peer)?;
    if !shares || before.is_some_and(|before| now_ms.abs_diff(before) < HEARD_AGAIN_MS) {
        return Ok(());
    }
    let key = peers::share(thread, peer);
    txn.put(Keyspace::Peers, &key, &now_ms.to_be_bytes())
}

/// When a peer was last heard of a thread, by this node's clock; give or take [`HEARD_AGAIN_MS`].
pub(crate) fn last_contact(
    txn: &dyn ReadTxn,
    thread: Number,
    peer: &PeerId,
) -> Result<Option<u64>> {
    let value = txn.get(Keyspace::Peers, &peers::share(thread, peer))?;
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let ms = (&*value).try_into().map_err(|_| damaged())?;
    Ok(Some(u64::from_be_bytes(ms)))
}

#[cfg(test)]
mod tests {
    use threads_core::datastore::{Datastore, Memory};

    use super::*;
    use crate::layout::meta;

    fn numbered(n: u32) -> LogId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        LogId::from_key_bytes(id)
    }

    #[test]
    fn all_lines_that_are_here_are_noted_and_of_others_so_many() {
        let (store, peer) = (Memory::new(), PeerId::from_key_bytes([1; 32]));
        let mut txn = store.write().unwrap();
        for n in 0..20_000_u32 {
            let key = meta::log_by_id(7, &numbered(n));
            txn.put(Keyspace::Meta, &key, &n.to_be_bytes()).unwrap();
        }
        let said: Frontier = (0..40_000).map(|n| (numbered(n), 1)).collect();
        acknowledge(&mut *txn, 7, &peer, &said, 0).unwrap();
        let noted = acked(txn.as_read(), 7, &peer).unwrap();
        assert_eq!(noted.len(), 20_000 + STRANGERS_PER_PEER_MAX);
        assert!((0..20_000).all(|n| noted.contains_key(&numbered(n))));
        // No more of them by saying so again.
        acknowledge(&mut *txn, 7, &peer, &said, 0).unwrap();
        assert_eq!(acked(txn.as_read(), 7, &peer).unwrap(), noted);
        // What it says it has not is not noted any more.
        acknowledge(&mut *txn, 7, &peer, [(&numbered(3), &0)], 0).unwrap();
        assert_eq!(
            acked_of(txn.as_read(), 7, &peer, &numbered(3)).unwrap(),
            None
        );
    }
}
