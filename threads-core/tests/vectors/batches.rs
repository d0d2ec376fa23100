//! Bodies of transactions.

use serde_json::{Value, json};
use threads_core::Result;
use threads_core::batch::{Batch, EVENTS_MAX, EntityEvent};
use threads_core::codec::ActionKind;

use crate::forge::{blob, list, map, string, uint};
use crate::{bytes, hex, text};

pub(crate) fn event(
    collection: &str,
    entity: &str,
    action: ActionKind,
    payload: &[u8],
) -> EntityEvent {
    EntityEvent {
        collection: collection.parse().unwrap(),
        entity: entity.parse().unwrap(),
        codec: if collection == "Photo" {
            "other/2"
        } else {
            "example/1"
        }
        .parse()
        .unwrap(),
        action,
        payload: payload.to_vec(),
    }
}

fn describe(batch: &Batch) -> Vec<Value> {
    let describe = |event: &EntityEvent| {
        json!({
            "collection": event.collection.as_str(), "entity": event.entity.as_str(),
            "codec": event.codec.as_str(), "action": event.action.as_str(), "payload": hex(&event.payload),
        })
    };
    batch.events.iter().map(describe).collect()
}

pub(crate) fn make() -> Vec<Value> {
    use ActionKind::{Create, Delete, Save};
    let batches = [
        (
            "one event",
            vec![event("Person", "alice", Create, b"payload")],
        ),
        (
            "names in order of first use, each once",
            vec![
                event("Photo", "1", Create, b"a"),
                event("Person", "alice", Save, b"b"),
                event("Photo", "1", Save, b"c"),
                event("Person", "bob", Delete, b""),
            ],
        ),
        (
            "a collection, its schema and an entity",
            vec![
                event("$schemas", "hash", Create, b"{}"),
                event("$collections", "Person", Create, b"{}"),
                event("Person", "é", Create, &[0; 300]),
            ],
        ),
    ];
    let good = batches.into_iter().map(|(name, events)| {
        let batch = Batch { events };
        json!({"name": name, "kind": "batch", "bytes": hex(batch.encode().unwrap()), "events": describe(&batch)})
    });
    let refused = refused().into_iter().map(
        |(name, bytes)| json!({"name": name, "kind": "batch", "bytes": bytes, "reject": "Malformed"}),
    );
    good.chain(refused).collect()
}

fn entry(collection: u64, entity: &str, codec: u64, action: u64) -> Vec<u8> {
    list(&[
        uint(collection),
        string(entity),
        uint(codec),
        uint(action),
        blob([1]),
    ])
}

fn wire(collections: &[&str], codecs: &[&str], events: &[Vec<u8>]) -> Vec<u8> {
    let names = |names: &[&str]| list(&names.iter().map(|name| string(name)).collect::<Vec<_>>());
    map(&[
        ("collections", names(collections)),
        ("codecs", names(codecs)),
        ("events", list(events)),
    ])
}

fn refused() -> Vec<(&'static str, Value)> {
    let (p, c) = (&["P"][..], &["c/1"][..]);
    let one = [entry(0, "a", 0, 1)];
    let mut cases = vec![
        ("no events", wire(&[], &[], &[])),
        ("a name that no event uses", wire(&["P", "Q"], c, &one)),
        (
            "a name twice",
            wire(&["P", "P"], c, &[entry(0, "a", 0, 1), entry(1, "b", 0, 1)]),
        ),
        (
            "names not in order of first use",
            wire(&["P", "Q"], c, &[entry(1, "a", 0, 1), entry(0, "b", 0, 1)]),
        ),
        ("a codec that no event uses", wire(p, &["c/1", "d/1"], &one)),
        (
            "a position past the end of the collections",
            wire(p, c, &[entry(1, "a", 0, 1)]),
        ),
        (
            "a position past the end of the codecs",
            wire(p, c, &[entry(0, "a", 1, 1)]),
        ),
        (
            "a position of more than 32 bits",
            wire(p, c, &[entry(1 << 32, "a", 0, 1)]),
        ),
        (
            "a delete with a payload",
            wire(p, c, &[entry(0, "a", 0, 2)]),
        ),
        ("an unknown action", wire(p, c, &[entry(0, "a", 0, 3)])),
        (
            "an entity id of no characters",
            wire(p, c, &[entry(0, "", 0, 1)]),
        ),
        (
            "a collection that cannot be named so",
            wire(&["../etc"], c, &one),
        ),
        ("a codec that cannot be named so", wire(p, &["C"], &one)),
        (
            "an event with a member missing",
            wire(p, c, &[list(&[uint(0), string("a"), uint(0), uint(1)])]),
        ),
        (
            "an event with a member too many",
            wire(
                p,
                c,
                &[list(&[
                    uint(0),
                    string("a"),
                    uint(0),
                    uint(1),
                    blob([]),
                    uint(0),
                ])],
            ),
        ),
        (
            "a payload that is a list",
            wire(
                p,
                c,
                &[list(&[
                    uint(0),
                    string("a"),
                    uint(0),
                    uint(1),
                    list(&[uint(1)]),
                ])],
            ),
        ),
        (
            "a member too many",
            map(&[
                ("codecs", list(&[string("c/1")])),
                ("collections", list(&[string("P")])),
                ("events", list(&one)),
                ("more", uint(0)),
            ]),
        ),
        (
            "a member missing",
            map(&[
                ("collections", list(&[string("P")])),
                ("events", list(&one)),
            ]),
        ),
        ("not a map", list(&[])),
        ("a byte after the end", [wire(p, c, &one), vec![0]].concat()),
    ];
    let sound = wire(p, c, &one);
    cases.push(("cut short", sound[..sound.len() - 1].to_vec()));
    let mut cases: Vec<_> = cases
        .into_iter()
        .map(|(name, bytes)| (name, json!(hex(bytes))))
        .collect();
    let (many, event) = (EVENTS_MAX + 1, hex(entry(0, "a", 0, 1)));
    let mut before = wire(p, c, &[]);
    // The head of the list of events: not the last member, as its name is not the longest.
    let at = before.iter().rposition(|byte| *byte == 0x80).unwrap();
    let after = before.split_off(at);
    before.extend([0x99, (many >> 8) as u8, many as u8]);
    cases.push((
        "too many events",
        json!([[hex(before), 1], [event, many], [hex(&after[1..]), 1]]),
    ));
    cases
}

pub(crate) fn read(vector: &Value) -> Result<()> {
    let batch = Batch::decode(&bytes(&vector["bytes"]))?;
    assert_eq!(json!(describe(&batch)), vector["events"]);
    assert_eq!(hex(batch.encode()?), text(&vector["bytes"]));
    Ok(())
}
