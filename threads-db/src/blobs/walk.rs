//! Looking a blob through: what of it is here.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::blob::{CHUNK_OVERHEAD_BYTES, Manifest, PARTS_MAX};
use threads_core::datastore::ReadTxn;
use threads_core::{Cid, ErrorKind, Result};

use super::Missing;
use super::rows::{self, name};
use crate::layout::Number;
use crate::layout::blobs::Name;

/// How a blob stands that was looked through.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Lacks,
    Whole(u64),
    Unsound,
    /// It was looked through up to a chunk.
    Until(u64),
}

/// Looks for what is missing of blobs: for every part of each manifest once, however often it is listed.
pub(super) struct Walk<'a> {
    txn: &'a dyn ReadTxn,
    thread: Number,
    /// Blocks that are here and damaged: as good as missing.
    damaged: Option<&'a BTreeSet<Name>>,
    /// The first that are missing.
    pub(super) missing: Vec<Cid>,
    /// How many may be missing before it ends; 0 for all.
    most: usize,
    /// How many it still looks for.
    left: usize,
    /// The manifests that were looked through from their beginnings, and whether all of each is here.
    seen: BTreeMap<Name, bool>,
    pub(super) counted: Missing,
    /// Whether all is here of the blob, as far as it was looked through.
    pub(super) complete: bool,
}

/// How far a manifest was gone through.
enum Gone {
    Through,
    Until(u64),
    Unsound,
}

impl<'a> Walk<'a> {
    /// One that ends when so many are missing, or when it has looked for so many.
    pub(super) fn new(txn: &'a dyn ReadTxn, thread: Number, most: usize, left: usize) -> Self {
        Self {
            txn,
            thread,
            damaged: None,
            missing: Vec::new(),
            most,
            left,
            seen: BTreeMap::new(),
            counted: Missing::default(),
            complete: true,
        }
    }

    /// One that goes to the end, and counts.
    pub(super) fn to_the_end(txn: &'a dyn ReadTxn, thread: Number) -> Self {
        Self::new(txn, thread, 0, usize::MAX)
    }

    /// The same, with some of what is here taken for missing.
    pub(super) fn without(mut self, damaged: &'a BTreeSet<Name>) -> Self {
        self.damaged = Some(damaged);
        self
    }

    /// How many blocks it has looked for, of one that goes to the end.
    pub(super) fn looked_for(&self) -> usize {
        usize::MAX - self.left
    }

    fn lacks(&mut self, cid: Cid, bytes: u64) {
        self.complete = false;
        self.counted.blocks += 1;
        self.counted.bytes = self.counted.bytes.saturating_add(bytes);
        if self.missing.len() < self.most && !self.missing.contains(&cid) {
            self.missing.push(cid);
        }
    }

    /// Whether it ends here: it has enough, or has looked for enough. One that only counts does not.
    fn ends(&mut self) -> bool {
        let ends = self.left == 0 || self.most > 0 && self.missing.len() == self.most;
        self.left = self.left.saturating_sub(1);
        ends
    }

    fn is_damaged(&self, name: &Name) -> bool {
        self.damaged.is_some_and(|damaged| damaged.contains(name))
    }

    /// Looks through a blob, from a chunk on; all before it was complete, or not.
    pub(super) fn blob(&mut self, name: &Name, from: u64, complete: bool) -> Result<Standing> {
        (self.counted, self.complete) = (Missing::default(), complete);
        if self.ends() {
            return Ok(Standing::Until(from));
        }
        let root = match self.manifest(name)? {
            Read::Manifest(root) => root,
            Read::Unsound => return Ok(Standing::Unsound),
            Read::NotHere => {
                self.lacks(rows::cid_of(name), 0);
                return Ok(Standing::Lacks);
            }
        };
        self.counted.size = Some(root.size());
        let gone = match root.is_tree() {
            false => self.chunks(&root, 0, from)?,
            true => self.manifests(&root, from)?,
        };
        Ok(match (gone, self.complete) {
            (Gone::Unsound, _) => Standing::Unsound,
            (Gone::Until(at), _) => Standing::Until(at),
            (Gone::Through, true) => Standing::Whole(root.size()),
            (Gone::Through, false) => Standing::Lacks,
        })
    }

    fn manifest(&self, name: &Name) -> Result<Read> {
        if self.is_damaged(name) {
            return Ok(Read::NotHere);
        }
        // What changed on disk says nothing about who made it.
        let Some(bytes) = rows::sound(self.txn, self.thread, name)? else {
            return Ok(Read::NotHere);
        };
        Ok(match sound(Manifest::decode(&bytes))? {
            Some(manifest) => Read::Manifest(manifest),
            None => Read::Unsound,
        })
    }

    fn manifests(&mut self, root: &Manifest, from: u64) -> Result<Gone> {
        // Both fit: a manifest has no more parts than that.
        let skipped = (from / PARTS_MAX as u64) as usize;
        for (index, part) in root.parts().iter().enumerate().skip(skipped) {
            let (size, begin) = (root.bytes_of_part(index), (index * PARTS_MAX) as u64);
            if self.ends() {
                return Ok(Gone::Until(begin.max(from)));
            }
            // The size is part of what is looked at: the last one may have another.
            let is_last = index + 1 == root.parts().len();
            if let Some(whole) = self.seen.get(&name(part)).filter(|_| !is_last) {
                self.complete &= whole;
                continue;
            }
            let inner = match self.manifest(&name(part))? {
                Read::Manifest(inner) if !inner.is_tree() && inner.size() == size => inner,
                Read::Manifest(_) | Read::Unsound => return Ok(Gone::Unsound),
                Read::NotHere => {
                    self.lacks(*part, size);
                    continue;
                }
            };
            let lacked = self.counted.blocks;
            match self.chunks(&inner, begin, from)? {
                Gone::Through if from <= begin && !is_last => {
                    let whole = self.counted.blocks == lacked;
                    self.seen.insert(name(part), whole);
                }
                Gone::Through => {}
                gone => return Ok(gone),
            }
        }
        Ok(Gone::Through)
    }

    /// Looks for the chunks of a manifest that begins at one, as far as they are behind another; and whether
    /// those that are here are as long as they are said to be.
    fn chunks(&mut self, manifest: &Manifest, begin: u64, from: u64) -> Result<Gone> {
        // It fits: a manifest has no more parts than that.
        let skipped = from.saturating_sub(begin) as usize;
        for (index, part) in manifest.parts().iter().enumerate().skip(skipped) {
            if self.ends() {
                return Ok(Gone::Until(begin + index as u64));
            }
            let size = manifest.bytes_of_part(index);
            let sealed = size + CHUNK_OVERHEAD_BYTES as u64;
            let here = match self.is_damaged(&name(part)) {
                true => None,
                false => rows::here(self.txn, self.thread, &name(part))?,
            };
            match here {
                None => self.lacks(*part, size),
                Some(length) if length == sealed => {}
                Some(_) => return Ok(Gone::Unsound),
            }
        }
        Ok(Gone::Through)
    }
}

/// What is kept under the name of a manifest.
enum Read {
    Manifest(Manifest),
    /// Who made it broke the format.
    Unsound,
    NotHere,
}

/// A manifest, if it is one.
pub(super) fn sound(decoded: Result<Manifest>) -> Result<Option<Manifest>> {
    match decoded {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) if error.kind() == ErrorKind::Rejected => Ok(None),
        Err(error) => Err(error),
    }
}
