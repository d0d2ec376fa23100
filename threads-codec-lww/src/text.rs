//! JSON as text that is the same in every build.

use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use serde_json::{Map, Value};

/// The one text of a value.
pub(crate) fn text(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text, Compact,
    ))?;
    Ok(text)
}

/// Writes members in order of name, and those of every object inside. They are in order already unless
/// some crate of the build turns on serde_json's `preserve_order`, on which no format may depend.
pub(crate) fn sorted<S: Serializer>(
    members: &Map<String, Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    serializer.collect_map(
        members
            .into_iter()
            .map(|(name, value)| (name, Sorted(value))),
    )
}

/// The members of a document, written in order.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Members<'a>(
    #[serde(serialize_with = "sorted")] pub(crate) &'a Map<String, Value>,
);

struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => sorted(members, serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Sorted)),
            scalar => scalar.serialize(serializer),
        }
    }
}

/// No white space, and floats in Rust's own spelling: serde_json's has changed between versions.
struct Compact;

impl Formatter for Compact {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value:?}")
    }
}
