//! The X25519 pair that content keys are sealed to.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::ContentKey;
use crate::{Error, Result};

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// Bytes of the encapsulated key at the front.
const ENCAPPED_BYTES: usize = 32;

/// By how many bytes what is sealed is longer: the encapsulated key and the tag.
pub(crate) const SEALED_OVERHEAD_BYTES: usize = ENCAPPED_BYTES + 16;

/// Bytes of a sealed content key: encapsulated key, key, tag.
pub const SEALED_CONTENT_KEY_BYTES: usize = SEALED_OVERHEAD_BYTES + 32;

/// Opens content keys that were sealed to one peer: an X25519 pair, derived from the peer's
/// [`IdentityKey`](crate::IdentityKey).
///
/// Sealing is HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
/// ChaCha20-Poly1305. It hides the key and does not say who sealed it: the record that carries
/// it is signed.
///
/// ```
/// use threads_core::{ContentKey, IdentityKey, system_rng};
///
/// let rng = &mut system_rng();
/// let recipient = IdentityKey::generate(rng).agreement_key();
/// let content = ContentKey::generate(rng);
/// let sealed = recipient.public_key().seal(b"example/1", &content, rng).unwrap();
/// assert_eq!(recipient.open(b"example/1", &sealed).unwrap(), content);
/// ```
#[derive(Clone)]
pub struct AgreementKey(Zeroizing<[u8; 32]>);

impl AgreementKey {
    /// From the 32 bytes of an X25519 secret.
    ///
    /// ```
    /// let key = threads_core::AgreementKey::from_bytes(&[7; 32]);
    /// assert_eq!(*key.to_bytes(), [7; 32]);
    /// ```
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*secret))
    }

    /// The 32 bytes of the secret.
    ///
    /// ```
    /// let key = threads_core::AgreementKey::from_bytes(&[7; 32]);
    /// assert_eq!(*key.to_bytes(), [7; 32]);
    /// ```
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    fn private(&self) -> PrivateKey {
        // Every 32 bytes are an X25519 secret; only another length is refused.
        PrivateKey::from_bytes(&*self.0).expect("32 bytes are an X25519 secret")
    }

    /// The public half, to be given to whoever seals.
    ///
    /// ```
    /// let key = threads_core::AgreementKey::from_bytes(&[7; 32]);
    /// assert_eq!(key.public_key().to_bytes().len(), 32);
    /// ```
    pub fn public_key(&self) -> AgreementPublicKey {
        AgreementPublicKey(
            X25519HkdfSha256::sk_to_pk(&self.private())
                .to_bytes()
                .into(),
        )
    }

    /// Opens a content key that was sealed to this pair with the same `info`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when it was sealed to another, with
    /// another `info`, or altered.
    ///
    /// ```
    /// let key = threads_core::AgreementKey::from_bytes(&[7; 32]);
    /// assert!(key.open(b"example/1", &[0; 80]).is_err());
    /// ```
    pub fn open(&self, info: &[u8], sealed: &[u8]) -> Result<ContentKey> {
        let refused = || Error::rejected("a sealed content key does not open for this peer");
        if sealed.len() != SEALED_CONTENT_KEY_BYTES {
            return Err(refused().with("bytes", sealed.len()));
        }
        let plaintext = self.open_bytes(info, sealed).ok_or_else(refused)?;
        let bytes = plaintext.first_chunk::<32>().ok_or_else(refused)?;
        Ok(ContentKey::from_bytes(bytes))
    }

    /// Opens what [`AgreementPublicKey::seal_bytes`] sealed to this pair with the same `info`.
    pub(crate) fn open_bytes(&self, info: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (encapped, ciphertext) = sealed.split_at_checked(ENCAPPED_BYTES)?;
        let plaintext = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private(),
            &EncappedKey::from_bytes(encapped).ok()?,
            info,
            ciphertext,
            &[],
        );
        plaintext.ok().map(Zeroizing::new)
    }
}

impl ConstantTimeEq for AgreementKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&*other.0)
    }
}

impl PartialEq for AgreementKey {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for AgreementKey {}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementKey(redacted)")
    }
}

/// The public half of an [`AgreementKey`]: content keys are sealed to it.
///
/// ```
/// use threads_core::{AgreementKey, AgreementPublicKey};
/// let public = AgreementKey::from_bytes(&[7; 32]).public_key();
/// assert_eq!(AgreementPublicKey::from_bytes(&public.to_bytes()), public);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementPublicKey([u8; 32]);

impl AgreementPublicKey {
    /// From its 32 bytes. Whether anything can be sealed to it shows when sealing.
    ///
    /// ```
    /// let key = threads_core::AgreementPublicKey::from_bytes(&[9; 32]);
    /// assert_eq!(key.to_bytes(), [9; 32]);
    /// ```
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// Its 32 bytes.
    ///
    /// ```
    /// let key = threads_core::AgreementPublicKey::from_bytes(&[9; 32]);
    /// assert_eq!(key.to_bytes(), [9; 32]);
    /// ```
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Seals `content` to the holder of the pair. `info` names the purpose and place; opening
    /// needs the same. The result has [`SEALED_CONTENT_KEY_BYTES`] bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when this is a point of small order,
    /// which would hide nothing.
    ///
    /// ```
    /// use threads_core::{AgreementPublicKey, ContentKey, system_rng};
    ///
    /// let weak = AgreementPublicKey::from_bytes(&[0; 32]);
    /// let content = ContentKey::from_bytes(&[7; 32]);
    /// assert!(weak.seal(b"example/1", &content, &mut system_rng()).is_err());
    /// ```
    pub fn seal(
        &self,
        info: &[u8],
        content: &ContentKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>> {
        self.seal_bytes(info, &*content.to_bytes(), rng)
    }

    /// Seals bytes to the holder of the pair: they become [`SEALED_OVERHEAD_BYTES`] longer.
    pub(crate) fn seal_bytes(
        &self,
        info: &[u8],
        plaintext: &[u8],
        mut rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>> {
        let refused = || Error::invalid("this agreement key is weak: nothing can be sealed to it");
        let recipient = PublicKey::from_bytes(&self.0).map_err(|_| refused())?;
        let (encapped, ciphertext) = hpke::single_shot_seal_with_rng::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(
            &OpModeS::Base, &recipient, info, plaintext, &[], &mut rng
        )
        .map_err(|_| refused())?;
        Ok([encapped.to_bytes().as_slice(), &ciphertext].concat())
    }
}

impl fmt::Debug for AgreementPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AgreementPublicKey({})",
            multibase::encode(multibase::Base::Base32Lower, self.0)
        )
    }
}
