//! Whether the blocks of blobs are what their names say, and getting those again that are not.

use std::collections::BTreeSet;

use serde::Serialize;
use threads_core::blob::Manifest;
use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace, ReadTxn};
use threads_core::{Cid, Error, ErrorKind, Result};

use super::Blobs;
use super::rows::{self, Root, name};
use super::walk::{Standing, Walk, sound};
use super::wanted;
use crate::layout::blobs::{self as keys, Name};
use crate::layout::{Number, Prefix};
use crate::progress::Progress;
use crate::thread::Thread;

/// How many damaged blocks are noted in one pass; further ones are counted.
const DAMAGED_MAX: usize = 65_536;
/// How many blobs are named that are not whole; further ones are counted.
const NAMED_MAX: usize = 100;
/// How many blocks one commit takes away.
const BLOCKS_AT_ONCE: usize = 256;

/// What was found of the blobs of a thread.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// db.blobs().put(&b"a picture"[..]).unwrap();
/// let checked = db.blobs().check(&mut |_| ()).unwrap();
/// assert!(checked.is_clean());
/// assert_eq!(checked.blocks, 2, "a manifest and a chunk");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlobsChecked {
    /// How many blocks were looked at.
    pub blocks: u64,
    /// The bytes of those.
    pub bytes: u64,
    /// How many of them are not what their names say.
    pub damaged: u64,
    /// How many blobs are taken for whole here, and are not.
    pub broken: u64,
    /// The first of those.
    #[serde(serialize_with = "crate::text::displayed")]
    pub blobs: Vec<Cid>,
    /// Whether the list of all blocks could not be read to its end: then those were looked at that blobs name.
    pub incomplete: bool,
}

impl BlobsChecked {
    /// Whether every block is what its name says, and all is here of what is taken for whole.
    ///
    /// ```
    /// assert!(threads_db::BlobsChecked::default().is_clean());
    /// ```
    pub fn is_clean(&self) -> bool {
        self.damaged == 0 && self.broken == 0
    }
}

impl Blobs {
    /// Compares every block of blobs here with its name, and looks whether all is here of those that are taken for
    /// whole. It needs no key, and changes nothing. Progress counts blocks.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.blobs().check(&mut |_| ()).unwrap().is_clean());
    /// ```
    pub fn check(&self, progress: &mut dyn FnMut(Progress)) -> Result<BlobsChecked> {
        let thread = self.db.thread();
        let txn = thread.node.store.read()?;
        Ok(look(&*txn, thread.number, progress)?.0)
    }

    /// [`Blobs::check`], and takes the damaged blocks away: blobs that are not whole then are asked for again, as
    /// by [`Blobs::fetch`]. What it gives is what it found before.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.blobs().repair(&mut |_| ()).unwrap().is_clean());
    /// ```
    pub fn repair(&self, progress: &mut dyn FnMut(Progress)) -> Result<BlobsChecked> {
        let thread = self.db.thread();
        let look = |progress: &mut dyn FnMut(Progress)| {
            look(&*thread.node.store.read()?, thread.number, progress)
        };
        let (found, mut damaged) = look(progress)?;
        // Ends: each turn takes away so many.
        while damaged.len() == DAMAGED_MAX {
            take_away(thread, &damaged)?;
            damaged = look(progress)?.1;
        }
        take_away(thread, &damaged)?;
        if !found.is_clean() {
            want_what_lacks(thread)?;
            self.tell();
        }
        Ok(found)
    }
}

/// Looks at all blocks of blobs of a thread; gives those that are damaged too.
pub(crate) fn look(
    txn: &dyn ReadTxn,
    thread: Number,
    progress: &mut dyn FnMut(Progress),
) -> Result<(BlobsChecked, BTreeSet<Name>)> {
    let (mut checked, mut damaged) = (BlobsChecked::default(), BTreeSet::new());
    let prefix = keys::all_here(thread);
    let bounds = Prefix::new(&prefix);
    for row in txn.scan(Keyspace::Blobs, bounds.range(), Direction::Forward)? {
        checked.blocks += 1;
        let name = match row {
            Ok((key, _)) => rows::name_in(&key, &prefix)?,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // Which one it is the scan does not tell, which ends here: the blobs that have it lack it.
                checked.damaged += 1;
                checked.incomplete = true;
                break;
            }
            Err(error) => return Err(error),
        };
        match rows::sound(txn, thread, &name)? {
            Some(block) => checked.bytes += block.len() as u64,
            None => {
                checked.damaged += 1;
                if damaged.len() < DAMAGED_MAX {
                    damaged.insert(name);
                }
            }
        }
        let done = checked.blocks;
        progress(Progress { done, total: None });
    }
    if checked.incomplete {
        let before = damaged.len();
        damaged_by_blobs(txn, thread, &mut damaged)?;
        checked.damaged += (damaged.len() - before) as u64;
    }
    each_lacking(txn, thread, &damaged, &mut |name, root| {
        if root.place.is_some() {
            checked.broken += 1;
            if checked.blobs.len() < NAMED_MAX {
                checked.blobs.push(rows::cid_of(name));
            }
        }
    })?;
    Ok((checked, damaged))
}

/// Notes the damaged blocks of each blob, one after the other.
fn damaged_by_blobs(txn: &dyn ReadTxn, thread: Number, damaged: &mut BTreeSet<Name>) -> Result<()> {
    for roots in Root::pages(txn, thread) {
        for (name, _) in &roots? {
            for block in damaged_of(txn, thread, name)? {
                if damaged.len() == DAMAGED_MAX {
                    return Ok(());
                }
                damaged.insert(block);
            }
        }
    }
    Ok(())
}

/// The blobs that are not whole, some of what is here being taken for missing.
fn each_lacking(
    txn: &dyn ReadTxn,
    thread: Number,
    damaged: &BTreeSet<Name>,
    tell: &mut dyn FnMut(&Name, &Root),
) -> Result<()> {
    for roots in Root::pages(txn, thread) {
        for (name, root) in &roots? {
            let mut walk = Walk::to_the_end(txn, thread).without(damaged);
            let whole = match root.place {
                Some(_) => walk.blob(name, 0, true)?,
                None => Standing::Lacks,
            };
            if whole == Standing::Lacks {
                tell(name, root);
            }
        }
    }
    Ok(())
}

fn take_away(thread: &Thread, damaged: &BTreeSet<Name>) -> Result<()> {
    let mut left = damaged.iter();
    // Ends: each turn takes some of them.
    while left.len() > 0 {
        thread.node.store.transact(Durability::Group, |txn| {
            for name in left.by_ref().take(BLOCKS_AT_ONCE) {
                // Meanwhile it may have been put in again, or have come from a peer.
                if rows::sound(txn.as_read(), thread.number, name)?.is_none() {
                    rows::discard(txn, thread, name)?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Wants all blobs again that lack something, after blocks were taken away.
fn want_what_lacks(thread: &Thread) -> Result<()> {
    let mut lacking = Vec::new();
    {
        let txn = thread.node.store.read()?;
        let mut note = |name: &Name, _: &Root| lacking.push(*name);
        each_lacking(&*txn, thread.number, &BTreeSet::new(), &mut note)?;
    }
    for names in lacking.chunks(rows::ROOTS_AT_ONCE) {
        thread.node.store.transact(Durability::Group, |txn| {
            let mut names = names.iter();
            names.try_for_each(|name| wanted::want_again(txn, thread, name))
        })?;
    }
    Ok(())
}

/// Takes away what is damaged of one blob, and sees to it that it is asked for if anything is missing.
pub(super) fn mend(thread: &Thread, cid: &Cid) -> Result<()> {
    let named = name(cid);
    let (damaged, lacks) = {
        let txn = thread.node.store.read()?;
        let damaged = damaged_of(&*txn, thread.number, &named)?;
        let mut walk = Walk::to_the_end(&*txn, thread.number).without(&damaged);
        let lacks = walk.blob(&named, 0, true)? == Standing::Lacks;
        (damaged, lacks)
    };
    if !damaged.is_empty() {
        // Others may have the same blocks.
        take_away(thread, &damaged)?;
        return want_what_lacks(thread);
    }
    thread.node.store.transact(Durability::Group, |txn| {
        let known = Root::get(txn.as_read(), thread.number, &named)?;
        match known.is_some_and(|root| root.place.is_some() && lacks || root.unsound) {
            true => wanted::want_again(txn, thread, &named),
            false => Ok(()),
        }
    })
}

/// The blocks of a blob that are here and not what their names say.
fn damaged_of(txn: &dyn ReadTxn, thread: Number, root: &Name) -> Result<BTreeSet<Name>> {
    let (mut damaged, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let Some(root) = manifest(txn, thread, root, &mut damaged)? else {
        return Ok(damaged);
    };
    if !root.is_tree() {
        chunks(txn, thread, &root, &mut damaged)?;
        return Ok(damaged);
    }
    for part in root.parts() {
        // Each once: a manifest may list another over and over.
        if seen.insert(name(part))
            && let Some(inner) = manifest(txn, thread, &name(part), &mut damaged)?
            && !inner.is_tree()
        {
            chunks(txn, thread, &inner, &mut damaged)?;
        }
    }
    Ok(damaged)
}

/// A manifest that is here, and is one; if it is damaged, that is noted.
fn manifest(
    txn: &dyn ReadTxn,
    thread: Number,
    name: &Name,
    damaged: &mut BTreeSet<Name>,
) -> Result<Option<Manifest>> {
    match rows::sound(txn, thread, name)? {
        Some(bytes) => sound(Manifest::decode(&bytes)),
        None => {
            if rows::is_kept(txn, thread, name)? {
                damaged.insert(*name);
            }
            Ok(None)
        }
    }
}

fn chunks(
    txn: &dyn ReadTxn,
    thread: Number,
    manifest: &Manifest,
    damaged: &mut BTreeSet<Name>,
) -> Result<()> {
    let parts: BTreeSet<_> = manifest.parts().iter().map(name).collect();
    for part in parts {
        if damaged.len() < DAMAGED_MAX
            && rows::is_kept(txn, thread, &part)?
            && rows::sound(txn, thread, &part)?.is_none()
        {
            damaged.insert(part);
        }
    }
    Ok(())
}

/// What is said of a block that changed on disk.
pub(super) fn damaged(cid: &Cid) -> Error {
    Error::corrupt(
        "a block of the blob is damaged here: fetch the blob again, from peers who have it",
    )
    .with("block", cid)
}
