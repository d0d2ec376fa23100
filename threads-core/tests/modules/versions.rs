//! Four versions of a collection, and what applications of each save.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use threads_core::module::{Lens, Step};

/// Four versions with every kind of step, also of what other steps made.
pub(crate) fn versions() -> Vec<(Value, Vec<Step>)> {
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

pub(crate) fn lenses() -> Vec<Lens> {
    let versions = versions();
    let chain: Vec<_> = versions
        .iter()
        .map(|(schema, steps)| (schema, &steps[..]))
        .collect();
    (1..=chain.len())
        .map(|last| Lens::of(&chain[..last]).unwrap())
        .collect()
}

pub(crate) fn word() -> impl Strategy<Value = Value> {
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
pub(crate) fn saved() -> impl Strategy<Value = (usize, Value)> {
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
