//! What happens while somebody looks, and before what was found is done.

use threads_core::datastore::WriteTxn;

use super::*;
use crate::blobs::gc;
use crate::blobs::rows::{Root, name};
use crate::layout::blobs as keys;

#[test]
fn what_was_put_in_again_while_a_repair_looked_stays() {
    let (node, db, _) = node();
    let content = content(2 * CHUNK_BYTES, 1);
    let named = db.blobs().put(&content[..]).unwrap();
    let manifest = keys::block(db.thread().number, &name(named.cid()));
    node.inner
        .store
        .transact(Durability::Group, |txn| {
            txn.put(Keyspace::Blobs, &manifest, b"other")
        })
        .unwrap();

    let found = db.blobs().repair(&mut |_| {
        db.blobs().put(&content[..]).unwrap();
    });
    assert_eq!(found.unwrap().damaged, 1, "it was when it was looked at");
    assert!(out(&db, &named) == content);
    let listed = db.blobs().list().unwrap();
    assert!(listed.iter().all(|blob| blob.whole), "{listed:?}");
    assert!(db.blobs().check(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn what_was_pinned_or_came_again_since_it_was_looked_at_is_not_taken_off() {
    let (_node, db, _) = node();
    let named = db.blobs().put(&content(100, 1)[..]).unwrap();
    let root = name(named.cid());
    let look = || {
        let txn = db.thread().node.store.read().unwrap();
        Root::get(&*txn, db.thread().number, &root)
            .unwrap()
            .unwrap()
    };
    let take_off = |seen: &Root| gc::take_off_as_seen(db.thread(), &root, seen).unwrap();
    let seen = look();
    db.blobs().pin(named.cid(), true).unwrap();
    assert!(!take_off(&seen));
    db.blobs().pin(named.cid(), false).unwrap();

    let since_ms = seen.since_ms - 1;
    let older = Root { since_ms, ..look() };
    assert!(!take_off(&older), "another one came since then");
    let place = None;
    let wanted = Root { place, ..look() };
    let put = |txn: &mut dyn WriteTxn| wanted.put(txn, db.thread().number, &root);
    db.thread()
        .node
        .store
        .transact(Durability::Group, put)
        .unwrap();
    assert!(!take_off(&seen), "it is not whole any more");
    let put = |txn: &mut dyn WriteTxn| seen.put(txn, db.thread().number, &root);
    db.thread()
        .node
        .store
        .transact(Durability::Group, put)
        .unwrap();
    assert!(take_off(&seen));
    assert!(db.blobs().list().unwrap().is_empty());
}
