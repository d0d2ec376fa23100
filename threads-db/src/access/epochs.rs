//! Which keys a writer uses, and new ones.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::access::{Rekey, Role, Rules, Scope, Stated, Statement, Subject};
use threads_core::books::KeyBook;
use threads_core::datastore::ReadTxn;
use threads_core::group::GroupKeys;
use threads_core::{Cid, EpochKeys, Error, Hlc, PeerCard, PeerId, Result, Variant};

use super::latest;
use super::rotates::Rotates;
use crate::chain;
use crate::thread::Thread;
use crate::txn::WriteTransaction;

/// The epoch to write under, as long as the latest access records are these.
#[derive(Debug)]
pub(crate) struct Choice {
    latest: Vec<Cid>,
    epoch: Option<InUse>,
}

/// The epoch that is in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InUse {
    pub(crate) number: u64,
    /// When its keys were made, in milliseconds since 1970 by the clock of whoever made them, if it was said.
    pub(crate) made_ms: Option<u64>,
    /// Whether this node is one to make the next ones.
    pub(crate) rotates: Option<Rotates>,
}

/// Who was given the keys of an epoch, as far as statements say.
struct Given {
    holders: BTreeSet<PeerId>,
    /// When the statement that brought it was made.
    time: Hlc,
}

/// What became of the keys of all epochs, statement by statement.
struct Gifts {
    by_epoch: BTreeMap<u64, Given>,
    /// Who was removed and did not come back: epochs that come later are not given to them.
    removed: BTreeSet<PeerId>,
}

impl Gifts {
    /// A peer may have been given all keys that there are.
    fn came(&mut self, peer: PeerId) {
        self.removed.remove(&peer);
        for given in self.by_epoch.values_mut() {
            given.holders.insert(peer);
        }
    }

    /// A peer was removed, and has what it could have until then.
    fn went(&mut self, peer: PeerId) {
        if !self.removed.contains(&peer) {
            self.came(peer);
            self.removed.insert(peer);
        }
    }

    /// Its author made the keys, and so has them.
    fn rekeyed(&mut self, rekey: &Rekey, author: PeerId, time: Hlc) {
        if rekey.readers.is_empty() {
            // Keys that there were are handed on, to be kept by: nobody is to write under them for that.
            return;
        }
        let given = self.by_epoch.entry(rekey.epoch).or_insert_with(|| Given {
            holders: BTreeSet::new(),
            time,
        });
        given.time = given.time.max(time);
        given
            .holders
            .extend(rekey.readers.iter().copied().chain([author]));
    }
}

impl WriteTransaction<'_> {
    /// Makes new keys for what is written from now on, and states them, sealed to exactly these: both to
    /// readers, and what it takes to keep the thread to replicas. This node is among the readers where
    /// it is to write on. Whoever is removed is removed before this, in the same transaction. Gives the
    /// number of the epoch.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::grant`] and of
    /// [`GroupKeys::seal`](threads_core::group::GroupKeys::seal).
    ///
    /// ```
    /// # use threads_core::{Variant, datastore::Memory};
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// # let team = node.create_with("team", Variant::AccessControlled).unwrap();
    /// let epoch = team.write(|txn| txn.rekey(&[node.card()], &[])).unwrap();
    /// assert_ne!(epoch, 0);
    /// ```
    pub fn rekey(&mut self, readers: &[PeerCard], replicas: &[PeerCard]) -> Result<u64> {
        let rekey = self.thread().rekey(readers, replicas)?;
        let epoch = rekey.epoch;
        self.state(Statement::Rekey(rekey))?;
        Ok(epoch)
    }
}

impl Thread {
    /// New keys for these, sealed.
    pub(crate) fn rekey(&self, readers: &[PeerCard], replicas: &[PeerCard]) -> Result<Rekey> {
        let rng = &mut **self.node.rng();
        let keys = EpochKeys::generate(rng);
        let scheme = &self.node.group_keys;
        scheme.rekey(&self.id, &keys, readers, replicas, rng)
    }

    /// The epoch to seal what this node writes now: the latest of those whose keys nobody has, as far as
    /// statements say, who is not a reader as the rules stand.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when there is none: somebody was
    /// removed, and nobody has made keys since that he or she has not.
    pub(crate) fn writing_epoch(&self, txn: &dyn ReadTxn) -> Result<u64> {
        if self.id.variant() != Variant::AccessControlled {
            return Ok(0);
        }
        let in_use = self.epoch_in_use(txn)?.ok_or_else(|| {
            Error::unavailable(
                "nobody may read what would be written now but those who were removed too: somebody who \
                 may change the rules has to rotate the keys",
            )
            .with("thread", &self.id)
        })?;
        Ok(in_use.number)
    }

    /// What [`Thread::writing_epoch`] gives, and what there is to know about it.
    pub(crate) fn epoch_in_use(&self, txn: &dyn ReadTxn) -> Result<Option<InUse>> {
        let latest = latest(txn, self.number)?;
        // A choice is put in whole, so a panic elsewhere broke nothing.
        let mut choice = self
            .choice
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = choice.as_ref().filter(|choice| choice.latest == latest);
        Ok(match known {
            Some(choice) => choice.epoch,
            None => {
                let epoch = self.choose_epoch(txn)?;
                *choice = Some(Choice { latest, epoch });
                epoch
            }
        })
    }

    fn choose_epoch(&self, txn: &dyn ReadTxn) -> Result<Option<InUse>> {
        let Some(rules) = self.node.policy.rules(&self.id, txn)? else {
            return Ok(Some(InUse {
                number: 0,
                made_ms: None,
                rotates: None,
            }));
        };
        let stated = self.node.policy.statements(&self.id, txn)?;
        let given = self.given(txn, &rules, &stated)?;
        let mut best: Option<(Hlc, u64)> = None;
        for (epoch, given) in given {
            let kept = given.holders.iter().all(|peer| is_reader(&rules, peer));
            if kept && self.can_write_under(txn, epoch)? {
                best = best.max(Some((given.time, epoch)));
            }
        }
        let Some((time, number)) = best else {
            return Ok(None);
        };
        let made_ms = match (number, stated.first()) {
            // The first keys are as old as the thread.
            (0, None) => None,
            (0, Some(first)) => Some(self.stated_at(txn, &first.record)?.wall_ms),
            _ => Some(time.wall_ms),
        };
        Ok(Some(InUse {
            number,
            made_ms,
            rotates: Rotates::of(&rules, &self.own_author()),
        }))
    }

    /// Whether the keys of an epoch are here, as the transaction sees it, which may have brought them.
    fn can_write_under(&self, txn: &dyn ReadTxn, epoch: u64) -> Result<bool> {
        if epoch == 0 {
            return Ok(self.read.get().is_some());
        }
        let keys = KeyBook::new(txn).epoch_keys(&self.id, epoch)?;
        Ok(keys.is_some_and(|keys| keys.read().is_some()))
    }

    /// Who has the keys of each epoch. Whoever was made a reader after an epoch came may have been given its
    /// keys with the invite. An epoch that everybody may have had is left out.
    fn given(
        &self,
        txn: &dyn ReadTxn,
        rules: &Rules,
        stated: &[Stated],
    ) -> Result<BTreeMap<u64, Given>> {
        let first = Given {
            holders: BTreeSet::from([rules.root]),
            time: Hlc::ZERO,
        };
        let mut given = Gifts {
            by_epoch: BTreeMap::from([(0, first)]),
            removed: BTreeSet::new(),
        };
        let open_to_all = may_read(&rules.default);
        for stated in stated.iter().filter(|stated| stated.void.is_none()) {
            match &stated.statement {
                Statement::Grant {
                    to,
                    scope: Scope::Thread,
                    role,
                } if role.implies(Role::Read) => match to {
                    Subject::Peer(peer) => given.came(*peer),
                    Subject::Everybody if !open_to_all => given.by_epoch.clear(),
                    Subject::Everybody => {}
                },
                Statement::Revoke {
                    from: Subject::Peer(peer),
                    scope: Scope::Thread,
                    role,
                    ..
                } if Role::Read.implies(*role) => {
                    given.went(*peer);
                }
                Statement::Leave { .. } => given.went(stated.author),
                Statement::Rekey(rekey) => {
                    let time = self.stated_at(txn, &stated.record)?;
                    given.rekeyed(rekey, stated.author, time);
                }
                _ => {}
            }
        }
        Ok(given.by_epoch)
    }

    /// The time of an access record.
    pub(crate) fn stated_at(&self, txn: &dyn ReadTxn, record: &Cid) -> Result<Hlc> {
        let missing =
            || Error::corrupt("an access record that was learned does not stand in its log");
        let place = chain::locate(txn, self.number, record)?.ok_or_else(missing)?;
        self.time(&chain::expect(txn, place)?)
    }
}

fn may_read(roles: &[Role]) -> bool {
    roles.iter().any(|role| role.implies(Role::Read))
}

fn is_reader(rules: &Rules, peer: &PeerId) -> bool {
    may_read(&rules.of(peer).thread)
}
