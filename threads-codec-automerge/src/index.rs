//! What operations a document has: whether a change fits it, and what stands at a member's name.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::change::{Change, Hash, Order};
use crate::ops::{Id, Key, Kind, Op};

/// The name of an operation in a document: the actor's number here, and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(u64);

impl Name {
    /// The document itself, which no operation is.
    pub(crate) const DOCUMENT: Self = Self(0);

    fn new(actor: u64, number: u64) -> Self {
        // Invariant: neither has more than 32 bits: a document has at most 2³⁰ operations, and no
        // more actors that have any.
        Self(actor << 32 | number)
    }

    pub(crate) fn actor(self) -> u64 {
        self.0 >> 32
    }

    pub(crate) fn number(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

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
    actors: HashMap<Arc<[u8]>, Actor>,
    /// Their ids, by their numbers.
    ids: Vec<Arc<[u8]>>,
    names: HashMap<Arc<str>, u64>,
    ops: HashMap<Name, Known>,
    /// At each member of an object the operations that nothing has replaced: several, where they
    /// were made at the same time. The object, the number of the member's name, the operation.
    stands: BTreeSet<(Name, u64, Name)>,
    /// The changes that no other depends on.
    heads: BTreeSet<Hash>,
    last: u64,
}

/// The operations of a change while they are looked at, in the numbers of the document.
struct Own<'a> {
    index: &'a Index,
    /// The numbers of the change's actors here; its own is not known yet when it is new.
    actors: Vec<u64>,
    start: u64,
    found: Vec<Known>,
    /// Names of members that no operation had yet.
    named: HashMap<Arc<str>, u64>,
}

impl Index {
    /// The number of the last operation.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The changes that no other depends on, in the order of their hashes.
    pub(crate) fn heads(&self) -> &BTreeSet<Hash> {
        &self.heads
    }

    /// The id of an operation's actor.
    pub(crate) fn actor(&self, op: Name) -> &[u8] {
        &self.ids[op.actor() as usize]
    }

    /// What an operation is that others may refer to.
    pub(crate) fn kind(&self, op: Name) -> Option<Kind> {
        self.ops.get(&op).map(|known| known.kind)
    }

    /// The operation of an actor with a number, if others may refer to it.
    pub(crate) fn find(&self, actor: &[u8], number: u64) -> Option<Name> {
        let op = Name::new(self.actors.get(actor)?.number, number);
        self.ops.contains_key(&op).then_some(op)
    }

    /// The operations that stand at a member of an object.
    pub(crate) fn standing(&self, object: Name, member: &str) -> Vec<Name> {
        let Some(place) = self.names.get(member) else {
            return Vec::new();
        };
        let all = (object, *place, Name(0))..=(object, *place, Name(u64::MAX));
        self.stands.range(all).map(|(_, _, op)| *op).collect()
    }

    /// Adds a change, if all that it refers to is there.
    pub(crate) fn add(&mut self, change: &Change) -> Fit {
        let Some(Own {
            actors,
            found,
            named,
            ..
        }) = self.fits(change)
        else {
            return Fit::Waits;
        };
        let count = self.ids.len() as u64;
        let id: Arc<[u8]> = Arc::from(&*change.actor);
        let actor = self.actors.entry(Arc::clone(&id)).or_insert(Actor {
            number: count,
            turns: Vec::new(),
        });
        if actor.turns.len() as u64 >= change.seq {
            return Fit::Displaces;
        }
        actor.turns.push((change.order, change.last()));
        if actor.number == count {
            self.ids.push(id);
        }
        self.names.extend(named);
        for ((op, known), own) in change.ops.iter().zip(found).zip(change.order.start..) {
            let own = Name::new(actors[0], own);
            self.stand(own, op, &known, &actors);
            if !known.kind.ends() {
                self.ops.insert(own, known);
            }
        }
        self.last = self.last.max(change.last());
        self.changes.insert(change.order.hash, change.last());
        change.deps.iter().for_each(|dep| {
            self.heads.remove(dep);
        });
        self.heads.insert(change.order.hash);
        Fit::Added
    }

    /// Has an operation take the place of its predecessors; a step of a counter leaves them there.
    fn stand(&mut self, own: Name, op: &Op, known: &Known, actors: &[u64]) {
        if !matches!(op.key, Key::Name(_)) || known.kind == Kind::Increment {
            return;
        }
        for pred in &op.preds {
            let pred = Name::new(actors[pred.actor], pred.number);
            self.stands.remove(&(known.object, known.place, pred));
        }
        if !known.kind.ends() {
            self.stands.insert((known.object, known.place, own));
        }
    }

    /// What the operations of a change are, if the change fits. Nothing counts here that comes after
    /// it in the order.
    fn fits(&self, change: &Change) -> Option<Own<'_>> {
        let start = change.order.start;
        let known = self.actors.get(&*change.actor);
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
            let other = self.actors.get(&**other)?;
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

impl Own<'_> {
    fn name(&self, id: Id) -> Name {
        Name::new(self.actors[id.actor], id.number)
    }

    /// An operation that may be referred to: one of this change, or one before its first.
    fn find(&self, id: Id) -> Option<Known> {
        if id.number < self.start {
            return self.index.ops.get(&self.name(id)).copied();
        }
        let own = usize::try_from(id.number - self.start).ok()?;
        let is_own = self.actors[id.actor] == self.actors[0];
        let known = self.found.get(own).copied();
        known.filter(|known| is_own && !known.kind.ends())
    }

    /// What is to be known of an operation that fits.
    fn known(&mut self, op: &Op) -> Option<Known> {
        let (object, kind) = match op.object {
            None => (Name::DOCUMENT, Kind::Map),
            Some(id) => (self.name(id), self.find(id)?.kind),
        };
        let own = Name::new(self.actors[0], self.start + self.found.len() as u64);
        let place = match (&op.key, kind) {
            (Key::Name(text), Kind::Map) => self.number(text),
            (Key::Head, Kind::List | Kind::Text) => own.0,
            (Key::Element(id), Kind::List | Kind::Text) => {
                let (element, at) = (self.find(*id)?, self.name(*id).0);
                let is_element = element.object == object && element.place == at;
                match (is_element, op.insert) {
                    (false, _) => return None,
                    (true, true) => own.0,
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
        Some(Known {
            object,
            place,
            kind: op.kind,
        })
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
