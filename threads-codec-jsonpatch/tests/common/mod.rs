//! Shared by the tests: documents, actions and a replay.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test asserts")]

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::Result;
use threads_core::codec::{Action, EntityState, EventCodec};

pub fn encode(before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
    JsonPatch::new().encode(before, action)
}

pub fn apply(before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
    JsonPatch::new().apply(before, event)
}

/// The state that holds `document`.
pub fn state(document: &Value) -> EntityState {
    apply(
        None,
        &encode(None, &Action::Create(document)).unwrap().unwrap(),
    )
    .unwrap()
}

/// The state after `events`, in this order, from nothing. A rejected event changes nothing.
pub fn run(events: &[Vec<u8>]) -> EntityState {
    let step =
        |state: Option<EntityState>, event: &Vec<u8>| apply(state.as_ref(), event).ok().or(state);
    events.iter().fold(None, step).unwrap()
}

/// Few names, so that documents have members in common.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "b",
        "c",
        "",
        "0",
        "-",
        "a/b",
        "~1",
        "é",
        "long name",
    ])
    .prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |f| {
            f.is_finite().then(|| Value::from(f + 0.0))
        }),
        "[a-c]{0,3}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

/// Any JSON value of a moderate size.
pub fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|members| Value::from(Map::from_iter(members))),
        ]
    })
}

/// Any JSON object of a moderate size.
pub fn document() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), value(), 0..5)
        .prop_map(|members| Value::from(Map::from_iter(members)))
}

/// An action on a known document.
#[derive(Debug)]
pub enum Step {
    Save(Value),
    Merge(Value),
    Patch(Value),
}

impl Step {
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::Save(value) => Action::Save(value),
            Self::Merge(value) => Action::Merge(value),
            Self::Patch(value) => Action::Patch(value),
        }
    }
}

/// An action on a document that is not known yet.
#[derive(Clone, Debug)]
pub enum Choice {
    Save(Value),
    Edit(Index, Value),
    Merge(Value),
    Put(Index, Value),
    Remove(Index),
    Copy(Index, Index),
    Move(Index, Index),
}

pub fn action() -> impl Strategy<Value = Choice> {
    let at = any::<Index>;
    prop_oneof![
        document().prop_map(Choice::Save),
        (at(), value()).prop_map(|(at, value)| Choice::Edit(at, value)),
        document().prop_map(Choice::Merge),
        (at(), value()).prop_map(|(at, value)| Choice::Put(at, value)),
        at().prop_map(Choice::Remove),
        (at(), at()).prop_map(|(from, to)| Choice::Copy(from, to)),
        (at(), at()).prop_map(|(from, to)| Choice::Move(from, to)),
    ]
}

impl Choice {
    /// The same choice made for `document`; a patch that cannot fit becomes an empty one.
    pub fn on(self, document: &Value) -> Step {
        let places = places(document);
        let pick = |at: Index| (!places.is_empty()).then(|| places[at.index(places.len())].clone());
        let patch = |op: Option<Value>| {
            let list = Value::Array(op.into_iter().collect());
            let ops: json_patch::Patch = serde_json::from_value(list.clone()).unwrap();
            let fits = json_patch::patch(&mut document.clone(), &ops).is_ok();
            Step::Patch(if fits { list } else { json!([]) })
        };
        match self {
            Self::Save(value) => Step::Save(value),
            Self::Merge(value) => Step::Merge(value),
            Self::Edit(at, value) => {
                let mut after = document.clone();
                match pick(at) {
                    Some(place) => *after.pointer_mut(&place).unwrap() = value,
                    None => after = json!({"a": value}),
                }
                Step::Save(after)
            }
            Self::Put(at, value) => {
                let path = pick(at).unwrap_or("/new".into());
                patch(Some(json!({"op": "add", "path": path, "value": value})))
            }
            Self::Remove(at) => patch(pick(at).map(|p| json!({"op": "remove", "path": p}))),
            Self::Copy(from, to) => patch(
                pick(from)
                    .zip(pick(to))
                    .map(|(from, path)| json!({"op": "copy", "from": from, "path": path})),
            ),
            Self::Move(from, to) => patch(
                pick(from)
                    .zip(pick(to))
                    .map(|(from, path)| json!({"op": "move", "from": from, "path": path})),
            ),
        }
    }
}

/// The pointers to everything inside `value`.
fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .map(|(i, value)| (i.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    let inside = |(step, value): (String, &Value)| {
        let deeper = places(value)
            .into_iter()
            .map(|place| format!("/{step}{place}"));
        std::iter::once(format!("/{step}"))
            .chain(deeper)
            .collect::<Vec<_>>()
    };
    children.into_iter().flat_map(inside).collect()
}
