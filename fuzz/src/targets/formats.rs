//! Records, events and bodies.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use serde_bytes::ByteBuf;
use threads_core::batch::Batch;
use threads_core::block::{self, Block, DAG_CBOR, cid_of, sha256};
use threads_core::event::{Event, Position};
use threads_core::record::{Record, SignedRecord, Verified, skip_target};
use threads_core::{Cid, IdentityKey, LogId, ReadKey, ReplicaKey, ThreadId, system_rng};

use crate::bound::aad;
use crate::check::{canonical, rejected};
use crate::seeds;

const LAYER_RECORD: u8 = 0;
const LAYER_HEADER: u8 = 1;

/// Sealed blocks, as anybody can send them (after a 0), and what is sealed in them, as whoever has
/// the replica key can make it.
pub(crate) fn record(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let (thread, replica) = (seeds::thread(), seeds::replica());
    let block = if *mode == 0 {
        rest.to_vec()
    } else {
        sealed(rest, &thread, &replica)
    };
    let record = match SignedRecord::open(&block, &thread, &replica) {
        Ok(record) => record,
        Err(error) => return rejected(&error),
    };
    if *mode != 0 {
        canonical(rest);
    }
    canonical(&block);
    let fields = record.fields();
    assert_eq!(
        (record.block(), record.id()),
        (&block[..], cid_of(DAG_CBOR, &block))
    );
    assert_eq!(
        (&fields.thread, fields.prev.is_some()),
        (&thread, fields.seq > 1)
    );
    assert_eq!(fields.skip.is_some(), skip_target(fields.seq).is_some());
    assert_eq!(record.author().is_some(), fields.seq == 1);
    // One alone and many together are judged alike.
    let alone = Verified::check(record.clone());
    let together = Verified::check_all(vec![record.clone(), record], &mut system_rng());
    assert_eq!(alone.is_ok(), together.is_ok());
    if let Err(error) = alone {
        rejected(&error);
    }
}

fn sealed(plain: &[u8], thread: &ThreadId, replica: &ReplicaKey) -> Vec<u8> {
    // The epoch stands outside as well; one that differs is a case of its own.
    let epoch = match block::decode::<Ipld>(plain)
        .as_ref()
        .map(|plain| plain.get("epoch"))
    {
        Ok(Ok(Some(Ipld::Integer(epoch)))) => u64::try_from(*epoch).unwrap_or(0),
        _ => 0,
    };
    let sealed = replica.seal_synthetic(&aad(LAYER_RECORD, thread, None, epoch), plain);
    block::encode(&(1_u64, epoch, ByteBuf::from(sealed.unwrap()))).unwrap()
}

/// Event blocks.
pub(crate) fn event(input: &[u8]) {
    match Event::decode(input) {
        Ok(event) => {
            canonical(input);
            block::check_link(&event.body_id()).unwrap();
        }
        Err(error) => rejected(&error),
    }
}

/// Where the header target's events stand.
pub(crate) fn position(thread: &ThreadId) -> Position<'_> {
    Position {
        thread,
        log: LogId::from_key_bytes([1; 32]),
        seq: 7,
        epoch: 3,
    }
}

/// What is sealed in a header, as whoever has the read key can make it.
pub(crate) fn header(input: &[u8]) {
    let (thread, read) = (seeds::thread(), ReadKey::from_bytes(&[2; 32]));
    let position = position(&thread);
    let bound = aad(
        LAYER_HEADER,
        &thread,
        Some((&position.log, position.seq)),
        position.epoch,
    );
    let sealed = read.seal_random(&bound, input, &mut system_rng()).unwrap();
    let body = b"body";
    let event = match Event::decode(&event_block(sealed, *Block::raw(*body).cid())) {
        Ok(event) => event,
        Err(error) => return rejected(&error),
    };
    let header = match event.open_header(&position, &read) {
        Ok(header) => header,
        Err(error) => return rejected(&error),
    };
    canonical(input);
    let recipient = IdentityKey::from_bytes(&[3; 32]).agreement_key();
    match header.open_body(&position, body, Some(&recipient)) {
        // Nobody seals these four bytes, so they are the body itself.
        Ok(plain) => assert_eq!(sha256(&plain), sha256(body)),
        Err(error) => rejected(&error),
    }
}

/// The block of an event, from the specification.
fn event_block(header: Vec<u8>, body: Cid) -> Vec<u8> {
    let event = BTreeMap::from([
        ("header".to_owned(), Ipld::Bytes(header)),
        ("body".to_owned(), Ipld::Link(body)),
    ]);
    block::encode(&Ipld::Map(event)).unwrap()
}

/// Bodies of transactions.
pub(crate) fn batch(input: &[u8]) {
    match Batch::decode(input) {
        Ok(batch) => {
            canonical(input);
            assert_eq!(batch.encode().unwrap(), input);
            assert!((1..=threads_core::batch::EVENTS_MAX).contains(&batch.events.len()));
        }
        Err(error) => rejected(&error),
    }
}

/// The mistake that has to be found: it takes a batch that decodes, with an entity as no seed has it.
pub(crate) fn planted(input: &[u8]) {
    let Ok(batch) = Batch::decode(input) else {
        return;
    };
    let mut entities = batch.events.iter().map(|event| event.entity.as_str());
    assert!(
        !entities.any(|entity| entity.contains('~')),
        "the planted mistake"
    );
}
