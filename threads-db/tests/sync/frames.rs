//! Frames as the specification has them, for peers that say what no node would.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use threads_core::{LogId, PeerId, Receipt, ReplicaKey};

pub(crate) type Claim = ByteArray<32>;
pub(crate) type Heads = Vec<(LogId, u64)>;
pub(crate) type Parcel = (ByteBuf, ByteBuf, ByteBuf);

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
    Have(Claim, Heads),
    Join(String, ByteArray<16>, ByteBuf),
    Sign(Claim, Heads),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    Heads(Vec<Verdict>, ByteArray<16>),
    Page(Vec<Parcel>, Heads, bool),
    Have(Heads),
    Waiting,
    Admitted(ByteBuf, ByteBuf),
    Signed(Vec<Receipt>),
    Busy(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Unknown,
    Same,
    Differs(Vec<(LogId, u64, ByteArray<8>)>),
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
