//! Sequences of actions on an entity and on a plain JSON document, compared after every one.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use threads_core::codec::{Action, EventCodec};

use super::asked::{created, document, event, has_merges, has_patches, name, shows};
use super::{Subject, asked, plain};
use crate::cases::for_all;
use crate::law::{Checked, ensure};

/// How many actions follow the first.
const ACTIONS_MAX: usize = 6;

/// Few names, so that documents have members in common.
fn member() -> impl Strategy<Value = String> {
    select(vec![
        "a",
        "b",
        "c",
        "",
        "0",
        "-",
        "a/b",
        "~1",
        "é",
        "a long name",
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
        // Adding zero makes of -0.0 the other zero, which equals it.
        any::<f64>().prop_filter_map("finite", |f| f.is_finite().then(|| Value::from(f + 0.0))),
        "[a-c]{0,3}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(member(), inner, 0..4).prop_map(object),
        ]
    })
}

fn object(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(Map::from_iter(members))
}

fn members() -> impl Strategy<Value = Value> {
    btree_map(member(), value(), 0..5).prop_map(object)
}

/// An action on a document that is not known yet.
#[derive(Clone, Debug)]
enum Choice {
    Save(Value),
    /// Saves the document with one value in it changed.
    Edit(Index, Value),
    Merge(Value),
    /// An operation of a JSON Patch; places are chosen among those that there are.
    Patch(&'static str, Index, Index, Value),
}

fn choice() -> impl Strategy<Value = Choice> {
    let ops = select(vec!["add", "remove", "replace", "move", "copy", "test"]);
    prop_oneof![
        members().prop_map(Choice::Save),
        (any::<Index>(), value()).prop_map(|(at, value)| Choice::Edit(at, value)),
        members().prop_map(Choice::Merge),
        (ops, any::<Index>(), any::<Index>(), value())
            .prop_map(|(op, from, at, value)| Choice::Patch(op, from, at, value)),
    ]
}

/// A choice made for a document.
enum Step {
    Save(Value),
    Merge(Value),
    Patch(Value),
}

impl Step {
    fn action(&self) -> Action<'_> {
        match self {
            Self::Save(value) => Action::Save(value),
            Self::Merge(value) => Action::Merge(value),
            Self::Patch(value) => Action::Patch(value),
        }
    }
}

impl Choice {
    /// What is done to this document, and what has to come of it. `None` when it does not fit.
    fn on(&self, before: &Value) -> Option<(Step, Value)> {
        let places: Vec<_> = plain::places(before)
            .into_iter()
            .filter(|place| place != "/_id")
            .collect();
        let pick = |at: &Index| (!places.is_empty()).then(|| at.get(&places).clone());
        Some(match self {
            Self::Save(members) => {
                let value = document(members.clone());
                (Step::Save(value.clone()), value)
            }
            Self::Edit(at, value) => {
                let mut after = before.clone();
                *after.pointer_mut(&pick(at)?)? = value.clone();
                (Step::Save(after.clone()), after)
            }
            Self::Merge(merge) => {
                let mut after = before.clone();
                plain::merge(&mut after, merge);
                (Step::Merge(merge.clone()), after)
            }
            Self::Patch(op, from, at, value) => {
                let (from, path) = (pick(from)?, pick(at)?);
                let value = match *op {
                    "test" => before.pointer(&path)?.clone(),
                    _ => value.clone(),
                };
                // Into itself nothing can be moved.
                if *op == "move" && path.starts_with(&format!("{from}/")) {
                    return None;
                }
                let list = match *op {
                    "move" | "copy" => json!([{"op": op, "from": from, "path": path}]),
                    "remove" => json!([{"op": op, "path": path}]),
                    _ => json!([{"op": op, "path": path, "value": value}]),
                };
                let after = plain::patch(before, &list)?;
                (Step::Patch(list), after)
            }
        })
    }
}

pub(super) fn does_what_a_plain_document_does(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let (merges, patches) = (has_merges(&*codec), has_patches(&*codec));
    for_all(
        (members(), vec(choice(), 0..=ACTIONS_MAX)),
        |(first, choices)| {
            let fits = |choice: &&Choice| match choice {
                Choice::Merge(_) => merges,
                Choice::Patch(..) => patches,
                _ => true,
            };
            follows(&*codec, first, choices.iter().filter(fits))
        },
    )
}

fn follows<'c>(
    codec: &dyn EventCodec,
    first: &Value,
    choices: impl Iterator<Item = &'c Choice>,
) -> Checked {
    let mut plain = document(first.clone());
    let mut state = created(codec, first.clone())?;
    let mut done = format!("Create {plain}");
    shows(codec, &state, &plain, &done)?;
    for choice in choices {
        let Some((step, after)) = choice.on(&plain) else {
            continue;
        };
        done += &format!(", {}", name(&step.action()));
        if after == plain {
            let answer = codec.encode(Some(&state), &step.action());
            let seen = format!("encode gives {answer:?}, though nothing changes");
            ensure(matches!(answer, Ok(None)), &done, seen)?;
            continue;
        }
        let event = event(codec, Some(&state), &step.action())?;
        state = asked::apply(codec, Some(&state), &event)?;
        plain = after;
        shows(codec, &state, &plain, &done)?;
    }
    Ok(())
}
