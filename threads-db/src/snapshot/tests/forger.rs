//! Somebody with a thread's keys who writes records as no node would.

use serde_json::Value;
use threads_core::batch::{BATCH_FORMAT, Batch, EntityEvent};
use threads_core::codec::{Action, ActionKind, EventCodec};
use threads_core::event::{Encryption, Position, SealedEvent};
use threads_core::record::{Dep, Fields, Record, SignedRecord, skip_target};
use threads_core::{Cid, Hlc, IdentityKey, LogId, LogKey, system_rng};

use super::*;

/// One log, and the keys of the thread that it is in.
#[derive(Clone)]
pub(super) struct Forger {
    identity: IdentityKey,
    db: Db,
    log: LogKey,
    records: Vec<Cid>,
}

impl Forger {
    /// A new log of somebody new.
    pub(super) fn new(db: &Db) -> Self {
        Self {
            identity: IdentityKey::generate(&mut system_rng()),
            db: db.clone(),
            log: LogKey::generate(&mut system_rng()),
            records: Vec::new(),
        }
    }

    pub(super) fn log(&self) -> LogId {
        self.log.log_id()
    }

    /// The same log as it was after so many records.
    pub(super) fn at(&self, records: usize) -> Self {
        let mut at = self.clone();
        at.records.truncate(records);
        at
    }

    /// The next record of the log.
    pub(super) fn write(
        &mut self,
        time: Hlc,
        (deps, acl): (&[Dep], &[Cid]),
        events: Vec<EntityEvent>,
    ) -> Blocks {
        let (thread, rng) = (self.db.thread(), &mut system_rng());
        let seq = self.records.len() as u64 + 1;
        let position = Position {
            thread: &thread.id,
            log: self.log.log_id(),
            seq,
            epoch: 0,
        };
        let body = Batch { events }.encode().unwrap();
        let format = BATCH_FORMAT.parse().unwrap();
        let header = thread.read.get().unwrap();
        let once = Encryption::SingleUse;
        let sealed = SealedEvent::seal(&position, header, time, format, &body, once, rng).unwrap();
        let record = |seq: u64| self.records[seq as usize - 1];
        let fields = Fields {
            thread: thread.id.clone(),
            log: self.log.log_id(),
            seq,
            prev: self.records.last().copied(),
            skip: skip_target(seq).map(record),
            deps: deps.to_vec(),
            acl: acl.to_vec(),
            access: false,
            epoch: 0,
            tags: Vec::new(),
            event: *sealed.event.cid(),
        };
        let author = (seq == 1).then_some(&self.identity);
        let record = SignedRecord::seal(fields, &self.log, author, &thread.replica).unwrap();
        self.records.push(record.id());
        Blocks {
            record: record.block().to_vec(),
            event: sealed.event.into_bytes(),
            body: sealed.body.into_bytes(),
        }
    }

    /// The next record, which saves a note, so many milliseconds after the beginning.
    pub(super) fn save(&mut self, after_ms: u64, id: &str) -> Blocks {
        let time = at(after_ms, self.records.len() as u32);
        self.write(
            time,
            (&[], &[]),
            vec![saves(id, &json!({"_id": id, "by": "forger"}))],
        )
    }
}

pub(super) fn at(after_ms: u64, counter: u32) -> Hlc {
    Hlc {
        wall_ms: NOW_MS + after_ms,
        counter,
    }
}

/// A note is saved.
pub(super) fn saves(id: &str, value: &Value) -> EntityEvent {
    let codec = JsonPatch::new();
    EntityEvent {
        collection: "Note".parse().unwrap(),
        entity: id.parse().unwrap(),
        codec: codec.id(),
        action: ActionKind::Save,
        payload: codec.encode(None, &Action::Save(value)).unwrap().unwrap(),
    }
}
