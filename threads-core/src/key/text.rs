//! The text of a key: `<tag>_` and multibase base32 of the bytes and a checksum.

use multibase::Base;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// The kinds of keys that have a text, as (tag, what a person calls it).
const KINDS: [(&str, &str); 5] = [
    ("identity", "an identity key"),
    ("log", "a log key"),
    ("replica", "a replica key"),
    ("read", "a read key"),
    ("content", "a content key"),
];

const KEY_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
/// `b` and the base32 digits of 36 bytes.
const BODY_CHARS: usize = 1 + ((KEY_BYTES + CHECKSUM_BYTES) * 8).div_ceil(5);

/// The checksum covers the tag, so that a read key with its tag changed is not a replica key.
fn checksum(tag: &str, key: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = Sha256::new()
        .chain_update(tag)
        .chain_update(b"_")
        .chain_update(key)
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

fn name(tag: &str) -> &'static str {
    KINDS
        .iter()
        .find(|(known, _)| *known == tag)
        .map_or("a key", |(_, name)| name)
}

pub(super) fn encode(tag: &str, key: &[u8; KEY_BYTES]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES + CHECKSUM_BYTES]);
    bytes[..KEY_BYTES].copy_from_slice(key);
    bytes[KEY_BYTES..].copy_from_slice(&checksum(tag, key));
    let body = Zeroizing::new(multibase::encode(Base::Base32Lower, *bytes));
    // Room for all of it at once: a string that grows leaves copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(tag.len() + 1 + body.len()));
    text.push_str(tag);
    text.push('_');
    text.push_str(&body);
    text
}

/// No error carries a part of `text`: it may be a key with one letter wrong.
pub(super) fn decode(tag: &str, text: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
    let wanted = name(tag);
    let Some((found, body)) = text
        .split_once('_')
        .filter(|(t, _)| KINDS.iter().any(|k| k.0 == *t))
    else {
        return Err(Error::invalid(format!(
            "not a key: {wanted} begins with {tag}_"
        )));
    };
    if found != tag {
        let found = name(found);
        return Err(Error::invalid(format!(
            "this is {found}; {wanted} begins with {tag}_"
        )));
    }
    if body.len() != BODY_CHARS {
        return Err(
            Error::invalid(format!("the text of {wanted} is cut short or too long"))
                .with("characters", text.len())
                .with("expected", tag.len() + 1 + BODY_CHARS),
        );
    }
    let mistyped = || Error::invalid(format!("{wanted} is mistyped: its checksum does not match"));
    let digits = body
        .strip_prefix(Base::Base32Lower.code())
        .ok_or_else(mistyped)?;
    let bytes = Zeroizing::new(Base::Base32Lower.decode(digits).map_err(|_| mistyped())?);
    let (key, sum) = bytes.split_at_checked(KEY_BYTES).ok_or_else(mistyped)?;
    if sum != checksum(tag, key) {
        return Err(mistyped());
    }
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    secret.copy_from_slice(key);
    Ok(secret)
}
