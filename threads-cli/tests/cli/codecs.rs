//! Several codecs: one that is chosen, and one that this build does not have.

use std::borrow::Cow;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::datastore::Memory;
use threads_core::module::CollectionSpec;
use threads_core::{CodecId, Error, Result};
use threads_db::{Db, ExportOptions, Node, RestoreOptions};

use crate::common::{Place, word};

#[test]
fn a_collection_of_another_codec_merges_member_by_member() {
    let place = Place::new();
    place.ok(["create", "t"]);
    place.ok(["collection", "add", "t", "Card", "--codec", "lww/1"]);
    place.ok([
        "put",
        "t",
        "Card",
        r#"{"_id": "ann", "age": 41, "town": "Ulm"}"#,
    ]);
    place.ok(["patch", "t", "Card", "ann", r#"{"age": 42, "town": null}"#]);
    let ann = place.ok(["get", "t", "Card", "ann"]).json();
    assert_eq!(ann, json!({"_id": "ann", "age": 42}));
    let listed = place.ok(["--json", "collection", "ls", "t"]).json();
    assert_eq!(listed[0]["codec"], "lww/1");
    let said = place.fails(10, ["patch", "t", "Card", "ann", "[]", "--rfc6902"]);
    assert!(said.contains("save or merge"), "{said}");
}

#[test]
fn a_collection_whose_documents_merge_is_made_and_written() {
    let place = Place::new();
    place.ok(["create", "t"]);
    let add = ["collection", "add", "t", "Card", "--codec", "automerge/1"];
    place.ok(add.into_iter().chain(["--index", "age"]));
    let ann = r#"{"_id": "ann", "age": 41, "tags": ["a"]}"#;
    place.ok(["put", "t", "Card", ann]);
    place.ok(["patch", "t", "Card", "ann", r#"{"age": 42, "town": "Ulm"}"#]);
    let tag = r#"[{"op": "add", "path": "/tags/-", "value": "b"}]"#;
    place.ok(["patch", "t", "Card", "ann", tag, "--rfc6902"]);
    let found = place.ok(["--json", "find", "t", "Card", "age = 42"]).rows();
    let ann = json!({"_id": "ann", "age": 42, "tags": ["a", "b"], "town": "Ulm"});
    assert_eq!(found, [ann]);
    place.ok(["verify", "t"]);
}

/// A codec that the program does not have.
#[derive(Debug)]
struct Replace;

impl EventCodec for Replace {
    fn id(&self) -> CodecId {
        "replace/1".parse().unwrap()
    }

    fn ordering(&self) -> Ordering {
        Ordering::Total
    }

    fn encode(&self, _: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        match action {
            Action::Create(value) | Action::Save(value) => {
                Ok(Some(serde_json::to_vec(value).unwrap()))
            }
            _ => Err(Error::unsupported("save")),
        }
    }

    fn apply(&self, _: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        Ok(EntityState::new(event))
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(state.as_bytes()))
    }
}

fn application() -> Node {
    let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
    builder.codec(Replace).open().unwrap()
}

/// A thread of an application that has the codec, with an entity of each collection.
fn thread() -> Db {
    let db = application().create("t").unwrap();
    for (name, codec) in [("Note", "jsonpatch/1"), ("Special", "replace/1")] {
        let spec = CollectionSpec::new(name.parse().unwrap(), codec.parse().unwrap());
        db.define(&spec).unwrap();
        let collection = db.collection(name).unwrap();
        collection.create(&json!({"_id": "a", "n": 1})).unwrap();
    }
    db
}

fn special(db: &Db) -> Option<Value> {
    db.collection("Special").unwrap().get("a").unwrap()
}

#[test]
fn what_needs_a_missing_codec_is_kept_told_and_passed_on() {
    let place = Place::new();
    let db = thread();
    let (secret, file) = (place.file("secret", "correct horse\n"), place.path("t.car"));
    let options = ExportOptions {
        passphrase: Some("correct horse".to_owned().into()),
        ..Default::default()
    };
    let out = std::fs::File::create(&file).unwrap();
    db.export(out, &options, &mut |_| ()).unwrap();
    place.ok(["restore", word(&file), "--passphrase-file", word(&secret)]);

    let note = place.ok(["find", "t", "Note"]).rows();
    assert_eq!(note, [json!({"_id": "a", "n": 1})]);
    for words in [
        ["find", "t", "Special"].as_slice(),
        &["get", "t", "Special", "a"],
    ] {
        let said = place.fails(10, words);
        assert!(said.contains("codec missing: replace/1"), "{said}");
    }
    let told = "codec missing: replace/1: 1 entity waits for it, in Special";
    for words in [["collection", "ls", "t"].as_slice(), &["status", "t"]] {
        let said = place.ok(words);
        assert!(said.err.contains(told), "{said:?}");
    }
    let status = place.ok(["--json", "status", "t"]).json();
    let missing = json!([{"codec": "replace/1", "collections": ["Special"], "entities": 1}]);
    assert_eq!(status["missing_codecs"], missing);
    place.ok(["verify", "t"]);

    // Whoever has the codec gets all of it from here, with what was written meanwhile.
    place.ok(["patch", "t", "Note", "a", r#"{"n": 2}"#]);
    let again = place.path("again.car");
    let words = [
        "export",
        "t",
        word(&again),
        "--with-keys",
        "--passphrase-file",
        word(&secret),
    ];
    place.ok(words);
    let options = RestoreOptions {
        passphrase: Some("correct horse".to_owned().into()),
        ..Default::default()
    };
    let (there, _) = application()
        .restore(&again, &options, &mut |_| ())
        .unwrap();
    assert_eq!(special(&there), special(&db));
    assert_eq!(special(&there), Some(json!({"_id": "a", "n": 1})));
    assert!(there.missing_codecs().unwrap().is_empty());
}
