//! What operations a document has: whether a change fits it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::change::{Change, Hash, Order};
use crate::ops::{Id, Key, Kind, Op};

/// The name of an operation in a document: the actor's number here, and its own. The document
/// itself is zero, which no operation is.
type Name = u64;

/// What must be known of an operation that others refer to.
#[derive(Clone, Copy, Debug)]
struct Known {
    object: Name,
    /// The number of the member's name, or the element: an inserting operation's is itself.
    place: u64,
    kind: Kind,
}

#[derive(Debug)]
struct Actor {
    number: u64,
    /// Its changes, each with the number of its last operation.
    turns: Vec<(Order, u64)>,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It was added.
    Added,
    /// It waits, for good if its turn was taken before.
    Waits,
    /// It has the turn that one after it in the order has taken: what is applied is to be worked out
    /// anew.
    Displaces,
}

/// All operations of a document that others may refer to.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The number of the last operation of each change.
    changes: HashMap<Hash, u64>,
    actors: HashMap<Box<[u8]>, Actor>,
    names: HashMap<Arc<str>, u64>,
    ops: HashMap<Name, Known>,
    last: u64,
}

/// The operations of a change while they are looked at, in the numbers of the document.
struct Own<'a> {
    index: &'a Index,
    /// The numbers of the change's actors here; its own is not known yet when it is new.
    actors: Vec<u64>,
    start: u64,
    found: Vec<Option<Known>>,
    /// Names of members that no operation had yet.
    named: HashMap<Arc<str>, u64>,
}

impl Index {
    /// The number of the last operation.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Adds a change, if all that it refers to is there.
    pub(crate) fn add(&mut self, change: &Change) -> Fit {
        let Some(Own { found, named, .. }) = self.fits(change) else {
            return Fit::Waits;
        };
        let count = self.actors.len() as u64;
        let actor = self.actors.entry(change.actor.clone()).or_insert(Actor {
            number: count,
            turns: Vec::new(),
        });
        if actor.turns.len() as u64 >= change.seq {
            return Fit::Displaces;
        }
        actor.turns.push((change.order, change.last()));
        let number = actor.number;
        self.names.extend(named);
        let names = change.order.start..;
        let found = found.into_iter().zip(names);
        let known = found.filter_map(|(known, own)| Some((name(number, own), known?)));
        self.ops.extend(known);
        self.last = self.last.max(change.last());
        self.changes.insert(change.order.hash, change.last());
        Fit::Added
    }

    /// What the operations of a change are, if the change fits. Nothing counts here that comes after
    /// it in the order.
    fn fits(&self, change: &Change) -> Option<Own<'_>> {
        let start = change.order.start;
        let known = self.actors.get(&change.actor);
        let turns = known.map_or(&[][..], |actor| &actor.turns);
        let turn = usize::try_from(change.seq - 1).ok()?;
        let follows = turn.checked_sub(1).is_none_or(|before| {
            let before = turns.get(before);
            before.is_some_and(|(order, last)| *order < change.order && *last < start)
        });
        let is_free = turns
            .get(turn)
            .is_none_or(|(order, _)| *order > change.order);
        let caused = |dep| self.changes.get(dep).is_some_and(|last| *last < start);
        if !follows || !is_free || !change.deps.iter().all(caused) {
            return None;
        }
        let own = known.map_or(self.actors.len() as u64, |actor| actor.number);
        let mut actors = vec![own];
        for other in &change.actors[1..] {
            let other = self.actors.get(other)?;
            let first = other.turns.first();
            first.filter(|(order, _)| *order < change.order)?;
            actors.push(other.number);
        }
        let mut own = Own {
            index: self,
            actors,
            start,
            found: Vec::with_capacity(change.ops.len()),
            named: HashMap::new(),
        };
        for op in &change.ops {
            let known = own.known(op)?;
            own.found.push(known);
        }
        Some(own)
    }
}

fn name(actor: u64, number: u64) -> Name {
    // Invariant: neither has more than 32 bits: a document has at most 2³⁰ operations, and no
    // more actors that have any.
    actor << 32 | number
}

impl Own<'_> {
    fn name(&self, id: Id) -> Name {
        name(self.actors[id.actor], id.number)
    }

    /// An operation that may be referred to: one of this change, or one before its first.
    fn find(&self, id: Id) -> Option<Known> {
        if id.number < self.start {
            return self.index.ops.get(&self.name(id)).copied();
        }
        let own = usize::try_from(id.number - self.start).ok()?;
        let is_own = self.actors[id.actor] == self.actors[0];
        self.found.get(own).copied().flatten().filter(|_| is_own)
    }

    /// What others need to know of an operation that fits; of one that ends something, nothing.
    fn known(&mut self, op: &Op) -> Option<Option<Known>> {
        let (object, kind) = match op.object {
            None => (0, Kind::Map),
            Some(id) => (self.name(id), self.find(id)?.kind),
        };
        let own = name(self.actors[0], self.start + self.found.len() as u64);
        let place = match (&op.key, kind) {
            (Key::Name(text), Kind::Map) => self.number(text),
            (Key::Head, Kind::List | Kind::Text) => own,
            (Key::Element(id), Kind::List | Kind::Text) => {
                let (element, at) = (self.find(*id)?, self.name(*id));
                let is_element = element.object == object && element.place == at;
                match (is_element, op.insert) {
                    (false, _) => return None,
                    (true, true) => own,
                    (true, false) => at,
                }
            }
            _ => return None,
        };
        for pred in &op.preds {
            let pred = self.find(*pred)?;
            let counts = op.kind != Kind::Increment || pred.kind == Kind::Counter;
            if pred.object != object || pred.place != place || !counts {
                return None;
            }
        }
        let ends = matches!(op.kind, Kind::Delete | Kind::Increment);
        Some((!ends).then_some(Known {
            object,
            place,
            kind: op.kind,
        }))
    }

    /// The number of a member's name.
    fn number(&mut self, text: &Arc<str>) -> u64 {
        if let Some(number) = self.index.names.get(text) {
            return *number;
        }
        let next = (self.index.names.len() + self.named.len()) as u64;
        *self.named.entry(Arc::clone(text)).or_insert(next)
    }
}
