//! XChaCha20-Poly1305 over whole buffers: `nonce ‖ ciphertext ‖ tag`.

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Bytes of an XChaCha20 nonce: enough that random ones never meet.
pub(super) const NONCE_BYTES: usize = 24;
/// Bytes of a Poly1305 tag.
const TAG_BYTES: usize = 16;

/// How much longer sealed bytes are than their plaintext: nonce and tag.
pub const SEAL_OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

pub(super) fn seal(
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>> {
    let mut sealed = Vec::with_capacity(SEAL_OVERHEAD_BYTES + plaintext.len());
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(plaintext);
    let tag = XChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(
            &XNonce::from(*nonce),
            aad,
            (&mut sealed[NONCE_BYTES..]).into(),
        )
        .map_err(|_| Error::invalid("too long to seal at once").with("bytes", plaintext.len()))?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

pub(super) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
    let parts = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .and_then(|(nonce, rest)| {
            let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
            Some((nonce, ciphertext, tag))
        });
    let Some((nonce, ciphertext, tag)) = parts else {
        return Err(Error::rejected("sealed bytes are too short").with("bytes", sealed.len()));
    };
    let mut plaintext = ciphertext.to_vec();
    XChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            aad,
            plaintext.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| Error::rejected("does not open: the key is another, or it was altered"))?;
    Ok(plaintext)
}

/// Seals the one plaintext that a key is for: `ciphertext ‖ tag`. The nonce is zero, so the key must follow
/// from the plaintext.
pub(crate) fn seal_once(key: &[u8; 32], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let mut sealed = Vec::with_capacity(plaintext.len() + TAG_BYTES);
    sealed.extend_from_slice(plaintext);
    let nonce = XNonce::from([0; NONCE_BYTES]);
    let tag = XChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(&nonce, aad, sealed.as_mut_slice().into())
        .map_err(|_| Error::invalid("too long to seal at once").with("bytes", plaintext.len()))?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal_once`] sealed, in place of what `plaintext` held; what was there is overwritten, or wiped.
pub(crate) fn open_once(
    key: &[u8; 32],
    aad: &[u8],
    sealed: &[u8],
    plaintext: &mut Zeroizing<Vec<u8>>,
) -> Result<()> {
    plaintext.clear();
    let Some((ciphertext, tag)) = sealed.split_last_chunk::<TAG_BYTES>() else {
        return Err(Error::rejected("sealed bytes are too short").with("bytes", sealed.len()));
    };
    if plaintext.capacity() < ciphertext.len() {
        // Growing would leave behind what it held.
        *plaintext = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    }
    plaintext.extend_from_slice(ciphertext);
    let nonce = XNonce::from([0; NONCE_BYTES]);
    let opened = XChaCha20Poly1305::new(key.into()).decrypt_inout_detached(
        &nonce,
        aad,
        plaintext.as_mut_slice().into(),
        &Tag::from(*tag),
    );
    opened.map_err(|_| {
        plaintext.clear();
        Error::rejected("does not open: the key is another, or it was altered")
    })
}

/// The nonce that only these inputs have. Their lengths are bound too: no `aad` can lend its end
/// to the plaintext.
pub(super) fn synthetic_nonce(
    nonce_key: &[u8; 32],
    aad: &[u8],
    plaintext: &[u8],
) -> [u8; NONCE_BYTES] {
    let mac = Hmac::<Sha256>::new_from_slice(nonce_key)
        // HMAC hashes a key that is too long and pads one that is too short.
        .expect("HMAC takes keys of any length")
        .chain_update((aad.len() as u64).to_be_bytes())
        .chain_update(aad)
        .chain_update(plaintext)
        .finalize()
        .into_bytes();
    let mut nonce = [0; NONCE_BYTES];
    nonce.copy_from_slice(&mac[..NONCE_BYTES]);
    nonce
}
