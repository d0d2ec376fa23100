//! Purging: what an entity said is erased, and the chain still verifies.
//!
//! The body of a transaction is one ciphertext under one key, so a record is emptied whole: its event, which
//! has the key, and its body go, and the sealed record stays, with a note of the record by which it was
//! purged. A delete of the entity stays too, for what arrives later must not bring it back. In a thread with
//! rules the purge is a statement, judged like a delete, and peers do the same when it counts; whoever cannot
//! read a record does as told, and whoever can checks that it is of nothing that lives.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use threads_core::access::{PURGED_MAX, Statement};
use threads_core::datastore::ReadTxn;
use threads_core::record::Dep;
use threads_core::{Cid, CollectionName, EntityId, Error, ErrorKind, Result};

use crate::base;
use crate::db::Db;
use crate::layout::{self, meta};
use crate::txn::WriteTransaction;

mod empty;
mod late;
mod list;
mod plan;
mod rows;
mod settle;
mod shown;
mod stripped;
#[cfg(test)]
mod tests;
mod wipe;

use empty::Emptier;
pub(crate) use late::late;
pub use list::{Emptied, EmptiedCounts, Purge};
pub(crate) use list::{counts, tally, why};
pub(crate) use rows::{
    EmptiedRow, all_emptied, any, is_carried_out, is_entity, is_known, listed_by, lists_in,
    note_filled, stated_by,
};
pub(crate) use settle::{judge, look_again, note, on_arrival, settle};
pub(crate) use shown::{is_ahead, is_shown};
pub(crate) use stripped::{any_stripped, first_stripped, may_hand_on, stripped};

/// The most entities of one purge.
pub const PURGE_ENTITIES_MAX: usize = 1_000;
/// The most statements of one transaction: their record has room for so many.
const STATEMENTS_AT_ONCE: usize = 8;

/// What a purge did.
///
/// ```
/// fn line(report: &threads_db::PurgeReport) -> String { format!("{} records emptied", report.records) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// The record that deletes the entities, for good.
    #[serde(serialize_with = "crate::text::display")]
    pub deleted: Cid,
    /// The record by which peers are asked to do the same; none in a thread without rules.
    #[serde(serialize_with = "crate::text::optional")]
    pub stated: Option<Cid>,
    /// How many entities were purged.
    pub entities: u64,
    /// How many records were emptied.
    pub records: u64,
    /// How many blobs here nothing names any more: their content can still be read here, until
    /// [`Blobs::clear`](crate::Blobs::clear) takes them away. None where it is not known, as a codec is missing.
    pub unnamed_blobs: Option<u64>,
}

impl Db {
    /// Erases what entities said: deletes those that live, and empties every record that holds something of them, in
    /// their histories, in quarantine, or waiting. What is left of such a record is its place in its log. In a
    /// thread with rules peers are asked to do the same, and [`Db::purges`] says who claims to have; in one without
    /// it is done here only.
    ///
    /// The rows are gone then; what the store's files still hold of them is for the store to write over: see
    /// [`Node::is_wipe_due`](crate::Node::is_wipe_due).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) for an entity that never was;
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when others were written in the same
    /// transactions, and are not among those to be purged: they would be lost;
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) without the role to delete;
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for none, or more than [`PURGE_ENTITIES_MAX`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let bob = ("Person".parse().unwrap(), "bob".parse().unwrap());
    /// let record = db.log(Some(1)).unwrap()[0].record;
    /// assert_eq!(db.purge([bob]).unwrap().records, 1);
    /// assert!(!db.collection("Person").unwrap().has("bob").unwrap());
    /// assert_eq!(db.show(&record).unwrap().access, "purged");
    /// assert!(db.verify(&mut |_| ()).unwrap().is_clean());
    /// ```
    pub fn purge(
        &self,
        entities: impl IntoIterator<Item = (CollectionName, EntityId)>,
    ) -> Result<PurgeReport> {
        self.thread().check_reads()?;
        let entities: BTreeSet<_> = entities.into_iter().collect();
        check(&entities)?;
        let mut txn = self.begin()?;
        let records = plan::Plan::new(txn.txn.as_read(), self.thread(), &entities).make()?;
        for entity in &entities {
            txn.stage_last_delete(entity)?;
        }
        let ruled = is_ruled(txn.txn.as_read(), self)?;
        if ruled {
            check_known(txn.txn.as_read(), self, &entities)?;
        }
        base::forget_dead(&mut *txn.txn, self.thread(), &entities)?;
        let mut rest = Vec::new();
        match ruled {
            true => rest = txn.state_purge(&records)?.to_vec(),
            false => txn.staged.purged = records.clone(),
        }
        let made = txn.commit_all()?;
        let nothing = || Error::corrupt("a purge made no record");
        let mut report = PurgeReport {
            deleted: made.changes.ok_or_else(nothing)?.record,
            stated: made.statements.map(|commit| commit.record),
            entities: entities.len() as u64,
            records: records.len() as u64,
            unnamed_blobs: None,
        };
        // Ends: each turn states some of the rest.
        while !rest.is_empty() {
            let mut txn = self.begin()?;
            rest = txn.state_purge(&rest)?.to_vec();
            txn.commit_all()?;
        }
        settle(self.thread())?;
        report.unnamed_blobs = self.count_unnamed()?;
        Ok(report)
    }

    /// How many blobs here nothing names. Without blobs, or the codecs to tell, no entity is looked at.
    fn count_unnamed(&self) -> Result<Option<u64>> {
        let blobs = self.blobs();
        if blobs.is_none()? {
            return Ok(Some(0));
        }
        match blobs.unnamed(Duration::ZERO) {
            Ok(unnamed) => Ok(Some(unnamed.len() as u64)),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Db {
    /// Carries out what was left when the thread was open last.
    pub(crate) fn catch_up_purges(&self) -> Result<()> {
        let thread = self.thread();
        if !settle::is_due(thread)? {
            return Ok(());
        }
        // Without the right to write, or within somebody's transaction, it is for the next one.
        match thread.node.writer() {
            Ok(Some(free)) => drop(free),
            _ => return Ok(()),
        }
        settle(thread).map(drop)
    }
}

fn check(entities: &BTreeSet<(CollectionName, EntityId)>) -> Result<()> {
    if entities.is_empty() || entities.len() > PURGE_ENTITIES_MAX {
        return Err(
            Error::invalid("name one entity to purge, or several, not too many at once")
                .with("entities", entities.len())
                .with("most", PURGE_ENTITIES_MAX),
        );
    }
    match entities
        .iter()
        .find(|(collection, _)| collection.is_reserved())
    {
        Some((collection, _)) => Err(Error::invalid(
            "this collection belongs to the framework, and is not purged",
        )
        .with("collection", collection)),
        None => Ok(()),
    }
}

/// Refuses to state a purge of what is known here only as it was: peers could not be told which records to empty.
fn check_known(
    txn: &dyn ReadTxn,
    db: &Db,
    entities: &BTreeSet<(CollectionName, EntityId)>,
) -> Result<()> {
    let thread = db.thread().number;
    for (collection, id) in entities {
        let number = layout::number(txn, &meta::collection(thread, collection))?;
        let Some(number) = number else { continue };
        let key = layout::entity(thread, number, id.as_str());
        if base::of_entity(txn, thread, &key)?.is_some() {
            return Err(Error::unsupported(
                "older records of this entity were dropped here, so peers cannot be told to empty them: purge it \
                 on a node that has all records",
            )
            .with("collection", collection)
            .with("_id", id));
        }
    }
    Ok(())
}

/// Whether there are rules by which peers may be asked.
fn is_ruled(txn: &dyn ReadTxn, db: &Db) -> Result<bool> {
    let thread = db.thread();
    let rules = thread.node.policy.rules(&thread.id, txn)?;
    Ok(rules.is_some())
}

impl WriteTransaction<'_> {
    /// States that records are purged, as many as one transaction may; gives the rest.
    fn state_purge<'r>(&mut self, records: &'r [Dep]) -> Result<&'r [Dep]> {
        let (now, rest) = records.split_at(records.len().min(PURGED_MAX * STATEMENTS_AT_ONCE));
        for records in now.chunks(PURGED_MAX) {
            let records = records.to_vec();
            self.state(Statement::Purge { records })?;
        }
        Ok(rest)
    }

    /// Empties records of a thread without rules, as the record says that deletes their entities.
    pub(crate) fn empty_staged(&mut self, by: &Cid) -> Result<()> {
        let records = std::mem::take(&mut self.staged.purged);
        if records.is_empty() {
            return Ok(());
        }
        let thread = self.thread();
        let mut emptier = Emptier::new(&mut *self.txn, thread);
        for record in &records {
            emptier.look_at(record, by)?;
        }
        emptier.finish()?;
        crate::reducers::replay_all(&mut *self.txn, thread)
    }
}
