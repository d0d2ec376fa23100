//! Taking in records that were made elsewhere: checked link by link, then dispatched like our own.
//!
//! A record that cannot be applied now is held (see [`held`]). One that the policy does not accept
//! stands in its log all the same, so that the records after it are judged on their own; and so does one
//! that only those who can read see to be wrong, so that they and blind replicas have the same logs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use threads_core::datastore::{DatastoreExt, Durability, WriteTxn};
use threads_core::record::{Dep, Record, SignedRecord, Verified};
use threads_core::{CollectionName, EntityId, Error, ErrorKind, Hlc, LogId, PeerId, Result};

use crate::base::Base;
use crate::catalogue::Catalogue;
use crate::chain::{self, Blocks};
use crate::dispatcher::{self, Incoming};
use crate::feed::Rejudged;
use crate::held::{self, Entry, Why};
use crate::invite;
use crate::layout::{self, Place, meta};
use crate::line;
use crate::opened::Opened;
use crate::purge;
use crate::sync::{Fresh, News};
use crate::thread::{Thread, Tip};

mod again;
mod emptied;
mod entities;
mod intake;
mod older;
mod reasons;
mod standing;
mod timely;
mod unread;

use entities::Turn;
pub(crate) use intake::Intake;
use standing::{Below, Standing};
pub(crate) use timely::AHEAD_MS_MAX;
pub(crate) use unread::{Unread, read_on};

/// How many of the records that one waits for are noted; when these came, the next ones are.
const MISSING_MAX: usize = 128;
/// How many held records one commit tries again.
const SETTLE_PER_COMMIT: usize = 256;

/// One transaction that takes in records.
pub(crate) struct Ingest<'a> {
    txn: &'a mut dyn WriteTxn,
    thread: &'a Thread,
    catalogue: Arc<Catalogue>,
    tip: Tip,
    now_ms: u64,
    /// Whether the thread holds anything.
    holding: bool,
    /// Whether any of its logs was forked.
    forked: bool,
    /// Whether anything states a purge.
    purging: bool,
    /// What the thread begins with here, where not all of its records are here.
    base: Option<Base>,
    /// The entities that died by what came.
    died: BTreeSet<(CollectionName, EntityId)>,
    /// The records that came into quarantine, or wait no longer, while something states a purge.
    apart: BTreeSet<Dep>,
    /// What the feed is to say of a record that it has already: it was purged and is whole again, or could not
    /// be read so far.
    returns: Option<Rejudged>,
    /// The last record that stands in its log among those that came, by local number.
    stood: BTreeMap<layout::Number, (LogId, u64)>,
    /// The arrivals of held records that may be applied now.
    ready: VecDeque<u64>,
    intake: Intake,
}

/// Verifies records, their links to their blocks, and takes them in, in one commit; then what
/// waited for them, in further ones. Those whose keys are not here and do not come with others of
/// them are left out.
pub(crate) fn take_in(thread: &Thread, blocks: &[Blocks]) -> Result<Intake> {
    let mut intake = Intake::default();
    let mut rest = blocks.iter().collect();
    // Ends: each turn takes in some of the rest, or is the last.
    loop {
        let (open, locked) = thread.unlocked(rest)?;
        if !open.is_empty() || locked.is_empty() {
            intake.add(take_in_open(thread, &open)?);
        }
        if open.is_empty() || locked.is_empty() {
            intake.locked = locked.len() as u64;
            if !locked.is_empty() {
                let note = |txn: &mut dyn WriteTxn| thread.note_locked(txn, &locked);
                thread.node.store.transact(Durability::Relaxed, note)?;
                thread.node.notifier.notify_in([thread.number]);
            }
            return Ok(intake);
        }
        rest = locked;
    }
}

fn take_in_open(thread: &Thread, blocks: &[&Blocks]) -> Result<Intake> {
    let records = blocks
        .iter()
        .map(|blocks| thread.open_record(&blocks.record))
        .collect::<Result<Vec<_>>>()?;
    for (record, blocks) in records.iter().zip(blocks) {
        blocks.check_links(record)?;
    }
    let mut logs = BTreeMap::new();
    for fields in records.iter().map(SignedRecord::fields) {
        let last = logs.entry(fields.log).or_insert(0);
        *last = fields.seq.max(*last);
    }
    let records = Verified::check_all(records, &mut **thread.node.rng())?;
    let (mut intake, ready) = thread.node.store.transact(Durability::Group, |txn| {
        let mut ingest = Ingest::new(txn, thread)?;
        for (record, blocks) in records.into_iter().zip(blocks) {
            ingest.take(record, blocks)?;
        }
        ingest.finish()
    })?;
    thread.node.notifier.notify_in([thread.number]);
    intake.logs = logs;
    if !ready.is_empty() {
        intake.add(settle(thread, ready)?);
    }
    if intake.keys {
        thread.take_up_keys()?;
        intake.add(read_on(thread)?);
    }
    if intake.members {
        let news = News(Fresh::Members(thread.number));
        thread.node.notifier.notify_of(news);
    }
    if intake.purges {
        purge::settle(thread)?;
    }
    Ok(intake)
}

/// Tries held records again, and what waits for them, a bounded number in each commit.
pub(crate) fn settle(thread: &Thread, mut ready: VecDeque<u64>) -> Result<Intake> {
    let mut intake = Intake::default();
    // Ends: each record that is ready is taken off, and only one that is applied makes others ready.
    while !ready.is_empty() {
        let settled = thread.node.store.transact(Durability::Group, |txn| {
            let mut ingest = Ingest::new(txn, thread)?;
            ingest.ready = std::mem::take(&mut ready);
            ingest.settle()?;
            ingest.finish()
        })?;
        thread.node.notifier.notify_in([thread.number]);
        intake.add(settled.0);
        ready = settled.1;
    }
    if intake.purges {
        purge::settle(thread)?;
    }
    Ok(intake)
}

impl<'a> Ingest<'a> {
    pub(crate) fn new(txn: &'a mut dyn WriteTxn, thread: &'a Thread) -> Result<Self> {
        if thread.is_blind() && Unread::is_left(txn.as_read(), thread.number)? {
            // Somebody has just committed the keys: nothing is taken in without them any more.
            thread.take_up_keys()?;
        }
        let catalogue = thread.catalogue(txn.as_read())?;
        let tip = Tip::get(txn.as_read(), thread.number)?;
        let holding = held::any(txn.as_read(), thread.number)?;
        let forked = line::any_forked(txn.as_read(), thread.number)?;
        let purging = purge::any(txn.as_read(), thread.number)?;
        let base = Base::get(txn.as_read(), thread.number)?;
        Ok(Self {
            txn,
            thread,
            catalogue,
            tip,
            now_ms: thread.node.clock.now_ms(),
            holding,
            forked,
            purging,
            base,
            died: BTreeSet::new(),
            apart: BTreeSet::new(),
            returns: None,
            stood: BTreeMap::new(),
            ready: VecDeque::new(),
            intake: Intake::default(),
        })
    }

    /// Takes in a record. One that is here already is recognised; another one of the same place is a
    /// fork, and begins a branch.
    fn take(&mut self, record: Verified<SignedRecord>, blocks: &Blocks) -> Result<()> {
        let (fields, cid) = (record.fields(), record.id());
        let arrival = match self.holding {
            true => {
                let held = (&fields.log, fields.seq, &cid);
                held::find(self.txn.as_read(), self.thread.number, held)?
            }
            false => None,
        };
        let whole = self.held_whole(arrival, blocks)?;
        let blocks = whole.as_ref().unwrap_or(blocks);
        let emptied = self.on_arrival(&record, blocks)?;
        let blocks = emptied.as_ref().unwrap_or(blocks);
        match self.below(&record)? {
            Below::No => {}
            Below::Dropped(place) => return self.fill_below(place, &record, blocks, arrival),
            Below::Forks => return self.hold_fork(&record, blocks, arrival),
        }
        if arrival.is_none()
            && let Standing::Stands(place) = self.standing(&record)?
        {
            if self.fill(place, &record, blocks)? {
                let admitted = self.admit(record, blocks, None);
                self.returns = None;
                return admitted;
            }
            self.stands(&record, place);
            self.intake.present += 1;
            return Ok(());
        }
        self.admit(record, blocks, arrival)
    }

    fn stands(&mut self, record: &SignedRecord, place: Place) {
        let last = self.stood.entry(place.log);
        let last = last.or_insert((record.fields().log, place.seq));
        last.1 = place.seq.max(last.1);
    }

    /// What became of the records, and what is ready to be tried again.
    fn finish(mut self) -> Result<(Intake, VecDeque<u64>)> {
        self.purge_late()?;
        if self.forked {
            for (number, (log, seq)) in &self.stood {
                let (thread, log_number, seq) = (self.thread.number, *number, *seq);
                let place = Place {
                    thread,
                    log: log_number,
                    seq,
                };
                let line = line::at(self.txn.as_read(), log, place)?;
                self.intake.lines.insert(line.id, seq);
            }
        }
        if self.holding {
            let counts = held::counts(self.txn.as_read(), self.thread.number)?;
            self.intake.held = counts.pending + counts.quarantined;
        }
        Ok((self.intake, self.ready))
    }

    /// Tries again what is ready.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..SETTLE_PER_COMMIT {
            let Some(arrival) = self.ready.pop_front() else {
                break;
            };
            let entry = held::get(self.txn.as_read(), self.thread.number, arrival)?;
            // It may have been tried on another's behalf.
            let Some(entry) = entry else { continue };
            let Entry { row, blocks } = &entry;
            if blocks.is_some() && self.is_covered(&row.log, row.seq)? {
                self.settle_below(arrival, &entry)?;
                continue;
            }
            if row.is_settled() && self.is_covered(&row.log, row.seq)? {
                // Of what is before it, by which it was judged, not all is here.
                continue;
            }
            let blocks = match blocks {
                Some(blocks) => blocks.clone(),
                None => {
                    let place = chain::locate(self.txn.as_read(), self.thread.number, &row.record)?;
                    let missing = || Error::corrupt("a held record does not stand in its log");
                    chain::expect(self.txn.as_read(), place.ok_or_else(missing)?)?
                }
            };
            let record = Verified::assume_stored(self.thread.open_record(&blocks.record)?);
            // A purge may have come that it waited out.
            let emptied = match entry.blocks {
                Some(_) => self.on_arrival(&record, &blocks)?,
                None => None,
            };
            let blocks = emptied.unwrap_or(blocks);
            match self.admit(record, &blocks, Some(arrival)) {
                // What breaks a rule stays as evidence, and is in nobody's way.
                Err(error) if error.kind() == ErrorKind::Rejected => {
                    self.hold(entry, Why::quarantine(error), Some(arrival))?;
                }
                admitted => admitted?,
            }
        }
        Ok(())
    }

    /// Decides about a record that is not applied, and carries it out: it is applied, or held.
    /// `arrival` is its number when it is held so far.
    fn admit(
        &mut self,
        record: Verified<SignedRecord>,
        blocks: &Blocks,
        arrival: Option<u64>,
    ) -> Result<()> {
        if let Some(by) = blocks.purged_by()? {
            return self.admit_emptied(record, (blocks, &by), arrival);
        }
        let standing = self.standing(&record)?;
        let stands = matches!(standing, Standing::Stands(_));
        let opened = self.open(&record, blocks)?;
        let time = match &opened {
            Ok(opened) => opened.time,
            Err((time, _)) => *time,
        };
        let statements = opened.as_ref().ok().and_then(Opened::statements);
        if !stands && let Some(why) = self.must_wait((&record, statements), &standing, time)? {
            self.heed(&record, statements.unwrap_or_default())?;
            let entry = self.entry(&record, Some(blocks.clone()));
            self.hold(entry, why, arrival)?;
            return Ok(());
        }
        let place = self.place(&record, &standing)?;
        let is_next = !stands && !matches!(standing, Standing::Forks(_));
        let unsound = opened.is_err();
        let judged = match opened {
            Ok(opened) => match self.kept_apart(&record, &opened, (place, is_next, stands))? {
                None => Ok(opened),
                Some(why) => Err(why),
            },
            Err((_, fault)) => Err(Why::quarantine(fault)),
        };
        let place = match standing {
            Standing::Forks(place) => self.fork(&record, place)?,
            _ => place,
        };
        self.stands(&record, place);
        if let Err(why) = &judged {
            let entry = self.entry(&record, None);
            self.hold(entry, why.clone(), arrival)?;
        } else if let Some(arrival) = arrival {
            self.waits_no_longer(&record, arrival)?;
        }
        if !stands {
            let (at, txn) = ((place, time), &mut *self.txn);
            let line = match self.forked {
                true => line::at(txn.as_read(), &record.fields().log, place)?.id,
                false => record.fields().log,
            };
            dispatcher::link(txn, self.thread, (&record, &line), at, blocks)?;
            self.came(&record, line)?;
        }
        let access = record
            .fields()
            .access
            .then(|| (record.id(), record.fields().clone()));
        let said = match judged {
            Ok(opened) => {
                self.apply_record(record, &opened, (place, stands))?;
                opened.statements().map(<[_]>::to_vec).or(Some(Vec::new()))
            }
            // It says nothing that anybody could know, and others may name it all the same.
            Err(_) => unsound.then(Vec::new),
        };
        match (access, said) {
            (Some((id, fields)), Some(said)) => self.learn((id, &fields), place, &said).map(drop),
            _ => Ok(()),
        }
    }

    /// Opens a record's event. One that breaks a rule is the time and the fault: the record is sound,
    /// so it stands in its log for all alike, whether they can read the event or not.
    fn open(
        &self,
        record: &SignedRecord,
        blocks: &Blocks,
    ) -> Result<std::result::Result<Opened, (Hlc, Error)>> {
        match self.thread.open_event(record.clone(), blocks) {
            Ok(opened) => Ok(Ok(opened)),
            Err(fault) if fault.kind() == ErrorKind::Rejected => {
                Ok(Err((self.thread.time_of(record, blocks)?, fault)))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Files a record that may be applied, with all that it changes.
    fn apply_record(
        &mut self,
        record: Verified<SignedRecord>,
        opened: &Opened,
        (place, stands): (Place, bool),
    ) -> Result<()> {
        // `may_apply` has judged it.
        let record = record.authorise(|_| Ok(()))?;
        let position = self.tip.position + 1;
        // An access record counts whatever its date, and moves nobody's clock by that.
        let time = match self.ahead(opened.time) {
            Some(_) if record.fields().access => self.tip.time,
            _ => opened.time,
        };
        let incoming = Incoming {
            record: &record,
            place,
            time,
            position,
            rejudged: self.returns.take(),
        };
        self.tip = dispatcher::publish(&mut *self.txn, self.thread, &incoming, &self.tip)?;
        // One that stood already may have been applied before.
        let turn = match stands {
            true => Turn::Again(position),
            false => Turn::New(position),
        };
        let effects = self.apply_all(opened.batch(), place, time, turn)?;
        let origin = dispatcher::Origin::Elsewhere;
        dispatcher::broadcast(&mut *self.txn, self.thread, &incoming, effects, origin)?;
        if let Some(batch) = opened.batch() {
            let txn = &mut *self.txn;
            self.intake.members |= invite::note_members(txn, self.thread, &batch.events)?;
        }
        self.intake.new += 1;
        Ok(())
    }

    fn entry(&self, record: &SignedRecord, blocks: Option<Blocks>) -> Entry {
        let fields = record.fields();
        let row = held::Row {
            log: fields.log,
            seq: fields.seq,
            record: record.id(),
            author: record.author(),
            since_ms: self.now_ms,
            why: Why::Missing(Vec::new()),
        };
        Entry { row, blocks }
    }

    /// Holds a record for a reason, if there is room for it.
    fn hold(&mut self, mut entry: Entry, why: Why, arrival: Option<u64>) -> Result<()> {
        if let Some(arrival) = arrival
            && let Some(before) = held::get(self.txn.as_read(), self.thread.number, arrival)?
        {
            entry.row.since_ms = before.row.since_ms;
        }
        let log = meta::log_by_id(self.thread.number, &entry.row.log);
        if entry.row.author.is_none()
            && let Some(log) = layout::number(self.txn.as_read(), &log)?
        {
            entry.row.author = self.thread.author(self.txn.as_read(), log)?;
        }
        entry.row.why = why;
        if self.purging && entry.row.why.is_quarantine() {
            let (log, seq, cid) = (entry.row.log, entry.row.seq, entry.row.record);
            self.apart.insert(Dep { log, seq, cid });
        }
        let room = held::keep(&mut *self.txn, self.thread.number, arrival, &entry)?;
        self.holding = true;
        self.intake.dropped += room.given_up + u64::from(!room.kept);
        Ok(())
    }

    /// A record stands in its log now: what waited for it is ready.
    fn came(&mut self, record: &SignedRecord, line: LogId) -> Result<()> {
        self.intake.moved.insert(line);
        if self.holding {
            let (txn, thread) = (self.txn.as_read(), self.thread.number);
            self.ready
                .extend(held::waiting_for(txn, thread, &record.id())?);
        }
        Ok(())
    }

    fn author(&self, record: &SignedRecord, place: Place) -> Result<PeerId> {
        if let Some(author) = record.author() {
            return Ok(author);
        }
        let author = self.thread.author(self.txn.as_read(), place.log)?;
        author.ok_or_else(|| Error::corrupt("a log's author is missing"))
    }
}
