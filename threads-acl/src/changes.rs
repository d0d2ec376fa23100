//! What a new access-control event changes for what was known before.

use std::collections::BTreeSet;

use crate::{AclId, AclKind, Entity, Scope, Who};

/// Data that has to be judged again.
///
/// ```
/// use threads_acl::Touched;
/// fn rejudge(touched: &Touched, covered_by: impl Fn(threads_acl::AclId) -> bool) -> bool {
///     // What a removal or restriction covers, it does not touch.
///     touched.beyond.is_none_or(|event| !covered_by(event))
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Touched {
    /// Whose data, if only theirs.
    pub author: Who,
    /// Of what: of an entity, data of that entity; otherwise data of every entity.
    pub scope: Scope,
    /// Data that this removal or restriction covers is as it was.
    pub beyond: Option<AclId>,
}

/// What a new event changes for what was known before it. Whatever it does not name is as it was.
///
/// ```
/// use threads_acl::{AclEvent, AclKind, Evaluator, Peer, Role, Scope, Who};
///
/// let mut evaluator = Evaluator::new(Peer(0));
/// let kind =
///     AclKind::Grant { target: Who::Peer(Peer(1)), scope: Scope::Thread, role: Role::Write };
/// let grant = AclEvent { author: Peer(0), parents: vec![], kind };
/// let (_, changes) = evaluator.insert(grant).unwrap();
///
/// // No data that is known can have seen a grant that is new.
/// assert!(changes.data.is_empty());
/// assert!(changes.roles.contains(&(Who::Peer(Peer(1)), Scope::Thread)));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Data that may be judged otherwise now.
    pub data: BTreeSet<Touched>,
    /// Whose present roles may be others now.
    pub roles: BTreeSet<(Who, Scope)>,
    /// The earlier events that were authorised or counted and are not, or the other way round.
    pub events: BTreeSet<AclId>,
    /// Whether earlier events take part now that did not, or the other way round (R15); also such as change
    /// no rule.
    pub turned: bool,
}

impl Changes {
    /// Notes that an event has effect now, or has it no more.
    pub(crate) fn note(&mut self, event: AclId, author: crate::Peer, kind: &AclKind, is_new: bool) {
        if let AclKind::Grant { target, scope, .. } = *kind {
            self.roles.insert((target, scope));
            if !is_new {
                self.touch(target, scope, None);
            }
        } else if let Some((target, scopes, _)) = kind.takes(author) {
            for scope in scopes.into_iter().flatten() {
                self.roles.insert((target, scope));
                self.touch(target, scope, Some(event));
            }
        } else if let AclKind::Restrict(entity) = *kind {
            self.touch_entity(entity, event);
        }
        if !is_new {
            self.events.insert(event);
        }
    }

    fn touch(&mut self, author: Who, scope: Scope, beyond: Option<AclId>) {
        // Who may change the list may change definitions, too.
        self.data.insert(Touched {
            author,
            scope,
            beyond,
        });
    }

    fn touch_entity(&mut self, entity: Entity, beyond: AclId) {
        self.touch(Who::Everyone, Scope::Entity(entity), Some(beyond));
    }
}
