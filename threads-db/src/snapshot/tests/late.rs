//! What comes late to a thread that begins with a snapshot: it waits for older records, and goes on with them.

use super::*;
use crate::held::HeldReason;
use crate::{ChangeFilter, FeedCursor, Notice};

#[test]
fn a_late_event_waits_for_older_records_and_no_answer_is_wrong() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    save(&ann.db, "b", "one");
    let score = |db: &Db, value: u64| {
        let scores = db.collection("Score").unwrap();
        scores.save(&json!({"_id": "s", "value": value})).unwrap();
    };
    score(&ann.db, 5);
    take(&bob.db, &records(&ann.db));
    // Bob writes, apart; Ann goes on later.
    patch(&bob.db, "a", &json!({"bob": 1}));
    score(&bob.db, 9);
    score(&bob.db, 3);
    save(&bob.db, "new", "bob's");
    bob.db.collection("Note").unwrap().delete("b").unwrap();
    let whole = Peer::copy(&ann.db.keys());
    ann.clock.set(NOW_MS + 1_000);
    whole.clock.set(NOW_MS + 1_000);
    patch(&ann.db, "a", &json!({"text": "ann"}));
    patch(&ann.db, "b", &json!({"text": "ann"}));
    score(&ann.db, 7);
    take(&whole.db, &records(&ann.db));
    compact(&ann.db, Keep::Latest);
    take(&ann.db, &records(&bob.db));
    take(&whole.db, &records(&bob.db));
    take(&whole.db, &records(&ann.db));

    let held = ann.db.held().unwrap();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0].reason, HeldReason::Older("Note/a".into()));
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 1);
    let of =
        |db: &Db, collection: &str, id: &str| db.collection(collection).unwrap().get(id).unwrap();
    // What comes to the same wherever it stands is applied.
    for (collection, id) in [("Score", "s"), ("Note", "new"), ("Note", "b")] {
        assert_eq!(
            of(&ann.db, collection, id),
            of(&whole.db, collection, id),
            "{id}"
        );
    }
    assert_eq!(of(&ann.db, "Score", "s").unwrap()["value"], 9);
    assert_eq!(of(&ann.db, "Note", "b"), None);
    assert!(of(&ann.db, "Note", "a").unwrap().get("bob").is_none());
    assert!(of(&whole.db, "Note", "a").unwrap().get("bob").is_some());
    clean(&ann.db);
    // While something waits, nobody takes what is here for the state.
    assert!(ann.db.snapshot().is_err());
}

#[test]
fn what_builds_on_what_waits_waits_with_it() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    edits(&ann.db, 30);
    take(&bob.db, &records(&ann.db));
    let known = records(&bob.db).len();
    let notes_of = bob.db.collection("Note").unwrap();
    bob.db
        .write(|txn| {
            txn.patch(&notes_of, "a", &json!({"bob": 1}))?;
            txn.create(&notes_of, &json!({"_id": "new", "text": "whole"}))
        })
        .unwrap();
    patch(&bob.db, "new", &json!({"more": 1}));
    save(&bob.db, "apart", "bob's");
    ann.clock.set(NOW_MS + 1_000);
    patch(&ann.db, "a", &json!({"text": "ann"}));
    let all = records(&ann.db);
    compact(&ann.db, Keep::Latest);
    take(&ann.db, &records(&bob.db)[known..]);
    let ids = |db: &Db| {
        notes(db)
            .iter()
            .map(|note| note["_id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&ann.db), ["a", "apart"], "nothing in between is shown");
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 2);
    take(&ann.db, &all);
    assert_eq!(ann.db.regain().unwrap().applied, 2);
    take(&bob.db, &records(&ann.db));
    bob.clock.set(NOW_MS + 2_000);
    bob.db.retry_held().unwrap();
    assert_eq!(now(&ann.db), now(&bob.db));
}

#[test]
fn older_records_that_come_back_let_what_waited_be_applied() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    edits(&ann.db, 30);
    take(&bob.db, &records(&ann.db));
    patch(&bob.db, "a", &json!({"bob": 1}));
    ann.clock.set(NOW_MS + 1_000);
    patch(&ann.db, "a", &json!({"text": "ann"}));
    let all = records(&ann.db);
    compact(&ann.db, Keep::Latest);
    let bobs = records(&bob.db);
    take(&ann.db, &bobs[bobs.len() - 1..]);
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 1);
    // One of them is not enough.
    take(&ann.db, &all[..20]);
    let regained = ann.db.regain().unwrap();
    assert!(regained.lacking > 0, "{regained:?}");
    assert_eq!(ann.db.base().unwrap().unwrap().waiting, 1);
    clean(&ann.db);
    take(&ann.db, &all);
    let regained = ann.db.regain().unwrap();
    assert_eq!(
        (regained.lacking, regained.applied, &regained.wrong[..]),
        (0, 1, &[][..])
    );
    assert!(ann.db.base().unwrap().is_none() && ann.db.held().unwrap().is_empty());
    clean(&ann.db);
    let whole = Peer::copy(&ann.db.keys());
    whole.clock.set(NOW_MS + 1_000);
    take(&whole.db, &records(&ann.db));
    assert_eq!(now(&ann.db), now(&whole.db));
    let history = |db: &Db| db.history(&db.collection("Note").unwrap(), "a").unwrap();
    assert_eq!(history(&ann.db), history(&whole.db));
    // It goes on as any other, and may be compacted again.
    let mut listener = ann
        .db
        .listen_from(ChangeFilter::all(), FeedCursor::START)
        .unwrap();
    assert!(matches!(
        listener.try_next().unwrap(),
        Some(Notice::StartOver(_))
    ));
    assert!(matches!(
        listener.try_next().unwrap(),
        Some(Notice::Change(_))
    ));
    edits(&ann.db, 3);
    clean(&ann.db);
    compact(&ann.db, Keep::Latest);
    clean(&ann.db);
    assert_eq!(notes(&ann.db)[0]["text"], "2");
}
