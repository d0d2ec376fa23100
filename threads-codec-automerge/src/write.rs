//! A change as bytes, as Automerge writes it: to the byte, since its name is a hash of them. What
//! [`columns`](crate::columns) and [`ops`](crate::ops) read is written here.

use automerge::ScalarValue;

use crate::change::Hash;
use crate::ops::{COLUMNS, Id, Key, Kind, Op};

/// An unsigned LEB128 number.
pub(crate) fn unsigned(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A signed LEB128 number.
fn signed(mut number: i64, bytes: &mut Vec<u8>) {
    // Done when what is left is the sign of the last byte.
    while !(-0x40..0x40).contains(&number) {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8 & 0x7f);
}

/// A length, and so many bytes.
fn prefixed(text: &[u8], bytes: &mut Vec<u8>) {
    unsigned(text.len() as u64, bytes);
    bytes.extend_from_slice(text);
}

/// What is written of a change. Its turn is the first of its actor; it has no time and no message.
pub(crate) struct Draft<'a> {
    pub(crate) deps: Vec<Hash>,
    pub(crate) start: u64,
    /// The actors that its operations refer to by number; the first is its own.
    pub(crate) actors: Vec<&'a [u8]>,
    /// In maps only.
    pub(crate) ops: Vec<Op>,
    /// The value of each operation.
    pub(crate) values: Vec<ScalarValue>,
}

/// The contents of the chunk of a change.
pub(crate) fn contents(draft: &Draft<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    unsigned(draft.deps.len() as u64, &mut bytes);
    draft
        .deps
        .iter()
        .for_each(|dep| bytes.extend_from_slice(dep));
    let mut actors = draft.actors.iter();
    actors
        .next()
        .into_iter()
        .for_each(|own| prefixed(own, &mut bytes));
    unsigned(1, &mut bytes);
    unsigned(draft.start, &mut bytes);
    signed(0, &mut bytes);
    prefixed(&[], &mut bytes);
    unsigned(actors.len() as u64, &mut bytes);
    actors.for_each(|actor| prefixed(actor, &mut bytes));
    let columns = columns(&draft.ops, &draft.values);
    let columns = COLUMNS.iter().zip(&columns);
    let columns = columns.filter(|(_, column)| !column.is_empty());
    unsigned(columns.clone().count() as u64, &mut bytes);
    for (number, column) in columns.clone() {
        unsigned(*number, &mut bytes);
        unsigned(column.len() as u64, &mut bytes);
    }
    columns.for_each(|(_, column)| bytes.extend_from_slice(column));
    bytes
}

/// The bytes of each column of [`COLUMNS`].
fn columns(ops: &[Op], values: &[ScalarValue]) -> [Vec<u8>; 14] {
    let objects = ops.iter().map(|op| op.object);
    let preds = || ops.iter().flat_map(|op| &op.preds);
    let (mut kinds, mut raw) = (Vec::with_capacity(ops.len()), Vec::new());
    kinds.extend(
        values
            .iter()
            .map(|value| Some(self::value(value, &mut raw))),
    );
    let name = |op| match op {
        &Op {
            key: Key::Name(ref name),
            ..
        } => Some(name.as_ref()),
        _ => None,
    };
    let number = |number: &u64, bytes: &mut Vec<u8>| unsigned(*number, bytes);
    let signed = |number: &i64, bytes: &mut Vec<u8>| signed(*number, bytes);
    let text = |text: &&str, bytes: &mut Vec<u8>| prefixed(text.as_bytes(), bytes);
    let actor = |id: Id| id.actor as u64;
    [
        runs(objects.clone().map(|id| id.map(actor)), number),
        runs(objects.map(|id| id.map(|id| id.number)), number),
        Vec::new(),
        Vec::new(),
        runs(ops.iter().map(name), text),
        none_inserted(ops.len()),
        runs(ops.iter().map(|op| Some(action(op.kind))), number),
        runs(kinds.into_iter(), number),
        raw,
        runs(ops.iter().map(|op| Some(op.preds.len() as u64)), number),
        runs(preds().map(|id| Some(actor(*id))), number),
        runs(deltas(preds().map(|id| id.number)), signed),
        Vec::new(),
        Vec::new(),
    ]
}

fn action(kind: Kind) -> u64 {
    match kind {
        Kind::Map => 0,
        Kind::Value | Kind::Counter => 1,
        Kind::List => 2,
        Kind::Delete => 3,
        Kind::Text => 4,
        Kind::Increment => 5,
    }
}

/// Writes a value, and gives its kind, in the low four bits, and its length, in the others.
fn value(value: &ScalarValue, bytes: &mut Vec<u8>) -> u64 {
    let before = bytes.len();
    let kind = match value {
        ScalarValue::Null => 0,
        ScalarValue::Boolean(value) => 1 + u64::from(*value),
        ScalarValue::Uint(value) => {
            unsigned(*value, bytes);
            3
        }
        ScalarValue::Int(value) => {
            signed(*value, bytes);
            4
        }
        ScalarValue::F64(value) => {
            bytes.extend_from_slice(&value.to_le_bytes());
            5
        }
        ScalarValue::Str(text) => {
            bytes.extend_from_slice(text.as_bytes());
            6
        }
        ScalarValue::Bytes(value) => {
            bytes.extend_from_slice(value);
            7
        }
        ScalarValue::Counter(value) => {
            signed(value.into(), bytes);
            8
        }
        ScalarValue::Timestamp(value) => {
            signed(*value, bytes);
            9
        }
        ScalarValue::Unknown {
            type_code,
            bytes: value,
        } => {
            bytes.extend_from_slice(value);
            u64::from(*type_code)
        }
    };
    ((bytes.len() - before) as u64) << 4 | kind
}

/// How much more each number is than the one before.
fn deltas(numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = Option<i64>> {
    // Invariant: a number of an operation is below 2³⁰.
    let mut before = 0;
    numbers.map(move |number| {
        let number = number as i64;
        Some(number - std::mem::replace(&mut before, number))
    })
}

/// A column of truth values that are all false: how many there are.
fn none_inserted(rows: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    unsigned(rows as u64, &mut bytes);
    bytes
}

/// A column of values: each that stands there several times in a row once, with how often; others one
/// after the other, with how many; and of nothing how much. One of nothing alone has no bytes.
fn runs<T: PartialEq>(
    rows: impl Iterator<Item = Option<T>>,
    write: impl Fn(&T, &mut Vec<u8>),
) -> Vec<u8> {
    let rows: Vec<Option<T>> = rows.collect();
    let mut bytes = Vec::new();
    if rows.iter().all(Option::is_none) {
        return bytes;
    }
    let mut single: Vec<&T> = Vec::new();
    let flush = |single: &mut Vec<&T>, bytes: &mut Vec<u8>| {
        if !single.is_empty() {
            signed(-(single.len() as i64), bytes);
            single.drain(..).for_each(|value| write(value, bytes));
        }
    };
    for run in rows.chunk_by(PartialEq::eq) {
        match run {
            [Some(value)] => single.push(value),
            [Some(value), ..] => {
                flush(&mut single, &mut bytes);
                signed(run.len() as i64, &mut bytes);
                write(value, &mut bytes);
            }
            _ => {
                flush(&mut single, &mut bytes);
                signed(0, &mut bytes);
                unsigned(run.len() as u64, &mut bytes);
            }
        }
    }
    flush(&mut single, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use automerge::{Automerge, Change, ROOT, ReadDoc};

    use super::*;
    use crate::change;

    #[test]
    fn every_kind_of_value_is_read_back() {
        let values = [
            ScalarValue::Null,
            ScalarValue::Boolean(false),
            ScalarValue::Boolean(true),
            ScalarValue::Uint(u64::MAX),
            ScalarValue::Int(i64::MIN),
            ScalarValue::Int(64),
            ScalarValue::F64(1.5),
            ScalarValue::Str("名".into()),
            ScalarValue::Bytes(vec![0, 255]),
            ScalarValue::counter(-65),
            ScalarValue::Timestamp(-1),
            ScalarValue::Unknown {
                type_code: 15,
                bytes: vec![1, 2],
            },
        ];
        let op = |number: usize| Op {
            object: None,
            key: Key::Name(Arc::from(number.to_string())),
            insert: false,
            kind: Kind::Value,
            preds: vec![],
        };
        let draft = Draft {
            deps: vec![],
            start: 1,
            actors: vec![b"ann"],
            ops: (0..values.len()).map(op).collect(),
            values: values.to_vec(),
        };
        let (hash, bytes) = change::whole(&contents(&draft));
        let change = Change::from_bytes(bytes).unwrap();
        assert_eq!(change.hash().0, hash);
        let mut document = Automerge::new();
        document.apply_changes([change]).unwrap();
        for (number, value) in values.iter().enumerate() {
            let (found, _) = document.get(ROOT, number.to_string()).unwrap().unwrap();
            assert_eq!(found.as_scalar(), Some(value));
        }
    }
}
