//! Lenses keep what versions do not know, and show what was saved.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod refused;
mod vectors;
mod versions;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use threads_core::module::StoredAt;

use versions::{lenses, saved, word};

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

/// A stranger stores members by the names that a later version has for others: nobody takes them for those.
#[test]
fn what_is_stored_by_a_name_of_a_version_is_not_its_member() {
    let odd = json!({"_id": "p", "fullName": "X", "stage": "teen", "emails": ["b"], "home": {"city": "Y"}, "phase": 1, "label": ["l"]});
    let shown = [
        json!({"_id": "p"}),
        json!({"_id": "p", "emails": ["b"], "tags": []}),
        json!({"_id": "p", "contacts": ["b"], "tags": []}),
        json!({"_id": "p", "label": [], "nicks": []}),
    ];
    for (lens, shown) in lenses().iter().zip(shown) {
        assert_eq!(lens.get(&odd), shown);
    }
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
