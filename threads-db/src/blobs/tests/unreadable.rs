//! Rows of blobs that the store cannot read any more.

use std::borrow::Cow;
use std::sync::Mutex;

use threads_core::datastore::{Capability, KeyRange, ReadTxn, Scan, WriteTxn};
use threads_core::{Cid, Error, Result};

use super::*;
use crate::blobs::rows::{self, Root, name};
use crate::blobs::wanted;
use crate::layout::blobs as keys;

/// A store with a row that it cannot read until that is written anew.
#[derive(Debug, Default)]
struct Damaged {
    inner: Memory,
    row: Mutex<Option<Vec<u8>>>,
}

impl Damaged {
    fn check(&self, key: &[u8]) -> Result<()> {
        match self.row.lock().unwrap().as_deref() == Some(key) {
            true => Err(Error::corrupt("the row cannot be read")),
            false => Ok(()),
        }
    }

    fn mend(&self, key: &[u8]) {
        self.row.lock().unwrap().take_if(|row| row == key);
    }
}

struct Txn<'a, T: ?Sized>(Box<T>, &'a Damaged);

impl<T: ReadTxn + ?Sized> ReadTxn for Txn<'_, T> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        self.1.check(key)?;
        self.0.get(space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, to: Direction) -> Result<Scan<'_>> {
        let rows = self.0.scan(space, range, to)?;
        let checked = rows.map(|row| row.and_then(|row| self.1.check(&row.0).map(|()| row)));
        // As the stores do, it ends with the first error.
        Ok(Box::new(checked.scan(false, |ended, row| {
            let row = (!*ended).then_some(row)?;
            *ended = row.is_err();
            Some(row)
        })))
    }
}

impl<T: WriteTxn + ?Sized> WriteTxn for Txn<'_, T> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        self.1.mend(key);
        self.0.put(space, key, value)
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        self.1.mend(key);
        self.0.delete(space, key)
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }

    fn commit(self: Box<Self>, durability: Durability) -> Result<()> {
        self.0.commit(durability)
    }
}

impl Datastore for Damaged {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        Ok(Box::new(Txn(self.inner.read()?, self)))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        Ok(Box::new(Txn(self.inner.write()?, self)))
    }
}

fn damaged() -> (Arc<Damaged>, Node, Db) {
    let store = Arc::new(Damaged::default());
    let node = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
    let node = node.open().unwrap();
    let db = node.create("a").unwrap();
    (store, node, db)
}

fn chunk(db: &Db, named: &BlobRef) -> Cid {
    let txn = db.thread().node.store.read().unwrap();
    let block = rows::read(&*txn, db.thread().number, &name(named.cid()));
    let manifest = threads_core::blob::Manifest::decode(&block.unwrap().unwrap()).unwrap();
    manifest.parts()[0]
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_nothing_from_being_cleared() {
    let (store, node, db) = damaged();
    let named = db.blobs().put(&content(100, 1)[..]).unwrap();
    db.blobs().put(&content(100, 2)[..]).unwrap();
    let row = keys::block(db.thread().number, &name(named.cid()));
    *store.row.lock().unwrap() = Some(row);
    let cleared = db.blobs().clear(Duration::ZERO).unwrap();
    assert_eq!((cleared.blobs, cleared.blocks), (2, 4));
    assert_eq!(rows(&node).0, 1, "the end of the list");
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_its_blob_from_nobody() {
    let (store, _node, db) = damaged();
    let content = content(100, 1);
    let named = db.blobs().put(&content[..]).unwrap();
    let root = name(named.cid());
    let taken_off = db.thread().node.store.transact(Durability::Group, |txn| {
        Root::delete(txn, db.thread().number, &root)
    });
    taken_off.unwrap();
    *store.row.lock().unwrap() = Some(keys::block(db.thread().number, &root));
    db.blobs().fetch(named.cid()).unwrap();
    let plan = wanted::plan(db.thread(), None, None, 256).unwrap();
    assert_eq!(plan.wanted, [*named.cid()]);
    assert_eq!(db.blobs().put(&content[..]).unwrap(), named);
    assert!(out(&db, &named) == content);
}

#[test]
fn behind_a_row_that_cannot_be_read_damage_is_found_by_the_blobs() {
    let (store, node, db) = damaged();
    let contents = [content(100, 1), content(100, 2)];
    let blobs = contents
        .each_ref()
        .map(|content| db.blobs().put(&content[..]).unwrap());
    let mut chunks = blobs.each_ref().map(|named| chunk(&db, named));
    chunks.sort_by_key(name);
    let [first, behind] = chunks.map(|chunk| name(&chunk));
    let thread = db.thread().number;
    *store.row.lock().unwrap() = Some(keys::here(thread, &first));
    node.inner
        .store
        .transact(Durability::Group, |txn| {
            txn.put(Keyspace::Blobs, &keys::block(thread, &behind), b"other")
        })
        .unwrap();

    let found = db.blobs().repair(&mut |_| ()).unwrap();
    assert_eq!(
        (found.damaged, found.broken, found.incomplete),
        (2, 2, true)
    );
    let plan = wanted::plan(db.thread(), None, None, 256).unwrap();
    assert_eq!(plan.wanted.len(), 2);
    for content in &contents {
        db.blobs().put(&content[..]).unwrap();
    }
    let clean = db.blobs().check(&mut |_| ()).unwrap();
    assert!(clean.is_clean() && !clean.incomplete, "{clean:?}");
}
