//! Cursors: where a page ended, so that the next one goes on there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use threads_core::multibase::{self, Base};
use threads_core::{Error, Result};

use super::Query;
use super::sort::Place;

/// The longest text that is read as a cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 1 << 21;

/// The version of the form, the first byte of every cursor.
const VERSION: u8 = 1;

/// The bytes of each of its two digests.
const DIGEST_BYTES: usize = 8;

/// Where a page ended: the last row's place in the order of one query.
///
/// Opaque text (multibase base64url) for an application to keep and hand back with the same
/// filter and order; skip, limit and fields may change. It holds what the rows are sorted by and
/// the last row's `_id`, so treat it as you treat the data. Rows that come and go in between do
/// not disturb it.
///
/// ```
/// use serde_json::json;
/// use threads_db::query::{Cursor, Query, page};
///
/// let rows = || [json!({"_id": "a", "n": 2}), json!({"_id": "b", "n": 1})].into_iter().map(Ok);
/// let query = Query::new().sort("n").limit(1);
/// let text = page(rows(), &query).unwrap().next.unwrap().to_string();
///
/// let cursor: Cursor = text.parse().unwrap();
/// assert_eq!(page(rows(), &query.after(cursor.clone())).unwrap().rows[0]["_id"], "a");
/// assert!(page(rows(), &Query::new().after(cursor)).is_err());
/// assert!(text[1..].parse::<Cursor>().is_err());
/// ```
#[derive(Clone, PartialEq)]
pub struct Cursor {
    query: [u8; DIGEST_BYTES],
    place: Place,
}

/// What is written of the place: missing sort keys are empty lists.
type Written = (Vec<Vec<Value>>, String);

impl Cursor {
    /// A place in the order of `query`.
    pub(crate) fn at(query: &Query, place: Place) -> Self {
        Self {
            query: query_digest(query),
            place,
        }
    }

    /// The `_id` of the last row.
    pub(crate) fn id(&self) -> &str {
        &self.place.id
    }

    /// Refuses a cursor of another filter or order.
    pub(super) fn check(&self, query: &Query) -> Result<()> {
        if self.query == query_digest(query) && self.place.keys.len() == query.sort.len() {
            return Ok(());
        }
        Err(Error::invalid(
            "the cursor belongs to another query: keep the filter and the order, or start again \
             without a cursor",
        ))
    }

    /// Whether `place` comes after this one.
    pub(crate) fn precedes(&self, query: &Query, place: &Place) -> bool {
        place.compare(&self.place, &query.sort).is_gt()
    }
}

fn query_digest(query: &Query) -> [u8; DIGEST_BYTES] {
    let filter = query.filter.iter().map(ToString::to_string);
    let parts: Vec<String> = filter
        .chain(query.sort.iter().map(ToString::to_string))
        .collect();
    let mut bytes = vec![u8::from(query.filter.is_some())];
    for part in parts {
        // With its length, no part can pass for two.
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    digest(b"threads query cursor 1\0", &bytes)
}

fn digest(domain: &[u8], bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    let hash = Sha256::new()
        .chain_update(domain)
        .chain_update(bytes)
        .finalize();
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(&hash[..DIGEST_BYTES]);
    digest
}

fn place_digest(place: &[u8]) -> [u8; DIGEST_BYTES] {
    digest(b"threads cursor place 1\0", place)
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<Vec<&Value>> = self
            .place
            .keys
            .iter()
            .map(|key| key.iter().collect())
            .collect();
        let place = serde_json::to_vec(&(keys, &self.place.id)).map_err(|_| fmt::Error)?;
        let bytes = [
            &[VERSION][..],
            &self.query,
            &place_digest(&place),
            place.as_slice(),
        ]
        .concat();
        f.write_str(&multibase::encode(Base::Base64Url, bytes))
    }
}

/// Shows the text form.
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let damaged = || Error::invalid("the cursor is damaged: start again without a cursor");
        if text.len() > CURSOR_BYTES_MAX {
            return Err(damaged().with("most_bytes", CURSOR_BYTES_MAX));
        }
        let (_, bytes) = multibase::decode(text).map_err(|e| damaged().caused_by(e))?;
        let (version, rest) = bytes.split_first().ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(damaged().with("version", version));
        }
        let (query, rest) = rest
            .split_first_chunk::<DIGEST_BYTES>()
            .ok_or_else(damaged)?;
        let (sum, place) = rest
            .split_first_chunk::<DIGEST_BYTES>()
            .ok_or_else(damaged)?;
        if *sum != place_digest(place) {
            return Err(damaged());
        }
        let (keys, id): Written =
            serde_json::from_slice(place).map_err(|e| damaged().caused_by(e))?;
        let keys = keys.into_iter().map(|mut key| key.pop()).collect();
        Ok(Self {
            query: *query,
            place: Place { keys, id },
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
