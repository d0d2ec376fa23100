//! The names of entities that rules know by their tags.

use std::collections::BTreeMap;

use threads_core::access::{EntityTag, Scope};
use threads_core::{CollectionName, EntityId, Result};
use threads_db::Db;

/// The names of entities that are or were here.
pub(crate) struct Names(BTreeMap<EntityTag, (CollectionName, EntityId)>);

impl Names {
    /// Those of these tags.
    pub(crate) fn of(db: &Db, tags: impl IntoIterator<Item = EntityTag>) -> Result<Self> {
        db.entities_tagged(tags).map(Self)
    }

    /// An entity as it is typed; the tag of one that never was here.
    pub(crate) fn entity(&self, tag: &EntityTag) -> String {
        match self.0.get(tag) {
            Some((collection, id)) => format!("{collection}/{id}"),
            None => tag.to_string(),
        }
    }

    /// Where a role holds, for a program.
    pub(crate) fn scope(&self, scope: &Scope) -> String {
        match scope {
            Scope::Thread | Scope::Acl => scope.to_string(),
            Scope::Entity(tag) => format!("entity:{}", self.entity(tag)),
        }
    }

    /// Where a role holds, after the role.
    pub(crate) fn place(&self, scope: &Scope) -> String {
        match scope {
            Scope::Thread => String::new(),
            Scope::Acl => " of these rules".to_owned(),
            Scope::Entity(tag) => format!(" of {}", self.entity(tag)),
        }
    }
}
