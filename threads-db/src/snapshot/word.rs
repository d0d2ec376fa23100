//! A signer's word for a snapshot that is kept as a blob: by this a device that holds no record yet finds it, also
//! with peers that can read neither.
//!
//! The word names the blob in the clear, so that whoever keeps it knows what it is good for, and seals what opens
//! the blob. It is signed by the peer's identity, which needs no record to be checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use threads_core::blob::{BlobKey, BlobRef};
use threads_core::block::{self, DAG_CBOR, RAW};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::key::verify;
use threads_core::record::Rejection;
use threads_core::{Cid, Error, IdentityKey, PeerId, ReadKey, Result, ThreadId};

use super::seek::Seek;
use super::stored::KEPT_MAX;
use crate::blobs::rows::{Root, name};
use crate::layout::{Number, Prefix, peers};
use crate::sync::shares;
use crate::thread::Thread;

const DOMAIN: &[u8] = b"threads/snapshot-word/1";
/// The most bytes of what a word seals.
const SEALED_BYTES_MAX: usize = 256;
/// Of how many signers words are kept for a thread.
pub(crate) const SIGNERS_MAX: usize = 64;

/// The word of a peer: who, the number of the word, the blob, the epoch of the key, what is sealed, the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Word(PeerId, u64, Cid, u64, ByteBuf, ByteArray<64>);

/// What a word seals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sealed {
    key: ByteArray<32>,
    size: u64,
    snapshot: Cid,
}

/// All that is signed, besides the domain.
#[derive(Serialize)]
struct Statement<'a> {
    blob: &'a Cid,
    epoch: u64,
    sealed: &'a ByteBuf,
    seq: u64,
    thread: &'a ThreadId,
}

fn aad(thread: &ThreadId, blob: &Cid) -> Vec<u8> {
    [DOMAIN, thread.as_bytes(), &blob.to_bytes()].concat()
}

impl Word {
    /// The word of `key` that a snapshot is kept as `content`.
    pub(crate) fn sign(
        key: &IdentityKey,
        thread: &ThreadId,
        (seq, snapshot): (u64, Cid),
        content: &BlobRef,
        (epoch, read, rng): (u64, &ReadKey, &mut dyn threads_core::rand_core::CryptoRng),
    ) -> Result<Self> {
        let plain = Sealed {
            key: ByteArray::new(*content.key().to_bytes()),
            size: content.size(),
            snapshot,
        };
        let plain = zeroize::Zeroizing::new(block::encode(&plain)?);
        let blob = *content.cid();
        let sealed = ByteBuf::from(read.seal_random(&aad(thread, &blob), &plain, rng)?);
        let unsigned = Self(
            key.peer_id(),
            seq,
            blob,
            epoch,
            sealed,
            ByteArray::new([0; 64]),
        );
        let sig = key.sign(&unsigned.message(thread)?);
        Ok(Self(
            unsigned.0,
            seq,
            blob,
            epoch,
            unsigned.4,
            ByteArray::new(sig),
        ))
    }

    fn message(&self, thread: &ThreadId) -> Result<Vec<u8>> {
        let statement = Statement {
            blob: &self.2,
            epoch: self.3,
            sealed: &self.4,
            seq: self.1,
            thread,
        };
        Ok([DOMAIN, &block::encode(&statement)?].concat())
    }

    /// Checks that it is the word of the peer that it names, on a snapshot of `thread`.
    ///
    /// # Errors
    ///
    /// [`Rejection::BadSignature`].
    pub(crate) fn verify(&self, thread: &ThreadId) -> Result<()> {
        let message = self.message(thread)?;
        verify(self.0.key_bytes(), &message, &self.5).map_err(|_| Rejection::BadSignature.into())
    }

    /// Whether its parts are within their bounds.
    pub(crate) fn is_sound(&self) -> bool {
        let blob = block::check_link(&self.2).is_ok() && self.2.codec() == DAG_CBOR;
        blob && self.1 > 0 && self.4.len() <= SEALED_BYTES_MAX
    }

    pub(crate) fn peer(&self) -> PeerId {
        self.0
    }

    /// Later words of a peer have a greater number.
    pub(crate) fn seq(&self) -> u64 {
        self.1
    }

    pub(crate) fn blob(&self) -> &Cid {
        &self.2
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.3
    }

    #[cfg(test)]
    pub(crate) fn sealed(&self) -> &[u8] {
        &self.4
    }

    #[cfg(test)]
    pub(crate) fn signature(&self) -> &[u8; 64] {
        &self.5
    }

    /// The snapshot that it is about, and what opens its content.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when the key does not open it.
    pub(crate) fn open(&self, thread: &ThreadId, read: &ReadKey) -> Result<(Cid, BlobRef)> {
        let plain = zeroize::Zeroizing::new(read.open(&aad(thread, &self.2), &self.4)?);
        let sealed: Sealed = block::decode(&plain)?;
        block::check_link(&sealed.snapshot)?;
        if sealed.snapshot.codec() != RAW {
            return Err(Error::rejected("what is named is no snapshot"));
        }
        let key = BlobKey::from_bytes(&sealed.key);
        let content = BlobRef::new(self.2, key, sealed.size, "")?;
        Ok((sealed.snapshot, content))
    }

    /// Keeps it, as one of the newest of its peer. Where there are words of as many peers as may be, others make room;
    /// this node's own, and those of whom it trusts while it seeks a snapshot, stay.
    pub(crate) fn put(&self, txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
        let mut known = of_thread(txn.as_read(), thread.number)?;
        let mut words = known.remove(&self.0).unwrap_or_default();
        if words.first().is_some_and(|latest| latest.1 >= self.1) {
            return Ok(());
        }
        if words.is_empty() && known.len() >= SIGNERS_MAX && !self.make_room(txn, thread, &known)? {
            return Ok(());
        }
        let key = peers::snapshot_word(thread.number, &self.0, self.1);
        txn.put(Keyspace::Peers, &key, &block::encode(self)?)?;
        let older = words.split_off(words.len().min(KEPT_MAX - 1));
        older
            .iter()
            .try_for_each(|word| word.delete(txn, thread.number))
    }

    /// Forgets the words of a peer whose words are of the least use: first of those whose content is not whole here,
    /// then of those with whom the thread is not shared. Says whether there was one.
    fn make_room(
        &self,
        txn: &mut dyn WriteTxn,
        thread: &Thread,
        known: &BTreeMap<PeerId, Vec<Self>>,
    ) -> Result<bool> {
        let seek = Seek::get(txn.as_read(), thread.number)?.filter(Seek::is_sought);
        let stays = |peer: &PeerId| {
            *peer == thread.own_author() || seek.as_ref().is_some_and(|seek| seek.trusts(peer))
        };
        let mut least = None;
        for (peer, words) in known.iter().filter(|(peer, _)| !stays(peer)) {
            let mut is_whole = false;
            for word in words {
                let root = Root::get(txn.as_read(), thread.number, &name(word.blob()))?;
                is_whole |= root.is_some_and(|root| root.place.is_some());
            }
            let use_of = (is_whole, shares::has(txn.as_read(), thread.number, peer)?);
            if least.is_none_or(|(least, _)| use_of < least) {
                least = Some((use_of, *peer));
            }
        }
        let fit = least.filter(|(use_of, _)| stays(&self.0) || *use_of != (true, true));
        match fit {
            Some((_, peer)) => forget(txn, thread.number, &peer).map(|()| true),
            None => Ok(false),
        }
    }

    fn delete(&self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        txn.delete(
            Keyspace::Peers,
            &peers::snapshot_word(thread, &self.0, self.1),
        )
    }
}

/// Forgets the words of a peer.
pub(crate) fn forget(txn: &mut dyn WriteTxn, thread: Number, peer: &PeerId) -> Result<()> {
    let words = of_thread(txn.as_read(), thread)?.remove(peer);
    let words = words.unwrap_or_default();
    words.iter().try_for_each(|word| word.delete(txn, thread))
}

/// The words that are here, of each peer the newest first.
pub(crate) fn of_thread(txn: &dyn ReadTxn, thread: Number) -> Result<BTreeMap<PeerId, Vec<Word>>> {
    let prefix = peers::snapshot_words(thread);
    let bounds = Prefix::new(&prefix);
    let mut words: BTreeMap<_, Vec<Word>> = BTreeMap::new();
    for row in txn.scan(Keyspace::Peers, bounds.range(), Direction::Forward)? {
        let damaged = |cause| {
            Error::corrupt("a row about a peer is damaged: verify the thread").caused_by(cause)
        };
        let word: Word = block::decode(&row?.1).map_err(damaged)?;
        words.entry(word.0).or_default().insert(0, word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use threads_core::{Variant, system_rng};

    use super::*;
    use crate::sync::wire::Answer;

    /// Whether a peer takes a frame that tells these.
    fn takes_words(words: Vec<Word>) -> bool {
        let frame = Answer::Snapshots(words).encode().unwrap();
        Answer::decode(&frame).is_ok()
    }

    fn thread() -> ThreadId {
        ThreadId::generate(Variant::Raw, &mut system_rng())
    }

    /// A word on a blob of this name, for a snapshot of this name.
    fn word(thread: &ThreadId, read: &ReadKey, (blob, snapshot): (Cid, Cid)) -> Word {
        let rng = &mut system_rng();
        let key = IdentityKey::generate(rng);
        let content = BlobRef::new(blob, BlobKey::from_bytes(&[1; 32]), 1, "").unwrap();
        Word::sign(&key, thread, (1, snapshot), &content, (0, read, rng)).unwrap()
    }

    #[test]
    fn a_word_out_of_bounds_is_no_word_and_its_frame_none() {
        let (thread, read) = (thread(), ReadKey::generate(&mut system_rng()));
        let names = [DAG_CBOR, RAW].map(|codec| block::cid_of(codec, b"a blob"));
        let sound = word(&thread, &read, (names[0], names[1]));
        assert!(sound.is_sound() && takes_words(vec![sound.clone()]));
        let alter = |alter: fn(&mut Word, Cid)| {
            let mut word = sound.clone();
            alter(&mut word, names[1]);
            word
        };
        for unsound in [
            alter(|word, _| word.1 = 0),
            alter(|word, raw| word.2 = raw),
            alter(|word, _| word.4 = ByteBuf::from(vec![0; SEALED_BYTES_MAX + 1])),
        ] {
            assert!(!unsound.is_sound() && !takes_words(vec![unsound]));
        }
    }

    #[test]
    fn what_a_word_seals_is_a_snapshot_or_nothing() {
        let (thread, read) = (thread(), ReadKey::generate(&mut system_rng()));
        let names = [DAG_CBOR, RAW].map(|codec| block::cid_of(codec, b"a name"));
        let sound = word(&thread, &read, (names[0], names[1]));
        assert_eq!(sound.open(&thread, &read).unwrap().0, names[1]);
        let other = word(&thread, &read, (names[0], names[0]));
        assert!(other.open(&thread, &read).is_err(), "it names no snapshot");
        let key = ReadKey::generate(&mut system_rng());
        assert!(sound.open(&thread, &key).is_err());
    }
}
