//! What is told when a live query cannot go on, or had better begin anew.

use super::*;
use crate::{CompactOptions, Keep};

#[track_caller]
fn why(live: &mut LiveQuery<Value>) -> Renewed {
    match live.try_next().unwrap() {
        Some(LiveUpdate::Reset { why, .. }) => why,
        other => panic!("no whole result: {other:?}"),
    }
}

#[test]
fn one_that_is_far_behind_begins_anew_and_goes_on() {
    let db = made();
    let notes = notes(&db);
    let mut follower = Follower::new(&notes, &Query::new().sort("n").limit(3));
    follower.follow();
    for n in 0..LIVE_RECORDS_MAX {
        notes
            .save(&json!({"_id": format!("{}", n % 7), "n": n}))
            .unwrap();
    }
    follower.follow();
    assert_eq!(
        (follower.updates, follower.resets),
        (2, 1),
        "as many can be followed"
    );
    for n in 0..=LIVE_RECORDS_MAX {
        notes
            .save(&json!({"_id": format!("{}", n % 7), "n": n + 1}))
            .unwrap();
    }
    assert_eq!(why(&mut follower.live), Renewed::Behind);
    notes.save(&json!({"_id": "1", "n": 0})).unwrap();
    assert!(matches!(
        follower.live.try_next(),
        Ok(Some(LiveUpdate::Changes(_)))
    ));
}

#[test]
fn what_was_dropped_before_it_was_seen_is_told_whole() {
    let db = made();
    let notes = notes(&db);
    let save = |n: usize| drop(notes.save(&json!({"_id": "a", "n": n})).unwrap());
    save(1);
    let mut follower = Follower::new(&notes, &Query::new());
    follower.follow();
    save(2);
    let mut options = CompactOptions::new(Keep::Latest);
    options.even_alone = true;
    assert!(db.compact(&options, &mut |_| ()).unwrap().dropped > 0);
    follower.follow();
    assert_eq!(follower.resets, 2);
    save(3);
    follower.follow();
    assert_eq!((follower.updates, follower.resets), (3, 2));
}

#[test]
fn too_many_entities_at_once_are_told_whole() {
    let db = made();
    let notes = notes(&db);
    let write = |count: usize, n: usize| {
        db.write(|txn| {
            for at in 0..count {
                txn.save(&notes, &json!({"_id": format!("{at:05}"), "n": n}))?;
            }
            Ok(())
        })
        .unwrap();
    };
    let mut live = notes.watch(&Query::new().limit(2)).unwrap();
    assert_eq!(why(&mut live), Renewed::First);
    write(LIVE_ENTITIES_MAX, 1);
    let Some(LiveUpdate::Changes(changes)) = live.try_next().unwrap() else {
        panic!("as many can be followed");
    };
    assert_eq!(changes.len(), 2);
    write(LIVE_ENTITIES_MAX + 1, 2);
    assert_eq!(why(&mut live), Renewed::Behind);
}

#[test]
fn what_exceeds_its_caps_says_so_once_and_comes_back() {
    let db = made();
    let notes = notes(&db);
    let caps = QueryCaps::default().with_rows(2);
    let mut live = notes.watch(&Query::new().caps(caps)).unwrap();
    assert_eq!(why(&mut live), Renewed::First);
    for id in ["a", "b", "c"] {
        notes.save(&json!({"_id": id})).unwrap();
    }
    let error = live.try_next().unwrap_err();
    assert_eq!(TooExpensive::of(&error), Some(TooExpensive::Rows));
    assert!(live.try_next().unwrap().is_none(), "it was said");
    assert_eq!(live.ids().count(), 0);
    notes.delete("b").unwrap();
    assert_eq!(why(&mut live), Renewed::Failed);
    assert_eq!(live.ids().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn the_bytes_of_spare_rows_are_no_reason_to_refuse() {
    let db = made();
    let notes = notes(&db);
    let long = "x".repeat(1_000);
    let save = |id: usize| {
        let note = json!({"_id": format!("{id:03}"), "text": long});
        notes.save(&note).unwrap();
    };
    (0..20).for_each(save);
    // Room for the result and one row more, as the query itself needs.
    let query = Query::new()
        .limit(4)
        .caps(QueryCaps::default().with_bytes(6_000));
    let mut follower = Follower::new(&notes, &query);
    follower.follow();
    notes.delete("001").unwrap();
    follower.follow();
    (30..40).for_each(save);
    notes.delete("002").unwrap();
    notes.delete("003").unwrap();
    follower.follow();
    assert_eq!(follower.resets, 1);
}

#[test]
fn rows_that_went_take_no_room() {
    let db = made();
    let notes = notes(&db);
    let caps = QueryCaps::default().with_bytes(3_000);
    let mut follower = Follower::new(&notes, &Query::new().sort("n").caps(caps));
    for n in 0..20 {
        let note = json!({"_id": format!("{}", n % 4), "n": n, "text": "x".repeat(400)});
        notes.save(&note).unwrap();
        follower.follow();
    }
    assert_eq!(follower.resets, 1);
    notes
        .save(&json!({"_id": "more", "text": "x".repeat(3_000)}))
        .unwrap();
    follower.follow();
    assert!(follower.failed);
}

#[test]
fn a_definition_that_changed_is_told_whole_and_an_index_is_not() {
    let db = made();
    let notes = notes(&db);
    notes.save(&json!({"_id": "a", "n": 1})).unwrap();
    let mut live = notes.watch(&Query::parse("n > 0").unwrap()).unwrap();
    assert_eq!(why(&mut live), Renewed::First);
    let path = || "n".parse().unwrap();
    db.define(&spec().with_index(IndexSpec::on(path())))
        .unwrap();
    assert!(live.try_next().unwrap().is_none());
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    db.define(&spec().with_schema(schema)).unwrap();
    assert_eq!(why(&mut live), Renewed::Redefined);
    notes.save(&json!({"_id": "b", "n": 2})).unwrap();
    assert!(matches!(live.try_next(), Ok(Some(LiveUpdate::Changes(_)))));
}

#[test]
fn one_transaction_is_one_update() {
    let db = made();
    let notes = notes(&db);
    let mut live = notes.watch(&Query::new().sort("n")).unwrap();
    why(&mut live);
    for n in 0..3 {
        db.write(|txn| {
            txn.save(&notes, &json!({"_id": "a", "n": n}))?;
            txn.save(&notes, &json!({"_id": "b", "n": 2 - n}))
        })
        .unwrap();
    }
    let Some(LiveUpdate::Changes(changes)) = live.try_next().unwrap() else {
        panic!("nothing changed");
    };
    // Three transactions, of which only the sum matters.
    assert_eq!(changes.len(), 2);
    notes.patch("a", &json!({"n": 2})).unwrap();
    assert!(live.try_next().unwrap().is_none(), "it was 2 before");
}

#[test]
fn rows_that_are_not_of_the_type_are_an_error() {
    #[derive(Debug, serde::Deserialize)]
    struct Note {
        n: u8,
    }
    let db = made();
    let untyped = notes(&db);
    untyped.save(&json!({"_id": "a", "n": 1})).unwrap();
    let mut live = db
        .typed::<Note>(COLLECTION)
        .unwrap()
        .watch(&Query::new())
        .unwrap();
    let Some(LiveUpdate::Reset { rows, .. }) = live.try_next().unwrap() else {
        panic!("no result");
    };
    assert_eq!(rows[0].n, 1);
    untyped.save(&json!({"_id": "b", "n": "two"})).unwrap();
    assert_eq!(live.try_next().unwrap_err().kind(), ErrorKind::Invalid);
    untyped.save(&json!({"_id": "b", "n": 2})).unwrap();
    let Some(LiveUpdate::Reset { why, rows }) = live.try_next().unwrap() else {
        panic!("no result");
    };
    assert_eq!((why, rows.len()), (Renewed::Failed, 2));
}
