//! Frames as the specification has them, for peers that say what no node would.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use threads_core::{LogId, PeerId, Receipt, ReplicaKey, Whereabouts};

pub(crate) type Claim = ByteArray<32>;
pub(crate) type Places = Vec<(LogId, u64)>;
pub(crate) type Head = (LogId, u64, Check);
pub(crate) type Parcel = (ByteBuf, ByteBuf, ByteBuf);

/// What tells the last record of a log from others in its place. These tests do not look at it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Check(ByteArray<8>);

impl PartialEq for Check {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A log that has got so far.
pub(crate) fn head(log: LogId, seq: u64) -> Head {
    (log, seq, Check(ByteArray::new([1; 8])))
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) log: LogId,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ask {
    Heads(Vec<(Claim, ByteArray<16>)>),
    Pull(Claim, Vec<Range>),
    Push(Claim, Vec<Parcel>),
    Have(Claim, Vec<Head>),
    Join(String, ByteArray<16>, ByteBuf),
    Sign(Claim, Places),
    Where(Claim, Vec<(PeerId, u64)>),
    Ranges(Claim, Vec<(ByteBuf, Said)>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Said {
    Skip,
    All(ByteArray<16>),
    Each(Vec<Head>, ByteArray<16>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Found {
    Same,
    Each(Vec<Head>),
    Parts(Vec<(ByteBuf, ByteArray<16>)>),
    Later,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    Heads(Vec<Verdict>, ByteArray<16>),
    Page(Vec<Parcel>, Places, bool),
    Have(Vec<Head>),
    Full(Vec<Head>),
    Waiting,
    Admitted(ByteBuf, ByteBuf),
    Signed(Vec<Receipt>),
    Where(Vec<Whereabouts>),
    Ranges(Vec<Found>),
    Busy(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Unknown,
    Same,
    Differs(Vec<Head>),
    Many,
}

/// What shows `to` that `from` holds the key.
pub(crate) fn claim(key: &ReplicaKey, from: PeerId, to: PeerId) -> Claim {
    let mut claim = [0; 32];
    claim[..16].copy_from_slice(&key.locator());
    claim[16..].copy_from_slice(&key.proof(&from, &to));
    ByteArray::new(claim)
}

/// What a reply about a single thread ends in.
pub(crate) fn joint(key: &ReplicaKey, from: PeerId, to: PeerId) -> ByteArray<16> {
    let hash = threads_core::block::sha256(&key.proof(&from, &to));
    ByteArray::new(*hash.first_chunk().unwrap())
}

/// The digest of heads in a range.
pub(crate) fn range_digest(heads: &[Head]) -> ByteArray<16> {
    let mut bytes = Vec::new();
    for (log, seq, check) in heads {
        bytes.extend_from_slice(log.key_bytes());
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&check.0[..]);
    }
    let hash = threads_core::block::sha256(&bytes);
    ByteArray::new(*hash.first_chunk().unwrap())
}
