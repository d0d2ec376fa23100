//! The laws of [`Module`]: what every published schema has to do.
//!
//! They need the engine, because it says which schemas it takes: enable the feature `modules`.
//!
//! [`LAWS`] is the list; [`module_laws!`](crate::module_laws) makes a test of each:
//!
//! ```
//! # mod tests { // A doctest runs no tests; the crate's own tests run these.
//! use serde_json::json;
//! use threads_conformance::module::Subject;
//! use threads_core::Result;
//! use threads_core::module::{AclTemplate, Module, ModuleCollection, Version};
//!
//! #[derive(Debug)]
//! struct Notes;
//!
//! impl Module for Notes {
//!     fn id(&self) -> &str { "org.example.notes" }
//!     fn versions(&self) -> Result<Vec<Version>> {
//!         let schema = json!({"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}});
//!         let note = ModuleCollection::new("Note", "jsonpatch/1", schema)?.with_fixture(json!({"text": "Milk"}));
//!         Ok(vec![Version::new().with(note)])
//!     }
//!     fn acl_template(&self) -> Result<Option<AclTemplate>> { Ok(None) }
//!     fn vectors(&self) -> Option<&str> { None }
//! }
//!
//! threads_conformance::module_laws!(Subject::new(|| Notes));
//! # }
//! ```

use std::fmt;
use std::sync::Arc;

use threads_core::module::{Manifest, Module};
use threads_db::schema::CompiledSchema;

use crate::law::laws;

mod fits;
mod says;
mod stays;

pub use stays::vectors;

/// The module that is checked, and how to make another instance of it.
///
/// ```
/// use threads_conformance::module::{LAWS, Subject};
/// use threads_core::module::Module;
///
/// fn report<M: Module + Default>() {
///     println!("{}", threads_conformance::summary(LAWS, || Subject::new(M::default)));
/// }
/// ```
pub struct Subject {
    make: Box<dyn Fn() -> Arc<dyn Module> + Send>,
}

impl Subject {
    /// The module that `make` gives. It is called more than once: two applications have one each.
    ///
    /// ```
    /// use threads_conformance::module::Subject;
    /// use threads_core::module::Module;
    ///
    /// fn subject<M: Module + Default>() -> Subject {
    ///     Subject::new(M::default)
    /// }
    /// ```
    pub fn new<M: Module>(make: impl Fn() -> M + Send + 'static) -> Self {
        Self {
            make: Box::new(move || Arc::new(make())),
        }
    }

    fn module(&self) -> Arc<dyn Module> {
        (self.make)()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.module()).finish()
    }
}

/// Says that the module is not sound, where another law says how.
fn sound(subject: &Subject) -> Result<(), String> {
    let manifest = Manifest::of(&*subject.module());
    manifest.map(drop).map_err(|_| "module = not sound".into())
}

/// Says that the engine does not take a schema, where another law says which.
fn compiled(subject: &Subject) -> Result<(), String> {
    let manifest = Manifest::of(&*subject.module()).map_err(|_| "module = not sound")?;
    let mut all = (1..=manifest.version()).flat_map(|version| manifest.collections(version));
    let taken = all.all(|collection| {
        let schema = collection.spec.schema.as_ref();
        schema.is_none_or(|schema| CompiledSchema::compile(schema).is_ok())
    });
    taken
        .then_some(())
        .ok_or_else(|| "schema = not taken".into())
}

/// Says that the module has no vectors yet.
fn published(subject: &Subject) -> Result<(), String> {
    compiled(subject)?;
    let vectors = subject.module().vectors().map(drop);
    vectors.ok_or_else(|| "vectors = none".into())
}

laws! { $
    /// Makes a test of every law of [`Module`](threads_core::module::Module), and one that prints
    /// which laws do not apply. It takes an expression that gives a
    /// [`Subject`](crate::module::Subject).
    ///
    /// See the [module](crate::module) for an example.
    module_laws in module;

    "MO-1" says::it_says_the_same_every_time: "The id, the versions and the template are the same every time and in every instance.",
        "two applications that use it have to mean the same";
    "MO-2" says::its_parts_fit_each_other: "The id has the form of one, and versions, schemas, steps, indexes and the template fit each other, within their bounds.",
        "no application could install it";
    "MO-3" says::the_engine_takes_its_schemas if sound: "The engine takes every schema.",
        "no application could install it";
    "MO-4" fits::every_collection_has_fixtures_that_fit if compiled: "Each collection of each version has a fixture, and fixtures fit the schema and the invariants.",
        "the other laws look at fixtures, and newcomers do";
    "MO-5" fits::what_an_earlier_version_made_fits_later_ones if compiled: "What an earlier version made fits the schema and the invariants of every later one, as that sees it.",
        "a new application would not read what is there";
    "MO-6" fits::what_a_later_version_made_fits_earlier_ones if compiled: "What a later version made fits the schema and the invariants of every earlier one, as that sees it.",
        "an application of yesterday would break on the day somebody else updates";
    "MO-7" fits::a_version_sees_what_it_saved if compiled: "A version can save whatever fits its schema, over anything, and sees what it saved.",
        "an application could not save what its own schema allows";
    "MO-8" fits::invariants_are_pure if sound: "Invariants give the same answer every time, for every JSON value.",
        "they are asked of entities that a stranger wrote";
    "MO-9" stays::published_versions_stay if published: "Versions in the vectors are as they were, and store and see entities as they did.",
        "what was written with a published version is out of everybody's reach";
}
