//! A mark of each record that is covered by what a thread begins with here: whoever names one that was dropped is
//! told from who names another.
//!
//! A mark is eight bytes of a hash of the record's place and its CID. It has the place in it, so that whoever looks for
//! another CID with the mark of a record has to look for that of one record alone.

use sha2::{Digest, Sha256};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, LogId, Result};

use crate::chain;
use crate::layout::{Number, Place, Prefix, meta};
use crate::thread::Thread;

/// How many bytes a mark has.
pub(crate) const MARK_BYTES: usize = 8;
/// How many marks are in one row, and in one item of a snapshot.
pub(crate) const MARKS_AT_ONCE: u64 = 2_000;
const DOMAIN: &[u8] = b"threads/snapshot/mark/1";

/// What is kept of a record that is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark([u8; MARK_BYTES]);

impl Mark {
    pub(crate) fn of(log: &LogId, seq: u64, record: &Cid) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(log.key_bytes());
        hash.update(seq.to_be_bytes());
        hash.update(record.to_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&digest[..MARK_BYTES]);
        Self(mark)
    }

    pub(crate) fn from_bytes(bytes: [u8; MARK_BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn damaged() -> Error {
    Error::corrupt("what is known of records that were dropped is damaged: restore the thread")
}

/// The row that has the mark of a record, and where in it that is.
fn at(seq: u64) -> (u64, usize) {
    // Records count from 1.
    let index = seq.saturating_sub(1);
    // A row is far smaller than memory.
    (index / MARKS_AT_ONCE, (index % MARKS_AT_ONCE) as usize)
}

/// The mark of the record that is or was at a place; none where none is known.
pub(crate) fn get(txn: &dyn ReadTxn, place: Place) -> Result<Option<Mark>> {
    let (row, index) = at(place.seq);
    let row = txn.get(Keyspace::Meta, &meta::marks(place.thread, place.log, row))?;
    let Some(row) = row else { return Ok(None) };
    let (marks, rest) = row.as_chunks::<MARK_BYTES>();
    if !rest.is_empty() {
        return Err(damaged());
    }
    let mark = marks.get(index).filter(|mark| **mark != [0; MARK_BYTES]);
    Ok(mark.copied().map(Mark))
}

/// Notes marks of records of a log that follow each other, from `first` on.
pub(crate) fn put(
    txn: &mut dyn WriteTxn,
    (thread, log, first): (Number, Number, u64),
    marks: &[Mark],
) -> Result<()> {
    let mut rest = marks;
    let mut first = first;
    // Ends: each turn takes some of the rest.
    while !rest.is_empty() {
        let (number, index) = at(first);
        let room = (MARKS_AT_ONCE as usize) - index;
        let (now, later) = rest.split_at(room.min(rest.len()));
        let key = meta::marks(thread, log, number);
        let mut row = txn
            .get(Keyspace::Meta, &key)?
            .unwrap_or_default()
            .into_owned();
        let (from, to) = (index * MARK_BYTES, (index + now.len()) * MARK_BYTES);
        row.resize(row.len().max(to), 0);
        for (place, mark) in row[from..to].chunks_exact_mut(MARK_BYTES).zip(now) {
            place.copy_from_slice(&mark.0);
        }
        txn.put(Keyspace::Meta, &key, &row)?;
        first += now.len() as u64;
        rest = later;
    }
    Ok(())
}

/// The marks of some records of a log that are covered: those that are here have them from themselves.
pub(crate) fn of_range(
    txn: &dyn ReadTxn,
    thread: &Thread,
    log: Number,
    seqs: std::ops::RangeInclusive<u64>,
) -> Result<Vec<Mark>> {
    let id = thread.log_id(txn, log)?;
    let mut marks = Vec::new();
    for seq in seqs {
        let place = Place {
            thread: thread.number,
            log,
            seq,
        };
        let mark = match chain::id_at(txn, place)? {
            Some(record) => Some(Mark::of(&id, seq, &record)),
            None => get(txn, place)?,
        };
        marks.push(mark.ok_or_else(|| damaged().with("seq", seq))?);
    }
    Ok(marks)
}

/// Forgets the marks of a thread.
pub(crate) fn forget(txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
    let bounds = Prefix::new(&meta::all_marks(thread));
    let rows = txn.scan(Keyspace::Meta, bounds.range(), Direction::Forward)?;
    let keys: Vec<_> = rows
        .map(|row| row.map(|(key, _)| key.into_owned()))
        .collect::<Result<_>>()?;
    keys.iter()
        .try_for_each(|key| txn.delete(Keyspace::Meta, key))
}
