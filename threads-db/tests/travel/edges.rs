//! Histories that are not plain.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};
use threads_acl::Acl;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::access::{Role, Scope, Subject};
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::datastore::Memory;
use threads_core::module::CollectionSpec;
use threads_core::{CodecId, Error, ErrorKind, PeerId, Result, Variant};
use threads_db::query::{Query, QueryCaps, TooExpensive};
use threads_db::{Collection, Db, DiffScope, Fate, Node, Point};

use super::lab::{Kit, Lab, Step, carry, position};

fn spec(name: &str) -> CollectionSpec {
    CollectionSpec::new(name.parse().unwrap(), "jsonpatch/1".parse().unwrap())
}

fn things(db: &Db) -> Collection<Value> {
    db.collection("Thing").unwrap()
}

fn alone() -> (Db, Collection<Value>) {
    let node = Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .open()
        .unwrap();
    let db = node.create("alone").unwrap();
    db.define(&spec("Thing")).unwrap();
    let things = things(&db);
    (db, things)
}

fn now(db: &Db) -> Point {
    Point::Records(db.heads().unwrap())
}

#[test]
fn points_that_are_not_here_are_refused() {
    let (db, _) = alone();
    let elsewhere = *threads_core::block::Block::cbor(*b"\xa0").cid();
    let error = db.as_of(&Point::Records(vec![elsewhere])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = db.as_of(&Point::Position(99)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let head = db.heads().unwrap()[0];
    let many = Point::Records(vec![head; 10_001]);
    assert_eq!(db.as_of(&many).unwrap_err().kind(), ErrorKind::Invalid);
    // An event of a record is no record.
    let event = db.show(&head).unwrap().event;
    assert_eq!(
        db.as_of(&Point::Records(vec![event])).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn nothing_is_at_no_records_and_of_no_entity() {
    let (db, things) = alone();
    things.create(&json!({"_id": "a"})).unwrap();
    let past = db.as_of(&Point::Records(Vec::new())).unwrap();
    assert!(
        past.find::<Value>(&things, &Query::new())
            .unwrap()
            .is_empty()
    );
    for id in ["nobody", "", "a\0b"] {
        assert!(!past.has(&things, id).unwrap());
        assert!(db.history(&things, id).unwrap().moments.is_empty());
        assert_eq!(
            db.blame(&things, id).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}

#[test]
fn what_was_deleted_is_in_the_past_and_stays_deleted() {
    let (db, things) = alone();
    things.create(&json!({"_id": "a", "n": 1})).unwrap();
    let before = now(&db);
    things.delete("a").unwrap();
    assert_eq!(
        things.revert("a", &before).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let was: Value = db
        .as_of(&before)
        .unwrap()
        .get(&things, "a")
        .unwrap()
        .unwrap();
    assert_eq!(was["n"], 1);
    let diff = db.diff(&before, &Point::Now, &DiffScope::Thread).unwrap();
    assert_eq!(diff[0].json_patch(), json!([{"op": "remove", "path": ""}]));
    let blame = db.blame_field(&things, "a", &"n".parse().unwrap()).unwrap();
    assert_eq!((blame.value, blame.seq), (None, 3), "who deleted it");
    things.create(&json!({"_id": "b"})).unwrap();
    assert_eq!(
        things.revert("b", &before).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        things.revert("c", &before).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_revert_within_a_transaction_goes_back_behind_it() {
    let (db, things) = alone();
    things.create(&json!({"_id": "a", "n": 1})).unwrap();
    db.write(|txn| {
        txn.patch(&things, "a", &json!({"n": 2}))?;
        txn.create(&things, &json!({"_id": "b"}))?;
        assert!(
            txn.revert(&things, "b", &Point::Now).is_err(),
            "it was not there"
        );
        txn.revert(&things, "a", &Point::Now)
    })
    .unwrap();
    assert_eq!(things.get("a").unwrap().unwrap()["n"], 1);
    assert!(db.verify(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn a_query_in_the_past_keeps_to_its_caps() {
    let (db, things) = alone();
    for n in 0..20 {
        things
            .create(&json!({"_id": format!("t{n:02}"), "n": n}))
            .unwrap();
    }
    let past = db.as_of(&now(&db)).unwrap();
    let mut query = Query::new();
    query.caps = Some(QueryCaps::default().with_examined(Some(5)));
    let error = past.count(&things, &query).unwrap_err();
    assert_eq!(TooExpensive::of(&error), Some(TooExpensive::Examined));
    let few = query.clone().limit(2);
    assert_eq!(
        past.find::<Value>(&things, &few).unwrap().len(),
        2,
        "no more than it needs"
    );
    query.caps = Some(QueryCaps::default().with_rows(5));
    let error = past.find::<Value>(&things, &query).unwrap_err();
    assert_eq!(TooExpensive::of(&error), Some(TooExpensive::Rows));
    let mut rows = Vec::new();
    past.for_each(&things, &query, &mut |row| {
        rows.push(row);
        Ok(rows.len() < 10)
    })
    .unwrap();
    assert_eq!(rows.len(), 10, "streamed");
    let first = past
        .find_page::<Value>(&things, &Query::new().limit(15))
        .unwrap();
    let rest = Query::new().after(first.next.unwrap());
    assert_eq!(past.find::<Value>(&things, &rest).unwrap().len(), 5);
    let one = Query::parse("_id = 't07'").unwrap();
    assert_eq!(past.find::<Value>(&things, &one).unwrap()[0]["n"], 7);
}

fn let_write(db: &Db, peer: PeerId) {
    db.write(|txn| {
        txn.grant(Subject::Peer(peer), Scope::Thread, Role::Read)?;
        txn.grant(Subject::Peer(peer), Scope::Thread, Role::Write)
    })
    .unwrap();
}

/// Ann, who is root, and Bob, who may write.
fn team() -> (Db, Db) {
    let node = || {
        let node = Node::builder(Memory::new()).codec(JsonPatch::new());
        node.policy(Acl::new()).open().unwrap()
    };
    let (ann, bob) = (node(), node());
    let team = ann.create_with("team", Variant::AccessControlled).unwrap();
    team.define(&spec("Thing")).unwrap();
    let_write(&team, bob.peer_id());
    let his = bob.add_thread("team", &team.keys()).unwrap();
    carry(&team, &his);
    (team, his)
}

#[test]
fn a_writer_may_undo_and_what_was_reverted_says_so() {
    let (ann, bob) = team();
    things(&bob).create(&json!({"_id": "a", "n": 1})).unwrap();
    things(&bob).patch("a", &json!({"n": 2})).unwrap();
    bob.undo().unwrap().expect("it needs no say in the rules");
    carry(&bob, &ann);
    assert_eq!(things(&ann).get("a").unwrap().unwrap()["n"], 1);
    let history = ann.history(&things(&ann), "a").unwrap();
    let taken: Vec<_> = history
        .moments
        .iter()
        .map(|moment| moment.takes_back)
        .collect();
    assert_eq!(taken, [None, None, Some(history.moments[1].record)]);

    things(&bob).patch("a", &json!({"n": 3})).unwrap();
    let shown = Point::Position(position(&bob));
    let peer = Subject::Peer(bob.node().peer_id());
    ann.write(|txn| txn.revoke(peer, Scope::Thread, Role::Write))
        .unwrap();
    let by = ann.log(Some(1)).unwrap()[0].record;
    carry(&ann, &bob);
    carry(&bob, &ann);
    let (his, hers) = (
        bob.history(&things(&bob), "a").unwrap(),
        ann.history(&things(&ann), "a").unwrap(),
    );
    assert_eq!(his.moments[3].fate, Fate::Reverted(Some(by)), "{his:#?}");
    assert!(
        matches!(hers.moments[3].fate, Fate::Quarantined(_)),
        "{hers:#?}"
    );
    assert!(hers.moments[3].edits.is_empty());
    // No past has it, but for what the node showed.
    let everything = now(&bob);
    for point in [&everything, &Point::Now] {
        let was: Value = bob
            .as_of(point)
            .unwrap()
            .get(&things(&bob), "a")
            .unwrap()
            .unwrap();
        assert_eq!(was["n"], 1);
    }
    let was: Value = bob
        .as_of(&shown)
        .unwrap()
        .get(&things(&bob), "a")
        .unwrap()
        .unwrap();
    assert_eq!(was["n"], 3);
    let blame = ann
        .blame_field(&things(&ann), "a", &"n".parse().unwrap())
        .unwrap();
    assert_eq!(blame.record, hers.moments[2].record);
    let refused = bob.undo().unwrap_err();
    assert_eq!(
        refused.kind(),
        ErrorKind::Rejected,
        "he may not write any more"
    );
    assert_eq!(things(&bob).get("a").unwrap().unwrap()["n"], 1);
}

/// What two adopt from one record counts once, in every past that has both.
#[test]
fn what_is_adopted_twice_counts_once() {
    let (ann, bob) = team();
    let dan = Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .policy(Acl::new());
    let dan = dan.open().unwrap();
    let_write(&ann, dan.peer_id());
    things(&ann)
        .create(&json!({"_id": "a", "list": [7, 8, 9]}))
        .unwrap();
    let dan = dan.add_thread("team", &ann.keys()).unwrap();
    carry(&ann, &dan);
    carry(&ann, &bob);
    let more = json!([{"op": "add", "path": "/list/0", "value": 1}]);
    things(&bob).apply_patch("a", &more).unwrap();
    let record = bob.log(Some(1)).unwrap()[0].record;
    let peer = Subject::Peer(bob.node().peer_id());
    ann.write(|txn| txn.revoke(peer, Scope::Thread, Role::Write))
        .unwrap();
    carry(&ann, &dan);
    carry(&bob, &ann);
    carry(&bob, &dan);
    for db in [&ann, &dan] {
        db.write(|txn| txn.adopt(&record)).unwrap();
    }
    let by_ann = now(&ann);
    carry(&dan, &ann);
    let moments = ann.history(&things(&ann), "a").unwrap().moments;
    let count = |fate: &Fate| moments.iter().filter(|moment| moment.fate == *fate).count();
    assert_eq!(
        (count(&Fate::Applied), count(&Fate::Repeated)),
        (2, 1),
        "{moments:#?}"
    );
    for point in [&by_ann, &now(&ann), &Point::Now] {
        let was: Value = ann
            .as_of(point)
            .unwrap()
            .get(&things(&ann), "a")
            .unwrap()
            .unwrap();
        assert_eq!(was["list"], json!([1, 7, 8, 9]));
    }
    let blame = ann
        .blame_field(&things(&ann), "a", &"list".parse().unwrap())
        .unwrap();
    let first = moments
        .iter()
        .rfind(|moment| moment.fate == Fate::Applied)
        .unwrap();
    assert_eq!(blame.record, first.record);
}

/// A backup is put back and written to: the branches of a log are apart, and so are their pasts.
#[test]
fn each_branch_of_a_forked_log_has_a_past_of_its_own() {
    let store = Arc::new(Memory::new());
    let open = |store: Arc<Memory>| Node::builder(store).codec(JsonPatch::new()).open().unwrap();
    let one = open(Arc::clone(&store)).create("forked").unwrap();
    one.define(&spec("Thing")).unwrap();
    things(&one).create(&json!({"_id": "a", "n": 1})).unwrap();
    let backup = Arc::new(store.fork());
    things(&one).patch("a", &json!({"n": 2})).unwrap();
    let other = open(backup).open("forked").unwrap();
    things(&other).patch("a", &json!({"m": 3})).unwrap();
    things(&other).create(&json!({"_id": "b"})).unwrap();

    let reader = open(Arc::new(Memory::new()))
        .add_thread("forked", &one.keys())
        .unwrap();
    carry(&one, &reader);
    carry(&other, &reader);
    assert_eq!(reader.forks().unwrap().len(), 1);
    for branch in [&one, &other] {
        let point = now(branch);
        let there: Vec<Value> = things(branch).find(&Query::new()).unwrap();
        let past = reader.as_of(&point).unwrap();
        assert_eq!(
            past.find::<Value>(&things(&reader), &Query::new()).unwrap(),
            there
        );
    }
    let both = Point::Records([now(&one), now(&other)].iter().flat_map(heads_of).collect());
    let past = reader.as_of(&both).unwrap();
    let all: Vec<Value> = past.find(&things(&reader), &Query::new()).unwrap();
    assert_eq!(all, things(&reader).find(&Query::new()).unwrap());
    assert_eq!(all.len(), 2);
}

fn heads_of(point: &Point) -> Vec<threads_core::Cid> {
    match point {
        Point::Records(heads) => heads.clone(),
        _ => Vec::new(),
    }
}

#[test]
fn what_was_purged_is_in_no_past() {
    let (db, things) = alone();
    things.create(&json!({"_id": "a", "n": 1})).unwrap();
    things.create(&json!({"_id": "b", "n": 1})).unwrap();
    things.patch("a", &json!({"n": 2})).unwrap();
    let before = now(&db);
    let name = ("Thing".parse().unwrap(), "a".parse().unwrap());
    db.purge([name]).unwrap();
    let past = db.as_of(&before).unwrap();
    assert!(!past.has(&things, "a").unwrap());
    assert_eq!(past.count(&things, &Query::new()).unwrap(), 1);
    let history = db.history(&things, "a").unwrap();
    assert!(history.purged && history.moments.iter().all(|moment| moment.edits.is_empty()));
    assert_eq!(
        things.revert("a", &before).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    // The transactions that are gone are passed over.
    let next = db.next_undo().unwrap().unwrap();
    assert!(next.entities.iter().all(|entity| entity.edits.is_empty()));
}

#[test]
fn without_the_codec_nothing_is_seen_to_differ() {
    let (db, things) = alone();
    things.create(&json!({"_id": "a", "n": 1})).unwrap();
    let without = Node::builder(Memory::new()).open().unwrap();
    let copy = without.add_thread("alone", &db.keys()).unwrap();
    carry(&db, &copy);
    assert!(copy.collection("Thing").is_err(), "it cannot be read there");
    let differs = copy.diff(&Point::Records(Vec::new()), &Point::Now, &DiffScope::Thread);
    assert!(differs.unwrap().is_empty());
}

#[test]
fn events_without_effect_say_why() {
    let mut lab = Lab::new(&super::jsonpatch_kit());
    // What the second one writes is later.
    lab.step(&Step::Clock {
        writer: 1,
        ms: 1_000,
    });
    let [one, two, _] = &lab.writers[..] else {
        panic!("three writers");
    };
    one.things
        .create(&json!({"_id": "e0", "list": [1]}))
        .unwrap();
    carry(&one.db, &two.db);
    one.things
        .create(&json!({"_id": "e1", "list": [1, 2]}))
        .unwrap();
    carry(&one.db, &two.db);
    // Two does not know that one is gone, and of the other the list.
    one.things.delete("e0").unwrap();
    one.things.patch("e1", &json!({"list": 7})).unwrap();
    two.things.patch("e0", &json!({"n": 1})).unwrap();
    let remove = json!([{"op": "remove", "path": "/list/1"}]);
    two.things.apply_patch("e1", &remove).unwrap();
    carry(&two.db, &one.db);
    for (id, last) in [("e0", Fate::AfterDelete), ("e1", Fate::Unchanged)] {
        let moments = one.db.history(&one.things, id).unwrap().moments;
        let fates: Vec<_> = moments.iter().map(|moment| moment.fate.clone()).collect();
        assert_eq!(fates, [Fate::Applied, Fate::Applied, last]);
        assert!(moments[2].edits.is_empty());
    }
}

/// Replaces whole entities, and refuses to count down.
#[derive(Debug)]
struct Rising;

fn count(state: &[u8]) -> Option<i64> {
    serde_json::from_slice::<Value>(state).ok()?["n"].as_i64()
}

impl EventCodec for Rising {
    fn id(&self) -> CodecId {
        "rising/1".parse().unwrap()
    }

    fn ordering(&self) -> Ordering {
        Ordering::Total
    }

    fn encode(&self, _: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        match action {
            Action::Create(value) | Action::Save(value) => Ok(Some(
                serde_json::to_vec(&serde_json::to_value(value).unwrap()).unwrap(),
            )),
            _ => Err(Error::unsupported("save it whole")),
        }
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        let falls = before.is_some_and(|before| count(event) < count(before.as_bytes()));
        match falls {
            true => Err(Error::rejected("it counts down")),
            false => Ok(EntityState::new(event)),
        }
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(state.as_bytes()))
    }
}

#[test]
fn an_event_that_its_codec_refuses_says_so() {
    let mut lab = Lab::new(&Kit {
        codec: "rising/1",
        equip: |node| node.codec(Rising),
        merges: false,
    });
    lab.step(&Step::Clock {
        writer: 1,
        ms: 1_000,
    });
    let [one, two, _] = &lab.writers[..] else {
        panic!("three writers");
    };
    one.things.create(&json!({"_id": "e0", "n": 1})).unwrap();
    carry(&one.db, &two.db);
    one.things.save(&json!({"_id": "e0", "n": 5})).unwrap();
    two.things.save(&json!({"_id": "e0", "n": 3})).unwrap();
    carry(&two.db, &one.db);
    let history = one.db.history(&one.things, "e0").unwrap();
    let Fate::Refused(why) = &history.moments[2].fate else {
        panic!("{history:#?}");
    };
    assert!(why.contains("counts down"), "{why}");
    let blame = one
        .db
        .blame_field(&one.things, "e0", &"n".parse().unwrap())
        .unwrap();
    assert_eq!(blame.author, Some(one.db.node().peer_id()));
}
