//! Dropping the rows of what is covered, a bounded number in each commit.

use std::collections::BTreeSet;
use std::ops::Bound;

use threads_core::Result;
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, Keyspace, ReadTxn, WriteTxn,
};

use crate::base::Base;
use crate::base::marks::{self, Mark};
use crate::chain;
use crate::db::Db;
use crate::layout::{self, EventPlace, Number, Place, Prefix};
use crate::progress::Progress;
use crate::snapshot;
use crate::thread::Thread;

/// How many rows one commit looks at.
const ROWS_PER_COMMIT: usize = 4_096;

/// The numbers of the records of a log that are here, and how many bytes their blocks have.
pub(super) fn blocks<'t>(
    txn: &'t dyn ReadTxn,
    (thread, log): (Number, Number),
    (first, last): (u64, u64),
) -> Result<impl Iterator<Item = Result<(u64, u64)>> + 't> {
    let key = |seq| Place { thread, log, seq }.key();
    let (first, last) = (key(first), key(last));
    let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
    let rows = txn.scan(Keyspace::Blocks, range, Direction::Forward)?;
    Ok(rows.map(|row| {
        let (key, value) = row?;
        Ok((Place::from_key(&key)?.seq, value.len() as u64))
    }))
}

impl Db {
    /// Goes on to drop what is covered, when the thread is opened to be written.
    pub(crate) fn catch_up_compaction(&self) -> Result<()> {
        let thread = self.thread();
        let base = Base::get(&*thread.node.store.read()?, thread.number)?;
        if base.is_none_or(|base| !base.clearing) {
            return Ok(());
        }
        // Without the right to write, or within somebody's transaction, it is for the next one.
        match thread.node.writer() {
            Ok(Some(free)) => drop(free),
            _ => return Ok(()),
        }
        self.clear_covered(&mut |_| ())
    }

    /// Drops the rows of what is covered, if there are any left.
    pub(super) fn clear_covered(&self, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let thread = self.thread();
        let base = Base::get(&*thread.node.store.read()?, thread.number)?;
        let Some(base) = base.filter(|base| base.clearing) else {
            return Ok(());
        };
        let clearing = Clearing {
            thread,
            base: &base,
        };
        if clearing.records(progress)? && clearing.rows()? {
            clearing.end()?;
        }
        Ok(())
    }
}

/// The rows of what is covered, on their way out. They stay when the thread begins with something else meanwhile: when
/// older records came back, say.
struct Clearing<'a> {
    thread: &'a Thread,
    base: &'a Base,
}

impl Clearing<'_> {
    /// Does a part of it in one commit; nothing if the rest is to stay.
    fn part<R>(&self, work: impl FnOnce(&mut dyn WriteTxn) -> Result<R>) -> Result<Option<R>> {
        let (thread, covered) = (self.thread, &self.base.covered);
        thread.node.store.transact(Durability::Group, |txn| {
            let now = Base::get(txn.as_read(), thread.number)?;
            match now.is_some_and(|now| now.clearing && now.covered == *covered) {
                true => work(txn).map(Some),
                false => Ok(None),
            }
        })
    }

    /// Drops records; says whether it came to the end.
    fn records(&self, progress: &mut dyn FnMut(Progress)) -> Result<bool> {
        let (thread, covered) = (self.thread, &self.base.covered);
        let total = covered.last.values().sum();
        let mut done = 0;
        for (log, last) in &covered.last {
            let kept = {
                let txn = thread.node.store.read()?;
                snapshot::kept_here(&*txn, thread, (*log, *last), covered)?
            };
            let mut first = 1;
            // Ends: each turn gets on in the log.
            while first <= *last {
                let part =
                    self.part(|txn| drop_records(txn, (thread, *log), (first, *last), &kept));
                let Some(next) = part? else {
                    return Ok(false);
                };
                done += next - first;
                first = next;
                let total = Some(total);
                progress(Progress { done, total });
            }
        }
        Ok(true)
    }

    /// Drops the rows of histories and of the feed; says whether it came to the end.
    fn rows(&self) -> Result<bool> {
        let (thread, base) = (self.thread, self.base);
        let prefix = layout::thread_prefix(thread.number);
        let of_history = |key: &[u8]| match layout::is_beside_history(key) {
            true => Ok(false),
            false => {
                let place = key.len().saturating_sub(EventPlace::BYTES);
                let place = EventPlace::from_bytes(&key[place..])?;
                Ok(base.covered.has_event(thread.number, &place))
            }
        };
        let kept = layout::feed(thread.number, base.position);
        let of_feed = |key: &[u8]| Ok(key <= &kept[..]);
        Ok(self.rows_where((Keyspace::History, &prefix), &of_history)?
            && self.rows_where((Keyspace::Feed, &prefix), &of_feed)?)
    }

    /// Deletes the rows of a keyspace that are to go; says whether it came to the end.
    fn rows_where(
        &self,
        (space, prefix): (Keyspace, &[u8]),
        goes: &dyn Fn(&[u8]) -> Result<bool>,
    ) -> Result<bool> {
        let bounds = Prefix::new(prefix);
        let mut after = prefix.to_vec();
        // Ends: each turn gets on among the rows.
        loop {
            let last = self.part(|txn| {
                let rows = txn.scan(space, bounds.after(Some(&after)), Direction::Forward)?;
                let keys: Vec<_> = rows
                    .take(ROWS_PER_COMMIT)
                    .map(|row| row.map(|(key, _)| key.into_owned()))
                    .collect::<Result<_>>()?;
                for key in &keys {
                    if goes(key)? {
                        txn.delete(space, key)?;
                    }
                }
                Ok(keys.last().cloned())
            })?;
            match last {
                Some(Some(last)) => after = last,
                Some(None) => return Ok(true),
                None => return Ok(false),
            }
        }
    }

    fn end(&self) -> Result<()> {
        let thread = self.thread.number;
        let ended = self.part(|txn| match Base::get(txn.as_read(), thread)? {
            Some(base) => {
                let clearing = false;
                Base { clearing, ..base }.put(txn, thread)
            }
            None => Ok(()),
        });
        ended.map(drop)
    }
}

/// Drops records of a log from one on, but for those that are kept; gives where to go on.
fn drop_records(
    txn: &mut dyn WriteTxn,
    (of, log): (&Thread, Number),
    (first, last): (u64, u64),
    kept: &BTreeSet<u64>,
) -> Result<u64> {
    let thread = of.number;
    let seqs: Vec<u64> = blocks(txn.as_read(), (thread, log), (first, last))?
        .take(ROWS_PER_COMMIT)
        .map(|row| row.map(|(seq, _)| seq))
        .collect::<Result<_>>()?;
    let id = of.log_id(txn.as_read(), log)?;
    // Marks of records that follow each other are put at once.
    let (mut begins, mut run) = (0, Vec::new());
    for seq in &seqs {
        let seq = *seq;
        let place = Place { thread, log, seq };
        let record = chain::expect(txn.as_read(), place)?.record_id();
        if begins + run.len() as u64 != seq {
            marks::put(txn, (thread, log, begins), &std::mem::take(&mut run))?;
            begins = seq;
        }
        run.push(Mark::of(&id, seq, &record));
        if !kept.contains(&seq) {
            txn.delete(Keyspace::Links, &layout::link(thread, &record))?;
            txn.delete(Keyspace::Blocks, &place.key())?;
        }
    }
    marks::put(txn, (thread, log, begins), &run)?;
    Ok(match seqs.len() < ROWS_PER_COMMIT {
        true => last + 1,
        false => seqs.last().map_or(last, |seq| *seq) + 1,
    })
}
