//! The vectors of `spec/vectors/modules.json`.

use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_core::module::{Lens, Step};

use super::versions::versions;

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
