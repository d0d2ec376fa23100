//! Lenses keep what versions do not know, show what was saved, and refuse what does not fit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use threads_core::module::{AclTemplate, IndexSpec};
use threads_core::module::{
    DEFINITION_BYTES_MAX, Lens, MAP_VALUES_MAX, Manifest, Module, ModuleCollection,
    STEP_LEVELS_MAX, STEP_VALUE_BYTES_MAX, STEPS_MAX, Step, StoredAt, VERSIONS_MAX, Version,
};
use threads_core::{ErrorKind, Result};

/// Four versions with every kind of step, also of what other steps made.
fn versions() -> Vec<(Value, Vec<Step>)> {
    let listed = |members: Value| json!({"type": "object", "properties": members});
    let address = |members: Value| json!({"anyOf": [listed(members), {"type": "null"}]});
    let stages = [
        (json!(true), json!("adult")),
        (json!(false), json!("child")),
        (json!(false), json!("teen")),
        (json!(true), json!("old")),
    ];
    let phases = [
        (json!("adult"), json!(2)),
        (json!("child"), json!(0)),
        (json!("teen"), json!(1)),
        (json!("child"), json!(-1)),
    ];
    vec![
        (
            listed(
                json!({"name": {}, "adult": {}, "email": {}, "fax": {}, "address": address(json!({"city": {}, "zip": {}}))}),
            ),
            vec![],
        ),
        (
            listed(
                json!({"fullName": {}, "stage": {}, "emails": {"items": {}}, "home": address(json!({"city": {}, "zip": {}, "floor": {}})), "tags": {}}),
            ),
            vec![
                Step::rename("name", "fullName").unwrap(),
                Step::map("adult", "stage", stages).unwrap(),
                Step::wrap("email", "emails").unwrap(),
                Step::rename("address", "home").unwrap(),
                Step::add_with("home.floor", json!(0)).unwrap(),
                Step::add_with("tags", json!([])).unwrap(),
                Step::remove_with("fax", json!("none")).unwrap(),
            ],
        ),
        (
            listed(
                json!({"fullName": {}, "phase": {}, "contacts": {"items": {}}, "place": address(json!({"town": {}, "floor": {}})), "tags": {}, "nick": {}}),
            ),
            vec![
                Step::map("stage", "phase", phases).unwrap(),
                Step::rename("emails", "contacts").unwrap(),
                Step::rename("home", "place").unwrap(),
                Step::rename("place.city", "place.town").unwrap(),
                Step::remove_with("place.zip", json!("?")).unwrap(),
                Step::add("nick").unwrap(),
            ],
        ),
        (
            listed(
                json!({"fullName": {}, "phase": {}, "place": address(json!({"town": {}, "floor": {}})), "label": {}, "nicks": {"items": {}}, "town": {}}),
            ),
            vec![
                Step::remove("contacts").unwrap(),
                Step::rename("tags", "label").unwrap(),
                Step::wrap("nick", "nicks").unwrap(),
                Step::add("town").unwrap(),
            ],
        ),
    ]
}

fn lenses() -> Vec<Lens> {
    let versions = versions();
    let chain: Vec<_> = versions
        .iter()
        .map(|(schema, steps)| (schema, &steps[..]))
        .collect();
    (1..=chain.len())
        .map(|last| Lens::of(&chain[..last]).unwrap())
        .collect()
}

fn word() -> impl Strategy<Value = Value> {
    "[ab]{1,2}".prop_map(Value::from)
}

fn place(members: &'static [&'static str]) -> impl Strategy<Value = Option<Value>> {
    let place = vec(option::of(word()), members.len()).prop_map(move |values| {
        let values = members
            .iter()
            .zip(values)
            .filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        Value::Object(values.collect())
    });
    option::of(prop_oneof![3 => place, 1 => Just(Value::Null)])
}

fn words() -> impl Strategy<Value = Value> {
    vec(word(), 0..3).prop_map(Value::from)
}

/// What an application of a version saves: its index, and an entity.
fn saved() -> impl Strategy<Value = (usize, Value)> {
    prop_oneof![
        one().prop_map(|entity| (0, entity)),
        two().prop_map(|entity| (1, entity)),
        three().prop_map(|entity| (2, entity)),
        four().prop_map(|entity| (3, entity)),
    ]
}

fn one() -> impl Strategy<Value = Value> {
    let address = place(&["city", "zip"]);
    let (email, fax) = (option::of(word()), option::of(word()));
    let members = (word(), any::<bool>(), email, fax, address);
    members.prop_map(|(name, adult, email, fax, address)| {
        entity([
            ("name", Some(name)),
            ("adult", Some(adult.into())),
            ("email", email),
            ("fax", fax),
            ("address", address),
        ])
    })
}

fn two() -> impl Strategy<Value = Value> {
    let stage = prop::sample::select(vec!["adult", "child", "teen", "old"]);
    let home = place(&["city", "zip", "floor"]);
    let members = (word(), stage, words(), home, words());
    members.prop_map(|(name, stage, emails, home, tags)| {
        entity([
            ("fullName", Some(name)),
            ("stage", Some(stage.into())),
            ("emails", Some(emails)),
            ("home", home),
            ("tags", Some(tags)),
        ])
    })
}

fn phase() -> impl Strategy<Value = i32> {
    prop::sample::select(vec![2, 1, 0, -1])
}

fn three() -> impl Strategy<Value = Value> {
    let home = place(&["town", "floor"]);
    let members = (word(), phase(), words(), home, option::of(word()));
    members.prop_map(|(name, phase, contacts, home, nick)| {
        entity([
            ("fullName", Some(name)),
            ("phase", Some(phase.into())),
            ("contacts", Some(contacts)),
            ("place", home),
            ("nick", nick),
            ("tags", Some(json!(["t"]))),
        ])
    })
}

fn four() -> impl Strategy<Value = Value> {
    let (name, town) = (option::of(word()), option::of(word()));
    let members = (name, phase(), words(), place(&["town"]), town);
    members.prop_map(|(name, phase, nicks, home, town)| {
        entity([
            ("fullName", name),
            ("phase", Some(phase.into())),
            ("nicks", Some(nicks)),
            ("place", home),
            ("town", town),
            ("label", Some(json!([]))),
        ])
    })
}

fn entity<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let mut members: Map<_, _> = members.collect();
    members.insert("_id".into(), "p".into());
    Value::Object(members)
}

/// With what a version shows where nothing was said.
fn filled(version: usize, mut saved: Value) -> Value {
    let place = ["address", "home", "place", "place"][version];
    if version > 0
        && let Some(place) = saved.get_mut(place).and_then(Value::as_object_mut)
    {
        place.entry("floor").or_insert(0.into());
    }
    saved
}

proptest! {
    #[test]
    fn a_version_sees_what_it_saved_and_keeps_what_it_does_not_know(saves in vec(saved(), 1..6), stranger in word()) {
        let lenses = lenses();
        let mut stored: Option<Value> = None;
        for (version, value) in saves {
            let lens = &lenses[version];
            let mut next = lens.put(stored.as_ref(), &value).unwrap();
            prop_assert_eq!(lens.get(&next), filled(version, value.clone()), "{} {}", version + 1, next);
            // A version of tomorrow has members here too.
            next["tomorrow"] = stranger.clone();
            for (number, lens) in lenses.iter().enumerate() {
                let seen = lens.get(&next);
                prop_assert_eq!(&seen["_id"], "p");
                prop_assert!(seen.get("tomorrow").is_none());
                prop_assert_eq!(&lens.put(Some(&next), &seen).unwrap(), &next, "{} saved what it saw", number + 1);
            }
            stored = Some(next);
        }
    }

    /// One member that a version changes changes nothing that another version alone has.
    #[test]
    fn a_change_of_one_member_is_stored_in_its_places_alone(made in saved(), version in 0usize..4, pick in any::<prop::sample::Index>(), other in saved()) {
        let lenses = lenses();
        let stored = lenses[made.0].put(None, &made.1).unwrap();
        prop_assume!(other.0 == version);
        let mut seen = lenses[version].get(&stored);
        let names: Vec<_> = other.1.as_object().unwrap().keys().cloned().collect();
        let name = &names[pick.index(names.len())];
        seen[name] = other.1[name].clone();
        let after = lenses[version].put(Some(&stored), &seen).unwrap();
        let places: &[&str] = match &**name {
            "name" | "fullName" => &["name"],
            "adult" | "stage" | "phase" => &["adult", "stage", "phase"],
            "email" | "emails" | "contacts" => &["email", "emails"],
            "address" | "home" | "place" => &["address"],
            "tags" | "label" => &["tags"],
            "nick" | "nicks" => &["nick", "nicks"],
            name => &[name][..],
        };
        let rest = |value: &Value| {
            let mut rest = value.clone();
            rest.as_object_mut().unwrap().retain(|name, _| !places.contains(&&**name));
            rest
        };
        prop_assert_eq!(rest(&after), rest(&stored), "{} {}", version + 1, name);
    }
}

#[test]
fn each_version_has_its_own_names_over_the_same_places() {
    let lenses = lenses();
    let made =
        json!({"_id": "p", "name": "Pat", "adult": false, "address": {"city": "Oslo", "zip": "1"}});
    let stored = lenses[0].put(None, &made).unwrap();
    assert_eq!(stored, made);
    let three = json!({"_id": "p", "fullName": "Pat", "phase": 0, "contacts": [], "place": {"town": "Oslo", "floor": 0}, "tags": []});
    assert_eq!(lenses[2].get(&stored), three);
    let mut moved = three.clone();
    moved["place"] = json!({"town": "Rome", "floor": 3});
    moved["phase"] = json!(-1);
    let stored = lenses[2].put(Some(&stored), &moved).unwrap();
    assert_eq!(
        stored["address"],
        json!({"city": "Rome", "zip": "1", "floor": 3})
    );
    assert_eq!(lenses[2].get(&stored), moved);
    assert_eq!(lenses[1].get(&stored)["stage"], "child");
    // What earlier versions expect is there in what a later one makes.
    let made = json!({"_id": "q", "fullName": "Quin", "phase": 1, "place": {"town": "Bonn"}, "nicks": ["q", "k"]});
    let stored = lenses[3].put(None, &made).unwrap();
    let one = json!({"_id": "q", "name": "Quin", "adult": false, "fax": "none", "address": {"city": "Bonn", "zip": "?"}});
    assert_eq!(lenses[0].get(&stored), one);
    assert_eq!(lenses[2].get(&stored)["nick"], "q");
    // Values that no table knows are shown as they are.
    let odd = json!({"adult": "perhaps"});
    assert_eq!(lenses[1].get(&odd)["stage"], "perhaps");
}

#[test]
fn where_a_path_is_stored() {
    let lenses = lenses();
    let at = |version: usize, path: &str| lenses[version - 1].stored_at(&path.parse().unwrap());
    let whole = |path: &str| StoredAt::Path {
        path: path.parse().unwrap(),
        default: None,
    };
    assert_eq!(at(1, "address.city"), whole("address.city"));
    assert_eq!(at(2, "home.city"), whole("address.city"));
    assert_eq!(at(3, "place.town"), whole("address.city"));
    assert_eq!(at(3, "_id"), whole("_id"));
    assert_eq!(
        at(2, "tags"),
        StoredAt::Path {
            path: "tags".parse().unwrap(),
            default: Some(json!([]))
        }
    );
    for (version, path) in [(2, "stage"), (2, "emails"), (2, "home.floor"), (4, "nicks")] {
        assert_eq!(at(version, path), StoredAt::Made, "{path}");
    }
    for (version, path) in [(1, "tags"), (2, "name"), (3, "place.city"), (4, "tags")] {
        assert_eq!(at(version, path), StoredAt::Nowhere, "{path}");
    }
}

/// A schema that lists these members.
fn listed(names: &[&str]) -> Value {
    let members = names.iter().map(|name| ((*name).to_owned(), json!({})));
    json!({"properties": members.collect::<Map<_, _>>()})
}

fn assert_refused(one: &[&str], steps: &[Step], two: &[&str], said: &str) {
    let (one, two) = (listed(one), listed(two));
    let error = Lens::of(&[(&one, &[]), (&two, steps)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(said), "{said}: {error}");
}

#[test]
fn steps_that_do_not_fit_are_refused() {
    let (add, remove) = (
        |path: &str| Step::add(path).unwrap(),
        Step::remove("a").unwrap(),
    );
    let rename = |from: &str, to: &str| Step::rename(from, to).unwrap();
    assert_refused(&["a"], &[], &["a", "b"], "no step brings");
    assert_refused(&["a", "b"], &[], &["a"], "does not list");
    assert_refused(&["a"], &[add("a")], &["a"], "used already");
    assert_refused(&["a"], &[add("_id")], &["a"], "used already");
    assert_refused(&["a"], &[remove, add("a")], &["a"], "used already");
    assert_refused(&["a"], &[rename("x", "b")], &["b"], "begins with a member");
    assert_refused(&["a"], &[add("x.b")], &["a", "x"], "into an object");
    assert_refused(&["a"], &[rename("a", "a.b")], &["a"], "into itself");
    let mapped = Step::map("a", "b", [(json!(1), json!("one"))]).unwrap();
    let lost = Step::remove_with("b", json!("two")).unwrap();
    assert_refused(
        &["a"],
        &[mapped.clone(), lost],
        &[],
        "no value for this one",
    );
    assert_refused(&["a"], &[mapped, add("b.c")], &["b"], "reaches into");
    let wrapped = Step::wrap("b", "bs").unwrap();
    let shown = Step::add_with("b", json!(1)).unwrap();
    assert_refused(
        &["a"],
        &[shown, wrapped],
        &["a", "bs"],
        "cannot become a list",
    );
    // A place that something removed has is not free, whatever leads there now.
    let address = |members: &[&str]| json!({"properties": {"address": listed(members)}});
    let home = json!({"properties": {"home": listed(&["city", "zip"])}});
    let steps = [
        Step::remove("address.zip").unwrap(),
        rename("address", "home"),
        add("home.zip"),
    ];
    let error = Lens::of(&[(&address(&["city", "zip"]), &[]), (&home, &steps)]).unwrap_err();
    assert!(
        error.to_string().contains("needs a place that is used"),
        "{error}"
    );
}

#[test]
fn what_is_too_large_is_refused() {
    let add = |path: &str| Step::add(path).unwrap();
    let long = Step::add_with("b", "x".repeat(STEP_VALUE_BYTES_MAX).into()).unwrap();
    assert_refused(&["a"], &[long], &["a", "b"], "too long");
    let deep = add(&["b"; STEP_LEVELS_MAX + 1].join("."));
    assert_refused(&["a"], &[deep], &["a", "b"], "too deep");
    let many = vec![(json!(1), json!(1)); MAP_VALUES_MAX + 1];
    let many = Step::map("a", "b", many).unwrap();
    assert_refused(&["a"], &[many], &["b"], "too many values");
    assert_refused(
        &["a"],
        &vec![add("b"); STEPS_MAX + 1],
        &["a", "b"],
        "too many steps",
    );
    let wide: Vec<_> = (0..1_001).map(|n| n.to_string()).collect();
    let wide: Vec<_> = wide.iter().map(|name| &**name).collect();
    assert!(Lens::of(&[(&listed(&wide), &[])]).is_err());
}

#[test]
fn schemas_that_list_nothing_or_never_end_are_refused() {
    let a = listed(&["a"]);
    let open = json!({"properties": {"a": {}}, "additionalProperties": {}});
    for schema in [
        json!({}),
        json!(true),
        open,
        json!({"$ref": "#"}),
        json!({"$ref": "#/x"}),
    ] {
        let error = Lens::of(&[(&schema, &[])]).unwrap_err();
        assert!(error.to_string().contains("lists its members"), "{error}");
    }
    assert!(Lens::of(&[(&a, &[Step::add("b").unwrap()])]).is_err());
    assert!(Lens::of(&[]).is_err());
    // One that goes round ends, and an entity may be as deep as it likes.
    let round = json!({"properties": {"a": {"$ref": "#"}}});
    let lens = Lens::of(&[(&round, &[])]).unwrap();
    let deep = (0..60).fold(json!({"b": 1}), |inner, _| json!({"a": inner}));
    assert!(!lens.get(&deep).to_string().contains('b'));
    let forks = json!({"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#"}}});
    assert!(Lens::of(&[(&forks, &[])]).is_err());

    let lens = Lens::of(&[(&a, &[])]).unwrap();
    assert!(lens.put(None, &json!([])).is_err());
    let error = lens.put(None, &json!({"a": 1, "b": 2})).unwrap_err();
    assert!(error.to_string().contains("/b"), "{error}");
}

/// A module with whatever id, versions and template a test gives it.
#[derive(Debug)]
struct Odd(&'static str, Vec<Version>, Option<AclTemplate>);

impl Module for Odd {
    fn id(&self) -> &str {
        self.0
    }
    fn versions(&self) -> Result<Vec<Version>> {
        Ok(self.1.clone())
    }
    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(self.2.clone())
    }
    fn vectors(&self) -> Option<&str> {
        None
    }
}

#[test]
fn a_manifest_is_checked() {
    let note = |codec: &str| {
        ModuleCollection::new("Note", codec, json!({"properties": {"text": {}}})).unwrap()
    };
    let plain = || Version::new().with(note("jsonpatch/1"));
    let other = || {
        let task = ModuleCollection::new("Task", "jsonpatch/1", json!({"properties": {}}));
        Version::new().with(task.unwrap())
    };
    let of = |versions: Vec<Version>| Manifest::of(&Odd("org.example.notes", versions, None));
    assert_eq!(of(vec![plain()]).unwrap().version(), 1);
    let long = "x".repeat(DEFINITION_BYTES_MAX);
    let large = ModuleCollection::new(
        "Note",
        "jsonpatch/1",
        json!({"properties": {"text": {"description": long}}}),
    );
    let mapped = note("jsonpatch/1")
        .with_step(Step::wrap("text", "texts").unwrap())
        .with_index(IndexSpec::on("texts".parse().unwrap()));
    let mut wrapped = mapped;
    wrapped.spec.schema = Some(json!({"properties": {"texts": {"items": {}}}}));
    let reserved = ModuleCollection::new("$modules", "jsonpatch/1", json!({"properties": {}}));
    for (versions, said) in [
        (vec![], "at least one version"),
        (vec![plain(); VERSIONS_MAX + 1], "not too many"),
        (vec![Version::new()], "at least one collection"),
        (vec![plain().with(note("jsonpatch/1"))], "name of its own"),
        (
            vec![Version::new().with(reserved.unwrap())],
            "name of its own",
        ),
        (
            vec![plain(), Version::new().with(note("other/1"))],
            "keeps the codec",
        ),
        (vec![plain(), other(), plain()], "does not come back"),
        (vec![Version::new().with(large.unwrap())], "too long"),
        (
            vec![plain(), Version::new().with(wrapped)],
            "not stored as it is",
        ),
    ] {
        let error = of(versions).unwrap_err().to_string();
        assert!(
            error.contains(said) && error.contains("org.example.notes"),
            "{said}: {error}"
        );
    }
    for id in [
        "",
        "notes",
        "org..notes",
        "Org.example",
        "org.example/notes",
        &*"a.".repeat(100),
    ] {
        let id: &'static str = id.to_owned().leak();
        assert!(Manifest::of(&Odd(id, vec![plain()], None)).is_err(), "{id}");
    }
    let strange = AclTemplate::new().restrict("Task".parse().unwrap(), "x".parse().unwrap());
    let error = Manifest::of(&Odd("org.example.notes", vec![plain()], Some(strange))).unwrap_err();
    assert!(error.to_string().contains("does not have"), "{error}");
}

#[test]
fn steps_are_data_and_what_is_no_step_is_refused() {
    for (_, steps) in versions() {
        let text = serde_json::to_string(&steps).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Step>>(&text).unwrap(), steps);
    }
    let null = Step::add_with("a", Value::Null).unwrap();
    let text = serde_json::to_string(&null).unwrap();
    assert_eq!(serde_json::from_str::<Step>(&text).unwrap(), null);
    for unknown in [
        "{\"split\":{\"from\":\"a\"}}",
        "{\"add\":{\"path\":\"a\",\"since\":2}}",
        "{\"add\":{}}",
    ] {
        assert!(serde_json::from_str::<Step>(unknown).is_err(), "{unknown}");
    }
}

/// A case of `spec/vectors/modules.json`: what versions save one after the other, how it is stored,
/// and what each version then sees.
fn case(name: &str, versions: &[(Value, Vec<Step>)], saves: &[(usize, Value)]) -> Value {
    let chain: Vec<_> = versions
        .iter()
        .map(|(schema, steps)| (schema, &steps[..]))
        .collect();
    let lenses: Vec<_> = (1..=chain.len())
        .map(|last| Lens::of(&chain[..last]).unwrap())
        .collect();
    let mut stored: Option<Value> = None;
    let mut told = Vec::new();
    for (version, value) in saves {
        match lenses[version - 1].put(stored.as_ref(), value) {
            Ok(next) => {
                let seen: Vec<_> = lenses.iter().map(|lens| lens.get(&next)).collect();
                told.push(
                    json!({"version": version, "value": value, "stored": next, "seen": seen}),
                );
                stored = Some(next);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Invalid);
                told.push(json!({"version": version, "value": value, "refused": true}));
            }
        }
    }
    let versions: Vec<_> = versions
        .iter()
        .map(|(schema, steps)| json!({"schema": schema, "steps": steps}))
        .collect();
    json!({"name": name, "versions": versions, "saves": told})
}

fn every_step() -> Value {
    let saves = [
        (
            1,
            json!({"_id": "p", "name": "Pat", "adult": false, "email": "a", "address": {"city": "Oslo"}}),
        ),
        (
            2,
            json!({"_id": "p", "fullName": "Pat", "stage": "teen", "emails": ["a", "b"], "home": {"city": "Oslo", "floor": 0}, "tags": []}),
        ),
        (
            3,
            json!({"_id": "p", "fullName": "Pat", "phase": 1, "contacts": ["c", "a", "b"], "place": {"town": "Rome", "floor": 2}, "tags": ["x"], "nick": "pp"}),
        ),
        (
            1,
            json!({"_id": "p", "name": "Patricia", "adult": false, "address": {"city": "Rome", "zip": "1"}, "fax": "7"}),
        ),
        (
            4,
            json!({"_id": "p", "fullName": "Patricia", "phase": -1, "nicks": ["pp", "trish"], "place": {"town": "Rome", "floor": 2}, "label": ["x"], "town": "Rome"}),
        ),
        (
            1,
            json!({"_id": "p", "name": "Patricia", "adult": true, "address": null}),
        ),
        (
            2,
            json!({"_id": "p", "fullName": "Patricia", "stage": "old", "emails": [], "home": {"zip": "2", "floor": 1}, "tags": ["y"]}),
        ),
        (
            2,
            json!({"_id": "p", "fullName": "Patricia", "stage": "unheard", "emails": [], "tags": []}),
        ),
        (
            2,
            json!({"_id": "p", "fullName": "Patricia", "stage": "old", "emails": [null], "tags": []}),
        ),
        (
            4,
            json!({"_id": "p", "phase": 2, "nicks": [], "name": "Pat"}),
        ),
        (
            3,
            json!({"_id": "p", "fullName": "P", "phase": 2, "contacts": ["z"], "tags": []}),
        ),
        (
            4,
            json!({"_id": "p", "phase": 2, "nicks": ["n"], "place": {"town": "Bonn"}}),
        ),
    ];
    case("every step", &versions(), &saves)
}

/// Items of a list with members that one version alone knows, and an object that is open.
fn lists() -> Value {
    let one = json!({"properties": {"phones": {"items": {"$ref": "#/$defs/phone"}}, "extra": {"type": "object", "additionalProperties": true}}, "$defs": {"phone": {"properties": {"number": {}}}}});
    let two = json!({"properties": {"phones": {"items": {"properties": {"number": {}, "kind": {}}}}, "extra": {"type": "object"}}});
    let phone = |number: &str, kind: &str| json!({"number": number, "kind": kind});
    let saves = [
        (
            2,
            json!({"phones": [phone("1", "home"), phone("2", "work"), phone("3", "boat")], "extra": {"a": {"b": 1}}}),
        ),
        (
            1,
            json!({"phones": [{"number": "0"}, {"number": "1"}, {"number": "2"}, {"number": "3"}], "extra": {"a": 1}}),
        ),
        (
            1,
            json!({"phones": [{"number": "0"}, {"number": "9"}, {"number": "3"}]}),
        ),
        (1, json!({"phones": [{"number": "3"}]})),
        (1, json!({"phones": [{"number": "3", "kind": "car"}]})),
        (1, json!({})),
    ];
    case("lists", &[(one, vec![]), (two, vec![])], &saves)
}

/// With `THREADS_VECTORS=write` it writes them.
#[test]
fn the_vectors_are_those_of_the_specification() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/vectors/modules.json");
    let text = format!("{:#}\n", json!([every_step(), lists()]));
    if std::env::var("THREADS_VECTORS").is_ok_and(|value| value == "write") {
        std::fs::write(path, text).unwrap();
    } else {
        assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    }
}
