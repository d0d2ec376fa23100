//! JSON documents: one canonical text each, bounded while it is written.

use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Map, Value};
use threads_core::codec::EntityState;
use threads_core::{Error, ErrorKind, Result};

use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_VALUES_MAX, Excess};

/// The members of a document.
pub(crate) type Members = Map<String, Value>;

/// An application's value as JSON, refused at the first byte that is too much.
pub(crate) fn read(value: &dyn erased_serde::Serialize) -> Result<Value> {
    let mut text = Bounded {
        inner: Vec::new(),
        left: DOCUMENT_BYTES_MAX,
    };
    write_text(value, &mut text, DOCUMENT_DEPTH_MAX).map_err(|error| {
        let excess = io::Error::from(error).downcast::<Excess>();
        excess.map_or_else(not_json, |excess| excess.error(ErrorKind::Invalid))
    })?;
    serde_json::from_slice(&text.inner).map_err(not_json)
}

/// `value` as a document, which is always an object.
pub(crate) fn members(value: Value) -> Result<Members> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Error::invalid(
            "an entity is a JSON object: wrap the value in one, such as {\"value\": …}",
        )),
    }
}

/// The document that a state holds.
pub(crate) fn open(state: &EntityState) -> Result<Members> {
    serde_json::from_slice(state.as_bytes()).map_err(|error| {
        Error::corrupt("the state of an entity is not a JSON object: rebuild it from its log")
            .caused_by(error)
    })
}

/// The canonical text of a document.
pub(crate) fn close(members: &Members) -> Result<Vec<u8>, Excess> {
    let mut text = Bounded {
        inner: Vec::new(),
        left: DOCUMENT_BYTES_MAX,
    };
    write_json(&SortedObject(members), &mut text, DOCUMENT_DEPTH_MAX)?;
    Ok(text.inner)
}

/// The length of the text of `value`, at most `bytes` long and `depth` deep.
pub(crate) fn measure(value: &Value, bytes: usize, depth: usize) -> Result<usize, Excess> {
    let mut text = Bounded {
        inner: io::sink(),
        left: bytes,
    };
    write_json(&Sorted(value), &mut text, depth)?;
    Ok(bytes - text.left)
}

/// The members of an object, sorted by name. They are sorted already unless some crate of the
/// build turns on serde_json's `preserve_order`; the format must not depend on that.
pub(crate) fn sorted(members: &Members) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members
}

fn not_json(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::invalid("a value cannot be written as JSON").caused_by(error)
}

fn write_json<W: io::Write>(
    json: &impl Serialize,
    to: &mut Bounded<W>,
    depth: usize,
) -> Result<(), Excess> {
    // JSON itself never fails to serialize and the sinks never fail to write: what is left is
    // our own excess, and running out of bytes is the one that is always safe to name.
    write_text(json, to, depth)
        .map_err(|error| io::Error::from(error).downcast().unwrap_or(Excess::Bytes))
}

fn write_text<W: io::Write>(
    value: &(impl Serialize + ?Sized),
    to: &mut Bounded<W>,
    depth: usize,
) -> serde_json::Result<()> {
    let shape = Shape {
        depth_left: depth,
        values_left: DOCUMENT_VALUES_MAX - 1,
    };
    value.serialize(&mut serde_json::Serializer::with_formatter(to, shape))
}

/// Writes a value, and the members of every object in it in order of name.
struct Sorted<'a>(&'a Value);

struct SortedObject<'a>(&'a Members);

impl Serialize for SortedObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            sorted(self.0)
                .into_iter()
                .map(|(name, v)| (name, Sorted(v))),
        )
    }
}

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => SortedObject(members).serialize(serializer),
            Value::Array(elements) => serializer.collect_seq(elements.iter().map(Sorted)),
            scalar => scalar.serialize(serializer),
        }
    }
}

/// A writer that refuses what does not fit.
struct Bounded<W> {
    inner: W,
    left: usize,
}

impl<W: io::Write> io::Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| refuse(Excess::Bytes))?;
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compact text that counts levels and values as they begin, before anything recurses further.
struct Shape {
    depth_left: usize,
    values_left: usize,
}

impl Shape {
    fn deeper(&mut self) -> io::Result<()> {
        self.depth_left = self
            .depth_left
            .checked_sub(1)
            .ok_or_else(|| refuse(Excess::Depth))?;
        Ok(())
    }

    fn one_more(&mut self) -> io::Result<()> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or_else(|| refuse(Excess::Values))?;
        Ok(())
    }
}

fn refuse(excess: Excess) -> io::Error {
    io::Error::other(excess)
}

impl Formatter for Shape {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth_left += 1;
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.one_more()?;
        CompactFormatter.begin_array_value(writer, first)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth_left += 1;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.one_more()?;
        CompactFormatter.begin_object_key(writer, first)
    }

    // Not serde_json's own spelling, which has changed between versions and may again.
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value:?}")
    }

    fn write_u128<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u128) -> io::Result<()> {
        let value = u64::try_from(value).map_err(|_| refuse(Excess::Integer))?;
        CompactFormatter.write_u64(writer, value)
    }

    fn write_i128<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => CompactFormatter.write_u64(writer, value),
            (_, Ok(value)) => CompactFormatter.write_i64(writer, value),
            _ => Err(refuse(Excess::Integer)),
        }
    }
}
