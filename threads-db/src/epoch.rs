//! The epochs of a thread's keys, as applications see them.

use serde::Serialize;
use threads_core::access::{Stated, Statement};
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{Cid, PeerId, Result};

use crate::db::Db;
use crate::thread::Thread;

/// What this node has of the keys of an epoch.
///
/// ```
/// use threads_db::EpochHeld;
/// assert!(EpochHeld::Nothing < EpochHeld::Replica && EpochHeld::Replica < EpochHeld::Read);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EpochHeld {
    /// None of them: records of the epoch wait elsewhere.
    Nothing,
    /// What it takes to keep and check its records.
    Replica,
    /// All: its records can be read.
    Read,
}

/// One epoch: the keys under which records are sealed until others take their place.
///
/// ```
/// fn tell(epoch: &threads_db::EpochInfo) -> String {
///     format!("epoch {:016x}, for {} readers", epoch.number, epoch.readers.len())
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpochInfo {
    /// Its number, which follows from the keys; 0 for those that the thread began with.
    pub number: u64,
    /// The record that brought it, or the first one about access for epoch 0.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// Who made it.
    pub by: PeerId,
    /// When, in milliseconds since 1970, by the clock of who made it.
    pub made_ms: u64,
    /// To whom the keys were sealed that read. Whoever was invited later may have got them with the invite:
    /// so it was with all who have those of epoch 0, and the list is empty.
    pub readers: Vec<PeerId>,
    /// To whom those were sealed that keep the thread and do not read it.
    pub replicas: Vec<PeerId>,
    /// What of them is here.
    pub held: EpochHeld,
    /// Whether this node writes under them now.
    pub in_use: bool,
}

impl Db {
    /// The epochs of the thread's keys, in the order in which they came here; empty where there are no
    /// access rules, and so one set of keys for good. New ones are made by [`Db::rotate_keys`], with each
    /// removal of a reader, and now and then by whoever may.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.epochs().unwrap().is_empty(), "it has no rules");
    /// ```
    pub fn epochs(&self) -> Result<Vec<EpochInfo>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let stated = thread.node.policy.statements(&thread.id, &*txn)?;
        let in_use = thread.epoch_in_use(&*txn)?.map(|epoch| epoch.number);
        let mut epochs: Vec<EpochInfo> = Vec::new();
        for stated in stated.iter().filter(|stated| stated.void.is_none()) {
            let Some(epoch) = thread.epoch(&*txn, stated, in_use)? else {
                continue;
            };
            if epochs.iter().all(|other| other.number != epoch.number) {
                epochs.push(epoch);
            }
        }
        Ok(epochs)
    }
}

impl Thread {
    /// The epoch that a statement brings.
    fn epoch(
        &self,
        txn: &dyn ReadTxn,
        stated: &Stated,
        in_use: Option<u64>,
    ) -> Result<Option<EpochInfo>> {
        let (number, readers, replicas) = match &stated.statement {
            Statement::Genesis(_) => (0, Vec::new(), Vec::new()),
            Statement::Rekey(rekey) => (rekey.epoch, rekey.readers.clone(), rekey.replicas.clone()),
            _ => return Ok(None),
        };
        let held = match (self.read_of(number)?, self.replica_of(number)?) {
            (Some(_), _) => EpochHeld::Read,
            (None, Some(_)) => EpochHeld::Replica,
            (None, None) => EpochHeld::Nothing,
        };
        Ok(Some(EpochInfo {
            number,
            record: stated.record,
            by: stated.author,
            made_ms: self.stated_at(txn, &stated.record)?.wall_ms,
            readers,
            replicas,
            held,
            in_use: in_use == Some(number),
        }))
    }
}
