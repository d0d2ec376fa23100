//! Entity ids: an application's own, or ULIDs that sort by time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Result};

/// The longest entity id, in bytes.
const ENTITY_ID_BYTES_MAX: usize = 256;

/// The id of an entity within its collection: 1 to 256 bytes of text without control characters.
///
/// ```
/// use threads_core::EntityId;
///
/// let own: EntityId = "alice@example.org".parse().unwrap();
/// assert_eq!(own.as_str(), "alice@example.org");
/// assert!("".parse::<EntityId>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EntityId(Arc<str>);

impl EntityId {
    /// A new ULID: 48 bits of `now_ms`, 80 random bits, as 26 characters that sort by time.
    ///
    /// ```
    /// use threads_core::{EntityId, system_rng};
    ///
    /// let first = EntityId::generate(1_000, &mut system_rng());
    /// let later = EntityId::generate(2_000, &mut system_rng());
    /// assert!(first < later);
    /// assert_eq!(first.as_str().len(), 26);
    /// ```
    pub fn generate(now_ms: u64, rng: &mut dyn CryptoRng) -> Self {
        let mut random = [0; 16];
        rng.fill_bytes(&mut random);
        let ulid = ulid::Ulid::from_parts(now_ms, u128::from_be_bytes(random));
        Self(ulid.to_string().into())
    }

    /// The id as text.
    ///
    /// ```
    /// let id: threads_core::EntityId = "a".parse().unwrap();
    /// assert_eq!(id.as_str(), "a");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntityId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > ENTITY_ID_BYTES_MAX || text.contains(char::is_control) {
            return Err(Error::invalid(
                "an entity id (_id) has 1 to 256 bytes and no control characters",
            )
            .with("bytes", text.len()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EntityId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
