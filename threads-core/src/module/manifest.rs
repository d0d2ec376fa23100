//! Manifests: all that a module says, checked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Module;
use super::lens::{Lens, StoredAt};
use super::spec::{CollectionSpec, IndexSpec};
use super::step::Step;
use super::version::{ModuleCollection, Version};
use crate::{CollectionName, Error, Result};

/// The longest id of a module, in bytes.
pub const MODULE_ID_BYTES_MAX: usize = 128;
/// The most versions of a module.
pub const VERSIONS_MAX: usize = 256;
/// The most collections of one version.
pub const MODULE_COLLECTIONS_MAX: usize = 64;
/// The longest definition of one version, in bytes of its JSON text.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;

/// All that a module says, checked once: what the engine and the laws work with.
///
/// The example of the [module](super) makes one.
///
/// ```
/// use threads_core::module::{Manifest, Module};
/// fn collections(module: &dyn Module) -> threads_core::Result<usize> {
///     let manifest = Manifest::of(module)?;
///     Ok(manifest.collections(manifest.version()).len())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Manifest {
    id: String,
    versions: Vec<Version>,
}

impl Manifest {
    /// What `module` says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when its id is not a reversed domain name
    /// (two or more words of small letters, digits and `-`, joined by dots), when its versions,
    /// schemas, steps and indexes do not fit each other, or when it exceeds a bound: [`VERSIONS_MAX`],
    /// [`MODULE_COLLECTIONS_MAX`], [`DEFINITION_BYTES_MAX`], and those of its parts.
    ///
    /// ```
    /// use threads_core::module::{Manifest, Module};
    /// fn newest(module: &dyn Module) -> threads_core::Result<u32> {
    ///     Ok(Manifest::of(module)?.version())
    /// }
    /// ```
    pub fn of(module: &dyn Module) -> Result<Self> {
        let id = module.id();
        Self::check_id(id)?;
        let manifest = Self {
            id: id.to_owned(),
            versions: module.versions()?,
        };
        let about = |error: Error| error.with("module", id);
        manifest.check().map_err(about)?;
        let names: Vec<_> = manifest.names().into_iter().cloned().collect();
        let template = module.acl_template()?;
        template.map_or(Ok(()), |template| template.check(&names).map_err(about))?;
        Ok(manifest)
    }

    /// Refuses what is no id of a module.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    ///
    /// ```
    /// use threads_core::module::Manifest;
    /// assert!(Manifest::check_id("org.example.people").is_ok());
    /// assert!(Manifest::check_id("people").is_err());
    /// ```
    pub fn check_id(id: &str) -> Result<()> {
        let word = |word: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !word.is_empty() && word.chars().all(plain)
        };
        if id.len() <= MODULE_ID_BYTES_MAX && id.contains('.') && id.split('.').all(word) {
            return Ok(());
        }
        Err(Error::invalid(
            "the id of a module is a reversed domain name and a word, such as org.example.people",
        )
        .with("module", format_args!("{id:.80}")))
    }

    fn check(&self) -> Result<()> {
        if self.versions.is_empty() || self.versions.len() > VERSIONS_MAX {
            let error = Error::invalid("a module has at least one version, and not too many");
            return Err(error.with("most", VERSIONS_MAX));
        }
        for number in 1..=self.version() {
            let at = |error: Error| error.with("version", number);
            self.check_version(number).map_err(at)?;
        }
        Ok(())
    }

    fn check_version(&self, number: u32) -> Result<()> {
        let collections = self.collections(number);
        if collections.is_empty() || collections.len() > MODULE_COLLECTIONS_MAX {
            let error = Error::invalid("a version has at least one collection, and not too many");
            return Err(error.with("most", MODULE_COLLECTIONS_MAX));
        }
        if self.definition(number)?.to_string().len() > DEFINITION_BYTES_MAX {
            let error = Error::invalid("the definition of a version is too long");
            return Err(error.with("most_bytes", DEFINITION_BYTES_MAX));
        }
        let mut seen = BTreeSet::new();
        for collection in collections {
            let name = &collection.spec.name;
            let at = |error: Error| error.with("collection", name);
            if name.is_reserved() || !seen.insert(name) {
                let error =
                    "a module's collection has a name of its own, that does not begin with $";
                return Err(at(Error::invalid(error)));
            }
            collection.spec.check()?;
            self.check_before(number, collection).map_err(at)?;
            self.stored_spec(number, name.as_str()).map_err(at)?;
        }
        Ok(())
    }

    /// Refuses a collection that has another codec than before, or that was away.
    fn check_before(&self, number: u32, collection: &ModuleCollection) -> Result<()> {
        let name = collection.spec.name.as_str();
        let mut before =
            (1..number).filter_map(|version| Some((version, self.collection(version, name)?)));
        let Some((version, before)) = before.next_back() else {
            return Ok(());
        };
        if version + 1 < number {
            return Err(Error::invalid(
                "a collection that a version left out does not come back: choose another name",
            ));
        }
        if before.spec.codec != collection.spec.codec {
            return Err(Error::invalid("a collection keeps the codec it began with"));
        }
        Ok(())
    }

    /// The id of the module.
    ///
    /// ```
    /// # fn show(manifest: &threads_core::module::Manifest) {
    /// println!("{} {}", manifest.id(), manifest.version());
    /// # }
    /// ```
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The last version.
    ///
    /// See the example of the [module](super), and of [`Manifest::id`].
    ///
    /// ```
    /// # fn show(manifest: &threads_core::module::Manifest) {
    /// assert!(manifest.version() >= 1);
    /// # }
    /// ```
    pub fn version(&self) -> u32 {
        // There are at most VERSIONS_MAX.
        self.versions.len() as u32
    }

    /// The collections of a version; none of one that there is not.
    ///
    /// ```
    /// # fn show(manifest: &threads_core::module::Manifest) {
    /// for collection in manifest.collections(manifest.version()) {
    ///     println!("{}", collection.spec.name);
    /// }
    /// # }
    /// ```
    pub fn collections(&self, version: u32) -> &[ModuleCollection] {
        let index = (version as usize).checked_sub(1);
        let version = index.and_then(|index| self.versions.get(index));
        version.map_or(&[], |version| &version.collections)
    }

    /// A collection of a version.
    ///
    /// ```
    /// # fn show(manifest: &threads_core::module::Manifest) {
    /// let steps = manifest.collection(2, "Person").map_or(0, |person| person.steps.len());
    /// # }
    /// ```
    pub fn collection(&self, version: u32, name: &str) -> Option<&ModuleCollection> {
        let mut all = self.collections(version).iter();
        all.find(|collection| collection.spec.name.as_str() == name)
    }

    /// The names of all collections, of every version.
    fn names(&self) -> BTreeSet<&CollectionName> {
        let all = self
            .versions
            .iter()
            .flat_map(|version| &version.collections);
        all.map(|collection| &collection.spec.name).collect()
    }

    /// How a version sees a collection's entities.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the version has no such collection.
    ///
    /// The example of the [module](super) uses it.
    ///
    /// ```
    /// # fn show(manifest: &threads_core::module::Manifest) -> threads_core::Result<()> {
    /// let seen = manifest.lens(1, "Person")?.get(&serde_json::json!({"_id": "ann"}));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lens(&self, version: u32, name: &str) -> Result<Lens> {
        let has = self.collection(version, name).is_some();
        let chain: Vec<(&Value, &[Step])> = (1..=version)
            .filter_map(|version| self.collection(version, name))
            .map(|collection| {
                let schema = collection
                    .spec
                    .schema
                    .as_ref()
                    .unwrap_or(&Value::Bool(true));
                (schema, &collection.steps[..])
            })
            .collect();
        if !has {
            let error = Error::not_found("this version of the module has no such collection");
            return Err(error.with("collection", name).with("version", version));
        }
        Lens::of(&chain)
    }

    /// The collection under a version's collection: the same name and codec, indexes on what is
    /// stored, and no schema, because other versions store other members.
    ///
    /// # Errors
    ///
    /// Those of [`Manifest::lens`], and [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an
    /// index on a member that is not stored as it is.
    ///
    /// ```
    /// # fn show(manifest: &threads_core::module::Manifest) -> threads_core::Result<()> {
    /// assert!(manifest.stored_spec(1, "Person")?.schema.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn stored_spec(&self, version: u32, name: &str) -> Result<CollectionSpec> {
        let lens = self.lens(version, name)?;
        let found = self.collection(version, name);
        let spec = &found
            .ok_or_else(|| Error::not_found("no such collection"))?
            .spec;
        let mut stored = CollectionSpec::new(spec.name.clone(), spec.codec.clone());
        for index in &spec.indexes {
            let mut paths = Vec::new();
            for path in &index.paths {
                let StoredAt::Path { path, .. } = lens.stored_at(path) else {
                    let error = "an index is on a member that is not stored as it is";
                    return Err(Error::invalid(error).with("path", path));
                };
                paths.push(path);
            }
            let unique = index.unique;
            stored.indexes.push(IndexSpec { paths, unique });
        }
        Ok(stored)
    }

    /// What a version says, as data: what is recorded in a thread.
    ///
    /// # Errors
    ///
    /// None of a manifest: everything in it can be written as JSON.
    ///
    /// ```
    /// # fn show(manifest: &threads_core::module::Manifest) -> threads_core::Result<()> {
    /// assert_eq!(manifest.definition(1)?["version"], 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn definition(&self, version: u32) -> Result<Value> {
        let collection = |collection: &ModuleCollection| {
            let not_json = |cause| Error::invalid("a definition is JSON").caused_by(cause);
            let mut value = serde_json::to_value(&collection.spec).map_err(not_json)?;
            value["steps"] = serde_json::to_value(&collection.steps).map_err(not_json)?;
            Ok(value)
        };
        let collections = self.collections(version).iter().map(collection);
        let collections: Vec<Value> = collections.collect::<Result<_>>()?;
        Ok(json!({"module": self.id, "version": version, "collections": collections}))
    }
}
