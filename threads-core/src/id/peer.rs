//! Peer and log ids: Ed25519 public keys in libp2p's form.

use std::fmt;
use std::str::FromStr;

use multibase::Base;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result, form};

/// What precedes the 32 key bytes in a peer id: identity multihash of 36 bytes, holding
/// libp2p's protobuf of an Ed25519 key (libp2p peer-id specification).
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// CIDv1 with the libp2p-key codec, the other text form of a peer id.
const CID_PREFIX: [u8; 2] = [0x01, 0x72];

fn encode(key: &[u8; 32]) -> [u8; 38] {
    let mut bytes = [0; 38];
    bytes[..6].copy_from_slice(&PREFIX);
    bytes[6..].copy_from_slice(key);
    bytes
}

fn decode(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes
        .strip_prefix(&PREFIX)
        .and_then(|key| key.try_into().ok())
        .ok_or_else(|| {
            Error::invalid("a peer id holds an Ed25519 public key in libp2p's form, 38 bytes")
                .with("bytes", bytes.len())
        })
}

fn parse(text: &str) -> Result<[u8; 32]> {
    let malformed = || {
        Error::invalid("not a peer id: expected text such as 12D3KooW…, or its CID form")
            .with("text", format_args!("{text:.80}"))
    };
    if text.starts_with("12D3KooW") {
        return decode(&Base::Base58Btc.decode(text).map_err(|_| malformed())?);
    }
    let (_, bytes) = multibase::decode(text).map_err(|_| malformed())?;
    decode(bytes.strip_prefix(&CID_PREFIX).ok_or_else(malformed)?)
}

macro_rules! key_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From the 32 bytes of an Ed25519 public key.
            ///
            /// ```
            #[doc = concat!("let id = threads_core::", stringify!($name), "::from_key_bytes([7; 32]);")]
            /// assert_eq!(id.key_bytes(), &[7; 32]);
            /// ```
            pub fn from_key_bytes(key: [u8; 32]) -> Self {
                Self(key)
            }

            /// The 32 bytes of the Ed25519 public key.
            ///
            /// ```
            #[doc = concat!("let id = threads_core::", stringify!($name), "::from_key_bytes([7; 32]);")]
            /// assert_eq!(id.key_bytes(), &[7; 32]);
            /// ```
            pub fn key_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The 38 bytes of libp2p's form.
            ///
            /// ```
            #[doc = concat!("let id = threads_core::", stringify!($name), "::from_key_bytes([7; 32]);")]
            #[doc = concat!("assert_eq!(threads_core::", stringify!($name), "::from_bytes(&id.to_bytes()).unwrap(), id);")]
            /// ```
            pub fn to_bytes(self) -> [u8; 38] {
                encode(&self.0)
            }

            /// From the 38 bytes of libp2p's form.
            ///
            /// ```
            #[doc = concat!("assert!(threads_core::", stringify!($name), "::from_bytes(&[0; 38]).is_err());")]
            /// ```
            pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
                decode(bytes).map(Self)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&Base::Base58Btc.encode(self.to_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        /// Text in formats for people, the 32 key bytes in binary ones.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                form::serialize(self, &self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let from_key = |bytes: &[u8]| match bytes.try_into() {
                    Ok(key) => Ok(Self(key)),
                    Err(_) => Err(Error::invalid("a key id has 32 bytes")),
                };
                form::deserialize(from_key, deserializer)
            }
        }
    };
}

key_id! {
    /// Who someone is: the public half of an [`IdentityKey`](crate::IdentityKey), as a libp2p peer id.
    ///
    /// ```
    /// use threads_core::PeerId;
    ///
    /// let id: PeerId = "12D3KooWAcB6uoHuAPyfsYcwnYTqGNt2biPmSmvbBam9cwmawgzK".parse().unwrap();
    /// assert_eq!(id.to_bytes().len(), 38);
    /// assert_eq!(id.to_string(), "12D3KooWAcB6uoHuAPyfsYcwnYTqGNt2biPmSmvbBam9cwmawgzK");
    /// ```
    PeerId
}

key_id! {
    /// Which log: the public half of a [`LogKey`](crate::LogKey), in the form of a libp2p peer id.
    ///
    /// ```
    /// use threads_core::LogId;
    ///
    /// let id: LogId = "12D3KooWAcB6uoHuAPyfsYcwnYTqGNt2biPmSmvbBam9cwmawgzK".parse().unwrap();
    /// assert_eq!(LogId::from_bytes(&id.to_bytes()).unwrap(), id);
    /// ```
    LogId
}
