//! The floor of taking in records: pages of blocks are opened, hashed, verified in one batch and put.

use std::hint::black_box;

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer as _, SigningKey};
use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use sha2::{Digest as _, Sha256};

use crate::Result;
use crate::floor::Layers;
use crate::trace::Lengths;

const NONCE: usize = 24;
const TAG: usize = 16;
const SIGNATURE: usize = 64;
const WHERE: &[u8] = b"where";

/// Makes and opens pages, as one log's keys would.
pub(crate) struct Receiving {
    log: SigningKey,
    cipher: XChaCha20Poly1305,
    nonce: u64,
}

impl Receiving {
    pub(crate) fn new() -> Self {
        Self {
            log: SigningKey::from_bytes(&[7; 32]),
            cipher: XChaCha20Poly1305::new(&[9; 32].into()),
            nonce: 0,
        }
    }

    /// The blocks of one page as they travel: sealed, and the records signed.
    pub(crate) fn page(&mut self, lengths: &[Lengths]) -> Result<Vec<u8>> {
        let mut page = Vec::new();
        for one in lengths {
            let frame = NONCE + TAG + SIGNATURE;
            let mut message = vec![0; one.record.checked_sub(frame).ok_or("a short record")?];
            let place = page.len() as u64;
            message[..8].copy_from_slice(&place.to_be_bytes());
            let signature = self.log.sign(&message).to_bytes();
            message.extend_from_slice(&signature);
            self.seal(message, &mut page)?;
            for length in [one.event, one.body] {
                let plain = vec![0; length.checked_sub(NONCE + TAG).ok_or("a short block")?];
                self.seal(plain, &mut page)?;
            }
        }
        Ok(page)
    }

    fn seal(&mut self, mut block: Vec<u8>, page: &mut Vec<u8>) -> Result<()> {
        self.nonce += 1;
        let mut nonce = [0; NONCE];
        nonce[..8].copy_from_slice(&self.nonce.to_le_bytes());
        let sealed = self.cipher.encrypt_inout_detached(
            &XNonce::from(nonce),
            WHERE,
            block.as_mut_slice().into(),
        );
        let tag = sealed.map_err(|_| "a block is too long to encrypt")?;
        page.extend_from_slice(&nonce);
        page.extend_from_slice(&block);
        page.extend_from_slice(&tag);
        Ok(())
    }

    /// Hashes all blocks of a page, opens the layers that a reader or a replica opens, and verifies
    /// the signatures in one batch.
    pub(crate) fn take(&self, mut page: &[u8], lengths: &[Lengths], layers: Layers) -> Result<()> {
        let mut verifier = batch::Verifier::new();
        let key = VerificationKeyBytes::from(self.log.verifying_key().to_bytes());
        for one in lengths {
            for (place, length) in [one.record, one.event, one.body].into_iter().enumerate() {
                let (block, rest) = page.split_at_checked(length).ok_or("a short page")?;
                page = rest;
                black_box(Sha256::digest(block));
                if place > 0 && layers == Layers::Record {
                    continue;
                }
                let plain = self.open(block)?;
                if place == 0 {
                    let (message, signature) = plain
                        .split_last_chunk::<SIGNATURE>()
                        .ok_or("a record without a signature")?;
                    verifier.queue((key, Signature::from_bytes(signature), message));
                }
                black_box(plain);
            }
        }
        Ok(verifier.verify(threads_core::system_rng())?)
    }

    fn open(&self, block: &[u8]) -> Result<Vec<u8>> {
        let parts = block.split_first_chunk::<NONCE>();
        let parts = parts.and_then(|(nonce, rest)| Some((nonce, rest.split_last_chunk::<TAG>()?)));
        let (nonce, (sealed, tag)) = parts.ok_or("a short block")?;
        let mut plain = sealed.to_vec();
        let opened = self.cipher.decrypt_inout_detached(
            &XNonce::from(*nonce),
            WHERE,
            plain.as_mut_slice().into(),
            &Tag::from(*tag),
        );
        opened.map_err(|_| "a block does not open")?;
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_opens_and_a_flipped_bit_is_found() {
        let lengths = [Lengths {
            record: 300,
            event: 200,
            body: 400,
        }; 3];
        let mut receiving = Receiving::new();
        let mut page = receiving.page(&lengths).unwrap();
        assert_eq!(page.len(), 3 * 900);
        receiving.take(&page, &lengths, Layers::All).unwrap();
        receiving.take(&page, &lengths, Layers::Record).unwrap();
        page[2_000] ^= 1;
        assert!(receiving.take(&page, &lengths, Layers::All).is_err());
    }
}
