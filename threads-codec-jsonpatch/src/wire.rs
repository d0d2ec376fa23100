//! Events as bytes: canonical DAG-CBOR, one encoding each.
//!
//! `[0, document]` creates, `[1, document]` replaces, `[2, [operation, …]]` patches. An operation
//! is `[0, path, value]` (add), `[1, path]` (remove) or `[2, path, value]` (replace).

use std::borrow::Borrow;

use serde::{Serialize, Serializer};
use serde_json::Value;
use threads_core::{Error, ErrorKind, Result};

use crate::cbor::{self, Fault};
use crate::document::Members;
use crate::limits::{
    DOCUMENT_DEPTH_MAX, DOCUMENT_VALUES_MAX, EVENT_BYTES_MAX, EVENT_OPS_MAX, Excess,
};

const CREATE: u64 = 0;
const REPLACE: u64 = 1;
const PATCH: u64 = 2;

const OP_ADD: u64 = 0;
const OP_REMOVE: u64 = 1;
const OP_REPLACE: u64 = 2;

/// The levels and values that an event adds around the documents in it.
const EVENT_DEPTH_MAX: usize = DOCUMENT_DEPTH_MAX + 3;
const EVENT_VALUES_MAX: usize = DOCUMENT_VALUES_MAX + 4 * EVENT_OPS_MAX;

/// A decoded event. `V` is how the values are held.
pub(crate) enum Event<V = Value> {
    Create(Members),
    Replace(Members),
    Patch(Vec<Op<V>>),
}

/// One change at one place, which a JSON Pointer (RFC 6901) names.
#[derive(Debug, PartialEq)]
pub(crate) enum Op<V = Value> {
    Add(String, V),
    Remove(String),
    Replace(String, V),
}

impl<V: Borrow<Value>> Serialize for Op<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Add(path, value) => (OP_ADD, path, value.borrow()).serialize(serializer),
            Self::Remove(path) => (OP_REMOVE, path).serialize(serializer),
            Self::Replace(path, value) => (OP_REPLACE, path, value.borrow()).serialize(serializer),
        }
    }
}

/// The bytes of an event that creates `document`.
pub(crate) fn create(document: &Members) -> Result<Vec<u8>> {
    encode(&(CREATE, document))
}

/// The bytes of an event that replaces whatever there is by `document`.
pub(crate) fn replace(document: &Members) -> Result<Vec<u8>> {
    encode(&(REPLACE, document))
}

/// The bytes of an event that carries out `ops` in order.
pub(crate) fn patch(ops: &[Op<&Value>]) -> Result<Vec<u8>> {
    encode(&(PATCH, ops))
}

fn encode(event: &impl Serialize) -> Result<Vec<u8>> {
    let bytes = serde_ipld_dagcbor::to_vec(event)
        .map_err(|error| Error::invalid("a change cannot be encoded").caused_by(error))?;
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(
            Error::invalid("a change is too large for one event: make it in parts")
                .with("bytes", bytes.len())
                .with("most", EVENT_BYTES_MAX),
        );
    }
    Ok(bytes)
}

/// The event that `bytes` encode, if they are what [`create`], [`replace`] or [`patch`] write.
pub(crate) fn decode(bytes: &[u8]) -> Result<Event> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(Error::rejected("an event is too large")
            .with("bytes", bytes.len())
            .with("most", EVENT_BYTES_MAX));
    }
    let value =
        cbor::read(bytes, EVENT_DEPTH_MAX, EVENT_VALUES_MAX).map_err(|fault| match fault {
            Fault::Excess(excess) => excess.error(ErrorKind::Rejected),
            _ => Error::rejected("an event is not canonical DAG-CBOR").caused_by(fault),
        })?;
    event(value)
}

fn event(value: Value) -> Result<Event> {
    let Value::Array(parts) = value else {
        return Err(malformed("an event is not a list"));
    };
    let Ok([kind, payload]) = <[Value; 2]>::try_from(parts) else {
        return Err(malformed("an event does not have two parts"));
    };
    match (kind.as_u64(), payload) {
        (Some(CREATE), Value::Object(document)) => Ok(Event::Create(document)),
        (Some(REPLACE), Value::Object(document)) => Ok(Event::Replace(document)),
        (Some(PATCH), Value::Array(list)) if list.is_empty() => {
            Err(malformed("a patch has no operation"))
        }
        (Some(PATCH), Value::Array(list)) if list.len() > EVENT_OPS_MAX => {
            Err(malformed("a patch has too many operations").with("most", EVENT_OPS_MAX))
        }
        (Some(PATCH), Value::Array(list)) => list
            .into_iter()
            .map(op)
            .collect::<Result<_>>()
            .map(Event::Patch),
        _ => Err(malformed("an event is of no known kind")),
    }
}

fn op(value: Value) -> Result<Op> {
    let Value::Array(parts) = value else {
        return Err(malformed("an operation is not a list"));
    };
    let mut parts = parts.into_iter();
    let parts = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(code), Some(Value::String(path)), value, None) = parts else {
        return Err(malformed(
            "an operation is not [code, path] or [code, path, value]",
        ));
    };
    check(&path)?;
    match (code.as_u64(), value) {
        (Some(OP_ADD), Some(value)) => Ok(Op::Add(path, value)),
        (Some(OP_REMOVE), None) => Ok(Op::Remove(path)),
        (Some(OP_REPLACE), Some(value)) => Ok(Op::Replace(path, value)),
        _ => Err(malformed("an operation is of no known kind")),
    }
}

/// A path names a place inside the document, not the document itself, in one spelling.
fn check(path: &str) -> Result<()> {
    let escapes_end = path
        .split('~')
        .skip(1)
        .all(|rest| rest.starts_with(['0', '1']));
    if !path.starts_with('/') || !escapes_end {
        return Err(malformed("a path is not a JSON Pointer into the document"));
    }
    if path.matches('/').count() > DOCUMENT_DEPTH_MAX {
        return Err(Excess::Depth.error(ErrorKind::Rejected));
    }
    Ok(())
}

fn malformed(message: &'static str) -> Error {
    Error::rejected(message)
}

/// The encoded length of `value`.
pub(crate) fn value_len(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => head_len(n),
            (None, Some(n)) => head_len(!n.cast_unsigned()),
            (None, None) => 9,
        },
        Value::String(text) => text_len(text.len()),
        Value::Array(elements) => list_len(elements.len(), elements.iter().map(value_len).sum()),
        Value::Object(members) => document_len(members),
    }
}

/// The encoded length of an object.
pub(crate) fn document_len(members: &Members) -> usize {
    let each = members
        .iter()
        .map(|(name, value)| text_len(name.len()) + value_len(value));
    list_len(members.len(), each.sum())
}

/// The encoded length of a list of `count` items that are `bytes` long together.
pub(crate) fn list_len(count: usize, bytes: usize) -> usize {
    head_len(count as u64) + bytes
}

/// The encoded length of an operation whose path has `path_bytes` bytes.
pub(crate) fn op_len(path_bytes: usize, value: Option<&Value>) -> usize {
    2 + text_len(path_bytes) + value.map_or(0, value_len)
}

fn text_len(bytes: usize) -> usize {
    head_len(bytes as u64) + bytes
}

fn head_len(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}
