//! Somebody with a thread's keys who writes records as no node would.

use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::access::{self, ACCESS_FORMAT, Statement};
use threads_core::batch::{BATCH_FORMAT, Batch, EntityEvent};
use threads_core::codec::{Action, ActionKind, EventCodec};
use threads_core::event::{Encryption, Position, SealedEvent};
use threads_core::record::{Dep, Fields, Record, SignedRecord, skip_target};
use threads_core::{AgreementPublicKey, Cid, Hlc, IdentityKey, LogId, LogKey, system_rng};

use super::author::{COLLECTION, NOW_MS};
use crate::chain::Blocks;
use crate::db::Db;

/// One log of a peer, and the keys of the thread that it is in.
pub(super) struct Forger {
    identity: IdentityKey,
    db: Db,
    log: LogKey,
    records: Vec<Cid>,
}

/// What a record says, whether it makes sense or not.
pub(super) struct Forged {
    access: bool,
    format: &'static str,
    body: Vec<u8>,
    acl: Vec<Cid>,
    at_ms: u64,
    encryption: Encryption,
}

impl Forged {
    /// An access record with any body.
    pub(super) fn access(format: &'static str, body: &[u8]) -> Self {
        Self {
            access: true,
            format,
            body: body.to_vec(),
            acl: Vec::new(),
            at_ms: NOW_MS,
            encryption: Encryption::SingleUse,
        }
    }

    pub(super) fn stating(statements: &[Statement]) -> Self {
        Self::access(ACCESS_FORMAT, &access::encode(statements).unwrap())
    }

    pub(super) fn changing(events: Vec<EntityEvent>) -> Self {
        let body = Batch { events }.encode().unwrap();
        Self {
            access: false,
            format: BATCH_FORMAT,
            body,
            ..Self::stating(&[Statement::Checkpoint])
        }
    }

    pub(super) fn naming(mut self, acl: &[Cid]) -> Self {
        self.acl = acl.to_vec();
        self
    }

    pub(super) fn dated(mut self, ahead_ms: u64) -> Self {
        self.at_ms += ahead_ms;
        self
    }

    pub(super) fn sealed_to(mut self, recipient: AgreementPublicKey) -> Self {
        self.encryption = Encryption::Sealed(recipient);
        self
    }
}

impl Forger {
    /// A new log of a peer.
    pub(super) fn new(identity: &IdentityKey, db: &Db) -> Self {
        Self {
            identity: identity.clone(),
            db: db.clone(),
            log: LogKey::generate(&mut system_rng()),
            records: Vec::new(),
        }
    }

    pub(super) fn log(&self) -> LogId {
        self.log.log_id()
    }

    /// Its record of this number, as others name it.
    pub(super) fn seen(&self, seq: u64) -> Dep {
        Dep {
            log: self.log(),
            seq,
            cid: self.records[seq as usize - 1],
        }
    }

    /// The next record of the log.
    pub(super) fn write(&mut self, forged: Forged) -> Blocks {
        let (thread, rng) = (self.db.thread(), &mut system_rng());
        let seq = self.records.len() as u64 + 1;
        let position = Position {
            thread: &thread.id,
            log: self.log.log_id(),
            seq,
            epoch: 0,
        };
        let header = match forged.access {
            true => thread.replica.access_key(),
            false => thread.read.get().unwrap().clone(),
        };
        let time = Hlc {
            wall_ms: forged.at_ms,
            counter: seq as u32,
        };
        let format = forged.format.parse().unwrap();
        let Forged {
            body, encryption, ..
        } = &forged;
        let sealed =
            SealedEvent::seal(&position, &header, time, format, body, *encryption, rng).unwrap();
        let record = |seq: u64| self.records[seq as usize - 1];
        let fields = Fields {
            thread: thread.id.clone(),
            log: self.log.log_id(),
            seq,
            prev: self.records.last().copied(),
            skip: skip_target(seq).map(record),
            deps: Vec::new(),
            acl: forged.acl,
            access: forged.access,
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
}

/// An entity comes to be.
pub(super) fn creates(id: &str) -> EntityEvent {
    event(COLLECTION, id, &serde_json::json!({"_id": id}))
}

/// An entity of some collection is created.
pub(super) fn event(collection: &str, id: &str, value: &Value) -> EntityEvent {
    let codec = JsonPatch::new();
    EntityEvent {
        collection: collection.parse().unwrap(),
        entity: id.parse().unwrap(),
        codec: codec.id(),
        action: ActionKind::Create,
        payload: codec.encode(None, &Action::Create(value)).unwrap().unwrap(),
    }
}
