//! What an event that takes something cannot change, because others took it before.

use crate::{AclId, AclKind, Changes, Evaluator, Role, Touched};

/// How many grants that count are held against each earlier removal; where there are more, nothing is left out.
const ANSWERS_MAX: usize = 64;

impl Evaluator {
    /// The removals or restrictions that counted before `new` came in, count still, and bind all that the one
    /// of `touched` binds: of the data named there, only what every one of these covers may be judged otherwise
    /// now. So who takes the same again and again has nothing judged again.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let left = AclEvent { author: Peer(1), parents: vec![], kind: AclKind::Leave };
    /// let (first, _) = evaluator.insert(left.clone()).unwrap();
    /// let (second, changes) = evaluator.insert(left).unwrap();
    /// for touched in &changes.data {
    ///     assert_eq!(evaluator.narrower(second, &changes, touched), [first]);
    /// }
    /// ```
    pub fn narrower(&self, new: AclId, changes: &Changes, touched: &Touched) -> Vec<AclId> {
        let Some(event) = touched.beyond else {
            return Vec::new();
        };
        let stood = |id: &AclId| {
            *id != event && *id != new && self.counts(*id) && !changes.events.contains(id)
        };
        let known = &self.known[event.index()];
        if let AclKind::Restrict(entity) = known.kind {
            let earlier = self.restrictions_of(entity).iter().copied();
            return earlier.filter(stood).collect();
        }
        let Some((who, _, taken)) = known.kind.takes(known.author) else {
            return Vec::new();
        };
        let Some(held) = self.held.get(&(who, touched.scope)) else {
            return Vec::new();
        };
        let answers = held.grants.iter().map(|(grant, _)| *grant);
        let answers: Vec<_> = answers.filter(|grant| self.counts(*grant)).collect();
        if answers.len() > ANSWERS_MAX {
            return Vec::new();
        }
        let takes_as_much = |earlier: Role| {
            let mut roles = Role::ALL.into_iter().filter(|role| role.implies(taken));
            roles.all(|role| role.implies(earlier))
        };
        let unanswered = |id: &AclId| !answers.iter().any(|grant| self.reaches(*grant, *id));
        let earlier = held.removals.iter();
        let earlier = earlier.filter(|(id, earlier)| stood(id) && takes_as_much(*earlier));
        earlier.map(|(id, _)| *id).filter(unanswered).collect()
    }
}
