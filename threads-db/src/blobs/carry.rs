//! Blobs in the file of an export: which they are, and then their blocks, each once and none before what lists it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use threads_core::blob::Manifest;
use threads_core::block::{self, Block, DAG_CBOR, RAW, check_link};
use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, Result};

use super::check::damaged;
use super::rows::{self, Root, name};
use super::walk::sound;
use super::wanted;
use crate::layout::blobs::{self as keys, Name};
use crate::layout::{Number, Prefix};
use crate::sync::{Fresh, News};
use crate::thread::Thread;

/// The bytes of blocks that one commit takes in.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// How many blocks one plan names that are missing, of what a file did not have whole.
const MISSING_AT_ONCE: usize = 256;

/// What the manifest of an export says of blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CarriedBlobs {
    /// How many blobs there are.
    pub(crate) blobs: u64,
    /// How many blocks name them.
    pub(crate) lists: u64,
    /// How many blocks they have.
    pub(crate) blocks: u64,
}

/// A blob in a list: its name, and whether it is pinned.
type Listed = (Cid, bool);

impl CarriedBlobs {
    /// Counts what a file is to have.
    pub(crate) fn count(txn: &dyn ReadTxn, thread: Number) -> Result<Self> {
        let mut count = Self::default();
        each_list(txn, thread, &mut |list| {
            count.blobs += list.len() as u64;
            count.lists += 1;
            Ok(())
        })?;
        each_block(txn, thread, &mut |_| {
            count.blocks += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// How many blocks there are of both kinds.
    pub(crate) fn all_blocks(&self) -> u64 {
        self.lists.saturating_add(self.blocks)
    }

    /// Takes in what a file has; says how many blocks were new. Progress is told of each.
    pub(crate) fn take_in(
        &self,
        thread: &Thread,
        next: &mut dyn FnMut() -> Result<Block>,
        progress: &mut dyn FnMut(),
    ) -> Result<u64> {
        if self.all_blocks() == 0 {
            // Another commit could fail, when the records are in.
            return Ok(0);
        }
        for _ in 0..self.lists {
            want_listed(thread, &next()?)?;
            progress();
        }
        let (mut new, mut batch, mut bytes) = (0, Vec::new(), 0);
        for _ in 0..self.blocks {
            let block = next()?;
            bytes += block.bytes().len();
            batch.push(block);
            if bytes >= COMMIT_BYTES {
                new += wanted::take_in(thread, std::mem::take(&mut batch))?;
                bytes = 0;
            }
            progress();
        }
        new += wanted::take_in(thread, batch)?;
        let mut from = None;
        // Ends: each plan goes on behind the one before it.
        loop {
            from = wanted::plan(thread, from, None, MISSING_AT_ONCE)?.next;
            if from.is_none() {
                break;
            }
        }
        let notifier = &thread.node.notifier;
        notifier.notify_of(News(Fresh::Blobs(thread.number)));
        Ok(new)
    }
}

/// Writes the blobs of a thread as blocks: those that it counts.
pub(crate) fn write(
    txn: &dyn ReadTxn,
    thread: Number,
    put: &mut dyn FnMut(&Block) -> Result<()>,
) -> Result<()> {
    each_list(txn, thread, &mut |list| {
        put(&Block::cbor(block::encode(&list)?))
    })?;
    each_block(txn, thread, &mut |cid| {
        let bytes = rows::sound(txn, thread, &name(cid))?;
        let bytes = bytes.ok_or_else(|| damaged(cid))?.into_owned();
        put(&Block::checked(*cid, bytes)?)
    })
}

fn want_listed(thread: &Thread, block: &Block) -> Result<()> {
    let wrong = || Error::corrupt("a list of blobs in the file is none: export it again");
    let list: Vec<Listed> =
        block::decode(block.bytes()).map_err(|cause| wrong().caused_by(cause))?;
    let fits = |(cid, _): &Listed| check_link(cid).is_ok() && cid.codec() == DAG_CBOR;
    if !list.iter().all(fits) {
        return Err(wrong());
    }
    thread.node.store.transact(Durability::Group, |txn| {
        let mut list = list.iter();
        list.try_for_each(|(cid, pinned)| want_one(txn, thread, cid, *pinned))
    })
}

fn want_one(txn: &mut dyn WriteTxn, thread: &Thread, cid: &Cid, pinned: bool) -> Result<()> {
    wanted::want(txn, thread, cid)?;
    match Root::get(txn.as_read(), thread.number, &name(cid))? {
        Some(root) if pinned => Root { pinned, ..root }.put(txn, thread.number, &name(cid)),
        _ => Ok(()),
    }
}

/// Whether a blob goes into a file: one that only peers named does not.
fn is_carried(root: &Root) -> bool {
    !root.is_listed_only() && !root.unsound
}

fn each_list(
    txn: &dyn ReadTxn,
    thread: Number,
    tell: &mut dyn FnMut(Vec<Listed>) -> Result<()>,
) -> Result<()> {
    for roots in Root::pages(txn, thread) {
        let roots = roots?;
        let carried = roots.iter().filter(|(_, root)| is_carried(root));
        let list: Vec<_> = carried
            .map(|(name, root)| (rows::cid_of(name), root.pinned))
            .collect();
        if !list.is_empty() {
            tell(list)?;
        }
    }
    Ok(())
}

/// The blocks that are here of the blobs: first their manifests, then those below these, then chunks.
fn each_block(
    txn: &dyn ReadTxn,
    thread: Number,
    tell: &mut dyn FnMut(&Cid) -> Result<()>,
) -> Result<()> {
    let is_here = |name: &Name| Ok::<_, Error>(rows::here(txn, thread, name)?.is_some());
    let is_root = |name: &Name| {
        let root = Root::get(txn, thread, name)?;
        Ok::<_, Error>(root.as_ref().is_some_and(is_carried))
    };
    each_list(txn, thread, &mut |list| {
        for (cid, _) in &list {
            if is_here(&name(cid))? {
                tell(cid)?;
            }
        }
        Ok(())
    })?;
    // One for each 2 GiB of content.
    let mut inner = BTreeSet::new();
    each_list(txn, thread, &mut |list| {
        for (cid, _) in &list {
            for part in inner_parts(txn, thread, cid)? {
                let named = name(&part);
                if !is_root(&named)? && is_here(&named)? && inner.insert(named) {
                    tell(&part)?;
                }
            }
        }
        Ok(())
    })?;
    let prefix = keys::all_here(thread);
    let bounds = Prefix::new(&prefix);
    for row in txn.scan(Keyspace::Blobs, bounds.range(), Direction::Forward)? {
        let block = rows::name_in(&row?.0, &prefix)?;
        if inner.contains(&block) || is_root(&block)? {
            continue;
        }
        let is_manifest = |owner: &Name| Ok(inner.contains(owner) || is_root(owner)?);
        if rows::any_owner(txn, thread, &block, is_manifest)? {
            tell(&block::cid_of_digest(RAW, &block))?;
        }
    }
    Ok(())
}

/// The manifests below the one of a blob, where it is here and has such.
fn inner_parts(txn: &dyn ReadTxn, thread: Number, cid: &Cid) -> Result<Vec<Cid>> {
    let Some(bytes) = rows::sound(txn, thread, &name(cid))? else {
        return Ok(Vec::new());
    };
    let manifest = sound(Manifest::decode(&bytes))?;
    let tree = manifest.filter(Manifest::is_tree);
    Ok(tree.map_or_else(Vec::new, |tree| tree.parts().to_vec()))
}
