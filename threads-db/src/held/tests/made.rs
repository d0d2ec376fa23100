//! Records of one's own making, which break this rule or that.

use serde_bytes::ByteBuf;
use threads_core::Hlc;
use threads_core::batch::BATCH_FORMAT;
use threads_core::event::{Encryption, Position, SealedEvent};
use threads_core::record::{Fields, SignedRecord};

use super::*;

/// A record that is always dated alike: a second one cannot follow a first.
pub(super) fn sealed(db: &Db, author: &IdentityKey, key: &LogKey, prev: Option<Cid>) -> Blocks {
    sealed_as(db, author, key, prev, None)
}

pub(super) fn sealed_as(
    db: &Db,
    author: &IdentityKey,
    key: &LogKey,
    prev: Option<Cid>,
    other_body: Option<&[u8]>,
) -> Blocks {
    sealed_at(db, author, key, 5, prev, other_body)
}

/// An event's block, whose parts can be exchanged.
#[derive(Serialize, Deserialize)]
pub(super) struct Altered {
    pub(super) body: Cid,
    pub(super) header: ByteBuf,
}

/// A record of one's own making, perhaps with a body that is not the one its header commits to.
pub(super) fn sealed_at(
    db: &Db,
    author: &IdentityKey,
    key: &LogKey,
    wall_ms: u64,
    prev: Option<Cid>,
    other_body: Option<&[u8]>,
) -> Blocks {
    let place = (1 + u64::from(prev.is_some()), wall_ms, prev);
    sealed_event(db, (author, key), place, (b"x", other_body))
}

/// A record with a number, a time and a predecessor; its body, and another one to exchange it for.
pub(super) fn sealed_event(
    db: &Db,
    (author, key): (&IdentityKey, &LogKey),
    (seq, wall_ms, prev): (u64, u64, Option<Cid>),
    (plain, other_body): (&[u8], Option<&[u8]>),
) -> Blocks {
    let (thread, rng) = (db.thread(), &mut system_rng());
    let position = Position {
        thread: &thread.id,
        log: key.log_id(),
        seq,
        epoch: 0,
    };
    let time = Hlc {
        wall_ms,
        counter: 0,
    };
    let format = match plain {
        b"x" => "other/1",
        _ => BATCH_FORMAT,
    };
    let (format, kind) = (format.parse().unwrap(), Encryption::None);
    let sealed = SealedEvent::seal(
        &position,
        thread.read.get().unwrap(),
        time,
        format,
        plain,
        kind,
        rng,
    )
    .unwrap();
    let (mut event, mut body) = (sealed.event.into_bytes(), sealed.body.into_bytes());
    if let Some(other) = other_body {
        let mut altered: Altered = block::decode(&event).unwrap();
        body = other.to_vec();
        altered.body = block::cid_of(block::RAW, &body);
        event = block::encode(&altered).unwrap();
    }
    signed(db, (author, key), (seq, prev), (event, body))
}

/// The record of an event's blocks.
pub(super) fn signed(
    db: &Db,
    (author, key): (&IdentityKey, &LogKey),
    (seq, prev): (u64, Option<Cid>),
    (event, body): (Vec<u8>, Vec<u8>),
) -> Blocks {
    let thread = db.thread();
    let fields = Fields {
        thread: thread.id.clone(),
        log: key.log_id(),
        seq,
        prev,
        skip: None,
        deps: Vec::new(),
        acl: Vec::new(),
        access: false,
        epoch: 0,
        tags: Vec::new(),
        event: block::cid_of(block::DAG_CBOR, &event),
    };
    let author = (seq == 1).then_some(author);
    let record = SignedRecord::seal(fields, key, author, &thread.replica).unwrap();
    Blocks {
        record: record.block().to_vec(),
        event,
        body,
    }
}
