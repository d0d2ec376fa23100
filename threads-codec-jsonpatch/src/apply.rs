//! Carrying out operations that may have been written for another document.
//!
//! Concurrent events meet in an order that their authors could not know, so an operation that no
//! longer fits is skipped or does the nearest thing, by the same rule on every peer. Nothing
//! here fails: one author's event can never block another's.

use serde_json::Value;

use crate::wire::Op;

/// Carries out one operation.
pub(crate) fn apply(document: &mut Value, op: Op) {
    match op {
        Op::Add(path, value) => put(document, &path, value, true),
        Op::Replace(path, value) => put(document, &path, value, false),
        Op::Remove(path) => remove(document, &path),
    }
}

/// Sets a member. Inserts, or else sets, an element; beyond the end it appends.
fn put(document: &mut Value, path: &str, value: Value, insert: bool) {
    match place(document, path) {
        Some(Place::Member(members, name)) => {
            members.insert(name, value);
        }
        Some(Place::Element(elements, index)) if index >= elements.len() => elements.push(value),
        Some(Place::Element(elements, index)) if insert => elements.insert(index, value),
        Some(Place::Element(elements, index)) => elements[index] = value,
        None => {}
    }
}

fn remove(document: &mut Value, path: &str) {
    match place(document, path) {
        Some(Place::Member(members, name)) => {
            members.remove(&name);
        }
        Some(Place::Element(elements, index)) if index < elements.len() => {
            elements.remove(index);
        }
        _ => {}
    }
}

enum Place<'a> {
    Member(&'a mut serde_json::Map<String, Value>, String),
    Element(&'a mut Vec<Value>, usize),
}

/// Where `path` leads: `None` when the parent is missing or holds nothing, or when the last step
/// into a list is not an index.
fn place<'a>(document: &'a mut Value, path: &str) -> Option<Place<'a>> {
    let (parent, last) = path.rsplit_once('/')?;
    match document.pointer_mut(parent)? {
        Value::Object(members) => Some(Place::Member(
            members,
            last.replace("~1", "/").replace("~0", "~"),
        )),
        Value::Array(elements) => Some(Place::Element(elements, index(last)?)),
        _ => None,
    }
}

/// A decimal number of up to 64 bits without leading zeros; the same on 32-bit machines.
fn index(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    let index = plain.then(|| text.parse::<u64>().ok())??;
    Some(usize::try_from(index).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(before: Value, op: Op, after: Value) {
        let mut document = before;
        apply(&mut document, op);
        assert_eq!(document, after);
    }

    fn add(path: &str) -> Op {
        Op::Add(path.into(), json!(9))
    }

    fn replace(path: &str) -> Op {
        Op::Replace(path.into(), json!(9))
    }

    fn remove(path: &str) -> Op {
        Op::Remove(path.into())
    }

    #[test]
    fn a_member_is_set_whether_or_not_it_is_there() {
        check(json!({}), add("/a"), json!({"a": 9}));
        check(json!({"a": 1}), add("/a"), json!({"a": 9}));
        check(json!({}), replace("/a"), json!({"a": 9}));
        check(
            json!({"": {}}),
            replace("//~1~0~01"),
            json!({"": {"/~~1": 9}}),
        );
    }

    #[test]
    fn an_element_beyond_the_end_is_appended() {
        check(json!({"a": [1, 2]}), add("/a/1"), json!({"a": [1, 9, 2]}));
        check(json!({"a": [1, 2]}), add("/a/2"), json!({"a": [1, 2, 9]}));
        check(
            json!({"a": [1, 2]}),
            add("/a/18446744073709551615"),
            json!({"a": [1, 2, 9]}),
        );
        check(json!({"a": [1, 2]}), replace("/a/0"), json!({"a": [9, 2]}));
        check(
            json!({"a": [1, 2]}),
            replace("/a/7"),
            json!({"a": [1, 2, 9]}),
        );
    }

    #[test]
    fn a_missing_target_of_remove_is_skipped() {
        check(json!({"a": [1]}), remove("/b"), json!({"a": [1]}));
        check(json!({"a": [1]}), remove("/a/1"), json!({"a": [1]}));
        check(json!({"a": [1]}), remove("/a/0"), json!({"a": []}));
    }

    #[test]
    fn a_place_that_is_not_there_is_skipped() {
        let before = json!({"a": [1], "s": "x", "n": null});
        for path in [
            "/b/c", "/a/1/x", "/a/-", "/a/01", "/a/+0", "/a/", "/a/x", "/s/0", "/n/x",
        ] {
            check(before.clone(), add(path), before.clone());
            check(before.clone(), replace(path), before.clone());
            check(before.clone(), remove(path), before.clone());
        }
        check(before.clone(), add("/a/18446744073709551616"), before);
    }
}
