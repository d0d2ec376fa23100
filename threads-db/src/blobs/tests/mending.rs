//! Blocks that changed on disk, or are gone: found, told, and got again.

use threads_core::Cid;

use super::*;
use crate::blobs::rows::{self, name};
use crate::blobs::wanted;
use crate::layout::blobs as keys;

fn change(node: &Node, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    let store = &node.inner.store;
    store
        .transact(Durability::Group, |txn| {
            let mut value = txn.get(Keyspace::Blobs, key)?.unwrap().into_owned();
            change(&mut value);
            txn.put(Keyspace::Blobs, key, &value)
        })
        .unwrap();
}

fn damage(node: &Node, db: &Db, block: &Cid) {
    let key = keys::block(db.thread().number, &name(block));
    change(node, &key, |value| *value.last_mut().unwrap() ^= 1);
}

fn lose(node: &Node, db: &Db, block: &Cid) {
    let (thread, name) = (db.thread().number, name(block));
    let store = &node.inner.store;
    store
        .transact(Durability::Group, |txn| {
            txn.delete(Keyspace::Blobs, &keys::here(thread, &name))?;
            txn.delete(Keyspace::Blobs, &keys::block(thread, &name))
        })
        .unwrap();
}

/// The chunks of a blob of one manifest.
fn chunks(db: &Db, named: &BlobRef) -> Vec<Cid> {
    let txn = db.thread().node.store.read().unwrap();
    let block = rows::read(&*txn, db.thread().number, &name(named.cid()));
    let manifest = threads_core::blob::Manifest::decode(&block.unwrap().unwrap()).unwrap();
    manifest.parts().to_vec()
}

fn is_noted_whole(db: &Db, named: &BlobRef) -> bool {
    let blobs = db.blobs().list().unwrap();
    blobs
        .iter()
        .any(|blob| blob.cid == *named.cid() && blob.whole)
}

#[test]
fn a_chunk_that_changed_on_disk_is_found_and_taken_away_and_wanted_again() {
    let (node, db, _) = node();
    let first = content(2 * CHUNK_BYTES, 1);
    let named = db.blobs().put(&first[..]).unwrap();
    let longer = [&first[..], b"more"].concat();
    let other = db.blobs().put(&longer[..]).unwrap();
    let apart = db.blobs().put(&content(100, 2)[..]).unwrap();
    let blobs = db.blobs();
    assert!(blobs.check(&mut |_| ()).unwrap().is_clean());
    damage(&node, &db, &chunks(&db, &named)[1]);

    let error = blobs.get(&named, io::sink()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("fetch"), "{error}");
    let found = blobs.check(&mut |_| ()).unwrap();
    assert_eq!((found.damaged, found.broken, found.blocks), (1, 2, 7));
    let mut broken = [*named.cid(), *other.cid()];
    broken.sort();
    let mut told = found.blobs.clone();
    told.sort();
    assert_eq!(told, broken);
    let report = db.verify(&mut |_| ()).unwrap();
    assert_eq!((report.problem_count, &report.blobs), (3, &found));
    assert!(is_noted_whole(&db, &named), "looking changes nothing");

    blobs.fetch(named.cid()).unwrap();
    let missing = blobs.missing(named.cid()).unwrap();
    assert_eq!((missing.blocks, missing.bytes), (1, CHUNK_BYTES as u64));
    assert!(!is_noted_whole(&db, &named) && !is_noted_whole(&db, &other));
    assert!(is_noted_whole(&db, &apart));
    // The same content is as good as a peer.
    blobs.put(&first[..]).unwrap();
    wanted::plan(db.thread(), None, None, 256).unwrap();
    assert!(is_noted_whole(&db, &named) && is_noted_whole(&db, &other));
    assert!(out(&db, &named) == first && out(&db, &other) == longer);
    assert!(db.verify(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn putting_in_writes_over_what_is_damaged() {
    let (node, db, _) = node();
    let content = content(CHUNK_BYTES + 9, 1);
    let named = db.blobs().put(&content[..]).unwrap();
    damage(&node, &db, &chunks(&db, &named)[0]);
    damage(&node, &db, named.cid());
    assert!(db.blobs().open(&named).is_err());
    assert_eq!(db.blobs().put(&content[..]).unwrap(), named);
    assert!(out(&db, &named) == content);
    assert!(db.blobs().check(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn what_a_repair_leaves_of_a_blob_is_not_cleared_while_its_manifest_is_to_come() {
    let (node, db, clock) = node();
    let content = content(3 * CHUNK_BYTES, 1);
    let named = db.blobs().put(&content[..]).unwrap();
    db.blobs().pin(named.cid(), true).unwrap();
    let manifest = {
        let txn = node.inner.store.read().unwrap();
        let block = rows::read(&*txn, db.thread().number, &name(named.cid()));
        block.unwrap().unwrap().into_owned()
    };
    damage(&node, &db, named.cid());
    let error = db.blobs().open(&named).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let found = db.blobs().repair(&mut |_| ()).unwrap();
    assert_eq!((found.damaged, found.broken), (1, 1));
    assert!(!is_noted_whole(&db, &named));
    pass(&clock, 2 * HOUR);
    assert_eq!(db.blobs().clear(Duration::ZERO).unwrap().blocks, 0);

    wanted::take_in(
        db.thread(),
        vec![threads_core::block::Block::cbor(manifest)],
    )
    .unwrap();
    wanted::plan(db.thread(), None, None, 256).unwrap();
    assert!(is_noted_whole(&db, &named), "the chunks were here");
    assert!(out(&db, &named) == content);
    // Once nobody wants it, all of it goes, though nobody can say what its parts were.
    damage(&node, &db, named.cid());
    db.blobs().repair(&mut |_| ()).unwrap();
    db.blobs().remove(named.cid()).unwrap();
    assert_eq!(db.blobs().clear(Duration::ZERO).unwrap().blocks, 3);
}

#[test]
fn what_is_gone_from_disk_is_wanted_again() {
    for asks in [
        (|db, cid| db.blobs().fetch(cid).unwrap()) as fn(&Db, &Cid),
        |db, cid| {
            let late = db.blobs().await_whole(cid, Duration::ZERO, &mut |_| ());
            assert_eq!(late.unwrap_err().kind(), ErrorKind::Unavailable);
        },
        |db, _| {
            let found = db.blobs().repair(&mut |_| ()).unwrap();
            assert_eq!((found.damaged, found.broken), (0, 1));
        },
    ] {
        let (node, db, _) = node();
        let named = db.blobs().put(&content(2 * CHUNK_BYTES, 1)[..]).unwrap();
        let lost = chunks(&db, &named)[0];
        lose(&node, &db, &lost);
        assert!(is_noted_whole(&db, &named) && !db.blobs().has(named.cid()).unwrap());
        asks(&db, named.cid());
        assert!(!is_noted_whole(&db, &named));
        let plan = wanted::plan(db.thread(), None, None, 256).unwrap();
        assert_eq!(plan.wanted, [lost]);
    }
}

#[test]
fn what_came_unsound_is_got_again_when_somebody_asks_for_it() {
    let (node, db, _) = node();
    let cid = threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"a manifest");
    db.blobs().fetch(&cid).unwrap();
    let wanted = || wanted::plan(db.thread(), None, None, 256).unwrap().wanted;
    assert_eq!(wanted(), [cid]);
    let number = db.thread().number;
    let unsound = node.inner.store.transact(Durability::Group, |txn| {
        let mut root = rows::Root::get(txn.as_read(), number, &name(&cid))?.unwrap();
        root.unsound = true;
        root.put(txn, number, &name(&cid))
    });
    unsound.unwrap();
    assert!(wanted().is_empty(), "it is no use to ask for it by oneself");
    db.blobs().fetch(&cid).unwrap();
    assert_eq!(wanted(), [cid]);
}
