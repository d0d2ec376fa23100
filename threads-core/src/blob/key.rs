//! The keys of blobs: each follows from what it seals and from a secret of the thread.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{CHUNK_BYTES, CHUNK_OVERHEAD_BYTES};
use crate::block::Block;
use crate::key::{open_once, seal_once};
use crate::{Error, ReadKey, Result, text};

const CHUNK_AAD: &[u8] = b"threads/blob-chunk/1";
const KEYS_AAD: &[u8] = b"threads/blob-keys/1";
/// What the keys of chunks and those of lists of keys are made from, kept apart.
const OF_CHUNK: u8 = 0;
const OF_KEYS: u8 = 1;
const TAG: &str = "blobkey";

/// Makes the keys of blobs. It follows from the read key that is written under, so equal content is stored
/// once in each epoch of a thread, and who was removed cannot test guesses about what came after.
///
/// ```
/// use threads_core::{ReadKey, blob::BlobSecret};
/// let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
/// assert_eq!(format!("{secret:?}"), "BlobSecret(redacted)");
/// ```
#[derive(Clone)]
pub struct BlobSecret(Zeroizing<[u8; 32]>);

/// Opens one chunk, or the list of the keys of a manifest.
///
/// ```
/// use threads_core::{ReadKey, blob::BlobSecret};
/// let (key, _) = BlobSecret::of(&ReadKey::from_bytes(&[7; 32])).seal_chunk(b"x").unwrap();
/// assert_eq!(format!("{key:?}"), "BlobKey(redacted)");
/// ```
#[derive(Clone)]
pub struct BlobKey(Zeroizing<[u8; 32]>);

impl BlobSecret {
    /// That of an epoch of a thread.
    ///
    /// ```
    /// use threads_core::{ReadKey, blob::BlobSecret};
    /// let of = |byte| BlobSecret::of(&ReadKey::from_bytes(&[byte; 32])).seal_chunk(b"x").unwrap().1;
    /// assert_eq!(of(7), of(7), "equal content of a thread is one block");
    /// assert_ne!(of(7), of(8), "and that of two threads is not");
    /// ```
    pub fn of(read: &ReadKey) -> Self {
        Self(read.derive(b"threads/blob/1"))
    }

    /// Seals a chunk of content under the key that is its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for more than [`CHUNK_BYTES`], or none.
    ///
    /// ```
    /// use threads_core::{ReadKey, blob::{BlobSecret, CHUNK_BYTES}};
    /// let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// let (key, chunk) = secret.seal_chunk(b"x").unwrap();
    /// assert_eq!(key.open_chunk(chunk.bytes()).unwrap(), b"x");
    /// assert!(secret.seal_chunk(&vec![0; CHUNK_BYTES + 1]).is_err());
    /// ```
    pub fn seal_chunk(&self, content: &[u8]) -> Result<(BlobKey, Block)> {
        if content.is_empty() || content.len() > CHUNK_BYTES {
            return Err(Error::invalid("a chunk of a blob has 1 byte to 256 KiB")
                .with("bytes", content.len()));
        }
        let key = self.key_of(OF_CHUNK, &[content]);
        let sealed = seal_once(&key.0, CHUNK_AAD, content)?;
        Ok((key, Block::raw(sealed)))
    }

    /// Seals the keys of the parts of `size` bytes of content.
    pub(super) fn seal_keys(&self, size: u64, keys: &[u8]) -> Result<(BlobKey, Vec<u8>)> {
        let key = self.key_of(OF_KEYS, &[&size.to_be_bytes(), keys]);
        let sealed = seal_once(&key.0, KEYS_AAD, keys)?;
        Ok((key, sealed))
    }

    fn key_of(&self, of: u8, parts: &[&[u8]]) -> BlobKey {
        let mac = Hmac::<Sha256>::new_from_slice(&*self.0)
            // HMAC hashes a key that is too long and pads one that is too short.
            .expect("HMAC takes keys of any length");
        let mac = mac.chain_update([of]);
        let mac = parts.iter().fold(mac, |mac, part| mac.chain_update(part));
        BlobKey(Zeroizing::new(mac.finalize().into_bytes().into()))
    }
}

impl BlobKey {
    /// From its 32 bytes.
    ///
    /// ```
    /// use threads_core::blob::BlobKey;
    /// assert_eq!(*BlobKey::from_bytes(&[7; 32]).to_bytes(), [7; 32]);
    /// ```
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The 32 bytes of the key: the secret itself.
    ///
    /// ```
    /// use threads_core::blob::BlobKey;
    /// assert_eq!(*BlobKey::from_bytes(&[7; 32]).to_bytes(), [7; 32]);
    /// ```
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// The secret as text, to hand it on: its kind, the key, a checksum.
    ///
    /// ```
    /// use threads_core::blob::BlobKey;
    /// let key = BlobKey::from_bytes(&[7; 32]);
    /// assert_eq!(BlobKey::from_text(&key.to_text()).unwrap(), key);
    /// ```
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(text::encode(TAG, &*self.0))
    }

    /// From its text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a text of another kind, or a mistyped one.
    ///
    /// ```
    /// assert!(threads_core::blob::BlobKey::from_text("read_b").is_err());
    /// ```
    pub fn from_text(shown: &str) -> Result<Self> {
        let bytes = Zeroizing::new(text::decode(TAG, shown, 32)?);
        let bytes: Result<[u8; 32], _> = bytes.as_slice().try_into();
        bytes
            .map(|bytes| Self::from_bytes(&bytes))
            .map_err(|_| Error::invalid("the key of a blob has 32 bytes"))
    }

    /// Opens a chunk.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when it was sealed under another key, altered,
    /// or is longer than chunks are.
    ///
    /// ```
    /// let key = threads_core::blob::BlobKey::from_bytes(&[7; 32]);
    /// assert!(key.open_chunk(b"anything else").is_err());
    /// ```
    pub fn open_chunk(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let mut content = Zeroizing::default();
        self.open_chunk_into(sealed, &mut content)?;
        Ok(std::mem::take(&mut *content))
    }

    /// Opens a chunk in place of what `content` held, so that one after the other needs memory for one. What
    /// it held is overwritten or wiped; on an error it holds nothing.
    ///
    /// # Errors
    ///
    /// Those of [`open_chunk`](Self::open_chunk).
    ///
    /// ```
    /// use threads_core::{ReadKey, blob::BlobSecret};
    /// let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// let mut content = Default::default();
    /// for chunk in [&b"one"[..], b"two"] {
    ///     let (key, sealed) = secret.seal_chunk(chunk).unwrap();
    ///     key.open_chunk_into(sealed.bytes(), &mut content).unwrap();
    ///     assert_eq!(*content, chunk);
    /// }
    /// ```
    pub fn open_chunk_into(&self, sealed: &[u8], content: &mut Zeroizing<Vec<u8>>) -> Result<()> {
        if sealed.len() > CHUNK_BYTES + CHUNK_OVERHEAD_BYTES {
            content.clear();
            return Err(Error::rejected("a chunk of a blob is longer than they are")
                .with("bytes", sealed.len()));
        }
        open_once(&self.0, CHUNK_AAD, sealed, content)
    }

    pub(super) fn open_keys(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let mut keys = Zeroizing::default();
        open_once(&self.0, KEYS_AAD, sealed, &mut keys)?;
        Ok(keys)
    }
}

impl PartialEq for BlobKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for BlobKey {}

macro_rules! redacted {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )*};
}

redacted!(BlobSecret BlobKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_opens_in_the_memory_of_another() {
        let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
        let mut content = Zeroizing::default();
        for chunk in [&b"short"[..], b"one that is longer", b"the end"] {
            let (key, sealed) = secret.seal_chunk(chunk).unwrap();
            key.open_chunk_into(sealed.bytes(), &mut content).unwrap();
            assert_eq!(*content, chunk);
            assert_eq!(key.open_chunk(sealed.bytes()).unwrap(), chunk);
        }
    }

    #[test]
    fn what_does_not_open_leaves_nothing() {
        let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
        let (key, sealed) = secret.seal_chunk(b"x").unwrap();
        let mut altered = sealed.bytes().to_vec();
        altered[0] ^= 1;
        for wrong in [
            &altered[..],
            b"x",
            &[0; CHUNK_BYTES + CHUNK_OVERHEAD_BYTES + 1],
        ] {
            let mut content = Zeroizing::new(b"from before".to_vec());
            assert!(key.open_chunk_into(wrong, &mut content).is_err());
            assert_eq!(*content, b"", "of {} bytes", wrong.len());
        }
    }
}
