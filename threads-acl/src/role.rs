//! Sets of roles.

use std::fmt;

use threads_core::access::Role;

/// A set of roles, such as one peer has.
///
/// ```
/// use threads_acl::{Role, RoleSet};
///
/// let roles: RoleSet = [Role::Write].into_iter().collect();
/// assert!(!roles.contains(Role::Read));
/// assert!(roles.may(Role::Read), "who may write may read");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RoleSet(u8);

impl RoleSet {
    /// Whether this very role was given.
    ///
    /// ```
    /// use threads_acl::{Role, RoleSet};
    /// assert!(!RoleSet::default().contains(Role::Read));
    /// ```
    pub fn contains(self, role: Role) -> bool {
        self.0 & mask(role) != 0
    }

    /// Whether one of its roles implies this one.
    ///
    /// ```
    /// use threads_acl::{Role, RoleSet};
    /// let roles: RoleSet = [Role::Delete].into_iter().collect();
    /// assert!(roles.may(Role::Replicate) && !roles.may(Role::Read));
    /// ```
    pub fn may(self, role: Role) -> bool {
        self.iter().any(|held| held.implies(role))
    }

    /// Whether there is none: the paper's *no-access*.
    ///
    /// ```
    /// assert!(threads_acl::RoleSet::default().is_empty());
    /// ```
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its roles, the least first.
    ///
    /// ```
    /// use threads_acl::{Role, RoleSet};
    /// let roles: RoleSet = [Role::Write, Role::Read].into_iter().collect();
    /// assert!(roles.iter().eq([Role::Read, Role::Write]));
    /// ```
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL
            .into_iter()
            .filter(move |role| self.contains(*role))
    }
}

/// A bit for each role.
fn mask(role: Role) -> u8 {
    let place = Role::ALL.into_iter().position(|other| other == role);
    // `ALL` has every role.
    place.map_or(0, |place| 1 << place)
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | mask(role)))
    }
}

impl fmt::Debug for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
