//! Changes of the edits that are made every day: values put into maps and removed there, and counters
//! stepped. They are made here, without Automerge, which takes long over each edit; to the byte as it
//! makes them.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::{ObjId, ScalarValue};

use crate::change::{self, Change, Order};
use crate::index::{Index, Name};
use crate::limits::{
    EVENT_BYTES_MAX, EVENT_DEPS_MAX, EVENT_NAME_BYTES_MAX, EVENT_OPS_MAX, EVENT_PREDS_MAX,
    OP_NUMBER_MAX,
};
use crate::ops::{Id, Key, Kind, Op};
use crate::write::{self, Draft};

/// An edit at a member of an object, of nothing that contains something.
pub(crate) struct Step<'e> {
    pub(crate) object: &'e ObjId,
    pub(crate) member: &'e str,
    pub(crate) act: Act,
}

pub(crate) enum Act {
    Put(ScalarValue),
    Delete,
    Increment(i64),
}

impl Act {
    fn kind(&self) -> Kind {
        match self {
            Self::Put(ScalarValue::Counter(_)) => Kind::Counter,
            Self::Put(_) => Kind::Value,
            Self::Delete => Kind::Delete,
            Self::Increment(_) => Kind::Increment,
        }
    }

    fn value(&self) -> ScalarValue {
        match self {
            Self::Put(value) => value.clone(),
            Self::Delete => ScalarValue::Null,
            Self::Increment(by) => ScalarValue::Int(*by),
        }
    }
}

/// Makes the change of some steps, no two of them at one member, and its bytes. None where it takes
/// Automerge to say what becomes of them: that is so with what exceeds a bound, too.
pub(crate) fn make(index: &Index, actor: &[u8], steps: &[Step<'_>]) -> Option<(Change, Vec<u8>)> {
    let rows: Option<Vec<Row<'_>>> = steps.iter().map(|step| Row::new(index, step)).collect();
    let rows = rows.filter(|rows| !rows.is_empty())?;
    let referred = rows
        .iter()
        .flat_map(|row| row.object.iter().chain(&row.preds));
    let others = others(index, referred.copied());
    let id = |op: Name| Id {
        // Invariant: the actor of each operation that a row refers to is among them.
        actor: others.places.get(&op.actor()).copied().unwrap_or_default(),
        number: op.number(),
    };
    let ops = rows.iter().map(|row| Op {
        object: row.object.map(id),
        key: Key::Name(Arc::from(row.step.member)),
        insert: false,
        kind: row.step.act.kind(),
        preds: row.preds.iter().copied().map(id).collect(),
    });
    let draft = Draft {
        deps: index.heads().iter().copied().collect(),
        start: index.last() + 1,
        actors: std::iter::once(actor).chain(others.ids).collect(),
        ops: ops.collect(),
        values: rows.iter().map(|row| row.step.act.value()).collect(),
    };
    if !is_within_bounds(&draft) {
        return None;
    }
    let (hash, bytes) = change::whole(&write::contents(&draft));
    let order = Order {
        start: draft.start,
        full: true,
        hash,
    };
    let change = Change {
        order,
        actor: actor.into(),
        seq: 1,
        deps: draft.deps,
        actors: draft.actors.into_iter().map(Box::from).collect(),
        ops: draft.ops,
    };
    (bytes.len() <= EVENT_BYTES_MAX).then_some((change, bytes))
}

/// A step, and what of the document its operation refers to.
struct Row<'s> {
    step: &'s Step<'s>,
    /// The object; `None` is the document.
    object: Option<Name>,
    preds: Vec<Name>,
}

impl<'s> Row<'s> {
    fn new(index: &Index, step: &'s Step<'_>) -> Option<Self> {
        let object = match step.object {
            ObjId::Root => None,
            ObjId::Id(number, actor, _) => Some(index.find(actor.to_bytes(), *number)?),
        };
        let mut preds = index.standing(object.unwrap_or(Name::DOCUMENT), step.member);
        let is_counter = |op: &Name| index.kind(*op) == Some(Kind::Counter);
        let is_clear = match step.act.kind() {
            Kind::Increment => !preds.is_empty() && preds.iter().all(is_counter),
            Kind::Delete => !preds.is_empty(),
            _ => true,
        };
        preds.sort_unstable_by_key(|op| (op.number(), index.actor(*op)));
        is_clear.then_some(Self {
            step,
            object,
            preds,
        })
    }
}

/// The actors that a change refers to beside its own, in their order.
struct Others<'i> {
    ids: Vec<&'i [u8]>,
    /// The place of each, by its number in the document; the change's own is the first.
    places: HashMap<u64, usize>,
}

fn others(index: &Index, referred: impl Iterator<Item = Name>) -> Others<'_> {
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut ids: Vec<(&[u8], u64)> = Vec::new();
    for op in referred {
        if places.insert(op.actor(), 0).is_none() {
            ids.push((index.actor(op), op.actor()));
        }
    }
    ids.sort_unstable();
    places.extend(
        ids.iter()
            .zip(1..)
            .map(|((_, actor), place)| (*actor, place)),
    );
    Others {
        ids: ids.into_iter().map(|(id, _)| id).collect(),
        places,
    }
}

/// Whether an event may have so much, apart from its bytes.
fn is_within_bounds(draft: &Draft<'_>) -> bool {
    let names = draft.ops.iter().map(|op| match &op.key {
        Key::Name(name) => name.len(),
        Key::Head | Key::Element(_) => 0,
    });
    let preds: usize = draft.ops.iter().map(|op| op.preds.len()).sum();
    draft.deps.len() <= EVENT_DEPS_MAX
        && draft.ops.len() <= EVENT_OPS_MAX
        && preds <= EVENT_PREDS_MAX
        && names.sum::<usize>() <= EVENT_NAME_BYTES_MAX
        && draft.start + draft.ops.len() as u64 <= OP_NUMBER_MAX
}
