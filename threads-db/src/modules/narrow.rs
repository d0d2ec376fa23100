//! Narrowing: what a filter on entities as a version sees them says of what is stored.

use serde_json::{Map, Value};
use threads_core::FieldPath;
use threads_core::module::{Lens, StoredAt};

use crate::query::Filter;

/// A filter that everything stored meets which `filter` finds, and perhaps more: so that indexes
/// find it, and the version looks at few. `None` when it says nothing.
pub(super) fn narrowed(lens: &Lens, filter: Option<&Filter>) -> Option<Filter> {
    let (narrow, _) = narrow(lens, filter?);
    (narrow != anything() && narrow.check().is_ok()).then_some(narrow)
}

fn anything() -> Filter {
    Filter::And(Vec::new())
}

/// The narrower filter, and whether it finds exactly the same.
fn narrow(lens: &Lens, filter: &Filter) -> (Filter, bool) {
    let all = |parts: &[Filter]| {
        let parts: Vec<_> = parts.iter().map(|part| narrow(lens, part)).collect();
        let exact = parts.iter().all(|(_, exact)| *exact);
        (
            parts.into_iter().map(|(part, _)| part).collect::<Vec<_>>(),
            exact,
        )
    };
    match filter {
        Filter::And(parts) => {
            let (mut parts, exact) = all(parts);
            parts.retain(|part| *part != anything());
            (Filter::all(parts), exact)
        }
        Filter::Or(parts) => {
            let (parts, exact) = all(parts);
            match parts.contains(&anything()) {
                true => (anything(), exact),
                false => (Filter::any(parts), exact),
            }
        }
        Filter::Not(inner) => match narrow(lens, inner) {
            (inner, true) => (Filter::Not(Box::new(inner)), true),
            _ => (anything(), false),
        },
        leaf => condition(lens, leaf),
    }
}

fn condition(lens: &Lens, leaf: &Filter) -> (Filter, bool) {
    let compared_whole = values(leaf).any(holds_object);
    let Some(path) = leaf.paths().first().copied().filter(|_| !compared_whole) else {
        return (anything(), false);
    };
    match lens.stored_at(path) {
        // A member that is missing meets no condition.
        StoredAt::Nowhere => (Filter::Or(Vec::new()), true),
        StoredAt::Path { path, default } => {
            let there = with_path(leaf, &path);
            let shown = default.is_some_and(|default| {
                let nested = |value: Value, name: &String| {
                    Value::Object(Map::from_iter([(name.clone(), value)]))
                };
                let entity = path.segments().iter().rev().fold(default, nested);
                there.matches(&entity)
            });
            match shown {
                true => {
                    let missing = Filter::Not(Box::new(Filter::Exists { path }));
                    (there.or(missing), true)
                }
                false => (there, true),
            }
        }
        _ => (anything(), false),
    }
}

/// The values that a condition compares with.
fn values(leaf: &Filter) -> impl Iterator<Item = &Value> {
    let (one, several) = match leaf {
        Filter::Compare { value, .. } | Filter::Contains { value, .. } => (Some(value), &[][..]),
        Filter::In { values, .. } | Filter::NotIn { values, .. } => (None, &values[..]),
        _ => (None, &[][..]),
    };
    one.into_iter().chain(several)
}

/// Whether members that the version does not know would make a difference.
fn holds_object(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(holds_object),
        _ => false,
    }
}

/// The same condition on another field.
fn with_path(leaf: &Filter, to: &FieldPath) -> Filter {
    let mut leaf = leaf.clone();
    if let Filter::Compare { path, .. }
    | Filter::In { path, .. }
    | Filter::NotIn { path, .. }
    | Filter::Contains { path, .. }
    | Filter::StartsWith { path, .. }
    | Filter::Exists { path } = &mut leaf
    {
        path.clone_from(to);
    }
    leaf
}
