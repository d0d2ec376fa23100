//! Reading a blob: one chunk at a time, from anywhere in it.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use threads_core::blob::{BlobKey, BlobRef, Manifest, Part};
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{Cid, Error, ErrorKind, Result, block};
use zeroize::Zeroizing;

use super::check::damaged;
use super::rows::{self, name};
use crate::db::Db;
use crate::layout::Number;

/// The content of a blob, to be read in order or from anywhere. It keeps one chunk in memory.
///
/// It reads what is here: [`ErrorKind::Unavailable`] is the cause of an error about a part that is not.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// use std::io::{Read, Seek, SeekFrom};
/// let named = db.blobs().put(&b"a long story"[..]).unwrap();
/// let mut reader = db.blobs().open(&named).unwrap();
/// reader.seek(SeekFrom::Start(7)).unwrap();
/// let mut rest = String::new();
/// reader.read_to_string(&mut rest).unwrap();
/// assert_eq!(rest, "story");
/// ```
pub struct BlobReader {
    db: Db,
    root: Opened,
    /// The manifest of the chunk that was read last, where the first one is of manifests.
    manifest: Option<(usize, Opened)>,
    /// The chunk that was read last, and where it begins.
    chunk: Option<(u64, Zeroizing<Vec<u8>>)>,
    at: u64,
}

/// A manifest with the keys of its parts.
struct Opened {
    manifest: Manifest,
    parts: Vec<Part>,
}

impl Opened {
    fn new(bytes: &[u8], key: &BlobKey) -> Result<Self> {
        let manifest = Manifest::decode(bytes)?;
        let parts = manifest.open(key)?;
        Ok(Self { manifest, parts })
    }

    /// The part that holds a byte of its content, and where that begins.
    fn part_of(&self, at: u64) -> Option<(usize, &Part, u64)> {
        // As many parts as fit into memory.
        let index = (at / self.manifest.part_bytes()) as usize;
        let begin = index as u64 * self.manifest.part_bytes();
        self.parts.get(index).map(|part| (index, part, begin))
    }
}

pub(super) fn not_here(cid: &Cid) -> Error {
    Error::unavailable("a part of the blob is not here: fetch it, and wait until it came")
        .with("block", cid)
}

/// What is wrong with bytes that were kept under their own name.
fn unfit(error: Error, cid: &Cid, bytes: &[u8]) -> Error {
    match error.kind() {
        ErrorKind::Rejected if block::sha256(bytes) != name(cid) => damaged(cid),
        ErrorKind::Rejected => Error::rejected(
            "the blob does not open: its reference has another key, or who made it broke the format",
        )
        .caused_by(error),
        _ => error,
    }
}

impl BlobReader {
    pub(super) fn new(db: &Db, named: &BlobRef) -> Result<Self> {
        let root = opened(db, named.cid(), named.key())?;
        if root.manifest.size() != named.size() {
            return Err(
                Error::invalid("a reference says another size than the blob has")
                    .with("said", named.size())
                    .with("size", root.manifest.size()),
            );
        }
        Ok(Self {
            db: db.clone(),
            root,
            manifest: None,
            chunk: None,
            at: 0,
        })
    }

    /// What is left of the chunk at the present place, read now if need be; nothing at the end.
    pub(super) fn rest(&mut self) -> Result<&[u8]> {
        if self.at >= self.root.manifest.size() {
            return Ok(&[]);
        }
        let known = self.chunk.as_ref();
        let known = known
            .is_some_and(|(begin, chunk)| (*begin..*begin + chunk.len() as u64).contains(&self.at));
        if !known {
            let last = self.chunk.take().map(|(_, chunk)| chunk);
            self.chunk = Some(self.read_chunk(last.unwrap_or_default())?);
        }
        let (begin, chunk) = self.chunk.as_ref().ok_or_else(nothing)?;
        // Within the chunk, as was just seen to.
        Ok(&chunk[(self.at - begin) as usize..])
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes as u64;
    }

    /// The chunk at the present place and where it begins, in the memory of another one.
    fn read_chunk(&mut self, room: Zeroizing<Vec<u8>>) -> Result<(u64, Zeroizing<Vec<u8>>)> {
        let (index, part, begin) = self.root.part_of(self.at).ok_or_else(nothing)?;
        if !self.root.manifest.is_tree() {
            let chunk = self.open_chunk((&self.root, index), part, room)?;
            return Ok((begin, chunk));
        }
        if self
            .manifest
            .as_ref()
            .is_none_or(|(known, _)| *known != index)
        {
            let manifest = opened(&self.db, part.cid(), part.key())?;
            let fits = manifest.manifest.size() == self.root.manifest.bytes_of_part(index);
            if manifest.manifest.is_tree() || !fits {
                return Err(Error::rejected(
                    "a manifest is not what the one above it says",
                ));
            }
            self.manifest = Some((index, manifest));
        }
        let (_, manifest) = self.manifest.as_ref().ok_or_else(nothing)?;
        let (index, part, inner) = manifest.part_of(self.at - begin).ok_or_else(nothing)?;
        let chunk = self.open_chunk((manifest, index), part, room)?;
        Ok((begin + inner, chunk))
    }

    fn open_chunk(
        &self,
        (of, index): (&Opened, usize),
        part: &Part,
        mut chunk: Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let thread = self.db.thread();
        let txn = thread.node.store.read()?;
        let bytes = kept(&*txn, thread.number, part.cid())?;
        let opened = part.key().open_chunk_into(&bytes, &mut chunk);
        opened.map_err(|error| unfit(error, part.cid(), &bytes))?;
        match chunk.len() as u64 == of.manifest.bytes_of_part(index) {
            true => Ok(chunk),
            false => Err(Error::rejected(
                "a chunk is not as long as its manifest says",
            )),
        }
    }
}

/// A place in a blob that has no part: none that a sound manifest leaves.
fn nothing() -> Error {
    Error::rejected("a place in a blob has no part")
}

/// A block that has to be here.
fn kept<'a>(txn: &'a dyn ReadTxn, thread: Number, cid: &Cid) -> Result<Cow<'a, [u8]>> {
    match rows::read(txn, thread, &name(cid)) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(not_here(cid)),
        Err(error) if error.kind() == ErrorKind::Corrupt => Err(damaged(cid).caused_by(error)),
        Err(error) => Err(error),
    }
}

fn opened(db: &Db, cid: &Cid, key: &BlobKey) -> Result<Opened> {
    let thread = db.thread();
    let txn = thread.node.store.read()?;
    let bytes = kept(&*txn, thread.number, cid)?;
    // The key opens the keys in it, and says nothing of the links beside them.
    if block::sha256(&bytes) != name(cid) {
        return Err(damaged(cid));
    }
    Opened::new(&bytes, key).map_err(|error| unfit(error, cid, &bytes))
}

impl Read for BlobReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = self.rest().map_err(io::Error::other)?;
        let bytes = rest.len().min(into.len());
        into[..bytes].copy_from_slice(&rest[..bytes]);
        self.advance(bytes);
        Ok(bytes)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.root.manifest.size().checked_add_signed(back),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a place before the beginning");
        self.at = at.ok_or_else(before)?;
        Ok(self.at)
    }
}

/// Says how far it is, and nothing of the content.
impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("at", &self.at)
            .field("size", &self.root.manifest.size())
            .finish_non_exhaustive()
    }
}
