//! Shapes: which members of an entity a version knows, as its schema lists them.
//!
//! An object whose schema has `properties` and does not speak of other members lists its members.
//! What lists none (a map, alternatives, an object that is open) is known whole, as it is.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::step::STEP_LEVELS_MAX;
use crate::{Error, FieldPath, Result};

/// How many references lead from one to the next.
const REFERENCES_MAX: usize = 16;
/// The most members of one schema that are looked at, in all its objects.
const PATHS_MAX: usize = 1_000;
/// The schema of what may be anything.
const ANYTHING: &Value = &Value::Bool(true);

/// A part of a schema.
#[derive(Clone, Copy)]
pub(super) struct Shape<'s> {
    root: &'s Value,
    node: &'s Value,
}

impl<'s> Shape<'s> {
    pub(super) fn of(schema: &'s Value) -> Self {
        let (root, node) = (schema, schema);
        Self { root, node }.resolved()
    }

    pub(super) fn anything() -> Shape<'static> {
        Shape::of(ANYTHING)
    }

    fn part(self, node: &'s Value) -> Self {
        let root = self.root;
        Self { root, node }.resolved()
    }

    /// What it refers to, or the only thing it may be besides null.
    fn resolved(mut self) -> Self {
        for _ in 0..REFERENCES_MAX {
            let Some(next) = self.next() else { return self };
            self.node = next;
        }
        self
    }

    fn next(self) -> Option<&'s Value> {
        if let Some(reference) = self.node.get("$ref").and_then(Value::as_str) {
            return self.root.pointer(reference.strip_prefix('#')?);
        }
        let alternatives = ["anyOf", "oneOf", "allOf"]
            .into_iter()
            .find_map(|keyword| self.node.get(keyword)?.as_array())?;
        let null = |part: &&Value| part.get("type").and_then(Value::as_str) == Some("null");
        let mut others = alternatives.iter().filter(|part| !null(part));
        let only = others.next()?;
        others.next().is_none().then_some(only)
    }

    /// The members of an object that lists them.
    pub(super) fn members(self) -> Option<&'s Map<String, Value>> {
        let open = ["patternProperties", "additionalProperties"]
            .into_iter()
            .any(|keyword| !matches!(self.node.get(keyword), None | Some(Value::Bool(false))));
        let listed = self.node.get("properties")?.as_object()?;
        (!open).then_some(listed)
    }

    fn member(self, name: &str) -> Option<Self> {
        match self.members() {
            Some(members) => members.get(name).map(|node| self.part(node)),
            None => Some(self.part(ANYTHING)),
        }
    }

    fn items(self) -> Self {
        self.part(self.node.get("items").unwrap_or(ANYTHING))
    }

    fn is_list(self) -> bool {
        self.node.get("items").is_some()
    }

    /// What is at the path of a query, if it is known: a number picks an item of a list, and a name
    /// means a member of any.
    pub(super) fn at(self, path: &[String]) -> Option<Self> {
        path.iter().try_fold(self, |shape, name| {
            if !shape.is_list() {
                return shape.member(name);
            }
            let item = shape.items();
            match name.bytes().all(|byte| byte.is_ascii_digit()) {
                true => Some(item),
                false => item.member(name),
            }
        })
    }

    /// Every path that leads through objects that list their members.
    pub(super) fn paths(self) -> Result<BTreeSet<Vec<String>>> {
        let mut paths = BTreeSet::new();
        let mut level = vec![(Vec::new(), self)];
        for _ in 0..STEP_LEVELS_MAX {
            let mut below = Vec::new();
            for (path, shape) in level {
                for (name, node) in shape.members().into_iter().flatten() {
                    let path: Vec<String> = [&path[..], std::slice::from_ref(name)].concat();
                    below.push((path.clone(), shape.part(node)));
                    paths.insert(path);
                    if paths.len() > PATHS_MAX {
                        let error = Error::invalid("the schema of a module lists too many members");
                        return Err(error.with("most", PATHS_MAX));
                    }
                }
            }
            level = below;
        }
        Ok(paths)
    }

    /// As much of a value as is known.
    pub(super) fn seen(self, value: &Value) -> Value {
        match (value, self.members()) {
            (Value::Object(members), Some(listed)) => {
                let known = members.iter().filter_map(|(name, member)| {
                    let shape = self.part(listed.get(name)?);
                    Some((name.clone(), shape.seen(member)))
                });
                Value::Object(known.collect())
            }
            (Value::Array(items), _) if self.is_list() => {
                let shape = self.items();
                items.iter().map(|item| shape.seen(item)).collect()
            }
            _ => value.clone(),
        }
    }

    /// Where a value has a member that is not known.
    pub(super) fn unknown(self, value: &Value) -> Option<String> {
        match (value, self.members()) {
            (Value::Object(members), Some(listed)) => members.iter().find_map(|(name, member)| {
                let Some(node) = listed.get(name) else {
                    return Some(format!("/{name}"));
                };
                let below = self.part(node).unknown(member)?;
                Some(format!("/{name}{below}"))
            }),
            (Value::Array(items), _) if self.is_list() => {
                let (shape, mut items) = (self.items(), items.iter().enumerate());
                items.find_map(|(at, item)| Some(format!("/{at}{}", shape.unknown(item)?)))
            }
            _ => None,
        }
    }

    /// A value with what is not known of the one before it.
    pub(super) fn woven(self, before: Option<&Value>, now: &Value) -> Value {
        match (before, now, self.members()) {
            (Some(Value::Object(before)), Value::Object(now), Some(listed)) => {
                let mut members = before.clone();
                members.retain(|name, _| !listed.contains_key(name));
                for (name, member) in now {
                    let shape = self.member(name).unwrap_or(Shape::anything());
                    members.insert(name.clone(), shape.woven(before.get(name), member));
                }
                Value::Object(members)
            }
            (Some(Value::Array(before)), Value::Array(now), _) if self.is_list() => {
                self.items().woven_list(before, now)
            }
            _ => now.clone(),
        }
    }

    /// A list whose items have what is not known of those they come from: what did not change at
    /// the beginning and the end of the list is the same, and between these the place decides.
    fn woven_list(self, before: &[Value], now: &[Value]) -> Value {
        let same = |(old, new): &(&Value, &Value)| self.seen(old) == **new;
        let first = before.iter().zip(now).take_while(same).count();
        let (old, new) = (&before[first..], &now[first..]);
        let last = old.iter().rev().zip(new.iter().rev());
        let last = last.take_while(same).count();
        let changed = old.len() - last;
        let come_from = |at: usize| match new.len() - at {
            from_end if from_end <= last => old.get(old.len() - from_end),
            _ => old[..changed].get(at),
        };
        let changed = new.iter().enumerate();
        let changed = changed.map(|(at, item)| self.woven(come_from(at), item));
        before[..first].iter().cloned().chain(changed).collect()
    }
}

/// What is at a path that leads through objects.
pub(super) fn find<'v>(value: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.segments().iter().try_fold(value, |value, name| {
        value.as_object().and_then(|members| members.get(name))
    })
}

/// The object that holds what is at a path.
pub(super) fn holder<'v>(value: &'v Value, path: &FieldPath) -> Option<&'v Map<String, Value>> {
    let (_, above) = path.segments().split_last()?;
    let holder = above.iter().try_fold(value, |value, name| value.get(name));
    holder.and_then(Value::as_object)
}

/// Puts a value at a path, and objects above it where there is nothing; takes it away with `None`.
///
/// What stands in the way and is no object stays, and so does what is there.
pub(super) fn put(value: &mut Value, path: &FieldPath, put: Option<Value>) -> Option<Value> {
    let (name, above) = path.segments().split_last()?;
    let mut holder = value;
    for name in above {
        let members = holder.as_object_mut()?;
        holder = match put {
            Some(_) => members
                .entry(name.clone())
                .or_insert_with(|| Value::Object(Map::new())),
            None => members.get_mut(name)?,
        };
    }
    let members = holder.as_object_mut()?;
    match put {
        Some(value) => members.insert(name.clone(), value),
        None => members.remove(name),
    }
}
