//! What applications ask of a JSON value: merge patches (RFC 7396) and JSON Patches (RFC 6902).

use serde_json::{Map, Value};
use threads_core::{Error, Result};

use crate::limits::PATCH_OPS_MAX;
use crate::node::Room;

/// Merges `patch` into `target`. Values are no deeper than a document may be.
pub(crate) fn merge(target: &mut Value, patch: &Value) -> Result<()> {
    Room::default().take_json(patch, 1)?;
    merge_into(target, patch);
    Ok(())
}

fn merge_into(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(members.remove(name)),
            value => merge_into(members.entry(name).or_insert(Value::Null), value),
        }
    }
}

/// Carries out a JSON Patch. On an error the document is as far as it got: give it up.
pub(crate) fn patch(document: &mut Value, list: &Value) -> Result<()> {
    let Value::Array(list) = list else {
        return Err(Error::invalid("a JSON Patch is a list of operations"));
    };
    if list.len() > PATCH_OPS_MAX {
        return Err(
            Error::invalid("a JSON Patch has too many operations: use several")
                .with("most", PATCH_OPS_MAX),
        );
    }
    // What operations copy counts each time, so that a few of them cannot fill the memory.
    let mut room = Room::default();
    for (op, at) in list.iter().zip(0_usize..) {
        carry_out(document, op, &mut room).map_err(|error| error.with("operation", at))?;
    }
    Ok(())
}

fn carry_out(document: &mut Value, op: &Value, room: &mut Room) -> Result<()> {
    let text = |name: &'static str| {
        let text = op.get(name).and_then(Value::as_str);
        text.ok_or_else(|| Error::invalid("an operation lacks a member").with("member", name))
    };
    let value = || {
        let value = op.get("value");
        value.ok_or_else(|| Error::invalid("an operation lacks a member").with("member", "value"))
    };
    let kind = text("op")?;
    let path = pointer(text("path")?)?;
    match kind {
        "add" => {
            room.take_json(value()?, 1)?;
            add(document, path, value()?.clone())
        }
        "replace" => {
            room.take_json(value()?, 1)?;
            value()?.clone_into(at(document, path)?);
            Ok(())
        }
        "remove" => remove(document, path).map(drop),
        "move" => {
            let from = pointer(text("from")?)?;
            if path
                .strip_prefix(from)
                .is_some_and(|rest| rest.starts_with('/'))
            {
                return Err(Error::invalid("a value cannot move into itself").with("path", path));
            }
            let value = remove(document, from)?;
            add(document, path, value)
        }
        "copy" => {
            let value = at(document, pointer(text("from")?)?)?;
            room.take_json(value, 1)?;
            let value = value.clone();
            add(document, path, value)
        }
        "test" if at(document, path)? == value()? => Ok(()),
        "test" => Err(Error::conflict("a test of the patch fails").with("path", path)),
        _ => Err(Error::invalid("a JSON Patch has no such operation").with("op", kind)),
    }
}

/// A JSON Pointer (RFC 6901).
fn pointer(text: &str) -> Result<&str> {
    let escapes = |rest: &str| rest.starts_with(['0', '1']);
    match (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(escapes) {
        true => Ok(text),
        false => Err(Error::invalid("this is no JSON Pointer").with("path", text)),
    }
}

fn missing(path: &str) -> Error {
    Error::invalid("there is nothing at the path of an operation").with("path", path)
}

fn at<'v>(document: &'v mut Value, path: &str) -> Result<&'v mut Value> {
    document.pointer_mut(path).ok_or_else(|| missing(path))
}

/// What the last step of a path is taken in, and that step.
fn parent<'v>(document: &'v mut Value, path: &str) -> Result<(&'v mut Value, String)> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| missing(path))?;
    let parent = at(document, parent)?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

/// A place in an array, up to `most`.
fn place(step: &str, most: usize, path: &str) -> Result<usize> {
    let plain = step == "0" || !step.starts_with(['0', '+']);
    let place = step.parse().ok().filter(|place| plain && *place <= most);
    place.ok_or_else(|| missing(path))
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<()> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    match parent(document, path)? {
        (Value::Object(members), name) => drop(members.insert(name, value)),
        (Value::Array(elements), step) if step == "-" => elements.push(value),
        (Value::Array(elements), step) => {
            let at = place(&step, elements.len(), path)?;
            elements.insert(at, value);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value> {
    match parent(document, path)? {
        (Value::Object(members), name) => members.remove(&name).ok_or_else(|| missing(path)),
        (Value::Array(elements), step) => {
            let last = elements.len().checked_sub(1).ok_or_else(|| missing(path))?;
            Ok(elements.remove(place(&step, last, path)?))
        }
        _ => Err(missing(path)),
    }
}
