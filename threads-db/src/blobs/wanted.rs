//! Blobs that are to come from peers: what is missing of them, and taking in what comes.

use serde_bytes::ByteArray;
use threads_core::blob::Manifest;
use threads_core::block::{Block, DAG_CBOR};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, ReadTxn, WriteTxn};
use threads_core::{Cid, Result};

use super::Missing;
use super::rows::{self, Root, name};
use super::walk::{Standing, Walk, sound};
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

impl Place {
    /// The chunk at which it is in a blob that is wanted since then, and whether all before that is here.
    fn within(&self, name: &Name, since_ms: u64) -> Option<(u64, bool)> {
        match self {
            Self::Within(within, since, at, complete) if within == name && *since == since_ms => {
                Some((*at, *complete))
            }
            _ => None,
        }
    }
}

/// What is missing of the blobs from a place on, at most so many blocks. In a blob in which an earlier round
/// ended, it goes on there.
pub(crate) fn plan(
    thread: &Thread,
    from: Option<Place>,
    mark: Option<Place>,
    most: usize,
) -> Result<Plan> {
    let (mut plan, mut settled) = (Plan::default(), Vec::new());
    {
        let txn = thread.node.store.read()?;
        let (names, all) = names_from(&*txn, thread.number, from)?;
        plan.next = names
            .last()
            .filter(|_| !all)
            .map(|name| Place::Behind(*name));
        let mut walk = Walk::new(&*txn, thread.number, most, LOOKED_FOR_MAX);
        for name in names {
            // It may have been taken away meanwhile, and be wanted anew.
            let since_ms = Root::get(&*txn, thread.number, &name)?.map_or(0, |root| root.since_ms);
            let marked = |place: &Place| place.within(&name, since_ms);
            let marked = from
                .as_ref()
                .and_then(marked)
                .or(mark.as_ref().and_then(marked));
            let (begin, complete) = marked.unwrap_or((0, true));
            match walk.blob(&name, begin, complete)? {
                Standing::Lacks => {}
                Standing::Until(at) => {
                    plan.next = Some(Place::Within(name, since_ms, at, walk.complete));
                    break;
                }
                standing => settled.push((name, since_ms, standing)),
            }
        }
        plan.wanted = walk.missing;
    }
    if !settled.is_empty() {
        plan.whole = true;
        let now_ms = thread.node.clock.now_ms();
        let settle = |txn: &mut dyn WriteTxn| {
            let mut settled = settled.into_iter();
            settled.try_for_each(|(name, since_ms, standing)| {
                settle(txn, thread, (&name, since_ms), &standing, now_ms)
            })
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
        Some(Place::Within(name, ..)) => {
            let root = Root::get(txn, thread, &name)?;
            let wanted = root.is_some_and(|root| root.is_wanted());
            (Some(name), wanted.then_some(name).into_iter().collect())
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
    (name, since_ms): (&Name, u64),
    standing: &Standing,
    now_ms: u64,
) -> Result<()> {
    let root = Root::get(txn.as_read(), thread.number, name)?;
    // It may have been taken away meanwhile, or found to be damaged.
    let same = |root: &Root| root.is_wanted() && root.since_ms == since_ms;
    let Some(mut root) = root.filter(same) else {
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

/// What is missing of one blob, and how many blocks were looked for to tell.
pub(super) fn missing(txn: &dyn ReadTxn, thread: Number, cid: &Cid) -> Result<(Missing, usize)> {
    let mut walk = Walk::to_the_end(txn, thread);
    match walk.blob(&name(cid), 0, true)? {
        Standing::Unsound => Err(super::unsound(cid)),
        _ => Ok((walk.counted, walk.looked_for())),
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

/// Wants a blob again that is not whole after all, and one that is wanted from its beginning.
pub(super) fn want_again(txn: &mut dyn WriteTxn, thread: &Thread, name: &Name) -> Result<()> {
    let Some(mut root) = Root::get(txn.as_read(), thread.number, name)? else {
        return Ok(());
    };
    if let Some(place) = root.place.take() {
        rows::unlist(txn, thread.number, place)?;
    }
    root.unsound = false;
    // Later than before: whoever is within it begins anew.
    root.since_ms = thread
        .node
        .clock
        .now_ms()
        .max(root.since_ms.saturating_add(1));
    root.put(txn, thread.number, name)
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
    if let Some(bytes) = rows::sound(txn.as_read(), thread.number, &named)?.map(|b| b.into_owned())
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
    use threads_core::blob::{BlobKey, BlobSecret, CHUNK_BYTES, PARTS_MAX, Part};
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

        let plan = plan(db.thread(), None, None, 256).unwrap();
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
            let plan = plan(db.thread(), from, None, 256).unwrap();
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

        let first = plan(db.thread(), None, None, 256).unwrap();
        assert!(!first.whole && first.wanted.is_empty());
        assert!(first.next.is_some(), "the rest is for the next plan");
        let second = plan(db.thread(), first.next, None, 256).unwrap();
        assert!(second.whole && second.next.is_none());
        assert!(db.blobs().list().unwrap()[0].whole && db.blobs().has(&cid).unwrap());
    }

    #[test]
    fn a_blob_lacks_what_another_lacks_that_has_the_same_manifest() {
        let (_node, db) = thread();
        let (_, zeros) = secret().seal_chunk(&vec![0; CHUNK_BYTES]).unwrap();
        let mut parts = [*zeros.cid(); PARTS_MAX];
        parts[7] = block::cid_of(block::RAW, b"nowhere");
        let (inner, shared) = manifest(FULL, &parts, 1);
        let other = manifest(CHUNK_BYTES as u64, &[*zeros.cid()], 1);
        let size = FULL + CHUNK_BYTES as u64;
        let roots = [2, 3].map(|key| manifest(size, &[shared, other.1], key).0);
        let [one, two] = roots;
        want_with(&db, vec![one, inner.clone(), other.0.clone(), zeros]);
        want_with(&db, vec![two]);

        let plan = plan(db.thread(), None, None, 256).unwrap();
        assert_eq!(plan.wanted, [parts[7]]);
        assert!(!plan.whole, "both lack a chunk");
        assert!(db.blobs().list().unwrap().iter().all(|blob| !blob.whole));
    }

    #[test]
    fn who_begins_anew_goes_on_within_a_large_blob() {
        let (_node, db) = thread();
        let chunk = |n: usize| block::cid_of(block::RAW, &n.to_be_bytes());
        let chunks: Vec<Cid> = (0..PARTS_MAX).map(chunk).collect();
        let cid = want_with(&db, vec![manifest(FULL, &chunks, 1).0]);
        let first = plan(db.thread(), None, None, 256).unwrap();
        let small: Vec<Cid> = (0..8).map(|n| block::cid_of(DAG_CBOR, &[n])).collect();
        for cid in &small {
            let store = &db.thread().node.store;
            let ask = |txn: &mut dyn WriteTxn| want(txn, db.thread(), cid);
            store.transact(Durability::Group, ask).unwrap();
        }
        let again = plan(db.thread(), None, first.next, 256).unwrap();
        let large = again.wanted.iter().find(|cid| !small.contains(cid));
        assert_eq!(large, Some(&chunks[256]), "not from its beginning");

        // Wanted anew, it is gone through from its beginning.
        let store = &db.thread().node.store;
        let again = |txn: &mut dyn WriteTxn| want_again(txn, db.thread(), &name(&cid));
        store.transact(Durability::Group, again).unwrap();
        let anew = plan(db.thread(), None, first.next, 256).unwrap();
        assert!(anew.wanted.contains(&chunks[0]));
    }
}
