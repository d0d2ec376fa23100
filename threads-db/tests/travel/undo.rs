//! Undo and redo.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_core::datastore::Memory;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_db::query::Query;
use threads_db::{Collection, Db, Finality, Node, Undone, UndoneHow};

use super::lab::{Kit, Lab, Step, carry, entity, id};

/// What one writer does.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    /// Saves these entities, all in one transaction.
    Change(Vec<(usize, [u8; 3])>),
    Define,
    Undo,
    Redo,
    Restart,
}

pub(crate) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let change = prop::collection::vec((0..3usize, any::<[u8; 3]>()), 1..3).prop_map(Move::Change);
    let step = prop_oneof![
        5 => change,
        1 => Just(Move::Define),
        4 => Just(Move::Undo),
        3 => Just(Move::Redo),
        1 => Just(Move::Restart),
    ];
    prop::collection::vec(step, 1..30)
}

struct Desk {
    store: Arc<Memory>,
    db: Db,
    things: Collection<Value>,
}

fn spec(kit: &Kit, name: &str) -> CollectionSpec {
    CollectionSpec::new(name.parse().unwrap(), kit.codec.parse().unwrap())
}

impl Desk {
    fn open(kit: &Kit, store: Arc<Memory>) -> Self {
        let node = (kit.equip)(Node::builder(Arc::clone(&store)))
            .open()
            .unwrap();
        let db = node.open("desk").or_else(|_| node.create("desk")).unwrap();
        db.define(&spec(kit, "Thing")).unwrap();
        let things = db.collection("Thing").unwrap();
        Self { store, db, things }
    }

    fn state(&self) -> Vec<Value> {
        self.things.find(&Query::new()).unwrap()
    }
}

/// One writer alone gets exactly what there was, as an editor would give it.
pub(crate) fn goes_back_and_forth(kit: &Kit, moves: &[Move]) -> Result<(), TestCaseError> {
    let mut desk = Desk::open(kit, Arc::new(Memory::new()));
    desk.db
        .write(|txn| {
            (0..3).try_for_each(|n| txn.save(&desk.things, &entity(n, [0; 3])).map(|_| ()))
        })
        .unwrap();
    let (mut undo, mut redo): (Vec<Vec<Value>>, Vec<Vec<Value>>) = (Vec::new(), Vec::new());
    let mut defined = 0;
    for step in moves {
        let (before, heads) = (desk.state(), desk.db.heads().unwrap());
        match step {
            Move::Change(changes) => {
                desk.db
                    .write(|txn| {
                        changes.iter().try_for_each(|(n, fields)| {
                            txn.save(&desk.things, &entity(*n, *fields)).map(|_| ())
                        })
                    })
                    .unwrap();
                if desk.db.heads().unwrap() != heads {
                    undo.push(before);
                    redo.clear();
                }
            }
            Move::Define => {
                defined += 1;
                desk.db
                    .define(&spec(kit, &format!("Other{defined}")))
                    .unwrap();
            }
            Move::Undo => match undo.pop() {
                Some(was) => {
                    desk.db.undo().unwrap().expect("something to undo");
                    prop_assert_eq!(desk.state(), was);
                    redo.push(before);
                }
                None => {
                    let error = desk.db.undo().unwrap_err();
                    prop_assert_eq!(error.kind(), ErrorKind::Conflict, "they were created");
                    prop_assert_eq!(desk.state(), before);
                }
            },
            Move::Redo => {
                let redone = desk.db.redo().unwrap();
                prop_assert_eq!(redone.is_some(), !redo.is_empty());
                if let Some(is) = redo.pop() {
                    prop_assert_eq!(desk.state(), is);
                    undo.push(before);
                }
            }
            Move::Restart => {
                let store = Arc::clone(&desk.store);
                drop(desk);
                desk = Desk::open(kit, store);
            }
        }
    }
    prop_assert!(desk.db.verify(&mut |_| ()).unwrap().is_clean());
    Ok(())
}

fn edits(undone: &Undone) -> Vec<String> {
    let entities = undone.entities.iter();
    entities
        .flat_map(|entity| entity.edits.iter().map(ToString::to_string))
        .collect()
}

/// Fields of others stay, also of one entity and also when they come late; of a field that both changed the one
/// that is there stays, and is told.
pub(crate) fn keeps_what_others_did(kit: &Kit) {
    let mut lab = Lab::new(kit);
    let fields = [1, 1, 1];
    lab.step(&Step::Save {
        writer: 0,
        entity: 0,
        fields,
    });
    lab.step(&Step::Carry { from: 0, to: 1 });
    lab.change(0, 0, json!({"f0": 2, "in": {"f1": 2}, "new": true}));
    carry(&lab.writers[0].db, &lab.writers[1].db);
    lab.change(1, 0, json!({"other": 7, "in": {"f1": 3}}));
    carry(&lab.writers[1].db, &lab.writers[0].db);
    let [one, two, _] = &lab.writers[..] else {
        panic!("three writers");
    };

    let ahead = one.db.next_undo().unwrap().unwrap();
    let undone = one.db.undo().unwrap().unwrap();
    assert_eq!((&ahead.entities, ahead.commit), (&undone.entities, None));
    let mut said = edits(&undone);
    said.sort();
    assert_eq!(said, ["f0: 2 → 1", "new: - true"]);
    let kept = &undone.entities[0].kept;
    assert_eq!(
        (kept.len(), &*kept[0].path, &kept[0].value),
        (1, "/in/f1", &Some(json!(3)))
    );
    let both = json!({"_id": id(0), "f0": 1, "in": {"f1": 3, "f2": 1}, "list": [0], "other": 7});
    assert_eq!(one.state(), [both]);

    one.db.redo().unwrap().unwrap();
    let again = one.things.get(&id(0)).unwrap().unwrap();
    assert_eq!(
        (&again["f0"], &again["in"]["f1"], &again["other"]),
        (&json!(2), &json!(3), &json!(7))
    );
    // Another's transaction is not one's own.
    carry(&one.db, &two.db);
    two.db.undo().unwrap().unwrap();
    let after = two.things.get(&id(0)).unwrap().unwrap();
    assert_eq!(
        (after.get("other"), &after["in"]["f1"], &after["f0"]),
        (None, &json!(2), &json!(2))
    );
    carry(&two.db, &one.db);
    assert_eq!(one.state(), two.state());
    assert!(one.db.verify(&mut |_| ()).unwrap().is_clean());
}

fn desk() -> Desk {
    Desk::open(&super::jsonpatch_kit(), Arc::new(Memory::new()))
}

#[test]
fn what_is_final_is_told_before_and_done_when_asked() {
    let desk = desk();
    desk.things.create(&json!({"_id": "a", "n": 1})).unwrap();
    let error = desk.db.undo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("for good"), "{error}");
    assert!(desk.things.has("a").unwrap());
    desk.db
        .write(|txn| {
            txn.create(&desk.things, &json!({"_id": "b"}))?;
            txn.patch(&desk.things, "a", &json!({"n": 2}))
        })
        .unwrap();
    let undone = desk.db.undo_with(Finality::Accept).unwrap().unwrap();
    let how: Vec<_> = undone.entities.iter().map(|entity| entity.how).collect();
    assert_eq!(how, [UndoneHow::Deleted, UndoneHow::Restored]);
    assert_eq!(desk.state(), [json!({"_id": "a", "n": 1})]);
    // What is dead stays so; the rest of it comes back.
    let error = desk.db.redo().unwrap_err();
    assert!(
        error.to_string().contains("nothing brings them back"),
        "{error}"
    );
    let redone = desk.db.redo_with(Finality::Accept).unwrap().unwrap();
    assert_eq!(redone.entities[0].how, UndoneHow::Lost);
    assert_eq!(desk.state(), [json!({"_id": "a", "n": 2})]);
    desk.things.delete("a").unwrap();
    assert_eq!(desk.db.undo().unwrap_err().kind(), ErrorKind::Conflict);
    let undone = desk.db.undo_with(Finality::Accept).unwrap().unwrap();
    assert_eq!(undone.entities[0].how, UndoneHow::Lost);
    assert!(desk.state().is_empty());
}

#[test]
fn what_another_changed_since_is_not_deleted() {
    let kit = super::jsonpatch_kit();
    let lab = Lab::new(&kit);
    lab.writers[0]
        .things
        .create(&json!({"_id": "e0", "n": 1}))
        .unwrap();
    carry(&lab.writers[0].db, &lab.writers[1].db);
    lab.change(1, 0, json!({"n": 2}));
    carry(&lab.writers[1].db, &lab.writers[0].db);
    let undone = lab.writers[0].db.undo().unwrap().unwrap();
    assert_eq!(undone.entities[0].how, UndoneHow::Kept);
    assert!(lab.writers[0].things.has("e0").unwrap());
    lab.writers[1].things.delete("e0").unwrap();
    lab.change(0, 0, json!({"m": 1}));
    carry(&lab.writers[1].db, &lab.writers[0].db);
    let undone = lab.writers[0].db.undo().unwrap().unwrap();
    assert_eq!(
        undone.entities[0].how,
        UndoneHow::Nothing,
        "it was deleted since"
    );
}

#[test]
fn an_undo_follows_the_schema_of_today_or_changes_nothing() {
    let desk = desk();
    desk.things.create(&json!({"_id": "a", "n": -1})).unwrap();
    desk.things.patch("a", &json!({"n": 1})).unwrap();
    let schema = json!({"properties": {"n": {"minimum": 0}}});
    let kit = super::jsonpatch_kit();
    desk.db
        .define(&spec(&kit, "Thing").with_schema(schema))
        .unwrap();
    let (state, heads) = (desk.state(), desk.db.heads().unwrap());
    assert_eq!(desk.db.undo().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!((desk.state(), desk.db.heads().unwrap()), (state, heads));
    assert!(desk.db.next_undo().unwrap().is_some());
}

#[test]
fn there_is_nothing_to_undo_in_what_others_wrote() {
    let lab = Lab::new(&super::jsonpatch_kit());
    lab.writers[0].things.create(&json!({"_id": "e0"})).unwrap();
    carry(&lab.writers[0].db, &lab.writers[1].db);
    assert!(lab.writers[1].db.undo().unwrap().is_none());
    assert!(lab.writers[1].db.redo().unwrap().is_none());
}

/// Two who were apart created it alike: the undo of one is not to take it from the other.
#[test]
fn what_two_created_alike_is_not_deleted() {
    let lab = Lab::new(&super::jsonpatch_kit());
    let [one, two, _] = &lab.writers[..] else {
        panic!("three writers");
    };
    for writer in [one, two] {
        writer.things.create(&json!({"_id": "e0", "n": 1})).unwrap();
    }
    carry(&one.db, &two.db);
    carry(&two.db, &one.db);
    for writer in [one, two] {
        let undone = writer.db.undo_with(Finality::Accept).unwrap().unwrap();
        assert_ne!(undone.entities[0].how, UndoneHow::Deleted);
        assert_eq!(writer.state(), [json!({"_id": "e0", "n": 1})]);
    }
}

#[test]
fn what_cannot_be_undone_is_passed_over_when_asked() {
    let desk = desk();
    let unique = IndexSpec::on("name".parse().unwrap()).unique();
    let kit = super::jsonpatch_kit();
    desk.db
        .define(&spec(&kit, "Thing").with_index(unique))
        .unwrap();
    desk.db
        .write(|txn| {
            txn.create(&desk.things, &json!({"_id": "a", "name": "x", "n": 1}))?;
            txn.create(&desk.things, &json!({"_id": "b", "name": "y"}))
        })
        .unwrap();
    desk.things.patch("a", &json!({"n": 2})).unwrap();
    desk.things.patch("a", &json!({"name": "z"})).unwrap();
    desk.things.patch("b", &json!({"name": "x"})).unwrap();
    desk.db.skip_undo().unwrap().expect("it stays");
    assert_eq!(desk.things.get("b").unwrap().unwrap()["name"], "x");
    let state = desk.state();
    for _ in 0..2 {
        assert_eq!(
            desk.db.undo().unwrap_err().kind(),
            ErrorKind::Conflict,
            "b has the name"
        );
    }
    let skipped = desk.db.skip_undo().unwrap().unwrap();
    assert!(skipped.entities.is_empty());
    assert_eq!(desk.state(), state);
    desk.db.undo().unwrap().unwrap();
    let a = desk.things.get("a").unwrap().unwrap();
    assert_eq!((&a["n"], &a["name"]), (&json!(1), &json!("z")));
    // Redo takes back the undo, and then finds nothing in what was passed over.
    desk.db.redo().unwrap().unwrap();
    assert_eq!(desk.state(), state);
    for _ in 0..2 {
        assert!(desk.db.redo().unwrap().unwrap().entities.is_empty());
    }
    assert!(desk.db.redo().unwrap().is_none());
    assert_eq!(desk.state(), state);
    assert!(desk.db.verify(&mut |_| ()).unwrap().is_clean());
}
