//! A snapshot's content in pieces that are sealed, as files carry it.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use threads_core::block::Block;
use threads_core::datastore::ReadTxn;
use threads_core::{Cid, Error, ReadKey, Result, ThreadId};

use super::make::{Bytes, Content};
use crate::thread::Thread;

/// How many bytes a piece has before it is sealed; the last one has fewer.
const PIECE_BYTES: usize = 256 * 1024;
const DOMAIN: &[u8] = b"threads/snapshot/1";

/// What a file says of the snapshot in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub(crate) id: Cid,
    /// How many pieces there are, each a block.
    pub(crate) pieces: u64,
    /// The epoch of the read key that they are sealed under.
    epoch: u64,
}

/// What a piece is bound to.
pub(super) fn aad(thread: &ThreadId, id: &Cid, piece: u64) -> Vec<u8> {
    let id = id.to_bytes();
    [DOMAIN, thread.as_bytes(), &id, &piece.to_be_bytes()].concat()
}

fn no_key() -> Error {
    Error::unsupported("the snapshot is sealed under a key that is not here")
}

impl Carried {
    pub(crate) fn new(txn: &dyn ReadTxn, thread: &Thread, (id, bytes): (Cid, u64)) -> Result<Self> {
        Ok(Self {
            id,
            pieces: bytes.div_ceil(PIECE_BYTES as u64),
            epoch: thread.writing_epoch(txn)?,
        })
    }

    /// Seals the content and gives its pieces, one after the other.
    pub(crate) fn seal(
        &self,
        thread: &Thread,
        content: Content<'_>,
        mut give: impl FnMut(Block) -> Result<()>,
    ) -> Result<()> {
        let key = thread.read_of(self.epoch)?.ok_or_else(no_key)?;
        let mut bytes = Bytes::new(content);
        for number in 0..self.pieces {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let mut part = (&mut bytes).take(PIECE_BYTES as u64);
            part.read_to_end(&mut piece).map_err(|cause| {
                Error::corrupt("a snapshot cannot be made again").caused_by(cause)
            })?;
            let aad = aad(&thread.id, &self.id, number);
            let sealed = key.seal_random(&aad, &piece, &mut **thread.node.rng())?;
            give(Block::raw(sealed))?;
        }
        Ok(())
    }

    /// Reads the content of sealed pieces.
    pub(crate) fn unseal<I: Iterator<Item = Result<Block>>>(
        &self,
        thread: &Thread,
        blocks: I,
    ) -> Result<Pieces<I>> {
        let key = thread.read_of(self.epoch)?.ok_or_else(no_key)?;
        Ok(Pieces {
            carried: self.clone(),
            thread: thread.id.clone(),
            key: key.into_owned(),
            blocks,
            next: 0,
            piece: Vec::new(),
            read: 0,
        })
    }
}

/// Sealed pieces as the bytes that they are of.
pub(crate) struct Pieces<I> {
    carried: Carried,
    thread: ThreadId,
    key: ReadKey,
    blocks: I,
    next: u64,
    piece: Vec<u8>,
    read: usize,
}

impl<I: Iterator<Item = Result<Block>>> Pieces<I> {
    fn open(&mut self) -> Result<Vec<u8>> {
        let cut_short = || Error::corrupt("the file ends within a snapshot: export it again");
        let block = self.blocks.next().ok_or_else(cut_short)??;
        let aad = aad(&self.thread, &self.carried.id, self.next);
        self.next += 1;
        self.key.open(&aad, block.bytes())
    }
}

impl<I: Iterator<Item = Result<Block>>> Read for Pieces<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            if self.next == self.carried.pieces {
                return Ok(0);
            }
            self.piece = self.open().map_err(io::Error::other)?;
            self.read = 0;
        }
        let read = (&self.piece[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}
