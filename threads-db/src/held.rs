//! Held records: verified, and not to be applied now.
//!
//! A record is held when others that it builds on are missing, when it is dated ahead of this
//! machine's clock, or when the access policy has not accepted it. It is kept under its reason and
//! tried again when something changes; nothing of what it says is seen before. What is kept is
//! bounded: for waiting records by thread, for quarantined ones by author, for each of the two by node.
//!
//! Rows are numbered as they arrive. A record that already stands in its log, because only the
//! policy keeps it from being applied, has its blocks there; any other has them in its row.

use serde::{Deserialize, Serialize};
use threads_core::block;
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, LogId, PeerId, Result};

use crate::chain::{self, Blocks};
use crate::layout::{self, Number, Prefix, meta};

mod list;

#[cfg(test)]
mod tests;

pub(crate) use list::counts;
pub use list::{HeldCounts, HeldReason, HeldRecord};

/// The most records of a thread that wait, and of an author that are in quarantine; the most bytes
/// of either.
const RECORDS_MAX: u64 = 10_000;
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The most bytes of all records of a node that wait, and of all that are in quarantine: authors cost
/// nothing, and what waits is to find room whatever they send. What stands in its log is in neither.
const WAITING_BYTES_MAX: u64 = 256 * 1024 * 1024;
const QUARANTINE_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// How many of the oldest waiting records are looked at for one to give up.
const OLDEST_MAX: usize = 64;
/// The longest reason that is kept, in characters.
const WHY_CHARS_MAX: usize = 256;

/// A held record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) row: Row,
    /// Its blocks; `None` when it stands in its log.
    pub(crate) blocks: Option<Blocks>,
}

/// Which record is held, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) log: LogId,
    pub(crate) seq: u64,
    pub(crate) record: Cid,
    pub(crate) author: Option<PeerId>,
    pub(crate) since_ms: u64,
    pub(crate) why: Why,
}

/// Why a record is held, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Why {
    /// It is dated ahead: until this machine's clock says so many milliseconds.
    Early(u64),
    /// Until these records are here.
    Missing(Vec<Cid>),
    /// Until somebody decides, or a later trial finds it in order.
    Quarantine(String),
    /// In quarantine, as it is dated too far ahead: until this machine's clock says so many milliseconds.
    Future(u64, String),
    /// In quarantine, because the access policy does not accept it.
    Access(String),
    /// Until older records of this entity are here: it changes it before what is known of it.
    Older(String),
}

/// A reason that is not longer than what is kept of one.
fn shortened(why: impl std::fmt::Display) -> String {
    why.to_string().chars().take(WHY_CHARS_MAX).collect()
}

impl Why {
    /// In quarantine, for a reason that people read.
    pub(crate) fn quarantine(why: impl std::fmt::Display) -> Self {
        Self::Quarantine(shortened(why))
    }

    /// In quarantine by the word of the access policy.
    pub(crate) fn access(why: impl std::fmt::Display) -> Self {
        Self::Access(shortened(why))
    }

    pub(crate) fn is_quarantine(&self) -> bool {
        matches!(
            self,
            Self::Quarantine(_) | Self::Future(..) | Self::Access(_)
        )
    }

    fn missing(&self) -> &[Cid] {
        match self {
            Self::Missing(records) => records,
            Self::Early(_)
            | Self::Quarantine(_)
            | Self::Future(..)
            | Self::Access(_)
            | Self::Older(_) => &[],
        }
    }

    /// When it is to be tried again, by this machine's clock.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Early(at_ms) | Self::Future(at_ms, _) => Some(*at_ms),
            Self::Missing(_) | Self::Quarantine(_) | Self::Access(_) | Self::Older(_) => None,
        }
    }
}

impl Row {
    /// Whether it is in quarantine for what it is itself, which nothing changes that comes later.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.why, Why::Quarantine(_))
    }

    /// Whose bound it counts against; nobody's own while it only waits.
    pub(crate) fn owner(&self) -> &[u8] {
        match (self.why.is_quarantine(), &self.author) {
            (true, Some(author)) => author.key_bytes(),
            (true, None) => self.log.key_bytes(),
            (false, _) => &[],
        }
    }
}

/// How many records, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn decode(value: &[u8]) -> Result<Self> {
        let damaged = || Error::corrupt("a count of held records is damaged: verify the thread");
        let (records, bytes) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
        Ok(Self {
            records: u64::from_be_bytes(*records),
            bytes: u64::from_be_bytes(bytes.try_into().map_err(|_| damaged())?),
        })
    }

    fn get(txn: &dyn ReadTxn, space: Keyspace, key: &[u8]) -> Result<Self> {
        let value = txn.get(space, key)?;
        value.map_or(Ok(Self::default()), |value| Self::decode(&value))
    }

    fn put(self, txn: &mut dyn WriteTxn, space: Keyspace, key: &[u8]) -> Result<()> {
        if self.records == 0 {
            return txn.delete(space, key);
        }
        let value = [self.records.to_be_bytes(), self.bytes.to_be_bytes()].concat();
        txn.put(space, key, &value)
    }

    pub(crate) fn plus(self, bytes: u64) -> Self {
        Self {
            records: self.records + 1,
            bytes: self.bytes + bytes,
        }
    }

    fn minus(self, less: Self) -> Self {
        Self {
            records: self.records.saturating_sub(less.records),
            bytes: self.bytes.saturating_sub(less.bytes),
        }
    }

    fn within_bounds(self) -> bool {
        self.records <= RECORDS_MAX && self.bytes <= BYTES_MAX
    }
}

impl Entry {
    /// The count of the node that it is in, with the most bytes of it; none of what stands in its log.
    fn of_node(&self) -> Option<(&'static [u8], u64)> {
        self.blocks.as_ref()?;
        Some(match self.row.why.is_quarantine() {
            true => (meta::HELD_APART, QUARANTINE_BYTES_MAX),
            false => (meta::HELD_WAITING, WAITING_BYTES_MAX),
        })
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let row = block::encode(&self.row)?;
        let blocks = self.blocks.as_ref().map(chain::join).unwrap_or_default();
        // A row has a few links and a short text.
        Ok([&(row.len() as u32).to_be_bytes()[..], &row, &blocks].concat())
    }

    /// The row, and the bytes of the blocks.
    fn parts(value: &[u8]) -> Result<(Row, &[u8])> {
        let damaged = || Error::corrupt("a held record is damaged: verify the thread");
        let (length, rest) = value.split_first_chunk::<4>().ok_or_else(damaged)?;
        let parts = rest.split_at_checked(u32::from_be_bytes(*length) as usize);
        let (row, blocks) = parts.ok_or_else(damaged)?;
        let row = block::decode(row).map_err(|cause| damaged().caused_by(cause))?;
        Ok((row, blocks))
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self> {
        let (row, blocks) = Self::parts(value)?;
        let blocks = match blocks.is_empty() {
            true => None,
            false => Some(chain::split(blocks, row.seq)?),
        };
        Ok(Self { row, blocks })
    }
}

/// Whether the thread holds anything: most threads never do.
pub(crate) fn any(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
    let bounds = Prefix::new(&layout::held::tallies(thread));
    let mut tallies = txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
    Ok(tallies.next().transpose()?.is_some())
}

/// The arrival of a record, if it is held.
pub(crate) fn find(
    txn: &dyn ReadTxn,
    thread: Number,
    (log, seq, cid): (&LogId, u64, &Cid),
) -> Result<Option<u64>> {
    let key = layout::held::place(thread, log, seq, cid);
    let arrival = txn.get(Keyspace::Held, &key)?;
    arrival.map(|bytes| arrival_of(&bytes)).transpose()
}

fn arrival_of(bytes: &[u8]) -> Result<u64> {
    let bytes = bytes.try_into();
    bytes
        .map(u64::from_be_bytes)
        .map_err(|_| Error::corrupt("the number of a held record is damaged: verify the thread"))
}

/// What arrived so, if it is still held.
pub(crate) fn get(txn: &dyn ReadTxn, thread: Number, arrival: u64) -> Result<Option<Entry>> {
    let value = txn.get(Keyspace::Held, &layout::held::row(thread, arrival))?;
    value.map(|value| Entry::decode(&value)).transpose()
}

/// The numbers of all that is held, in the order of arrival: as many as the bounds allow.
pub(crate) fn arrivals(txn: &dyn ReadTxn, thread: Number) -> Result<Vec<u64>> {
    numbers(txn, &layout::held::rows(thread))
}

/// When the first record that is dated ahead may be tried again, by this node's clock, in milliseconds
/// since 1970.
pub(crate) fn next_due(txn: &dyn ReadTxn, thread: Number) -> Result<Option<u64>> {
    let prefix = layout::held::dues(thread);
    let bounds = Prefix::new(&prefix);
    let mut dues = txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
    let first = dues.next().transpose()?;
    first
        .map(|(key, _)| arrival_of(key[prefix.len()..].first_chunk::<8>().map_or(&[], |ms| ms)))
        .transpose()
}

/// The threads that hold records which are dated ahead. Where nothing is held it looks at none.
pub(crate) fn all_ahead(txn: &dyn ReadTxn) -> Result<Vec<Number>> {
    let mut ahead = Vec::new();
    if txn.get(Keyspace::Meta, meta::HELD)?.is_none() {
        return Ok(ahead);
    }
    let bounds = Prefix::new(meta::THREADS);
    for row in txn.scan(Keyspace::Meta, bounds.range(), Direction::Forward)? {
        let (key, _) = row?;
        let number = key[meta::THREADS.len()..].first_chunk();
        let damaged = || Error::corrupt("a thread's number is damaged");
        let thread = Number::from_be_bytes(*number.ok_or_else(damaged)?);
        ahead.extend(next_due(txn, thread)?.map(|_| thread));
    }
    Ok(ahead)
}

/// The numbers of what waits for `cid`.
pub(crate) fn waiting_for(txn: &dyn ReadTxn, thread: Number, cid: &Cid) -> Result<Vec<u64>> {
    numbers(txn, &layout::held::waiting_for(thread, cid))
}

fn numbers(txn: &dyn ReadTxn, prefix: &[u8]) -> Result<Vec<u64>> {
    let bounds = Prefix::new(prefix);
    let rows = txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
    rows.map(|row| arrival_of(&row?.0[prefix.len()..]))
        .collect()
}

/// What keeping a record came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Whether there was room for it.
    pub(crate) kept: bool,
    /// How many others were given up for it.
    pub(crate) given_up: u64,
}

/// Keeps a record, anew under the number it had, or under the next one, if there is room for it.
/// For one that stands in its log there is always room: it takes no more than any other record of
/// a log, and without it the log could not go on, nor what names it in others.
pub(crate) fn keep(
    txn: &mut dyn WriteTxn,
    thread: Number,
    arrival: Option<u64>,
    entry: &Entry,
) -> Result<Kept> {
    let arrival = match arrival {
        Some(arrival) => {
            remove(txn, thread, arrival)?;
            arrival
        }
        None => next_arrival(txn.as_read(), thread)?,
    };
    let value = entry.encode()?;
    let bytes = value.len() as u64;
    let mut room = Kept {
        kept: true,
        given_up: 0,
    };
    if let Some(of_node) = entry.of_node() {
        room = make_room(txn, thread, &entry.row, (bytes, of_node))?;
    }
    if !room.kept {
        return Ok(room);
    }
    count(txn, thread, entry, |tally| tally.plus(bytes))?;
    let (row, number) = (&entry.row, arrival.to_be_bytes());
    let place = layout::held::place(thread, &row.log, row.seq, &row.record);
    txn.put(Keyspace::Held, &place, &number)?;
    for cid in row.why.missing() {
        let key = layout::held::waiting(thread, cid, arrival);
        txn.put(Keyspace::Held, &key, &[])?;
    }
    if let Some(at_ms) = row.why.due_ms() {
        txn.put(
            Keyspace::Held,
            &layout::held::due(thread, at_ms, arrival),
            &[],
        )?;
    }
    txn.put(Keyspace::Held, &layout::held::row(thread, arrival), &value)?;
    Ok(room)
}

fn next_arrival(txn: &dyn ReadTxn, thread: Number) -> Result<u64> {
    let prefix = layout::held::rows(thread);
    let bounds = Prefix::new(&prefix);
    let mut rows = txn.scan(Keyspace::Held, bounds.range(), Direction::Reverse)?;
    match rows.next().transpose()? {
        Some((key, _)) => Ok(arrival_of(&key[prefix.len()..])? + 1),
        None => Ok(0),
    }
}

/// Forgets what arrived so.
pub(crate) fn remove(txn: &mut dyn WriteTxn, thread: Number, arrival: u64) -> Result<()> {
    let key = layout::held::row(thread, arrival);
    let Some(value) = txn.get(Keyspace::Held, &key)?.map(|value| value.to_vec()) else {
        return Ok(());
    };
    let entry = Entry::decode(&value)?;
    let less = Tally::default().plus(value.len() as u64);
    count(txn, thread, &entry, |tally| tally.minus(less))?;
    let row = entry.row;
    let place = layout::held::place(thread, &row.log, row.seq, &row.record);
    txn.delete(Keyspace::Held, &place)?;
    for cid in row.why.missing() {
        txn.delete(Keyspace::Held, &layout::held::waiting(thread, cid, arrival))?;
    }
    if let Some(at_ms) = row.why.due_ms() {
        txn.delete(Keyspace::Held, &layout::held::due(thread, at_ms, arrival))?;
    }
    txn.delete(Keyspace::Held, &key)
}

/// Changes the counts that an entry is in.
fn count(
    txn: &mut dyn WriteTxn,
    thread: Number,
    entry: &Entry,
    change: impl Fn(Tally) -> Tally,
) -> Result<()> {
    let key = layout::held::tally(thread, entry.row.owner());
    let own = [(Keyspace::Held, &key[..]), (Keyspace::Meta, meta::HELD)];
    let of_node = entry.of_node().map(|(key, _)| (Keyspace::Meta, key));
    for (space, key) in own.into_iter().chain(of_node) {
        let tally = change(Tally::get(txn.as_read(), space, key)?);
        tally.put(txn, space, key)?;
    }
    Ok(())
}

/// Makes room for a row, if the bounds allow it. Quarantine never gives anything up: whoever fills
/// it is refused. Of what waits, the oldest that nothing else waits for is given up; whoever sent it
/// can send it again. Nothing is given up where that makes too little room.
fn make_room(
    txn: &mut dyn WriteTxn,
    thread: Number,
    row: &Row,
    (bytes, (of_node, most)): (u64, (&[u8], u64)),
) -> Result<Kept> {
    let key = layout::held::tally(thread, row.owner());
    let quarantine = row.why.is_quarantine();
    let mut given_up = 0;
    // Ends: every turn gives up one of finitely many rows.
    loop {
        let own = Tally::get(txn.as_read(), Keyspace::Held, &key)?.plus(bytes);
        let node = Tally::get(txn.as_read(), Keyspace::Meta, of_node)?.plus(bytes);
        let kept = own.within_bounds() && node.bytes <= most;
        let others = node.minus(own).bytes;
        if kept || quarantine || others + bytes > most {
            return Ok(Kept { kept, given_up });
        }
        let Some(oldest) = unneeded(txn.as_read(), thread, &row.why)? else {
            return Ok(Kept { kept, given_up });
        };
        remove(txn, thread, oldest)?;
        given_up += 1;
    }
}

/// The oldest waiting record that nothing waits for, neither what is held nor a newcomer. One that
/// stands in its log is not given up: nobody would know any more that it is not applied.
fn unneeded(txn: &dyn ReadTxn, thread: Number, newcomer: &Why) -> Result<Option<u64>> {
    let prefix = layout::held::rows(thread);
    let bounds = Prefix::new(&prefix);
    let mut looked_at = 0;
    for held in txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)? {
        let (key, value) = held?;
        let (row, blocks) = Entry::parts(&value)?;
        if row.why.is_quarantine() || blocks.is_empty() {
            continue;
        }
        if !newcomer.missing().contains(&row.record)
            && waiting_for(txn, thread, &row.record)?.is_empty()
        {
            return arrival_of(&key[prefix.len()..]).map(Some);
        }
        looked_at += 1;
        if looked_at == OLDEST_MAX {
            break;
        }
    }
    Ok(None)
}

/// Takes a thread's held records off the counts of the node, before its rows are cleared.
pub(crate) fn forget(txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
    for arrival in arrivals(txn.as_read(), thread)? {
        let key = layout::held::row(thread, arrival);
        let value = txn.get(Keyspace::Held, &key)?.unwrap_or_default();
        let less = Tally::default().plus(value.len() as u64);
        let entry = Entry::decode(&value)?;
        count(txn, thread, &entry, |tally| tally.minus(less))?;
    }
    Ok(())
}
