//! What an application keeps of a blob.

use std::fmt;
use std::str::FromStr;

use cid::Cid;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::{BLOB_BYTES_MAX, BlobKey, MEDIA_TYPE_BYTES_MAX};
use crate::block::{self, DAG_CBOR, check_link};
use crate::{Error, Result, text};

const TAG: &str = "blob";
/// The most bytes of the text's content: a CID, a key, a size and a media type with their names.
const TEXT_BYTES_MAX: usize = 1024;

/// Names a blob and opens it: all that is needed to read it, where its blocks are.
///
/// As JSON it is an object that an entity may hold anywhere; `type` is left out where nothing is said:
/// `{"blob": "bafyrei…", "key": "blobkey_b…", "size": 9, "type": "image/png"}`. As text it is one word.
/// Whoever has it can read the blob: it is as secret as what it names.
///
/// ```
/// use threads_core::blob::{BlobKey, BlobRef};
/// use threads_core::block::Block;
///
/// let cid = *Block::cbor([0xf6]).cid();
/// let named = BlobRef::new(cid, BlobKey::from_bytes(&[7; 32]), 9, "image/png").unwrap();
/// let json = serde_json::to_value(&named).unwrap();
/// assert_eq!(json["blob"], cid.to_string());
/// assert_eq!(serde_json::from_value::<BlobRef>(json).unwrap(), named);
/// assert_eq!(named.to_string().parse::<BlobRef>().unwrap(), named);
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Shape", into = "Shape")]
pub struct BlobRef {
    cid: Cid,
    key: BlobKey,
    size: u64,
    media_type: String,
}

/// How it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    blob: String,
    key: String,
    size: u64,
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    media_type: String,
}

impl BlobRef {
    /// The blob of the manifest `cid`, which `key` opens, with `size` bytes of this media type; an empty
    /// one says nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a CID that no manifest has, a size that no
    /// blob has, and a media type that is no line of at most [`MEDIA_TYPE_BYTES_MAX`] characters of ASCII.
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, BlobRef}};
    /// let key = BlobKey::from_bytes(&[7; 32]);
    /// assert!(BlobRef::new(*Block::raw([1]).cid(), key, 9, "").is_err(), "that is no manifest");
    /// ```
    pub fn new(cid: Cid, key: BlobKey, size: u64, media_type: &str) -> Result<Self> {
        check_link(&cid)?;
        if cid.codec() != DAG_CBOR {
            return Err(
                Error::invalid("a blob is named by the CID of its manifest").with("cid", cid)
            );
        }
        if size > BLOB_BYTES_MAX {
            return Err(Error::invalid("a blob is larger than blobs can be").with("size", size));
        }
        let printable = |c: u8| c.is_ascii_graphic() || c == b' ';
        if media_type.len() > MEDIA_TYPE_BYTES_MAX || !media_type.bytes().all(printable) {
            return Err(Error::invalid(
                "a media type is a line of at most 255 characters of ASCII",
            ));
        }
        Ok(Self {
            cid,
            key,
            size,
            media_type: media_type.to_owned(),
        })
    }

    /// The CID of the manifest: the name of the blob. It opens nothing.
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, BlobRef}};
    /// # let cid = *Block::cbor([0xf6]).cid();
    /// # let named = BlobRef::new(cid, BlobKey::from_bytes(&[7; 32]), 9, "image/png").unwrap();
    /// assert_eq!(*named.cid(), cid);
    /// ```
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// What opens the manifest.
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, BlobRef}};
    /// # let key = BlobKey::from_bytes(&[7; 32]);
    /// # let named = BlobRef::new(*Block::cbor([0xf6]).cid(), key.clone(), 9, "image/png").unwrap();
    /// assert_eq!(*named.key(), key);
    /// ```
    pub fn key(&self) -> &BlobKey {
        &self.key
    }

    /// How many bytes it has.
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, BlobRef}};
    /// # let key = BlobKey::from_bytes(&[7; 32]);
    /// # let named = BlobRef::new(*Block::cbor([0xf6]).cid(), key, 9, "image/png").unwrap();
    /// assert_eq!(named.size(), 9);
    /// ```
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What it is, as whoever put it in said; empty where nothing was said.
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, BlobRef}};
    /// # let key = BlobKey::from_bytes(&[7; 32]);
    /// # let named = BlobRef::new(*Block::cbor([0xf6]).cid(), key, 9, "image/png").unwrap();
    /// assert_eq!(named.media_type(), "image/png");
    /// ```
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The same, said to be of another media type.
    ///
    /// # Errors
    ///
    /// As of [`BlobRef::new`].
    ///
    /// ```
    /// # use threads_core::{block::Block, blob::{BlobKey, BlobRef}};
    /// # let key = BlobKey::from_bytes(&[7; 32]);
    /// # let named = BlobRef::new(*Block::cbor([0xf6]).cid(), key, 9, "").unwrap();
    /// assert_eq!(named.of_type("text/plain").unwrap().media_type(), "text/plain");
    /// ```
    pub fn of_type(self, media_type: &str) -> Result<Self> {
        Self::new(self.cid, self.key, self.size, media_type)
    }
}

impl From<BlobRef> for Shape {
    fn from(named: BlobRef) -> Self {
        Self {
            blob: named.cid.to_string(),
            key: named.key.to_text().to_string(),
            size: named.size,
            media_type: named.media_type,
        }
    }
}

impl TryFrom<Shape> for BlobRef {
    type Error = Error;

    fn try_from(shape: Shape) -> Result<Self> {
        let cid = Cid::try_from(shape.blob.as_str())
            .map_err(|cause| Error::invalid("a blob is named by a CID").caused_by(cause))?;
        let key = BlobKey::from_text(&shape.key)?;
        Self::new(cid, key, shape.size, &shape.media_type)
    }
}

/// One word, with a checksum.
impl fmt::Display for BlobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = (
            self.cid,
            ByteArray::new(*self.key.to_bytes()),
            self.size,
            &self.media_type,
        );
        let bytes = block::encode(&content).map_err(|_| fmt::Error)?;
        f.write_str(&text::encode(TAG, &bytes))
    }
}

impl FromStr for BlobRef {
    type Err = Error;

    fn from_str(shown: &str) -> Result<Self> {
        let bytes = text::decode(TAG, shown, TEXT_BYTES_MAX)?;
        let (cid, key, size, media_type): (Cid, ByteArray<32>, u64, String) = block::decode(&bytes)
            .map_err(|cause| Error::invalid("not the reference of a blob").caused_by(cause))?;
        Self::new(cid, BlobKey::from_bytes(&key), size, &media_type)
    }
}

/// Shows no key.
impl fmt::Debug for BlobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobRef")
            .field("cid", &self.cid.to_string())
            .field("size", &self.size)
            .field("media_type", &self.media_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::block::Block;

    fn sample() -> BlobRef {
        let cid = *Block::cbor([0xf6]).cid();
        BlobRef::new(cid, BlobKey::from_bytes(&[7; 32]), 9, "image/png").unwrap()
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let good = serde_json::to_value(sample()).unwrap();
        let changed = |field: &str, value: serde_json::Value| {
            let mut other = good.clone();
            other[field] = value;
            serde_json::from_value::<BlobRef>(other)
        };
        assert!(changed("size", json!(10)).is_ok());
        assert!(changed("size", json!(u64::MAX)).is_err());
        assert!(changed("blob", json!("bafy")).is_err());
        assert!(changed("blob", json!(Block::raw([1]).cid().to_string())).is_err());
        assert!(changed("key", json!("blobkey_b")).is_err());
        assert!(changed("type", json!("a\nb")).is_err());
        assert!(changed("more", json!(1)).is_err());
    }

    #[test]
    fn nothing_shows_the_key() {
        let shown = format!("{:?}", sample());
        assert!(
            !shown.contains(&*sample().key().to_text()) && !shown.contains("7, 7"),
            "{shown}"
        );
    }
}
