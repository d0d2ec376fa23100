//! Erasures: a peer's signed word that it carried out a purge, and how far.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::key::{IdentityKey, verify};
use crate::record::Rejection;
use crate::{Cid, PeerId, Result, ThreadId, block};

/// What the signed bytes begin with.
const SIGN_DOMAIN: &[u8] = b"threads/erasure/1";

/// What became of the records that a purge lists.
///
/// ```
/// let erased = threads_core::Erased { emptied: 3, ..Default::default() };
/// assert_eq!(erased.listed(), 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// How many are not there, and will be emptied when they come.
    pub absent: u64,
    /// How many are emptied.
    pub emptied: u64,
    /// How many are kept because they say something of what lives.
    pub living: u64,
    /// How many are kept because they have a format that is not known there.
    pub unread: u64,
}

impl Erased {
    /// How many there are in all.
    ///
    /// ```
    /// assert_eq!(threads_core::Erased::default().listed(), 0);
    /// ```
    pub fn listed(&self) -> u64 {
        [self.absent, self.emptied, self.living, self.unread]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// A peer's word of what it erased by a purge. It is a claim: nobody can show that they have not kept a copy.
///
/// ```
/// use threads_core::{Erased, Erasure, IdentityKey, ThreadId, Variant, block, system_rng};
///
/// let thread = ThreadId::generate(Variant::AccessControlled, &mut system_rng());
/// let replica = IdentityKey::generate(&mut system_rng());
/// let purge = block::cid_of(block::DAG_CBOR, b"the record that states it");
///
/// let erased = Erased { emptied: 2, ..Erased::default() };
/// let erasure = Erasure::sign(&replica, &thread, purge, erased).unwrap();
/// assert!(erasure.verify(&replica.peer_id(), &thread).is_ok());
/// let other = ThreadId::generate(Variant::AccessControlled, &mut system_rng());
/// assert!(erasure.verify(&replica.peer_id(), &other).is_err(), "it is of one thread");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure(Cid, Erased, ByteArray<64>);

/// What is signed, besides the domain.
#[derive(Serialize)]
struct Statement<'a> {
    erased: &'a Erased,
    purge: &'a Cid,
    thread: &'a ThreadId,
}

fn message(thread: &ThreadId, purge: &Cid, erased: &Erased) -> Result<Vec<u8>> {
    let statement = Statement {
        erased,
        purge,
        thread,
    };
    Ok([SIGN_DOMAIN, &block::encode(&statement)?].concat())
}

impl Erasure {
    /// The word of `key` on what became of the records that are listed by the record `purge`.
    ///
    /// ```
    /// # use threads_core::{Cid, Erased, Erasure, IdentityKey, Result, ThreadId};
    /// fn nothing(key: &IdentityKey, thread: &ThreadId, purge: Cid) -> Result<Erasure> {
    ///     Erasure::sign(key, thread, purge, Erased::default())
    /// }
    /// ```
    pub fn sign(key: &IdentityKey, thread: &ThreadId, purge: Cid, erased: Erased) -> Result<Self> {
        let sig = key.sign(&message(thread, &purge, &erased)?);
        Ok(Self(purge, erased, ByteArray::new(sig)))
    }

    /// Checks that it is the word of `peer` on a purge of `thread`.
    ///
    /// # Errors
    ///
    /// [`Rejection::BadSignature`], or one that says that the peer's key is none.
    ///
    /// ```
    /// # use threads_core::{Erasure, PeerId, ThreadId};
    /// fn is_of(erasure: &Erasure, peer: &PeerId, thread: &ThreadId) -> bool {
    ///     erasure.verify(peer, thread).is_ok()
    /// }
    /// ```
    pub fn verify(&self, peer: &PeerId, thread: &ThreadId) -> Result<()> {
        let Self(purge, erased, sig) = self;
        let message = message(thread, purge, erased)?;
        verify(peer.key_bytes(), &message, sig).map_err(|_| Rejection::BadSignature.into())
    }

    /// The record that states the purge.
    ///
    /// ```
    /// fn purge(erasure: &threads_core::Erasure) -> threads_core::Cid { erasure.purge() }
    /// ```
    pub fn purge(&self) -> Cid {
        self.0
    }

    /// What became of the records.
    ///
    /// ```
    /// fn is_done(erasure: &threads_core::Erasure) -> bool { erasure.erased().living == 0 }
    /// ```
    pub fn erased(&self) -> Erased {
        self.1
    }

    /// The signature.
    ///
    /// ```
    /// fn shown(erasure: &threads_core::Erasure) -> String { format!("{:02x?}", erasure.signature()) }
    /// ```
    pub fn signature(&self) -> &[u8; 64] {
        &self.2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Variant, system_rng};

    #[test]
    fn an_erasure_is_good_for_what_was_signed_and_nothing_else() {
        let key = IdentityKey::from_bytes(&[7; 32]);
        let thread = ThreadId::generate(Variant::AccessControlled, &mut system_rng());
        let cid = |bytes: &[u8]| block::cid_of(block::DAG_CBOR, bytes);
        let erased = Erased {
            absent: 1,
            emptied: 2,
            living: 3,
            unread: 4,
        };
        let signed = Erasure::sign(&key, &thread, cid(b"purge"), erased).unwrap();
        let Erasure(purge, _, sig) = signed.clone();
        let fewer = Erased {
            living: 0,
            ..erased
        };
        let forged = [
            Erasure(cid(b"other"), erased, sig),
            Erasure(purge, fewer, sig),
            Erasure(purge, erased, ByteArray::new([1; 64])),
        ];
        for erasure in forged {
            let refused = erasure.verify(&key.peer_id(), &thread).unwrap_err();
            assert_eq!(Rejection::of(&refused), Some(Rejection::BadSignature));
        }
        assert!(signed.verify(&key.peer_id(), &thread).is_ok());
        let bytes = block::encode(&signed).unwrap();
        assert_eq!(block::decode::<Erasure>(&bytes).unwrap(), signed);
        assert_eq!(erased.listed(), 10);
    }
}
