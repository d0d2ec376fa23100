//! Blobs in the file of an export.

use std::path::{Path, PathBuf};

use super::*;
use crate::blobs::rows::{self, name};
use crate::{ExportOptions, RestoreOptions, RestoreReport};

fn passphrase() -> Option<zeroize::Zeroizing<String>> {
    Some("correct horse".to_owned().into())
}

fn export(db: &Db, dir: &Path, blobs: bool) -> PathBuf {
    let path = dir.join(format!("{blobs}.car"));
    let passphrase = passphrase();
    let options = ExportOptions { passphrase, blobs };
    let (mut file, mut last) = (Vec::new(), None);
    let told = &mut |progress| last = Some(progress);
    let report = db.export(&mut file, &options, told).unwrap();
    assert_eq!(report.bytes, file.len() as u64);
    if let Some(last) = last {
        assert_eq!(Some(last.done), last.total);
    }
    std::fs::write(&path, file).unwrap();
    path
}

fn restore(node: &Node, path: &Path) -> threads_core::Result<(Db, RestoreReport)> {
    let passphrase = passphrase();
    let options = RestoreOptions {
        passphrase,
        ..Default::default()
    };
    node.restore(path, &options, &mut |_| ())
}

fn other() -> Node {
    Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .open()
        .unwrap()
}

/// A thread with three blobs of which two have a chunk in common, and some that are not whole.
fn filled() -> (Node, Db, [(BlobRef, Vec<u8>); 3]) {
    let (node, db, clock) = node();
    let first = content(2 * CHUNK_BYTES, 1);
    let longer = [&first[..], b"more"].concat();
    let contents = [first, longer, Vec::new()];
    let blobs = contents.map(|content| (db.blobs().put(&content[..]).unwrap(), content));
    let things = things(&db);
    things.save(&json!({"_id": "a", "in": blobs[0].0})).unwrap();
    db.blobs().pin(blobs[1].0.cid(), true).unwrap();
    // What was left of an attempt belongs to no blob.
    db.blobs().put(Breaks(20 * CHUNK_BYTES)).unwrap_err();
    let nowhere = threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"nowhere");
    db.blobs().fetch(&nowhere).unwrap();
    pass(&clock, HOUR);
    (node, db, blobs)
}

#[test]
fn blobs_go_into_a_file_once_and_come_out_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, db, blobs) = filled();
    let (bare, full) = (
        export(&db, dir.path(), false),
        export(&db, dir.path(), true),
    );
    let added = std::fs::metadata(&full).unwrap().len() - std::fs::metadata(&bare).unwrap().len();
    assert!(
        added < 2 * CHUNK_BYTES as u64 + 5_000,
        "{added} bytes for two chunks"
    );

    let there = other();
    let (copy, report) = restore(&there, &bare).unwrap();
    assert_eq!((report.blobs, report.blob_blocks), (0, 0));
    assert!(copy.blobs().list().unwrap().is_empty());
    let (copy, report) = restore(&there, &full).unwrap();
    assert_eq!((report.blobs, report.blob_blocks), (4, 6));
    for (named, content) in &blobs {
        assert!(out(&copy, named) == *content);
    }
    let (before, after) = (db.blobs().list().unwrap(), copy.blobs().list().unwrap());
    assert_eq!(before, after, "one is asked for in both, one is pinned");
    assert!(copy.verify(&mut |_| ()).unwrap().is_clean());
    let (_, again) = restore(&there, &full).unwrap();
    assert_eq!((again.blobs, again.blob_blocks), (4, 0));
    // Nothing of it is left behind when its blobs go.
    copy.blobs().pin(blobs[1].0.cid(), false).unwrap();
    for blob in copy.blobs().list().unwrap() {
        copy.blobs().remove(&blob.cid).unwrap();
    }
    assert_eq!(rows(&there).0, 1, "the end of the list");
}

#[test]
fn a_new_thread_has_its_blobs_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, db, blobs) = filled();
    let full = export(&db, dir.path(), true);
    let there = other();
    let (copy, _) = restore(&there, &full).unwrap();
    for (named, content) in &blobs {
        assert!(out(&copy, named) == *content);
    }
    assert_eq!(copy.blobs().unnamed(Duration::ZERO).unwrap().len(), 2);
}

#[test]
fn a_file_that_was_cut_or_changed_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, db, _) = filled();
    let full = export(&db, dir.path(), true);
    let bytes = std::fs::read(&full).unwrap();
    let there = other();
    let refused = |bytes: &[u8]| {
        let path = dir.path().join("other.car");
        std::fs::write(&path, bytes).unwrap();
        let error = restore(&there, &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    };
    // Within a chunk, and between two blocks: the last one is a chunk with its CID and length.
    refused(&bytes[..bytes.len() - CHUNK_BYTES / 2]);
    let mut file = crate::car::CarReader::new(&bytes[..]).unwrap();
    let (mut ends, mut count) = (Vec::new(), 0);
    while let Some(block) = file.next() {
        block.unwrap();
        ends.push(file.position() as usize);
        count += 1;
    }
    for end in &ends[count - 7..count - 1] {
        refused(&bytes[..*end]);
    }
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    refused(&changed);
    assert_eq!(rows(&there), (0, 0));
    assert!(there.threads().unwrap().is_empty());
}

#[test]
fn what_is_damaged_does_not_go_into_a_file() {
    let (node, db, blobs) = filled();
    let key = {
        let txn = node.inner.store.read().unwrap();
        let manifest = rows::read(&*txn, db.thread().number, &name(blobs[0].0.cid()));
        let manifest = manifest.unwrap().unwrap();
        let manifest = threads_core::blob::Manifest::decode(&manifest).unwrap();
        crate::layout::blobs::block(db.thread().number, &name(&manifest.parts()[0]))
    };
    let store = &node.inner.store;
    store
        .transact(Durability::Group, |txn| {
            txn.put(Keyspace::Blobs, &key, b"other")
        })
        .unwrap();
    let blobs = true;
    let options = ExportOptions {
        blobs,
        ..Default::default()
    };
    let error = db.export(io::sink(), &options, &mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        db.export(io::sink(), &ExportOptions::default(), &mut |_| ())
            .is_ok()
    );
}
