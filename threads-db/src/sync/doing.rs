//! What the machine waits for: replies of peers, and work on the store.

use threads_core::{Cid, Error, PeerId};

use super::io::{PublicationId, RequestId, Share, Which};
use super::locate::Words;
use super::vouch::Pick;
use super::wire::{BlobList, Frontier};
use crate::layout::Number;

/// What a call is for.
pub(super) enum Call {
    /// With the number from which on there may be more to compare.
    Heads(PeerId, Vec<Share>, Option<Number>),
    Pull(Number, PeerId),
    Push(Number, PeerId, Frontier),
    Have(Number, PeerId, Frontier),
    Ranges(Number, PeerId),
    Join(PeerId, String),
    Sign(Number, PeerId),
    Check(PeerId, Pick),
    Where(Number, PeerId, Words),
    /// A peer is told that it was removed.
    Farewell(Number, PeerId),
    Erased(Number, PeerId),
    /// A peer is to give whole what came emptied.
    Refill(Number, PeerId),
    /// A part of a peer's list of blobs.
    Blobs(Number, PeerId, BlobList),
    Blocks(Number, PeerId, Vec<Cid>),
    /// What a peer knows of snapshots.
    Words(Number, PeerId),
}

/// What an operation on the store is for.
pub(super) enum Doing {
    Start,
    Dial(PeerId),
    Retry(Number),
    Joins(PeerId),
    Admit(PeerId),
    Sharers(Number),
    /// Of which threads a peer is to be told that it was removed.
    Farewells(PeerId),
    /// The threads to compare with a peer.
    Greet(PeerId, Which),
    Load(Number),
    Push(Number, PeerId),
    Pulled(Number, PeerId, Frontier),
    /// A peer's request is answered from it.
    Answer(PeerId, RequestId),
    /// What a peer has not signed for.
    Unsigned(Number, PeerId),
    Behind(PeerId),
    /// Which purges a peer has not said to have carried out.
    Unclaimed(Number, PeerId),
    /// What a peer is to be asked for that came emptied.
    Lacking(PeerId),
    /// What it gave is taken in.
    Refilled(Number, PeerId),
    /// What a peer signed is kept.
    Keep(PeerId),
    Pick(PeerId),
    /// What a peer showed is examined.
    Examine(PeerId),
    /// Where a peer and others are.
    Locate(PeerId),
    /// The topics of threads: of one, or of all.
    Topics(Option<Number>),
    /// Something is to be announced.
    Gossip,
    /// What a peer published is judged.
    Overhear(PeerId, PublicationId),
    /// A peer is asked for what was announced.
    Seek(Number, PeerId),
    /// What a peer is told of the blobs here.
    BlobList(Number, PeerId),
    /// A part of a peer's list is taken in.
    BlobsTaken(Number, PeerId),
    /// What is to be got of blobs.
    Blobs(Number),
    /// Blocks of blobs are kept.
    Blocks(Number, PeerId),
    /// What a peer is told of snapshots, or told of them.
    Words(Number, PeerId),
    /// How a snapshot stands that a thread is to begin with.
    Sought(Number),
    /// Something is noted; nothing follows from it.
    Note,
}

impl Doing {
    pub(super) fn is_of_words(&self) -> bool {
        matches!(self, Self::Words(..) | Self::Sought(_))
    }

    pub(super) fn is_of_blobs(&self) -> bool {
        let told = matches!(self, Self::BlobList(..) | Self::BlobsTaken(..));
        told || matches!(self, Self::Blobs(_) | Self::Blocks(..))
    }
}

/// The error of an answer that does not fit what was asked.
pub(super) fn unfit() -> Error {
    Error::rejected("a peer's answer does not fit what it was asked")
}
