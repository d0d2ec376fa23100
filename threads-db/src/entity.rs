//! The present state of an entity, as it is kept.

use threads_core::codec::EntityState;
use threads_core::datastore::{Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, Result};

use crate::layout::EventPlace;

/// What is known of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityRow {
    /// The last event of its history, in the order of its codec.
    pub(crate) last: EventPlace,
    pub(crate) life: Life,
}

/// Whether an entity lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It has a state.
    Live(EntityState),
    /// It was deleted, for good.
    Deleted,
    /// Its events are here, and none of them could be applied.
    Unknown,
}

impl Life {
    fn tag(&self) -> u8 {
        match self {
            Self::Live(_) => 0,
            Self::Deleted => 1,
            Self::Unknown => 2,
        }
    }

    /// The state of a living entity.
    pub(crate) fn state(&self) -> Option<&EntityState> {
        match self {
            Self::Live(state) => Some(state),
            Self::Deleted | Self::Unknown => None,
        }
    }
}

impl EntityRow {
    fn encode(&self) -> Vec<u8> {
        let state = self.life.state().map_or(&[][..], EntityState::as_bytes);
        let mut bytes = Vec::with_capacity(1 + EventPlace::BYTES + state.len());
        bytes.push(self.life.tag());
        bytes.extend_from_slice(&self.last.to_bytes());
        bytes.extend_from_slice(state);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::corrupt("an entity's state is damaged: verify the thread");
        let (tag, rest) = bytes.split_first().ok_or_else(damaged)?;
        let (last, state) = rest
            .split_at_checked(EventPlace::BYTES)
            .ok_or_else(damaged)?;
        let life = match tag {
            0 => Life::Live(EntityState::new(state)),
            1 => Life::Deleted,
            2 => Life::Unknown,
            _ => return Err(damaged()),
        };
        Ok(Self {
            last: EventPlace::from_bytes(last)?,
            life,
        })
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
