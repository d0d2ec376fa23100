//! Announcements: a peer's signed word that its log has got further, for those who are not connected to it.
//!
//! Strangers carry it from peer to peer, so it is sealed: only who holds the thread's replica key learns
//! which thread and log it is about. It is a hint. What a peer has is what it says itself.

use crate::key::{IdentityKey, ReplicaKey, SEAL_OVERHEAD_BYTES, verify};
use crate::record::Rejection;
use crate::transport::TOPICS_MAX;
use crate::{Cid, Error, LogId, PeerId, Result, ThreadId, block};

/// What the signed bytes begin with, and what the sealed ones are bound to.
const DOMAIN: &[u8] = b"threads/announcement/1";
/// What the topics begin with.
const TOPIC_DOMAIN: &[u8] = b"threads/heads/1/";
const PLAIN_BYTES: usize = 32 + 8 + 8 + 64;

/// How many topics there are, for all threads of all peers together. The more there are, the less a peer
/// is sent of what is not for it; the fewer, the less a topic says of who takes part in what. It leaves
/// half of what a transport has room for to applications.
pub const ANNOUNCEMENT_TOPICS: u8 = 32;
/// How long every announcement is, sealed, in bytes.
pub const ANNOUNCEMENT_BYTES: usize = PLAIN_BYTES + SEAL_OVERHEAD_BYTES;

const _: () = assert!(2 * ANNOUNCEMENT_TOPICS as usize <= TOPICS_MAX);
const _: () = assert!(
    256 % ANNOUNCEMENT_TOPICS as usize == 0,
    "no topic is likelier"
);

/// The topic under which peers announce what is new in a thread: one of [`ANNOUNCEMENT_TOPICS`], each
/// of which many threads share. [`ReplicaKey::topic`] gives it, and without the key nobody can tell.
///
/// ```
/// use threads_core::{ReplicaKey, Topic};
/// let topic = ReplicaKey::from_bytes(&[7; 32]).topic();
/// assert_eq!(Topic::from_bytes(&topic.to_bytes()), Some(topic));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(u8);

impl Topic {
    pub(crate) fn new(byte: u8) -> Self {
        Self(byte % ANNOUNCEMENT_TOPICS)
    }

    /// As a transport is told.
    ///
    /// ```
    /// let topic = threads_core::ReplicaKey::from_bytes(&[7; 32]).topic();
    /// assert!(topic.to_bytes().starts_with(b"threads/heads/1/"));
    /// ```
    pub fn to_bytes(self) -> Vec<u8> {
        [TOPIC_DOMAIN, &[self.0]].concat()
    }

    /// The topic that a transport names so; `None` when it is none of these.
    ///
    /// ```
    /// use threads_core::Topic;
    /// assert_eq!(Topic::from_bytes(b"threads/heads/1/\xff"), None);
    /// ```
    pub fn from_bytes(topic: &[u8]) -> Option<Self> {
        match topic.strip_prefix(TOPIC_DOMAIN)? {
            [number] if *number < ANNOUNCEMENT_TOPICS => Some(Self(*number)),
            _ => None,
        }
    }
}

/// A peer's word that it has a log up to a record, which it wrote just now.
///
/// ```
/// use threads_core::{Announcement, IdentityKey, LogId, ReplicaKey, ThreadId, Variant, block, system_rng};
///
/// let thread = ThreadId::generate(Variant::Raw, &mut system_rng());
/// let replica = ReplicaKey::generate(&mut system_rng());
/// let ann = IdentityKey::generate(&mut system_rng());
/// let (log, head) = (LogId::from_key_bytes([1; 32]), block::cid_of(block::DAG_CBOR, b"a record"));
///
/// let sealed = Announcement::sign(&ann, &thread, log, 7, &head).unwrap().seal(&replica).unwrap();
/// let opened = Announcement::open(&replica, &sealed).unwrap();
/// assert!(opened.verify(&ann.peer_id(), &thread).is_ok());
/// assert_eq!((opened.log(), opened.seq()), (log, 7));
/// let other = ReplicaKey::generate(&mut system_rng());
/// assert!(Announcement::open(&other, &sealed).is_err(), "it tells others nothing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    log: LogId,
    seq: u64,
    check: [u8; 8],
    sig: [u8; 64],
}

/// What is signed, besides the domain.
#[derive(serde::Serialize)]
struct Statement<'a> {
    check: &'a serde_bytes::Bytes,
    log: &'a LogId,
    seq: u64,
    thread: &'a ThreadId,
}

fn message(thread: &ThreadId, log: &LogId, seq: u64, check: &[u8; 8]) -> Result<Vec<u8>> {
    let statement = Statement {
        check: serde_bytes::Bytes::new(check),
        log,
        seq,
        thread,
    };
    Ok([DOMAIN, &block::encode(&statement)?].concat())
}

impl Announcement {
    /// The word of `key` that it has `log` up to the record `head`, which is number `seq`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for the number 0.
    ///
    /// ```
    /// # use threads_core::{Announcement, IdentityKey, LogId, ThreadId, Variant, block, system_rng};
    /// # let thread = ThreadId::generate(Variant::Raw, &mut system_rng());
    /// let key = IdentityKey::from_bytes(&[7; 32]);
    /// let (log, head) = (LogId::from_key_bytes([1; 32]), block::cid_of(block::DAG_CBOR, b""));
    /// assert!(Announcement::sign(&key, &thread, log, 0, &head).is_err(), "records are counted from 1");
    /// ```
    pub fn sign(
        key: &IdentityKey,
        thread: &ThreadId,
        log: LogId,
        seq: u64,
        head: &Cid,
    ) -> Result<Self> {
        if seq == 0 {
            return Err(Error::invalid("there is no record to announce"));
        }
        // A digest of SHA-256 is longer.
        let check = head.hash().digest().first_chunk().copied();
        let check = check.unwrap_or_default();
        let sig = key.sign(&message(thread, &log, seq, &check)?);
        Ok(Self {
            log,
            seq,
            check,
            sig,
        })
    }

    /// Checks that `peer` signed it, for `thread`.
    ///
    /// # Errors
    ///
    /// [`Rejection::BadSignature`] when it did not, [`Rejection::Malformed`] when it announces nothing.
    ///
    /// ```
    /// # use threads_core::{Announcement, IdentityKey, LogId, ThreadId, Variant, block, system_rng};
    /// # let thread = ThreadId::generate(Variant::Raw, &mut system_rng());
    /// # let (log, head) = (LogId::from_key_bytes([1; 32]), block::cid_of(block::DAG_CBOR, b""));
    /// let (ann, bob) = (IdentityKey::from_bytes(&[7; 32]), IdentityKey::from_bytes(&[8; 32]));
    /// let announced = Announcement::sign(&ann, &thread, log, 1, &head).unwrap();
    /// assert!(announced.verify(&bob.peer_id(), &thread).is_err());
    /// ```
    pub fn verify(&self, peer: &PeerId, thread: &ThreadId) -> Result<()> {
        if self.seq == 0 {
            return Err(Rejection::Malformed.into());
        }
        let message = message(thread, &self.log, self.seq, &self.check)?;
        verify(peer.key_bytes(), &message, &self.sig).map_err(|_| Rejection::BadSignature.into())
    }

    /// Seals it for those who hold the thread's replica key: [`ANNOUNCEMENT_BYTES`] bytes, whatever it
    /// says.
    ///
    /// # Errors
    ///
    /// None that can happen: it is short.
    ///
    /// ```
    /// # use threads_core::{ANNOUNCEMENT_BYTES, Announcement, ReplicaKey, Result};
    /// fn to_publish(announced: &Announcement, replica: &ReplicaKey) -> Result<Vec<u8>> {
    ///     let sealed = announced.seal(replica)?;
    ///     assert_eq!(sealed.len(), ANNOUNCEMENT_BYTES);
    ///     Ok(sealed)
    /// }
    /// ```
    pub fn seal(&self, replica: &ReplicaKey) -> Result<Vec<u8>> {
        let plain = [
            &self.log.key_bytes()[..],
            &self.seq.to_be_bytes(),
            &self.check,
            &self.sig,
        ]
        .concat();
        replica.announcing().seal_synthetic(DOMAIN, &plain)
    }

    /// Opens what [`Announcement::seal`] sealed. Its signature is not checked.
    ///
    /// # Errors
    ///
    /// [`Rejection::Malformed`] for another length, [`Rejection::CannotOpen`] when it is of another
    /// thread.
    ///
    /// ```
    /// use threads_core::{Announcement, ReplicaKey};
    /// assert!(Announcement::open(&ReplicaKey::from_bytes(&[7; 32]), &[0; 152]).is_err());
    /// ```
    pub fn open(replica: &ReplicaKey, sealed: &[u8]) -> Result<Self> {
        if sealed.len() != ANNOUNCEMENT_BYTES {
            return Err(Rejection::Malformed.into());
        }
        let plain = replica
            .announcing()
            .open_synthetic(DOMAIN, sealed)
            .map_err(|_| Error::from(Rejection::CannotOpen))?;
        let parts = || {
            let (log, rest) = plain.split_first_chunk::<32>()?;
            let (seq, rest) = rest.split_first_chunk::<8>()?;
            let (check, sig) = rest.split_first_chunk::<8>()?;
            Some((log, seq, check, sig.try_into().ok()?))
        };
        let (log, seq, check, sig) = parts().ok_or_else(|| Error::from(Rejection::Malformed))?;
        Ok(Self {
            log: LogId::from_key_bytes(*log),
            seq: u64::from_be_bytes(*seq),
            check: *check,
            sig,
        })
    }

    /// The log.
    ///
    /// ```
    /// fn of(announced: &threads_core::Announcement) -> String { format!("log {}", announced.log()) }
    /// ```
    pub fn log(&self) -> LogId {
        self.log
    }

    /// How many records it has.
    ///
    /// ```
    /// fn is_news(announced: &threads_core::Announcement, have: u64) -> bool { announced.seq() > have }
    /// ```
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The first bytes of the digest of the last one's CID.
    ///
    /// ```
    /// fn check(announced: &threads_core::Announcement) -> &[u8; 8] { announced.check() }
    /// ```
    pub fn check(&self) -> &[u8; 8] {
        &self.check
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Variant;

    fn ann() -> IdentityKey {
        IdentityKey::from_bytes(&[7; 32])
    }

    fn thread() -> ThreadId {
        ThreadId::generate(Variant::Raw, &mut crate::system_rng())
    }

    fn announced(thread: &ThreadId, seq: u64) -> Announcement {
        let head = block::cid_of(block::DAG_CBOR, b"head");
        let log = LogId::from_key_bytes([1; 32]);
        Announcement::sign(&ann(), thread, log, seq, &head).unwrap()
    }

    fn refused(result: Result<impl std::fmt::Debug>) -> Option<Rejection> {
        Rejection::of(&result.unwrap_err())
    }

    #[test]
    fn it_is_good_for_what_was_signed_and_nothing_else() {
        let (thread, peer) = (thread(), ann().peer_id());
        let good = announced(&thread, 7);
        good.verify(&peer, &thread).unwrap();
        let (mut log, mut seq, mut check, mut sig) =
            (good.clone(), good.clone(), good.clone(), good.clone());
        log.log = LogId::from_key_bytes([2; 32]);
        seq.seq += 1;
        check.check[7] ^= 1;
        sig.sig[0] ^= 1;
        for forged in [log, seq, check, sig] {
            let refused = refused(forged.verify(&peer, &thread));
            assert_eq!(refused, Some(Rejection::BadSignature));
        }
        let elsewhere = ThreadId::generate(Variant::Raw, &mut crate::system_rng());
        assert!(good.verify(&peer, &elsewhere).is_err());
        let mut nothing = good;
        nothing.seq = 0;
        assert_eq!(
            refused(nothing.verify(&peer, &thread)),
            Some(Rejection::Malformed)
        );
    }

    #[test]
    fn row_47_who_has_not_the_key_learns_neither_thread_nor_log_nor_number() {
        let replica = ReplicaKey::from_bytes(&[7; 32]);
        let thread = thread();
        let [one, other] = [1, u64::MAX].map(|seq| announced(&thread, seq));
        let sealed = [&one, &other].map(|announced| announced.seal(&replica).unwrap());
        assert!(
            sealed
                .iter()
                .all(|sealed| sealed.len() == ANNOUNCEMENT_BYTES)
        );
        // Nothing that two of one log have in common.
        let [a, b] = &sealed;
        let windows = |bytes: &[u8]| bytes.windows(4).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let seen: std::collections::BTreeSet<_> = windows(a).into_iter().collect();
        assert!(!windows(b).iter().any(|window| seen.contains(window)));
        for known in [
            &replica.locator()[..],
            one.log.key_bytes(),
            thread.as_bytes(),
        ] {
            assert!(!windows(known).iter().any(|window| seen.contains(window)));
        }
        let wrong = ReplicaKey::from_bytes(&[8; 32]);
        assert_eq!(
            refused(Announcement::open(&wrong, a)),
            Some(Rejection::CannotOpen)
        );
        assert_eq!(Announcement::open(&replica, a).unwrap(), one);
        assert!(Announcement::open(&replica, &a[1..]).is_err());
    }

    #[test]
    fn row_47_topics_are_few_and_threads_are_spread_over_them_by_their_keys() {
        let mut counts = [0; ANNOUNCEMENT_TOPICS as usize];
        for n in 0..3_200_u64 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            let topic = ReplicaKey::from_bytes(&key).topic();
            counts[usize::from(topic.0)] += 1;
        }
        assert!(
            counts.iter().all(|count| (50..150).contains(count)),
            "{counts:?}"
        );
        let named: Vec<_> = (0..=u8::MAX)
            .filter_map(|n| Topic::from_bytes(&[TOPIC_DOMAIN, &[n]].concat()))
            .collect();
        assert_eq!(named.len(), counts.len());
        for wrong in [
            &b""[..],
            b"threads/heads/1/",
            b"threads/heads/2/\0",
            b"threads/heads/1/\0\0",
        ] {
            assert_eq!(Topic::from_bytes(wrong), None);
        }
    }
}
