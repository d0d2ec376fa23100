//! The part of an entity that a query asks for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use threads_core::FieldPath;

use super::walk::array_index;

/// The fields of `value` at `paths`, at their places, and its `_id`.
///
/// With no paths, all of it. A field that is missing is left out. Over an array, a name selects
/// from each element and leaves out those without it; a number selects one element.
///
/// ```
/// use serde_json::json;
/// use threads_db::query::project;
///
/// let person = json!({"_id": "a", "name": "Ann", "home": {"city": "Rome", "zip": 1}});
/// let paths = ["home.city".parse().unwrap(), "age".parse().unwrap()];
/// assert_eq!(project(&person, &paths), json!({"_id": "a", "home": {"city": "Rome"}}));
/// ```
pub fn project(value: &Value, paths: &[FieldPath]) -> Value {
    if paths.is_empty() {
        return value.clone();
    }
    Projection::new(paths).apply(value)
}

/// Paths made ready to be applied many times: a tree of names.
#[derive(Debug, Default)]
pub(crate) struct Projection<'p> {
    whole: bool,
    parts: BTreeMap<&'p str, Self>,
}

impl<'p> Projection<'p> {
    pub(crate) fn new(paths: &'p [FieldPath]) -> Self {
        let mut root = Self::default();
        root.parts.insert(
            "_id",
            Self {
                whole: true,
                ..Self::default()
            },
        );
        for path in paths {
            let mut part = &mut root;
            for segment in path.segments() {
                part = part.parts.entry(segment).or_default();
            }
            part.whole = true;
        }
        root
    }

    pub(crate) fn apply(&self, value: &Value) -> Value {
        let at = At {
            part: self,
            names_only: false,
        };
        select(value, &[at]).unwrap_or_else(|| Value::Object(Map::new()))
    }
}

/// Where the paths are, that have led to a value: over an array, a path with a name stays where
/// it is for each element, so there can be several.
#[derive(Clone, Copy)]
struct At<'p> {
    part: &'p Projection<'p>,
    /// Inside an array, where a number has had its one meaning.
    names_only: bool,
}

impl<'p> At<'p> {
    fn member(self, name: &str) -> Option<Self> {
        if self.names_only && array_index(name).is_some() {
            return None;
        }
        self.part.parts.get(name).map(|part| Self {
            part,
            names_only: false,
        })
    }

    fn element(self, index: &str) -> impl Iterator<Item = Self> {
        let picked = if self.names_only {
            None
        } else {
            self.member(index)
        };
        picked.into_iter().chain([Self {
            part: self.part,
            names_only: true,
        }])
    }
}

/// The part of `value` that the paths lead to, if any.
fn select(value: &Value, at: &[At<'_>]) -> Option<Value> {
    if at.is_empty() {
        return None;
    }
    if at.iter().any(|at| at.part.whole) {
        return Some(value.clone());
    }
    match value {
        Value::Object(members) => {
            let selected = members.iter().filter_map(|(name, member)| {
                let at: Vec<_> = at.iter().filter_map(|at| at.member(name)).collect();
                Some((name.clone(), select(member, &at)?))
            });
            let selected: Map<String, Value> = selected.collect();
            (!selected.is_empty()).then_some(Value::Object(selected))
        }
        Value::Array(items) => {
            let selected = items.iter().enumerate().filter_map(|(index, item)| {
                let index = index.to_string();
                let at: Vec<_> = at.iter().flat_map(|at| at.element(&index)).collect();
                select(item, &at)
            });
            let selected: Vec<Value> = selected.collect();
            (!selected.is_empty()).then_some(Value::Array(selected))
        }
        _ => None,
    }
}
