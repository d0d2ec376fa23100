//! What a peer gives to those who seal something to it.

use std::fmt;
use std::str::FromStr;

use super::{AgreementPublicKey, IdentityKey, verify};
use crate::{Error, PeerId, Result, text};

const TAG: &str = "peer";
const SIGN_DOMAIN: &[u8] = b"threads/card/1";
const CARD_BYTES: usize = 32 + 32 + 64;

/// A peer's id with the key that things are sealed to, signed by the peer. Its text is meant to be
/// handed around: it holds no secret.
///
/// ```
/// use threads_core::{IdentityKey, PeerCard, system_rng};
/// let ann = IdentityKey::generate(&mut system_rng());
/// let text = ann.card().to_string();
/// assert!(text.starts_with("peer_b"));
/// assert_eq!(text.parse::<PeerCard>().unwrap().peer(), ann.peer_id());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PeerCard {
    peer: PeerId,
    agreement: AgreementPublicKey,
    sig: [u8; 64],
}

fn message(peer: &PeerId, agreement: &AgreementPublicKey) -> Vec<u8> {
    [SIGN_DOMAIN, peer.key_bytes(), &agreement.to_bytes()].concat()
}

impl IdentityKey {
    /// The card of this identity.
    ///
    /// ```
    /// let key = threads_core::IdentityKey::from_bytes(&[7; 32]);
    /// assert_eq!(key.card().peer(), key.peer_id());
    /// ```
    pub fn card(&self) -> PeerCard {
        let (peer, agreement) = (self.peer_id(), self.agreement_key().public_key());
        let sig = self.sign(&message(&peer, &agreement));
        PeerCard {
            peer,
            agreement,
            sig,
        }
    }
}

impl PeerCard {
    /// Whose card it is.
    ///
    /// ```
    /// let key = threads_core::IdentityKey::from_bytes(&[7; 32]);
    /// assert_eq!(key.card().peer(), key.peer_id());
    /// ```
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// What is sealed to this key, only the peer opens.
    ///
    /// ```
    /// let key = threads_core::IdentityKey::from_bytes(&[7; 32]);
    /// assert_eq!(key.card().agreement(), key.agreement_key().public_key());
    /// ```
    pub fn agreement(&self) -> AgreementPublicKey {
        self.agreement
    }

    /// The card as 128 bytes: the peer's key, its agreement key, the signature.
    ///
    /// ```
    /// use threads_core::{IdentityKey, PeerCard};
    /// let card = IdentityKey::from_bytes(&[7; 32]).card();
    /// assert_eq!(PeerCard::from_bytes(&card.to_bytes()).unwrap(), card);
    /// ```
    pub fn to_bytes(&self) -> [u8; CARD_BYTES] {
        let mut bytes = [0; CARD_BYTES];
        bytes[..32].copy_from_slice(self.peer.key_bytes());
        bytes[32..64].copy_from_slice(&self.agreement.to_bytes());
        bytes[64..].copy_from_slice(&self.sig);
        bytes
    }

    /// A card from its bytes, with its signature checked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) for one that the peer did not sign,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for another length.
    ///
    /// ```
    /// use threads_core::{IdentityKey, PeerCard};
    /// let mut bytes = IdentityKey::from_bytes(&[7; 32]).card().to_bytes();
    /// bytes[40] ^= 1;
    /// assert!(PeerCard::from_bytes(&bytes).is_err());
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let parts = || {
            let (peer, rest) = bytes.split_first_chunk::<32>()?;
            let (agreement, sig) = rest.split_first_chunk::<32>()?;
            Some((peer, agreement, sig.try_into().ok()?))
        };
        let (peer, agreement, sig) = parts().ok_or_else(|| {
            Error::invalid("not the card of a peer: it has 128 bytes").with("bytes", bytes.len())
        })?;
        let (peer, agreement) = (
            PeerId::from_key_bytes(*peer),
            AgreementPublicKey::from_bytes(agreement),
        );
        verify(peer.key_bytes(), &message(&peer, &agreement), &sig).map_err(|cause| {
            Error::rejected("a peer's card is not signed by the peer").caused_by(cause)
        })?;
        Ok(Self {
            peer,
            agreement,
            sig,
        })
    }
}

impl fmt::Display for PeerCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encode(TAG, &self.to_bytes()))
    }
}

impl FromStr for PeerCard {
    type Err = Error;

    fn from_str(shown: &str) -> Result<Self> {
        Self::from_bytes(&text::decode(TAG, shown, CARD_BYTES)?)
    }
}

impl fmt::Debug for PeerCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCard({})", self.peer)
    }
}
