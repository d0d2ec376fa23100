//! Clearing away: blobs that nothing names, and what is left of those that never became whole.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use threads_core::blob::{BlobRef, Manifest};
use threads_core::codec::EventCodecExt;
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, Keyspace, ReadTxn, WriteTxn,
};
use threads_core::{Cid, Error, Result};

use super::rows::{self, ROOTS_AT_ONCE, Root, name};
use crate::db::Db;
use crate::entity::{EntityRow, Life};
use crate::layout::blobs::Name;
use crate::layout::{self, Number, Prefix};
use crate::snapshot;
use crate::thread::Thread;

/// How many blocks one commit takes away.
const BLOCKS_AT_ONCE: usize = 256;
/// How many owners of a block are looked at: one that lives is enough to keep it.
const OWNERS_MAX: usize = 64;
/// What is being put in and was not seen to for so long has ended, in milliseconds.
const UPLOAD_MS_MAX: u64 = 60 * 60 * 1_000;

/// What was cleared away.
///
/// ```
/// fn line(report: &threads_db::BlobsCleared) -> String { format!("{} bytes freed", report.bytes) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlobsCleared {
    /// How many blobs went that nothing named.
    pub blobs: u64,
    /// How many blocks went: theirs, and what was left of blobs that never became whole.
    pub blocks: u64,
    /// The bytes of those blocks.
    pub bytes: u64,
}

/// Clears away what nothing names, if it is older than `grace`.
pub(super) fn clear(db: &Db, grace: Duration) -> Result<BlobsCleared> {
    let thread = db.thread();
    let mut cleared = BlobsCleared::default();
    // Ends: each turn takes some away; without any, nobody who writes is kept waiting.
    while !thread.is_blind() && !unnamed(db, grace)?.is_empty() {
        for name in take_off(db, grace)? {
            release(thread, &name, &mut cleared)?;
            cleared.blobs += 1;
        }
    }
    sweep(thread, &mut cleared)?;
    Ok(cleared)
}

/// Takes blobs off that nothing names. It looks within the transaction that does so: what somebody named, pinned
/// or put in again meanwhile stays.
fn take_off(db: &Db, grace: Duration) -> Result<Vec<Name>> {
    let thread = db.thread();
    thread.node.store.transact(Durability::Group, |txn| {
        let mut names = unnamed_in(txn.as_read(), db, grace)?;
        names.truncate(ROOTS_AT_ONCE);
        for name in &names {
            Root::delete(txn, thread.number, name)?;
        }
        Ok(names)
    })
}

/// Takes those of some blobs away that no living entity names and that are not pinned, as of one moment.
pub(super) fn remove_unnamed(db: &Db, some: &BTreeSet<Cid>) -> Result<()> {
    let thread = db.thread();
    let taken = thread.node.store.transact(Durability::Group, |txn| {
        let mut loose = Vec::new();
        for name in some.iter().map(name) {
            let root = Root::get(txn.as_read(), thread.number, &name)?;
            loose.extend(root.filter(|root| !root.pinned).map(|_| name));
        }
        if loose.is_empty() {
            return Ok(loose);
        }
        let named = named_by_entities(txn.as_read(), db)?;
        loose.retain(|name| !named.contains(name));
        for name in &loose {
            Root::delete(txn, thread.number, name)?;
        }
        Ok(loose)
    })?;
    for name in taken {
        release(thread, &name, &mut BlobsCleared::default())?;
    }
    Ok(())
}

/// The blobs that are here and that no living entity names, if they are older than `grace` and not pinned.
pub(super) fn unnamed(db: &Db, grace: Duration) -> Result<Vec<Name>> {
    unnamed_in(&*db.thread().node.store.read()?, db, grace)
}

fn unnamed_in(txn: &dyn ReadTxn, db: &Db, grace: Duration) -> Result<Vec<Name>> {
    let thread = db.thread();
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let mut named = named_by_entities(txn, db)?;
    // What a thread is to begin with is named by words alone.
    named.extend(
        snapshot::sought_content(txn, thread.number)?
            .iter()
            .map(name),
    );
    let now_ms = thread.node.clock.now_ms();
    let mut unnamed = Vec::new();
    for roots in Root::pages(txn, thread.number) {
        for (name, root) in roots? {
            let young = now_ms.saturating_sub(root.since_ms) < grace_ms;
            if !root.pinned && !young && !named.contains(&name) {
                unnamed.push(name);
            }
        }
    }
    Ok(unnamed)
}

/// What the living entities of the thread name, whatever a lens or a cap would show of them. An error where
/// a codec is missing: nobody knows what those would name.
fn named_by_entities(txn: &dyn ReadTxn, db: &Db) -> Result<BTreeSet<Name>> {
    let (thread, mut named) = (db.thread(), BTreeSet::new());
    for (_, codec) in db.catalogue(txn)?.unusable_by_codec() {
        thread.node.codecs.get(codec)?;
    }
    let bounds = Prefix::new(&layout::thread_prefix(thread.number));
    // Of snapshots the newest ones are kept.
    let snapshots = snapshot::rows(txn, thread)?;
    named.extend(snapshot::kept_blobs(txn, thread)?.iter().map(name));
    for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
        let (key, value) = row?;
        let is_snapshot = snapshots.is_some_and(|prefix| key.starts_with(&prefix));
        match EntityRow::decode(&value)?.life {
            Life::Live(..) if is_snapshot => {}
            Life::Live(codec, state) => {
                let codec = thread.node.codecs.get(&codec)?;
                note(&codec.value(&state)?, &mut named);
            }
            // What it waits for may have come meanwhile: it is read again when the node is opened.
            Life::Waiting(codec) => {
                thread.node.codecs.get(&codec)?;
                let why = "an entity waits to be read: what it names is not known yet";
                return Err(Error::unsupported(why).with("codec", codec));
            }
            Life::Deleted | Life::Unknown => {}
        }
    }
    Ok(named)
}

/// Notes the references within a value. Values of entities are as deep as their codecs let them be.
fn note(value: &Value, named: &mut BTreeSet<Name>) {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(members) => {
                let cid = members.get("blob").and_then(Value::as_str);
                if let Some(Ok(cid)) = cid.map(Cid::try_from) {
                    named.insert(name(&cid));
                }
                left.extend(members.values());
            }
            Value::String(text) => {
                if let Ok(reference) = text.parse::<BlobRef>() {
                    named.insert(name(reference.cid()));
                }
            }
            _ => {}
        }
    }
}

/// Clears away what has been here for longer than `older`, of a thread that this node cannot read.
pub(super) fn clear_unread(thread: &Thread, older: Duration) -> Result<BlobsCleared> {
    if !thread.is_blind() {
        let why =
            "this node can read the thread, and tell what is named: clear away what nothing names";
        return Err(Error::invalid(why).with("thread", &thread.id));
    }
    let older_ms = u64::try_from(older.as_millis()).unwrap_or(u64::MAX);
    let (mut cleared, mut after) = (BlobsCleared::default(), None);
    // Ends: each turn goes on behind the last blob.
    loop {
        let roots = Root::after(&*thread.node.store.read()?, thread.number, after.as_ref())?;
        let Some((last, _)) = roots.last() else {
            break;
        };
        after = Some(*last);
        let now_ms = thread.node.clock.now_ms();
        for (name, root) in roots {
            let young = now_ms.saturating_sub(root.since_ms) < older_ms;
            let goes = root.place.is_some() && !root.pinned && !young;
            if goes && take_off_as_seen(thread, &name, &root)? {
                release(thread, &name, &mut cleared)?;
                cleared.blobs += 1;
            }
        }
    }
    sweep(thread, &mut cleared)?;
    Ok(cleared)
}

/// Takes a whole blob off, unless it was pinned or came again since it was looked at; says whether it did.
pub(super) fn take_off_as_seen(thread: &Thread, name: &Name, seen: &Root) -> Result<bool> {
    thread.node.store.transact(Durability::Group, |txn| {
        let now = Root::get(txn.as_read(), thread.number, name)?;
        let goes = now
            .is_some_and(|now| now.place.is_some() && !now.pinned && now.since_ms == seen.since_ms);
        if goes {
            Root::delete(txn, thread.number, name)?;
        }
        Ok(goes)
    })
}

/// Takes a blob away, and the blocks that are of no other.
pub(super) fn remove(thread: &Thread, root: &Name, cleared: &mut BlobsCleared) -> Result<()> {
    let taken = |txn: &mut dyn WriteTxn| Root::delete(txn, thread.number, root);
    thread.node.store.transact(Durability::Group, taken)?;
    release(thread, root, cleared)
}

/// Takes a block away that belongs to nobody any more, and its parts if they do not either.
fn release(thread: &Thread, block: &Name, cleared: &mut BlobsCleared) -> Result<()> {
    let mut blocks = vec![*block];
    // Ends: a manifest of manifests has no further such among its parts.
    while let Some(block) = blocks.pop() {
        blocks.extend(release_one(thread, &block, cleared)?);
    }
    Ok(())
}

/// Takes one away; gives the manifests among its parts that belong to nobody now.
fn release_one(thread: &Thread, block: &Name, cleared: &mut BlobsCleared) -> Result<Vec<Name>> {
    thread.node.store.transact(Durability::Group, |txn| {
        if rows::is_owned(txn.as_read(), thread.number, block)? {
            return Ok(Vec::new());
        }
        let parts = parts_of(txn.as_read(), thread, block)?;
        discard(txn, thread, block, cleared)?;
        let mut manifests = Vec::new();
        for part in parts {
            let named = name(&part);
            rows::disown(txn, thread.number, &named, block)?;
            if rows::is_owned(txn.as_read(), thread.number, &named)? {
                continue;
            }
            match part.codec() {
                threads_core::block::DAG_CBOR => manifests.push(named),
                _ => discard(txn, thread, &named, cleared)?,
            }
        }
        Ok(manifests)
    })
}

/// The parts of a block, if it is a manifest. A chunk that reads like one has links that nothing owns. Of one that
/// is damaged nobody knows them: they belong to what is not here any more, and are swept up.
fn parts_of(txn: &dyn ReadTxn, thread: &Thread, block: &Name) -> Result<Vec<Cid>> {
    let bytes = rows::sound(txn, thread.number, block)?;
    let manifest = bytes.and_then(|bytes| Manifest::decode(&bytes).ok());
    Ok(manifest.map_or_else(Vec::new, |manifest| manifest.parts().to_vec()))
}

fn discard(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    name: &Name,
    cleared: &mut BlobsCleared,
) -> Result<()> {
    let bytes = rows::discard(txn, thread, name)?;
    cleared.blocks += u64::from(bytes > 0);
    cleared.bytes += bytes;
    Ok(())
}

/// Takes away what was left of blobs that never became whole.
fn sweep(thread: &Thread, cleared: &mut BlobsCleared) -> Result<()> {
    let mut after: Option<Name> = None;
    // Ends: each turn goes on behind the last block.
    loop {
        let blocks = {
            let txn = thread.node.store.read()?;
            rows::here_after(&*txn, thread.number, after.as_ref(), BLOCKS_AT_ONCE)?
        };
        let Some(last) = blocks.last() else {
            return Ok(());
        };
        after = Some(*last);
        for block in with_ended(thread, blocks)? {
            let ended = thread
                .node
                .store
                .transact(Durability::Relaxed, |txn| disown_ended(txn, thread, &block))?;
            if ended {
                release(thread, &block, cleared)?;
            }
        }
    }
}

/// Those of some blocks that have an owner that has ended, or belong to nobody: most do not, and nobody who writes
/// is kept waiting for them.
fn with_ended(thread: &Thread, blocks: Vec<Name>) -> Result<Vec<Name>> {
    let (txn, now_ms) = (thread.node.store.read()?, thread.node.clock.now_ms());
    let mut found = Vec::new();
    for block in blocks {
        let mut ended = !rows::is_owned(&*txn, thread.number, &block)?;
        for owner in rows::owners(&*txn, thread.number, &block, OWNERS_MAX)? {
            ended |= !lives(&*txn, thread.number, &owner, now_ms)?;
        }
        if ended {
            found.push(block);
        }
    }
    Ok(found)
}

/// Whether an owner lives: a manifest that is here or is to come, or what is being put in.
fn lives(txn: &dyn ReadTxn, thread: Number, owner: &Name, now_ms: u64) -> Result<bool> {
    let seen = rows::upload_seen(txn, thread, owner)?;
    Ok(
        seen.is_some_and(|seen| now_ms.saturating_sub(seen) < UPLOAD_MS_MAX)
            || rows::here(txn, thread, owner)?.is_some()
            || rows::is_owned(txn, thread, owner)?,
    )
}

/// Whether a block belongs to nobody, once what was being put in and has ended is left out.
fn disown_ended(txn: &mut dyn WriteTxn, thread: &Thread, block: &Name) -> Result<bool> {
    let now_ms = thread.node.clock.now_ms();
    for owner in rows::owners(txn.as_read(), thread.number, block, OWNERS_MAX)? {
        if !lives(txn.as_read(), thread.number, &owner, now_ms)? {
            rows::disown(txn, thread.number, block, &owner)?;
            rows::end_upload(txn, thread.number, &owner)?;
        }
    }
    Ok(!rows::is_owned(txn.as_read(), thread.number, block)?)
}
