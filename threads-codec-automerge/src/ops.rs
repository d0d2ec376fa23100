//! The operations of a change, out of its columns.

use std::sync::Arc;

use crate::columns::{Fault, Reader, booleans, counted, deltas, every, texts, unsigned};
use crate::limits::{
    COUNTER_MAX, EVENT_NAME_BYTES_MAX, EVENT_OPS_MAX, EVENT_PREDS_MAX, INCREMENT_MAX, OP_NUMBER_MAX,
};

/// The name of an operation within a change: which of the change's actors made it, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) actor: usize,
    pub(crate) number: u64,
}

/// Where in its object an operation does something.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    Name(Arc<str>),
    /// Before the first element.
    Head,
    Element(Id),
}

/// What an operation does, as far as others may refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Map,
    List,
    Text,
    Value,
    Counter,
    Delete,
    Increment,
}

impl Kind {
    /// Whether it ends or changes what is there, and is nothing by itself that others may refer to.
    pub(crate) fn ends(self) -> bool {
        matches!(self, Self::Delete | Self::Increment)
    }
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    /// The object; `None` is the document.
    pub(crate) object: Option<Id>,
    pub(crate) key: Key,
    pub(crate) insert: bool,
    pub(crate) kind: Kind,
    pub(crate) preds: Vec<Id>,
}

/// The columns that a change may have, by their numbers in Automerge's format, in order.
pub(crate) const COLUMNS: [u64; 14] = [
    0x01, 0x02, 0x11, 0x13, 0x15, 0x34, 0x42, 0x56, 0x57, 0x70, 0x71, 0x73, 0x94, 0xa5,
];
const OBJECT_ACTOR: usize = 0;
const OBJECT_NUMBER: usize = 1;
const KEY_ACTOR: usize = 2;
const KEY_NUMBER: usize = 3;
const KEY_NAME: usize = 4;
const INSERT: usize = 5;
const ACTION: usize = 6;
const VALUE_KIND: usize = 7;
const VALUE: usize = 8;
const PREDS: usize = 9;
const PRED_ACTOR: usize = 10;
const PRED_NUMBER: usize = 11;
const EXPAND: usize = 12;
const MARK: usize = 13;

/// Reads the operations; the first has the number `start`.
pub(crate) fn decode(reader: &mut Reader<'_>, start: u64, actors: usize) -> Result<Vec<Op>, Fault> {
    let columns = columns(reader)?;
    if !columns[EXPAND].is_empty() || !columns[MARK].is_empty() {
        return Err("it has marks, which this version does not know");
    }
    let actions = counted(columns[ACTION], EVENT_OPS_MAX)?;
    let rows = actions.len();
    let ids = |actor: usize, number: usize| -> Result<_, Fault> {
        let actors = unsigned(columns[actor], rows)?;
        Ok(actors.into_iter().zip(unsigned(columns[number], rows)?))
    };
    let mut objects = ids(OBJECT_ACTOR, OBJECT_NUMBER)?;
    let mut key_actors = unsigned(columns[KEY_ACTOR], rows)?.into_iter();
    let mut key_numbers = deltas(columns[KEY_NUMBER], rows)?.into_iter();
    let mut names = texts(columns[KEY_NAME], rows, EVENT_NAME_BYTES_MAX)?.into_iter();
    let mut inserts = booleans(columns[INSERT], rows)?.into_iter();
    let mut kinds = every(columns[VALUE_KIND], rows)?.into_iter();
    let mut values = Reader::new(columns[VALUE]);
    let mut preds = preds(&columns, rows, actors)?.into_iter();
    let mut ops = Vec::with_capacity(rows);
    for (action, own) in actions.into_iter().zip(start..) {
        let value = value(kinds.next().unwrap_or_default(), &mut values)?;
        let (actor, number) = objects.next().unwrap_or_default();
        let key = (
            key_actors.next().flatten(),
            key_numbers.next().flatten(),
            names.next().flatten(),
        );
        let op = Op {
            object: id(actor, number, actors)?,
            key: self::key(key, actors)?,
            insert: inserts.next().unwrap_or_default(),
            kind: kind(action, value)?,
            preds: preds.next().unwrap_or_default(),
        };
        check(&op, own)?;
        ops.push(op);
    }
    match values.is_empty() && start + rows as u64 <= OP_NUMBER_MAX {
        true => Ok(ops),
        false => Err("its values do not fit its operations"),
    }
}

/// The bytes of each column of [`COLUMNS`].
fn columns<'a>(reader: &mut Reader<'a>) -> Result<[&'a [u8]; 14], Fault> {
    let mut lengths = [0_usize; 14];
    let mut from = 0;
    let count = reader.unsigned()?;
    if count > COLUMNS.len() as u64 {
        return Err("it has too many columns");
    }
    for _ in 0..count {
        let spec = reader.unsigned()?;
        let at = COLUMNS[from..].iter().position(|column| *column == spec);
        let at = from + at.ok_or("it has a column that this version does not know")?;
        lengths[at] = usize::try_from(reader.unsigned()?).map_err(|_| "it is cut off")?;
        from = at + 1;
    }
    let mut columns: [&[u8]; 14] = [&[]; 14];
    for (column, len) in columns.iter_mut().zip(lengths) {
        *column = reader.take(len)?;
    }
    Ok(columns)
}

fn preds(columns: &[&[u8]; 14], rows: usize, actors: usize) -> Result<Vec<Vec<Id>>, Fault> {
    let counts = every(columns[PREDS], rows)?;
    let all = counts
        .iter()
        .fold(0, |all: u64, count| all.saturating_add(*count));
    let all = usize::try_from(all)
        .ok()
        .filter(|all| *all <= EVENT_PREDS_MAX);
    let all = all.ok_or("its operations have too many predecessors")?;
    let pred_actors = unsigned(columns[PRED_ACTOR], all)?.into_iter();
    let mut ids = pred_actors.zip(deltas(columns[PRED_NUMBER], all)?);
    let mut each = Vec::with_capacity(rows);
    for count in counts {
        let mut preds = Vec::new();
        for (actor, number) in ids.by_ref().take(count as usize) {
            let number = number.and_then(|number| u64::try_from(number).ok());
            preds.push(id(actor, number, actors)?.ok_or("a predecessor has no number")?);
        }
        each.push(preds);
    }
    Ok(each)
}

fn id(actor: Option<u64>, number: Option<u64>, actors: usize) -> Result<Option<Id>, Fault> {
    match (actor, number) {
        (None, None) => Ok(None),
        (Some(actor), Some(number @ 1..=OP_NUMBER_MAX)) if actor < actors as u64 => Ok(Some(Id {
            actor: actor as usize,
            number,
        })),
        _ => Err("it refers to an operation that cannot be"),
    }
}

fn key(key: (Option<u64>, Option<i64>, Option<Arc<str>>), actors: usize) -> Result<Key, Fault> {
    match key {
        (None, None, Some(name)) => Ok(Key::Name(name)),
        (None, Some(0), None) => Ok(Key::Head),
        (Some(actor), Some(number), None) => {
            let element = id(Some(actor), u64::try_from(number).ok(), actors)?;
            element.map(Key::Element).ok_or("an operation has no place")
        }
        _ => Err("an operation has no place"),
    }
}

/// What a value is, as far as operations care.
enum Value {
    Null,
    Integer(i64),
    Counter(i64),
    Other,
}

/// Reads a value: its kind is in the low four bits, its length in the others.
fn value(kind: u64, values: &mut Reader<'_>) -> Result<Value, Fault> {
    let len = usize::try_from(kind >> 4).map_err(|_| "it is cut off")?;
    let bytes = values.take(len)?;
    let mut reader = Reader::new(bytes);
    let value = match kind & 15 {
        0 => Value::Null,
        1 | 2 => Value::Other,
        3 => i64::try_from(reader.unsigned()?).map_or(Value::Other, Value::Integer),
        4 => Value::Integer(reader.signed()?),
        5 => {
            reader.take(8)?;
            Value::Other
        }
        6 => {
            std::str::from_utf8(reader.take(len)?).map_err(|_| "a text is not UTF-8")?;
            Value::Other
        }
        7 => {
            reader.take(len)?;
            Value::Other
        }
        8 => Value::Counter(reader.signed()?),
        9 => {
            reader.signed()?;
            Value::Other
        }
        _ => return Err("it has a kind of value that this version does not know"),
    };
    match reader.is_empty() {
        true => Ok(value),
        false => Err("a value has another length than its kind"),
    }
}

fn kind(action: u64, value: Value) -> Result<Kind, Fault> {
    match (action, value) {
        (0, Value::Null) => Ok(Kind::Map),
        (2, Value::Null) => Ok(Kind::List),
        (4, Value::Null) => Ok(Kind::Text),
        (3, Value::Null) => Ok(Kind::Delete),
        (1, Value::Counter(value)) if !(-COUNTER_MAX..=COUNTER_MAX).contains(&value) => {
            Err("a counter is out of bounds")
        }
        (1, Value::Counter(_)) => Ok(Kind::Counter),
        (1, _) => Ok(Kind::Value),
        (5, Value::Integer(by)) if (-INCREMENT_MAX..=INCREMENT_MAX).contains(&by) => {
            Ok(Kind::Increment)
        }
        (5, _) => Err("an increment is out of bounds"),
        _ => Err("it has a kind of operation that this version does not know"),
    }
}

/// What must hold of an operation by itself: it refers to earlier ones only, and inserts what can
/// be inserted.
fn check(op: &Op, own: u64) -> Result<(), Fault> {
    let element = match &op.key {
        Key::Element(id) => Some(id),
        Key::Name(_) | Key::Head => None,
    };
    let referred = op.object.iter().chain(element).chain(&op.preds);
    if referred.into_iter().any(|id| id.number >= own) {
        return Err("an operation refers to a later one");
    }
    let fits = match (&op.key, op.insert) {
        (Key::Name(_), insert) => !insert,
        (Key::Head, insert) => insert,
        (Key::Element(_), _) => true,
    };
    let mut preds: Vec<_> = op.preds.iter().map(|id| (id.number, id.actor)).collect();
    preds.sort_unstable();
    if preds.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("an operation has a predecessor twice");
    }
    let ends = op.kind.ends();
    match fits && (!op.insert || (op.preds.is_empty() && !ends)) && !(ends && op.preds.is_empty()) {
        true => Ok(()),
        false => Err("an operation does what its kind does not"),
    }
}
