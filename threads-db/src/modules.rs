//! Modules in threads: installing them, and seeing collections as a version of one has them.
//!
//! What is stored is the same for all versions; a [`Collection`] that comes from an
//! [`InstalledModule`] looks at it through a [lens](threads_core::module::Lens), and is otherwise
//! like any other: queries, live queries, listeners, histories, blame and differences of it show what its
//! version sees. Reducers, and what is asked of the thread as a whole, know no modules: they tell what is
//! stored, and [`Collection::seen`] is what a version makes of that.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use threads_core::access::{Scope, Subject};
use threads_core::module::{AclTemplate, Manifest, Module};
use threads_core::{CollectionName, EntityId, Error, ErrorKind, Result, Variant};

use crate::collection::Collection;
use crate::db::Db;
use crate::node::Node;
use crate::query::Query;
use crate::txn::WriteTransaction;

mod conflicts;
mod narrow;
mod options;
mod record;
mod view;

pub use conflicts::{MODULE_CONFLICTS_MAX, ModuleConflict, ModuleConflictKind};
pub use options::InstallOptions;
pub(crate) use record::{MODULES, is_sound, told};
pub use record::{MODULES_MAX, ModuleInfo};
pub(crate) use view::View;

/// The most entities that [`InstalledModule::breaches`] names.
pub const BREACHES_MAX: usize = 1_000;

/// A version of a module in a thread: where its collections come from. Cloning it is cheap.
///
/// ```
#[doc = include_str!("../doc/example_module.txt")]
/// let people = notes.collection("Note").unwrap();
/// let id = people.create(&serde_json::json!({"text": "Milk"})).unwrap();
/// assert_eq!(people.get(id.as_str()).unwrap().unwrap()["text"], "Milk");
/// ```
#[derive(Clone)]
pub struct InstalledModule {
    db: Db,
    id: Arc<str>,
    version: u32,
    views: Arc<BTreeMap<CollectionName, Arc<View>>>,
    recorded: bool,
}

/// An entity that came from elsewhere and is not as a version of a module wants it.
///
/// ```
#[doc = include_str!("../doc/example_module.txt")]
/// db.collection("Note").unwrap().create(&serde_json::json!({"_id": "a", "text": 7})).unwrap();
/// let breach = &notes.breaches().unwrap()[0];
/// assert_eq!((breach.collection.as_str(), breach.entity.as_str()), ("Note", "a"));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The collection.
    pub collection: CollectionName,
    /// The entity.
    pub entity: EntityId,
    /// What is wrong with it.
    pub what: String,
}

impl Db {
    /// Installs the last version of a module; see [`Db::install_version`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// assert_eq!((notes.id(), notes.version()), ("org.example.notes", 1));
    /// assert!(db.install(&Notes).is_ok(), "again changes nothing");
    /// ```
    pub fn install(&self, module: &dyn Module) -> Result<InstalledModule> {
        self.install_with(module, &InstallOptions::new())
    }

    /// Installs a version of a module: records in the thread what it says, defines its collections,
    /// and gives access to them as this version sees them. Where that was done before, nothing is
    /// written. Each application installs the version that it was written for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a module that is not sound;
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the thread knows another
    /// module of this id and version, or a collection of this name that is not this module's: it says what
    /// is there and who wrote it, [`Db::module_conflicts`] lists all of it, and [`Db::install_with`] does
    /// something about it;
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) for a codec that is not
    /// registered; [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) where somebody else
    /// has to do it, because of the access rules.
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// assert!(db.install_version(&Notes, 1).is_ok());
    /// assert!(db.install_version(&Notes, 2).is_err(), "there is none");
    /// ```
    pub fn install_version(&self, module: &dyn Module, version: u32) -> Result<InstalledModule> {
        self.install_with(module, &InstallOptions::new().version(version))
    }

    /// Installs a module where somebody was first, or says otherwise: under other names, or against what is there.
    /// What is asked for with [`InstallOptions::redefine`] is one change as any other, and the latest counts;
    /// who must not be able to make such changes is a matter of access rules.
    ///
    /// # Errors
    ///
    /// Those of [`Db::install_version`].
    ///
    /// See the examples of [`InstallOptions`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// let options = threads_db::InstallOptions::new().prefix("mine-");
    /// assert!(!db.install_with(&Notes, &options).unwrap().is_recorded());
    /// ```
    pub fn install_with(
        &self,
        module: &dyn Module,
        options: &InstallOptions,
    ) -> Result<InstalledModule> {
        self.install_manifest(&Manifest::of(module)?, options)
    }

    fn install_manifest(
        &self,
        manifest: &Manifest,
        options: &InstallOptions,
    ) -> Result<InstalledModule> {
        let version = version_of(manifest, options)?;
        let views = View::all(manifest, version, options)?;
        let recorded = match self.record_module(manifest, version, options) {
            Ok(recorded) => recorded,
            // Others may say what there is: this version works all the same, if its collections do.
            Err(error) if error.kind() == ErrorKind::Rejected && !options.redefine => {
                let mut names = views.values().map(|view| view.name());
                let usable = names.all(|name| self.collection(name.as_str()).is_ok());
                if !usable {
                    return Err(error);
                }
                false
            }
            Err(error) => return Err(error),
        };
        Ok(InstalledModule {
            db: self.clone(),
            id: manifest.id().into(),
            version,
            views: Arc::new(views),
            recorded,
        })
    }
}

/// The version that is to be installed.
fn version_of(manifest: &Manifest, options: &InstallOptions) -> Result<u32> {
    let version = options.version.unwrap_or(manifest.version());
    if manifest.collections(version).is_empty() {
        let error = Error::not_found("the module has no such version");
        let error = error.with("module", manifest.id()).with("version", version);
        return Err(error.with("last", manifest.version()));
    }
    Ok(version)
}

impl InstalledModule {
    /// The id of the module.
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// assert_eq!(notes.id(), "org.example.notes");
    /// ```
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version that was installed.
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// assert_eq!(notes.version(), 1);
    /// ```
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether the thread says that it has this version. If not, the access rules let only others
    /// say so, or it was installed under a [prefix](InstallOptions::prefix); it works all the same.
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// assert!(notes.is_recorded());
    /// ```
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The thread.
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// assert_eq!(notes.db().id(), db.id());
    /// ```
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// A collection of JSON objects, as this version has them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when the version has none of this
    /// name, and those of [`Db::collection`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// assert!(notes.collection("Note").is_ok() && notes.collection("Task").is_err());
    /// ```
    pub fn collection(&self, name: &str) -> Result<Collection<Value>> {
        self.typed(name)
    }

    /// A collection whose entities are of a Rust type, that of the module for this version.
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Note { text: String }
    /// let id = notes.typed("Note").unwrap().create(&Note { text: "Milk".into() }).unwrap();
    /// ```
    pub fn typed<T>(&self, name: &str) -> Result<Collection<T>> {
        let view = self.views.get(&name.parse()?).ok_or_else(|| {
            Error::not_found("this version of the module has no such collection")
                .with("module", &*self.id)
                .with("version", self.version)
                .with("collection", name)
        })?;
        let plain = self.db.typed::<T>(view.name().as_str())?;
        Ok(plain.through(Arc::clone(view)))
    }

    /// The entities that came from elsewhere and break the schema or an invariant of this version,
    /// at most [`BREACHES_MAX`]. What is made here is refused before it does.
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// assert!(notes.breaches().unwrap().is_empty());
    /// ```
    pub fn breaches(&self) -> Result<Vec<Breach>> {
        let mut breaches = Vec::new();
        for (name, view) in &*self.views {
            let collection = self.collection(name.as_str())?;
            collection.for_each(&Query::new(), &mut |entity| {
                if let Err(error) = view.check(&entity) {
                    let id = entity["_id"].as_str().unwrap_or_default().parse()?;
                    breaches.push(Breach {
                        collection: view.name().clone(),
                        entity: id,
                        what: error.to_string(),
                    });
                }
                Ok(breaches.len() < BREACHES_MAX)
            })?;
        }
        breaches.truncate(BREACHES_MAX);
        Ok(breaches)
    }
}

impl fmt::Debug for InstalledModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstalledModule")
            .field("db", &self.db)
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Makes a thread with a module installed. In one with access rules, those that the module
    /// proposes are stated.
    ///
    /// # Errors
    ///
    /// Those of [`Node::create_with`] and [`Db::install`]. The thread is there then, and can be
    /// opened.
    ///
    /// ```
    #[doc = include_str!("../doc/example_module.txt")]
    /// use threads_core::Variant;
    /// let shared = node.create_with_module("shared", Variant::AccessControlled, &Notes).unwrap();
    /// assert_eq!(shared.db().name(), "shared");
    /// ```
    pub fn create_with_module(
        &self,
        name: &str,
        variant: Variant,
        module: &dyn Module,
    ) -> Result<InstalledModule> {
        // What is wrong with the module is said before there is a thread.
        let manifest = Manifest::of(module)?;
        let options = InstallOptions::new();
        View::all(&manifest, manifest.version(), &options)?;
        let template = module.acl_template()?;
        let db = self.create_with(name, variant)?;
        let installed = db.install_manifest(&manifest, &options)?;
        if let Some(template) = template.filter(|_| variant == Variant::AccessControlled) {
            db.write(|txn| txn.state_template(&template))?;
        }
        Ok(installed)
    }
}

impl WriteTransaction<'_> {
    /// States the access rules of a module's template.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::grant`].
    ///
    /// ```
    /// # use threads_core::{Variant, datastore::Memory};
    /// use threads_core::{access::Role, module::AclTemplate};
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// let team = node.create_with("team", Variant::AccessControlled).unwrap();
    /// team.write(|txn| txn.state_template(&AclTemplate::new().everybody(Role::Read))).unwrap();
    /// ```
    pub fn state_template(&mut self, template: &AclTemplate) -> Result<()> {
        for role in &template.everybody {
            self.grant(Subject::Everybody, Scope::Thread, *role)?;
        }
        let mut restricted = template.restricted.iter();
        restricted.try_for_each(|(collection, entity)| self.restrict(collection, entity))
    }
}
