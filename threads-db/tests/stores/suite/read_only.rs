//! A node on a store that another process writes.

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::ErrorKind;
use threads_db::Node;

use super::suite::common::{all, spec};
use super::suite::review::Replace;
use super::{Durable, open_read_only};
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
