//! The difference between two values, field by field.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// One step from a value to another. One after the other, edits make the second of the first.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
/// let history = db.history(&people, "bob").unwrap();
/// let edit = &history.moments[1].edits[0];
/// assert_eq!(edit.to_string(), "age: 42 → 43");
/// assert_eq!(edit.operation()["op"], "replace");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edit {
    /// Where: a JSON Pointer (RFC 6901), such as `/address/city`; empty for the whole value.
    pub path: String,
    /// What was there; none where it is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there now; none where it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl Edit {
    fn new(path: &str, before: Option<&Value>, after: Option<&Value>) -> Self {
        Self {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }
    }

    /// The same as an operation of a JSON Patch (RFC 6902).
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let history = db.history(&people, "bob").unwrap();
    /// assert_eq!(history.moments[0].edits[0].operation()["op"], "add");
    /// ```
    pub fn operation(&self) -> Value {
        match (&self.before, &self.after) {
            (_, None) => json!({"op": "remove", "path": self.path}),
            (None, Some(value)) => json!({"op": "add", "path": self.path, "value": value}),
            (Some(_), Some(value)) => json!({"op": "replace", "path": self.path, "value": value}),
        }
    }
}

/// As a person reads it: `address.city: "Graz" → "Wien"`.
impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", field_of(&self.path))?;
        }
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{before} → {after}"),
            (None, Some(after)) => write!(f, "+ {after}"),
            (Some(before), None) => write!(f, "- {before}"),
            (None, None) => Ok(()),
        }
    }
}

/// A pointer as a field path is shown, where it can be one.
fn field_of(pointer: &str) -> String {
    let path: Result<threads_core::FieldPath, _> = pointer.parse();
    path.map_or_else(|_| pointer.to_owned(), |path| path.to_string())
}

/// A name under a pointer.
pub(super) fn under(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The edits that make `after` of `before`.
pub(crate) fn edits(before: Option<&Value>, after: Option<&Value>) -> Vec<Edit> {
    let mut edits = Vec::new();
    compare("", before, after, &mut edits);
    edits
}

/// The recursion is as deep as documents nest, which their decoder bounds.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, edits: &mut Vec<Edit>) {
    match (before, after) {
        _ if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            compare_members(path, before, after, edits);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            compare_items(path, before, after, edits);
        }
        _ => edits.push(Edit::new(path, before, after)),
    }
}

fn compare_members(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    edits: &mut Vec<Edit>,
) {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    for name in gone.chain(after.keys()) {
        compare(&under(path, name), before.get(name), after.get(name), edits);
    }
}

/// Of lists, what they begin and end with alike is left; between, items are compared in pairs, and the rest of
/// one of them is taken out or put in.
fn compare_items(path: &str, before: &[Value], after: &[Value], edits: &mut Vec<Edit>) {
    let same = |(one, other): &(&Value, &Value)| one == other;
    let first = before.iter().zip(after).take_while(same).count();
    let ends = before[first..]
        .iter()
        .rev()
        .zip(after[first..].iter().rev());
    let last = ends.take_while(same).count();
    let (before, after) = (
        &before[first..before.len() - last],
        &after[first..after.len() - last],
    );
    let pairs = before.len().min(after.len());
    for at in 0..pairs {
        let path = under(path, &(first + at).to_string());
        compare(&path, Some(&before[at]), Some(&after[at]), edits);
    }
    // From the end, so that no index moves.
    for (at, value) in before.iter().enumerate().skip(pairs).rev() {
        edits.push(Edit::new(
            &under(path, &(first + at).to_string()),
            Some(value),
            None,
        ));
    }
    for (at, value) in after.iter().enumerate().skip(pairs) {
        edits.push(Edit::new(
            &under(path, &(first + at).to_string()),
            None,
            Some(value),
        ));
    }
}

/// What is at a place of a value: names lead through objects, numbers through lists.
pub(super) fn at<'v>(mut value: &'v Value, segments: &[String]) -> Option<&'v Value> {
    for segment in segments {
        value = match value {
            Value::Object(members) => members.get(segment)?,
            Value::Array(items) => items.get(crate::query::walk::array_index(segment)?)?,
            _ => return None,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use threads_codec_jsonpatch::JsonPatch;
    use threads_core::codec::{Action, EventCodec, EventCodecExt};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2i64..3).prop_map(Value::from),
            "[a~/]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[ab~/]{0,2}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn edits_make_the_second_of_the_first(before in value(), after in value()) {
            let (before, after) = (json!({"_id": "a", "v": before}), json!({"_id": "a", "v": after}));
            let edits = edits(Some(&before), Some(&after));
            prop_assert_eq!(edits.is_empty(), before == after);
            let state = JsonPatch::new().encode(None, &Action::Create(&before)).unwrap().unwrap();
            let state = JsonPatch::new().apply(None, &state).unwrap();
            let operations = edits.iter().map(Edit::operation).collect();
            let event = JsonPatch::new().encode(Some(&state), &Action::Patch(&operations)).unwrap();
            let made = match event {
                Some(event) => JsonPatch::new().apply(Some(&state), &event).unwrap(),
                None => state,
            };
            prop_assert_eq!(JsonPatch::new().value(&made).unwrap(), after);
        }
    }

    fn shown(before: Value, after: Value) -> Vec<String> {
        let edits = edits(Some(&before), Some(&after));
        edits.iter().map(Edit::to_string).collect()
    }

    #[test]
    fn edits_read_well() {
        let before = json!({"a": {"b": 1, "c": "x"}, "l": [1, 2, 3, 4], "gone": []});
        let after = json!({"a": {"b": 2, "c": "x"}, "l": [1, 3, 4], "new.name": null});
        assert_eq!(
            shown(before, after),
            ["gone: - []", "a.b: 1 → 2", "l.1: - 2", "/new.name: + null"]
        );
        assert_eq!(shown(json!([1]), json!([1, 5])), ["1: + 5"]);
        assert_eq!(shown(json!(1), json!(2)), ["1 → 2"]);
    }

    #[test]
    fn a_place_is_found_by_names_and_numbers() {
        let value = json!({"a": [{"b": 1}], "c": {"0": 2}});
        let found = |path: &[&str]| {
            let path: Vec<_> = path.iter().map(|&name| name.to_owned()).collect();
            at(&value, &path).cloned()
        };
        assert_eq!(found(&["a", "0", "b"]), Some(json!(1)));
        assert_eq!(found(&["c", "0"]), Some(json!(2)));
        for missing in [&["a", "b"][..], &["a", "01"], &["a", "1"], &["c", "0", "x"]] {
            assert_eq!(found(missing), None);
        }
    }
}
