//! Threads with access rules: what peers state, and what must hold of it at the end.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::access::{EntityTag, Role, Scope, Statement, Subject};
use threads_core::{Cid, ErrorKind, Result};
use threads_db::{Db, EpochHeld, HeldReason};

use super::super::script::{In, Says};
use super::{Played, World};

/// A record, and who was not to read it, as its writer knew the rules.
pub(super) struct Sealed {
    by: usize,
    record: Cid,
    epoch: u64,
    not_for: BTreeSet<usize>,
}

/// Errors of who may not do what the script has it do, or has nobody to write for until keys are rotated.
pub(super) fn is_refused(error: &threads_core::Error) -> bool {
    matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Unavailable)
}

fn may(db: &Db, peer: threads_core::PeerId, scope: Scope, role: Role) -> Result<bool> {
    let roles = db.roles(&peer, &scope)?;
    Ok(roles.is_some_and(|roles| roles.contains(&role)))
}

impl World<'_> {
    /// Root begins the thread, and lets all in by one record, so that nobody knows a part of it.
    pub(super) fn let_in(&self, root: usize) -> Played {
        let Some(up) = &self.peers[root].up else {
            return Ok(());
        };
        let others = (0..self.peers.len()).filter(|peer| *peer != root);
        let let_in = self.lab.prepare(&up.db).and_then(|()| {
            up.db.write(|txn| {
                for at in others {
                    txn.state(Statement::Card(self.peers[at].card()))?;
                    let roles = match self.script.blind.contains(&at) {
                        true => &[Role::Replicate][..],
                        false => &[Role::Read, Role::Write, Role::Delete],
                    };
                    for role in roles {
                        txn.grant(Subject::Peer(self.ids[at]), Scope::Thread, *role)?;
                    }
                }
                Ok(())
            })
        });
        self.sound(root, "cannot let the others in", let_in)
    }

    /// A peer states something, if it may.
    pub(super) fn state(&mut self, at: usize, says: Says) -> Played {
        self.set_clock(at);
        let Some(up) = &self.peers[at].up else {
            return Ok(());
        };
        if self.script.blind.contains(&at) && !matches!(says, Says::Leave) {
            // It keeps the thread, and says nothing of others.
            return Ok(());
        }
        let stated = self.try_to_state(&up.db, says);
        if let Err(error) = stated
            && !self.has_failed(at)
        {
            let own = may(&up.db, self.ids[at], Scope::Acl, Role::Write);
            let own = self.sound(at, "does not know its roles", own)?;
            let own = own && !self.may_go.contains(&at);
            if own || !is_refused(&error) {
                return self.fail(format!("peer {at} cannot state {says:?}: {error}"));
            }
        }
        self.after(at)
    }

    fn try_to_state(&self, db: &Db, says: Says) -> Result<()> {
        if db.rules()?.is_none() {
            // It has not heard of the beginning.
            return Ok(());
        }
        let subject = |peer: Option<usize>| match peer {
            Some(peer) => Subject::Peer(self.ids[peer]),
            None => Subject::Everybody,
        };
        let scope = |scope| match scope {
            In::Thread => Some(Scope::Thread),
            In::Acl => Some(Scope::Acl),
            In::Entity(number) => self.lab.entity(number).map(|(collection, entity)| {
                Scope::Entity(EntityTag::of(db.id(), &collection, &entity))
            }),
        };
        if says == Says::Leave {
            return db.leave();
        }
        db.write(|txn| match says {
            Says::Grant {
                to,
                scope: at,
                role,
            } => match scope(at) {
                Some(at) => txn.grant(subject(to), at, role),
                None => Ok(()),
            },
            Says::Revoke {
                from,
                scope: at,
                role,
            } => match scope(at) {
                Some(at) => txn.revoke(subject(from), at, role),
                None => Ok(()),
            },
            Says::Restrict { entity } => match self.lab.entity(entity) {
                Some((collection, entity)) => txn.restrict(&collection, &entity),
                None => Ok(()),
            },
            Says::Checkpoint => txn.state(Statement::Checkpoint),
            Says::Purge { .. } | Says::Leave | Says::Rotate => Ok(()),
        })?;
        match says {
            Says::Purge { entity } => self.purge(db, entity),
            Says::Rotate => db.rotate_keys().map(drop),
            _ => Ok(()),
        }
    }

    /// Erases what an entity said, unless it never was, was written with others, or may not be deleted.
    fn purge(&self, db: &Db, entity: u32) -> Result<()> {
        let Some(entity) = self.lab.entity(entity) else {
            return Ok(());
        };
        match db.purge([entity]) {
            Err(error)
                if is_refused(&error)
                    || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Whether a peer was refused what it may do by its own rules.
    pub(super) fn is_wronged(&self, at: usize, db: &Db) -> Result<bool> {
        let Some(rules) = db.rules()?.filter(|_| !self.may_go.contains(&at)) else {
            // It may have been told that it is out.
            return Ok(false);
        };
        let roles = rules.of(&self.ids[at]).thread;
        let all = [Role::Write, Role::Delete]
            .iter()
            .all(|role| roles.contains(role));
        Ok(all && !rules.entities.values().any(|entity| entity.restricted))
    }

    /// Notes for whom a record is not that a peer has written.
    pub(super) fn note_sealed(&mut self, by: usize, record: Cid) -> Result<()> {
        let Some(up) = &self.peers[by].up else {
            return Ok(());
        };
        let Some(rules) = up.db.rules()? else {
            return Ok(());
        };
        let reads = |peer: &usize| rules.of(&self.ids[*peer]).thread.contains(&Role::Read);
        let not_for = (0..self.peers.len()).filter(|peer| !reads(peer)).collect();
        let epoch = up.db.show(&record)?.epoch;
        self.sealed.push(Sealed {
            by,
            record,
            epoch,
            not_for,
        });
        Ok(())
    }

    /// Whether nothing is kept apart but for the rules, or waits for what only those have who are out.
    pub(super) fn is_settled(&self, db: &Db) -> Result<bool> {
        let mut held = db.held()?.into_iter();
        Ok(held.all(|held| matches!(held.reason, HeldReason::Access(_) | HeldReason::Missing(_))))
    }

    /// The rules and what is in quarantine: alike on all who remain.
    pub(super) fn compare_rules(&self) -> Played {
        let mut first = None;
        let mut apart: BTreeMap<bool, BTreeSet<Cid>> = BTreeMap::new();
        let mut purges = BTreeMap::new();
        for at in self.remaining() {
            let Some(up) = &self.peers[at].up else {
                continue;
            };
            let rules = self.sound(at, "does not tell the rules", up.db.rules())?;
            let first = first.get_or_insert_with(|| rules.clone());
            if *first != rules {
                return self.fail(format!(
                    "the same records give two sets of rules\n  peer 0: {first:?}\n  peer {at}: {rules:?}"
                ));
            }
            self.compare_purges(at, &up.db, &mut purges)?;
            let held = self.sound(at, "does not tell what it holds", up.db.held())?;
            let held = held
                .into_iter()
                .filter(|held| matches!(held.reason, HeldReason::Access(_)));
            let held: BTreeSet<_> = held.map(|held| held.record).collect();
            let blind = self.script.blind.contains(&at);
            let known = apart.entry(blind).or_insert_with(|| held.clone());
            if *known != held {
                let known = known.symmetric_difference(&held).collect::<Vec<_>>();
                return self.fail(format!(
                    "peer {at} has other records in quarantine: {known:?}"
                ));
            }
        }
        if let (Some(readers), Some(blind)) = (apart.get(&false), apart.get(&true))
            && !blind.is_subset(readers)
        {
            return self.fail("those who cannot read keep apart what readers apply");
        }
        Ok(())
    }

    /// Which purges count, and what they list: alike on all who remain; and those who read have erased the same.
    fn compare_purges(
        &self,
        at: usize,
        db: &Db,
        known: &mut BTreeMap<bool, Vec<(Cid, [u64; 3])>>,
    ) -> Played {
        let purges = self.sound(at, "does not tell what was purged", db.purges())?;
        let blind = self.script.blind.contains(&at);
        let told = purges.into_iter().map(|purge| {
            let counts = u64::from(purge.void.is_none());
            (purge.record, [counts, purge.listed, purge.emptied])
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        let known = known.entry(blind).or_insert_with(|| told.clone());
        if *known != told {
            return self.fail(format!(
                "peer {at} has purged otherwise\n  one: {known:?}\n  peer {at}: {told:?}"
            ));
        }
        Ok(())
    }

    /// Nobody has the keys of what was written by somebody who knew that it was not for them.
    pub(super) fn check_keys(&self) -> Played {
        for at in 0..self.peers.len() {
            let Some(up) = &self.peers[at].up else {
                continue;
            };
            let epochs = self.sound(at, "does not tell its epochs", up.db.epochs())?;
            let reads = |epoch: u64| {
                let mut epochs = epochs.iter().filter(|info| info.number == epoch);
                epochs.any(|info| info.held == EpochHeld::Read)
            };
            let open = self
                .sealed
                .iter()
                .find(|sealed| sealed.not_for.contains(&at) && reads(sealed.epoch));
            if let Some(Sealed { by, record, .. }) = open {
                return self.fail(format!(
                    "peer {at} has the keys of {record}, which peer {by} wrote knowing that it may not read"
                ));
            }
        }
        Ok(())
    }

    /// Root and all who are out write something more: it goes to nobody of the others. What root states
    /// needs no later keys to be read.
    pub(super) fn write_across(&mut self) -> Played<Vec<(usize, Cid)>> {
        let mut written = Vec::new();
        let out = self.out()?;
        for at in [0].into_iter().chain(out) {
            let before = self.sealed.len();
            self.write(at, self.script.seed, 1, false)?;
            written.extend(
                self.sealed[before..]
                    .iter()
                    .map(|sealed| (at, sealed.record)),
            );
        }
        self.state(0, Says::Checkpoint)?;
        if let Some(root) = &self.peers[0].up {
            let stated =
                self.sound(0, "does not tell what was stated", root.db.access_history())?;
            written.extend(stated.last().map(|stated| (0, stated.record)));
        }
        Ok(written)
    }

    /// Those who may not have the thread by root's rules.
    fn out(&self) -> Played<BTreeSet<usize>> {
        let mut out = BTreeSet::new();
        let Some(root) = &self.peers[0].up else {
            return Ok(out);
        };
        let Some(rules) = self.sound(0, "does not tell the rules", root.db.rules())? else {
            return Ok(out);
        };
        let may_have = |at: &usize| rules.of(&self.ids[*at]).thread.contains(&Role::Replicate);
        out.extend(self.may_go.iter().filter(|at| !may_have(at)));
        Ok(out)
    }

    /// What those wrote who are out has not reached those who remain, and the other way round.
    pub(super) fn compare_across(&self, written: &[(usize, Cid)]) -> Played {
        let out = self.out()?;
        for (by, record) in written {
            for at in 0..self.peers.len() {
                let Some(up) = &self.peers[at].up else {
                    continue;
                };
                let remains = self.remaining().contains(&at);
                let apart = match by {
                    0 => out.contains(&at),
                    _ => remains,
                };
                if apart && up.db.show(record).is_ok() {
                    return self.fail(format!(
                        "peer {at} has what peer {by} wrote, though one of them is out"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Those who are to have the same in the end: who remains, and who keeps the thread for others and was let in again.
    pub(super) fn level_in_the_end(&self) -> Played<Vec<usize>> {
        let out = self.out()?;
        let is_back = |at: &usize| self.script.blind.contains(at) && !out.contains(at);
        let level = |at: &usize| !self.may_go.contains(at) || is_back(at);
        Ok((0..self.peers.len()).filter(level).collect())
    }

    /// Those whom no statement of the script takes out.
    pub(super) fn remaining(&self) -> Vec<usize> {
        let remain = |at: &usize| !self.may_go.contains(at);
        (0..self.peers.len()).filter(remain).collect()
    }
}
