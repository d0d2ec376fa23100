//! The bounds of events and states. They decide what every peer accepts, so they are part of the
//! format: another bound is another codec id.

use serde_json::{Map, Value};

/// The longest event: 1 MiB (1,048,576 bytes) of text.
///
/// ```
/// assert_eq!(threads_codec_lww::EVENT_BYTES_MAX, 1_048_576);
/// ```
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The longest state: 1 MiB (1,048,576 bytes), the document and what is counted of its members. A
/// member that was removed leaves its name and a number behind.
///
/// ```
/// assert_eq!(threads_codec_lww::STATE_BYTES_MAX, 1_048_576);
/// ```
pub const STATE_BYTES_MAX: usize = 1 << 20;

/// The deepest nesting of objects and lists; the document itself is level 1.
///
/// ```
/// assert_eq!(threads_codec_lww::DOCUMENT_DEPTH_MAX, 64);
/// ```
pub const DOCUMENT_DEPTH_MAX: usize = 64;

/// Whether members nest no deeper than a document may.
pub(crate) fn are_shallow(members: &Map<String, Value>) -> bool {
    members
        .values()
        .all(|value| is_within(value, DOCUMENT_DEPTH_MAX - 1))
}

/// Looks no deeper than `levels`, so it needs little stack.
fn is_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => false,
        Value::Array(items) => items.iter().all(|item| is_within(item, levels - 1)),
        Value::Object(members) => members.values().all(|item| is_within(item, levels - 1)),
        _ => true,
    }
}
