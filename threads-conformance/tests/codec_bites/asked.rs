//! The members that an action asks for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use threads_core::codec::Action;
use threads_core::{Error, Result};

use crate::broken::{Fault, invalid};

pub(crate) type Members = BTreeMap<String, Value>;

/// The deepest value, so that what is written can be read.
const LEVELS_MAX: usize = 64;

pub(crate) fn asked(fault: Option<Fault>, before: Members, action: &Action<'_>) -> Result<Members> {
    let mut document = Value::Object(before.clone().into_iter().collect());
    match action {
        Action::Create(value) | Action::Save(value) => {
            document = serde_json::to_value(value).map_err(invalid)?;
        }
        Action::Merge(patch) => merge(fault, &mut document, patch, 0),
        Action::Patch(patch) => document = patch_all(fault, document, patch)?,
        _ => return Err(Error::unsupported("another action")),
    }
    if levels(&document) > LEVELS_MAX {
        return Err(Error::invalid("too deep"));
    }
    let mut after: Members = match document {
        Value::Object(members) => members.into_iter().collect(),
        other if fault == Some(Fault::WrapsWhatIsNoObject) => [("value".into(), other)].into(),
        _ => return Err(Error::invalid("not an object")),
    };
    if fault == Some(Fault::SavesOnTopOfWhatIsThere) && matches!(action, Action::Save(_)) {
        after = before.into_iter().chain(after).collect();
    }
    if fault == Some(Fault::DropsEmptyNames) {
        after.remove("");
    }
    if fault == Some(Fault::CountsInFloats) {
        after.values_mut().for_each(in_floats);
    }
    Ok(after)
}

fn in_floats(value: &mut Value) {
    if let Some(n) = value.as_i64().filter(|n| n.unsigned_abs() > 1 << 53) {
        *value = Value::from(n as f64 as i64);
    }
}

fn levels(value: &Value) -> usize {
    let deepest = match value {
        Value::Object(members) => members.values().map(levels).max(),
        Value::Array(elements) => elements.iter().map(levels).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}

fn merge(fault: Option<Fault>, target: &mut Value, patch: &Value, level: usize) {
    let flat = fault == Some(Fault::MergesOneLevelOnly) && level == 1;
    let Some(patch) = patch.as_object().filter(|_| !flat) else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let members = target.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            let member = members.entry(name.clone()).or_insert(Value::Null);
            merge(fault, member, value, level + 1);
        }
    }
}

fn patch_all(fault: Option<Fault>, before: Value, patch: &Value) -> Result<Value> {
    let mut document = before;
    for op in patch
        .as_array()
        .ok_or_else(|| Error::invalid("not a list"))?
    {
        let done = patch_one(fault, document.clone(), op);
        if done.is_err() && fault == Some(Fault::CarriesOutHalfAPatch) {
            break;
        }
        document = done?;
    }
    Ok(document)
}

fn patch_one(fault: Option<Fault>, mut document: Value, op: &Value) -> Result<Value> {
    let unfit = || Error::invalid("does not fit");
    let text = |name: &str| op.get(name).and_then(Value::as_str).ok_or_else(unfit);
    let (path, value) = (text("path")?, op.get("value").cloned().ok_or_else(unfit));
    match text("op")? {
        "add" => add(&mut document, path, value?).ok_or_else(unfit)?,
        "remove" => drop(remove(&mut document, path).ok_or_else(unfit)?),
        "replace" => *document.pointer_mut(path).ok_or_else(unfit)? = value?,
        op @ ("move" | "copy") => {
            let from = text("from")?;
            let value = document.pointer(from).ok_or_else(unfit)?.clone();
            if op == "move" && fault != Some(Fault::MovesByCopying) {
                remove(&mut document, from);
            }
            add(&mut document, path, value).ok_or_else(unfit)?;
        }
        "test" if *document.pointer(path).ok_or_else(unfit)? == value? => {}
        "test" => return Err(Error::conflict("a test failed")),
        _ => return Err(unfit()),
    }
    Ok(document)
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
