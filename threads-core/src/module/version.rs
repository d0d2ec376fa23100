//! Versions of a module: collections, how they differ from before, and what entities look like.

use std::fmt;

use serde_json::Value;

use super::spec::{CollectionSpec, IndexSpec};
use super::step::Step;
use crate::Result;

/// A version of a module: its collections.
///
/// ```
/// use threads_core::module::{ModuleCollection, Version};
/// let schema = serde_json::json!({"properties": {"text": {"type": "string"}}});
/// let version = Version::new().with(ModuleCollection::new("Note", "jsonpatch/1", schema).unwrap());
/// assert_eq!(version.collections.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// Its collections. One that the version before has and this one lacks is not seen any more.
    pub collections: Vec<ModuleCollection>,
}

impl Version {
    /// A version without collections.
    ///
    /// ```
    /// assert!(threads_core::module::Version::new().collections.is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more.
    ///
    /// ```
    /// # use threads_core::module::{ModuleCollection, Version};
    /// # let note = ModuleCollection::new("Note", "jsonpatch/1", serde_json::json!({"properties": {}})).unwrap();
    /// assert_eq!(Version::new().with(note).collections.len(), 1);
    /// ```
    #[must_use]
    pub fn with(mut self, collection: ModuleCollection) -> Self {
        self.collections.push(collection);
        self
    }
}

/// A collection in one version of a module.
///
/// ```
/// use serde_json::json;
/// use threads_core::module::{IndexSpec, ModuleCollection};
///
/// let schema = json!({"required": ["text"], "properties": {"text": {"type": "string"}, "at": {"type": "integer"}}});
/// let notes = ModuleCollection::new("Note", "jsonpatch/1", schema)
///     .unwrap()
///     .with_index(IndexSpec::on("at".parse().unwrap()))
///     .with_invariant("a note says something", |note| note["text"] != "")
///     .with_fixture(json!({"text": "Milk", "at": 1}));
/// assert_eq!(notes.spec.name.as_str(), "Note");
/// ```
#[derive(Clone, Debug)]
pub struct ModuleCollection {
    /// Name, schema, codec and indexes, as this version sees entities.
    pub spec: CollectionSpec,
    /// What differs from the version before, in this order.
    pub steps: Vec<Step>,
    /// What has to be true of an entity, beyond what its schema says.
    pub invariants: Vec<Invariant>,
    /// Entities as this version has them, for tests and for whoever wants to see some.
    pub fixtures: Vec<Value>,
}

impl ModuleCollection {
    /// A collection whose entities fit `schema`, which lists their members.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no name of a collection or of
    /// a codec.
    ///
    /// ```
    /// # use threads_core::module::ModuleCollection;
    /// let schema = serde_json::json!({"properties": {"text": {"type": "string"}}});
    /// assert!(ModuleCollection::new("../Note", "jsonpatch/1", schema).is_err());
    /// ```
    pub fn new(name: &str, codec: &str, schema: Value) -> Result<Self> {
        let spec = CollectionSpec::new(name.parse()?, codec.parse()?).with_schema(schema);
        Ok(Self {
            spec,
            steps: Vec::new(),
            invariants: Vec::new(),
            fixtures: Vec::new(),
        })
    }

    /// The same with one more index, on members as this version has them.
    ///
    /// ```
    /// # use threads_core::module::{IndexSpec, ModuleCollection};
    /// # let notes = ModuleCollection::new("Note", "jsonpatch/1", serde_json::json!({"properties": {"at": {}}})).unwrap();
    /// assert_eq!(notes.with_index(IndexSpec::on("at".parse().unwrap())).spec.indexes.len(), 1);
    /// ```
    #[must_use]
    pub fn with_index(mut self, index: IndexSpec) -> Self {
        self.spec = self.spec.with_index(index);
        self
    }

    /// The same with one more difference from the version before.
    ///
    /// ```
    /// # use threads_core::module::{ModuleCollection, Step};
    /// # let notes = ModuleCollection::new("Note", "jsonpatch/1", serde_json::json!({"properties": {"at": {}}})).unwrap();
    /// assert_eq!(notes.with_step(Step::add("at").unwrap()).steps.len(), 1);
    /// ```
    #[must_use]
    pub fn with_step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same with one more thing that has to be true of each entity.
    ///
    /// ```
    /// # use threads_core::module::ModuleCollection;
    /// # let notes = ModuleCollection::new("Note", "jsonpatch/1", serde_json::json!({"properties": {"at": {}}})).unwrap();
    /// assert_eq!(notes.with_invariant("has a time", |note| !note["at"].is_null()).invariants.len(), 1);
    /// ```
    #[must_use]
    pub fn with_invariant(mut self, name: &'static str, holds: fn(&Value) -> bool) -> Self {
        self.invariants.push(Invariant { name, holds });
        self
    }

    /// The same with one more example of an entity.
    ///
    /// ```
    /// # use threads_core::module::ModuleCollection;
    /// # let notes = ModuleCollection::new("Note", "jsonpatch/1", serde_json::json!({"properties": {"at": {}}})).unwrap();
    /// assert_eq!(notes.with_fixture(serde_json::json!({"at": 1})).fixtures.len(), 1);
    /// ```
    #[must_use]
    pub fn with_fixture(mut self, entity: Value) -> Self {
        self.fixtures.push(entity);
        self
    }
}

/// Something that has to be true of an entity. It is checked before an application's change is
/// committed; what comes from elsewhere is applied all the same, and reported.
///
/// ```
/// use threads_core::module::Invariant;
/// let ends = Invariant { name: "it ends after it begins", holds: |event| event["end"].as_i64() >= event["begin"].as_i64() };
/// assert!((ends.holds)(&serde_json::json!({"begin": 1, "end": 2})));
/// ```
#[derive(Clone, Copy)]
pub struct Invariant {
    /// What it says, in words: errors and reports show it.
    pub name: &'static str,
    /// Whether it holds of an entity, as the version sees it. Looks at nothing else.
    pub holds: fn(&Value) -> bool,
}

impl fmt::Debug for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invariant({})", self.name)
    }
}
