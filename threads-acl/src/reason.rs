//! What an event stands on, or why it has no effect.

use crate::{AclId, Role, Scope};

/// What entitles the author of an event.
///
/// ```
/// assert_ne!(threads_acl::Supporter::Root, threads_acl::Supporter::Own);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supporter {
    /// The author is root.
    Root,
    /// The event takes from its own author only.
    Own,
    /// This grant.
    Grant(AclId),
}

/// Why an event has no effect.
///
/// ```
/// # use threads_acl::{Cause, Refusal};
/// fn in_words(refusal: &Refusal) -> String {
///     match refusal.cause {
///         Cause::Removed { seen: true, .. } => format!("had lost {}", refusal.role),
///         Cause::Removed { .. } => format!("lost {} at the same time", refusal.role),
///         _ => format!("never had {}", refusal.role),
///     }
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of what a role was lacking.
    pub scope: Scope,
    /// Which.
    pub role: Role,
    /// Why it was lacking.
    pub cause: Cause,
    /// The restriction that asks for a role of the entity, if it was one of the entity that was lacking.
    pub restriction: Option<AclId>,
}

impl Refusal {
    pub(crate) fn of(scope: Scope, role: Role, cause: Cause) -> Self {
        Self {
            scope,
            role,
            cause,
            restriction: None,
        }
    }
}

/// Why somebody had not the role that was needed.
///
/// ```
/// assert_eq!(threads_acl::Cause::NoGrant { void: None }, threads_acl::Cause::NoGrant { void: None });
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its past has no grant that counts.
    NoGrant {
        /// The latest grant there that does not count: [`explain`](crate::Evaluator::explain) says why.
        void: Option<AclId>,
    },
    /// It is an access-control event that takes no part (R15):
    /// [`why_left_out`](crate::Evaluator::why_left_out) says why.
    NoPart,
    /// What the latest grant gave was taken.
    Removed {
        /// The grant.
        grant: AclId,
        /// The removal that takes it.
        removal: AclId,
        /// Whether the author had seen the removal; otherwise both happened at the same time, or the
        /// author says so.
        seen: bool,
    },
}
