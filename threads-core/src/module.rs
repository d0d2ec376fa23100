//! Modules: shared schemas, published once and used by many applications.
//!
//! # Contract
//!
//! What is in brackets is the law in `threads-conformance` that checks the sentence.
//!
//! * The id, the versions and the template are constants (MO-1).
//! * The id has the form of one, and versions, schemas, steps, indexes and the template fit each
//!   other, within the bounds of [`Manifest::of`] (MO-2). The engine takes every schema (MO-3).
//! * Each collection of each version has a fixture: an entity that fits its schema and its
//!   invariants (MO-4).
//! * *Upcast*: what an earlier version made fits every later one, as that sees it (MO-5).
//! * *Downcast*: what a later version made fits every earlier one, as that sees it (MO-6).
//! * A version can save whatever fits it, and sees what it saved (MO-7).
//! * Invariants are pure, and give an answer for every JSON value (MO-8).
//! * A version that was published stays as it was: the vectors hold (MO-9).
//!
//! # For implementers
//!
//! Publish a crate that depends on `threads-core` alone. A later version keeps the earlier ones as
//! they are and adds one, with a [`Step`] for each member that differs. Nobody migrates anything:
//! every version is a [`Lens`] over the one stored form, so that old and new applications work on
//! one thread at the same time. A name keeps its meaning for ever.
//!
//! Run the laws: `threads_conformance::module_laws!` makes a test of each, and the guide
//! `docs/publishing-a-module.md` leads there in an hour.
//!
//! # For users
//!
//! Install a module in a thread, and take the collections from what that gives: they look like any
//! others. Two applications that install the same module share their data, be it in two versions.
//!
//! # Example
//!
//! ```
//! use serde_json::json;
//! use threads_core::Result;
//! use threads_core::module::{AclTemplate, IndexSpec, Manifest, Module, ModuleCollection, Step, Version};
//!
//! #[derive(Debug)]
//! struct People;
//!
//! impl Module for People {
//!     fn id(&self) -> &str { "org.example.people" }
//!     fn versions(&self) -> Result<Vec<Version>> {
//!         let one = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
//!         let two = json!({
//!             "type": "object",
//!             "required": ["fullName", "tags"],
//!             "properties": {"fullName": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
//!         });
//!         Ok(vec![
//!             Version::new().with(
//!                 ModuleCollection::new("Person", "jsonpatch/1", one)?
//!                     .with_index(IndexSpec::on("name".parse()?))
//!                     .with_invariant("a name is not blank", |person| person["name"] != "")
//!                     .with_fixture(json!({"name": "Ann"})),
//!             ),
//!             Version::new().with(
//!                 ModuleCollection::new("Person", "jsonpatch/1", two)?
//!                     .with_step(Step::rename("name", "fullName")?)
//!                     .with_step(Step::add_with("tags", json!([]))?)
//!                     .with_index(IndexSpec::on("fullName".parse()?))
//!                     .with_fixture(json!({"fullName": "Ann Lee", "tags": ["friend"]})),
//!             ),
//!         ])
//!     }
//!     fn acl_template(&self) -> Result<Option<AclTemplate>> { Ok(None) }
//!     fn vectors(&self) -> Option<&str> { None }
//! }
//!
//! let manifest = Manifest::of(&People).unwrap();
//! assert_eq!(manifest.version(), 2);
//! let (one, two) = (manifest.lens(1, "Person").unwrap(), manifest.lens(2, "Person").unwrap());
//! let stored = one.put(None, &json!({"_id": "ann", "name": "Ann"})).unwrap();
//! assert_eq!(two.get(&stored), json!({"_id": "ann", "fullName": "Ann", "tags": []}));
//! ```

use std::fmt;
use std::sync::Arc;

use crate::Result;

mod acl;
mod chain;
pub mod lens;
mod manifest;
mod shape;
mod source;
mod spec;
mod step;
mod version;

pub use acl::{ACL_ENTITIES_MAX, AclTemplate};
pub use lens::{Lens, StoredAt};
pub use manifest::{
    DEFINITION_BYTES_MAX, MODULE_COLLECTIONS_MAX, MODULE_ID_BYTES_MAX, Manifest, VERSIONS_MAX,
};
pub use spec::{CollectionSpec, INDEX_PATHS_MAX, INDEXES_MAX, IndexSpec};
pub use step::{MAP_VALUES_MAX, STEP_LEVELS_MAX, STEP_VALUE_BYTES_MAX, STEPS_MAX, Step};
pub use version::{Invariant, ModuleCollection, Version};

/// A shared schema module. See the [module](self) for its contract.
///
/// No method has a default: a wrapper that forgot one would change what the module says.
pub trait Module: fmt::Debug + Send + Sync + 'static {
    /// Its name, unique in the world: a domain name of the publisher, reversed, and a word.
    fn id(&self) -> &str;

    /// Its versions, the first one first: they are numbered from 1. A published one never changes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a name or a path that is none.
    fn versions(&self) -> Result<Vec<Version>>;

    /// The rules of access that it proposes for a new thread that has any.
    ///
    /// # Errors
    ///
    /// Those of [`Module::versions`].
    fn acl_template(&self) -> Result<Option<AclTemplate>>;

    /// What its versions were when they were published, as `threads_conformance::module::vectors`
    /// wrote it down; `None` before that.
    fn vectors(&self) -> Option<&str>;
}

impl<T: Module + ?Sized> Module for Arc<T> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn versions(&self) -> Result<Vec<Version>> {
        (**self).versions()
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        (**self).acl_template()
    }

    fn vectors(&self) -> Option<&str> {
        (**self).vectors()
    }
}
