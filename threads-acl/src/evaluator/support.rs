//! The one question that R3, R6, R7 and R8 ask: is there a grant that nothing which binds has taken?

use crate::reason::{Cause, Refusal};
use crate::{AclId, Evaluator, Peer, Role, Scope, Who};

/// A role that a peer would need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) peer: Peer,
    pub(crate) scope: Scope,
    pub(crate) role: Role,
}

/// Why there is no such grant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lack {
    /// The event takes no part (R15).
    NoPart,
    NoGrant,
    /// The latest grant was taken.
    Taken {
        grant: AclId,
        removal: AclId,
    },
}

/// Says of a grant whether it is good, or of a removal whether it binds.
pub(crate) type Test<'a> = &'a dyn Fn(AclId) -> bool;

impl Evaluator {
    /// A grant of the claim's role, good by `grants`, such that every removal of it that `binds` is
    /// answered. A personal grant answers the removals in its past; what was given to everyone never
    /// answers the removal of one peer.
    pub(crate) fn support(
        &self,
        claim: Claim,
        grants: Test<'_>,
        binds: Test<'_>,
    ) -> Result<AclId, Lack> {
        let Claim { peer, scope, role } = claim;
        let lack = match self.among(Who::Peer(peer), scope, role, grants, binds) {
            Ok(grant) => return Ok(grant),
            Err(lack) => lack,
        };
        let by_default = self.among(Who::Everyone, scope, role, grants, binds);
        let banned = self.held.get(&(Who::Peer(peer), scope)).and_then(|held| {
            let mut all = held.removals.iter().rev();
            all.find(|(removal, taken)| role.implies(*taken) && binds(*removal))
        });
        match (by_default, banned, lack) {
            (Ok(grant), None, _) => Ok(grant),
            (Ok(grant), Some((removal, _)), Lack::NoGrant) => Err(Lack::Taken {
                grant,
                removal: *removal,
            }),
            (Err(lack), _, Lack::NoGrant) | (_, _, lack) => Err(lack),
        }
    }

    /// The same among the grants and removals of one peer, or of everyone.
    pub(super) fn among(
        &self,
        who: Who,
        scope: Scope,
        role: Role,
        grants: Test<'_>,
        binds: Test<'_>,
    ) -> Result<AclId, Lack> {
        let Some(held) = self.held.get(&(who, scope)) else {
            return Err(Lack::NoGrant);
        };
        let mut last: Option<(AclId, AclId)> = None;
        // The latest first: it answers most.
        for (grant, given) in held.grants.iter().rev() {
            if *given != role || !grants(*grant) {
                continue;
            }
            let past = &self.known[grant.index()].past;
            // What took a later grant mostly takes this one too.
            if last.is_some_and(|(_, removal)| !past.contains(removal.0)) {
                continue;
            }
            let from = held
                .removals
                .partition_point(|(removal, _)| removal.0 < past.full());
            let unanswered = held.removals[from..].iter().rev().find(|(removal, taken)| {
                role.implies(*taken) && !past.contains(removal.0) && binds(*removal)
            });
            let Some((removal, _)) = unanswered else {
                return Ok(*grant);
            };
            last = Some((last.map_or(*grant, |(grant, _)| grant), *removal));
        }
        Err(last.map_or(Lack::NoGrant, |(grant, removal)| Lack::Taken {
            grant,
            removal,
        }))
    }

    /// What a lack is to others; `saw` says what the author had seen.
    pub(crate) fn refusal(&self, claim: Claim, lack: Lack, saw: Test<'_>) -> Refusal {
        let cause = match lack {
            Lack::Taken { grant, removal } => Cause::Removed {
                grant,
                removal,
                seen: saw(removal),
            },
            Lack::NoGrant => Cause::NoGrant {
                void: self.latest_grant(claim, saw),
            },
            Lack::NoPart => Cause::NoPart,
        };
        Refusal::of(claim.scope, claim.role, cause)
    }

    /// The latest grant of a role to a peer, by itself or with everyone, that passes `test`.
    fn latest_grant(&self, claim: Claim, test: Test<'_>) -> Option<AclId> {
        let holders = [Who::Peer(claim.peer), Who::Everyone];
        let held = holders
            .iter()
            .filter_map(|who| self.held.get(&(*who, claim.scope)));
        let grants = held.flat_map(|held| held.grants.iter().rev());
        let mut grants = grants.filter(|(_, role)| *role == claim.role);
        grants
            .find(|(grant, _)| test(*grant))
            .map(|(grant, _)| *grant)
    }

    /// The grant to one peer, or to everyone, that stands (R7).
    pub(super) fn standing(&self, who: Who, scope: Scope, role: Role) -> Option<AclId> {
        self.among(who, scope, role, &|grant| self.counts(grant), &|removal| {
            self.counts(removal)
        })
        .ok()
    }

    /// The removal that keeps a peer out of the thread: the latest that counts, of those that mean this peer
    /// and take every role. None of a peer that may replicate.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer, Role, Scope, Who};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let (target, scope, role) = (Who::Peer(Peer(1)), Scope::Thread, Role::Replicate);
    /// let kind = AclKind::Revoke { target, scope, role };
    /// let (id, _) = evaluator.insert(AclEvent { author: Peer(0), parents: vec![], kind }).unwrap();
    /// assert_eq!(evaluator.removal_of(Peer(1)), Some(id));
    /// assert_eq!(evaluator.removal_of(Peer(2)), None, "nobody removed it");
    /// ```
    pub fn removal_of(&self, peer: Peer) -> Option<AclId> {
        if self.roles(peer, Scope::Thread).may(Role::Replicate) {
            return None;
        }
        let held = self.held.get(&(Who::Peer(peer), Scope::Thread))?;
        let mut removals = held.removals.iter().rev();
        removals
            .find(|(id, taken)| *taken == Role::Replicate && self.counts(*id))
            .map(|(id, _)| *id)
    }

    /// Whether a peer has a role (R7).
    pub(super) fn stands(&self, claim: Claim) -> bool {
        self.support(claim, &|grant| self.counts(grant), &|removal| {
            self.counts(removal)
        })
        .is_ok()
    }
}
