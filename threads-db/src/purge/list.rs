//! What was purged, for people and programs.

use std::collections::BTreeMap;

use serde::Serialize;
use threads_core::access::Statement;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{Cid, Erased, LogId, PeerId, Result};

use super::empty::{self, Fate};
use super::rows::{self, EmptiedRow, PurgeRow};
use crate::chain;
use crate::db::Db;
use crate::held;
use crate::layout::Place;
use crate::sync::erasures;
use crate::thread::Thread;

/// A statement that records are purged, and what became of it here.
///
/// ```
/// fn line(purge: &threads_db::Purge) -> String { format!("{} of {} records", purge.emptied, purge.listed) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Purge {
    /// The record that states it.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// Who states it.
    pub author: PeerId,
    /// Why it does not count, in words; none when it does.
    pub void: Option<String>,
    /// How many records it lists.
    pub listed: u64,
    /// How many of them are emptied here.
    pub emptied: u64,
    /// How many are kept because they say something of what lives.
    pub living: u64,
    /// How many are kept because they have a format that is not known here.
    pub unread: u64,
    /// How many are not here.
    pub absent: u64,
    /// What peers signed that they erased. It is asked for by who stated the purge, and kept there: claims, and
    /// no proofs.
    pub claims: BTreeMap<PeerId, Erased>,
}

/// A record of which only the sealed record is left.
///
/// ```
/// fn line(emptied: &threads_db::Emptied) -> String { format!("{} {}", emptied.log, emptied.seq) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Emptied {
    /// The record.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// Its log.
    pub log: LogId,
    /// Its place in the log.
    pub seq: u64,
    /// The record by which it was purged.
    #[serde(serialize_with = "crate::text::display")]
    pub by: Cid,
    /// Whether that is known here and counts. Otherwise somebody handed it on without what it said, for a
    /// reason that nobody here can check, and a peer that still has it whole will be asked for it.
    pub explained: bool,
}

/// How many records of a thread are emptied.
///
/// ```
/// assert_eq!(threads_db::EmptiedCounts::default().stripped, 0);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EmptiedCounts {
    /// Those for a reason that is known here and counts.
    pub purged: u64,
    /// Those that came so without a reason that is known here.
    pub stripped: u64,
    /// The same, by log.
    pub stripped_of: BTreeMap<LogId, u64>,
}

/// Looks at every record that a purge lists.
pub(crate) fn tally(txn: &dyn ReadTxn, thread: &Thread, purge: &Cid) -> Result<Erased> {
    let mut tally = Erased::default();
    let mut dead = BTreeMap::new();
    for dep in rows::list(txn, thread, purge)? {
        let blocks = match chain::locate(txn, thread.number, &dep.cid)? {
            Some(place) => Some(chain::expect(txn, place)?),
            None => match held::find(txn, thread.number, (&dep.log, dep.seq, &dep.cid))? {
                Some(arrival) => {
                    held::get(txn, thread.number, arrival)?.and_then(|held| held.blocks)
                }
                None => None,
            },
        };
        let Some(blocks) = blocks else {
            tally.absent += 1;
            continue;
        };
        if blocks.is_emptied() {
            tally.emptied += 1;
            continue;
        }
        let record = (thread.open_record(&blocks.record)?, &blocks);
        match empty::look(txn, thread, record, &mut dead)?.0 {
            Fate::Unread => tally.unread += 1,
            Fate::Lives | Fate::Goes => tally.living += 1,
        }
    }
    Ok(tally)
}

impl Db {
    /// The purges that were stated in this thread, in the order in which they came here, and what became
    /// of each. None in a thread without rules, where purging concerns nobody else.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.purges().unwrap().is_empty());
    /// ```
    pub fn purges(&self) -> Result<Vec<Purge>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let mut purges: Vec<Purge> = Vec::new();
        for stated in thread.node.policy.statements(&thread.id, &*txn)? {
            let is_purge = matches!(stated.statement, Statement::Purge { .. });
            let again = purges
                .last()
                .is_some_and(|last| last.record == stated.record);
            if !is_purge || again || PurgeRow::get(&*txn, thread.number, &stated.record)?.is_none()
            {
                continue;
            }
            let tally = tally(&*txn, thread, &stated.record)?;
            let Erased {
                emptied,
                living,
                unread,
                absent,
            } = tally;
            purges.push(Purge {
                record: stated.record,
                author: stated.author,
                void: stated.void,
                listed: tally.listed(),
                emptied,
                living,
                unread,
                absent,
                claims: erasures::claims(&*txn, thread.number, &stated.record)?
                    .into_iter()
                    .map(|(peer, erasure)| (peer, erasure.erased()))
                    .collect(),
            });
        }
        Ok(purges)
    }

    /// The records of which only the sealed record is left.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.emptied().unwrap().is_empty());
    /// ```
    pub fn emptied(&self) -> Result<Vec<Emptied>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let mut all = Vec::new();
        for explained in [true, false] {
            for (place, by) in rows::all_emptied(&*txn, thread.number, explained)? {
                all.push(Emptied {
                    record: chain::expect(&*txn, place)?.record_id(),
                    log: thread.log_id(&*txn, place.log)?,
                    seq: place.seq,
                    by,
                    explained,
                });
            }
        }
        Ok(all)
    }
}

/// Why an emptied record is so, in words.
pub(crate) fn why(txn: &dyn ReadTxn, place: Place, by: &Cid) -> Result<String> {
    let known = EmptiedRow::get(txn, place)?.is_some_and(|row| row.known);
    Ok(match known {
        true => format!("it was purged, by {by}: what it said is erased, and it is not applied"),
        false => format!(
            "it came without what it said, purged by {by}, and nothing that counts here says so: it is not \
             applied, until a peer hands it on whole"
        ),
    })
}

/// How many records of a thread are emptied.
pub(crate) fn counts(txn: &dyn ReadTxn, thread: &Thread) -> Result<EmptiedCounts> {
    let mut counts = EmptiedCounts {
        purged: rows::all_emptied(txn, thread.number, true)?.len() as u64,
        ..EmptiedCounts::default()
    };
    for (place, _) in rows::all_emptied(txn, thread.number, false)? {
        counts.stripped += 1;
        *counts
            .stripped_of
            .entry(thread.log_id(txn, place.log)?)
            .or_default() += 1;
    }
    Ok(counts)
}
