//! Blobs that are to come from peers: what is missing of them, and taking in what comes.

use std::collections::BTreeSet;

use serde_bytes::ByteArray;
use threads_core::blob::{Manifest, PARTS_MAX};
use threads_core::block::{Block, DAG_CBOR};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, ReadTxn, WriteTxn};
use threads_core::{Cid, ErrorKind, Result};

use super::Missing;
use super::rows::{self, Root, name};
use crate::layout::Number;
use crate::layout::blobs::Name;
use crate::thread::Thread;

/// How many blocks one plan looks for, with those of the manifest at which it ends.
const LOOKED_FOR_MAX: usize = 32_768;

/// What is to be asked for next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) wanted: Vec<Cid>,
    /// Where to go on; none when all blobs have been looked through.
    pub(crate) next: Option<Place>,
    /// Whether blobs became whole with this.
    pub(crate) whole: bool,
}

/// Where a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind a blob.
    Behind(Name),
    /// Within one that is wanted since then: at that chunk, and whether all before it is here.
    Within(Name, u64, u64, bool),
}

/// How a blob stands that was looked through.
enum Standing {
    Lacks,
    Whole(u64),
    Unsound,
    /// It was looked through up to a chunk.
    Until(u64),
}

/// What is missing of the blobs from a place on, at most so many blocks.
pub(crate) fn plan(thread: &Thread, from: Option<Place>, most: usize) -> Result<Plan> {
    let (mut plan, mut settled) = (Plan::default(), Vec::new());
    {
        let txn = thread.node.store.read()?;
        let (names, all) = names_from(&*txn, thread.number, from)?;
        plan.next = names
            .last()
            .filter(|_| !all)
            .map(|name| Place::Behind(*name));
        let mut walk = Walk::new(&*txn, thread.number, &mut plan.wanted, most, LOOKED_FOR_MAX);
        for name in names {
            let (begin, complete) = match from {
                Some(Place::Within(within, _, at, complete)) if within == name => (at, complete),
                _ => (0, true),
            };
            (walk.counted, walk.complete) = (Missing::default(), complete);
            match walk.blob(&name, begin)? {
                Standing::Lacks => {}
                Standing::Until(at) => {
                    let root = Root::get(&*txn, thread.number, &name)?;
                    let since_ms = root.map_or(0, |root| root.since_ms);
                    plan.next = Some(Place::Within(name, since_ms, at, walk.complete));
                    break;
                }
                standing => settled.push((name, standing)),
            }
        }
    }
    if !settled.is_empty() {
        plan.whole = true;
        let now_ms = thread.node.clock.now_ms();
        let settle = |txn: &mut dyn WriteTxn| {
            let mut settled = settled.into_iter();
            settled.try_for_each(|(name, standing)| settle(txn, thread, &name, &standing, now_ms))
        };
        thread.node.store.transact(Durability::Group, settle)?;
    }
    Ok(plan)
}

/// The next blobs that are wanted, and whether these are all.
fn names_from(txn: &dyn ReadTxn, thread: Number, from: Option<Place>) -> Result<(Vec<Name>, bool)> {
    let (after, mut names) = match from {
        None => (None, Vec::new()),
        Some(Place::Behind(name)) => (Some(name), Vec::new()),
        // It may have been taken away meanwhile, and be wanted anew.
        Some(Place::Within(name, since_ms, ..)) => {
            let root = Root::get(txn, thread, &name)?;
            let same = root.is_some_and(|root| root.is_wanted() && root.since_ms == since_ms);
            (Some(name), same.then_some(name).into_iter().collect())
        }
    };
    let more = Root::wanted(txn, thread, after.as_ref(), rows::ROOTS_AT_ONCE)?;
    let all = more.len() < rows::ROOTS_AT_ONCE;
    names.extend(more);
    Ok((names, all))
}

/// A blob is whole now, or was found to be none.
fn settle(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    name: &Name,
    standing: &Standing,
    now_ms: u64,
) -> Result<()> {
    // It may have been taken away meanwhile.
    let Some(mut root) = Root::get(txn.as_read(), thread.number, name)? else {
        return Ok(());
    };
    match standing {
        Standing::Whole(size) => {
            (root.size, root.since_ms, root.by) = (*size, now_ms, Vec::new());
            root.become_whole(txn, thread, name)
        }
        Standing::Lacks | Standing::Until(_) | Standing::Unsound => {
            root.unsound = true;
            root.put(txn, thread.number, name)
        }
    }
}

/// Looks for what is missing of blobs: for every part of each manifest once, however often it is listed.
struct Walk<'a> {
    txn: &'a dyn ReadTxn,
    thread: Number,
    missing: &'a mut Vec<Cid>,
    /// How many may be missing before it ends.
    most: usize,
    /// How many it still looks for.
    left: usize,
    seen: BTreeSet<Name>,
    counted: Missing,
    /// Whether all is here of the blob, as far as it was looked through.
    complete: bool,
}

/// How far a manifest was gone through.
enum Gone {
    Through,
    Until(u64),
    Unsound,
}

impl<'a> Walk<'a> {
    fn new(
        txn: &'a dyn ReadTxn,
        thread: Number,
        missing: &'a mut Vec<Cid>,
        most: usize,
        left: usize,
    ) -> Self {
        Self {
            txn,
            thread,
            missing,
            most,
            left,
            seen: BTreeSet::new(),
            counted: Missing::default(),
            complete: true,
        }
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

    /// Looks through a blob, from a chunk on.
    fn blob(&mut self, name: &Name, from: u64) -> Result<Standing> {
        if self.ends() {
            return Ok(Standing::Until(from));
        }
        let Some(bytes) = rows::read(self.txn, self.thread, name)? else {
            self.lacks(rows::cid_of(name), 0);
            return Ok(Standing::Lacks);
        };
        let Some(root) = sound(Manifest::decode(&bytes))? else {
            return Ok(Standing::Unsound);
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

    fn manifests(&mut self, root: &Manifest, from: u64) -> Result<Gone> {
        // Both fit: a manifest has no more parts than that.
        let skipped = (from / PARTS_MAX as u64) as usize;
        for (index, part) in root.parts().iter().enumerate().skip(skipped) {
            let (size, begin) = (root.bytes_of_part(index), (index * PARTS_MAX) as u64);
            if self.ends() {
                return Ok(Gone::Until(begin.max(from)));
            }
            // The size is part of what is looked at: the last one may have another.
            if index + 1 < root.parts().len() && !self.seen.insert(name(part)) {
                continue;
            }
            let Some(bytes) = rows::read(self.txn, self.thread, &name(part))? else {
                self.lacks(*part, size);
                continue;
            };
            let inner = sound(Manifest::decode(&bytes))?;
            let Some(inner) = inner.filter(|inner| !inner.is_tree() && inner.size() == size) else {
                return Ok(Gone::Unsound);
            };
            match self.chunks(&inner, begin, from)? {
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
            let sealed = size + threads_core::blob::CHUNK_OVERHEAD_BYTES as u64;
            match rows::here(self.txn, self.thread, &name(part))? {
                None => self.lacks(*part, size),
                Some(length) if length == sealed => {}
                Some(_) => return Ok(Gone::Unsound),
            }
        }
        Ok(Gone::Through)
    }
}

/// A manifest, if it is one.
fn sound(decoded: Result<Manifest>) -> Result<Option<Manifest>> {
    match decoded {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) if error.kind() == ErrorKind::Rejected => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is missing of one blob.
pub(super) fn missing(txn: &dyn ReadTxn, thread: Number, cid: &Cid) -> Result<Missing> {
    let mut none = Vec::new();
    let mut walk = Walk::new(txn, thread, &mut none, 0, usize::MAX);
    match walk.blob(&name(cid), 0)? {
        Standing::Unsound => Err(super::unsound(cid)),
        _ => Ok(walk.counted),
    }
}

/// Takes in blocks that are wanted, as far as they are; says how many. The CIDs are those of the bytes.
pub(crate) fn take_in(thread: &Thread, blocks: Vec<Block>) -> Result<u64> {
    let mut taken = 0;
    thread.node.store.transact(Durability::Group, |txn| {
        for block in &blocks {
            let named = name(block.cid());
            if !rows::is_owned(txn.as_read(), thread.number, &named)? {
                continue;
            }
            taken += u64::from(rows::keep(txn, thread, &named, block.bytes())?);
            if block.cid().codec() == DAG_CBOR
                && let Some(manifest) = sound(Manifest::decode(block.bytes()))?
            {
                for part in manifest.parts() {
                    rows::own(txn, thread.number, &name(part), &named)?;
                }
            }
        }
        Ok(())
    })?;
    Ok(taken)
}

/// Wants a blob that was asked for here.
pub(crate) fn want(txn: &mut dyn WriteTxn, thread: &Thread, cid: &Cid) -> Result<()> {
    match Root::get(txn.as_read(), thread.number, &name(cid))? {
        // Who asks for it here is not a peer that made it up.
        Some(root) if !root.by.is_empty() => {
            let by = Vec::new();
            Root { by, ..root }.put(txn, thread.number, &name(cid))
        }
        Some(_) => Ok(()),
        None => begin(txn, thread, cid, Vec::new()),
    }
}

/// Wants a blob that is not known yet.
pub(super) fn begin(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    cid: &Cid,
    by: Vec<ByteArray<32>>,
) -> Result<()> {
    let named = name(cid);
    let root = Root {
        place: None,
        since_ms: thread.node.clock.now_ms(),
        size: 0,
        pinned: false,
        by,
        unsound: false,
    };
    root.put(txn, thread.number, &named)?;
    // Parts of it may be here already, as those of others.
    if let Some(bytes) = rows::read(txn.as_read(), thread.number, &named)?.map(|b| b.into_owned())
        && let Some(manifest) = sound(Manifest::decode(&bytes))?
    {
        for part in manifest.parts() {
            rows::own(txn, thread.number, &name(part), &named)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use threads_core::blob::{BlobKey, BlobSecret, CHUNK_BYTES, Part};
    use threads_core::datastore::Memory;
    use threads_core::{ReadKey, block};

    use super::*;
    use crate::{Db, Node};

    const FULL: u64 = (CHUNK_BYTES * PARTS_MAX) as u64;

    fn thread() -> (Node, Db) {
        let node = Node::builder(Memory::new()).open().unwrap();
        let db = node.create("a").unwrap();
        (node, db)
    }

    fn secret() -> BlobSecret {
        BlobSecret::of(&ReadKey::from_bytes(&[7; 32]))
    }

    /// The block of a manifest of these parts, and its part of another.
    fn manifest(size: u64, parts: &[Cid], key: u8) -> (Block, Cid) {
        let part = |cid: &Cid| Part::new(*cid, BlobKey::from_bytes(&[key; 32]));
        let parts = parts.iter().map(part).collect();
        let (manifest, _) = Manifest::new(&secret(), size, parts).unwrap();
        let block = manifest.to_block().unwrap();
        let cid = *block.cid();
        (block, cid)
    }

    /// Wants a blob of which these blocks are here, its own first.
    fn want_with(db: &Db, blocks: Vec<Block>) -> Cid {
        let cid = *blocks[0].cid();
        let store = &db.thread().node.store;
        store
            .transact(Durability::Group, |txn| want(txn, db.thread(), &cid))
            .unwrap();
        for block in blocks {
            take_in(db.thread(), vec![block]).unwrap();
        }
        cid
    }

    #[test]
    fn what_is_listed_over_and_over_is_looked_for_once() {
        let (_node, db) = thread();
        let chunk = block::cid_of(block::RAW, b"nowhere");
        let (inner, inner_cid) = manifest(FULL, &[chunk; PARTS_MAX], 1);
        let size = FULL * PARTS_MAX as u64;
        let (root, _) = manifest(size, &[inner_cid; PARTS_MAX], 2);
        let cid = want_with(&db, vec![root, inner]);

        let plan = plan(db.thread(), None, 256).unwrap();
        assert_eq!((plan.wanted, plan.next), (vec![chunk], None));
        let missing = db.blobs().missing(&cid).unwrap();
        assert_eq!(missing.size, Some(size));
        // Those of the last manifest count, as it may be another.
        assert!(missing.blocks <= 2 * PARTS_MAX as u64, "{missing:?}");
    }

    #[test]
    fn a_plan_ends_when_it_has_enough_and_the_next_goes_on_there() {
        let (_node, db) = thread();
        let chunk = |n: usize| block::cid_of(block::RAW, &n.to_be_bytes());
        let chunks: Vec<Cid> = (0..PARTS_MAX + 100).map(chunk).collect();
        let (first, second) = chunks.split_at(PARTS_MAX);
        let rest = (CHUNK_BYTES * second.len()) as u64;
        let (inner, last) = (manifest(FULL, first, 1), manifest(rest, second, 1));
        let (root, _) = manifest(FULL + rest, &[inner.1, last.1], 2);
        want_with(&db, vec![root, inner.0, last.0]);

        let (mut from, mut wanted, mut plans) = (None, Vec::new(), 0);
        loop {
            let plan = plan(db.thread(), from, 256).unwrap();
            assert!(plan.wanted.len() <= 256 && !plan.whole);
            wanted.extend(plan.wanted);
            plans += 1;
            from = plan.next;
            if from.is_none() {
                break;
            }
        }
        assert!(wanted == chunks, "each once, and in their order");
        assert_eq!(plans, chunks.len().div_ceil(256));
    }

    #[test]
    fn a_blob_of_more_than_one_plan_looks_at_becomes_whole() {
        let (_node, db) = thread();
        let (_, chunk) = secret().seal_chunk(&vec![0; CHUNK_BYTES]).unwrap();
        let inner = |key| manifest(FULL, &[*chunk.cid(); PARTS_MAX], key);
        let (mut blocks, cids): (Vec<_>, Vec<_>) = (1..=5).map(inner).unzip();
        blocks.insert(0, manifest(5 * FULL, &cids, 9).0);
        blocks.push(chunk);
        let cid = want_with(&db, blocks);

        let first = plan(db.thread(), None, 256).unwrap();
        assert!(!first.whole && first.wanted.is_empty());
        assert!(first.next.is_some(), "the rest is for the next plan");
        let second = plan(db.thread(), first.next, 256).unwrap();
        assert!(second.whole && second.next.is_none());
        assert!(db.blobs().list().unwrap()[0].whole && db.blobs().has(&cid).unwrap());
    }
}
