//! Roles, where they hold, and for whom.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::EntityTag;
use crate::{Error, PeerId, Result};

/// What a peer may do (paper, "Access Control"). The paper's fifth role, no-access, is to have none.
///
/// ```
/// use threads_core::access::Role;
/// assert!(Role::Write.implies(Role::Read));
/// assert!(!Role::Delete.implies(Role::Read));
/// assert_eq!("write".parse::<Role>().unwrap(), Role::Write);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Keep and serve the thread without reading it.
    Replicate,
    /// Read it.
    Read,
    /// Change it; in the scope of access rules, change those.
    Write,
    /// Delete entities.
    Delete,
}

impl Role {
    /// All of them.
    ///
    /// ```
    /// assert_eq!(threads_core::access::Role::ALL.len(), 4);
    /// ```
    pub const ALL: [Self; 4] = [Self::Replicate, Self::Read, Self::Write, Self::Delete];

    /// Whether who has this role has that one too. Write implies read, which implies replicate;
    /// delete implies replicate.
    ///
    /// ```
    /// use threads_core::access::Role;
    /// assert!(Role::ALL.iter().all(|role| role.implies(Role::Replicate)));
    /// ```
    pub fn implies(self, other: Self) -> bool {
        self == other
            || matches!(
                (self, other),
                (_, Self::Replicate) | (Self::Write, Self::Read)
            )
    }

    /// Whether it comes with the keys to read.
    ///
    /// ```
    /// use threads_core::access::Role;
    /// assert!(Role::Write.can_read() && !Role::Replicate.can_read());
    /// ```
    pub fn can_read(self) -> bool {
        self.implies(Self::Read)
    }

    /// Its name.
    ///
    /// ```
    /// assert_eq!(threads_core::access::Role::Write.name(), "write");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Replicate => "replicate",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let role = Self::ALL.into_iter().find(|role| role.name() == text);
        role.ok_or_else(|| {
            Error::invalid("a role is replicate, read, write or delete").with("role", text)
        })
    }
}

/// Where a role holds.
///
/// ```
/// use threads_core::access::Scope;
/// assert_eq!(Scope::Thread.to_string(), "thread");
/// ```
#[expect(clippy::exhaustive_enums, reason = "a policy has a rule for each")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// In the whole thread.
    Thread,
    /// For its access rules: to write there is to change who may do what.
    Acl,
    /// For one entity.
    Entity(EntityTag),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread => f.write_str("thread"),
            Self::Acl => f.write_str("acl"),
            Self::Entity(tag) => write!(f, "entity:{tag}"),
        }
    }
}

/// Whom a statement is about.
///
/// ```
/// use threads_core::access::Subject;
/// assert_eq!(Subject::Everybody.to_string(), "*");
/// ```
#[expect(clippy::exhaustive_enums, reason = "a policy has a rule for each")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// One peer.
    Peer(PeerId),
    /// Everybody: the default.
    Everybody,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Everybody => f.write_str("*"),
        }
    }
}
