//! Which fields an entity can have, where a schema says so.

use std::collections::BTreeSet;

use serde_json::Value;
use threads_core::{Error, FieldPath, Result};

/// Keywords beside `properties` that can allow further members.
const OTHERS: [&str; 9] = [
    "patternProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "unevaluatedProperties",
];

/// The names of all members that `schema` allows, when it lists them.
pub(super) fn listed(schema: &Value) -> Option<BTreeSet<String>> {
    let schema = schema.as_object()?;
    if schema.get("additionalProperties") != Some(&Value::Bool(false))
        || OTHERS.iter().any(|keyword| schema.contains_key(*keyword))
    {
        return None;
    }
    let mut fields: BTreeSet<_> = schema
        .get("properties")?
        .as_object()?
        .keys()
        .cloned()
        .collect();
    fields.insert("_id".to_owned());
    Some(fields)
}

/// Refuses a path whose first segment is none of `fields`.
pub(super) fn check(fields: &BTreeSet<String>, path: &FieldPath) -> Result<()> {
    let first = path.segments().first().map_or("", String::as_str);
    if fields.contains(first) {
        return Ok(());
    }
    let known: Vec<_> = fields.iter().map(String::as_str).collect();
    Err(
        Error::not_found("no such field: the schema does not allow it")
            .with("field", path)
            .with("fields", known.join(" ")),
    )
}
