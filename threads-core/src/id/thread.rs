//! Thread ids (paper, "Identity" and "Variants").

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use multibase::Base;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result, form};

/// The version this library writes and reads.
const VERSION: u64 = 1;
/// Random bytes of a new id.
const RANDOM_BYTES: usize = 32;
/// The fewest random bytes of an id (paper, "Identity").
const RANDOM_BYTES_MIN: usize = 16;
/// The most random bytes of an id: room to grow, and a bound on what a stranger can send.
const RANDOM_BYTES_MAX: usize = 64;

/// What a consumer may assume of a thread (paper, "Variants").
///
/// ```
/// assert_eq!(threads_core::Variant::Raw.code(), 0x55);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// No further assumptions.
    Raw,
    /// An access control list can be composed from the thread's events.
    AccessControlled,
}

impl Variant {
    /// The code in the id.
    ///
    /// ```
    /// assert_eq!(threads_core::Variant::AccessControlled.code(), 0x70);
    /// ```
    pub fn code(self) -> u64 {
        match self {
            Self::Raw => 0x55,
            Self::AccessControlled => 0x70,
        }
    }
}

/// The id of a thread: `uvarint version ‖ uvarint variant ‖ 16 or more random bytes`.
///
/// Its text is multibase: base32 when written, any base when read.
///
/// ```
/// use threads_core::{ThreadId, Variant};
///
/// let id: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// assert_eq!(id.variant(), Variant::Raw);
/// assert_eq!(id.to_string(), "bafkxd5bjgi6k4zivuoyxo4ua4mzyy");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(Arc<[u8]>);

impl ThreadId {
    /// A new id with 32 random bytes.
    ///
    /// ```
    /// use threads_core::{ThreadId, Variant, system_rng};
    /// let id = ThreadId::generate(Variant::Raw, &mut system_rng());
    /// assert_eq!(id.as_bytes().len(), 34);
    /// ```
    pub fn generate(variant: Variant, rng: &mut dyn CryptoRng) -> Self {
        let mut random = [0; RANDOM_BYTES];
        rng.fill_bytes(&mut random);
        Self::new(variant, &random)
    }

    /// The id of the access-controlled thread whose beginning has this digest: see
    /// [`Genesis::thread_id`](crate::access::Genesis::thread_id).
    pub(crate) fn access_controlled(genesis: &[u8; RANDOM_BYTES]) -> Self {
        Self::new(Variant::AccessControlled, genesis)
    }

    fn new(variant: Variant, random: &[u8; RANDOM_BYTES]) -> Self {
        let mut bytes = vec![VERSION as u8, variant.code() as u8];
        bytes.extend_from_slice(random);
        Self(bytes.into())
    }

    /// Decodes the binary form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for another version or variant,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a wrong length or a varint that is
    /// not the shortest.
    ///
    /// ```
    /// assert!(threads_core::ThreadId::from_bytes(&[1, 0x55]).is_err());
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let malformed = || {
            Error::invalid("a thread id does not begin with two varints").with("bytes", bytes.len())
        };
        let (version, rest) = unsigned_varint::decode::u64(bytes).map_err(|_| malformed())?;
        if version != VERSION {
            return Err(
                Error::unsupported("a thread id of an unknown version").with("version", version)
            );
        }
        let (variant, random) = unsigned_varint::decode::u64(rest).map_err(|_| malformed())?;
        if ![Variant::Raw.code(), Variant::AccessControlled.code()].contains(&variant) {
            return Err(Error::unsupported("a thread id of an unknown variant")
                .with("variant", format_args!("{variant:#x}")));
        }
        if !(RANDOM_BYTES_MIN..=RANDOM_BYTES_MAX).contains(&random.len()) {
            return Err(Error::invalid("a thread id has 16 to 64 random bytes")
                .with("random_bytes", random.len()));
        }
        Ok(Self(bytes.into()))
    }

    /// The binary form.
    ///
    /// ```
    /// let id: threads_core::ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// assert_eq!(id.as_bytes()[..2], [0x01, 0x55]);
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The version of the format.
    ///
    /// ```
    /// let id: threads_core::ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// assert_eq!(id.version(), 1);
    /// ```
    pub fn version(&self) -> u64 {
        VERSION
    }

    /// What a consumer may assume of the thread.
    ///
    /// ```
    /// use threads_core::{ThreadId, Variant};
    /// let id: ThreadId = "bafykrq5i25vd64ghamtgus6lue74k".parse().unwrap();
    /// assert_eq!(id.variant(), Variant::AccessControlled);
    /// ```
    pub fn variant(&self) -> Variant {
        // Checked when the id was made: one of the two codes, one byte each.
        if u64::from(self.0[1]) == Variant::Raw.code() {
            Variant::Raw
        } else {
            Variant::AccessControlled
        }
    }

    /// The text in another base.
    ///
    /// ```
    /// use threads_core::{ThreadId, multibase::Base};
    /// let id: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// let hex = id.encode(Base::Base16Lower);
    /// assert!(hex.starts_with("f0155"));
    /// assert_eq!(hex.parse::<ThreadId>().unwrap(), id);
    /// ```
    pub fn encode(&self, base: Base) -> String {
        multibase::encode(base, &self.0)
    }
}

impl FromStr for ThreadId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (_, bytes) = multibase::decode(text).map_err(|cause| {
            Error::invalid("not a thread id: expected multibase text such as bafk…")
                .with("text", format_args!("{text:.80}"))
                .caused_by(cause)
        })?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode(Base::Base32Lower))
    }
}

impl fmt::Debug for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadId({self})")
    }
}

/// Text in formats for people, bytes in binary ones.
impl Serialize for ThreadId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        form::serialize(self, &self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for ThreadId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        form::deserialize(Self::from_bytes, deserializer)
    }
}
