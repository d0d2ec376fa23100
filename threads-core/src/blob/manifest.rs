//! What a blob is made of: blocks in their order, and the keys that open them.

use cid::Cid;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::{BlobKey, BlobSecret, CHUNK_BYTES, CHUNK_OVERHEAD_BYTES, PARTS_MAX};
use crate::block::{self, Block, DAG_CBOR, RAW, check_link};
use crate::{Error, Result};

const VERSION: u64 = 1;
const KEY_BYTES: usize = 32;

/// A part of a blob: a block, and the key that opens it.
///
/// ```
/// use threads_core::{block::Block, blob::{BlobKey, Part}};
/// let part = Part::new(*Block::raw(*b"x").cid(), BlobKey::from_bytes(&[7; 32]));
/// assert_eq!(part.cid().codec(), 0x55);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    cid: Cid,
    key: BlobKey,
}

impl Part {
    /// The block `cid`, opened by `key`.
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, Part}};
    /// let key = BlobKey::from_bytes(&[7; 32]);
    /// assert_eq!(*Part::new(*Block::raw(*b"x").cid(), key.clone()).key(), key);
    /// ```
    pub fn new(cid: Cid, key: BlobKey) -> Self {
        Self { cid, key }
    }

    /// The CID of its block.
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, Part}};
    /// let cid = *Block::raw(*b"x").cid();
    /// assert_eq!(*Part::new(cid, BlobKey::from_bytes(&[7; 32])).cid(), cid);
    /// ```
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// What opens it.
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, Part}};
    /// let part = Part::new(*Block::raw(*b"x").cid(), BlobKey::from_bytes(&[7; 32]));
    /// assert_eq!(format!("{:?}", part.key()), "BlobKey(redacted)");
    /// ```
    pub fn key(&self) -> &BlobKey {
        &self.key
    }
}

/// The parts of a blob, in their order: chunks, or manifests of chunks where there are more than
/// [`PARTS_MAX`]. Everybody who has it can check and fetch the parts; who has its key can open them.
///
/// ```
/// use threads_core::{ReadKey, blob::{BlobSecret, Manifest}};
/// let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
/// let (empty, _) = Manifest::new(&secret, 0, vec![]).unwrap();
/// assert_eq!((empty.size(), empty.parts().len()), (0, 0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    keys: ByteBuf,
    parts: Vec<Cid>,
    size: u64,
    v: u64,
}

impl Manifest {
    /// The manifest of `size` bytes of content, and what opens it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when parts and size do not fit.
    ///
    /// ```
    /// # use threads_core::{ReadKey, blob::{BlobSecret, Manifest}};
    /// let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// assert!(Manifest::new(&secret, 1, vec![]).is_err(), "a byte without a part");
    /// ```
    pub fn new(secret: &BlobSecret, size: u64, parts: Vec<Part>) -> Result<(Self, BlobKey)> {
        let mut keys = Zeroizing::new(Vec::with_capacity(parts.len() * KEY_BYTES));
        for part in &parts {
            keys.extend_from_slice(&*part.key.to_bytes());
        }
        let (key, sealed) = secret.seal_keys(size, &keys)?;
        let manifest = Self {
            keys: ByteBuf::from(sealed),
            parts: parts.into_iter().map(|part| part.cid).collect(),
            size,
            v: VERSION,
        };
        match manifest.is_sound() {
            true => Ok((manifest, key)),
            false => Err(Error::invalid("the parts of a blob do not fit its size")),
        }
    }

    /// The manifest that these bytes are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when they are none, in canonical form, or the
    /// parts do not fit the size.
    ///
    /// ```
    /// assert!(threads_core::blob::Manifest::decode(b"no manifest").is_err());
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let manifest: Self = block::decode(bytes)?;
        match manifest.is_sound() {
            true => Ok(manifest),
            false => Err(Error::rejected("the manifest of a blob is not sound")
                .with("parts", manifest.parts.len())
                .with("size", manifest.size)),
        }
    }

    /// Its block, which names it.
    ///
    /// # Errors
    ///
    /// None that can be caused from outside.
    ///
    /// ```
    /// # use threads_core::{ReadKey, blob::{BlobSecret, Manifest}};
    /// # let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// let (empty, _) = Manifest::new(&secret, 0, vec![]).unwrap();
    /// assert_eq!(Manifest::decode(empty.to_block().unwrap().bytes()).unwrap(), empty);
    /// ```
    pub fn to_block(&self) -> Result<Block> {
        block::encode(self).map(Block::cbor)
    }

    /// How many bytes of content there are.
    ///
    /// ```
    /// # use threads_core::{ReadKey, blob::{BlobSecret, Manifest}};
    /// # let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// assert_eq!(Manifest::new(&secret, 0, vec![]).unwrap().0.size(), 0);
    /// ```
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The blocks of the parts, in the order of the content.
    ///
    /// ```
    /// # use threads_core::{ReadKey, blob::{BlobSecret, Manifest}};
    /// # let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// assert!(Manifest::new(&secret, 0, vec![]).unwrap().0.parts().is_empty());
    /// ```
    pub fn parts(&self) -> &[Cid] {
        &self.parts
    }

    /// Whether the parts are manifests.
    ///
    /// ```
    /// # use threads_core::{ReadKey, blob::{BlobSecret, Manifest}};
    /// # let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// assert!(!Manifest::new(&secret, 0, vec![]).unwrap().0.is_tree());
    /// ```
    pub fn is_tree(&self) -> bool {
        self.parts
            .first()
            .is_some_and(|part| part.codec() == DAG_CBOR)
    }

    /// How much content is in each part but the last.
    ///
    /// ```
    /// # use threads_core::{ReadKey, blob::{BlobSecret, CHUNK_BYTES, Manifest}};
    /// # let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// assert_eq!(Manifest::new(&secret, 0, vec![]).unwrap().0.part_bytes(), CHUNK_BYTES as u64);
    /// ```
    pub fn part_bytes(&self) -> u64 {
        match self.is_tree() {
            true => (CHUNK_BYTES * PARTS_MAX) as u64,
            false => CHUNK_BYTES as u64,
        }
    }

    /// How much content is in the part at `index`; none where there is no such part.
    ///
    /// ```
    /// # use threads_core::{ReadKey, blob::{BlobSecret, Manifest}};
    /// # let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// assert_eq!(Manifest::new(&secret, 0, vec![]).unwrap().0.bytes_of_part(0), 0);
    /// ```
    pub fn bytes_of_part(&self, index: usize) -> u64 {
        let before = (index as u64).saturating_mul(self.part_bytes());
        self.size.saturating_sub(before).min(self.part_bytes())
    }

    /// The parts with their keys.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when the key is another.
    ///
    /// ```
    /// # use threads_core::{ReadKey, blob::{BlobKey, BlobSecret, Manifest}};
    /// # let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
    /// let (empty, key) = Manifest::new(&secret, 0, vec![]).unwrap();
    /// assert!(empty.open(&key).unwrap().is_empty());
    /// assert!(empty.open(&BlobKey::from_bytes(&[7; 32])).is_err());
    /// ```
    pub fn open(&self, key: &BlobKey) -> Result<Vec<Part>> {
        let keys = key.open_keys(&self.keys)?;
        // Decoding has checked that there is one for each.
        let keys = keys
            .as_chunks::<KEY_BYTES>()
            .0
            .iter()
            .map(BlobKey::from_bytes);
        let parts = self.parts.iter().zip(keys);
        Ok(parts.map(|(cid, key)| Part::new(*cid, key)).collect())
    }

    /// Whether each byte of content is in one part, in the one form that there is for its size.
    fn is_sound(&self) -> bool {
        let (parts, part) = (self.parts.len() as u64, self.part_bytes());
        let codec = if self.is_tree() { DAG_CBOR } else { RAW };
        let alike = |cid: &Cid| check_link(cid).is_ok() && cid.codec() == codec;
        self.v == VERSION
            && self.parts.len() <= PARTS_MAX
            && self.size.div_ceil(part) == parts
            && (!self.is_tree() || parts > 1)
            && self.parts.iter().all(alike)
            && self.keys.len() == self.parts.len() * KEY_BYTES + CHUNK_OVERHEAD_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadKey;

    fn secret() -> BlobSecret {
        BlobSecret::of(&ReadKey::from_bytes(&[7; 32]))
    }

    fn part(codec: u64) -> Part {
        Part::new(block::cid_of(codec, b"x"), BlobKey::from_bytes(&[1; 32]))
    }

    #[test]
    fn parts_that_do_not_fit_the_size_are_refused() {
        let chunk = CHUNK_BYTES as u64;
        let whole = chunk * PARTS_MAX as u64;
        let make = |size, parts: &[u64]| {
            let parts = parts.iter().map(|codec| part(*codec)).collect();
            Manifest::new(&secret(), size, parts)
        };
        assert!(make(0, &[]).is_ok());
        assert!(make(1, &[RAW]).is_ok() && make(chunk, &[RAW]).is_ok());
        assert!(make(0, &[RAW]).is_err() && make(chunk + 1, &[RAW]).is_err());
        assert!(make(chunk + 1, &[RAW, RAW]).is_ok() && make(chunk, &[RAW, RAW]).is_err());
        assert!(make(whole + 1, &[DAG_CBOR, DAG_CBOR]).is_ok());
        assert!(make(whole, &[DAG_CBOR]).is_err(), "it has a shorter form");
        assert!(make(whole + 1, &[DAG_CBOR, RAW]).is_err());
        assert!(make(u64::MAX, &[DAG_CBOR, DAG_CBOR]).is_err());
        assert!(make(whole + 1, &vec![RAW; PARTS_MAX + 1]).is_err());
    }

    #[test]
    fn a_manifest_that_says_something_else_is_refused_and_none_panics() {
        let (manifest, _) = Manifest::new(&secret(), 1, vec![part(RAW)]).unwrap();
        let changed = |change: fn(&mut Manifest)| {
            let mut other = manifest.clone();
            change(&mut other);
            Manifest::decode(&block::encode(&other).unwrap())
        };
        assert!(changed(|_| ()).is_ok());
        assert!(changed(|m| m.v = 2).is_err());
        assert!(changed(|m| m.size = u64::MAX).is_err());
        assert!(changed(|m| _ = m.keys.pop()).is_err());
        assert!(changed(|m| m.parts.clear()).is_err());
    }
}
