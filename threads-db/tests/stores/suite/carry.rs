//! Threads carried as files: restored whole, merged, and convergent.

use std::fs;

use proptest::prelude::*;
use serde_json::json;
use threads_core::ErrorKind;
use threads_core::module::IndexSpec;
use threads_db::query::Query;
use threads_db::{ChangeFilter, Db, FeedCursor, Node, RestoreOptions};

use super::common::{
    SharedClock, all, assert_clean, builder, carry, export, node, passphrase, people, spec,
};

#[test]
fn a_restored_thread_is_the_same_and_clean() {
    let (db, people) = people();
    for n in 0..30 {
        people
            .create(&json!({"_id": format!("p{n}"), "n": n}))
            .unwrap();
    }
    people.delete("p7").unwrap();
    people
        .patch("p8", &json!({"n": null, "x": [1, {"y": null}]}))
        .unwrap();
    db.define(&spec("Person").with_index(IndexSpec::on("n".parse().unwrap())))
        .unwrap();
    let (copy, report) = carry(&db, &node()).unwrap();
    assert_eq!(
        (report.records, report.present, report.name.as_str()),
        (34, 0, "friends")
    );
    assert_eq!(all(&copy, "Person"), all(&db, "Person"));
    let indexed = copy
        .collection("Person")
        .unwrap()
        .explain(&Query::parse("n = 3").unwrap());
    assert!(indexed.unwrap().to_string().contains("index n"));
    assert_clean(&copy);
}

#[test]
fn row_05_the_same_records_again_change_nothing() {
    let (db, people) = people();
    people.create(&json!({"_id": "a"})).unwrap();
    let (copy, _) = carry(&db, &node()).unwrap();
    let listener = copy.listen_from(ChangeFilter::default(), FeedCursor::default());
    let mut listener = listener.unwrap();
    let before = (all(&copy, "Person"), copy.log(None).unwrap());
    for _ in 0..3 {
        let (_, again) = carry(&db, &copy.node()).unwrap();
        assert_eq!((again.records, again.present, again.held), (0, 2, 0));
    }
    assert_eq!((all(&copy, "Person"), copy.log(None).unwrap()), before);
    assert!(listener.try_next().unwrap().is_some());
    assert!(listener.try_next().unwrap().is_none(), "told once in total");
    assert_clean(&copy);
}

#[test]
fn two_writers_who_exchange_files_agree() {
    let (one, people) = people();
    people.create(&json!({"_id": "a", "x": 0, "y": 0})).unwrap();
    let (two, _) = carry(&one, &node()).unwrap();
    people.patch("a", &json!({"x": 1})).unwrap();
    two.collection("Person")
        .unwrap()
        .patch("a", &json!({"y": 2}))
        .unwrap();
    two.collection("Person")
        .unwrap()
        .create(&json!({"_id": "b"}))
        .unwrap();
    carry(&two, &one.node()).unwrap();
    carry(&one, &two.node()).unwrap();
    assert_eq!(
        all(&one, "Person"),
        [json!({"_id": "a", "x": 1, "y": 2}), json!({"_id": "b"})]
    );
    assert_eq!(all(&two, "Person"), all(&one, "Person"));
    assert_clean(&one);
    assert_clean(&two);
}

#[test]
fn a_unique_value_taken_by_both_is_reported_and_has_one_holder() {
    let (one, _) = people();
    one.define(&spec("Person").with_index(IndexSpec::on("email".parse().unwrap()).unique()))
        .unwrap();
    let (two, _) = carry(&one, &node()).unwrap();
    one.collection("Person")
        .unwrap()
        .create(&json!({"_id": "b", "email": "x"}))
        .unwrap();
    two.collection("Person")
        .unwrap()
        .create(&json!({"_id": "a", "email": "x"}))
        .unwrap();
    carry(&two, &one.node()).unwrap();
    carry(&one, &two.node()).unwrap();
    for db in [&one, &two] {
        let conflicts = db.conflicts("Person").unwrap();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].entities[0].as_str(), "a");
        assert_clean(db);
    }
}

#[test]
fn an_entity_with_too_many_values_for_a_peers_index_is_taken_in_and_found() {
    let (one, people) = people();
    let (two, _) = carry(&one, &node()).unwrap();
    let index = spec("Person").with_index(IndexSpec::on("tags".parse().unwrap()));
    two.define(&index).unwrap();
    let tags: Vec<_> = (0..2_000).collect();
    let refused = two
        .collection("Person")
        .unwrap()
        .create(&json!({"tags": tags}));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    people
        .create(&json!({"_id": "many", "tags": tags}))
        .unwrap();
    people.create(&json!({"_id": "few", "tags": [7]})).unwrap();
    carry(&one, &two.node()).unwrap();
    carry(&two, &one.node()).unwrap();
    for db in [&one, &two] {
        let found = db
            .collection("Person")
            .unwrap()
            .count(&Query::parse("tags = 7").unwrap());
        assert_eq!(found.unwrap(), 2);
        assert_clean(db);
    }
}

fn try_restore(bytes: &[u8], to: &Node, options: &RestoreOptions) -> threads_core::Result<Db> {
    let unique = threads_core::EntityId::generate(0, &mut threads_core::system_rng());
    let path = std::env::temp_dir().join(format!("threads-test-{unique}.car"));
    fs::write(&path, bytes).unwrap();
    let restored = to.restore(&path, options, &mut |_| ());
    fs::remove_file(path).unwrap();
    restored.map(|(db, _)| db)
}

fn with_passphrase() -> RestoreOptions {
    RestoreOptions {
        passphrase: passphrase(),
        ..Default::default()
    }
}

#[test]
fn a_damaged_or_foreign_file_is_refused_and_nothing_is_visible() {
    let (db, people) = people();
    for n in 0..3 {
        people.create(&json!({"n": n})).unwrap();
    }
    let path = export(&db);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    let other = node();
    for cut in [0, 1, 40, bytes.len() / 2, bytes.len() - 1] {
        assert!(
            try_restore(&bytes[..cut], &other, &with_passphrase()).is_err(),
            "cut at {cut}"
        );
    }
    for at in (0..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(
            try_restore(&damaged, &other, &with_passphrase()).is_err(),
            "flipped at {at}"
        );
    }
    assert!(try_restore(b"no CAR file at all", &other, &with_passphrase()).is_err());
    assert!(other.threads().unwrap().is_empty());
    assert_clean(&try_restore(&bytes, &other, &with_passphrase()).unwrap());
}

#[test]
fn keys_and_passphrases_are_asked_for_by_name() {
    let (db, _) = people();
    let mut bare = Vec::new();
    db.export(&mut bare, &Default::default(), &mut |_| ())
        .unwrap();
    let other = node();
    let error = try_restore(&bare, &other, &with_passphrase()).unwrap_err();
    assert!(error.to_string().contains("holds no keys"), "{error}");
    let path = export(&db);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    let error = try_restore(&bytes, &other, &RestoreOptions::default()).unwrap_err();
    assert!(error.to_string().contains("passphrase"), "{error}");
    let wrong = RestoreOptions {
        passphrase: Some("wrong".to_owned().into()),
        ..Default::default()
    };
    let error = try_restore(&bytes, &other, &wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    other.create("friends").unwrap();
    let error = try_restore(&bytes, &other, &with_passphrase()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let named = RestoreOptions {
        name: Some("copies".into()),
        ..with_passphrase()
    };
    assert_eq!(
        try_restore(&bytes, &other, &named).unwrap().name(),
        "copies"
    );
    // Without keys the file still brings a thread up to date that is here already.
    try_restore(&bare, &other, &RestoreOptions::default()).unwrap();
}

/// One step of a random history: who does what to which entity.
#[derive(Clone, Debug)]
enum Step {
    Save(bool, u8, u8),
    Patch(bool, u8, u8, u8),
    Delete(bool, u8),
    Exchange,
    Clock(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<bool>(), 0..4u8, any::<u8>()).prop_map(|(w, e, v)| Step::Save(w, e, v)),
        4 => (any::<bool>(), 0..4u8, 0..3u8, any::<u8>())
            .prop_map(|(w, e, f, v)| Step::Patch(w, e, f, v)),
        1 => (any::<bool>(), 0..4u8).prop_map(|(w, e)| Step::Delete(w, e)),
        1 => Just(Step::Exchange),
        2 => (0..50u16).prop_map(Step::Clock),
    ]
}

fn exchange(one: &Db, two: &Db) {
    carry(one, &two.node()).unwrap();
    carry(two, &one.node()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_history_of_two_writers_converges_to_the_byte(steps in prop::collection::vec(step(), 1..24)) {
        // Few times and one clock each, so that many events share a time.
        let clocks = [SharedClock::at(1_000), SharedClock::at(1_020)];
        let one = builder().clock(clocks[0].clone()).open().unwrap().create("friends").unwrap();
        let index = IndexSpec::on("f0".parse().unwrap());
        one.define(&spec("Person").with_index(index)).unwrap();
        let two = carry(&one, &builder().clock(clocks[1].clone()).open().unwrap()).unwrap().0;
        let people = [one.collection("Person").unwrap(), two.collection("Person").unwrap()];
        for step in steps {
            // What is refused (a deleted id, a missing entity) is part of the history too.
            match step {
                Step::Save(w, e, v) => {
                    let _ = people[usize::from(w)].save(&json!({"_id": format!("e{e}"), "f0": v}));
                }
                Step::Patch(w, e, f, v) => {
                    let patch = json!({ format!("f{f}"): v });
                    let _ = people[usize::from(w)].patch(&format!("e{e}"), &patch);
                }
                Step::Delete(w, e) => {
                    let _ = people[usize::from(w)].delete(&format!("e{e}"));
                }
                Step::Exchange => exchange(&one, &two),
                Step::Clock(ms) => clocks[usize::from(ms % 2)].0.set(1_000 + u64::from(ms)),
            }
        }
        exchange(&one, &two);
        prop_assert_eq!(
            serde_json::to_string(&all(&one, "Person")).unwrap(),
            serde_json::to_string(&all(&two, "Person")).unwrap()
        );
        assert_clean(&one);
        assert_clean(&two);
        // A third reader, from either file, agrees.
        let third = carry(&two, &node()).unwrap().0;
        prop_assert_eq!(all(&third, "Person"), all(&one, "Person"));
        assert_clean(&third);
    }
}
