//! Names of collections and codecs. They are data, never file names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Result};

/// The longest name of a collection or a codec, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The name of a collection: 1 to 64 letters, digits, `_` or `-`.
///
/// Names that begin with `$` belong to the framework, which keeps collections and schemas as
/// entities of collections of its own; an application cannot make one.
///
/// ```
/// use threads_core::CollectionName;
///
/// let name: CollectionName = "Person".parse().unwrap();
/// assert_eq!(name.as_str(), "Person");
/// assert!("../etc".parse::<CollectionName>().is_err());
/// assert!("$collections".parse::<CollectionName>().unwrap().is_reserved());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CollectionName(Arc<str>);

impl CollectionName {
    /// The name as text.
    ///
    /// ```
    /// let name: threads_core::CollectionName = "Person".parse().unwrap();
    /// assert_eq!(name.as_str(), "Person");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it belongs to the framework.
    ///
    /// ```
    /// let name: threads_core::CollectionName = "Person".parse().unwrap();
    /// assert!(!name.is_reserved());
    /// ```
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl FromStr for CollectionName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = text.strip_prefix('$').unwrap_or(text);
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if plain.is_empty() || text.len() > NAME_BYTES_MAX || !plain.chars().all(allowed) {
            return Err(Error::invalid(
                "a collection name has 1 to 64 letters, digits, '_' or '-'",
            )
            .with("name", format_args!("{text:.80}")));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CollectionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a codec and its format version, such as `jsonpatch/1`: written in every batch,
/// never used again for another format.
///
/// ```
/// use threads_core::CodecId;
///
/// let id: CodecId = "jsonpatch/1".parse().unwrap();
/// assert_eq!(id.to_string(), "jsonpatch/1");
/// assert!("JSON Patch".parse::<CodecId>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CodecId(Arc<str>);

impl CodecId {
    /// The id as text.
    ///
    /// ```
    /// let id: threads_core::CodecId = "jsonpatch/1".parse().unwrap();
    /// assert_eq!(id.as_str(), "jsonpatch/1");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CodecId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/-_.".contains(c);
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.chars().all(allowed) {
            return Err(Error::invalid(
                "a codec id has 1 to 64 lower-case letters, digits, '/', '-', '_' or '.', such as jsonpatch/1",
            )
            .with("codec", format_args!("{text:.80}")));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CodecId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
