//! A thread that was written with version 1 is used by applications of both versions at once, apart
//! and together, and by one that knows neither; all of them converge.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_core::module::{AclTemplate, Module, Version};
use threads_core::{IdentityKey, Result, system_rng};
use threads_db::{Collection, Db, ExportOptions, Node, RestoreOptions};
use threads_module_person::{People, Person, v1};

/// The module as it was when there was one version.
#[derive(Debug)]
struct Yesterday;

impl Module for Yesterday {
    fn id(&self) -> &str {
        "org.threads.person"
    }
    fn versions(&self) -> Result<Vec<Version>> {
        let mut versions = People.versions()?;
        versions.truncate(1);
        Ok(versions)
    }
    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        People.acl_template()
    }
    fn vectors(&self) -> Option<&str> {
        None
    }
}

fn node() -> Node {
    let identity = IdentityKey::generate(&mut system_rng());
    let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
    builder.identity(identity).open().unwrap()
}

fn old(db: &Db) -> Collection<v1::Person> {
    db.install(&Yesterday).unwrap().typed("Person").unwrap()
}

fn new(db: &Db) -> Collection<Person> {
    db.install(&People).unwrap().typed("Person").unwrap()
}

fn plain(db: &Db) -> Collection<Value> {
    db.collection("Person").unwrap()
}

/// Gives each all that the others have.
fn meet(peers: &[(&Node, &Db)]) {
    let dir = tempfile::tempdir().unwrap();
    for (number, (_, db)) in peers.iter().enumerate() {
        let path = dir.path().join(number.to_string());
        let file = std::fs::File::create(&path).unwrap();
        db.export(file, &ExportOptions::default(), &mut |_| ())
            .unwrap();
        for (node, other) in peers {
            if other.node().peer_id() != db.node().peer_id() {
                node.restore(&path, &RestoreOptions::default(), &mut |_| ())
                    .unwrap();
            }
        }
    }
}

#[test]
fn both_versions_and_a_stranger_work_on_old_data_and_converge() {
    let (ann, bob, eve) = (node(), node(), node());
    let hers = ann.create("people").unwrap();
    for n in 0..10 {
        let email = (n % 2 == 0).then(|| format!("p{n}@example.org"));
        let person = v1::Person {
            id: Some(format!("p{n}")),
            age: Some(n),
            email,
            ..v1::Person::named(&format!("First{n}"), "Last")
        };
        old(&hers).create(&person).unwrap();
    }
    let his = bob.add_thread("people", &hers.keys()).unwrap();
    let third = eve.add_thread("people", &hers.keys()).unwrap();
    let peers = [(&ann, &hers), (&bob, &his), (&eve, &third)];
    meet(&peers);

    // Apart, each changes everybody, three times over.
    for round in 0..3 {
        for n in 0..10 {
            let id = format!("p{n}");
            let mut older = old(&hers).get(&id).unwrap().unwrap();
            older.age = older.age.map(|age| age + 1);
            older.last_name = format!("Last{round}");
            old(&hers).save(&older).unwrap();
            let mut newer = new(&his).get(&id).unwrap().unwrap();
            newer.languages.push(format!("l{round}"));
            newer.emails.push(format!("more{round}@example.org"));
            newer.born = Some("1961-02-03".into());
            new(&his).save(&newer).unwrap();
            let nick = json!({"firstName": format!("Nick{n}"), "x-strange": round});
            plain(&third).patch(&id, &nick).unwrap();
        }
        meet(&peers);
    }

    for n in 0..10 {
        let id = format!("p{n}");
        let stored = plain(&hers).get(&id).unwrap().unwrap();
        for (_, db) in &peers {
            assert_eq!(plain(db).get(&id).unwrap().unwrap(), stored, "{id}");
        }
        // Everybody's changes are there, and both see them as their own.
        let (older, newer) = (
            old(&his).get(&id).unwrap().unwrap(),
            new(&hers).get(&id).unwrap().unwrap(),
        );
        assert_eq!(
            (older.first_name, older.age),
            (format!("Nick{n}"), Some(n + 3))
        );
        assert_eq!((&*older.last_name, &*newer.family_name), ("Last2", "Last2"));
        assert_eq!(newer.given_name, format!("Nick{n}"));
        assert_eq!(newer.languages, ["l0", "l1", "l2"]);
        assert_eq!(older.email.as_ref(), newer.emails.first());
        assert_eq!(newer.emails.len(), if n % 2 == 0 { 4 } else { 3 });
        assert_eq!(stored["x-strange"], 2);
    }
    for (_, db) in &peers {
        assert!(db.install(&People).unwrap().breaches().unwrap().is_empty());
        assert!(db.verify(&mut |_| ()).unwrap().is_clean());
    }
}
