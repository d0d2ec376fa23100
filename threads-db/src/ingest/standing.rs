//! Where a record belongs in its log, and whether it may stand there.

use threads_core::books::HeadBook;
use threads_core::datastore::Keyspace;
use threads_core::record::{Record, Rejection, SignedRecord, skip_target};
use threads_core::{Cid, LogId, Result};

use super::Ingest;
use crate::base::marks::{self, Mark};
use crate::chain;
use crate::layout::{self, Place, meta};
use crate::line::{self, Line};

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is here, in its place.
    Stands(Place),
    /// It is the first of a log of which nothing is here.
    First,
    /// It is the next of the line that ends with the record at this place.
    Next(Place),
    /// Its predecessor is here, and so is another record of its place, which is this one.
    Forks(Place),
    /// Its predecessor is not here.
    Early(Cid),
}

/// Whether a record belongs among those that are covered by what the thread begins with here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// It does not, or it is here.
    No,
    /// It is one that was dropped, or never here.
    Dropped(Place),
    /// It is another one than the one of its place: its log was forked.
    Forks,
}

impl Ingest<'_> {
    /// Whether a record of a log is covered by what the thread begins with here.
    pub(super) fn is_covered(&self, log: &LogId, seq: u64) -> Result<bool> {
        let Some(base) = &self.base else {
            return Ok(false);
        };
        let log = layout::number(
            self.txn.as_read(),
            &meta::log_by_id(self.thread.number, log),
        )?;
        Ok(log.is_some_and(|log| seq <= base.covered.last(log)))
    }

    /// Whether a record belongs among those that are covered, and is not here.
    pub(super) fn below(&self, record: &SignedRecord) -> Result<Below> {
        let fields = record.fields();
        if !self.is_covered(&fields.log, fields.seq)? {
            return Ok(Below::No);
        }
        let (txn, thread) = (self.txn.as_read(), self.thread.number);
        let number = layout::number(txn, &meta::log_by_id(thread, &fields.log))?;
        let (Some(log), seq) = (number, fields.seq) else {
            return Ok(Below::No);
        };
        let place = Place { thread, log, seq };
        Ok(match chain::id_at(txn, place)? {
            Some(here) if here == record.id() => Below::No,
            Some(_) => Below::Forks,
            None => {
                let mark = Mark::of(&fields.log, seq, &record.id());
                let is_it = marks::get(txn, place)? == Some(mark);
                match is_it || self.is_named_by_next(place, &record.id())? {
                    true => Below::Dropped(place),
                    false => Below::Forks,
                }
            }
        })
    }

    /// Whether the record after a place is here and names this one as the one before it: marks from a snapshot are
    /// its signers' word, and links are not.
    fn is_named_by_next(&self, place: Place, record: &Cid) -> Result<bool> {
        let seq = place.seq.saturating_add(1);
        let Some(next) = chain::get(self.txn.as_read(), Place { seq, ..place })? else {
            return Ok(false);
        };
        let next = self.thread.open_record(&next.record)?;
        Ok(next.fields().prev.as_ref() == Some(record))
    }

    pub(super) fn standing(&mut self, record: &SignedRecord) -> Result<Standing> {
        let (fields, txn) = (record.fields(), self.txn.as_read());
        let thread = self.thread.number;
        let Some(log) = layout::number(txn, &meta::log_by_id(thread, &fields.log))? else {
            let Some(prev) = fields.prev else {
                return Ok(Standing::First);
            };
            // Nothing is here of its log, so what is here is of another.
            return match chain::locate(txn, thread, &prev)? {
                Some(_) => Err(Rejection::BrokenChain.into()),
                None => Ok(Standing::Early(prev)),
            };
        };
        if !self.forked
            && let Some(head) = HeadBook::new(txn).get(&self.thread.id, &fields.log)?
            && head.seq.checked_add(1) == Some(fields.seq)
            && fields.prev == Some(head.record)
        {
            let seq = head.seq;
            return Ok(Standing::Next(Place { thread, log, seq }));
        }
        if let Some(place) = chain::locate(txn, thread, &record.id())? {
            return Ok(Standing::Stands(place));
        }
        let Some(prev) = fields.prev else {
            let first = Place {
                thread,
                log,
                seq: 1,
            };
            let known = chain::get(txn, first)?;
            return Ok(known.map_or(Standing::First, |_| Standing::Forks(first)));
        };
        let Some(before) = chain::locate(txn, thread, &prev)? else {
            self.goes_astray(&fields.log, fields.seq - 1)?;
            return Ok(Standing::Early(prev));
        };
        self.check_order(record, before)?;
        let next = Place {
            seq: fields.seq,
            ..before
        };
        Ok(match chain::get(self.txn.as_read(), next)? {
            None => Standing::Next(before),
            Some(_) => Standing::Forks(next),
        })
    }

    /// A record is not here that another one builds on. If one is here in its place, the log was forked
    /// there or before: that is noted.
    pub(super) fn goes_astray(&mut self, log: &LogId, seq: u64) -> Result<()> {
        let (thread, txn) = (self.thread.number, self.txn.as_read());
        let root = line::find(txn, thread, log)?.into_iter();
        let mut lines: Vec<_> = root.filter(|root| !root.forked).collect();
        if self.forked {
            let all = line::forked(txn, thread)?.into_iter();
            lines.extend(all.filter(|line| line.log == *log && !line.forked));
        }
        for line in lines.iter().filter(|line| line.first <= seq) {
            if chain::get(txn, line.place(thread, seq))?.is_some() {
                let first = self.intake.astray.entry(line.id).or_insert(seq);
                *first = seq.min(*first);
            }
        }
        Ok(())
    }

    /// Checks that the record at `before`, which a record names as its predecessor, is the one before
    /// it in the same log.
    fn check_order(&self, record: &SignedRecord, before: Place) -> Result<()> {
        let (fields, txn) = (record.fields(), self.txn.as_read());
        record.follows(before.seq, fields.prev.as_ref())?;
        let log = txn.get(Keyspace::Meta, &meta::log(before.thread, before.log))?;
        if log.as_deref() != Some(fields.log.key_bytes()) {
            return Err(Rejection::BrokenChain.into());
        }
        Ok(())
    }

    /// Where a record belongs, when it may stand there: of a fork, the place that another record has.
    pub(super) fn place(&mut self, record: &SignedRecord, standing: &Standing) -> Result<Place> {
        let fields = record.fields();
        let place = match *standing {
            Standing::Stands(place) => return Ok(place),
            Standing::First | Standing::Early(_) => Place {
                thread: self.thread.number,
                log: self.thread.log_number(&mut *self.txn, &fields.log)?,
                seq: fields.seq,
            },
            Standing::Next(before) => Place {
                seq: fields.seq,
                ..before
            },
            Standing::Forks(place) => place,
        };
        self.check_skip(record, place)?;
        Ok(place)
    }

    /// Checks that a record links to the right older one.
    fn check_skip(&self, record: &SignedRecord, place: Place) -> Result<()> {
        let txn = self.txn.as_read();
        if let Some(seq) = skip_target(place.seq) {
            let target = chain::expect(txn, line::ancestor(txn, place, seq)?)?;
            if record.fields().skip != Some(target.record_id()) {
                return Err(Rejection::BrokenChain.into());
            }
        }
        Ok(())
    }

    /// Begins a branch for a record whose place another one has; gives where it goes.
    pub(super) fn fork(&mut self, record: &SignedRecord, place: Place) -> Result<Place> {
        let log = record.fields().log;
        let fork = (place, &record.id());
        let place = line::fork(&mut *self.txn, self.thread, &log, fork)?;
        self.forked = true;
        // Where the line that ends and those that begin stand is news.
        let lines = line::forked(self.txn.as_read(), self.thread.number)?;
        let begin = |line: &&Line| line.log == log && line.first == place.seq;
        let concerned = lines.iter().filter(begin);
        let concerned = concerned.flat_map(|line| line.parent.into_iter().chain([line.id]));
        self.intake.moved.extend(concerned);
        Ok(place)
    }
}
