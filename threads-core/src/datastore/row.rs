//! How a value lies in a store: a checksum, then the value.

use crate::{Error, Result};

/// The bytes of the checksum before every value.
const SEAL_BYTES: usize = size_of::<u32>();

/// Writes the sealed form of `value` to `sealed`, replacing what was there.
///
/// The checksum covers where the value belongs, so that a row that ends up under another key
/// or in another keyspace is found too.
///
/// ```
/// use threads_core::datastore::{seal_row, unseal_row};
/// let mut sealed = Vec::new();
/// seal_row("meta", b"key", b"value", &mut sealed);
/// assert_eq!(unseal_row("meta", b"key", &sealed).unwrap(), b"value");
/// ```
pub fn seal_row(space: &str, key: &[u8], value: &[u8], sealed: &mut Vec<u8>) {
    sealed.clear();
    sealed.extend_from_slice(&checksum(space, key, value).to_le_bytes());
    sealed.extend_from_slice(value);
}

/// The value in its sealed form, or [`Corrupt`](crate::ErrorKind::Corrupt).
///
/// ```
/// use threads_core::datastore::unseal_row;
/// assert!(unseal_row("meta", b"key", b"anything else").is_err());
/// ```
pub fn unseal_row<'a>(space: &str, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8]> {
    if let Some((seal, value)) = sealed.split_first_chunk::<SEAL_BYTES>()
        && u32::from_le_bytes(*seal) == checksum(space, key, value)
    {
        return Ok(value);
    }
    Err(Error::corrupt(
        "a stored value is not what was written: restore the store from a copy or a peer",
    )
    .with("keyspace", space)
    .with("key", Hex(key)))
}

fn checksum(space: &str, key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(space.as_bytes());
    // The length keeps the key and the value apart.
    hasher.update(&key.len().to_le_bytes()[..2]);
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let mut sealed = Vec::new();
        seal_row("meta", b"key", b"value", &mut sealed);
        assert_eq!(unseal_row("meta", b"key", &sealed).unwrap(), b"value");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal_row("meta", b"key", &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_row_in_another_place_is_found() {
        let mut sealed = Vec::new();
        seal_row("meta", b"key", b"value", &mut sealed);
        assert!(unseal_row("keys", b"key", &sealed).is_err());
        assert!(unseal_row("meta", b"kez", &sealed).is_err());
        assert!(unseal_row("meta", b"ke", &sealed).is_err());
        for length in 0..sealed.len() {
            assert!(unseal_row("meta", b"key", &sealed[..length]).is_err());
        }
    }
}
