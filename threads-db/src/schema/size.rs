//! How large a schema or an entity is, found without recursion.

use serde_json::Value;
use threads_core::{Error, Result};

use super::{SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX};

/// Refuses a schema that is too deep or too long. Depth comes first: writing it out recurses.
pub(super) fn check(schema: &Value) -> Result<()> {
    if values_in(schema, SCHEMA_DEPTH_MAX).is_none() {
        return Err(
            Error::invalid("the schema is nested too deeply: move parts into $defs")
                .with("most", SCHEMA_DEPTH_MAX),
        );
    }
    let bytes = schema.to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        return Err(
            Error::invalid("the schema is too large: share or drop parts")
                .with("bytes", bytes)
                .with("most", SCHEMA_BYTES_MAX),
        );
    }
    Ok(())
}

/// How many values `value` holds, itself included; `None` when it nests deeper than `depth_max`.
pub(crate) fn values_in(value: &Value, depth_max: usize) -> Option<usize> {
    let mut waiting = vec![(value, 1)];
    let mut count = 0;
    while let Some((value, depth)) = waiting.pop() {
        count += 1;
        let deeper = match value {
            Value::Array(items) => Some(items.iter().map(|item| (item, depth + 1)).collect()),
            Value::Object(members) => {
                Some(members.values().map(|item| (item, depth + 1)).collect())
            }
            _ => None,
        };
        let Some(mut deeper): Option<Vec<_>> = deeper else {
            continue;
        };
        if depth > depth_max {
            return None;
        }
        waiting.append(&mut deeper);
    }
    Some(count)
}
