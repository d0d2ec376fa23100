//! CAR files: blocks on their way from one node to another, in the format other tools read.
//!
//! Version 1 of the format: a header `{roots, version: 1}` in DAG-CBOR, then one section per
//! block, `CID ‖ bytes`; header and sections each follow their length as an unsigned varint.
//! Reading and writing hold one block in memory, however long the file.
//!
//! A file from elsewhere is untrusted: each block is checked against its CID, and no length is
//! believed before its bytes have arrived. The format has no mark at its end, so a reader asks
//! for the root too: whoever writes the root last makes every cut visible.

use serde::{Deserialize, Serialize};
use threads_core::Cid;
use threads_core::block::BLOCK_BYTES_MAX;

mod read;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use read::CarReader;
pub(crate) use write::CarWriter;

/// The longest header, in bytes: room for about a hundred roots.
const HEADER_BYTES_MAX: usize = 4096;
/// The longest section, in bytes: the largest block and its CID.
const SECTION_BYTES_MAX: usize = BLOCK_BYTES_MAX + CID_BYTES_MAX;
/// The longest CID that a section may begin with, in bytes.
const CID_BYTES_MAX: usize = 128;
/// The longest length prefix, in bytes: four hold every length up to 256 MiB.
const PREFIX_BYTES_MAX: usize = 4;

/// What a file begins with. Version 2 has no roots here.
#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roots: Option<Vec<Cid>>,
    version: u64,
}
