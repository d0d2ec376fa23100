//! A policy with its datastore, as a node has them.

use std::collections::BTreeMap;

use threads_core::access::Rules;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Memory};
use threads_core::policy::{AccessPolicy, AccessRecord, Learned, Verdict, policy_prefix};
use threads_core::reducer::View;
use threads_core::{Cid, Result, ThreadId, access};

use super::Subject;
use super::story::{Datum, PEERS, Story, Told, peer};

pub(super) struct Node {
    pub(super) store: Memory,
    pub(super) policy: Box<dyn AccessPolicy>,
}

impl Node {
    pub(super) fn new(subject: &Subject) -> Self {
        Self {
            store: Memory::new(),
            policy: subject.make(),
        }
    }

    /// The same datastore, after the program was started again.
    pub(super) fn again(self, subject: &Subject) -> Self {
        Self {
            store: self.store,
            policy: subject.make(),
        }
    }

    pub(super) fn learn(&self, thread: &ThreadId, told: &Told) -> Result<Learned> {
        self.learn_record(&told.record(thread))
    }

    pub(super) fn learn_record(&self, record: &AccessRecord<'_>) -> Result<Learned> {
        let prefix = policy_prefix(record.thread);
        self.store.transact(Durability::Relaxed, |txn| {
            self.policy.learn(record, &mut View::new(txn, &prefix)?)
        })
    }

    /// Learns in a transaction that is given up.
    pub(super) fn learn_in_vain(&self, thread: &ThreadId, told: &Told) -> Result<()> {
        let prefix = policy_prefix(thread);
        let mut txn = self.store.write()?;
        let mut view = View::new(&mut *txn, &prefix)?;
        self.policy.learn(&told.record(thread), &mut view).map(drop)
    }

    /// Learns a story in one of its orders.
    pub(super) fn learn_all(&self, story: &Story, seed: usize) -> Result<()> {
        let mut order = story.order(seed).into_iter();
        order.try_for_each(|place| self.learn(&story.thread, &story.told[place]).map(drop))
    }

    pub(super) fn judge(&self, thread: &ThreadId, datum: &Datum) -> Result<Verdict> {
        let within = |dep: &threads_core::record::Dep| Ok(datum.is_within(dep));
        let txn = self.store.read()?;
        self.policy.judge(&datum.candidate(thread, &within), &*txn)
    }

    /// Which changes of a story are accepted.
    pub(super) fn accepted(&self, story: &Story) -> Result<Vec<bool>> {
        let mut data = story.data.iter();
        data.try_fold(Vec::new(), |mut all, datum| {
            all.push(self.judge(&story.thread, datum)? == Verdict::Accept);
            Ok(all)
        })
    }

    /// The records that state a purge, and whether that counts.
    pub(super) fn purges(&self, thread: &ThreadId) -> Result<BTreeMap<Cid, bool>> {
        let stated = self.policy.statements(thread, &*self.store.read()?)?;
        let purges = stated
            .into_iter()
            .filter_map(|stated| match stated.statement {
                access::Statement::Purge { .. } => Some((stated.record, stated.void.is_none())),
                _ => None,
            });
        Ok(purges.collect())
    }

    /// What it says of the peers, and the rules.
    pub(super) fn told(&self, thread: &ThreadId) -> Result<(Vec<Roles>, Option<Rules>)> {
        let txn = self.store.read()?;
        let mut roles = Vec::new();
        for number in 0..PEERS {
            for scope in [access::Scope::Thread, access::Scope::Acl] {
                roles.push(self.policy.roles(thread, &peer(number), &scope, &*txn)?);
            }
        }
        Ok((roles, self.policy.rules(thread, &*txn)?))
    }
}

/// What a peer may do, where there are rules.
pub(super) type Roles = Option<Vec<access::Role>>;
