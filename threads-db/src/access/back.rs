//! Who is let in again lacks the keys that were made while it was out. With the grant go those by which it keeps
//! what was written meanwhile, and new ones for what it may read from now on.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::access::{Role, Rules, STATEMENTS_MAX, Scope, Stated, Statement, Subject};
use threads_core::books::KeyBook;
use threads_core::{PeerCard, PeerId, Result};

use crate::txn::WriteTransaction;

/// Of how many epochs keys go with a record, the latest first: each is a statement, and takes room (R15).
const EPOCHS_MAX: usize = 64;
/// How many keys go with a record: it has room for so many.
const KEYS_MAX: usize = 4_096;

impl WriteTransaction<'_> {
    /// States the keys that those lack whom the staged statements let in again: those that keep the thread and read
    /// nothing of it, for what was written meanwhile was not for them. Who comes for the first time gets all with an
    /// invite. Says whether one of them may read from now on.
    pub(crate) fn hand_on_keys(&mut self) -> Result<bool> {
        let thread = self.thread();
        if self
            .staged
            .statements
            .iter()
            .all(|of| granted(of).is_none())
        {
            return Ok(false);
        }
        let Some(rules) = self.rules()? else {
            return Ok(false);
        };
        let txn = self.txn.as_read();
        let stated = thread.node.policy.statements(&thread.id, txn)?;
        let (cards, reads) = who_comes_back(&self.staged.statements, &rules, &stated);
        if cards.is_empty() {
            return Ok(false);
        }
        let most = STATEMENTS_MAX.saturating_sub(self.staged.statements.len());
        let most = most.min(EPOCHS_MAX).min(KEYS_MAX / cards.len());
        for (epoch, given) in epochs(&stated).into_iter().take(most) {
            let lacking = cards.iter().filter(|card| !given.contains(&card.peer()));
            let lacking: Vec<PeerCard> = lacking.copied().collect();
            let keys = KeyBook::new(self.txn.as_read()).epoch_keys(&thread.id, epoch)?;
            if let Some(keys) = keys.filter(|_| !lacking.is_empty()) {
                let rng = &mut **thread.node.rng();
                let scheme = &thread.node.group_keys;
                let rekey = scheme.rekey(&thread.id, &keys, &[], &lacking, rng)?;
                self.staged.statements.push(Statement::Rekey(rekey));
            }
        }
        Ok(reads)
    }
}

/// Those who had a part once, and get one that they have not now; and whether any of them may read by that.
fn who_comes_back(staged: &[Statement], rules: &Rules, stated: &[Stated]) -> (Vec<PeerCard>, bool) {
    let earlier = stated.iter().filter(|stated| stated.void.is_none());
    let earlier = earlier.filter_map(|stated| granted(&stated.statement));
    let had: BTreeSet<&PeerId> = earlier.map(|(peer, _)| peer).collect();
    let (mut cards, mut reads) = (BTreeMap::new(), false);
    for (peer, role) in staged.iter().filter_map(granted) {
        let of = rules.of(peer);
        let is_more = |needs| role.implies(needs) && !of.thread.contains(&needs);
        let Some(card) = of.card.filter(|_| had.contains(peer)) else {
            continue;
        };
        if is_more(Role::Replicate) || is_more(Role::Read) {
            reads |= is_more(Role::Read);
            cards.insert(*peer, card);
        }
    }
    (cards.into_values().collect(), reads)
}

/// To whom a statement gives a role of the thread, and which.
fn granted(statement: &Statement) -> Option<(&PeerId, Role)> {
    match statement {
        Statement::Grant {
            to: Subject::Peer(peer),
            scope: Scope::Thread,
            role,
        } => Some((peer, *role)),
        _ => None,
    }
}

/// The epochs that were stated, the latest first, and to whom their keys were given by statements.
fn epochs(stated: &[Stated]) -> Vec<(u64, BTreeSet<PeerId>)> {
    let mut given: BTreeMap<u64, BTreeSet<PeerId>> = BTreeMap::new();
    let mut order = Vec::new();
    for stated in stated.iter().rev().filter(|stated| stated.void.is_none()) {
        let Statement::Rekey(rekey) = &stated.statement else {
            continue;
        };
        let given = given.entry(rekey.epoch).or_insert_with(|| {
            order.push(rekey.epoch);
            BTreeSet::new()
        });
        given.extend(rekey.readers.iter().chain(&rekey.replicas));
    }
    let order = order.into_iter();
    order
        .filter_map(|epoch| Some((epoch, given.remove(&epoch)?)))
        .collect()
}
