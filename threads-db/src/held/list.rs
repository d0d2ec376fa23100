//! What a thread holds, for people and programs, and trying it again.

use std::collections::VecDeque;
use std::fmt;

use serde::{Serialize, Serializer};
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::{Cid, LogId, PeerId, Result};

use super::{Entry, Tally, Why};
use crate::access;
use crate::db::Db;
use crate::ingest::{self, Intake};
use crate::layout::{self, Number, Prefix};

/// A record that is here, verified, and not applied.
///
/// ```
/// fn line(held: &threads_db::HeldRecord) -> String { format!("{}: {}", held.record, held.reason) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldRecord {
    /// The record.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// Its log.
    pub log: LogId,
    /// Its place in the log.
    pub seq: u64,
    /// The identity that owns the log, where it is known.
    pub author: Option<PeerId>,
    /// When it was first held, by this node's clock, in milliseconds since 1970.
    pub since_ms: u64,
    /// Why.
    pub reason: HeldReason,
    /// Who made its changes their own, if somebody did.
    pub adopted_by: Option<PeerId>,
}

/// Why a record is held.
///
/// ```
/// use threads_db::HeldReason;
/// let reason = HeldReason::Quarantine("only members write".into());
/// assert_eq!(reason.to_string(), "in quarantine: only members write");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldReason {
    /// It is dated ahead, and is applied once this node's clock has come so far, in milliseconds
    /// since 1970.
    EarlyUntilMs(u64),
    /// It is applied once these records are here.
    Missing(#[serde(serialize_with = "texts")] Vec<Cid>),
    /// It is kept apart for this reason, until a trial finds it in order.
    Quarantine(String),
    /// It is kept apart because the access policy does not accept it, for this reason. A writer can adopt
    /// it: see [`WriteTransaction::adopt`](crate::WriteTransaction::adopt).
    Access(String),
    /// It changes this entity before what is known of it here, and is applied once the older records of it are
    /// here: see [`Db::base`](crate::Db::base).
    Older(String),
}

fn texts<S: Serializer>(cids: &[Cid], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cids.iter().map(Cid::to_string))
}

impl fmt::Display for HeldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EarlyUntilMs(until) => write!(f, "dated ahead: waits for the time {until} ms"),
            Self::Missing(records) => {
                f.write_str("waits for")?;
                records.iter().try_for_each(|record| write!(f, " {record}"))
            }
            Self::Quarantine(why) | Self::Access(why) => write!(f, "in quarantine: {why}"),
            Self::Older(entity) => write!(f, "waits for older records of {entity}"),
        }
    }
}

/// How many records a thread holds.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// assert_eq!(db.held_counts().unwrap(), threads_db::HeldCounts::default());
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldCounts {
    /// How many wait, for a time or for other records.
    pub pending: u64,
    /// How many are in quarantine.
    pub quarantined: u64,
    /// How many bytes all of them take.
    pub bytes: u64,
}

impl HeldReason {
    /// Whether it is in quarantine, and does not only wait.
    ///
    /// ```
    /// use threads_db::HeldReason;
    /// assert!(HeldReason::Access("its author may only read".into()).is_quarantine());
    /// assert!(!HeldReason::EarlyUntilMs(0).is_quarantine());
    /// ```
    pub fn is_quarantine(&self) -> bool {
        matches!(self, Self::Quarantine(_) | Self::Access(_))
    }
}

impl From<Why> for HeldReason {
    fn from(why: Why) -> Self {
        match why {
            Why::Early(until_ms) => Self::EarlyUntilMs(until_ms),
            Why::Missing(records) => Self::Missing(records),
            Why::Quarantine(why) | Why::Future(_, why) => Self::Quarantine(why),
            Why::Access(why) => Self::Access(why),
            Why::Older(entity) => Self::Older(entity),
        }
    }
}

impl Db {
    /// The records that are here, verified, and not applied, with the reason, oldest first.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.held().unwrap().is_empty());
    /// ```
    pub fn held(&self) -> Result<Vec<HeldRecord>> {
        let txn = self.thread().node.store.read()?;
        let bounds = Prefix::new(&layout::held::rows(self.thread().number));
        let adopted = access::adopters(&*txn, self.thread())?;
        let rows = txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)?;
        rows.map(|row| {
            let row = Entry::decode(&row?.1)?.row;
            Ok(HeldRecord {
                adopted_by: adopted.get(&row.record.to_string()).copied(),
                record: row.record,
                log: row.log,
                seq: row.seq,
                author: row.author,
                since_ms: row.since_ms,
                reason: row.why.into(),
            })
        })
        .collect()
    }

    /// How many records are held, without looking at them.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert_eq!(db.held_counts().unwrap().pending, 0);
    /// ```
    pub fn held_counts(&self) -> Result<HeldCounts> {
        let txn = self.thread().node.store.read()?;
        counts(&*txn, self.thread().number)
    }

    /// Tries every held record again, oldest first, and gives how many were applied. What came
    /// since, the time by the node's clock, and the policy decide anew about each.
    ///
    /// Opening a thread does this too, a record that arrives tries again what waits for it, and sync what
    /// waited for a time. Without sync time passes unnoticed: ask when records wait for it.
    ///
    /// # Errors
    ///
    /// Those of the datastore; [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported)
    /// when it was opened to be read only.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert_eq!(db.retry_held().unwrap(), 0);
    /// ```
    pub fn retry_held(&self) -> Result<u64> {
        self.settle_held().map(|intake| intake.new)
    }

    pub(crate) fn settle_held(&self) -> Result<Intake> {
        let thread = self.thread();
        let all: VecDeque<u64> = {
            let txn = thread.node.store.read()?;
            super::arrivals(&*txn, thread.number)?.into()
        };
        ingest::settle(thread, all)
    }

    /// Tries again what is held, when the thread is opened to be written.
    pub(crate) fn catch_up_held(&self) -> Result<()> {
        // Without the right to write, or within somebody's transaction, it is for the next one.
        match self.thread().node.writer() {
            Ok(Some(free)) => drop(free),
            _ => return Ok(()),
        }
        self.retry_held().map(|_| ())
    }
}

/// How much a thread holds.
pub(crate) fn counts(txn: &dyn ReadTxn, thread: Number) -> Result<HeldCounts> {
    let prefix = layout::held::tallies(thread);
    let bounds = Prefix::new(&prefix);
    let mut counts = HeldCounts::default();
    for row in txn.scan(Keyspace::Held, bounds.range(), Direction::Forward)? {
        let (key, value) = row?;
        let tally = Tally::decode(&value)?;
        match key.len() == prefix.len() {
            true => counts.pending += tally.records,
            false => counts.quarantined += tally.records,
        }
        counts.bytes += tally.bytes;
    }
    Ok(counts)
}
