//! Two applications share notes: one knows the last version, and one the first.

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_db::Node;
use threads_module_notes::{NOTE, Note, TheModule};

#[test]
fn two_versions_share_notes() {
    let node = Node::builder(Memory::new()).codec(JsonPatch::new());
    let db = node.open().unwrap().create("mine").unwrap();
    let new = db.install(&TheModule).unwrap().typed::<Note>(NOTE).unwrap();
    let old = db.install_version(&TheModule, 1).unwrap();
    let old = old.collection(NOTE).unwrap();

    let tags = vec!["shop".to_owned()];
    let note = Note {
        text: "Milk".to_owned(),
        tags,
        id: None,
    };
    let id = new.create(&note).unwrap();
    old.save(&json!({"_id": id, "text": "Oat milk"})).unwrap();
    let seen = new.get(id.as_str()).unwrap().unwrap();
    assert_eq!((&*seen.text, &*seen.tags[0]), ("Oat milk", "shop"));
}
