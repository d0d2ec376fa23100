//! Access records: the policy learns them, and what they touch is judged again, in one transaction.

use std::collections::BTreeSet;

use threads_core::access::{EntityTag, Statement, Subject};
use threads_core::batch::Batch;
use threads_core::datastore::{Direction, Keyspace};
use threads_core::policy::{AccessRecord, Again, Learned, Verdict, policy_prefix};
use threads_core::record::{Dep, Fields, Record, SignedRecord, Verified};
use threads_core::reducer::View;
use threads_core::{Cid, Error, ErrorKind, PeerId, Result};

use super::{Ingest, Turn};
use crate::access;
use crate::chain;
use crate::dispatcher::{self, Incoming, Judged, Origin};
use crate::feed::Rejudged;
use crate::held::{self, Why};
use crate::history;
use crate::invite;
use crate::layout::{self, Place, Prefix};
use crate::line::{self, Line};
use crate::opened::Opened;
use crate::purge;
use crate::sync::shares;

impl Ingest<'_> {
    /// Shows the policy an access record that stands in its log now, and judges again what it says has
    /// to be.
    pub(crate) fn learn(
        &mut self,
        (id, fields): (Cid, &Fields),
        place: Place,
        statements: &[Statement],
    ) -> Result<Learned> {
        let author = self.thread.author(self.txn.as_read(), place.log)?;
        let author = author.ok_or_else(|| Error::corrupt("a log's author is missing"))?;
        let acl = access::named(self.txn.as_read(), place, fields)?;
        let record = AccessRecord {
            thread: &self.thread.id,
            author,
            id,
            acl: &acl,
            statements,
        };
        for statement in statements {
            if let Statement::Rekey(rekey) = statement {
                self.intake.keys |= self.thread.learn_rekey(&mut *self.txn, rekey)?;
            }
        }
        let prefix = policy_prefix(&self.thread.id);
        let mut view = View::new(&mut *self.txn, &prefix)?;
        let learned = self.thread.node.policy.learn(&record, &mut view)?;
        if !learned.passing {
            access::enter(&mut *self.txn, place, (&id, &acl))?;
        }
        for again in &learned.again {
            self.owe(again, &id)?;
        }
        for place in self.concerned(&learned.again)? {
            self.judge_again(place, &id)?;
        }
        self.learn_purges(&id, statements, &learned)?;
        let subjects = statements.iter().filter_map(|statement| match statement {
            Statement::Grant {
                to: Subject::Peer(peer),
                ..
            }
            | Statement::Revoke {
                from: Subject::Peer(peer),
                ..
            } => Some(*peer),
            _ => None,
        });
        let touched = learned.again.iter().filter_map(|again| again.author);
        let mut peers: BTreeSet<PeerId> = subjects.chain(touched).chain([author]).collect();
        if statements.iter().any(is_about_everybody) {
            peers.extend(shares::of_thread(self.txn.as_read(), self.thread.number)?);
        }
        for peer in peers {
            self.intake.members |= access::share(&mut *self.txn, self.thread, &peer)?;
        }
        Ok(learned)
    }

    /// The same of one that is known to stand at `place`, and what it says is still to be read.
    pub(crate) fn learn_at(&mut self, place: Place, record: (Cid, &Fields)) -> Result<()> {
        let blocks = chain::expect(self.txn.as_read(), place)?;
        let statements = match self.thread.open(&blocks) {
            Ok(opened) => opened.statements().map(<[_]>::to_vec),
            // It says nothing that anybody could know, and others may name it all the same.
            Err(fault) if fault.kind() == ErrorKind::Rejected => None,
            Err(fault) => return Err(fault),
        };
        self.learn(record, place, &statements.unwrap_or_default())
            .map(drop)
    }

    /// Whether keys came by what was learned.
    pub(crate) fn came_keys(&self) -> bool {
        self.intake.keys
    }

    /// Which purges count, when one is new or the rules made a difference.
    fn learn_purges(
        &mut self,
        id: &Cid,
        statements: &[Statement],
        learned: &Learned,
    ) -> Result<()> {
        let new = purge::lists_in(statements).next().is_some();
        if new {
            purge::note(&mut *self.txn, self.thread, id)?;
            self.purging = true;
        }
        if new || self.purging && !learned.again.is_empty() {
            purge::judge(&mut *self.txn, self.thread)?;
            self.intake.purges = true;
        }
        Ok(())
    }

    /// What waits may be how others tell this node that it was removed, or bring keys for what it waits for.
    pub(super) fn heed(&mut self, record: &SignedRecord, statements: &[Statement]) -> Result<()> {
        self.note_removal(record, statements)?;
        self.take_keys(statements)
    }

    fn note_removal(&mut self, record: &SignedRecord, statements: &[Statement]) -> Result<()> {
        let author = match record.author() {
            Some(author) => Some(author),
            None => self
                .thread
                .author_of(self.txn.as_read(), &record.fields().log)?,
        };
        if let Some(by) = author {
            let record = (&record.id(), &by);
            self.intake.removed |=
                access::note_removal(&mut *self.txn, self.thread, record, statements)?;
        }
        Ok(())
    }

    /// Takes the keys that come with what waits, where this node has no part as far as it knows: it may be let in
    /// again by that, and lack them for what is before it. Keys follow from their number, whoever states them.
    fn take_keys(&mut self, statements: &[Statement]) -> Result<()> {
        let mut rekeys = statements.iter().filter_map(|statement| match statement {
            Statement::Rekey(rekey) => Some(rekey),
            _ => None,
        });
        let Some(first) = rekeys.next() else {
            return Ok(());
        };
        if access::removal(self.txn.as_read(), self.thread)?.is_none() {
            return Ok(());
        }
        for rekey in [first].into_iter().chain(rekeys) {
            self.intake.keys |= self.thread.learn_rekey(&mut *self.txn, rekey)?;
        }
        Ok(())
    }

    /// The records that have to be judged again.
    fn concerned(&self, again: &[Again]) -> Result<BTreeSet<Place>> {
        let mut places = BTreeSet::new();
        for again in again {
            match (&again.author, &again.entity) {
                (None, Some(entity)) => self.touching(entity, again, &mut places)?,
                (author, _) => self.written_by(author.as_ref(), again, &mut places)?,
            }
        }
        Ok(places)
    }

    /// The records of an author, or of all, but for those that somebody had seen.
    fn written_by(
        &self,
        author: Option<&PeerId>,
        again: &Again,
        places: &mut BTreeSet<Place>,
    ) -> Result<()> {
        let txn = self.txn.as_read();
        for (line, head) in line::all(txn, self.thread)? {
            if author.is_some() && self.thread.author(txn, line.number)?.as_ref() != author {
                continue;
            }
            // Of a log that nobody forked it is enough to know the last one that was seen.
            let seen = again.beyond.iter().find(|dep| dep.log == line.log);
            let seen = seen.filter(|_| !self.forked);
            let seen = match seen {
                Some(dep) => self.is_of(&line, dep)?.then_some(dep),
                None => None,
            };
            let next = |dep: &Dep| line.first.max(dep.seq.saturating_add(1));
            let first = seen.map_or(line.first, next);
            let last = match &again.within {
                Some(within) => {
                    let own = within.iter().filter(|dep| dep.log == line.log);
                    own.map(|dep| dep.seq).max().unwrap_or(0).min(head.seq)
                }
                None => head.seq,
            };
            for seq in self.uncovered(line.number, first, last) {
                let place = line.place(self.thread.number, seq);
                if self.is_within(again, place)?
                    && (seen.is_some() || !self.was_seen(again, place)?)
                {
                    places.insert(place);
                }
            }
        }
        Ok(())
    }

    /// Whether what somebody says to have seen is a record of this line, where it says.
    fn is_of(&self, line: &Line, dep: &Dep) -> Result<bool> {
        let at = chain::locate(self.txn.as_read(), self.thread.number, &dep.cid)?;
        Ok(at == Some(line.place(self.thread.number, dep.seq)))
    }

    pub(super) fn was_seen(&self, again: &Again, place: Place) -> Result<bool> {
        self.is_among(&again.beyond, place)
    }

    /// Whether a record is one of those to which it is limited what is judged again, if it is.
    fn is_within(&self, again: &Again, place: Place) -> Result<bool> {
        match &again.within {
            Some(within) => self.is_among(within, place),
            None => Ok(true),
        }
    }

    /// Whether a record is one of these, or before one of them in its log.
    fn is_among(&self, deps: &[Dep], place: Place) -> Result<bool> {
        if deps.is_empty() {
            return Ok(false);
        }
        let txn = self.txn.as_read();
        let log = self.thread.log_id(txn, place.log)?;
        for dep in deps {
            if access::is_within(txn, &log, place, dep)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The records that change an entity: those in its history, and any that are not applied.
    fn touching(
        &self,
        entity: &EntityTag,
        again: &Again,
        places: &mut BTreeSet<Place>,
    ) -> Result<()> {
        let (txn, thread) = (self.txn.as_read(), self.thread);
        let mut found = Vec::new();
        for (number, collection) in layout::collections(txn, thread.number)? {
            let prefix = layout::collection_prefix(thread.number, number);
            let bounds = Prefix::new(&prefix);
            for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
                let (key, _) = row?;
                let id = layout::entity_id(&key, prefix.len())?;
                if EntityTag::of(&thread.id, &collection, &id) == *entity {
                    let (_, history) = history::keys(thread.number, number, id.as_str());
                    let rows = history::all(txn, thread, &history)?.into_iter();
                    found.extend(rows.map(|row| row.place.of_record(thread.number)));
                }
            }
        }
        for arrival in held::arrivals(txn, thread.number)? {
            let entry = held::get(txn, thread.number, arrival)?;
            let row = entry.filter(|entry| entry.blocks.is_none());
            if let Some(entry) = row {
                found.extend(chain::locate(txn, thread.number, &entry.row.record)?);
            }
        }
        for place in found {
            if self.is_within(again, place)? && !self.was_seen(again, place)? {
                places.insert(place);
            }
        }
        Ok(())
    }

    /// Judges a record of the logs anew: what it changed is undone, or it is applied after all.
    fn judge_again(&mut self, place: Place, cause: &Cid) -> Result<()> {
        let blocks = chain::expect(self.txn.as_read(), place)?;
        let opened = match self.thread.open(&blocks) {
            // A record whose event breaks a rule is never applied, whoever wrote it.
            Err(error) if error.kind() == ErrorKind::Rejected => return Ok(()),
            opened => opened?,
        };
        if opened.record.fields().access || blocks.is_emptied() {
            return Ok(());
        }
        let record = Verified::assume_stored(opened.record.clone());
        let fields = record.fields();
        let held = (&fields.log, fields.seq, &record.id());
        let arrival = held::find(self.txn.as_read(), self.thread.number, held)?;
        if arrival.is_some() && self.untimely(&record, &opened, place)?.is_some() {
            // The policy has no say in that.
            return Ok(());
        }
        if let Some(arrival) = arrival
            && self.is_covered(&fields.log, fields.seq)?
            && held::get(self.txn.as_read(), self.thread.number, arrival)?
                .is_some_and(|entry| entry.row.is_settled())
        {
            // Of what is before it, by which it was found wrong, not all is here.
            return Ok(());
        }
        let changes = opened.batch().map(dispatcher::changes);
        let judged = Judged::standing(fields, place, changes.as_deref());
        let author = self.author(&record, place)?;
        let verdict = dispatcher::judge(self.txn.as_read(), self.thread, author, judged)?;
        match (verdict, arrival) {
            (Verdict::Accept, None) => Ok(()),
            (Verdict::Accept, Some(arrival)) => {
                if let Some(why) = self.needs_older(&opened, place)? {
                    let entry = self.entry(&record, None);
                    return self.hold(entry, why, Some(arrival));
                }
                self.waits_no_longer(&record, arrival)?;
                let rejudged = Rejudged::Restored(*cause);
                self.turn(&record, &opened, place, rejudged)
            }
            (verdict, arrival) => {
                let entry = self.entry(&record, None);
                self.hold(entry, Why::access(verdict), arrival)?;
                if arrival.is_none() && self.purging && self.begins_dead(&opened)? {
                    // What the dead were before may have been purged, should this undo a delete.
                    self.owe_all(cause)?;
                }
                match arrival {
                    Some(_) => Ok(()),
                    None => self.turn(&record, &opened, place, Rejudged::Reverted(*cause)),
                }
            }
        }
    }

    /// A record is to be applied that was held. In no history so far, nobody came upon it when its entities died: what a
    /// purge left of it is looked at again.
    pub(super) fn waits_no_longer(&mut self, record: &SignedRecord, arrival: u64) -> Result<()> {
        if self.purging {
            let (fields, cid) = (record.fields(), record.id());
            let (log, seq) = (fields.log, fields.seq);
            self.apart.insert(Dep { log, seq, cid });
        }
        held::remove(&mut *self.txn, self.thread.number, arrival)
    }

    /// Undoes what a record changed, or applies it again, and says so in the feed.
    fn turn(
        &mut self,
        record: &Verified<SignedRecord>,
        opened: &Opened,
        place: Place,
        rejudged: Rejudged,
    ) -> Result<()> {
        // Of one that is undone it is said what it had done; `judge_again` has judged the other.
        let record = record.clone().authorise(|_| Ok(()))?;
        let (time, position) = (opened.time, self.tip.position + 1);
        let incoming = Incoming {
            record: &record,
            place,
            time,
            position,
            rejudged: Some(rejudged),
        };
        self.tip = dispatcher::publish(&mut *self.txn, self.thread, &incoming, &self.tip)?;
        let turn = match rejudged {
            Rejudged::Reverted(_) => Turn::Undone(position),
            Rejudged::Restored(_) | Rejudged::Opened => Turn::Again(position),
        };
        let effects = self.apply_all(opened.batch(), place, time, turn)?;
        let origin = Origin::Elsewhere;
        dispatcher::broadcast(&mut *self.txn, self.thread, &incoming, effects, origin)?;
        if let Some(Batch { events }) = opened.batch() {
            let txn = &mut *self.txn;
            self.intake.members |= invite::note_members(txn, self.thread, events)?;
        }
        match rejudged {
            Rejudged::Reverted(_) => self.intake.reverted += 1,
            Rejudged::Restored(_) | Rejudged::Opened => self.intake.new += 1,
        }
        Ok(())
    }
}

/// Whether a statement may change what those may do whom no rule names.
fn is_about_everybody(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Grant {
            to: Subject::Everybody,
            ..
        } | Statement::Revoke {
            from: Subject::Everybody,
            ..
        }
    )
}
