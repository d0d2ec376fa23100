//! Whether a change to an entity is applied: R8.

use threads_core::codec::ActionKind;

use crate::evaluator::{Claim, Test};
use crate::reason::{Refusal, Supporter};
use crate::{AclId, Entity, Evaluator, Peer, Role, Scope};

/// A change to an entity, which is to be judged. Adopting what is in quarantine (R11) is a change by who
/// adopts it.
///
/// ```
/// use threads_acl::{Data, Entity, Peer};
/// use threads_core::codec::ActionKind;
///
/// let data = Data { author: Peer(1), past: &[], entity: Entity(0), action: ActionKind::Save };
/// assert_eq!(data.author, Peer(1));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// Who wrote it.
    pub author: Peer,
    /// The access-control frontier of its author: the latest access-control events it had seen.
    pub past: &'a [AclId],
    /// What it changes.
    pub entity: Entity,
    /// How.
    pub action: ActionKind,
}

/// What becomes of a change, and why.
///
/// ```
/// use threads_acl::{Data, Entity, Evaluator, Judgement, Peer, Supporter};
/// use threads_core::codec::ActionKind;
///
/// let evaluator = Evaluator::new(Peer(0));
/// let by = |author| Data { author, past: &[], entity: Entity(0), action: ActionKind::Save };
///
/// let root = evaluator.judge(&by(Peer(0)), &|_| false);
/// assert!(matches!(root, Judgement::Applied(standing) if standing.thread == Supporter::Root));
/// assert!(!evaluator.judge(&by(Peer(1)), &|_| false).is_applied());
/// ```
#[allow(clippy::exhaustive_enums, reason = "what is not applied is refused")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is applied, on this standing.
    Applied(Standing),
    /// It is kept in quarantine, for this reason.
    Refused(Refusal),
}

impl Judgement {
    /// Whether the change is applied.
    ///
    /// ```
    /// # use threads_acl::Judgement;
    /// fn applied(judged: &[Judgement]) -> usize {
    ///     judged.iter().filter(|judgement| judgement.is_applied()).count()
    /// }
    /// assert_eq!(applied(&[]), 0);
    /// ```
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }
}

/// What a change that is applied stands on.
///
/// ```
/// # use threads_acl::{Standing, Supporter};
/// fn by_root(standing: &Standing) -> bool {
///     standing.thread == Supporter::Root
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// For the thread.
    pub thread: Supporter,
    /// For the entity, where a restriction asks for it: the restriction, and what stands.
    pub entity: Option<(AclId, Supporter)>,
}

impl Evaluator {
    /// Judges a change (R8).
    ///
    /// `covered` says of a removal or restriction whether the change is in *its* past. It is asked only of
    /// those that the change has not in its own.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Data, Entity, Evaluator, Peer, Role, Scope, Who};
    /// use threads_core::codec::ActionKind;
    ///
    /// let (root, ann) = (Peer(0), Peer(1));
    /// let mut evaluator = Evaluator::new(root);
    /// let (target, scope, role) = (Who::Peer(ann), Scope::Thread, Role::Write);
    /// let mut insert = |parents, kind| {
    ///     evaluator.insert(AclEvent { author: root, parents, kind }).unwrap().0
    /// };
    /// let grant = insert(vec![], AclKind::Grant { target, scope, role });
    /// insert(vec![grant], AclKind::Revoke { target, scope, role });
    ///
    /// let past = [grant];
    /// let save = Data { author: ann, past: &past, entity: Entity(0), action: ActionKind::Save };
    /// assert!(evaluator.judge(&save, &|_| true).is_applied(), "root had seen it, and it stays");
    /// assert!(!evaluator.judge(&save, &|_| false).is_applied(), "at the same time: the removal wins");
    /// ```
    pub fn judge(&self, data: &Data<'_>, covered: &dyn Fn(AclId) -> bool) -> Judgement {
        self.judged(data.past, covered, &|saw, binds| {
            self.standing_for(data, saw, binds)
        })
    }

    /// Judges a change of what rules protect, such as the definition of a collection: only who may change
    /// the rules may change that. The rest is as in [`judge`](Self::judge).
    ///
    /// ```
    /// use threads_acl::{Evaluator, Judgement, Peer};
    /// let evaluator = Evaluator::new(Peer(0));
    /// assert!(evaluator.judge_definition(Peer(0), &[], &|_| false).is_applied());
    /// assert!(!evaluator.judge_definition(Peer(1), &[], &|_| false).is_applied());
    /// ```
    pub fn judge_definition(
        &self,
        author: Peer,
        past: &[AclId],
        covered: &dyn Fn(AclId) -> bool,
    ) -> Judgement {
        let claim = Claim {
            peer: author,
            scope: Scope::Acl,
            role: Role::Write,
        };
        self.judged(past, covered, &|saw, binds| {
            let thread = self.supporter(claim, saw, binds)?;
            let entity = None;
            Ok(Standing { thread, entity })
        })
    }

    /// The judgement of what has this past, by what its author saw and what binds it.
    fn judged(
        &self,
        past: &[AclId],
        covered: Test<'_>,
        standing: &dyn Fn(Test<'_>, Test<'_>) -> Result<Standing, Refusal>,
    ) -> Judgement {
        let saw = |id: AclId| {
            let mut frontier = past.iter();
            frontier.any(|latest| *latest == id || self.reaches(*latest, id))
        };
        let binds = |id: AclId| self.counts(id) && (saw(id) || !covered(id));
        match standing(&saw, &binds) {
            Ok(standing) => Judgement::Applied(standing),
            Err(refusal) => Judgement::Refused(refusal),
        }
    }

    /// What entitles a peer, or what it lacks.
    fn supporter(
        &self,
        claim: Claim,
        saw: Test<'_>,
        binds: Test<'_>,
    ) -> Result<Supporter, Refusal> {
        if claim.peer == self.root() {
            return Ok(Supporter::Root);
        }
        let grants = |grant| saw(grant) && self.counts(grant);
        let found = self.support(claim, &grants, binds);
        found
            .map(Supporter::Grant)
            .map_err(|lack| self.refusal(claim, lack, saw))
    }

    fn standing_for(
        &self,
        data: &Data<'_>,
        saw: Test<'_>,
        binds: Test<'_>,
    ) -> Result<Standing, Refusal> {
        let role = match data.action {
            ActionKind::Delete => Role::Delete,
            _ => Role::Write,
        };
        let supporter = |scope, restriction| {
            let peer = data.author;
            let found = self.supporter(Claim { peer, scope, role }, saw, binds);
            found.map_err(|refusal| Refusal {
                restriction,
                ..refusal
            })
        };
        let thread = supporter(Scope::Thread, None)?;
        let restrictions = self.restrictions_of(data.entity);
        let entity = match restrictions.iter().rev().find(|id| binds(**id)) {
            None => None,
            Some(id) => Some((*id, supporter(Scope::Entity(data.entity), Some(*id))?)),
        };
        Ok(Standing { thread, entity })
    }
}
