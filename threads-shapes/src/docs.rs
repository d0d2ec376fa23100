//! Documents without a schema: put in what you have, find it again.
//!
//! The collection is of `jsonpatch/1`, so of two who change different places of one document, however
//! deep inside, both keep what they wrote.
//!
//! ```
#![doc = include_str!("../doc/example.txt")]
//! use serde_json::json;
//! use threads_shapes::Docs;
//!
//! let docs = Docs::open(&db, "notes").unwrap();
//! let id = docs.insert(&json!({"title": "Plan", "tags": ["home"]})).unwrap();
//! docs.update(&id, &json!({"done": false})).unwrap();
//! let found = docs.find("tags = 'home' and not (done = true)").unwrap();
//! assert_eq!(found[0]["title"], "Plan");
//! ```

use serde_json::Value;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{Error, Result};
use threads_db::query::Query;
use threads_db::{Collection, Db, Rows};

use crate::define;

/// Documents in a collection. See the [module](self) for an example.
#[derive(Clone, Debug)]
pub struct Docs {
    documents: Collection<Value>,
}

impl Docs {
    /// The documents in the collection of this name, which is defined if it is not there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when the codec `jsonpatch/1` is
    /// not registered, and where the collection would have to be defined in a store that is only read;
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) for a collection of another codec.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// ```
    pub fn open(db: &Db, name: &str) -> Result<Self> {
        let documents = define::collection(db, name, define::JSON_PATCH)?;
        Ok(Self { documents })
    }

    /// Puts in a document and gives its id: its `_id`, or a new one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the id is taken, or was;
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for what is no object, or more than 1 MiB.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// let id = docs.insert(&serde_json::json!({"title": "Plan"})).unwrap();
    /// assert_eq!(docs.get(&id).unwrap().unwrap()["title"], "Plan");
    /// ```
    pub fn insert(&self, document: &Value) -> Result<String> {
        let id = self.documents.create(document)?;
        Ok(id.as_str().to_owned())
    }

    /// Makes a document this one, whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when there is none of its `_id`, and
    /// those of [`Docs::insert`].
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// let id = docs.insert(&serde_json::json!({"a": 1})).unwrap();
    /// docs.replace(&serde_json::json!({"_id": id, "b": 2})).unwrap();
    /// assert!(docs.replace(&serde_json::json!({"_id": "nobody"})).is_err());
    /// ```
    pub fn replace(&self, document: &Value) -> Result<()> {
        let id = document["_id"].as_str().unwrap_or_default();
        self.documents.db().write(|txn| {
            if !txn.has(&self.documents, id)? {
                return Err(Error::not_found("no document of this _id: insert it").with("_id", id));
            }
            txn.save(&self.documents, document).map(drop)
        })
    }

    /// Changes the members that `members` has; `null` removes one (RFC 7396).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when there is no such document.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// let id = docs.insert(&serde_json::json!({"a": 1})).unwrap();
    /// docs.update(&id, &serde_json::json!({"a": null, "b": {"c": 2}})).unwrap();
    /// ```
    pub fn update(&self, id: &str, members: &Value) -> Result<()> {
        self.documents.patch(id, members)
    }

    /// Removes a document, for good; says whether there was one.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// assert!(!docs.remove("nobody").unwrap());
    /// ```
    pub fn remove(&self, id: &str) -> Result<bool> {
        self.documents.db().write(|txn| {
            let there = txn.has(&self.documents, id)?;
            if there {
                txn.delete(&self.documents, id)?;
            }
            Ok(there)
        })
    }

    /// The document of this id.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// assert_eq!(docs.get("nobody").unwrap(), None);
    /// ```
    pub fn get(&self, id: &str) -> Result<Option<Value>> {
        self.documents.get(id)
    }

    /// The documents that meet a condition, in the [language of queries](threads_db::query).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a condition that is none, and for
    /// more documents than the [caps](threads_db::query::QueryCaps) of the node allow at once: page by
    /// [`Docs::select`].
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// docs.insert(&serde_json::json!({"n": 1})).unwrap();
    /// assert_eq!(docs.find("n > 0").unwrap().len(), 1);
    /// ```
    pub fn find(&self, condition: &str) -> Result<Vec<Value>> {
        self.documents.find(&Query::parse(condition)?)
    }

    /// A page of what a query asks for, with its order, limit, fields and cursor.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// use threads_db::query::Query;
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// assert!(docs.select(&Query::new().sort("title")).unwrap().rows.is_empty());
    /// ```
    pub fn select(&self, query: &Query) -> Result<Rows<Value>> {
        self.documents.find_page(query)
    }

    /// How many documents meet a condition.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let docs = threads_shapes::Docs::open(&db, "notes").unwrap();
    /// assert_eq!(docs.count("true").unwrap(), 0);
    /// ```
    pub fn count(&self, condition: &str) -> Result<u64> {
        self.documents.count(&Query::parse(condition)?)
    }

    /// Keeps an index over a field, so that conditions on it need not look at every document.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// threads_shapes::Docs::open(&db, "notes").unwrap().index("address.city").unwrap();
    /// ```
    pub fn index(&self, field: &str) -> Result<()> {
        let name = self.documents.name().clone();
        let codec = define::JSON_PATCH.parse()?;
        let spec = CollectionSpec::new(name, codec).with_index(IndexSpec::on(field.parse()?));
        self.documents.db().define(&spec)
    }
}
