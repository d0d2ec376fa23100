//! What the policy learned, as rows: every access record in the order in which it came, and a stamp of
//! all of them.

use serde::{Deserialize, Serialize};
use threads_core::access::Statement;
use threads_core::block;
use threads_core::datastore::Direction;
use threads_core::policy::AccessRecord;
use threads_core::reducer::{ReadView, View};
use threads_core::{Cid, Error, PeerId, Result, ThreadId};

const STAMP: &[u8] = b"s";
const RECORDS: &[u8] = b"r";

/// What the rows hash to, and how many they are: alike for views that hold the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    digest: [u8; 32],
    records: u32,
}

/// An access record, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) record: Cid,
    pub(super) author: PeerId,
    pub(super) acl: Vec<Cid>,
    pub(super) statements: Vec<Statement>,
}

impl Row {
    pub(super) fn of(record: &AccessRecord<'_>) -> Self {
        Self {
            record: record.id,
            author: record.author,
            acl: record.acl.to_vec(),
            statements: record.statements.to_vec(),
        }
    }

    pub(super) fn record_of<'a>(&'a self, thread: &'a ThreadId) -> AccessRecord<'a> {
        AccessRecord {
            thread,
            author: self.author,
            id: self.record,
            acl: &self.acl,
            statements: &self.statements,
        }
    }
}

fn damaged() -> Error {
    Error::corrupt("what is known of a thread's access rules is damaged: restore the thread")
}

impl Stamp {
    fn decode(value: Option<&[u8]>) -> Result<Self> {
        let Some(value) = value else {
            return Ok(Self::default());
        };
        let (digest, records) = value.split_first_chunk::<32>().ok_or_else(damaged)?;
        Ok(Self {
            digest: *digest,
            records: u32::from_be_bytes(records.try_into().map_err(|_| damaged())?),
        })
    }

    /// That of the rows with one more.
    fn with(self, record: &Cid) -> Self {
        let bytes = [&self.digest[..], &record.to_bytes()].concat();
        Self {
            digest: block::sha256(&bytes),
            // Each takes more room on disk than there is for so many.
            records: self.records + 1,
        }
    }

    fn encode(&self) -> Vec<u8> {
        [&self.digest[..], &self.records.to_be_bytes()].concat()
    }
}

/// The stamp of a view.
pub(super) fn stamp(view: &ReadView<'_>) -> Result<Stamp> {
    Stamp::decode(view.get(STAMP)?.as_deref())
}

/// The same, of one that can be written.
pub(super) fn stamp_of(view: &View<'_>) -> Result<Stamp> {
    Stamp::decode(view.get(STAMP)?.as_deref())
}

/// Every record of a view, in the order in which they came, or the other way round.
pub(super) fn records<'a>(
    view: &'a ReadView<'_>,
    direction: Direction,
) -> Result<impl Iterator<Item = Result<Row>> + 'a> {
    let rows = view.scan(RECORDS, direction)?;
    Ok(rows.map(|row| decode(&row?.1)))
}

/// The same, of one that can be written.
pub(super) fn records_of<'a>(
    view: &'a View<'_>,
    direction: Direction,
) -> Result<impl Iterator<Item = Result<Row>> + 'a> {
    let rows = view.scan(RECORDS, direction)?;
    Ok(rows.map(|row| decode(&row?.1)))
}

fn decode(value: &[u8]) -> Result<Row> {
    block::decode(value).map_err(|cause| damaged().caused_by(cause))
}

/// Adds a record; gives the stamp with it.
pub(super) fn append(
    view: &mut View<'_>,
    before: &Stamp,
    record: &AccessRecord<'_>,
) -> Result<Stamp> {
    let row = Row::of(record);
    let key = [RECORDS, &before.records.to_be_bytes()].concat();
    view.put(&key, &block::encode(&row)?)?;
    let stamp = before.with(&record.id);
    view.put(STAMP, &stamp.encode())?;
    Ok(stamp)
}
