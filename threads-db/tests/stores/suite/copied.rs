//! A datastore that was copied, and is used in both places.

use std::path::Path;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::LogId;
use threads_db::{Db, Node};

use super::Durable;
use super::suite::common::{all, assert_clean, carry, spec};
use crate::place::Kind;

fn open(dir: &Path) -> Node {
    let builder = Node::builder(Durable::open(dir).unwrap()).codec(JsonPatch::new());
    builder.open().unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Writes an entity; gives the log and the place in it.
fn write(db: &Db, id: &str) -> (LogId, u64) {
    db.collection("N")
        .unwrap()
        .create(&json!({"_id": id}))
        .unwrap();
    let entry = &db.log(Some(1)).unwrap()[0];
    (entry.log, entry.seq)
}

#[test]
fn row_53_a_store_that_is_copied_and_used_twice_forks_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, moved) = (
        dir.path().join("first"),
        dir.path().join("second"),
        dir.path().join("moved"),
    );
    let db = open(&first).create("t").unwrap();
    db.define(&spec("N")).unwrap();
    let (log, seq) = write(&db, "before");
    drop(db);
    copy(&first, &second);

    // The original goes on, in the same directory and under another name.
    let one = open(&first).open("t").unwrap();
    assert!(!one.is_copy().unwrap());
    assert_eq!(write(&one, "one"), (log, seq + 1));
    drop(one);
    std::fs::rename(&first, &moved).unwrap();
    let one = open(&moved).open("t").unwrap();
    assert!(!one.is_copy().unwrap());
    assert_eq!(write(&one, "one too"), (log, seq + 2));

    // The copy begins a log of its own, once, and says so before.
    let two = open(&second).open("t").unwrap();
    assert!(two.is_copy().unwrap());
    let (other, at) = write(&two, "two");
    assert_ne!(other, log);
    assert_eq!(at, 1);
    assert!(!two.is_copy().unwrap());
    drop(two);
    let two = open(&second).open("t").unwrap();
    assert_eq!(write(&two, "two too"), (other, 2));
    assert_eq!(two.node().peer_id(), one.node().peer_id());

    // Neither contradicts the other.
    carry(&one, &two.node()).unwrap();
    carry(&two, &one.node()).unwrap();
    assert_eq!(all(&one, "N"), all(&two, "N"));
    assert_eq!(all(&one, "N").len(), 5);
    assert_clean(&one);
    assert_clean(&two);
}
