//! Versions side by side on one thread, and queries through a lens.

use serde_json::{Value, json};
use threads_core::access::{Role, Scope, Subject};
use threads_core::module::{
    AclTemplate, CollectionSpec, IndexSpec, Module, ModuleCollection, Step, Version,
};
use threads_core::{ErrorKind, Result, Variant};
use threads_db::query::{Filter, Query, field};
use threads_db::{
    ChangeFilter, Collection, InstalledModule, LiveChange, LiveUpdate, Notice, Point,
};

use super::{PEOPLE, People, hand_over, installed, new, node, old};

#[test]
fn old_and_new_work_on_one_thread_at_the_same_time() {
    let (ann, bob, eve) = (node(), node(), node());
    let hers = ann.create("t").unwrap();
    old(&hers)
        .create(&json!({"_id": "p", "name": "Pat", "adult": false, "email": "p@x"}))
        .unwrap();
    let his = bob.add_thread("t", &hers.keys()).unwrap();
    let third = eve.add_thread("t", &hers.keys()).unwrap();
    hand_over(&hers, &bob);

    // Apart: the old one changes what it knows, the new one what it knows.
    let (older, newer) = (old(&hers), new(&his));
    assert_eq!(
        newer.get("p").unwrap().unwrap(),
        json!({"_id": "p", "fullName": "Pat", "stage": "child", "emails": ["p@x"], "tags": []})
    );
    newer
        .save(&json!({"_id": "p", "fullName": "Pat", "stage": "teen", "emails": ["p@x", "p@y"], "tags": ["new"]}))
        .unwrap();
    older.patch("p", &json!({"name": "Patricia"})).unwrap();
    older
        .create(&json!({"_id": "q", "name": "Quin", "adult": true, "fax": "7"}))
        .unwrap();
    newer
        .create(&json!({"_id": "r", "fullName": "Rob", "stage": "adult", "emails": [], "tags": []}))
        .unwrap();
    hand_over(&his, &ann);
    hand_over(&hers, &bob);
    // One that knows neither changes what is stored, and everybody is level.
    hand_over(&hers, &eve);
    let plain = third.collection("Person").unwrap();
    plain.patch("q", &json!({"email": "q@x"})).unwrap();
    hand_over(&third, &ann);
    hand_over(&third, &bob);

    let seen = |people: &Collection<Value>, id: &str| people.get(id).unwrap().unwrap();
    for db in [&hers, &his, &third] {
        let (older, newer) = (old(db), new(db));
        assert_eq!(
            seen(&newer, "p"),
            json!({"_id": "p", "fullName": "Patricia", "stage": "teen", "emails": ["p@x", "p@y"], "tags": ["new"]})
        );
        assert_eq!(
            seen(&older, "p"),
            json!({"_id": "p", "name": "Patricia", "adult": false, "email": "p@x"})
        );
        assert_eq!(seen(&newer, "q")["emails"], json!(["q@x"]));
        assert_eq!(seen(&older, "q")["fax"], "7");
        assert_eq!(
            seen(&older, "r"),
            json!({"_id": "r", "name": "Rob", "adult": true, "fax": "none"})
        );
        assert!(db.verify(&mut |_| ()).unwrap().is_clean());
        assert!(db.install(&PEOPLE).unwrap().breaches().unwrap().is_empty());
    }
    assert_eq!(third.modules().unwrap()[0].versions, [1, 2]);
}

#[test]
fn what_an_old_version_does_not_know_is_kept_through_all_it_does() {
    let people = installed();
    let (older, newer) = (old(people.db()), new(people.db()));
    let phones = json!([{"number": "1", "kind": "home"}, {"number": "2", "kind": "work"}]);
    newer
        .create(&json!({"_id": "p", "fullName": "Pat", "stage": "teen", "emails": ["a", "b"], "tags": ["x"], "phones": phones}))
        .unwrap();
    let mut seen = older.get("p").unwrap().unwrap();
    assert_eq!(seen["phones"], json!([{"number": "1"}, {"number": "2"}]));
    seen["name"] = "Patricia".into();
    seen["phones"] = json!([{"number": "0"}, {"number": "1"}, {"number": "3"}]);
    older.save(&seen).unwrap();
    older.patch("p", &json!({"email": "c"})).unwrap();
    let operations = json!([{"op": "remove", "path": "/phones/1"}, {"op": "test", "path": "/name", "value": "Patricia"}]);
    older.apply_patch("p", &operations).unwrap();
    let now = newer.get("p").unwrap().unwrap();
    assert_eq!(now["fullName"], "Patricia");
    assert_eq!(
        (&now["stage"], &now["tags"]),
        (&json!("teen"), &json!(["x"]))
    );
    assert_eq!(now["emails"], json!(["c", "b"]));
    // Between what did not change, the place decides.
    assert_eq!(now["phones"][1], json!({"number": "3"}));
    // The old one says something that no longer is "teen".
    older.patch("p", &json!({"adult": true})).unwrap();
    assert_eq!(newer.get("p").unwrap().unwrap()["stage"], "adult");
    let wrong = json!([{"op": "test", "path": "/name", "value": "Rob"}]);
    let refused = older.apply_patch("p", &wrong).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[test]
fn what_breaks_a_version_is_refused_here_and_reported_from_elsewhere() {
    let people = installed();
    let newer = people.collection("Person").unwrap();
    let good = json!({"_id": "p", "fullName": "Pat", "stage": "teen", "emails": [], "tags": []});
    newer.create(&good).unwrap();
    for (wrong, said) in [
        (json!({"fullName": ""}), "a name is not blank"),
        (json!({"fullName": 7}), "/fullName"),
        (json!({"name": "Pat"}), "no such member"),
        (json!({"stage": "old"}), "no value for this one"),
        (json!({"emails": [null]}), "without null"),
        (json!({"_id": "q"}), "keeps its _id"),
    ] {
        let mut value = good.clone();
        value
            .as_object_mut()
            .unwrap()
            .extend(wrong.as_object().unwrap().clone());
        let error = newer.patch("p", &wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}: {error}");
        assert!(error.to_string().contains(said), "{wrong}: {error}");
        if said != "keeps its _id" {
            assert!(newer.save(&value).is_err(), "{wrong}");
            value["_id"] = "other".into();
            assert!(newer.create(&value).is_err(), "{wrong}");
        }
    }
    assert_eq!(newer.get("p").unwrap().unwrap(), good);
    assert_eq!(
        newer.patch("q", &json!({})).unwrap_err().kind(),
        ErrorKind::NotFound
    );

    let plain = people.db().collection("Person").unwrap();
    plain
        .patch("p", &json!({"name": "", "adult": "perhaps"}))
        .unwrap();
    let breaches = people.breaches().unwrap();
    assert_eq!((breaches.len(), breaches[0].entity.as_str()), (1, "p"));
    assert!(breaches[0].what.contains("/stage"), "{}", breaches[0].what);
}

/// People of both versions.
fn crowd() -> InstalledModule {
    let people = installed();
    let (older, newer) = (old(people.db()), new(people.db()));
    for n in 0..20 {
        let (id, name) = (format!("{n:02}"), format!("n{}", n % 7));
        let mut person = json!({"_id": id, "name": name, "adult": n % 3 == 0});
        if n % 4 == 0 {
            person["email"] = format!("e{n}").into();
        }
        older.create(&person).unwrap();
        if n % 5 == 0 {
            newer.patch(&id, &json!({"tags": ["five", name]})).unwrap();
        }
    }
    people
}

const FILTERS: [&str; 18] = [
    "fullName = 'n3'",
    "fullName > 'n3' and tags = 'five'",
    "not (tags = 'five')",
    "tags exists",
    "tags = 'n1' or stage = 'adult'",
    "stage in ['adult', 'teen']",
    "emails = 'e4'",
    "emails exists",
    "name = 'n3'",
    "name not exists",
    "adult = true",
    "tags = []",
    "tags != []",
    "not (name = 'n3') and fullName starts_with 'n'",
    "fullName = 'n1' and not (stage = 'adult')",
    "_id = '03' or _id = '04'",
    "tags = ['five', 'n1']",
    "not (fullName = 'n1' or stage = 'child')",
];

fn rows(people: &Collection<Value>, query: &Query) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut each = |row| {
        rows.push(row);
        Ok(true)
    };
    people.for_each(query, &mut each).unwrap();
    rows
}

/// Every query finds through the lens what it finds among the entities as they are seen.
#[test]
fn queries_find_what_the_version_sees() {
    let people = crowd();
    for people in [old(people.db()), new(people.db())] {
        let all = rows(&people, &Query::new());
        assert_eq!(all.len(), 20);
        for filter in FILTERS {
            let wanted = Filter::parse(filter).unwrap();
            let wanted = all.iter().filter(|row| wanted.matches(row));
            let wanted: Vec<_> = wanted.cloned().collect();
            let query = Query::parse(filter).unwrap();
            assert_eq!(people.find(&query).unwrap(), wanted, "{filter}");
            let count = people.count(&query).unwrap();
            assert_eq!(count, wanted.len() as u64, "{filter}");
            let later = wanted.get(1..).unwrap_or_default();
            assert_eq!(rows(&people, &query.clone().skip(1)), later, "{filter}");
        }
    }
}

/// What a version does not see of an object makes no difference to whether it is the one that is looked for.
#[test]
fn a_query_by_a_whole_object_finds_what_the_version_sees() {
    let people = installed();
    let (older, newer) = (old(people.db()), new(people.db()));
    let phones = json!([{"number": "1", "kind": "home"}]);
    newer
        .create(&json!({"fullName": "Pat", "stage": "teen", "emails": [], "tags": [], "phones": phones}))
        .unwrap();
    let phones = Query::new().filter(field("phones").eq(json!([{"number": "1"}])));
    assert_eq!(older.count(&phones).unwrap(), 1);
    assert_eq!(newer.count(&phones).unwrap(), 0);
}

#[test]
fn names_that_were_changed_find_the_index_all_the_same() {
    let people = crowd();
    let (older, newer) = (old(people.db()), new(people.db()));
    let explained = |people: &Collection<Value>, filter: &str| {
        let query = Query::parse(filter).unwrap();
        people.explain(&query).unwrap().to_string()
    };
    let both = "fullName = 'n3' and stage = 'adult'";
    assert!(explained(&newer, both).starts_with("index name"));
    assert!(explained(&older, "name = 'n3'").starts_with("index name"));
    assert!(explained(&newer, "tags = 'five'").starts_with("index tags"));
    assert!(explained(&newer, "tags = []").starts_with("scan"));
    // Pages, orders and fields are those of the version.
    let query = Query::new().sort_desc("stage").sort("fullName");
    let query = query.limit(3).fields(["stage"]);
    let page = newer.find_page(&query).unwrap();
    assert_eq!(page.rows[0], json!({"_id": "07", "stage": "child"}));
    let next = newer.find_page(&query.after(page.next.unwrap())).unwrap();
    assert_eq!(next.rows.len(), 3);
    assert!(people.collection("Pet").is_err());
}

#[test]
fn the_past_and_changes_are_seen_by_the_version_too() {
    let people = installed();
    let (older, newer) = (old(people.db()), new(people.db()));
    let mut listener = people.db().listen(ChangeFilter::all()).unwrap();
    older
        .create(&json!({"_id": "p", "name": "Pat", "adult": true}))
        .unwrap();
    let then = Point::Records(people.db().heads().unwrap());
    newer
        .patch("p", &json!({"stage": "teen", "tags": ["x"]}))
        .unwrap();

    let past = people.db().as_of(&then).unwrap();
    let was = json!({"_id": "p", "fullName": "Pat", "stage": "adult", "emails": [], "tags": []});
    assert_eq!(past.get(&newer, "p").unwrap().unwrap(), was);
    let adults = Query::parse("stage = 'adult' and tags = []").unwrap();
    assert_eq!(
        past.find(&newer, &adults).unwrap(),
        std::slice::from_ref(&was)
    );
    assert_eq!(
        past.find(&older, &Query::parse("adult = true").unwrap())
            .unwrap()
            .len(),
        1
    );
    let Some(Notice::Change(change)) = listener.try_next().unwrap() else {
        panic!("a change was not told");
    };
    assert_eq!(newer.seen(&change.after.unwrap()).unwrap(), was);
    // Undone is what was stored, of every version.
    people
        .db()
        .write(|txn| txn.revert(&newer, "p", &then))
        .unwrap();
    assert_eq!(newer.get("p").unwrap().unwrap(), was);
}

#[test]
fn a_live_query_shows_what_the_version_sees() {
    let people = installed();
    let (older, newer) = (old(people.db()), new(people.db()));
    let query = Query::parse("stage = 'adult'").unwrap().sort("fullName");
    let mut live = newer.watch(&query).unwrap();
    live.try_next().unwrap();
    older
        .create(&json!({"_id": "p", "name": "Pat", "adult": false}))
        .unwrap();
    assert!(live.try_next().unwrap().is_none(), "a child");
    older.patch("p", &json!({"adult": true})).unwrap();
    let Some(LiveUpdate::Changes(changes)) = live.try_next().unwrap() else {
        panic!("nothing was told");
    };
    let shown = json!({"_id": "p", "fullName": "Pat", "stage": "adult", "emails": [], "tags": []});
    assert!(
        matches!(&changes[..], [LiveChange::Added { row, .. }] if *row == shown),
        "{changes:?}"
    );
}

#[test]
fn a_published_version_never_changes_and_names_belong_to_one_module() {
    #[derive(Debug)]
    struct Changed;
    impl Module for Changed {
        fn id(&self) -> &str {
            PEOPLE.id
        }
        fn versions(&self) -> Result<Vec<Version>> {
            let schema = json!({"properties": {"name": {"type": "number"}}});
            Ok(vec![Version::new().with(ModuleCollection::new(
                "Person",
                "jsonpatch/1",
                schema,
            )?)])
        }
        fn acl_template(&self) -> Result<Option<AclTemplate>> {
            Ok(None)
        }
        fn vectors(&self) -> Option<&str> {
            None
        }
    }
    let people = installed();
    let db = people.db();
    let records = db.log(None).unwrap().len();
    let error = db.install(&Changed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("never changes"), "{error}");
    let other = People {
        id: "org.example.others",
        ..PEOPLE
    };
    let error = db.install(&other).unwrap_err();
    assert!(
        error.to_string().contains("belongs to another module"),
        "{error}"
    );
    // Again changes nothing.
    db.install(&PEOPLE).unwrap();
    db.install_version(&PEOPLE, 1).unwrap();
    assert_eq!(db.log(None).unwrap().len(), records);

    let plain = node().create("t").unwrap();
    let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    plain
        .define(&spec.clone().with_schema(json!({"maxProperties": 2})))
        .unwrap();
    let error = plain.install(&PEOPLE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    plain.define(&spec.with_schema(json!(true))).unwrap();
    assert!(plain.install(&PEOPLE).is_ok());
}

#[test]
fn the_template_holds_in_a_new_thread_with_rules() {
    let (ann, bob) = (node(), node());
    let people = ann
        .create_with_module(
            "t",
            Variant::AccessControlled,
            &People { known: 1, ..PEOPLE },
        )
        .unwrap();
    let hers = people.db();
    let collection = people.collection("Person").unwrap();
    collection
        .create(&json!({"_id": "root", "name": "R", "adult": true}))
        .unwrap();
    let his = bob.add_thread("t", &hers.keys()).unwrap();
    hand_over(hers, &bob);
    let roles = his.roles(&bob.peer_id(), &Scope::Thread).unwrap().unwrap();
    assert!(roles.contains(&Role::Write), "{roles:?}");
    // He may write, and not change what there is: a later version works all the same.
    let newer = his.install(&PEOPLE).unwrap();
    assert!(!newer.is_recorded());
    let newer = newer.collection("Person").unwrap();
    newer
        .create(
            &json!({"_id": "p", "fullName": "Pat", "stage": "teen", "emails": [], "tags": ["x"]}),
        )
        .unwrap();
    let refused = newer
        .patch("root", &json!({"fullName": "Mine"}))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    hand_over(&his, &ann);
    assert_eq!(collection.get("p").unwrap().unwrap()["name"], "Pat");
    assert_eq!(hers.modules().unwrap()[0].versions, [1]);
    // Without rules nothing is stated.
    let raw = ann
        .create_with_module("raw", Variant::Raw, &PEOPLE)
        .unwrap();
    assert!(raw.db().rules().unwrap().is_none());
    let subject = Subject::Everybody;
    let revoked = hers.write(|txn| txn.revoke(subject, Scope::Thread, Role::Write));
    assert!(revoked.is_ok());
}

/// Two versions of accounts, whose addresses are unique by whatever name.
#[derive(Debug)]
struct Accounts;

impl Module for Accounts {
    fn id(&self) -> &str {
        "org.example.accounts"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let account = |name: &str| -> Result<ModuleCollection> {
            let schema = json!({"properties": {name: {"type": "string"}}});
            let index = IndexSpec::on(name.parse()?).unique();
            Ok(ModuleCollection::new("Account", "jsonpatch/1", schema)?.with_index(index))
        };
        let later = account("address")?.with_step(Step::rename("mail", "address")?);
        let versions = [account("mail")?, later];
        Ok(versions.map(|account| Version::new().with(account)).into())
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(None)
    }

    fn vectors(&self) -> Option<&str> {
        None
    }
}

#[test]
fn what_a_module_wants_unique_is_so_for_every_version() {
    let db = node().create("t").unwrap();
    let version = |number| {
        let accounts = db.install_version(&Accounts, number).unwrap();
        accounts.collection("Account").unwrap()
    };
    let (older, newer) = (version(1), version(2));
    older.create(&json!({"mail": "a@x"})).unwrap();
    for refused in [
        older.create(&json!({"mail": "a@x"})),
        newer.create(&json!({"address": "a@x"})),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    newer.create(&json!({"address": "b@x"})).unwrap();
}
