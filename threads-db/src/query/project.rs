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
pub(super) struct Projection<'p> {
    whole: bool,
    parts: BTreeMap<&'p str, Self>,
}

impl<'p> Projection<'p> {
    pub(super) fn new(paths: &'p [FieldPath]) -> Self {
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

    pub(super) fn apply(&self, value: &Value) -> Value {
        self.select(value, false)
            .unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// `names_only` inside an array, where a number has had its one meaning.
    fn select(&self, value: &Value, names_only: bool) -> Option<Value> {
        if self.whole {
            return Some(value.clone());
        }
        match value {
            Value::Object(members) => {
                let parts = self
                    .parts
                    .iter()
                    .filter(|(name, _)| !names_only || is_name(name));
                let selected: Map<String, Value> = parts
                    .filter_map(|(name, part)| {
                        let member = part.select(members.get(*name)?, false)?;
                        Some(((*name).to_owned(), member))
                    })
                    .collect();
                (!selected.is_empty()).then_some(Value::Object(selected))
            }
            Value::Array(items) => {
                let selected: Vec<Value> = items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| match self.part_at(index, names_only) {
                        Some(part) => part.select(item, false).or_else(|| self.select(item, true)),
                        None => self.select(item, true),
                    })
                    .collect();
                (!selected.is_empty()).then_some(Value::Array(selected))
            }
            _ => None,
        }
    }

    fn part_at(&self, index: usize, names_only: bool) -> Option<&Self> {
        if names_only || !self.parts.keys().any(|name| !is_name(name)) {
            return None;
        }
        self.parts.get(index.to_string().as_str())
    }
}

fn is_name(segment: &str) -> bool {
    array_index(segment).is_none()
}
