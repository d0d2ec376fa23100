//! Who is first, or says otherwise later, in a thread without rules: it is told, by whom, and undone. All peers come to
//! the same, whatever the order.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use threads_codec_automerge::Automerge;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_core::module::{
    AclTemplate, CollectionSpec, IndexSpec, Module, ModuleCollection, Version,
};
use threads_core::{Clock, Error, ErrorKind, ManualClock, Result};
use threads_db::query::Query;
use threads_db::{Db, InstallOptions, ModuleConflictKind, Node};

use super::{PEOPLE, hand_over, new, node, node_at, old};

/// What a stranger publishes under somebody else's id, or about somebody else's collection.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) id: &'static str,
    pub(crate) versions: usize,
    /// Tells one publication under an id from another.
    pub(crate) edition: u32,
}

impl Module for Stranger {
    fn id(&self) -> &str {
        self.id
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let edition = format!("edition {}", self.edition);
        let schema =
            json!({"properties": {"name": {"type": "number"}, "\u{7}": {}, (edition): {}}});
        let person = ModuleCollection::new("Person", "jsonpatch/1", schema)?;
        let version = Version::new().with(person);
        Ok(vec![version; self.versions])
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(None)
    }

    fn vectors(&self) -> Option<&str> {
        None
    }
}

pub(crate) const SAME_ID: Stranger = Stranger {
    id: PEOPLE.id,
    versions: 2,
    edition: 0,
};

pub(crate) const SAME_NAME: Stranger = Stranger {
    id: "org.example.strangers",
    versions: 1,
    edition: 0,
};

fn spec(codec: &str) -> CollectionSpec {
    CollectionSpec::new("Person".parse().unwrap(), codec.parse().unwrap())
}

fn strict() -> CollectionSpec {
    spec("jsonpatch/1").with_schema(json!({"maxProperties": 1}))
}

/// What the third party does before anybody else, or after.
type Attack = (&'static str, fn(&Db) -> Result<()>, ModuleConflictKind);

const ATTACKS: [Attack; 4] = [
    (
        "another codec",
        |db| db.write(|txn| txn.redefine(&spec("lww/1"))),
        ModuleConflictKind::Codec,
    ),
    (
        "a schema",
        |db| db.write(|txn| txn.redefine(&strict())),
        ModuleConflictKind::Schema,
    ),
    (
        "the id and versions",
        |db| db.install(&SAME_ID).map(drop),
        ModuleConflictKind::Version,
    ),
    (
        "the name of a collection",
        |db| db.install(&SAME_NAME).map(drop),
        ModuleConflictKind::Name,
    ),
];

/// Three peers on one thread: who uses the module, who uses it too, and the stranger.
pub(crate) struct Peers {
    pub(crate) nodes: [Node; 3],
    pub(crate) dbs: [Db; 3],
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self::of([node(), node(), node()])
    }

    fn of(nodes: [Node; 3]) -> Self {
        let first = nodes[0].create("t").unwrap();
        let [second, third] =
            [1, 2].map(|n: usize| nodes[n].add_thread("t", &first.keys()).unwrap());
        Self {
            nodes,
            dbs: [first, second, third],
        }
    }

    /// Everybody gets what everybody has, in this order.
    fn meet(&self, order: [(usize, usize); 4]) {
        for (from, to) in order {
            hand_over(&self.dbs[from], &self.nodes[to]);
        }
    }

    fn all_meet(&self) {
        self.meet([(0, 2), (1, 2), (2, 0), (2, 1)]);
    }

    /// What each of them says that is wrong; all alike.
    fn told(&self) -> Vec<(ModuleConflictKind, bool)> {
        let told = |db: &Db| {
            let conflicts = db.module_conflicts(&PEOPLE, &InstallOptions::new());
            conflicts.unwrap()
        };
        let first = told(&self.dbs[0]);
        for db in &self.dbs[1..] {
            assert_eq!(told(db), first);
        }
        first
            .iter()
            .map(|conflict| (conflict.kind, conflict.hinders))
            .collect()
    }
}

pub(crate) fn context(error: &Error, name: &str) -> String {
    let mut context = error.context();
    let found = context.find(|(known, _)| *known == name);
    found.map_or_else(String::new, |(_, value)| value.to_owned())
}

pub(crate) fn pat() -> Value {
    json!({"_id": "p", "fullName": "Pat", "stage": "teen", "emails": ["a"], "tags": ["x"]})
}

#[test]
fn who_is_first_is_told_of_and_keeps_nobody_out() {
    for (what, attack, kind) in ATTACKS {
        let peers = Peers::new();
        attack(&peers.dbs[2]).unwrap_or_else(|error| panic!("{what}: {error}"));
        peers.all_meet();
        let told = peers.told();
        assert!(told.contains(&(kind, true)), "{what}: {told:?}");
        let records = peers.dbs[0].log(None).unwrap().len();
        let error = peers.dbs[0].install(&PEOPLE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{what}: {error}");
        let stranger = peers.nodes[2].peer_id().to_string();
        assert_eq!(context(&error, "written_by"), stranger, "{what}: {error}");
        assert!(!context(&error, "record").is_empty(), "{what}: {error}");
        let there = context(&error, "there");
        assert!(
            !there.is_empty() && !there.contains('\u{7}'),
            "{what}: {there}"
        );
        assert_eq!(
            peers.dbs[0].log(None).unwrap().len(),
            records,
            "{what}: something was written"
        );

        // Under other names, at once and without a word to anybody.
        let mine = InstallOptions::new().prefix("mine-");
        let apart = peers.dbs[0].install_with(&PEOPLE, &mine).unwrap();
        let apart = apart.collection("Person").unwrap();
        apart.create(&pat()).unwrap();
        let conflicts = peers.dbs[0].module_conflicts(&PEOPLE, &mine).unwrap();
        assert!(conflicts.is_empty(), "{what}: {conflicts:?}");

        // Or under its own: from then on nobody keeps others from it.
        let taken = InstallOptions::new().redefine();
        let people = peers.dbs[0].install_with(&PEOPLE, &taken).unwrap();
        assert!(people.is_recorded(), "{what}");
        people.collection("Person").unwrap().create(&pat()).unwrap();
        peers.all_meet();
        let told = peers.told();
        assert!(told.iter().all(|(_, hinders)| !hinders), "{what}: {told:?}");
        for db in &peers.dbs {
            assert_eq!(new(db).get("p").unwrap().unwrap(), pat(), "{what}");
            old(db).patch("p", &json!({"name": "Pat"})).unwrap();
            let there = db.install_with(&PEOPLE, &mine).unwrap();
            let there = there.collection("Person").unwrap();
            assert_eq!(there.get("p").unwrap().unwrap(), pat(), "{what}");
        }
    }
}

#[test]
fn who_says_otherwise_later_damages_nothing_and_is_undone() {
    for (what, attack, kind) in ATTACKS {
        let peers = Peers::new();
        let running = new(&peers.dbs[0]);
        running.create(&pat()).unwrap();
        peers.all_meet();
        if kind == ModuleConflictKind::Version {
            assert!(
                attack(&peers.dbs[2]).is_err(),
                "{what}: the thread knows better"
            );
            let taken = InstallOptions::new().redefine();
            peers.dbs[2].install_with(&SAME_ID, &taken).unwrap();
        } else if kind == ModuleConflictKind::Name {
            let taken = InstallOptions::new().redefine();
            peers.dbs[2].install_with(&SAME_NAME, &taken).unwrap();
        } else {
            attack(&peers.dbs[2]).unwrap();
        }
        peers.all_meet();
        let told = peers.told();
        assert!(
            told.iter().any(|(told, _)| *told == kind),
            "{what}: {told:?}"
        );
        // What is there is read as before.
        for db in &peers.dbs {
            let plain = db.collection("Person").unwrap();
            assert_eq!(
                running.seen(&plain.get("p").unwrap().unwrap()).unwrap(),
                pat()
            );
        }
        assert_eq!(running.get("p").unwrap().unwrap(), pat(), "{what}");
        if matches!(kind, ModuleConflictKind::Version | ModuleConflictKind::Name) {
            // It is on record, so what others record is only told.
            new(&peers.dbs[1]).patch("p", &json!({"tags": []})).unwrap();
            continue;
        }
        // Nothing is stored as somebody else says, not even by who runs since before.
        for refused in [
            running.create(&json!({"_id": "q", "fullName": "Q", "stage": "teen", "emails": [], "tags": []})).unwrap_err(),
            running.save(&pat()).unwrap_err(),
            running.patch("p", &json!({"tags": []})).unwrap_err(),
            running.revert("p", &threads_db::Point::Now).unwrap_err(),
            peers.dbs[1].install(&PEOPLE).unwrap_err(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::Conflict, "{what}: {refused}");
        }
        // Whoever makes it good makes it good for all.
        peers.dbs[1]
            .install_with(&PEOPLE, &InstallOptions::new().redefine())
            .unwrap();
        peers.all_meet();
        assert_eq!(peers.told(), [], "{what}");
        running.patch("p", &json!({"tags": []})).unwrap();
        for db in &peers.dbs {
            assert!(new(db).has("p").unwrap(), "{what}");
            assert!(db.verify(&mut |_| ()).unwrap().is_clean(), "{what}");
        }
    }
}

/// A peer defines the collection otherwise, at the same time and apart: all orders of arrival come to the same.
#[test]
fn what_is_defined_apart_comes_to_the_same_in_every_order() {
    let orders = [
        [(0, 1), (2, 1), (1, 0), (1, 2)],
        [(2, 1), (0, 1), (1, 2), (1, 0)],
        [(2, 0), (0, 1), (0, 2), (1, 2)],
    ];
    for (what, attack, kind) in ATTACKS {
        for order in orders {
            for stranger_first in [false, true] {
                // Of what is said in one millisecond none is later.
                let clock = Arc::new(ManualClock::at(1_000_000_000_000));
                let peers = Peers::of([(); 3].map(|()| node_at(Arc::clone(&clock))));
                let later = || clock.set(clock.now_ms() + 1);
                let mine = || {
                    new(&peers.dbs[0]).create(&pat()).unwrap();
                };
                if stranger_first {
                    attack(&peers.dbs[2]).unwrap();
                    later();
                    mine();
                } else {
                    mine();
                    later();
                    attack(&peers.dbs[2]).unwrap();
                }
                peers.meet(order);
                peers.all_meet();
                let told = peers.told();
                // The later definition counts; of what is recorded all counts.
                let recorded =
                    matches!(kind, ModuleConflictKind::Version | ModuleConflictKind::Name);
                let stands = recorded || !stranger_first;
                assert_eq!(
                    told.iter().any(|(told, _)| *told == kind),
                    stands,
                    "{what} {told:?}"
                );
                if !recorded && stands {
                    let taken = InstallOptions::new().redefine();
                    peers.dbs[1].install_with(&PEOPLE, &taken).unwrap();
                    peers.all_meet();
                }
                for db in &peers.dbs {
                    assert_eq!(new(db).get("p").unwrap().unwrap(), pat(), "{what}");
                    assert!(old(db).get("p").unwrap().is_some(), "{what}");
                }
                new(&peers.dbs[2]).patch("p", &json!({"tags": []})).unwrap();
                peers.all_meet();
                assert_eq!(
                    new(&peers.dbs[0]).get("p").unwrap().unwrap()["tags"],
                    json!([])
                );
            }
        }
    }
}

/// A codec that nobody has and a schema that nobody understands make a collection unusable, until somebody says
/// what it is.
#[test]
fn a_definition_that_nobody_can_use_is_told_and_undone() {
    let peers = Peers::new();
    new(&peers.dbs[0]).create(&pat()).unwrap();
    peers.all_meet();
    let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
    let odd = builder.codec(Automerge::of("odd")).open().unwrap();
    let theirs = odd.add_thread("t", &peers.dbs[0].keys()).unwrap();
    hand_over(&peers.dbs[0], &odd);
    theirs
        .write(|txn| txn.redefine(&spec("automerge/1")))
        .unwrap();
    hand_over(&theirs, &peers.nodes[0]);
    let error = peers.dbs[0].install(&PEOPLE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(context(&error, "written_by"), odd.peer_id().to_string());
    assert!(context(&error, "there").contains("automerge/1"), "{error}");
    let taken = InstallOptions::new().redefine();
    let people = peers.dbs[0].install_with(&PEOPLE, &taken).unwrap();
    assert_eq!(
        people
            .collection("Person")
            .unwrap()
            .get("p")
            .unwrap()
            .unwrap(),
        pat()
    );
    peers.all_meet();
    assert_eq!(new(&peers.dbs[1]).get("p").unwrap().unwrap(), pat());
}

/// A unique index is a promise of everybody: it is refused by name, and dropped.
#[test]
fn an_index_that_a_stranger_made_unique_is_named_and_dropped() {
    let peers = Peers::new();
    let people = new(&peers.dbs[0]);
    people.create(&pat()).unwrap();
    peers.all_meet();
    let index = IndexSpec::on("adult".parse().unwrap()).unique();
    peers.dbs[2]
        .define(&spec("jsonpatch/1").with_index(index))
        .unwrap();
    peers.all_meet();
    let mut other = pat();
    other["_id"] = "q".into();
    let error = people.create(&other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("adult"), "{error}");
    let adult = ["adult".parse().unwrap()];
    peers.dbs[0].drop_index("Person", &adult).unwrap();
    people.create(&other).unwrap();
}

#[test]
fn names_that_no_collection_can_have_are_refused() {
    let db = node().create("t").unwrap();
    for prefix in ["$", "a b", &"x".repeat(64)] {
        let options = InstallOptions::new().prefix(prefix);
        let error = db.install_with(&PEOPLE, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{prefix}: {error}");
    }
    let error = db.install_version(&PEOPLE, 9).unwrap_err();
    assert_eq!(
        (error.kind(), &*context(&error, "last")),
        (ErrorKind::NotFound, "2")
    );
}

/// What a stranger wrote into a collection, against its schema, is named by whoever cannot read it, listed, and goes when
/// it is deleted.
#[test]
fn an_entity_of_another_shape_is_named_and_can_be_deleted() {
    #[derive(Debug, Deserialize)]
    struct Named {
        #[serde(rename = "fullName")]
        full_name: String,
    }
    let peers = Peers::new();
    new(&peers.dbs[0]).create(&pat()).unwrap();
    peers.all_meet();
    let plain = peers.dbs[2].collection("Person").unwrap();
    plain.create(&json!({"_id": "bad", "name": 7})).unwrap();
    peers.all_meet();
    let people = peers.dbs[0].install(&PEOPLE).unwrap();
    let typed = people.typed::<Named>("Person").unwrap();
    let all = Query::new();
    let error = typed.find(&all).unwrap_err();
    assert_eq!(context(&error, "_id"), "bad", "{error}");
    assert_eq!(people.breaches().unwrap()[0].entity.as_str(), "bad");
    assert_eq!(
        people
            .collection("Person")
            .unwrap()
            .find(&all)
            .unwrap()
            .len(),
        2
    );
    typed.delete("bad").unwrap();
    assert_eq!(typed.find(&all).unwrap()[0].full_name, "Pat");
}
