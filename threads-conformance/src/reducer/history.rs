//! Histories of entities, as a reducer is told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use proptest::collection;
use proptest::prelude::{Strategy, any};
use proptest::sample::Index;
use serde_json::Value;
use threads_core::block::Block;
use threads_core::codec::ActionKind;
use threads_core::reducer::DispatchedEvent;
use threads_core::{CollectionName, EntityId, Error, Hlc, LogId, Result, ThreadId};

use super::Subject;

/// The most records of a history, and the most events of a record.
const RECORDS_MAX: usize = 12;
const EVENTS_MAX: usize = 5;
/// How many entities each collection has, so that they meet.
const ENTITIES: usize = 4;
/// How many logs the records come from.
const LOGS: u8 = 3;
/// How late a record may be, in milliseconds; they are known in steps of ten.
const LATE_MS: u64 = 30;
/// How often an entity is kept rather than deleted.
const KEPT: f64 = 0.8;

/// Two threads to reduce.
pub(super) const THREADS: [&str; 2] = [
    "bafkxd5bjgi6k4zivuoyxo4ua4mzyy",
    "bafykrq5i25vd64ghamtgus6lue74k",
];

/// The events of each record, in the order in which they were applied.
#[derive(Clone)]
pub(super) struct History(pub(super) Vec<Vec<DispatchedEvent>>);

/// A history, or what is wrong with the values that the author of the reducer gave.
#[derive(Clone)]
pub(super) struct Told(pub(super) Result<History, String>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(history) => history.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

/// What should happen to one entity: its collection, which it is, and its value, or none.
type Wish = (Index, Index, Option<Index>);

/// What a record should do, in which log, and how late.
type Wishes = (Vec<Wish>, u8, u64);

/// Histories of entities that are created, saved and deleted, and never come back.
pub(super) fn histories(subject: &Subject) -> impl Strategy<Value = Told> {
    let values = subject.values();
    let value = proptest::option::weighted(KEPT, any::<Index>());
    let wish = (any::<Index>(), any::<Index>(), value);
    let record = (collection::vec(wish, 1..EVENTS_MAX), 0..LOGS, 0..LATE_MS);
    collection::vec(record, 1..RECORDS_MAX).prop_map(move |records| {
        let mut writer = Writer::new(&values);
        let history = records.iter().map(|wishes| writer.record(wishes));
        let mut history = history
            .collect::<Result<Vec<_>>>()
            .map_err(|error| error.to_string());
        if let Ok(records) = &mut history {
            records.retain(|record| !record.is_empty());
        }
        Told(history.map(History))
    })
}

type Key = (CollectionName, EntityId);

/// Tells what happens to entities, and remembers what became of them.
struct Writer<'v> {
    values: &'v [(String, Vec<Value>)],
    /// Gone entities are here, without a value.
    entities: BTreeMap<Key, Option<Arc<Value>>>,
    records: u64,
    lengths: [u64; LOGS as usize],
}

impl<'v> Writer<'v> {
    fn new(values: &'v [(String, Vec<Value>)]) -> Self {
        Self {
            values,
            entities: BTreeMap::new(),
            records: 0,
            lengths: [0; LOGS as usize],
        }
    }

    /// The events of one record. It tells of an entity once, and only of a change.
    fn record(&mut self, (wishes, log, late_ms): &Wishes) -> Result<Vec<DispatchedEvent>> {
        self.records += 1;
        let seq = &mut self.lengths[usize::from(*log)];
        *seq += 1;
        let seq = *seq;
        let time = Hlc::ZERO.tick(10 * self.records + LATE_MS - late_ms)?;
        let mut touched = BTreeSet::new();
        let mut events = Vec::new();
        for (collection, entity, value) in wishes {
            let (collection, samples) = collection.get(self.values);
            let entity = format!("{}-{}", collection.to_lowercase(), entity.index(ENTITIES));
            let key: Key = (collection.parse()?, entity.parse()?);
            let known = self.entities.get(&key);
            let before = known.cloned().flatten();
            let is_gone = known.is_some() && before.is_none();
            let sample = value.filter(|_| !samples.is_empty());
            let after = sample.map(|index| shown(index.get(samples), &entity));
            if is_gone || before == after || !touched.insert(key.clone()) {
                continue;
            }
            self.entities.insert(key.clone(), after.clone());
            events.push(DispatchedEvent {
                thread: THREADS[0].parse()?,
                record: *Block::raw(self.records.to_be_bytes()).cid(),
                log: LogId::from_key_bytes([log + 1; 32]),
                seq,
                time,
                collection: key.0,
                entity: key.1,
                action: match (&before, &after) {
                    (None, _) => ActionKind::Create,
                    (Some(_), Some(_)) => ActionKind::Save,
                    (Some(_), None) => ActionKind::Delete,
                },
                before,
                after,
            });
        }
        Ok(events)
    }
}

/// A sample with the id of the entity, as an application sees it.
fn shown(sample: &Value, id: &str) -> Arc<Value> {
    let mut value = sample.clone();
    if let Some(members) = value.as_object_mut() {
        members.insert("_id".to_owned(), id.into());
    }
    Arc::new(value)
}

impl History {
    /// The same in another thread.
    pub(super) fn in_thread(&self, thread: &ThreadId) -> Self {
        let mut history = self.clone();
        let events = history.0.iter_mut().flatten();
        events.for_each(|event| event.thread = thread.clone());
        history
    }

    /// What is there at the end, as if one record had brought it.
    pub(super) fn last_states(&self) -> Self {
        let mut last = BTreeMap::new();
        for event in self.0.iter().flatten() {
            last.insert(
                (event.collection.clone(), event.entity.clone()),
                event.clone(),
            );
        }
        let alive = last.into_values().filter(|event| event.after.is_some());
        let mut record: Vec<DispatchedEvent> = Vec::new();
        for mut event in alive {
            (event.action, event.before) = (ActionKind::Create, None);
            if let Some(first) = record.first() {
                (event.record, event.log) = (first.record, first.log);
                (event.seq, event.time) = (first.seq, first.time);
            }
            record.push(event);
        }
        Self(Vec::from_iter((!record.is_empty()).then_some(record)))
    }
}

/// A line for each event.
impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these records were reduced:")?;
        for (record, number) in self.0.iter().zip(1..) {
            for event in record {
                let text = |value: &Option<Arc<Value>>| match value {
                    Some(value) => value.to_string(),
                    None => "nothing".to_owned(),
                };
                let (before, after) = (text(&event.before), text(&event.after));
                let what = format_args!("{} {}", event.action.as_str(), event.collection);
                write!(
                    f,
                    "\n    {number}: {what}/{}: {before} to {after}",
                    event.entity
                )?;
            }
        }
        Ok(())
    }
}

/// A thread of the histories.
pub(super) fn thread(number: usize) -> Result<ThreadId, Error> {
    THREADS[number].parse()
}
