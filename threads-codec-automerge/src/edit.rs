//! What a save changes: the few edits from what is there to what the application gives.

use std::collections::BTreeMap;

use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ObjType, Prop, ReadDoc, ScalarValue};
use serde::Serialize;

use crate::limits::{COUNTER_MAX, INCREMENT_MAX};
use crate::made::{Act, Step};
use crate::node::Node;
use crate::seen::Seen;
use crate::sequence::hunks;

/// The name of an object: `_root`, or the operation that made it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Object(#[serde(serialize_with = "as_text")] ObjId);

fn as_text<S: serde::Serializer>(id: &ObjId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// A place in an object.
#[derive(Clone, Debug, Serialize)]
pub(crate) enum Place {
    Name(String),
    At(usize),
}

impl From<Place> for Prop {
    fn from(place: Place) -> Self {
        match place {
            Place::Name(name) => Self::Map(name),
            Place::At(at) => Self::Seq(at),
        }
    }
}

/// One edit. What the edits of a change serialise to determines what the change does.
#[derive(Debug, Serialize)]
pub(crate) enum Edit {
    Put(Object, Place, Node),
    Insert(Object, usize, Node),
    Delete(Object, Place),
    Increment(Object, Place, i64),
    /// So many characters are replaced at a place.
    Splice(Object, usize, isize, String),
}

impl Edit {
    /// The edit as one that takes no Automerge, if it is such.
    pub(crate) fn step(&self) -> Option<Step<'_>> {
        let (Object(object), Place::Name(member), act) = (match self {
            Self::Put(object, place, node) => match (shape(node), node) {
                // This may be what is there, which is no operation to Automerge.
                (Shape::Scalar(ScalarValue::Int(_)), Node::Counter(_)) => return None,
                (Shape::Scalar(value), _) => (object, place, Act::Put(value)),
                (Shape::Object(_), _) => return None,
            },
            Self::Delete(object, place) => (object, place, Act::Delete),
            Self::Increment(object, place, by) => (object, place, Act::Increment(*by)),
            Self::Insert(..) | Self::Splice(..) => return None,
        }) else {
            return None;
        };
        Some(Step {
            object,
            member,
            act,
        })
    }
}

/// The edits that make the members of an object those that are given. Of a list the last comes
/// first, so that an edit does not move the places of others.
pub(crate) fn members(
    object: &ObjId,
    seen: &BTreeMap<String, Seen>,
    wanted: BTreeMap<String, Node>,
    edits: &mut Vec<Edit>,
) {
    for name in seen.keys().filter(|name| !wanted.contains_key(*name)) {
        let place = Place::Name(name.clone());
        edits.push(Edit::Delete(Object(object.clone()), place));
    }
    for (name, node) in wanted {
        match seen.get(&name) {
            Some(seen) => value((object, Place::Name(name)), seen, node, edits),
            None => edits.push(Edit::Put(Object(object.clone()), Place::Name(name), node)),
        }
    }
}

fn value((object, place): (&ObjId, Place), seen: &Seen, wanted: Node, edits: &mut Vec<Edit>) {
    match (seen, wanted) {
        (Seen::Map(id, seen), Node::Map(wanted)) => members(id, seen, wanted, edits),
        (Seen::List(id, seen), Node::List(wanted)) => elements(id, seen, wanted, edits),
        (Seen::Text(id, seen), Node::Text(wanted) | Node::String(wanted)) => {
            text(id, seen, &wanted, edits);
        }
        (seen, wanted) if seen.is(&wanted) => {}
        (
            Seen::Scalar(ScalarValue::Counter(counter)),
            Node::Counter(wanted) | Node::Integer(wanted),
        ) => {
            let by = wanted.checked_sub(counter.into());
            let by = by.filter(|by| (-INCREMENT_MAX..=INCREMENT_MAX).contains(by));
            let object = Object(object.clone());
            edits.push(match by {
                Some(by) => Edit::Increment(object, place, by),
                None => Edit::Put(object, place, counter_at(wanted)),
            });
        }
        (_, wanted) => edits.push(Edit::Put(Object(object.clone()), place, wanted)),
    }
}

/// A counter, or a plain number where a counter would be out of bounds.
fn counter_at(value: i64) -> Node {
    match (-COUNTER_MAX..=COUNTER_MAX).contains(&value) {
        true => Node::Counter(value),
        false => Node::Integer(value),
    }
}

fn elements(list: &ObjId, seen: &[Seen], wanted: Vec<Node>, edits: &mut Vec<Edit>) {
    let hunks = hunks(seen, &wanted, Seen::is);
    let mut wanted: Vec<Option<Node>> = wanted.into_iter().map(Some).collect();
    for hunk in hunks.into_iter().rev() {
        // What stands where something else stood is the same element with another value.
        let both = hunk.old.len().min(hunk.new.len());
        for at in hunk.old.clone().skip(both).rev() {
            edits.push(Edit::Delete(Object(list.clone()), Place::At(at)));
        }
        let end = hunk.old.start + both;
        for node in wanted[hunk.new.clone()].iter_mut().skip(both).rev() {
            let node = node.take().unwrap_or(Node::Null);
            edits.push(Edit::Insert(Object(list.clone()), end, node));
        }
        for (at, new) in hunk.old.zip(hunk.new).take(both).rev() {
            let node = wanted[new].take().unwrap_or(Node::Null);
            value((list, Place::At(at)), &seen[at], node, edits);
        }
    }
}

fn text(id: &ObjId, seen: &str, wanted: &str, edits: &mut Vec<Edit>) {
    let (seen, wanted): (Vec<char>, Vec<char>) = (seen.chars().collect(), wanted.chars().collect());
    for hunk in hunks(&seen, &wanted, |a, b| a == b).into_iter().rev() {
        let text = wanted[hunk.new].iter().collect();
        // Invariant: a text has no more characters than an `isize` counts.
        let gone = hunk.old.len() as isize;
        edits.push(Edit::Splice(Object(id.clone()), hunk.old.start, gone, text));
    }
}

/// Carries out an edit.
pub(crate) fn carry_out(tx: &mut Transaction<'_>, edit: Edit) -> Result<(), AutomergeError> {
    match edit {
        Edit::Put(Object(object), place, node) => put(tx, &object, place.into(), node),
        Edit::Insert(Object(list), at, node) => insert(tx, &list, at, node),
        Edit::Delete(Object(object), place) => tx.delete(object, place),
        Edit::Increment(Object(object), place, by) => increment(tx, &object, place.into(), by),
        Edit::Splice(Object(text), at, gone, new) => tx.splice_text(text, at, gone, &new),
    }
}

/// What a value is by itself, without what it contains.
enum Shape {
    Scalar(ScalarValue),
    Object(ObjType),
}

fn shape(node: &Node) -> Shape {
    Shape::Scalar(match node {
        Node::Null => ScalarValue::Null,
        Node::Bool(value) => ScalarValue::Boolean(*value),
        Node::Integer(value) => ScalarValue::Int(*value),
        Node::Unsigned(value) => ScalarValue::Uint(*value),
        Node::Float(value) => ScalarValue::F64(*value),
        Node::String(text) => ScalarValue::Str(text.as_str().into()),
        Node::Counter(value) => match counter_at(*value) {
            Node::Counter(value) => ScalarValue::counter(value),
            _ => ScalarValue::Int(*value),
        },
        Node::Text(_) => return Shape::Object(ObjType::Text),
        Node::List(_) => return Shape::Object(ObjType::List),
        Node::Map(_) => return Shape::Object(ObjType::Map),
    })
}

fn put(
    tx: &mut Transaction<'_>,
    object: &ObjId,
    place: Prop,
    node: Node,
) -> Result<(), AutomergeError> {
    match shape(&node) {
        Shape::Scalar(scalar) => tx.put(object, place, scalar),
        Shape::Object(kind) => {
            let made = tx.put_object(object, place, kind)?;
            fill(tx, &made, node)
        }
    }
}

/// Steps a counter. Where something else was put there at the same time, a new counter takes the
/// place of all: only a counter can be stepped.
fn increment(
    tx: &mut Transaction<'_>,
    object: &ObjId,
    place: Prop,
    by: i64,
) -> Result<(), AutomergeError> {
    let standing = tx.get_all(object, place.clone())?;
    let mut counters = standing.iter().map(|(value, _)| match value.as_scalar() {
        Some(ScalarValue::Counter(counter)) => Some(i64::from(counter)),
        _ => None,
    });
    let are_counters = counters.clone().all(|counter| counter.is_some());
    // What is seen comes last.
    match counters.next_back().flatten() {
        Some(seen) if !are_counters => put(tx, object, place, counter_at(seen + by)),
        _ => tx.increment(object, place, by),
    }
}

fn insert(
    tx: &mut Transaction<'_>,
    list: &ObjId,
    at: usize,
    node: Node,
) -> Result<(), AutomergeError> {
    match shape(&node) {
        Shape::Scalar(scalar) => tx.insert(list, at, scalar),
        Shape::Object(kind) => {
            let made = tx.insert_object(list, at, kind)?;
            fill(tx, &made, node)
        }
    }
}

/// Puts into a new object what it contains.
fn fill(tx: &mut Transaction<'_>, object: &ObjId, node: Node) -> Result<(), AutomergeError> {
    match node {
        Node::Map(members) => members
            .into_iter()
            .try_for_each(|(name, node)| put(tx, object, Prop::Map(name), node)),
        Node::List(nodes) => nodes
            .into_iter()
            .enumerate()
            .try_for_each(|(at, node)| insert(tx, object, at, node)),
        Node::Text(text) => tx.splice_text(object, 0, 0, &text),
        _ => Ok(()),
    }
}
