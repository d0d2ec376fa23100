//! Snapshots that are kept: their content is a blob, so that peers get it as they get others, and replicas keep it
//! without reading it.
//!
//! The blob of equal content is the same whoever makes it, so those who sign one snapshot keep one set of blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use threads_core::blob::BlobRef;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{Cid, Error, ErrorKind, PeerId, Result};

use super::content::{Name, Reader};
use super::{Content, Snapshot, emptied_of, made, signed, word};
use crate::base::Base;
use crate::db::Db;
use crate::snapshot::{Covered, check};
use crate::thread::Thread;

/// How many of the snapshots that one peer signed are kept, the newest ones.
pub(crate) const KEPT_MAX: usize = 2;

/// The bytes of a snapshot's content as they are made, with their name.
struct Making<'a> {
    content: Content<'a>,
    name: Name,
    item: Vec<u8>,
    read: usize,
    /// Why no more could be made.
    failed: Option<Error>,
}

impl Making<'_> {
    /// Makes the next item; nothing is left of it at the end.
    fn next(&mut self) -> Result<()> {
        self.read = 0;
        self.item.clear();
        if let Some(item) = self.content.next()? {
            self.item = item.encode()?;
            self.name.update(&self.item);
        }
        Ok(())
    }
}

impl Read for Making<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.item.len()
            && let Err(error) = self.next()
        {
            self.failed = Some(error);
            return Err(io::Error::other("a snapshot cannot be made"));
        }
        let read = (&self.item[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

/// Makes a snapshot of what is covered, and keeps it.
pub(super) fn make_and_keep(
    txn: &dyn ReadTxn,
    db: &Db,
    covered: Covered,
) -> Result<(Snapshot, BlobRef)> {
    check(txn, db.thread(), &covered)?;
    let emptied = emptied_of(txn, db.thread(), &covered)?;
    let mut making = Making {
        content: Content::new(txn, db.thread(), covered)?,
        name: Name::default(),
        item: Vec::new(),
        read: 0,
        failed: None,
    };
    let kept = db.blobs().put(&mut making);
    let kept = kept.map_err(|error| making.failed.take().unwrap_or(error))?;
    let Making { content, name, .. } = making;
    Ok((made(&content, name.finish(), emptied), kept))
}

/// Reads content to its end, and refuses it unless it is the snapshot of this name. Nothing is believed before.
pub(super) fn check_name(input: impl Read, name: &Cid) -> Result<()> {
    let mut reader = Reader::new(input);
    // Ends with the input, which ends.
    while reader.next()?.is_some() {}
    let (found, _) = reader.finish();
    match found == *name {
        true => Ok(()),
        false => Err(
            Error::rejected("the snapshot is not the one that was signed")
                .with("snapshot", name)
                .with("found", found),
        ),
    }
}

/// The blobs of snapshots that are kept: those of the words that are here, that of the snapshot with which the thread
/// begins here, and those of the newest that each other peer signed.
pub(crate) fn kept_blobs(txn: &dyn ReadTxn, thread: &Thread) -> Result<BTreeSet<Cid>> {
    let (me, base) = (thread.own_author(), Base::get(txn, thread.number)?);
    let mut counts: BTreeMap<PeerId, usize> = BTreeMap::new();
    let words = word::of_thread(txn, thread.number)?.into_values();
    let mut kept: BTreeSet<_> = words.flatten().map(|word| *word.blob()).collect();
    // Those that cover most come first.
    for snapshot in signed(txn, thread)? {
        let begins = base
            .as_ref()
            .is_some_and(|base| base.snapshot == snapshot.id);
        for (peer, content) in &snapshot.contents {
            let count = counts.entry(*peer).or_insert(0);
            *count += 1;
            // What this node signed it also has a word for: what was made last, whatever it covers.
            if begins || *peer != me && *count <= KEPT_MAX {
                kept.insert(*content.cid());
            }
        }
    }
    Ok(kept)
}

/// Takes away the blobs of older snapshots of this node, unless something else names them. Of those of others no entity
/// tells whether they are what it says.
pub(super) fn clear_older(db: &Db) -> Result<()> {
    let me = db.node().peer_id();
    let signed = signed(&*db.thread().node.store.read()?, db.thread())?;
    let own = signed
        .iter()
        .filter_map(|snapshot| snapshot.contents.get(&me));
    let own = own.map(|content| *content.cid()).collect();
    match db.blobs().remove_unnamed(&own) {
        // Without a codec nobody knows what is named.
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        removed => removed,
    }
}
