//! Blobs: large content that is kept apart from records, and named by what it is.
//!
//! Content is cut into chunks of [`CHUNK_BYTES`], each sealed under a key that follows from the chunk and
//! from a secret of the thread: equal chunks of a thread are one block, and who is not of the thread cannot
//! test a guess. A [`Manifest`] lists the chunks by the CIDs of their ciphertexts, which whoever keeps the
//! thread can check, and their keys, sealed. A [`BlobRef`] names the manifest and opens it; an application
//! keeps it where it would have kept the content. The format is in `spec/10-blobs.md`.
//!
//! ```
//! use threads_core::ReadKey;
//! use threads_core::blob::{BlobRef, BlobSecret, Manifest, Part};
//!
//! let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
//! let (key, chunk) = secret.seal_chunk(b"a picture").unwrap();
//! let (manifest, opens) = Manifest::new(&secret, 9, vec![Part::new(*chunk.cid(), key)]).unwrap();
//!
//! let block = manifest.to_block().unwrap();
//! let named = BlobRef::new(*block.cid(), opens, 9, "image/png").unwrap();
//! let parts = Manifest::decode(block.bytes()).unwrap().open(named.key()).unwrap();
//! assert_eq!(parts[0].key().open_chunk(chunk.bytes()).unwrap(), b"a picture");
//! ```

mod key;
mod manifest;
mod reference;

pub use key::{BlobKey, BlobSecret};
pub use manifest::{Manifest, Part};
pub use reference::BlobRef;

/// The bytes of content in every chunk but the last, which has fewer or as many.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// How much longer a sealed chunk is than what is in it.
pub const CHUNK_OVERHEAD_BYTES: usize = 16;
/// The most parts of one manifest. Content of more chunks has a manifest of manifests.
pub const PARTS_MAX: usize = 8_192;
/// The most bytes of content of one blob: those of a manifest of full manifests.
pub const BLOB_BYTES_MAX: u64 = (CHUNK_BYTES * PARTS_MAX) as u64 * PARTS_MAX as u64;
/// The longest media type, in bytes.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;
