//! A record as it is encoded.

use cid::Cid;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use super::{Dep, Fields, RECORD_VERSION};
use crate::{LogId, PeerId, ThreadId};

/// The identity that owns a log, bound to it by its own signature; the record's signature by the
/// log key is the other half.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Author {
    pub(super) peer: PeerId,
    pub(super) sig: ByteArray<64>,
}

/// The encoded form; members that are absent or empty are left out.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Wire {
    pub(super) v: u64,
    pub(super) thread: ThreadId,
    pub(super) log: LogId,
    pub(super) seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<Author>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prev: Option<Cid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) skip: Option<Cid>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) deps: Vec<Dep>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) acl: Vec<Cid>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) access: bool,
    pub(super) epoch: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<ByteBuf>,
    pub(super) event: Cid,
    /// Left out of the bytes that are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sig: Option<ByteArray<64>>,
}

impl Wire {
    pub(super) fn new(fields: &Fields, author: Option<Author>) -> Self {
        let fields = fields.clone();
        Self {
            v: RECORD_VERSION,
            thread: fields.thread,
            log: fields.log,
            seq: fields.seq,
            author,
            prev: fields.prev,
            skip: fields.skip,
            deps: fields.deps,
            acl: fields.acl,
            access: fields.access,
            epoch: fields.epoch,
            tags: fields.tags,
            event: fields.event,
            sig: None,
        }
    }

    pub(super) fn into_fields(self) -> (Fields, Option<Author>) {
        let fields = Fields {
            thread: self.thread,
            log: self.log,
            seq: self.seq,
            prev: self.prev,
            skip: self.skip,
            deps: self.deps,
            acl: self.acl,
            access: self.access,
            epoch: self.epoch,
            tags: self.tags,
            event: self.event,
        };
        (fields, self.author)
    }
}

/// The epoch that a block names in clear, if it begins as a record does: the array of version, epoch
/// and sealed bytes. Nothing else of it is looked at.
pub(super) fn epoch_of(block: &[u8]) -> Option<u64> {
    let rest = block.strip_prefix(&[0x83, RECORD_VERSION as u8])?;
    let (head, rest) = rest.split_first()?;
    let wide = |bytes: usize| {
        let bytes = rest.get(..bytes)?;
        let number = bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        Some(number)
    };
    match head {
        0..=23 => Some(u64::from(*head)),
        24..=27 => wide(1 << (head - 24)),
        _ => None,
    }
}
