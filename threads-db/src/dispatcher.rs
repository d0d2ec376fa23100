//! The dispatcher: the only way into a thread's log, feed and projections.
//!
//! Every event, made here or by a peer, passes through: its record and blocks are filed ([`link`]),
//! the feed moves ([`publish`]), and every reducer runs ([`broadcast`]), all in the datastore
//! transaction that changes the entities (paper, "Dispatcher").

use std::collections::HashMap;

use threads_core::batch::{BATCH_FORMAT, Batch};
use threads_core::books::{Head, HeadBook, HeadBookMut, KeyBookMut};
use threads_core::datastore::{Keyspace, WriteTxn};
use threads_core::event::{Encryption, Position, SealedEvent};
use threads_core::policy::{Candidate, Change, Verdict};
use threads_core::record::{
    Authorised, DEPS_MAX, Dep, Fields, RECORDS_PER_EPOCH_MAX, Record, SignedRecord, Verified,
    skip_target,
};
use threads_core::reducer::{DispatchedEvent, View, view_prefix};
use threads_core::{Cid, Error, ErrorKind, Hlc, LogId, LogKey, Result, Variant};

use crate::access;
use crate::chain::{self, Blocks};
use crate::feed::{self, FeedRow, Rejudged};
use crate::invite;
use crate::kept;
use crate::layout::{self, Number, Place, meta};
use crate::line;
use crate::reducers;
use crate::stage::Effect;
use crate::thread::{OwnLog, Thread, Tip, books};
use crate::txn::{Commit, WriteTransaction};

/// A record on its way into the store.
pub(crate) struct Incoming<'a> {
    pub(crate) record: &'a Authorised<SignedRecord>,
    pub(crate) place: Place,
    pub(crate) time: Hlc,
    pub(crate) position: u64,
    /// Set when it came before, and is judged otherwise now.
    pub(crate) rejudged: Option<Rejudged>,
}

/// Puts a record at the end of a line of its log: its blocks, the line's head, the log's author. Nothing of what it
/// says is applied by that.
pub(crate) fn link(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    (record, line): (&Verified<SignedRecord>, &LogId),
    (place, time): (Place, Hlc),
    blocks: &Blocks,
) -> Result<()> {
    let cid = record.id();
    chain::put(txn, place, &cid, blocks)?;
    kept::add(txn, thread, blocks.bytes())?;
    let head = Head {
        seq: place.seq,
        record: cid,
        time,
    };
    HeadBookMut::new(txn).set(&thread.id, line, &head)?;
    if let Some(author) = record.author() {
        let key = meta::author(thread.number, place.log);
        txn.put(Keyspace::Meta, &key, author.key_bytes())?;
    }
    access::note(txn, place, (&cid, record.fields()))
}

/// Makes a record that is in its log known: the thread's tip moves, and the feed has it.
pub(crate) fn publish(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    incoming: &Incoming<'_>,
    tip: &Tip,
) -> Result<Tip> {
    let (place, position) = (incoming.place, incoming.position);
    let tip = Tip {
        time: tip.time.max(incoming.time),
        position,
    };
    tip.put(txn, thread.number)?;
    let rejudged = incoming.rejudged;
    txn.put(
        Keyspace::Feed,
        &layout::feed(thread.number, position),
        &FeedRow { place, rejudged }.encode(),
    )?;
    Ok(tip)
}

/// Whose record a reducer's error concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Made here: an error fails the commit, and the caller hears of it.
    Here,
    /// Made elsewhere: it is applied whatever a reducer says, or one peer's reducer could block
    /// another peer's log for ever. The view stops and is built anew when the thread is opened.
    Elsewhere,
}

/// Runs the reducers over what a filed record changed.
pub(crate) fn broadcast(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    incoming: &Incoming<'_>,
    effects: Vec<Effect>,
    origin: Origin,
) -> Result<()> {
    let events: Vec<_> = net(effects)
        .into_iter()
        .map(|effect| event(thread, incoming, effect))
        .collect();
    for reducer in &thread.node.reducers {
        // A view that is behind stays so until it is built anew.
        if !reducers::is_at(txn.as_read(), thread, &**reducer, incoming.position - 1)? {
            continue;
        }
        let prefix = view_prefix(&thread.id, reducer.name())?;
        let reduced = match events.is_empty() {
            true => Ok(()),
            false => reducer.reduce(&mut View::new(txn, &prefix)?, &events),
        };
        match (reduced, origin) {
            (Ok(()), _) => reducers::put_position(txn, thread, &**reducer, incoming.position)?,
            (Err(error), Origin::Elsewhere) if reducers::is_its_own(&error) => {
                txn.delete(
                    Keyspace::Meta,
                    &meta::reducer(thread.number, reducer.name()),
                )?;
            }
            (Err(error), _) => return Err(error),
        }
    }
    Ok(())
}

/// One net effect for each entity of an application, in the order in which they were first touched.
fn net(effects: Vec<Effect>) -> Vec<Effect> {
    let mut net: Vec<Effect> = Vec::new();
    let mut places = HashMap::new();
    for effect in effects {
        let event = &effect.event;
        if event.collection.is_reserved() {
            continue;
        }
        let place = places
            .entry((event.collection.clone(), event.entity.clone()))
            .or_insert_with(|| net.len());
        match net.get_mut(*place) {
            Some(first) => first.after = effect.after,
            None => net.push(effect),
        }
    }
    net.retain_mut(|effect| {
        let kind = feed::net_kind(effect.before.as_deref(), effect.after.as_deref());
        effect.event.action = kind.unwrap_or(effect.event.action);
        kind.is_some()
    });
    net
}

fn event(thread: &Thread, incoming: &Incoming<'_>, effect: Effect) -> DispatchedEvent {
    DispatchedEvent {
        thread: thread.id.clone(),
        record: incoming.record.id(),
        log: incoming.record.fields().log,
        seq: incoming.place.seq,
        time: incoming.time,
        collection: effect.event.collection,
        entity: effect.event.entity,
        action: effect.event.action,
        before: effect.before,
        after: effect.after,
    }
}

impl WriteTransaction<'_> {
    /// This node's log in the thread, its local number, and the place of the next record. The log
    /// is made when the first event is staged: opening or joining a thread makes none. In a copy of
    /// the datastore another one is made, for the original goes on with the first; and so it is when
    /// the log was forked, or ends with a record that is not earlier than this transaction.
    pub(crate) fn own_log(&mut self) -> Result<(LogId, Number, u64)> {
        if let Some(own) = self.staged.log {
            return Ok(own);
        }
        let thread = self.thread();
        let here = thread.node.store.capability().instance;
        let known = OwnLog::get(self.txn.as_read(), thread.number)?;
        let log = match known {
            Some(own) if !own.is_of_another(here) && self.goes_on(&own.log)? => own.log,
            _ => self.make_log()?,
        };
        let now = OwnLog {
            log,
            instance: here,
        };
        if known != Some(now) {
            now.put(&mut *self.txn, thread.number)?;
        }
        let number = thread.log_number(&mut *self.txn, &log)?;
        let head = HeadBook::new(self.txn.as_read()).get(&thread.id, &log)?;
        let own = (log, number, head.map_or(1, |head| head.seq + 1));
        self.staged.log = Some(own);
        Ok(own)
    }

    /// Whether this node's next record can follow in the log: not where it was forked, say because a
    /// backup of the datastore was put back and written to; and not where its own last record came back
    /// to it and is dated ahead, for nobody applies what is not later than that.
    fn goes_on(&self, log: &LogId) -> Result<bool> {
        let (thread, txn) = (self.thread(), self.txn.as_read());
        let head = HeadBook::new(txn).get(&thread.id, log)?;
        let line = line::find(txn, thread.number, log)?;
        let forked = line.is_some_and(|line| line.forked);
        Ok(!forked && head.is_none_or(|head| head.time < self.time))
    }

    fn make_log(&mut self) -> Result<LogId> {
        let thread = self.thread();
        let key = LogKey::generate(&mut **thread.node.rng());
        KeyBookMut::new(&mut *self.txn).add_log_key(&thread.id, &key)?;
        Ok(key.log_id())
    }

    /// Makes the record of what is staged and dispatches it.
    pub(crate) fn dispatch(&mut self) -> Result<Commit> {
        let thread = self.thread();
        access::check(self.txn.as_read(), thread)?;
        let epoch = match thread.writing_epoch(self.txn.as_read()) {
            // Who has no part any more is told that, and not what others could do about the keys.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                return Err(access::refusal(self.txn.as_read(), thread)?.unwrap_or(error));
            }
            epoch => epoch?,
        };
        // Every record that came since may have been sealed under the same keys, whoever wrote it.
        let since = thread.epoch_since(self.txn.as_read(), epoch)?;
        if self.tip.position.saturating_sub(since) >= RECORDS_PER_EPOCH_MAX {
            return Err(Error::unsupported(
                "the keys of this thread have sealed as many records as they may: rotate them, or go on in a \
                 new thread",
            )
            .with("records", self.tip.position - since));
        }
        let (log, number, seq) = self.own_log()?;
        let place = Place {
            thread: thread.number,
            log: number,
            seq,
        };
        let batch = Batch {
            events: std::mem::take(&mut self.staged.events),
        };
        let sealed = self.seal_event(&batch, (log, seq), epoch)?;
        let record = self.seal_record(place, (log, *sealed.event.cid()), (epoch, false))?;
        let changes = changes(&batch);
        let record = authorise(self.txn.as_read(), thread, (record, place), &changes)?;
        let blocks = Blocks {
            record: record.block().to_vec(),
            event: sealed.event.into_bytes(),
            body: sealed.body.into_bytes(),
        };
        let position = self.tip.position + 1;
        let incoming = Incoming {
            record: &record,
            place,
            time: self.time,
            position,
            rejudged: None,
        };
        let effects = std::mem::take(&mut self.staged.effects);
        // Nobody writes behind a fork of their own log, so the line is the log.
        let at = (place, self.time);
        link(&mut *self.txn, thread, (&record, &log), at, &blocks)?;
        publish(&mut *self.txn, thread, &incoming, &self.tip)?;
        broadcast(&mut *self.txn, thread, &incoming, effects, Origin::Here)?;
        self.staged.members |= invite::note_members(&mut *self.txn, thread, &batch.events)?;
        self.staged.log = Some((log, number, seq + 1));
        Ok(Commit {
            record: record.id(),
            log,
            seq,
            position,
        })
    }

    fn seal_event(
        &self,
        batch: &Batch,
        (log, seq): (LogId, u64),
        epoch: u64,
    ) -> Result<SealedEvent> {
        let thread = self.thread();
        let read = thread.read_of(epoch)?.ok_or_else(|| {
            Error::unsupported("this node cannot read what it would write").with("epoch", epoch)
        })?;
        SealedEvent::seal(
            &Position {
                thread: &thread.id,
                log,
                seq,
                epoch,
            },
            &read,
            self.time,
            BATCH_FORMAT.parse()?,
            &batch.encode()?,
            Encryption::SingleUse,
            &mut **thread.node.rng(),
        )
    }

    pub(crate) fn seal_record(
        &mut self,
        place: Place,
        (log, event): (LogId, Cid),
        (epoch, access): (u64, bool),
    ) -> Result<Verified<SignedRecord>> {
        let thread = self.thread();
        let head = HeadBook::new(self.txn.as_read()).get(&thread.id, &log)?;
        let skip = skip_target(place.seq)
            .map(|seq| chain::expect(self.txn.as_read(), Place { seq, ..place }))
            .transpose()?
            .map(|blocks| blocks.record_id());
        let acl = match thread.id.variant() {
            Variant::AccessControlled => access::to_name(self.txn.as_read(), place)?,
            _ => Vec::new(),
        };
        let fields = Fields {
            thread: thread.id.clone(),
            log,
            seq: place.seq,
            prev: head.map(|head| head.record),
            skip,
            deps: self.deps(&log)?,
            acl,
            access,
            epoch,
            tags: Vec::new(),
            event,
        };
        let key = thread.log_key(self.txn.as_read(), &log)?;
        let author = (place.seq == 1).then_some(&thread.node.identity);
        let replica = thread.replica_of(epoch)?;
        let replica =
            replica.ok_or_else(|| Error::corrupt("the keys to write under are missing"))?;
        SignedRecord::seal(fields, &key, author, &replica)
    }

    /// The heads of other logs that moved since this log last named them.
    fn deps(&mut self, own: &LogId) -> Result<Vec<Dep>> {
        let thread = self.thread();
        let mut deps = Vec::new();
        // The branches of a forked log are heads of their own.
        for (id, head) in books::heads(self.txn.as_read(), &thread.id)? {
            if id == *own || deps.len() == DEPS_MAX {
                continue;
            }
            let key = meta::named_head(thread.number, &id);
            let seq = head.seq.to_be_bytes();
            if self.txn.get(Keyspace::Meta, &key)?.as_deref() != Some(&seq[..]) {
                let line = line::find(self.txn.as_read(), thread.number, &id)?;
                let (log, forked) = line.map_or((id, false), |line| (line.log, line.forked));
                // A record does not name its own log, so not the other branches of it either; and
                // whoever names the branches names what is before them.
                if log == *own || forked {
                    continue;
                }
                self.txn.put(Keyspace::Meta, &key, &seq)?;
                let (seq, cid) = (head.seq, head.record);
                deps.push(Dep { log, seq, cid });
            }
        }
        deps.sort();
        Ok(deps)
    }
}

/// What a policy judges of a batch.
pub(crate) fn changes(batch: &Batch) -> Vec<Change> {
    let change = |event: &threads_core::batch::EntityEvent| Change {
        collection: event.collection.clone(),
        entity: event.entity.clone(),
        action: event.action,
    };
    batch.events.iter().map(change).collect()
}

/// Asks the thread's policy about a record.
pub(crate) fn judge(
    txn: &dyn threads_core::datastore::ReadTxn,
    thread: &Thread,
    author: threads_core::PeerId,
    judged: Judged<'_>,
) -> Result<Verdict> {
    with_candidate(txn, thread, author, judged, |candidate| {
        thread.node.policy.judge(candidate, txn)
    })
}

/// What of a record a policy judges.
#[derive(Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub(crate) fields: &'a Fields,
    /// The place that it has, or is to have.
    pub(crate) place: Place,
    /// Whether it is to be the next one of its log.
    pub(crate) is_next: bool,
    /// Whether it stands there. What does not nobody has seen here, though another record may have its place.
    pub(crate) stands: bool,
    /// What it would change, where that can be read.
    pub(crate) changes: Option<&'a [Change]>,
}

impl<'a> Judged<'a> {
    /// A record that stands in its place.
    pub(crate) fn standing(
        fields: &'a Fields,
        place: Place,
        changes: Option<&'a [Change]>,
    ) -> Self {
        Self {
            fields,
            place,
            is_next: false,
            stands: true,
            changes,
        }
    }
}

/// Does something with a record as a policy sees it.
pub(crate) fn with_candidate<R>(
    txn: &dyn threads_core::datastore::ReadTxn,
    thread: &Thread,
    author: threads_core::PeerId,
    judged: Judged<'_>,
    look: impl FnOnce(&Candidate<'_>) -> Result<R>,
) -> Result<R> {
    let Judged {
        fields,
        place,
        is_next,
        stands,
        changes,
    } = judged;
    let acl = match thread.id.variant() {
        Variant::AccessControlled if is_next => access::named_next(txn, place, fields)?,
        Variant::AccessControlled => access::named(txn, place, fields)?,
        _ => Vec::new(),
    };
    let within = |dep: &Dep| match stands {
        true => access::is_within(txn, &fields.log, place, dep),
        false => Ok(false),
    };
    look(&Candidate {
        thread: &thread.id,
        author,
        log: fields.log,
        seq: fields.seq,
        deps: &fields.deps,
        acl: &acl,
        changes,
        within: &within,
    })
}

/// The error for a record that the policy refuses.
pub(crate) fn refused(why: impl std::fmt::Display) -> Error {
    Error::rejected("the thread's access policy refuses this").with("why", why)
}

/// A record of this node's own, when the policy accepts it at once. What others would keep apart is
/// not written at all.
fn authorise(
    txn: &dyn threads_core::datastore::ReadTxn,
    thread: &Thread,
    (record, place): (Verified<SignedRecord>, Place),
    changes: &[Change],
) -> Result<Authorised<SignedRecord>> {
    record.authorise(|record| {
        let judged = Judged {
            fields: record.fields(),
            place,
            is_next: true,
            stands: false,
            changes: Some(changes),
        };
        match judge(txn, thread, thread.own_author(), judged)? {
            Verdict::Accept => Ok(()),
            Verdict::Reject(why) | Verdict::Quarantine(why) => Err(refused(why)),
            _ => Err(Error::rejected(
                "the thread's access policy cannot decide this yet",
            )),
        }
    })
}
