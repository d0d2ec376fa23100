//! What a collection is: its schema, codec and indexes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CodecId, CollectionName, Error, FieldPath, Result};

/// The most indexes of a collection: each is written with every change.
pub const INDEXES_MAX: usize = 32;
/// The most fields of one index.
pub const INDEX_PATHS_MAX: usize = 4;

/// A collection: what an application or a [`Module`](super::Module) declares, and what travels in
/// the thread.
///
/// ```
/// use threads_core::module::{CollectionSpec, IndexSpec};
///
/// let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())
///     .with_index(IndexSpec::on("email".parse().unwrap()).unique());
/// let json = serde_json::to_value(&spec).unwrap();
/// assert_eq!(json["indexes"][0]["unique"], true);
/// assert_eq!(serde_json::from_value::<CollectionSpec>(json).unwrap(), spec);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionSpec {
    /// Its name in the thread.
    pub name: CollectionName,
    /// The JSON Schema that its entities fit; `None` when anything goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The codec of its events.
    pub codec: CodecId,
    /// Its indexes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<IndexSpec>,
}

impl CollectionSpec {
    /// A collection without schema or indexes.
    ///
    /// ```
    /// use threads_core::module::CollectionSpec;
    /// let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    /// assert!(spec.schema.is_none());
    /// ```
    pub fn new(name: CollectionName, codec: CodecId) -> Self {
        Self {
            name,
            schema: None,
            codec,
            indexes: Vec::new(),
        }
    }

    /// The same with `schema`.
    ///
    /// ```
    /// # use threads_core::module::CollectionSpec;
    /// let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())
    ///     .with_schema(serde_json::json!({"type": "object"}));
    /// assert!(spec.schema.is_some());
    /// ```
    #[must_use]
    pub fn with_schema(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The same with one more index.
    ///
    /// ```
    /// # use threads_core::module::{CollectionSpec, IndexSpec};
    /// let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())
    ///     .with_index(IndexSpec::on("name".parse().unwrap()));
    /// assert_eq!(spec.indexes.len(), 1);
    /// ```
    #[must_use]
    pub fn with_index(mut self, index: IndexSpec) -> Self {
        self.indexes.push(index);
        self
    }

    /// Refuses what no node will keep: too many indexes, an index twice, one without fields or
    /// with too many. Whoever takes a specification from elsewhere calls it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the collection and the fault.
    ///
    /// ```
    /// # use threads_core::module::{CollectionSpec, IndexSpec};
    /// let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    /// assert!(spec.check().is_ok());
    /// assert!(spec.with_index(IndexSpec { paths: vec![], unique: false }).check().is_err());
    /// ```
    pub fn check(&self) -> Result<()> {
        let fault = |message| Error::invalid(message).with("collection", &self.name);
        if self.indexes.len() > INDEXES_MAX {
            return Err(fault("a collection has too many indexes").with("most", INDEXES_MAX));
        }
        let mut seen = BTreeSet::new();
        for index in &self.indexes {
            if index.paths.is_empty() {
                return Err(fault("an index names no field"));
            }
            if index.paths.len() > INDEX_PATHS_MAX {
                return Err(fault("an index names too many fields").with("most", INDEX_PATHS_MAX));
            }
            if !seen.insert(&index.paths) {
                return Err(fault("two indexes are on the same fields")
                    .with("first_field", &index.paths[0]));
            }
        }
        Ok(())
    }
}

/// An index: the fields by which entities are found, most significant first.
///
/// ```
/// use threads_core::module::IndexSpec;
/// let index = IndexSpec::on("name".parse().unwrap()).then("born".parse().unwrap());
/// assert_eq!(index.paths.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSpec {
    /// The fields.
    pub paths: Vec<FieldPath>,
    /// Whether two entities may not agree in all of them. Peers that are apart can both take a
    /// value: then one deterministic winner keeps it, and the conflict is reported.
    #[serde(default)]
    pub unique: bool,
}

impl IndexSpec {
    /// An index on one field.
    ///
    /// ```
    /// use threads_core::module::IndexSpec;
    /// assert!(!IndexSpec::on("name".parse().unwrap()).unique);
    /// ```
    pub fn on(path: FieldPath) -> Self {
        Self {
            paths: vec![path],
            unique: false,
        }
    }

    /// The same with one more field, less significant than those before it.
    ///
    /// ```
    /// use threads_core::module::IndexSpec;
    /// let index = IndexSpec::on("a".parse().unwrap()).then("b".parse().unwrap());
    /// assert_eq!(index.paths[1].to_string(), "b");
    /// ```
    #[must_use]
    pub fn then(mut self, path: FieldPath) -> Self {
        self.paths.push(path);
        self
    }

    /// The same, where no two entities may agree.
    ///
    /// ```
    /// use threads_core::module::IndexSpec;
    /// assert!(IndexSpec::on("email".parse().unwrap()).unique().unique);
    /// ```
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }
}
