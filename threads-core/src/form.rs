//! How ids and addresses are serialized: text in formats for people, bytes in binary ones.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::{Error, Result};

pub(crate) fn serialize<S: Serializer>(
    value: &impl Display,
    bytes: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(value)
    } else {
        serializer.serialize_bytes(bytes)
    }
}

pub(crate) fn deserialize<'de, T: FromStr<Err = Error>, D: Deserializer<'de>>(
    from_bytes: impl FnOnce(&[u8]) -> Result<T>,
    deserializer: D,
) -> Result<T, D::Error> {
    let read = if deserializer.is_human_readable() {
        String::deserialize(deserializer)?.parse()
    } else {
        from_bytes(&serde_bytes::ByteBuf::deserialize(deserializer)?)
    };
    read.map_err(D::Error::custom)
}
