//! A document as it is read: what applications see, and where it is.

use std::collections::{BTreeMap, HashMap};
use std::io;

use automerge::{self as am, ObjId, ObjType, ReadDoc, ScalarValue, ValueRef};
use serde::ser::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::limits::DOCUMENT_DEPTH_MAX;
use crate::made::{Act, Step};
use crate::node::Node;

/// A value of a document.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Scalar(ScalarValue),
    Map(ObjId, BTreeMap<String, Self>),
    List(ObjId, Vec<Self>),
    Text(ObjId, String),
    /// Something that nests too deeply to be shown.
    Deep,
}

impl Seen {
    /// Reads a document.
    pub(crate) fn read(document: &am::Automerge) -> Self {
        object(document, ObjId::Root, ObjType::Map, 1)
    }

    /// Takes the steps that the document took.
    pub(crate) fn take(&mut self, steps: Vec<Step<'_>>) {
        let mut each: HashMap<&ObjId, Vec<Step<'_>>> = HashMap::new();
        for step in steps {
            each.entry(step.object).or_default().push(step);
        }
        self.take_each(&mut each);
    }

    /// Takes the steps that are of this object or of what it contains, out of those of all objects.
    fn take_each(&mut self, steps: &mut HashMap<&ObjId, Vec<Step<'_>>>) {
        if steps.is_empty() {
            return;
        }
        match self {
            Self::Map(id, members) => {
                let own = steps.remove(id).into_iter().flatten();
                own.for_each(|step| take_step(members, step));
                members.values_mut().for_each(|seen| seen.take_each(steps));
            }
            Self::List(_, elements) => {
                elements.iter_mut().for_each(|seen| seen.take_each(steps));
            }
            Self::Scalar(_) | Self::Text(..) | Self::Deep => {}
        }
    }

    /// Whether this is already what an application saves. A string is no other than the text that
    /// shows it, but a text is another thing than a string; and so with numbers and counters.
    pub(crate) fn is(&self, node: &Node) -> bool {
        match (self, node) {
            (Self::Deep, Node::Null) => true,
            (Self::Text(_, text), Node::String(node) | Node::Text(node)) => text == node,
            (Self::List(_, elements), Node::List(nodes)) => {
                elements.len() == nodes.len()
                    && elements.iter().zip(nodes).all(|(seen, node)| seen.is(node))
            }
            (Self::Map(_, members), Node::Map(nodes)) => {
                let same = |((name, seen), (other, node)): ((&String, &Self), (&String, &Node))| {
                    name == other && seen.is(node)
                };
                members.len() == nodes.len() && members.iter().zip(nodes).all(same)
            }
            (Self::Scalar(scalar), node) => is(scalar, node),
            _ => false,
        }
    }
}

fn take_step(members: &mut BTreeMap<String, Seen>, step: Step<'_>) {
    match step.act {
        Act::Put(value) => {
            members.insert(step.member.to_owned(), Seen::Scalar(value));
        }
        Act::Delete => {
            members.remove(step.member);
        }
        Act::Increment(by) => {
            let counter = members.get_mut(step.member);
            if let Some(Seen::Scalar(ScalarValue::Counter(counter))) = counter {
                // Invariant: no number of steps that there can be overflows.
                *counter = (i64::from(&*counter) + by).into();
            }
        }
    }
}

fn is(scalar: &ScalarValue, node: &Node) -> bool {
    match (scalar, node) {
        (ScalarValue::Null | ScalarValue::Unknown { .. }, Node::Null) => true,
        (ScalarValue::F64(value), Node::Null) => !value.is_finite(),
        (ScalarValue::F64(value), Node::Float(node)) => value == node,
        (ScalarValue::Boolean(value), Node::Bool(node)) => value == node,
        (ScalarValue::Str(text), Node::String(node)) => text == node,
        (ScalarValue::Int(value) | ScalarValue::Timestamp(value), Node::Integer(node)) => {
            value == node
        }
        (ScalarValue::Uint(value), Node::Unsigned(node)) => value == node,
        (ScalarValue::Uint(value), Node::Integer(node)) => i64::try_from(*value) == Ok(*node),
        (ScalarValue::Counter(value), Node::Integer(node) | Node::Counter(node)) => {
            i64::from(value) == *node
        }
        (ScalarValue::Bytes(bytes), Node::List(nodes)) => {
            let byte = |(byte, node): (&u8, &Node)| *node == Node::Integer((*byte).into());
            bytes.len() == nodes.len() && bytes.iter().zip(nodes).all(byte)
        }
        _ => false,
    }
}

fn object(document: &am::Automerge, id: ObjId, kind: ObjType, level: usize) -> Seen {
    if level > DOCUMENT_DEPTH_MAX {
        return Seen::Deep;
    }
    match kind {
        ObjType::Map | ObjType::Table => {
            let mut members = BTreeMap::new();
            for member in document.map_range(&id, ..) {
                let name = member.key.clone().into_owned();
                let seen = value(document, member.value.clone(), || member.id(), level);
                members.insert(name, seen);
            }
            Seen::Map(id, members)
        }
        ObjType::List => {
            let element = |element: am::iter::ListRangeItem<'_>| {
                value(document, element.value.clone(), || element.id(), level)
            };
            let elements = document.list_range(&id, ..).map(element).collect();
            Seen::List(id, elements)
        }
        ObjType::Text => {
            // Invariant: an object of this type gives its text.
            let text = document.text(&id).unwrap_or_default();
            Seen::Text(id, text)
        }
    }
}

fn value(
    document: &am::Automerge,
    value: ValueRef<'_>,
    id: impl FnOnce() -> ObjId,
    level: usize,
) -> Seen {
    match value {
        ValueRef::Object(kind) => object(document, id(), kind, level + 1),
        ValueRef::Scalar(scalar) => Seen::Scalar(scalar.into()),
    }
}

/// As applications see it: text is a string, a counter a number; bytes are numbers, and what JSON
/// has not is `null`.
impl Serialize for Seen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Map(_, members) => serializer.collect_map(members),
            Self::List(_, elements) => serializer.collect_seq(elements),
            Self::Text(_, text) => serializer.serialize_str(text),
            Self::Deep => serializer.serialize_unit(),
            Self::Scalar(scalar) => match scalar {
                ScalarValue::Null | ScalarValue::Unknown { .. } => serializer.serialize_unit(),
                ScalarValue::Boolean(value) => serializer.serialize_bool(*value),
                ScalarValue::Int(value) | ScalarValue::Timestamp(value) => {
                    serializer.serialize_i64(*value)
                }
                ScalarValue::Uint(value) => serializer.serialize_u64(*value),
                ScalarValue::F64(value) => serializer.serialize_f64(*value),
                ScalarValue::Counter(value) => serializer.serialize_i64(value.into()),
                ScalarValue::Str(text) => serializer.serialize_str(text),
                ScalarValue::Bytes(bytes) => serializer.collect_seq(bytes),
            },
        }
    }
}

/// JSON as text that is the same in every build: floats as Rust shows them.
struct Canonical;

impl Formatter for Canonical {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        // There is one zero.
        write!(writer, "{:?}", value + 0.0)
    }
}

/// The text of what applications see.
pub(crate) fn text(seen: &Seen) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Canonical);
    // Invariant: all names are texts, so writing to memory cannot fail, and gives UTF-8.
    match seen.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_default(),
        Err(_) => String::new(),
    }
}
