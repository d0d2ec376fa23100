//! What a peer states about who may do what.

use serde::{Deserialize, Serialize};
use threads_core::access::Role;

/// What a peer states, in a thread with access rules. Peers are numbered from 0, which is root; none is
/// everybody.
///
/// ```
/// use threads_conformance::sim::script::{In, Says};
/// use threads_core::access::Role;
///
/// let says = Says::Revoke { from: Some(2), scope: In::Thread, role: Role::Write };
/// assert_eq!(says.target(), Some(2));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// Somebody has a role.
    Grant {
        /// Who.
        to: Option<usize>,
        /// Where.
        scope: In,
        /// Which.
        role: Role,
    },
    /// Somebody has it no more.
    Revoke {
        /// Who.
        from: Option<usize>,
        /// Where.
        scope: In,
        /// Which.
        role: Role,
    },
    /// An entity of the lab is changed only by those who have a role of it.
    Restrict {
        /// Which.
        entity: u32,
    },
    /// What an entity of the lab said is erased.
    Purge {
        /// Which.
        entity: u32,
    },
    /// What root knows.
    Checkpoint,
    /// The peer gives up its roles.
    Leave,
    /// New keys.
    Rotate,
}

/// Where a role is.
///
/// ```
/// use threads_conformance::sim::script::In;
/// assert_ne!(In::Thread, In::Entity(3));
/// ```
#[expect(clippy::exhaustive_enums, reason = "those of the formats")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum In {
    /// In the thread.
    Thread,
    /// In the list of the rules.
    Acl,
    /// In one entity of the lab.
    Entity(u32),
}

impl Says {
    /// The one peer that it is about, if it is about one.
    ///
    /// ```
    /// use threads_conformance::sim::script::Says;
    /// assert_eq!(Says::Leave.target(), None);
    /// ```
    pub fn target(&self) -> Option<usize> {
        match self {
            Self::Grant { to: peer, .. } | Self::Revoke { from: peer, .. } => *peer,
            Self::Restrict { .. }
            | Self::Purge { .. }
            | Self::Checkpoint
            | Self::Leave
            | Self::Rotate => None,
        }
    }

    /// Whether it takes what one needs to have the thread, or to read it.
    pub(crate) fn takes_out(&self) -> bool {
        match self {
            Self::Leave => true,
            Self::Revoke { scope, role, .. } => {
                *scope == In::Thread && matches!(role, Role::Replicate | Role::Read)
            }
            _ => false,
        }
    }
}
