//! The chain on disk: each record with its event and body, by place, and the way from a CID to it.
//!
//! Of a record that was purged only the sealed record is left: its event is empty, which no event is, and in
//! place of the body is the CID of the record by which it was purged.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use threads_core::block::{self, Block, DAG_CBOR, RAW, check_link, cid_of};
use threads_core::datastore::{Keyspace, ReadTxn, WriteTxn};
use threads_core::event::Event;
use threads_core::record::{Record, Rejection, SignedRecord};
use threads_core::{Cid, Error, Result};

use crate::layout::{Number, Place, link};

/// What stands in a file for the event of a record that was purged; its body is empty there.
#[derive(Serialize, Deserialize)]
struct Marker {
    purged: Cid,
}

/// The blocks of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// The sealed record.
    pub(crate) record: Vec<u8>,
    /// The event it points to.
    pub(crate) event: Vec<u8>,
    /// The event's body.
    pub(crate) body: Vec<u8>,
}

impl Blocks {
    pub(crate) fn record_id(&self) -> Cid {
        cid_of(DAG_CBOR, &self.record)
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.record.len() + self.event.len() + self.body.len()) as u64
    }

    /// What is left of a record that is purged by another one.
    pub(crate) fn emptied(record: Vec<u8>, by: &Cid) -> Self {
        Self {
            record,
            event: Vec::new(),
            body: by.to_bytes(),
        }
    }

    pub(crate) fn is_emptied(&self) -> bool {
        self.event.is_empty()
    }

    /// By which record it was purged, if it was.
    pub(crate) fn purged_by(&self) -> Result<Option<Cid>> {
        if !self.is_emptied() {
            return Ok(None);
        }
        let by = Cid::try_from(&self.body[..]).map_err(|_| Rejection::Malformed)?;
        check_link(&by).map_err(|_| Rejection::BadLink)?;
        match by.to_bytes() == self.body {
            true => Ok(Some(by)),
            false => Err(Rejection::Malformed.into()),
        }
    }

    /// Checks that the record points to the event, and the event to the body. What was said about access
    /// is never purged.
    pub(crate) fn check_links(&self, record: &SignedRecord) -> Result<()> {
        if self.purged_by()?.is_some() {
            return match record.fields().access {
                true => Err(Rejection::Malformed.into()),
                false => Ok(()),
            };
        }
        let event = cid_of(DAG_CBOR, &self.event);
        let body = cid_of(RAW, &self.body);
        if record.block_id() != event || Event::decode(&self.event)?.body_id() != body {
            return Err(
                Error::corrupt("a record does not point to the blocks it came with")
                    .with("record", record.id()),
            );
        }
        Ok(())
    }

    /// The three as blocks with their CIDs, in the order in which a file has them.
    pub(crate) fn into_blocks(self) -> Result<[Block; 3]> {
        let (event, body) = match self.purged_by()? {
            Some(purged) => (block::encode(&Marker { purged })?, Vec::new()),
            None => (self.event, self.body),
        };
        Ok([
            Block::cbor(self.record),
            Block::cbor(event),
            Block::raw(body),
        ])
    }

    /// The inverse of [`into_blocks`](Self::into_blocks).
    pub(crate) fn from_blocks([record, event, body]: [Block; 3]) -> Self {
        let record = record.into_bytes();
        match block::decode::<Marker>(event.bytes()) {
            Ok(marker) if body.bytes().is_empty() => Self::emptied(record, &marker.purged),
            _ => Self {
                record,
                event: event.into_bytes(),
                body: body.into_bytes(),
            },
        }
    }
}

/// Files a record's blocks and the way to them.
pub(crate) fn put(txn: &mut dyn WriteTxn, place: Place, cid: &Cid, blocks: &Blocks) -> Result<()> {
    txn.put(Keyspace::Blocks, &place.key(), &join(blocks))?;
    txn.put(Keyspace::Links, &link(place.thread, cid), &place.key()[4..])
}

/// A record's blocks as one value.
pub(crate) fn join(blocks: &Blocks) -> Vec<u8> {
    let (record, event) = (&blocks.record, &blocks.event);
    let mut value = Vec::with_capacity(8 + blocks.bytes() as usize);
    // Both are bounded far below four gigabytes by the formats.
    value.extend_from_slice(&(record.len() as u32).to_be_bytes());
    value.extend_from_slice(&(event.len() as u32).to_be_bytes());
    for part in [record, event, &blocks.body] {
        value.extend_from_slice(part);
    }
    value
}

/// The blocks of the record at `place`, if there is one.
pub(crate) fn get(txn: &dyn ReadTxn, place: Place) -> Result<Option<Blocks>> {
    txn.get(Keyspace::Blocks, &place.key())?
        .map(|value| split(&value, place.seq))
        .transpose()
}

/// The CID of the record at `place`, if there is one.
pub(crate) fn id_at(txn: &dyn ReadTxn, place: Place) -> Result<Option<Cid>> {
    let Some(value) = txn.get(Keyspace::Blocks, &place.key())? else {
        return Ok(None);
    };
    let (record, _, _) = parts(&value, place.seq)?;
    Ok(Some(cid_of(DAG_CBOR, record)))
}

/// The blocks of the record at `place`, which must be there.
pub(crate) fn expect(txn: &dyn ReadTxn, place: Place) -> Result<Blocks> {
    get(txn, place)?.ok_or_else(|| {
        Error::corrupt("a record is missing: restore the thread from an export or a peer")
            .with("seq", place.seq)
    })
}

/// The inverse of [`join`]; `seq` is for the error.
pub(crate) fn split(value: &[u8], seq: u64) -> Result<Blocks> {
    let (record, event, body) = parts(value, seq)?;
    Ok(Blocks {
        record: record.to_vec(),
        event: event.to_vec(),
        body: body.to_vec(),
    })
}

/// The record, the event and the body in a value.
fn parts(value: &[u8], seq: u64) -> Result<(&[u8], &[u8], &[u8])> {
    let parts = || {
        let (record, rest) = value.split_first_chunk::<4>()?;
        let (event, rest) = rest.split_first_chunk::<4>()?;
        let (record, rest) = rest.split_at_checked(u32::from_be_bytes(*record) as usize)?;
        let (event, body) = rest.split_at_checked(u32::from_be_bytes(*event) as usize)?;
        Some((record, event, body))
    };
    parts().ok_or_else(|| {
        Error::corrupt("a record's blocks are damaged: restore the thread from an export or a peer")
            .with("seq", seq)
    })
}

/// Where the record that `cid` names is kept, if it is here.
pub(crate) fn locate(txn: &dyn ReadTxn, thread: Number, cid: &Cid) -> Result<Option<Place>> {
    let Some(rest) = txn.get(Keyspace::Links, &link(thread, cid))? else {
        return Ok(None);
    };
    let key: Cow<'_, [u8]> = [&thread.to_be_bytes()[..], &rest].concat().into();
    Place::from_key(&key).map(Some)
}
