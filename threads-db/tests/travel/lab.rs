//! Several writers of one thread, who exchange what they have now and then.

use std::fs::File;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use threads_core::datastore::Memory;
use threads_core::module::CollectionSpec;
use threads_core::{Cid, Clock, ManualClock};
use threads_db::query::Query;
use threads_db::{ChangeFilter, Collection, Db, ExportOptions, Node, NodeBuilder, RestoreOptions};

pub(crate) const WRITERS: usize = 3;
const ENTITIES: usize = 4;

/// A codec, and what it can do.
pub(crate) struct Kit {
    pub(crate) codec: &'static str,
    pub(crate) equip: fn(NodeBuilder) -> NodeBuilder,
    /// Whether it has merges.
    pub(crate) merges: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TestClock(pub(crate) Arc<ManualClock>);

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }
}

pub(crate) struct Writer {
    pub(crate) db: Db,
    pub(crate) things: Collection<Value>,
    clock: TestClock,
}

/// What a node showed when it had certain records.
pub(crate) struct Seen {
    pub(crate) writer: usize,
    pub(crate) heads: Vec<Cid>,
    pub(crate) position: u64,
    pub(crate) state: Vec<Value>,
    /// The record that was just written, if one was.
    pub(crate) record: Option<Cid>,
}

pub(crate) struct Lab {
    pub(crate) writers: Vec<Writer>,
    pub(crate) seen: Vec<Seen>,
    merges: bool,
}

/// What happens in a history.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Save {
        writer: usize,
        entity: usize,
        fields: [u8; 3],
    },
    Change {
        writer: usize,
        entity: usize,
        field: u8,
        value: Option<u8>,
    },
    Delete {
        writer: usize,
        entity: usize,
    },
    Carry {
        from: usize,
        to: usize,
    },
    Clock {
        writer: usize,
        ms: u64,
    },
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (writer, entity) = (0..WRITERS, 0..ENTITIES);
    let save =
        (writer.clone(), entity.clone(), any::<[u8; 3]>()).prop_map(|(writer, entity, fields)| {
            Step::Save {
                writer,
                entity,
                fields,
            }
        });
    let change = (
        writer.clone(),
        entity.clone(),
        0..4u8,
        prop::option::of(0..4u8),
    );
    let change = change.prop_map(|(writer, entity, field, value)| Step::Change {
        writer,
        entity,
        field,
        value,
    });
    let delete =
        (writer.clone(), entity).prop_map(|(writer, entity)| Step::Delete { writer, entity });
    let carry = (writer.clone(), writer.clone()).prop_map(|(from, to)| Step::Carry { from, to });
    let clock = (writer, 0..200u64).prop_map(|(writer, ms)| Step::Clock { writer, ms });
    let step = prop_oneof![5 => save, 8 => change, 1 => delete, 5 => carry, 4 => clock];
    prop::collection::vec(step, 1..40)
}

pub(crate) fn id(entity: usize) -> String {
    format!("e{entity}")
}

/// An entity with a field in a field, and a list.
pub(crate) fn entity(number: usize, [a, b, c]: [u8; 3]) -> Value {
    let list: Vec<u8> = (0..c % 3).collect();
    json!({"_id": id(number), "f0": a % 4, "in": {"f1": b % 4, "f2": c % 4}, "list": list})
}

/// The patch of a field: at the top, or in another one.
fn patch(field: u8, value: Option<u8>) -> Value {
    match field {
        0 | 3 => json!({ format!("f{field}"): value }),
        _ => json!({"in": { format!("f{field}"): value }}),
    }
}

impl Writer {
    fn new(kit: &Kit, from: Option<&Db>) -> Self {
        let clock = TestClock(Arc::new(ManualClock::at(1_000)));
        let builder = (kit.equip)(Node::builder(Memory::new())).clock(clock.clone());
        let node = builder.open().unwrap();
        let db = match from {
            None => {
                let db = node.create("lab").unwrap();
                let codec = kit.codec.parse().unwrap();
                db.define(&CollectionSpec::new("Thing".parse().unwrap(), codec))
                    .unwrap();
                db
            }
            Some(from) => {
                let db = node.add_thread("lab", &from.keys()).unwrap();
                carry(from, &db);
                db
            }
        };
        let things = db.collection("Thing").unwrap();
        Self { db, things, clock }
    }

    pub(crate) fn state(&self) -> Vec<Value> {
        self.things.find(&Query::new()).unwrap()
    }
}

/// Where a node's feed ends.
pub(crate) fn position(db: &Db) -> u64 {
    let cursor = db.listen(ChangeFilter::all()).unwrap().cursor().to_string();
    cursor.split('.').next().unwrap().parse().unwrap()
}

/// Takes all that one has to another, as a file.
pub(crate) fn carry(from: &Db, to: &Db) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = File::create(file.path()).unwrap();
    from.export(writer, &ExportOptions::default(), &mut |_| ())
        .unwrap();
    to.node()
        .restore(file.path(), &RestoreOptions::default(), &mut |_| ())
        .unwrap();
}

impl Lab {
    pub(crate) fn new(kit: &Kit) -> Self {
        let first = Writer::new(kit, None);
        let others = (1..WRITERS).map(|_| Writer::new(kit, Some(&first.db)));
        let others: Vec<_> = others.collect();
        Self {
            writers: std::iter::once(first).chain(others).collect(),
            seen: Vec::new(),
            merges: kit.merges,
        }
    }

    /// Plays a history, and sees what each node shows after each step.
    pub(crate) fn played(kit: &Kit, steps: &[Step]) -> Self {
        let mut lab = Self::new(kit);
        for step in steps {
            lab.step(step);
        }
        lab
    }

    pub(crate) fn step(&mut self, step: &Step) {
        // What is refused, as of what was deleted or never was, is part of it.
        let writer = match *step {
            Step::Save {
                writer,
                entity: number,
                fields,
            } => {
                let _ = self.writers[writer].things.save(&entity(number, fields));
                writer
            }
            Step::Change {
                writer,
                entity,
                field,
                value,
            } => {
                self.change(writer, entity, patch(field, value));
                writer
            }
            Step::Delete { writer, entity } => {
                let _ = self.writers[writer].things.delete(&id(entity));
                writer
            }
            Step::Carry { from, to } => {
                if from != to {
                    carry(&self.writers[from].db, &self.writers[to].db);
                }
                to
            }
            Step::Clock { writer, ms } => {
                self.writers[writer].clock.0.set(1_000 + ms);
                return;
            }
        };
        let wrote = !matches!(step, Step::Carry { .. });
        self.look(writer, wrote);
    }

    pub(crate) fn change(&self, writer: usize, entity: usize, patch: Value) {
        let things = &self.writers[writer].things;
        if self.merges {
            let _ = things.patch(&id(entity), &patch);
            return;
        }
        if let Some(mut value) = things.get(&id(entity)).unwrap() {
            merge(&mut value, &patch);
            things.save(&value).unwrap();
        }
    }

    fn look(&mut self, number: usize, wrote: bool) {
        let writer = &self.writers[number];
        let heads = writer.db.heads().unwrap();
        let known = self.seen.iter().rfind(|seen| seen.writer == number);
        let new = known.is_none_or(|seen| seen.heads != heads);
        let latest = || writer.db.log(Some(1)).unwrap()[0].record;
        let record = (wrote && new).then(latest);
        self.seen.push(Seen {
            writer: number,
            heads,
            position: position(&writer.db),
            state: writer.state(),
            record,
        });
    }

    /// A writer who has all records in the end.
    pub(crate) fn complete(&self) -> &Writer {
        for from in &self.writers[1..] {
            carry(&from.db, &self.writers[0].db);
        }
        &self.writers[0]
    }
}

/// RFC 7396.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let members = value.as_object_mut().unwrap();
    for (name, patch) in patch {
        if patch.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), patch);
        }
    }
}
