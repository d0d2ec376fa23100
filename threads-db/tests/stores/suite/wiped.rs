//! A store that is wiped after a purge, and its files read as bytes.

use std::path::Path;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_db::Node;

use super::suite::common::{all, assert_clean, spec};
use super::{Durable, wipe};
use crate::place::Kind;

const CANARY: &str = "a canary that sang";

fn open(dir: &Path) -> Node {
    let builder = Node::builder(Durable::open(dir).unwrap()).codec(JsonPatch::new());
    builder.open().unwrap()
}

/// How often the canary is found in the files of a directory.
fn hits(dir: &Path) -> usize {
    let files = std::fs::read_dir(dir).unwrap();
    let bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    bytes
        .map(|bytes| {
            let windows = bytes.windows(CANARY.len());
            windows
                .filter(|window| *window == CANARY.as_bytes())
                .count()
        })
        .sum()
}

#[test]
fn no_byte_of_what_was_purged_is_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path()).create("t").unwrap();
    db.define(&spec("N")).unwrap();
    let notes = db.collection("N").unwrap();
    for number in 0..50 {
        notes
            .create(&json!({"_id": format!("kept{number}"), "text": "x".repeat(500)}))
            .unwrap();
        notes
            .create(&json!({"_id": format!("gone{number}"), "text": CANARY.repeat(30)}))
            .unwrap();
    }
    let gone = (0..50).map(|number| {
        (
            "N".parse().unwrap(),
            format!("gone{number}").parse().unwrap(),
        )
    });
    db.purge(gone).unwrap();
    drop((notes, db));
    assert!(hits(dir.path()) > 0, "the control");

    assert!(Node::is_wipe_due(&Durable::open(dir.path()).unwrap()).unwrap());
    wipe(dir.path());
    assert_eq!(hits(dir.path()), 0);
    let store = Durable::open(dir.path()).unwrap();
    Node::note_wiped(&store).unwrap();
    assert!(!Node::is_wipe_due(&store).unwrap());
    drop(store);

    let db = open(dir.path()).open("t").unwrap();
    assert_eq!(all(&db, "N").len(), 50);
    assert_clean(&db);
}
