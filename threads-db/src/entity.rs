//! The present state of an entity, as it is kept.

use threads_core::codec::EntityState;
use threads_core::datastore::{Keyspace, ReadTxn, WriteTxn};
use threads_core::{CodecId, Error, Result};

use crate::layout::EventPlace;

/// What is known of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityRow {
    /// The last event of its history, in the order of its codec.
    pub(crate) last: EventPlace,
    pub(crate) life: Life,
}

/// Whether an entity lives. Its codec is that of the first event in its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It has a state, in its codec's form.
    Live(CodecId, EntityState),
    /// It was deleted, for good.
    Deleted,
    /// Its codec is not installed here.
    Waiting(CodecId),
    /// None of its events could be applied.
    Unknown,
}

const LIVE: u8 = 0;
const DELETED: u8 = 1;
const WAITING: u8 = 2;
const UNKNOWN: u8 = 3;

impl Life {
    /// The state of a living entity.
    pub(crate) fn state(&self) -> Option<&EntityState> {
        match self {
            Self::Live(_, state) => Some(state),
            _ => None,
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state().is_some()
    }

    fn parts(&self) -> (u8, &str, &[u8]) {
        match self {
            Self::Live(codec, state) => (LIVE, codec.as_str(), state.as_bytes()),
            Self::Deleted => (DELETED, "", &[]),
            Self::Waiting(codec) => (WAITING, codec.as_str(), &[]),
            Self::Unknown => (UNKNOWN, "", &[]),
        }
    }

    fn from_parts(tag: u8, codec: &[u8], state: &[u8]) -> Option<Self> {
        let codec = || std::str::from_utf8(codec).ok()?.parse().ok();
        match tag {
            LIVE => Some(Self::Live(codec()?, EntityState::new(state))),
            DELETED => Some(Self::Deleted),
            WAITING => Some(Self::Waiting(codec()?)),
            UNKNOWN => Some(Self::Unknown),
            _ => None,
        }
    }
}

impl EntityRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (tag, codec, state) = self.life.parts();
        let mut bytes = Vec::with_capacity(2 + EventPlace::BYTES + codec.len() + state.len());
        // A codec id has at most 64 bytes.
        bytes.extend_from_slice(&[tag, codec.len() as u8]);
        bytes.extend_from_slice(&self.last.to_bytes());
        bytes.extend_from_slice(codec.as_bytes());
        bytes.extend_from_slice(state);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let parts = || {
            let ([tag, length], rest) = bytes.split_first_chunk::<2>()?;
            let (last, rest) = rest.split_at_checked(EventPlace::BYTES)?;
            let (codec, state) = rest.split_at_checked(usize::from(*length))?;
            Some((last, Life::from_parts(*tag, codec, state)?))
        };
        let (last, life) = parts().ok_or_else(damaged)?;
        Ok(Self {
            last: EventPlace::from_bytes(last)?,
            life,
        })
    }

    /// The codec and the state in the bytes of a row, if its entity lives: for readers that look at
    /// many rows and keep few.
    pub(crate) fn living(bytes: &[u8]) -> Result<Option<(&str, &[u8])>> {
        let parts = || {
            let ([tag, length], rest) = bytes.split_first_chunk::<2>()?;
            let (_, rest) = rest.split_at_checked(EventPlace::BYTES)?;
            let (codec, state) = rest.split_at_checked(usize::from(*length))?;
            Some((*tag, std::str::from_utf8(codec).ok()?, state))
        };
        match parts().ok_or_else(damaged)? {
            (LIVE, codec, state) => Ok(Some((codec, state))),
            (DELETED | WAITING | UNKNOWN, ..) => Ok(None),
            _ => Err(damaged()),
        }
    }

    /// The codec that the entity in the bytes of a row waits for, if it does.
    pub(crate) fn waiting(bytes: &[u8]) -> Result<Option<CodecId>> {
        if bytes.first() != Some(&WAITING) {
            return Ok(None);
        }
        match Self::decode(bytes)?.life {
            Life::Waiting(codec) => Ok(Some(codec)),
            _ => Ok(None),
        }
    }

    pub(crate) fn get(txn: &dyn ReadTxn, key: &[u8]) -> Result<Option<Self>> {
        txn.get(Keyspace::Entities, key)?
            .map(|bytes| Self::decode(&bytes))
            .transpose()
    }

    pub(crate) fn put(&self, txn: &mut dyn WriteTxn, key: &[u8]) -> Result<()> {
        txn.put(Keyspace::Entities, key, &self.encode())
    }
}

fn damaged() -> Error {
    Error::corrupt("an entity's state is damaged: verify the thread")
}
