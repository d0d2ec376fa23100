//! Several codecs in one thread, and peers that do not have all of them.

use std::sync::Arc;

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_core::ErrorKind;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_db::query::Query;
use threads_db::{Db, Node};

use super::common::{SharedClock, Store, all, assert_clean, builder, carry, spec};
use super::review::Replace;

fn both() -> Node {
    builder().codec(Lww::new()).open().unwrap()
}

fn cards() -> CollectionSpec {
    CollectionSpec::new("Card".parse().unwrap(), "lww/1".parse().unwrap())
        .with_index(IndexSpec::on("age".parse().unwrap()))
}

/// A thread with a collection of each codec.
fn thread() -> Db {
    let db = both().create("t").unwrap();
    db.define(&cards()).unwrap();
    db.define(&spec("Note")).unwrap();
    db
}

/// Changes one entity of each codec, in one transaction.
fn write(db: &Db, id: &str, age: u8) {
    let (cards, notes) = (
        db.collection("Card").unwrap(),
        db.collection("Note").unwrap(),
    );
    db.write(|txn| {
        txn.save(&cards, &json!({"_id": id, "age": age}))?;
        txn.save(&notes, &json!({"_id": id, "text": [age]}))
    })
    .unwrap();
}

#[test]
fn one_transaction_of_two_codecs_is_one_record() {
    let db = thread();
    let before = db.log(None).unwrap().len();
    write(&db, "ann", 41);
    let log = db.log(None).unwrap();
    assert_eq!(log.len(), before + 1);
    let shown = db.show(&log[0].record).unwrap();
    let codecs: Vec<_> = shown
        .events
        .iter()
        .map(|event| event.codec.as_str())
        .collect();
    assert_eq!(codecs, ["lww/1", "jsonpatch/1"]);
    // All of it happens, or nothing.
    let (cards, notes) = (
        db.collection("Card").unwrap(),
        db.collection("Note").unwrap(),
    );
    let refused = db.write(|txn| {
        txn.save(&cards, &json!({"_id": "bob"}))?;
        txn.create(&notes, &json!({"_id": "ann"}))
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(!cards.has("bob").unwrap());

    let (there, _) = carry(&db, &both()).unwrap();
    for name in ["Card", "Note"] {
        assert_eq!(all(&there, name), all(&db, name));
    }
    assert_clean(&there);
}

#[test]
fn a_peer_without_a_codec_says_so_passes_it_on_and_applies_it_once_it_is_there() {
    let one = thread();
    write(&one, "ann", 41);
    let store = Store::fresh();
    let open = |with: bool| {
        let builder = Node::builder(Arc::clone(&store)).codec(JsonPatch::new());
        match with {
            true => builder.codec(Lww::new()).open().unwrap(),
            false => builder.open().unwrap(),
        }
    };
    let (lacking, _) = carry(&one, &open(false)).unwrap();
    // The half of the transaction that it knows is applied.
    assert_eq!(all(&lacking, "Note"), all(&one, "Note"));
    let refused = lacking.collection("Card").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(
        refused.to_string().contains("codec missing: lww/1"),
        "{refused}"
    );
    let missing = lacking.missing_codecs().unwrap();
    assert_eq!(
        missing[0].to_string(),
        "codec missing: lww/1: 1 entity waits for it, in Card"
    );
    assert_eq!(missing.len(), 1);
    assert_clean(&lacking);

    // What it passes on is whole, with changes of its own after it.
    let notes = lacking.collection("Note").unwrap();
    notes.patch("ann", &json!({"seen": true})).unwrap();
    let (two, _) = carry(&lacking, &both()).unwrap();
    assert_eq!(all(&two, "Card"), all(&one, "Card"));
    assert_eq!(all(&two, "Note"), all(&lacking, "Note"));
    assert!(two.missing_codecs().unwrap().is_empty());

    // Two change one card, apart, and all of it meets where the codec is not.
    two.collection("Card")
        .unwrap()
        .patch("ann", &json!({"town": "Ulm"}))
        .unwrap();
    one.collection("Card")
        .unwrap()
        .patch("ann", &json!({"age": 42}))
        .unwrap();
    write(&one, "bob", 7);
    for db in [&one, &two] {
        carry(db, &lacking.node()).unwrap();
    }
    assert_eq!(lacking.missing_codecs().unwrap()[0].entities, 2);
    drop((notes, lacking));

    let installed = open(true).open("t").unwrap();
    assert!(installed.missing_codecs().unwrap().is_empty());
    let ann: Value = json!({"_id": "ann", "age": 42, "town": "Ulm"});
    assert_eq!(
        all(&installed, "Card"),
        [ann, json!({"_id": "bob", "age": 7})]
    );
    let old = Query::parse("age = 42").unwrap();
    let cards = installed.collection("Card").unwrap();
    assert!(
        cards
            .explain(&old)
            .unwrap()
            .to_string()
            .contains("index age")
    );
    assert_eq!(cards.count(&old).unwrap(), 1);
    assert_clean(&installed);
    carry(&one, &two.node()).unwrap();
    carry(&installed, &two.node()).unwrap();
    assert_eq!(all(&two, "Card"), all(&installed, "Card"));
}

#[test]
fn one_entity_of_a_missing_codec_is_not_taken_for_none() {
    let (early, late) = (SharedClock::at(1_000), SharedClock::at(2_000));
    let one = builder().codec(Replace).clock(early).open().unwrap();
    let one = one.create("t").unwrap();
    one.define(&spec("Other")).unwrap();
    let (two, _) = carry(&one, &builder().clock(late).open().unwrap()).unwrap();
    // Each defines the same collection, apart; the later definition is that of the codec all have.
    let of_other = CollectionSpec::new("Q".parse().unwrap(), "replace/1".parse().unwrap());
    one.define(&of_other).unwrap();
    one.collection("Q")
        .unwrap()
        .create(&json!({"_id": "a"}))
        .unwrap();
    two.define(&spec("Q")).unwrap();
    carry(&one, &two.node()).unwrap();
    let questions = two.collection("Q").unwrap();
    for refused in [
        questions.get("a").unwrap_err(),
        questions.has("a").unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(
            refused.to_string().contains("codec missing: replace/1"),
            "{refused}"
        );
    }
    assert!(
        questions
            .find(&Query::parse("_id = 'a'").unwrap())
            .unwrap()
            .is_empty()
    );
    assert_eq!(two.missing_codecs().unwrap()[0].entities, 1);
}
