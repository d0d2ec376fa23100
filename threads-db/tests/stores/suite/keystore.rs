//! A datastore under a keystore, as it lies on disk.

use std::ops::Bound::Unbounded;
use std::path::Path;

use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::{Datastore as _, Direction, Keyspace};
use threads_core::system_rng;
use threads_db::{Keystore, KeystoreFile, Node};

use super::Durable;
use super::suite::common::{all, assert_clean, spec};
use crate::place::Kind;

pub(super) fn open(dir: &Path, keystore: Option<&Keystore>) -> Node {
    let builder = Node::builder(Durable::open(&dir.join("store")).unwrap()).codec(JsonPatch::new());
    match keystore {
        Some(keystore) => builder.keystore(keystore).open().unwrap(),
        None => builder.open().unwrap(),
    }
}

/// Writes two threads, of which one is only kept.
pub(super) fn write(node: &Node) {
    let db = node.create("t").unwrap();
    db.define(&spec("N")).unwrap();
    let people = db.collection("N").unwrap();
    people.create(&serde_json::json!({"_id": "a"})).unwrap();
    let other = Node::builder(threads_core::datastore::Memory::new())
        .open()
        .unwrap();
    let keys = other.create("kept").unwrap().keys().without_read();
    node.add_thread("kept", &keys).unwrap();
}

/// Every secret that the node keeps: identity, keys of threads, the key of its log.
pub(super) fn secrets_of(node: &Node) -> Vec<Vec<u8>> {
    let store = node.datastore();
    let txn = store.read().unwrap();
    let rows = txn
        .scan(Keyspace::Keys, (Unbounded, Unbounded), Direction::Forward)
        .unwrap();
    let values = rows.map(|row| row.unwrap().1.into_owned());
    let secrets: Vec<_> = values.filter(|value| !value.is_empty()).collect();
    assert_eq!(
        secrets.len(),
        5,
        "identity, two replica keys, a read key, a log key"
    );
    assert!(secrets.iter().all(|secret| secret.len() == 32));
    secrets
}

/// How many of the secrets are in some file below `dir`.
pub(super) fn found(dir: &Path, secrets: &[Vec<u8>]) -> usize {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false => files.push(std::fs::read(path).unwrap()),
            }
        }
    }
    let is_in = |secret: &&Vec<u8>| {
        let has = |file: &Vec<u8>| file.windows(32).any(|window| window == &secret[..]);
        files.iter().any(has)
    };
    secrets.iter().filter(is_in).count()
}

#[test]
fn row_55_under_a_passphrase_no_key_is_on_disk_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, path) = (dir.path(), dir.path().join("keystore"));
    std::fs::create_dir(dir.join("store")).unwrap();
    let mut keystore = Keystore::create(&path, None, None, &mut system_rng()).unwrap();
    let node = open(dir, Some(&keystore));
    write(&node);
    let secrets = secrets_of(&node);
    drop(node);
    keystore
        .protect("several words", &mut system_rng())
        .unwrap();
    assert_eq!(found(dir, &secrets), 0);

    let keystore = KeystoreFile::read(&path)
        .unwrap()
        .open(Some("several words"))
        .unwrap();
    let node = open(dir, Some(&keystore));
    let db = node.open("t").unwrap();
    assert_eq!(all(&db, "N").len(), 1);
    assert_clean(&db);
    drop((db, node));
    // The scan finds what is there: without a keystore it is.
    std::fs::create_dir_all(dir.join("clear/store")).unwrap();
    let node = open(&dir.join("clear"), None);
    write(&node);
    let clear = secrets_of(&node);
    drop(node);
    assert_eq!(found(dir, &clear), 5);
}
