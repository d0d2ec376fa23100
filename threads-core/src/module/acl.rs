//! Templates of access rules: what a module proposes for a new thread that has rules.

use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::{CollectionName, EntityId, Error, Result};

/// The most entities that a template speaks of.
pub const ACL_ENTITIES_MAX: usize = 256;

/// The rules of access that a module proposes. A module knows no peers: it says what everybody may
/// do whom the thread is shared with, and which entities are only for those who are named.
///
/// ```
/// use threads_core::access::Role;
/// use threads_core::module::AclTemplate;
///
/// let template = AclTemplate::new()
///     .everybody(Role::Write)
///     .restrict("Settings".parse().unwrap(), "shared".parse().unwrap());
/// assert_eq!(template.everybody, [Role::Write]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclTemplate {
    /// The roles of everybody in the thread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub everybody: Vec<Role>,
    /// The entities that may be changed only by those who have a role for them by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restricted: Vec<(CollectionName, EntityId)>,
}

impl AclTemplate {
    /// A template that gives nobody anything.
    ///
    /// ```
    /// assert!(threads_core::module::AclTemplate::new().everybody.is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with a role for everybody.
    ///
    /// ```
    /// # use threads_core::{access::Role, module::AclTemplate};
    /// assert_eq!(AclTemplate::new().everybody(Role::Read).everybody.len(), 1);
    /// ```
    #[must_use]
    pub fn everybody(mut self, role: Role) -> Self {
        self.everybody.push(role);
        self
    }

    /// The same, with an entity that is for those who are named.
    ///
    /// ```
    /// # use threads_core::module::AclTemplate;
    /// let template = AclTemplate::new().restrict("Settings".parse().unwrap(), "shared".parse().unwrap());
    /// assert_eq!(template.restricted.len(), 1);
    /// ```
    #[must_use]
    pub fn restrict(mut self, collection: CollectionName, entity: EntityId) -> Self {
        self.restricted.push((collection, entity));
        self
    }

    /// Refuses a template that is too long, or speaks of a collection that is not among these.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    ///
    /// ```
    /// # use threads_core::module::AclTemplate;
    /// let template = AclTemplate::new().restrict("Settings".parse().unwrap(), "shared".parse().unwrap());
    /// assert!(template.check(&["Settings".parse().unwrap()]).is_ok());
    /// assert!(template.check(&[]).is_err());
    /// ```
    pub fn check(&self, collections: &[CollectionName]) -> Result<()> {
        if self.restricted.len() > ACL_ENTITIES_MAX || self.everybody.len() > Role::ALL.len() {
            let error = "a template of access rules is too long";
            return Err(Error::invalid(error).with("most", ACL_ENTITIES_MAX));
        }
        let strange = |(name, _): &&(CollectionName, EntityId)| !collections.contains(name);
        match self.restricted.iter().find(strange) {
            Some((name, _)) => {
                let error = "a template speaks of a collection that the module does not have";
                Err(Error::invalid(error).with("collection", name))
            }
            None => Ok(()),
        }
    }
}
