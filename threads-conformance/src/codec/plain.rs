//! A plain JSON document, and what RFC 7396 and RFC 6902 do to it: what codecs are compared with.

use serde_json::{Value, json};

/// A merge patch (RFC 7396).
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(members.remove(name)),
            value => merge(members.entry(name.clone()).or_insert(Value::Null), value),
        }
    }
}

/// A JSON Patch (RFC 6902). `None` when it does not fit, or a test fails.
pub(super) fn patch(document: &Value, list: &Value) -> Option<Value> {
    let mut document = document.clone();
    for op in list.as_array()? {
        let at = |name: &str| op.get(name).and_then(Value::as_str);
        let (path, value) = (at("path")?, op.get("value"));
        match at("op")? {
            "add" => add(&mut document, path, value?.clone())?,
            "remove" => drop(remove(&mut document, path)?),
            "replace" => *document.pointer_mut(path)? = value?.clone(),
            "move" => {
                let value = remove(&mut document, at("from")?)?;
                add(&mut document, path, value)?;
            }
            "copy" => {
                let value = document.pointer(at("from")?)?.clone();
                add(&mut document, path, value)?;
            }
            "test" => (document.pointer(path)? == value?).then_some(())?,
            _ => return None,
        }
    }
    Some(document)
}

fn add(document: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parent, last) = path.rsplit_once('/')?;
    match document.pointer_mut(parent)? {
        Value::Object(members) => drop(members.insert(unescaped(last), value)),
        Value::Array(elements) if last == "-" => elements.push(value),
        Value::Array(elements) => {
            let index: usize = last.parse().ok()?;
            (index <= elements.len()).then(|| elements.insert(index, value))?;
        }
        _ => return None,
    }
    Some(())
}

fn remove(document: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = path.rsplit_once('/')?;
    match document.pointer_mut(parent)? {
        Value::Object(members) => members.remove(&unescaped(last)),
        Value::Array(elements) => {
            let index: usize = last.parse().ok()?;
            (index < elements.len()).then(|| elements.remove(index))
        }
        _ => None,
    }
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The pointers to everything inside `value`.
pub(super) fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for (step, value) in children {
        found.push(format!("/{step}"));
        let deeper = places(value).into_iter();
        found.extend(deeper.map(|place| format!("/{step}{place}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of RFC 7396, appendix A.
    #[test]
    fn merges_as_the_rfc_does() {
        for (target, patch, wanted) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
        ] {
            let mut merged = target;
            merge(&mut merged, &patch);
            assert_eq!(merged, wanted);
        }
    }

    /// After the examples of RFC 6902, appendix A.
    #[test]
    fn patches_as_the_rfc_does() {
        let check = |document: Value, op: Value, wanted: Option<Value>| {
            assert_eq!(patch(&document, &json!([op])), wanted, "{op}");
        };
        let list = json!({"foo": ["a", "b"]});
        let add = |path: &str| json!({"op": "add", "path": path, "value": 1});
        check(
            list.clone(),
            add("/foo/1"),
            Some(json!({"foo": ["a", 1, "b"]})),
        );
        check(
            list.clone(),
            add("/foo/-"),
            Some(json!({"foo": ["a", "b", 1]})),
        );
        check(list.clone(), add("/foo/3"), None);
        check(list.clone(), add("/x/y"), None);
        let remove = json!({"op": "remove", "path": "/foo/0"});
        check(list.clone(), remove, Some(json!({"foo": ["b"]})));
        let gone = json!({"op": "remove", "path": "/x"});
        check(list.clone(), gone, None);
        let replace = json!({"op": "replace", "path": "/foo", "value": 7});
        check(list.clone(), replace, Some(json!({"foo": 7})));
        let moved = json!({"op": "move", "from": "/foo/0", "path": "/a~1b"});
        check(list.clone(), moved, Some(json!({"foo": ["b"], "a/b": "a"})));
        let copy = json!({"op": "copy", "from": "/foo/0", "path": "/foo/2"});
        check(list.clone(), copy, Some(json!({"foo": ["a", "b", "a"]})));
        let test = |value: &str| json!({"op": "test", "path": "/foo/0", "value": value});
        check(list.clone(), test("a"), Some(list.clone()));
        check(list, test("b"), None);
    }
}
