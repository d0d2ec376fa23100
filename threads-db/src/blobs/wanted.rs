//! Blobs that are to come from peers: what is missing of them, and taking in what comes.

use threads_core::blob::Manifest;
use threads_core::block::{Block, DAG_CBOR};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, ReadTxn, WriteTxn};
use threads_core::{Cid, ErrorKind, Result};

use super::Missing;
use super::rows::{self, Root, name};
use crate::layout::Number;
use crate::layout::blobs::Name;
use crate::thread::Thread;

/// What is to be asked for next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) wanted: Vec<Cid>,
    /// The blob that was looked at last; none when all have been.
    pub(crate) last: Option<Name>,
    /// Whether blobs became whole with this.
    pub(crate) whole: bool,
}

/// How a blob stands that was looked through.
enum Standing {
    Lacks,
    Whole(u64),
    Unsound,
}

/// What is missing of the blobs after one, at most so many blocks.
pub(crate) fn plan(thread: &Thread, after: Option<Name>, most: usize) -> Result<Plan> {
    let (mut plan, mut settled) = (Plan::default(), Vec::new());
    {
        let txn = thread.node.store.read()?;
        let names = Root::wanted(&*txn, thread.number, after.as_ref(), rows::ROOTS_AT_ONCE)?;
        let all = names.len() < rows::ROOTS_AT_ONCE;
        plan.last = names.last().filter(|_| !all).copied();
        for name in names {
            let room = most - plan.wanted.len();
            let mut walk = Walk::new(&*txn, thread.number, room, &mut plan.wanted);
            match walk.blob(&name)? {
                Standing::Lacks => {}
                standing => settled.push((name, standing)),
            }
            if plan.wanted.len() == most {
                plan.last = Some(name);
                break;
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
            (root.size, root.since_ms) = (*size, now_ms);
            root.become_whole(txn, thread, name)
        }
        Standing::Lacks | Standing::Unsound => {
            root.unsound = true;
            root.put(txn, thread.number, name)
        }
    }
}

/// Looks for what is missing of a blob.
struct Walk<'a> {
    txn: &'a dyn ReadTxn,
    thread: Number,
    most: usize,
    missing: &'a mut Vec<Cid>,
    counted: Missing,
}

impl<'a> Walk<'a> {
    fn new(txn: &'a dyn ReadTxn, thread: Number, most: usize, missing: &'a mut Vec<Cid>) -> Self {
        let (most, counted) = (missing.len() + most, Missing::default());
        Self {
            txn,
            thread,
            most,
            missing,
            counted,
        }
    }

    fn lacks(&mut self, cid: Cid, bytes: u64) {
        self.counted.blocks += 1;
        self.counted.bytes = self.counted.bytes.saturating_add(bytes);
        if self.missing.len() < self.most && !self.missing.contains(&cid) {
            self.missing.push(cid);
        }
    }

    fn blob(&mut self, name: &Name) -> Result<Standing> {
        let Some(bytes) = rows::read(self.txn, self.thread, name)? else {
            self.lacks(rows::cid_of(name), 0);
            return Ok(Standing::Lacks);
        };
        let Some(root) = sound(Manifest::decode(&bytes))? else {
            return Ok(Standing::Unsound);
        };
        let sound = match root.is_tree() {
            false => self.chunks(&root)?,
            true => self.manifests(&root)?,
        };
        self.counted.size = Some(root.size());
        Ok(match (sound, self.counted.blocks) {
            (false, _) => Standing::Unsound,
            (true, 0) => Standing::Whole(root.size()),
            (true, _) => Standing::Lacks,
        })
    }

    fn manifests(&mut self, root: &Manifest) -> Result<bool> {
        for (index, part) in root.parts().iter().enumerate() {
            let size = root.bytes_of_part(index);
            let Some(bytes) = rows::read(self.txn, self.thread, &name(part))? else {
                self.lacks(*part, size);
                continue;
            };
            let inner = sound(Manifest::decode(&bytes))?;
            let Some(inner) = inner.filter(|inner| !inner.is_tree() && inner.size() == size) else {
                return Ok(false);
            };
            if !self.chunks(&inner)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether chunks are as long as they are said to be, as far as they are here.
    fn chunks(&mut self, manifest: &Manifest) -> Result<bool> {
        for (index, part) in manifest.parts().iter().enumerate() {
            let size = manifest.bytes_of_part(index);
            let sealed = size + threads_core::blob::CHUNK_OVERHEAD_BYTES as u64;
            match rows::here(self.txn, self.thread, &name(part))? {
                None => self.lacks(*part, size),
                Some(length) if length == sealed => {}
                Some(_) => return Ok(false),
            }
        }
        Ok(true)
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
    let mut walk = Walk::new(txn, thread, 0, &mut none);
    match walk.blob(&name(cid))? {
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

/// Wants a blob. Says whether that is new.
pub(crate) fn want(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    cid: &Cid,
    by: Option<[u8; 32]>,
) -> Result<bool> {
    let named = name(cid);
    if let Some(mut root) = Root::get(txn.as_read(), thread.number, &named)? {
        // Who asks for it here is not a peer that made it up.
        if by.is_none() && root.by.take().is_some() {
            root.put(txn, thread.number, &named)?;
        }
        return Ok(false);
    }
    let root = Root {
        place: None,
        since_ms: thread.node.clock.now_ms(),
        size: 0,
        pinned: false,
        by: by.map(serde_bytes::ByteArray::new),
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
    Ok(true)
}
