//! Whereabouts: a peer's signed word where it can be reached.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use crate::address::ADDRESS_BYTES_MAX;
use crate::key::{IdentityKey, verify};
use crate::record::Rejection;
use crate::transport::named_peer;
use crate::{Error, Multiaddr, PeerId, Result, block};

/// What the signed bytes begin with.
const SIGN_DOMAIN: &[u8] = b"threads/whereabouts/1";

/// The most addresses of one peer.
///
/// ```
/// use threads_core::{IdentityKey, WHEREABOUTS_MAX, Whereabouts, transport::with_peer};
/// let ann = IdentityKey::from_bytes(&[7; 32]);
/// let addr = with_peer("/ip4/192.0.2.7/tcp/4001".parse().unwrap(), ann.peer_id());
/// assert!(Whereabouts::sign(&ann, 1, 1, &vec![addr; WHEREABOUTS_MAX + 1]).is_err());
/// ```
pub const WHEREABOUTS_MAX: usize = 16;

/// A peer's word where it can be reached, until when. Others pass it on; whoever has it can check that
/// the peer said so, and which of two is the later one. It says nothing of any thread.
///
/// ```
/// use threads_core::{IdentityKey, Whereabouts, transport::with_peer};
///
/// let ann = IdentityKey::from_bytes(&[7; 32]);
/// let addr = with_peer("/ip4/192.0.2.7/tcp/4001".parse().unwrap(), ann.peer_id());
/// let word = Whereabouts::sign(&ann, 1, 1_700_000_000_000, &[addr.clone()]).unwrap();
/// assert!(word.verify().is_ok());
/// assert_eq!((word.peer(), word.addresses()), (ann.peer_id(), vec![addr]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Whereabouts(PeerId, u64, u64, Vec<ByteBuf>, ByteArray<64>);

#[derive(Deserialize)]
struct Parts(PeerId, u64, u64, Vec<ByteBuf>, ByteArray<64>);

/// What is signed, besides the domain.
#[derive(Serialize)]
struct Statement<'a> {
    addrs: &'a [ByteBuf],
    peer: &'a PeerId,
    seq: u64,
    until: u64,
}

impl TryFrom<Parts> for Whereabouts {
    type Error = Error;

    fn try_from(Parts(peer, seq, until, addrs, sig): Parts) -> Result<Self> {
        check(seq, &addrs)?;
        Ok(Self(peer, seq, until, addrs, sig))
    }
}

fn check(seq: u64, addrs: &[ByteBuf]) -> Result<()> {
    if seq == 0 {
        return Err(Error::invalid("whereabouts are counted from 1"));
    }
    if addrs.len() > WHEREABOUTS_MAX {
        return Err(Error::invalid("a peer names too many addresses")
            .with("addresses", addrs.len())
            .with("most", WHEREABOUTS_MAX));
    }
    match addrs.iter().map(|addr| addr.len()).max() {
        Some(bytes) if bytes > ADDRESS_BYTES_MAX => Err(Error::invalid("an address is too long")
            .with("bytes", bytes)
            .with("most", ADDRESS_BYTES_MAX)),
        _ => Ok(()),
    }
}

impl Whereabouts {
    /// The word of `key` that it can be reached at `addrs`, the best first, each of which ends in its
    /// name; until a time in milliseconds since 1970. It takes the place of those with a smaller `seq`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for the number 0, more than
    /// [`WHEREABOUTS_MAX`] addresses, one that is too long, and one that does not end in the peer.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, Whereabouts};
    /// let ann = IdentityKey::from_bytes(&[7; 32]);
    /// let nowhere = Whereabouts::sign(&ann, 2, 1_700_000_000_000, &[]).unwrap();
    /// assert!(nowhere.addresses().is_empty());
    /// let of_nobody = "/ip4/192.0.2.7/tcp/4001".parse().unwrap();
    /// assert!(Whereabouts::sign(&ann, 3, 1_700_000_000_000, &[of_nobody]).is_err());
    /// ```
    pub fn sign(key: &IdentityKey, seq: u64, until: u64, addrs: &[Multiaddr]) -> Result<Self> {
        let peer = key.peer_id();
        if let Some(addr) = addrs.iter().find(|addr| named_peer(addr) != Some(peer)) {
            let what = "an address of this peer ends in /p2p/ and its id";
            return Err(Error::invalid(what).with("address", addr));
        }
        let addrs = addrs.iter().map(|addr| addr.to_vec().into());
        let addrs: Vec<ByteBuf> = addrs.collect();
        check(seq, &addrs)?;
        let sig = key.sign(&message(&peer, seq, until, &addrs)?);
        Ok(Self(peer, seq, until, addrs, ByteArray::new(sig)))
    }

    /// Checks that the peer signed it.
    ///
    /// # Errors
    ///
    /// [`Rejection::BadSignature`] when it did not.
    ///
    /// ```
    /// # use threads_core::{IdentityKey, Whereabouts, block};
    /// let word = Whereabouts::sign(&IdentityKey::from_bytes(&[7; 32]), 1, 2, &[]).unwrap();
    /// let mut bytes = block::encode(&word).unwrap();
    /// *bytes.last_mut().unwrap() ^= 1;
    /// let forged: Whereabouts = block::decode(&bytes).unwrap();
    /// assert!(word.verify().is_ok() && forged.verify().is_err());
    /// ```
    pub fn verify(&self) -> Result<()> {
        let Self(peer, seq, until, addrs, sig) = self;
        let message = message(peer, *seq, *until, addrs)?;
        verify(peer.key_bytes(), &message, sig).map_err(|_| Rejection::BadSignature.into())
    }

    /// Whose they are.
    ///
    /// ```
    /// fn of(word: &threads_core::Whereabouts) -> String { format!("where {} is", word.peer()) }
    /// ```
    pub fn peer(&self) -> PeerId {
        self.0
    }

    /// Its number among those of the peer: the greatest is the latest.
    ///
    /// ```
    /// fn later(one: &threads_core::Whereabouts, other: &threads_core::Whereabouts) -> bool {
    ///     one.peer() == other.peer() && one.seq() > other.seq()
    /// }
    /// ```
    pub fn seq(&self) -> u64 {
        self.1
    }

    /// Until when they are good, in milliseconds since 1970, by the peer's clock.
    ///
    /// ```
    /// fn is_over(word: &threads_core::Whereabouts, now_ms: u64) -> bool { word.until_ms() <= now_ms }
    /// ```
    pub fn until_ms(&self) -> u64 {
        self.2
    }

    /// Where it can be reached, the best first. An address that means nothing here, or names another
    /// peer at its end, is left out.
    ///
    /// ```
    /// fn first(word: &threads_core::Whereabouts) -> Option<threads_core::Multiaddr> {
    ///     word.addresses().into_iter().next()
    /// }
    /// ```
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let addrs = self.3.iter();
        addrs
            .filter_map(|addr| Multiaddr::try_from(addr.to_vec()).ok())
            .filter(|addr| named_peer(addr) == Some(self.0))
            .collect()
    }
}

fn message(peer: &PeerId, seq: u64, until: u64, addrs: &[ByteBuf]) -> Result<Vec<u8>> {
    let statement = Statement {
        addrs,
        peer,
        seq,
        until,
    };
    Ok([SIGN_DOMAIN, &block::encode(&statement)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::with_peer;

    #[test]
    fn a_word_is_good_for_what_was_signed_and_nothing_else() {
        let (ann, bob) = (
            IdentityKey::from_bytes(&[7; 32]),
            IdentityKey::from_bytes(&[8; 32]),
        );
        let at = |port: u16, key: &IdentityKey| {
            let addr = format!("/ip4/192.0.2.7/tcp/{port}").parse().unwrap();
            with_peer(addr, key.peer_id())
        };
        let word = Whereabouts::sign(&ann, 7, 9, &[at(1, &ann), at(2, &ann)]).unwrap();
        let Whereabouts(peer, seq, until, addrs, sig) = word.clone();
        let others = vec![addrs[1].clone(), addrs[0].clone()];
        let forged = [
            Whereabouts(bob.peer_id(), seq, until, addrs.clone(), sig),
            Whereabouts(peer, seq + 1, until, addrs.clone(), sig),
            Whereabouts(peer, seq, until + 1, addrs.clone(), sig),
            Whereabouts(peer, seq, until, others, sig),
            Whereabouts(peer, seq, until, addrs[..1].to_vec(), sig),
            Whereabouts(peer, seq, until, addrs, ByteArray::new([1; 64])),
        ];
        for word in forged {
            let refused = word.verify().unwrap_err();
            assert_eq!(Rejection::of(&refused), Some(Rejection::BadSignature));
        }
        assert!(word.verify().is_ok());
        let bytes = block::encode(&word).unwrap();
        assert_eq!(block::decode::<Whereabouts>(&bytes).unwrap(), word);
        // Who signs the address of another names nobody.
        assert!(Whereabouts::sign(&ann, 1, 1, &[at(1, &bob)]).is_err());
        let theirs = Whereabouts(peer, seq, until, vec![at(1, &bob).to_vec().into()], sig);
        assert!(theirs.addresses().is_empty());
    }

    #[test]
    fn bounds_hold_for_what_others_send() {
        let word = |seq: u64, addrs: &[Vec<u8>]| {
            let addrs: Vec<ByteBuf> = addrs.iter().map(|addr| addr.clone().into()).collect();
            let parts = Whereabouts(
                PeerId::from_key_bytes([1; 32]),
                seq,
                1,
                addrs,
                ByteArray::new([0; 64]),
            );
            block::decode::<Whereabouts>(&block::encode(&parts).unwrap())
        };
        assert!(word(1, &vec![vec![0; ADDRESS_BYTES_MAX]; WHEREABOUTS_MAX]).is_ok());
        assert!(word(1, &vec![vec![0]; WHEREABOUTS_MAX + 1]).is_err());
        assert!(word(1, &[vec![0; ADDRESS_BYTES_MAX + 1]]).is_err());
        assert!(word(0, &[]).is_err());
    }
}
