//! Where everything is kept: the keys of each keyspace, in one place.
//!
//! Threads, logs, collections and indexes have long names; within one datastore each gets a
//! number of four bytes, big-endian, and keys are made of those. Numbers are local: they never
//! leave the datastore.

use std::ops::Bound;

use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn, prefix_range};
use threads_core::{CollectionName, EntityId, Error, Hlc, LogId, Result, ThreadId};

pub(crate) mod blobs;
pub(crate) mod meta;

/// A local number for something with a longer name.
pub(crate) type Number = u32;

/// The place of a record: its thread, its log, its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) thread: Number,
    pub(crate) log: Number,
    pub(crate) seq: u64,
}

impl Place {
    pub(crate) fn key(self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&self.thread.to_be_bytes());
        key[4..8].copy_from_slice(&self.log.to_be_bytes());
        key[8..].copy_from_slice(&self.seq.to_be_bytes());
        key
    }

    pub(crate) fn from_key(key: &[u8]) -> Result<Self> {
        let damaged = || Error::corrupt("a record's place is damaged: verify the thread");
        let (thread, rest) = key.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (log, seq) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        Ok(Self {
            thread: u32::from_be_bytes(*thread),
            log: u32::from_be_bytes(*log),
            seq: u64::from_be_bytes(seq.try_into().map_err(|_| damaged())?),
        })
    }
}

/// The key in [`Keyspace::Links`] of a record's CID: its thread and half of its digest.
pub(crate) fn link(thread: Number, cid: &threads_core::Cid) -> Vec<u8> {
    [&thread.to_be_bytes()[..], &cid.hash().digest()[..16]].concat()
}

/// The prefix of all rows of a thread, in every keyspace but `Meta`, `Keys`, `Heads`, `Addresses`.
pub(crate) fn thread_prefix(thread: Number) -> [u8; 4] {
    thread.to_be_bytes()
}

/// The collections of a thread that have local numbers, with these.
pub(crate) fn collections(
    txn: &dyn ReadTxn,
    thread: Number,
) -> Result<Vec<(Number, CollectionName)>> {
    let prefix = meta::collections(thread);
    let bounds = Prefix::new(&prefix);
    let damaged = || Error::corrupt("the number of a collection is damaged");
    txn.scan(Keyspace::Meta, bounds.range(), Direction::Forward)?
        .map(|row| {
            let (key, value) = row?;
            let name = std::str::from_utf8(&key[prefix.len()..]).map_err(|_| damaged())?;
            let number = (&*value).try_into().map_err(|_| damaged())?;
            Ok((
                Number::from_be_bytes(number),
                name.parse().map_err(|_| damaged())?,
            ))
        })
        .collect()
}

pub(crate) fn collection_prefix(thread: Number, collection: Number) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&thread.to_be_bytes());
    key[4..].copy_from_slice(&collection.to_be_bytes());
    key
}

pub(crate) fn entity(thread: Number, collection: Number, id: &str) -> Vec<u8> {
    [&collection_prefix(thread, collection)[..], id.as_bytes()].concat()
}

/// The prefix of an entity's rows in [`Keyspace::History`]. An id holds no NUL, so the prefix of
/// one is never the prefix of another.
pub(crate) fn history_of(thread: Number, collection: Number, id: &str) -> Vec<u8> {
    [&entity(thread, collection, id)[..], &[0]].concat()
}

/// Where an entity's state is kept that its history begins with, by the key of the entity. An id holds no control
/// characters, so it is no row of a history.
pub(crate) fn beside_history(entity: &[u8]) -> Vec<u8> {
    [entity, &[1]].concat()
}

/// Whether a key of [`Keyspace::History`] is such a one. A row of a history has a NUL before its place.
pub(crate) fn is_beside_history(key: &[u8]) -> bool {
    let id = key.get(8..).unwrap_or_default();
    let end = id.iter().position(|byte| *byte <= 1);
    end.is_some_and(|end| id[end] == 1 && end + 1 == id.len())
}

/// Where an event stands in its entity's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventPlace {
    pub(crate) time: Hlc,
    pub(crate) log: Number,
    pub(crate) seq: u64,
    /// Its position in its record's batch.
    pub(crate) index: u32,
}

impl EventPlace {
    pub(crate) const BYTES: usize = 28;

    /// The place of its record.
    pub(crate) fn of_record(self, thread: Number) -> Place {
        let (log, seq) = (self.log, self.seq);
        Place { thread, log, seq }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..12].copy_from_slice(&self.time.to_bytes());
        bytes[12..16].copy_from_slice(&self.log.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.seq.to_be_bytes());
        bytes[24..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::corrupt("an event's place is damaged: verify the thread");
        let (time, rest) = bytes.split_at_checked(12).ok_or_else(damaged)?;
        let (log, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (seq, index) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        Ok(Self {
            time: Hlc::from_bytes(time).ok_or_else(damaged)?,
            log: u32::from_be_bytes(*log),
            seq: u64::from_be_bytes(*seq),
            index: u32::from_be_bytes(index.try_into().map_err(|_| damaged())?),
        })
    }
}

/// The key of a position in [`Keyspace::Feed`].
pub(crate) fn feed(thread: Number, position: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&thread.to_be_bytes());
    key[4..].copy_from_slice(&position.to_be_bytes());
    key
}

/// Keys of [`Keyspace::Held`].
pub(crate) mod held {
    use super::{LogId, Number};
    use threads_core::Cid;

    fn tagged(thread: Number, tag: u8) -> Vec<u8> {
        [&thread.to_be_bytes()[..], &[tag]].concat()
    }

    fn digest(cid: &Cid) -> &[u8] {
        &cid.hash().digest()[..16]
    }

    pub(crate) fn rows(thread: Number) -> Vec<u8> {
        tagged(thread, b'r')
    }

    /// A held record, by the order of arrival.
    pub(crate) fn row(thread: Number, arrival: u64) -> Vec<u8> {
        [rows(thread), arrival.to_be_bytes().to_vec()].concat()
    }

    /// From a record to its arrival.
    pub(crate) fn place(thread: Number, log: &LogId, seq: u64, cid: &Cid) -> Vec<u8> {
        let (tag, seq) = (tagged(thread, b'p'), seq.to_be_bytes());
        [&tag[..], log.key_bytes(), &seq, digest(cid)].concat()
    }

    pub(crate) fn waiting_for(thread: Number, cid: &Cid) -> Vec<u8> {
        [&tagged(thread, b'm')[..], digest(cid)].concat()
    }

    /// From a record that is not here to the arrival of one that waits for it.
    pub(crate) fn waiting(thread: Number, cid: &Cid, arrival: u64) -> Vec<u8> {
        [waiting_for(thread, cid), arrival.to_be_bytes().to_vec()].concat()
    }

    pub(crate) fn dues(thread: Number) -> Vec<u8> {
        tagged(thread, b'd')
    }

    /// Of a record that is dated ahead: when it is due, and its arrival.
    pub(crate) fn due(thread: Number, at_ms: u64, arrival: u64) -> Vec<u8> {
        [
            &dues(thread)[..],
            &at_ms.to_be_bytes(),
            &arrival.to_be_bytes(),
        ]
        .concat()
    }

    pub(crate) fn tallies(thread: Number) -> Vec<u8> {
        tagged(thread, b't')
    }

    /// How much is in quarantine for an author; how much waits, for none.
    pub(crate) fn tally(thread: Number, author: &[u8]) -> Vec<u8> {
        [&tallies(thread)[..], author].concat()
    }
}

/// Keys of [`Keyspace::Held`] about what was purged.
pub(crate) mod purged {
    use super::{Number, Place};
    use threads_core::Cid;

    fn tagged(thread: Number, tag: u8) -> Vec<u8> {
        [&thread.to_be_bytes()[..], &[tag]].concat()
    }

    fn digest(cid: &Cid) -> &[u8] {
        &cid.hash().digest()[..16]
    }

    pub(crate) fn statements(thread: Number) -> Vec<u8> {
        tagged(thread, b'g')
    }

    /// A record that states a purge.
    pub(crate) fn statement(thread: Number, record: &Cid) -> Vec<u8> {
        [&statements(thread)[..], digest(record)].concat()
    }

    /// By which purges that count a record is to be emptied.
    pub(crate) fn listed_by(thread: Number, record: &Cid) -> Vec<u8> {
        [&tagged(thread, b'u')[..], digest(record)].concat()
    }

    pub(crate) fn listed(thread: Number, record: &Cid, purge: &Cid) -> Vec<u8> {
        [&listed_by(thread, record)[..], digest(purge)].concat()
    }

    pub(crate) fn all_emptied(thread: Number) -> Vec<u8> {
        tagged(thread, b'e')
    }

    /// A record that is emptied, for a reason that is known.
    pub(crate) fn emptied(place: Place) -> Vec<u8> {
        [&all_emptied(place.thread)[..], &place.key()[4..]].concat()
    }

    pub(crate) fn all_stripped(thread: Number) -> Vec<u8> {
        tagged(thread, b'x')
    }

    /// A record that came emptied, and nothing that counts here says so.
    pub(crate) fn stripped(place: Place) -> Vec<u8> {
        [&all_stripped(place.thread)[..], &place.key()[4..]].concat()
    }

    /// That events of an entity were purged here, by its number in its collection's.
    pub(crate) fn entity(thread: Number, collection: Number, id: &str) -> Vec<u8> {
        let number = collection.to_be_bytes();
        [&tagged(thread, b'z')[..], &number, id.as_bytes()].concat()
    }
}

/// Keys of [`Keyspace::Peers`].
pub(crate) mod peers {
    use super::{LogId, Number};
    use threads_core::PeerId;

    /// No thread has this number: behind it are the rows by peer.
    const BY_PEER: Number = Number::MAX;

    /// The peers that share a thread.
    pub(crate) fn of_thread(thread: Number) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"p"].concat()
    }

    /// That a peer shares a thread, from the thread.
    pub(crate) fn share(thread: Number, peer: &PeerId) -> Vec<u8> {
        [&of_thread(thread)[..], peer.key_bytes()].concat()
    }

    /// How far a peer said that logs of a thread have got on its disk.
    pub(crate) fn acks(thread: Number, peer: &PeerId) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"a", peer.key_bytes()].concat()
    }

    pub(crate) fn ack(thread: Number, peer: &PeerId, log: &LogId) -> Vec<u8> {
        [&acks(thread, peer)[..], log.key_bytes()].concat()
    }

    /// What a peer signed that it has of a thread's logs, on its disk.
    pub(crate) fn receipts(thread: Number, peer: &PeerId) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"r", peer.key_bytes()].concat()
    }

    pub(crate) fn receipt(thread: Number, peer: &PeerId, log: &LogId) -> Vec<u8> {
        [&receipts(thread, peer)[..], log.key_bytes()].concat()
    }

    /// What a peer signed that it erased by a purge.
    pub(crate) fn erasure(thread: Number, peer: &PeerId, purge: &threads_core::Cid) -> Vec<u8> {
        let thread = thread.to_be_bytes();
        let digest = &purge.hash().digest()[..16];
        [&thread[..], b"e", peer.key_bytes(), digest].concat()
    }

    /// Whether a peer could show what it signed for, when it was asked.
    pub(crate) fn checked(thread: Number, peer: &PeerId) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"c", peer.key_bytes()].concat()
    }

    /// That a peer takes no more of a thread.
    pub(crate) fn full(thread: Number, peer: &PeerId) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"q", peer.key_bytes()].concat()
    }

    /// What a peer said that it dropped of a thread.
    pub(crate) fn dropped(thread: Number, peer: &PeerId) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"b", peer.key_bytes()].concat()
    }

    /// What peers signed of snapshots that are kept.
    pub(crate) fn snapshot_words(thread: Number) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"w"].concat()
    }

    pub(crate) fn snapshot_word(thread: Number, peer: &PeerId, seq: u64) -> Vec<u8> {
        let words = snapshot_words(thread);
        [&words[..], peer.key_bytes(), &seq.to_be_bytes()].concat()
    }

    /// What a peer announced last of a thread.
    pub(crate) fn announced(thread: Number, peer: &PeerId) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"n", peer.key_bytes()].concat()
    }

    /// Who asks to join a thread.
    pub(crate) fn requests(thread: Number) -> Vec<u8> {
        [&thread.to_be_bytes()[..], b"j"].concat()
    }

    pub(crate) fn request(thread: Number, peer: &PeerId) -> Vec<u8> {
        [&requests(thread)[..], peer.key_bytes()].concat()
    }

    /// The threads that peers share, by peer.
    pub(crate) fn all_shares() -> Vec<u8> {
        [&BY_PEER.to_be_bytes()[..], b"s"].concat()
    }

    /// The threads that a peer shares.
    pub(crate) fn of_peer(peer: &PeerId) -> Vec<u8> {
        [&all_shares()[..], peer.key_bytes()].concat()
    }

    /// Where peers can be reached.
    pub(crate) fn all_addrs() -> Vec<u8> {
        [&BY_PEER.to_be_bytes()[..], b"d"].concat()
    }

    pub(crate) fn addrs(peer: &PeerId) -> Vec<u8> {
        [&all_addrs()[..], peer.key_bytes()].concat()
    }

    /// Where a peer says that it is.
    pub(crate) fn located(peer: &PeerId) -> Vec<u8> {
        [&BY_PEER.to_be_bytes()[..], b"w", peer.key_bytes()].concat()
    }

    /// The threads of which a peer is to be told that it was removed.
    pub(crate) fn farewells(peer: &PeerId) -> Vec<u8> {
        [&BY_PEER.to_be_bytes()[..], b"f", peer.key_bytes()].concat()
    }

    pub(crate) fn farewell(peer: &PeerId, thread: Number) -> Vec<u8> {
        [farewells(peer), thread.to_be_bytes().to_vec()].concat()
    }

    /// That a peer shares a thread, from the peer.
    pub(crate) fn share_by_peer(peer: &PeerId, thread: Number) -> Vec<u8> {
        [of_peer(peer), thread.to_be_bytes().to_vec()].concat()
    }
}

/// The prefix of an index's rows in [`Keyspace::Indexes`].
pub(crate) fn index(thread: Number, index: Number) -> [u8; 8] {
    collection_prefix(thread, index)
}

/// Reads a number that may have been given out.
pub(crate) fn number(txn: &dyn ReadTxn, key: &[u8]) -> Result<Option<Number>> {
    let Some(bytes) = txn.get(Keyspace::Meta, key)? else {
        return Ok(None);
    };
    as_number(&bytes).map(Some)
}

/// A number as it is filed.
pub(crate) fn as_number(bytes: &[u8]) -> Result<Number> {
    let bytes = bytes
        .try_into()
        .map_err(|_| Error::corrupt("a local number is damaged"))?;
    Ok(Number::from_be_bytes(bytes))
}

/// Gives out the next number.
pub(crate) fn reserve(txn: &mut dyn WriteTxn) -> Result<Number> {
    let next = number(txn.as_read(), &meta::counter())?.unwrap_or(0);
    let following = next
        .checked_add(1)
        .ok_or_else(|| Error::full("this datastore has given out all its local numbers"))?;
    txn.put(Keyspace::Meta, &meta::counter(), &following.to_be_bytes())?;
    Ok(next)
}

/// Gives out the next number and files it under `key`.
pub(crate) fn assign(txn: &mut dyn WriteTxn, key: &[u8]) -> Result<Number> {
    let number = reserve(txn)?;
    txn.put(Keyspace::Meta, key, &number.to_be_bytes())?;
    Ok(number)
}

/// The number filed under `key`, given out now if need be.
pub(crate) fn number_or_assign(txn: &mut dyn WriteTxn, key: &[u8]) -> Result<Number> {
    match number(txn.as_read(), key)? {
        Some(number) => Ok(number),
        None => assign(txn, key),
    }
}

/// An owned range over the keys that begin with `prefix`.
pub(crate) struct Prefix(Vec<u8>, Option<Vec<u8>>);

impl Prefix {
    pub(crate) fn new(prefix: &[u8]) -> Self {
        let (start, end) = prefix_range(prefix);
        Self(start, end)
    }

    pub(crate) fn range(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let end = self.1.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        (Bound::Included(&self.0), end)
    }

    /// What is behind a key, or all of it.
    pub(crate) fn after<'a>(&'a self, key: Option<&'a [u8]>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
        let (start, end) = self.range();
        (key.map_or(start, Bound::Excluded), end)
    }
}

/// The entity id at the end of a key that began with `prefix` bytes.
pub(crate) fn entity_id(key: &[u8], prefix: usize) -> Result<EntityId> {
    let id = entity_id_text(key, prefix)?;
    id.parse().map_err(|_| damaged_key())
}

/// As [`entity_id`], of a key that was written here, without a copy of its own.
pub(crate) fn entity_id_text(key: &[u8], prefix: usize) -> Result<&str> {
    let id = key.get(prefix..).unwrap_or_default();
    std::str::from_utf8(id).map_err(|_| damaged_key())
}

fn damaged_key() -> Error {
    Error::corrupt("an entity's key is damaged: verify the thread")
}
