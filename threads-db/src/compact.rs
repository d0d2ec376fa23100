//! Compaction: dropping old records of a thread here, as far as a policy says, without changing an answer.
//!
//! The state that they gave becomes what the thread [begins](crate::base) with. It takes one commit; the rows of
//! what is dropped go in further ones, and when that is interrupted it goes on when the thread is opened again.

use std::collections::BTreeSet;

use serde::Serialize;
use threads_core::books::HeadBook;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{Cid, Error, LogId, Result};

use crate::base::Base;
use crate::chain;
use crate::db::Db;
use crate::held::{self, Why};
use crate::invite;
use crate::layout::{self, Place, meta};
use crate::progress::Progress;
use crate::snapshot::{self, Covered};
use crate::sync::shares;
use crate::thread::Thread;

mod activate;
mod clear;
mod regain;

pub use regain::Regained;
pub(crate) use regain::{ids, wanted};

/// What a compaction keeps.
///
/// ```
/// assert_eq!("since:1700000000000".parse::<threads_db::Keep>().unwrap(), threads_db::Keep::SinceMs(1_700_000_000_000));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Every record: nothing is done.
    All,
    /// The records that are dated so, in milliseconds since 1970, or later; of older ones what they came to.
    SinceMs(u64),
    /// The present state of each entity, and no record but those that stay needed.
    Latest,
}

impl std::str::FromStr for Keep {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let since = || text.strip_prefix("since:")?.parse().ok();
        match text {
            "all" => Ok(Self::All),
            "latest" => Ok(Self::Latest),
            _ => since().map(Self::SinceMs).ok_or_else(|| {
                Error::invalid("what to keep is all, latest, or since: and milliseconds since 1970")
                    .with("keep", format_args!("{text:.80}"))
            }),
        }
    }
}

/// How to compact.
///
/// ```
/// use threads_db::{CompactOptions, Keep};
/// assert!(!CompactOptions::new(Keep::Latest).dry_run);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// What is kept.
    pub keep: Keep,
    /// Whether it is only worked out what would be done.
    pub dry_run: bool,
    /// Whether records are dropped of a thread that is shared, or to which somebody is invited. No peer promises to keep
    /// what it has, and others may compact too: somebody has to see to it that one keeps all records.
    pub even_alone: bool,
}

impl CompactOptions {
    /// Keeps this, and drops nothing of a thread that is shared.
    ///
    /// ```
    /// let options = threads_db::CompactOptions::new(threads_db::Keep::All);
    /// assert!(!options.even_alone);
    /// ```
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            dry_run: false,
            even_alone: false,
        }
    }
}

/// What a compaction did, or would do.
///
/// ```
/// fn line(report: &threads_db::CompactReport) -> String { format!("{} records dropped", report.dropped) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CompactReport {
    /// How many records are dropped.
    pub dropped: u64,
    /// How many bytes their blocks have.
    pub bytes: u64,
    /// How many records stay that the state covers, as they stay needed.
    pub kept: u64,
    /// The logs of which other peers may need what is dropped, as the thread is shared, or somebody is invited.
    pub alone: Vec<LogId>,
    /// The snapshot that the thread begins with then.
    #[serde(serialize_with = "crate::text::optional")]
    pub snapshot: Option<Cid>,
}

/// What a thread begins with here, where not all of its records are here.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// assert!(db.base().unwrap().is_none(), "all of its records are here");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaseInfo {
    /// The snapshot that stands for what is not here.
    #[serde(serialize_with = "crate::text::display")]
    pub snapshot: Cid,
    /// The last record of each log that it covers.
    pub logs: Vec<(LogId, u64)>,
    /// The position up to which the feed is not here.
    pub position: u64,
    /// The latest time of what is covered, in milliseconds since 1970.
    pub until_ms: u64,
    /// How many of the records that are covered are not here.
    pub dropped: u64,
    /// How many records wait for older ones, as they change an entity before what is known of it.
    pub waiting: u64,
    /// An access record that came later, and by which older records would have to be judged again: what they did
    /// stands here though it may not elsewhere.
    #[serde(serialize_with = "crate::text::optional")]
    pub owes: Option<Cid>,
}

impl Db {
    /// What this thread begins with here, where not all of its records are here; none where they are.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::{CompactOptions, Keep};
    /// for age in 43..60 {
    ///     people.patch("bob", &serde_json::json!({"age": age})).unwrap();
    /// }
    /// db.compact(&CompactOptions::new(Keep::Latest), &mut |_| ()).unwrap();
    /// assert_eq!(db.base().unwrap().unwrap().logs[0].1, 19);
    /// ```
    pub fn base(&self) -> Result<Option<BaseInfo>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let base = Base::get(&*txn, thread.number)?;
        let Some(base) = base.filter(|base| !base.covered.last.is_empty()) else {
            return Ok(None);
        };
        let mut logs = Vec::new();
        for (number, seq) in &base.covered.last {
            logs.push((thread.log_id(&*txn, *number)?, *seq));
        }
        logs.sort();
        let all = base.covered.last.values().copied();
        let all = all.fold(0, u64::saturating_add);
        let here = kept(&*txn, thread, &base)?.len() as u64;
        let mut waiting = 0;
        for arrival in held::arrivals(&*txn, thread.number)? {
            let entry = held::get(&*txn, thread.number, arrival)?;
            let waits = entry.is_some_and(|entry| matches!(entry.row.why, Why::Older(_)));
            waiting += u64::from(waits);
        }
        Ok(Some(BaseInfo {
            snapshot: base.snapshot,
            logs,
            position: base.position,
            until_ms: base.time.wall_ms,
            dropped: all.saturating_sub(here),
            waiting,
            owes: base.owes,
        }))
    }

    /// Drops old records of this thread here. What they came to stays: no answer changes by it, and no other peer
    /// loses anything. This node signs a snapshot of what it drops, cannot give the dropped records to others any
    /// more, and signs for no log of which it dropped some. Progress counts records.
    ///
    /// A record that comes later and changes an entity before what is kept is held until older ones are here: see
    /// [`Db::base`]. Listeners whose cursors are older are told to [start over](crate::Notice::StartOver), and a
    /// reducer that is new sees each entity come to be as it was then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when the thread is shared, or an invite to it is good, unless
    /// [`even_alone`](CompactOptions::even_alone) says that another peer keeps all of it;
    /// [`ErrorKind::Corrupt`](threads_core::ErrorKind::Corrupt) when the thread does not verify; those of
    /// [`Db::snapshot`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::{CompactOptions, Keep};
    /// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
    /// people.patch("bob", &serde_json::json!({"age": 44})).unwrap();
    /// db.compact(&CompactOptions::new(Keep::Latest), &mut |_| ()).unwrap();
    /// assert_eq!(people.get("bob").unwrap().unwrap()["age"], 44);
    /// assert!(db.verify(&mut |_| ()).unwrap().is_clean());
    /// ```
    pub fn compact(
        &self,
        options: &CompactOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<CompactReport> {
        let since = match options.keep {
            Keep::All => return Ok(CompactReport::default()),
            Keep::SinceMs(since_ms) => Some(since_ms),
            Keep::Latest => None,
        };
        let thread = self.thread();
        self.clear_covered(&mut |_| ())?;
        let (covered, mut report) = {
            let txn = thread.node.store.read()?;
            let covered = snapshot::covered_until(&*txn, thread, since)?;
            snapshot::check(&*txn, thread, &covered)?;
            let report = survey(&*txn, thread, &covered)?;
            (covered, report)
        };
        if options.dry_run || report.dropped == 0 {
            return Ok(report);
        }
        if !options.even_alone && !report.alone.is_empty() {
            return Err(Error::unavailable(
                "the thread is shared, or somebody is invited, and may need what would be dropped: see to it that a peer keeps all of it, and say so",
            )
            .with("logs", report.alone.len()));
        }
        self.check_sound()?;
        // Who has nobody to give it to need not keep it twice.
        let signed = match report.alone.is_empty() {
            true => self.sign_covered(&covered)?,
            false => self.keep_covered(covered.clone())?.id,
        };
        self.begin_with(covered, &signed)?;
        report.snapshot = Some(signed);
        self.clear_covered(progress)?;
        Ok(report)
    }

    /// Nothing is dropped from which what is wrong could be made again.
    fn check_sound(&self) -> Result<()> {
        let report = self.verify(&mut |_| ())?;
        match report.problems.first() {
            None => Ok(()),
            Some(problem) => Err(Error::corrupt(
                "the thread does not verify, so nothing of it is dropped: restore it from an export or a peer",
            )
            .with("place", &problem.place)
            .with("what", &problem.what)),
        }
    }
}

/// What would be dropped.
fn survey(txn: &dyn ReadTxn, thread: &Thread, covered: &Covered) -> Result<CompactReport> {
    let mut report = CompactReport::default();
    let shared =
        !shares::of_thread(txn, thread.number)?.is_empty() || invite::is_any_good(txn, thread)?;
    for (number, last) in &covered.last {
        let kept = snapshot::kept_here(txn, thread, (*number, *last), covered)?;
        let mut dropped = 0;
        for row in clear::blocks(txn, (thread.number, *number), (1, *last))? {
            let (seq, bytes) = row?;
            match kept.contains(&seq) {
                true => report.kept += 1,
                false => {
                    dropped += 1;
                    report.bytes += bytes;
                }
            }
        }
        report.dropped += dropped;
        let log = thread.log_id(txn, *number)?;
        // What a peer said or signed does not say that it keeps it: it may have dropped it since.
        if dropped > 0 && shared {
            report.alone.push(log);
        }
    }
    report.alone.sort();
    Ok(report)
}

/// The records that are here of those that are covered.
pub(crate) fn kept(txn: &dyn ReadTxn, thread: &Thread, base: &Base) -> Result<Vec<Place>> {
    let mut kept = Vec::new();
    for (log, last) in &base.covered.last {
        for row in clear::blocks(txn, (thread.number, *log), (1, *last))? {
            kept.push(Place {
                thread: thread.number,
                log: *log,
                seq: row?.0,
            });
        }
    }
    Ok(kept)
}

/// The records of a thread that are emptied: they stay, as proof of what was purged.
pub(crate) fn emptied(txn: &dyn ReadTxn, thread: &Thread) -> Result<BTreeSet<(u32, u64)>> {
    let mut emptied = BTreeSet::new();
    for known in [true, false] {
        for (place, _) in crate::purge::all_emptied(txn, thread.number, known)? {
            emptied.insert((place.log, place.seq));
        }
    }
    Ok(emptied)
}

/// The last position of the feed at which something is said of what is covered.
pub(crate) fn position_of(txn: &dyn ReadTxn, thread: &Thread, covered: &Covered) -> Result<u64> {
    let last = crate::thread::Tip::get(txn, thread.number)?.position;
    let first = crate::base::position(txn, thread.number)?;
    for position in (first + 1..=last).rev() {
        let row = crate::feed::row(txn, thread.number, position)?;
        if row.is_some_and(|row| covered.has(row.place)) {
            return Ok(position);
        }
    }
    Ok(first)
}

/// The latest time of the records that are covered.
pub(crate) fn time_of(
    txn: &dyn ReadTxn,
    thread: &Thread,
    covered: &Covered,
) -> Result<threads_core::Hlc> {
    let mut latest =
        Base::get(txn, thread.number)?.map_or(threads_core::Hlc::ZERO, |base| base.time);
    for (log, head) in HeadBook::new(txn).all(&thread.id)? {
        let number = layout::number(txn, &meta::log_by_id(thread.number, &log))?;
        let Some(log) = number else { continue };
        let seq = covered.last(log);
        if seq == 0 {
            continue;
        }
        let place = Place {
            thread: thread.number,
            log,
            seq,
        };
        let time = match seq == head.seq {
            true => head.time,
            false => thread.time(&chain::expect(txn, place)?)?,
        };
        latest = latest.max(time);
    }
    // What is dated ahead is not applied, and moves nobody's clock.
    Ok(latest.min(crate::thread::Tip::get(txn, thread.number)?.time))
}
