//! Text for people to copy: a tag that says what it is, the bytes, and a checksum.
//!
//! ```
//! use threads_core::text;
//! let shown = text::encode("example", b"hello");
//! assert!(shown.starts_with("example_b"));
//! assert_eq!(text::decode("example", &shown, 100).unwrap(), b"hello");
//! assert!(text::decode("example", &shown[..shown.len() - 1], 100).is_err());
//! ```

use multibase::Base;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

const CHECKSUM_BYTES: usize = 4;

/// The checksum covers the tag, so that one kind of text is never taken for another.
fn checksum(tag: &str, bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = Sha256::new()
        .chain_update(tag)
        .chain_update(b"_")
        .chain_update(bytes)
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// `<tag>_` and multibase base32 of `bytes` and a checksum. See the [module](self).
///
/// ```
/// assert!(threads_core::text::encode("example", b"").starts_with("example_b"));
/// ```
pub fn encode(tag: &str, bytes: &[u8]) -> String {
    let sealed = [bytes, &checksum(tag, bytes)].concat();
    format!("{tag}_{}", multibase::encode(Base::Base32Lower, sealed))
}

/// The bytes, of which there are at most `bytes_max`.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a text of another kind, one that is mistyped
/// or cut short, and one that is too long. No error carries a part of the text: it may be a secret.
///
/// ```
/// use threads_core::text;
/// let shown = text::encode("example", b"hello");
/// assert!(text::decode("another", &shown, 100).is_err());
/// assert!(text::decode("example", &shown, 4).is_err());
/// ```
pub fn decode(tag: &str, text: &str, bytes_max: usize) -> Result<Vec<u8>> {
    let other = || Error::invalid(format!("not what is expected here: it begins with {tag}_"));
    let mistyped = || {
        let error = "cut short or mistyped: its checksum does not match";
        Error::invalid(error).with("characters", text.len())
    };
    let body = text.trim().strip_prefix(tag).ok_or_else(other)?;
    let body = body.strip_prefix('_').ok_or_else(other)?;
    if body.len() > 1 + ((bytes_max + CHECKSUM_BYTES) * 8).div_ceil(5) {
        return Err(Error::invalid("longer than any text of this kind").with("kind", tag));
    }
    let digits = body
        .strip_prefix(Base::Base32Lower.code())
        .ok_or_else(mistyped)?;
    let mut bytes = Base::Base32Lower.decode(digits).map_err(|_| mistyped())?;
    let split = bytes
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .ok_or_else(mistyped)?;
    let sum = bytes.split_off(split);
    match sum == checksum(tag, &bytes) {
        true => Ok(bytes),
        false => Err(mistyped()),
    }
}
