//! Blocks: bytes with a content identifier, and the one canonical encoding.
//!
//! Canonical DAG-CBOR, CIDv1, sha2-256. Decoding is followed by encoding again: bytes that do
//! not come out the same are refused, so that one value has one form and one hash.

use std::fmt;

use cid::Cid;
use cid::multihash::Multihash;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Multicodec of raw bytes.
pub const RAW: u64 = 0x55;
/// Multicodec of DAG-CBOR.
pub const DAG_CBOR: u64 = 0x71;
/// Multihash code of sha2-256.
const SHA2_256: u64 = 0x12;
/// The largest block, in bytes: what other implementations of content-addressed exchange accept.
pub const BLOCK_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes and the CID that names them.
///
/// ```
/// use threads_core::block::Block;
///
/// let block = Block::raw(b"hello".to_vec());
/// assert_eq!(block.cid().to_string(), "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq");
/// assert!(Block::checked(*block.cid(), b"hallo".to_vec()).is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    cid: Cid,
    bytes: Vec<u8>,
}

impl Block {
    /// A block of raw bytes.
    ///
    /// ```
    /// assert_eq!(threads_core::block::Block::raw(*b"x").bytes(), b"x");
    /// ```
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self {
            cid: cid_of(RAW, &bytes),
            bytes,
        }
    }

    /// A block of bytes that are DAG-CBOR already.
    ///
    /// ```
    /// assert_eq!(threads_core::block::Block::cbor([0xf6]).cid().codec(), 0x71);
    /// ```
    pub fn cbor(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self {
            cid: cid_of(DAG_CBOR, &bytes),
            bytes,
        }
    }

    /// A block that came from elsewhere, if its bytes are what `cid` names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when they are not, and
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a CID that Threads does not use.
    ///
    /// ```
    /// use threads_core::block::Block;
    /// let cid = *Block::raw(*b"x").cid();
    /// assert!(Block::checked(cid, b"x".to_vec()).is_ok());
    /// ```
    pub fn checked(cid: Cid, bytes: Vec<u8>) -> Result<Self> {
        check_link(&cid)?;
        if cid_of(cid.codec(), &bytes) != cid {
            return Err(
                Error::corrupt("a block's bytes are not what its CID names").with("cid", cid)
            );
        }
        Ok(Self { cid, bytes })
    }

    /// What names it.
    ///
    /// ```
    /// assert_eq!(threads_core::block::Block::raw(*b"x").cid().codec(), 0x55);
    /// ```
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// What it holds.
    ///
    /// ```
    /// assert_eq!(threads_core::block::Block::raw(*b"x").bytes(), b"x");
    /// ```
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it holds, without a copy.
    ///
    /// ```
    /// assert_eq!(threads_core::block::Block::raw(*b"x").into_bytes(), b"x");
    /// ```
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({}, {} bytes)", self.cid, self.bytes.len())
    }
}

/// The CIDv1 with sha2-256 of `bytes` under the multicodec `codec`.
///
/// ```
/// let cid = threads_core::block::cid_of(threads_core::block::RAW, b"x");
/// assert_eq!(cid.hash().digest().len(), 32);
/// ```
pub fn cid_of(codec: u64, bytes: &[u8]) -> Cid {
    cid_of_digest(codec, &sha256(bytes))
}

/// The CIDv1 with sha2-256 whose digest is known.
///
/// ```
/// use threads_core::block::{RAW, cid_of, cid_of_digest, sha256};
/// assert_eq!(cid_of_digest(RAW, &sha256(b"x")), cid_of(RAW, b"x"));
/// ```
pub fn cid_of_digest(codec: u64, digest: &[u8; 32]) -> Cid {
    // Thirty-two bytes always fit a Cid's multihash of sixty-four.
    #[expect(clippy::expect_used, reason = "32 bytes fit a multihash of 64")]
    let hash = Multihash::wrap(SHA2_256, digest).expect("32 bytes fit a multihash of 64");
    Cid::new_v1(codec, hash)
}

/// The sha2-256 digest of `bytes`.
///
/// ```
/// assert_eq!(threads_core::block::sha256(b"")[..2], [0xe3, 0xb0]);
/// ```
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Refuses a link that is not CIDv1 with sha2-256 over DAG-CBOR or raw bytes.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
///
/// ```
/// use threads_core::block::{Block, check_link};
/// assert!(check_link(Block::raw(*b"x").cid()).is_ok());
/// ```
pub fn check_link(cid: &Cid) -> Result<()> {
    let sound = cid.version() == cid::Version::V1
        && [RAW, DAG_CBOR].contains(&cid.codec())
        && cid.hash().code() == SHA2_256
        && cid.hash().digest().len() == 32;
    if sound {
        return Ok(());
    }
    Err(
        Error::invalid("a link must be a CIDv1 with sha2-256 over DAG-CBOR or raw bytes")
            .with("cid", cid),
    )
}

/// The canonical DAG-CBOR of `value`.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what DAG-CBOR cannot hold, such as NaN.
///
/// ```
/// assert_eq!(threads_core::block::encode(&vec![1, 2]).unwrap(), [0x82, 1, 2]);
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    serde_ipld_dagcbor::to_vec(value)
        .map_err(|cause| Error::invalid("cannot be written as DAG-CBOR").caused_by(cause))
}

/// Decodes canonical DAG-CBOR, and nothing else.
///
/// # Errors
///
/// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the bytes are too many, do not
/// decode, or do not encode to the same bytes again.
///
/// ```
/// use threads_core::block::decode;
/// assert_eq!(decode::<Vec<u8>>(&[0x82, 1, 2]).unwrap(), [1, 2]);
/// assert!(decode::<u8>(&[0x18, 1]).is_err(), "1 has a shorter form");
/// ```
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.len() > BLOCK_BYTES_MAX {
        return Err(Error::rejected("a block is too large").with("bytes", bytes.len()));
    }
    let value: T = serde_ipld_dagcbor::from_slice(bytes)
        .map_err(|cause| Error::rejected("not DAG-CBOR of the expected shape").caused_by(cause))?;
    if encode(&value)? != bytes {
        return Err(Error::rejected(
            "not canonical DAG-CBOR: it would encode to other bytes",
        ));
    }
    Ok(value)
}
