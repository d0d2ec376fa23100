//! Keys of any bytes as ids of entities, in the same order.
//!
//! An id is text without control characters, of at most [`ID_BYTES_MAX`] bytes. The bytes `"` to `}`
//! stand for themselves; those before are `!` and two hexadecimal digits, those after `~` and two.
//! Every byte has one form and none is the beginning of another, so ids order as keys do, and what
//! begins with a key begins with its id.
//!
//! ```
//! use threads_shapes::key;
//!
//! assert_eq!(key::to_id(b"user:7").unwrap(), "user:7");
//! assert_eq!(key::to_id(b"a b\xff").unwrap(), "a!20b~ff");
//! assert_eq!(key::of_id("a!20b~ff").unwrap(), b"a b\xff");
//! ```

use threads_core::{Error, Result};

/// The longest id: a key of so many letters and digits, or of 85 bytes of any kind.
///
/// ```
/// assert_eq!(threads_shapes::key::ID_BYTES_MAX, 256);
/// ```
pub const ID_BYTES_MAX: usize = 256;

/// Before the digits of a byte that comes before all that stand for themselves.
const LOW: char = '!';
/// Before the digits of a byte that comes after them.
const HIGH: char = '~';

/// The id of a key.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a key that is empty, or too long.
///
/// ```
/// assert!(threads_shapes::key::to_id(b"").is_err());
/// assert!(threads_shapes::key::to_id(&[b'a'; 257]).is_err());
/// ```
pub fn to_id(key: &[u8]) -> Result<String> {
    let id = text(key);
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        let error = Error::invalid(
            "a key has 1 to 256 bytes, and other bytes than \" to } count three times",
        );
        return Err(error.with("bytes", id.len()));
    }
    Ok(id)
}

/// The key of an id; `None` for one that is no key's.
///
/// ```
/// assert_eq!(threads_shapes::key::of_id("!4"), None);
/// assert_eq!(threads_shapes::key::of_id("!61"), None, "a is itself");
/// assert_eq!(threads_shapes::key::of_id(""), None, "no key is empty");
/// ```
pub fn of_id(id: &str) -> Option<Vec<u8>> {
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return None;
    }
    if id.bytes().all(is_itself) {
        return Some(id.into());
    }
    let mut key = Vec::with_capacity(id.len());
    let mut rest = id;
    while let Some(first) = rest.chars().next() {
        let used = if matches!(first, LOW | HIGH) {
            key.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            3
        } else {
            key.push(u8::try_from(first).ok()?);
            1
        };
        rest = rest.get(used..)?;
    }
    // Only one id is that of a key: another spelling is somebody else's.
    (text(&key) == id).then_some(key)
}

/// Whether a byte stands for itself in an id.
fn is_itself(byte: u8) -> bool {
    (LOW..HIGH).contains(&char::from(byte)) && char::from(byte) != LOW
}

/// The id that a key has, or would have if it were not too long: for bounds of ranges.
pub(crate) fn text(key: &[u8]) -> String {
    // Most keys are such text.
    if let Ok(id) = std::str::from_utf8(key)
        && id.bytes().all(is_itself)
    {
        return id.to_owned();
    }
    let mut id = String::with_capacity(key.len());
    for &byte in key {
        let mark = match char::from(byte) {
            '\0'..=LOW => LOW,
            HIGH.. => HIGH,
            itself => {
                id.push(itself);
                continue;
            }
        };
        let digit = |of: u8| char::from_digit(u32::from(of), 16).unwrap_or_default();
        id.extend([mark, digit(byte >> 4), digit(byte & 15)]);
    }
    id
}
