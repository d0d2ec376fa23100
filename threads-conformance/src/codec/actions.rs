//! Laws of actions: what each asks for, and when it is an event.

use std::collections::BTreeMap;

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec};

use super::Subject;
use super::asked::{after, created, document, has_merges, has_patches, name, refuses, shows};
use super::plain;
use crate::law::{Checked, ensure};

pub(super) fn a_create_begins_the_entity(subject: &Subject) -> Checked {
    let codec = subject.codec();
    for members in [
        json!({}),
        json!({"a": 1}),
        json!({"a": {"b": []}, "c": "d"}),
    ] {
        let state = created(&*codec, members.clone())?;
        let done = format!("created {members}");
        shows(&*codec, &state, &members, &done)?;
    }
    Ok(())
}

pub(super) fn a_save_is_the_value_whole(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let first = json!({"a": 1, "b": {"c": 2, "d": [1, 2, 3]}, "e": "f", "n": null});
    let state = created(&*codec, first.clone())?;
    for members in [
        json!({"a": 1, "b": {"c": 2, "d": [1, 2, 3]}, "e": "f"}),
        json!({"a": 1, "b": {"d": [1, 3]}, "e": "f"}),
        json!({"a": [1], "b": "c", "e": {"f": "g"}}),
        json!({"x": 1}),
    ] {
        let state = after(
            &*codec,
            Some(&state),
            &Action::Save(&document(members.clone())),
        )?;
        let done = format!("created {first} and saved {members}");
        shows(&*codec, &state, &members, &done)?;
    }
    Ok(())
}

pub(super) fn a_merge_is_rfc_7396(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let first = json!({"a": {"b": 1, "c": {"d": 2}}, "e": [1, {"f": 3}], "g": "h"});
    let state = created(&*codec, first.clone())?;
    for merge in [
        json!({"g": "i"}),
        json!({"g": null}),
        json!({"a": {"b": 2}}),
        json!({"a": {"c": {"d": null, "x": 4}}}),
        json!({"e": [2], "y": {"z": {"w": null}}}),
        json!({"g": {"b": null, "c": 1}, "a": 5}),
    ] {
        let mut wanted = first.clone();
        plain::merge(&mut wanted, &merge);
        let state = after(&*codec, Some(&state), &Action::Merge(&merge))?;
        let done = format!("created {first} and merged {merge}");
        shows(&*codec, &state, &wanted, &done)?;
    }
    Ok(())
}

pub(super) fn a_patch_is_rfc_6902(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let first = json!({"a": [1, 2, 3], "b": {"c": "d", "e/f": {"g": 1}}});
    let state = created(&*codec, first.clone())?;
    for patch in [
        json!([{"op": "add", "path": "/x", "value": {"y": 1}}]),
        json!([{"op": "add", "path": "/a/1", "value": 9}]),
        json!([{"op": "add", "path": "/a/-", "value": [4]}]),
        json!([{"op": "add", "path": "/b/c", "value": "over"}]),
        json!([{"op": "remove", "path": "/a/0"}]),
        json!([{"op": "remove", "path": "/b/e~1f/g"}]),
        json!([{"op": "replace", "path": "/b", "value": 2}]),
        json!([{"op": "move", "from": "/b/c", "path": "/z"}]),
        json!([{"op": "move", "from": "/a/0", "path": "/a/2"}]),
        json!([{"op": "copy", "from": "/b", "path": "/a/0"}]),
        json!([
            {"op": "test", "path": "/a/2", "value": 3},
            {"op": "add", "path": "/n", "value": {}},
            {"op": "move", "from": "/a", "path": "/n/a"},
            {"op": "replace", "path": "/n/a/0", "value": null},
        ]),
    ] {
        let done = format!("created {first} and patched {patch}");
        let wanted = plain::patch(&first, &patch);
        let state = after(&*codec, Some(&state), &Action::Patch(&patch))?;
        shows(&*codec, &state, &wanted.unwrap_or_default(), &done)?;
    }
    Ok(())
}

pub(super) fn a_patch_is_carried_out_whole_or_not(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let state = created(&*codec, json!({"a": [1], "b": "c"}))?;
    let first = json!({"op": "add", "path": "/x", "value": 1});
    for (last, kind) in [
        (
            json!({"op": "test", "path": "/b", "value": "d"}),
            ErrorKind::Conflict,
        ),
        (json!({"op": "remove", "path": "/y"}), ErrorKind::Invalid),
        (
            json!({"op": "replace", "path": "/y", "value": 1}),
            ErrorKind::Invalid,
        ),
        (
            json!({"op": "add", "path": "/a/3", "value": 1}),
            ErrorKind::Invalid,
        ),
        (
            json!({"op": "copy", "from": "/y", "path": "/z"}),
            ErrorKind::Invalid,
        ),
        (json!({"op": "make", "path": "/z"}), ErrorKind::Invalid),
    ] {
        refuses(
            &*codec,
            Some(&state),
            &Action::Patch(&json!([first, last])),
            kind,
        )?;
    }
    let no_list = json!({"op": "add", "path": "/x", "value": 1});
    refuses(
        &*codec,
        Some(&state),
        &Action::Patch(&no_list),
        ErrorKind::Invalid,
    )
}

/// The actions that a codec has, among those on this state.
fn supported<'a>(
    codec: &dyn EventCodec,
    save: &'a Value,
    merges: &'a [Value],
    patches: &'a [Value],
) -> Vec<Action<'a>> {
    let mut actions = vec![Action::Save(save)];
    if has_merges(codec) {
        actions.extend(merges.iter().map(Action::Merge));
    }
    if has_patches(codec) {
        actions.extend(patches.iter().map(Action::Patch));
    }
    actions
}

pub(super) fn no_change_is_no_event(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let members = json!({"a": [1, 2.5, {"b": null}], "c": "d"});
    let state = created(&*codec, members.clone())?;
    let save = document(members);
    let merges = [json!({}), json!({"x": null}), json!({"c": "d"})];
    let patches = [
        json!([]),
        json!([{"op": "test", "path": "/c", "value": "d"}]),
        json!([{"op": "replace", "path": "/a/0", "value": 1}]),
        json!([
            {"op": "add", "path": "/x", "value": 1},
            {"op": "remove", "path": "/x"},
        ]),
    ];
    for action in supported(&*codec, &save, &merges, &patches) {
        let answer = codec.encode(Some(&state), &action);
        let done = format!("created {save}, then {}", name(&action));
        let seen = format!("encode gives {answer:?}, though nothing changes");
        ensure(matches!(answer, Ok(None)), done, seen)?;
    }
    Ok(())
}

pub(super) fn a_change_is_an_event(subject: &Subject) -> Checked {
    let codec = subject.codec();
    for (one, other) in [
        (json!(1), json!(1.0)),
        (json!(1), json!("1")),
        (json!(0), json!(false)),
        (json!([1, 2]), json!([2, 1])),
        (json!([]), json!({})),
        (json!(null), json!([null])),
        (json!("a"), json!("A")),
        (json!(0.1), json!(0.100_000_000_000_000_02)),
    ] {
        for (one, other) in [(&one, &other), (&other, &one)] {
            let value = document(json!({"a": other, "b": 1}));
            an_event(&*codec, json!({"a": one, "b": 1}), &value)?;
        }
    }
    an_event(
        &*codec,
        json!({"b": 1}),
        &document(json!({"a": null, "b": 1})),
    )
}

#[track_caller]
fn an_event(codec: &dyn EventCodec, before: Value, value: &Value) -> Checked {
    let state = created(codec, before.clone())?;
    let answer = codec.encode(Some(&state), &Action::Save(value));
    let done = format!("created {before} and saved {value}");
    ensure(
        matches!(answer, Ok(Some(_))),
        done,
        format_args!("encode gives {answer:?}"),
    )
}

/// A value that refuses to be written.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("this value cannot be written"))
    }
}

pub(super) fn what_is_no_object_is_invalid(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let state = created(&*codec, json!({"a": 1}))?;
    let values = [
        json!(null),
        json!(7),
        json!("text"),
        json!([{"_id": "e"}]),
        json!(true),
    ];
    let invalid = |before: Option<&EntityState>, action: &Action<'_>| {
        refuses(&*codec, before, action, ErrorKind::Invalid)
    };
    for value in &values {
        invalid(None, &Action::Create(value))?;
        invalid(Some(&state), &Action::Save(value))?;
        if has_merges(&*codec) {
            invalid(Some(&state), &Action::Merge(value))?;
        }
        if has_patches(&*codec) {
            let root = json!([{"op": "replace", "path": "", "value": value}]);
            invalid(Some(&state), &Action::Patch(&root))?;
        }
    }
    let lists_as_names = BTreeMap::from([(vec![1, 2], 3)]);
    invalid(None, &Action::Create(&Unwritable))?;
    invalid(Some(&state), &Action::Save(&Unwritable))?;
    invalid(Some(&state), &Action::Save(&lists_as_names))
}
