//! A node on a store that another process writes.

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::{ErrorKind, system_rng};
use threads_db::{Keystore, Node};

use super::suite::common::{all, spec};
use super::suite::review::Replace;
use super::{Durable, keystore, open_read_only};
use crate::place::Kind;

#[test]
fn a_store_that_is_only_read_opens_with_other_codecs_and_reducers() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Durable::open(dir.path()).unwrap();
    let node = Node::builder(writer)
        .codec(JsonPatch::new())
        .codec(Replace)
        .open()
        .unwrap();
    let db = node.create("t").unwrap();
    db.define(&spec("N")).unwrap();
    db.collection("N")
        .unwrap()
        .create(&json!({"_id": "a"}))
        .unwrap();
    drop((db, node));
    let reader = open_read_only(dir.path()).unwrap();
    let reader = Node::builder(reader)
        .codec(JsonPatch::new())
        .open()
        .unwrap();
    let seen = reader.open("t").unwrap();
    assert_eq!(all(&seen, "N").len(), 1);
    assert_eq!(
        seen.collection("N")
            .unwrap()
            .create(&json!({}))
            .unwrap_err()
            .kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn a_store_that_can_only_be_read_is_read_in_the_clear_until_a_writer_takes_it_over() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, path) = (dir.path(), dir.path().join("keystore"));
    std::fs::create_dir(dir.join("store")).unwrap();
    let node = keystore::open(dir, None);
    keystore::write(&node);
    let peer = node.peer_id();
    drop(node);
    let store = Durable::open(&dir.join("store")).unwrap();
    let adopted = Keystore::adopt(&path, &store, None, &mut system_rng()).unwrap();
    drop(store);
    let read = || {
        let store = open_read_only(&dir.join("store")).unwrap();
        let builder = Node::builder(store)
            .codec(JsonPatch::new())
            .keystore(&adopted);
        let node = builder.open().unwrap();
        assert_eq!(node.peer_id(), peer);
        assert_eq!(all(&node.open("t").unwrap(), "N").len(), 1);
    };
    read();
    drop(keystore::open(dir, Some(&adopted)));
    read();
}

#[test]
fn row_55_what_was_in_the_clear_before_a_keystore_is_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, path) = (dir.path(), dir.path().join("keystore"));
    std::fs::create_dir(dir.join("store")).unwrap();
    let node = keystore::open(dir, None);
    keystore::write(&node);
    let secrets = keystore::secrets_of(&node);
    drop(node);
    assert_eq!(keystore::found(dir, &secrets), 5);
    let store = Durable::open(&dir.join("store")).unwrap();
    let mut adopted = Keystore::adopt(&path, &store, None, &mut system_rng()).unwrap();
    drop(store);
    drop(keystore::open(dir, Some(&adopted)));
    // Pages that are free now still have them.
    assert_ne!(keystore::found(dir, &secrets), 0);
    adopted.protect("pass", &mut system_rng()).unwrap();
    let store = Durable::open(&dir.join("store")).unwrap();
    store.wipe().unwrap();
    store.verify().unwrap();
    drop(store);
    assert_eq!(keystore::found(dir, &secrets), 0);
    let node = keystore::open(dir, Some(&adopted));
    assert_eq!(keystore::secrets_of(&node), secrets);
    assert_eq!(all(&node.open("t").unwrap(), "N").len(), 1);
}
