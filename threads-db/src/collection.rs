//! Collections: a name, a type, and one-shot transactions.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use threads_core::{CodecId, CollectionName, EntityId, Error, Result};

use crate::db::Db;
use crate::document::Document;
use crate::feed::Change;
use crate::modules::View;
use crate::query::{Explain, Query};
use crate::thread::Thread;
use crate::txn::Rows;

/// A collection of a thread, whose entities are of type `T`.
///
/// Its methods each run in a transaction of their own; for several changes at once, pass it to
/// the methods of a [`WriteTransaction`](crate::WriteTransaction).
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// assert_eq!(people.get("bob").unwrap().unwrap()["age"], 42);
/// ```
pub struct Collection<T = Value> {
    db: Db,
    name: CollectionName,
    /// How a version of a module sees it, if it comes from one.
    view: Option<Arc<View>>,
    entity: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self {
            view: self.view.clone(),
            ..Self::new(self.db.clone(), self.name.clone())
        }
    }
}

impl<T> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("db", &self.db)
            .field("name", &self.name)
            .finish()
    }
}

impl<T> Collection<T> {
    pub(crate) fn new(db: Db, name: CollectionName) -> Self {
        Self {
            db,
            name,
            view: None,
            entity: PhantomData,
        }
    }

    /// The same as a version of a module sees it.
    pub(crate) fn through(self, view: Arc<View>) -> Self {
        let view = Some(view);
        Self { view, ..self }
    }

    /// How a version of a module sees it.
    pub(crate) fn view(&self) -> Option<&View> {
        self.view.as_deref()
    }

    /// Refuses a collection of another thread in a transaction.
    pub(crate) fn check_thread(&self, thread: &Thread) -> Result<()> {
        if *self.db.id() == thread.id {
            return Ok(());
        }
        Err(
            Error::invalid("a collection of another thread cannot be used in this transaction")
                .with("collection", &self.name),
        )
    }

    /// As it shows a value that is stored.
    pub(crate) fn shows(&self, stored: Value) -> Value {
        match self.view() {
            Some(view) => view.value(&stored),
            None => stored,
        }
    }

    /// Tells changes as it shows them: those of its own entities.
    pub(crate) fn lookout(&self) -> Lookout {
        Lookout {
            name: self.name.clone(),
            view: self.view.clone(),
        }
    }

    /// What it shows of what is stored.
    pub(crate) fn shown(&self) -> Box<dyn Fn(Document) -> Result<Document>> {
        match self.view.clone() {
            Some(view) => Box::new(move |stored| view.document(&stored)),
            None => Box::new(Ok),
        }
    }

    /// Its name.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(people.name().as_str(), "Person");
    /// ```
    pub fn name(&self) -> &CollectionName {
        &self.name
    }

    /// The codec of its entities.
    ///
    /// # Errors
    ///
    /// Those of [`Db::collection`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(people.codec().unwrap().as_str(), "jsonpatch/1");
    /// ```
    pub fn codec(&self) -> Result<CodecId> {
        let txn = self.db.thread().node.store.read()?;
        let catalogue = self.db.catalogue(&*txn)?;
        Ok(catalogue.get(&self.name)?.codec_id.clone())
    }

    /// The database it is in.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(people.db().id(), db.id());
    /// ```
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// See [`WriteTransaction::patch`](crate::WriteTransaction::patch).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
    /// ```
    pub fn patch(&self, id: &str, merge: &Value) -> Result<()> {
        self.db.write(|txn| txn.patch(self, id, merge))
    }

    /// See [`WriteTransaction::apply_patch`](crate::WriteTransaction::apply_patch).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let ops = serde_json::json!([{"op": "replace", "path": "/age", "value": 43}]);
    /// people.apply_patch("bob", &ops).unwrap();
    /// ```
    pub fn apply_patch(&self, id: &str, operations: &Value) -> Result<()> {
        self.db.write(|txn| txn.apply_patch(self, id, operations))
    }

    /// See [`WriteTransaction::delete`](crate::WriteTransaction::delete).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// people.delete("bob").unwrap();
    /// assert!(!people.has("bob").unwrap());
    /// ```
    pub fn delete(&self, id: &str) -> Result<()> {
        self.db.write(|txn| txn.delete(self, id))
    }

    /// See [`ReadTransaction::has`](crate::ReadTransaction::has).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(people.has("bob").unwrap());
    /// ```
    pub fn has(&self, id: &str) -> Result<bool> {
        self.db.read(|txn| txn.has(self, id))
    }

    /// See [`ReadTransaction::count`](crate::ReadTransaction::count).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(people.count(&Default::default()).unwrap(), 1);
    /// ```
    pub fn count(&self, query: &Query) -> Result<u64> {
        self.db.read(|txn| txn.count(self, query))
    }

    /// See [`ReadTransaction::for_each`](crate::ReadTransaction::for_each).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// people.for_each(&Default::default(), &mut |_| Ok(false)).unwrap();
    /// ```
    pub fn for_each(
        &self,
        query: &Query,
        row: &mut dyn FnMut(Value) -> Result<bool>,
    ) -> Result<()> {
        self.db.read(|txn| txn.for_each(self, query, row))
    }

    /// See [`ReadTransaction::explain`](crate::ReadTransaction::explain).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// println!("{}", people.explain(&Default::default()).unwrap());
    /// ```
    pub fn explain(&self, query: &Query) -> Result<Explain> {
        self.db.read(|txn| txn.explain(self, query))
    }
}

impl<T: Serialize> Collection<T> {
    /// See [`WriteTransaction::create`](crate::WriteTransaction::create).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let id = people.create(&serde_json::json!({"name": "Ann"})).unwrap();
    /// assert_eq!(id.as_str().len(), 26);
    /// ```
    pub fn create(&self, value: &T) -> Result<EntityId> {
        self.db.write(|txn| txn.create(self, value))
    }

    /// See [`WriteTransaction::save`](crate::WriteTransaction::save).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// people.save(&serde_json::json!({"_id": "bob", "age": 43})).unwrap();
    /// ```
    pub fn save(&self, value: &T) -> Result<EntityId> {
        self.db.write(|txn| txn.save(self, value))
    }
}

/// What a collection is by name, and how a version of a module sees it.
#[derive(Clone, Debug)]
pub(crate) struct Lookout {
    name: CollectionName,
    view: Option<Arc<View>>,
}

impl Lookout {
    /// A change as the collection shows it; none of what it does not have, and of what makes no difference to
    /// what it shows.
    pub(crate) fn told(&self, mut change: Change) -> Option<Change> {
        if change.collection != self.name {
            return None;
        }
        let Some(view) = &self.view else {
            return Some(change);
        };
        for value in [&mut change.before, &mut change.after] {
            *value = value.take().map(|stored| view.value(&stored));
        }
        // Of what was purged there is neither, and it is told.
        let same = change.before.is_some() && change.before == change.after;
        (!same).then_some(change)
    }
}

impl<T: DeserializeOwned> Collection<T> {
    /// An entity as this collection has it, of a value that is stored: a reducer is told that, and so is a listener
    /// of the whole thread. A version of a [module](crate::InstalledModule) may see it otherwise.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when it is not of the collection's
    /// type.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let stored = serde_json::json!({"_id": "bob", "age": 42});
    /// assert_eq!(people.seen(&stored).unwrap(), stored);
    /// ```
    pub fn seen(&self, stored: &Value) -> Result<T> {
        let seen = match self.view() {
            Some(view) => T::deserialize(&view.value(stored)),
            None => T::deserialize(stored),
        };
        seen.map_err(|cause| {
            Error::invalid("an entity is not of the collection's type").caused_by(cause)
        })
    }

    /// See [`ReadTransaction::get`](crate::ReadTransaction::get).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(people.get("nobody").unwrap().is_none());
    /// ```
    pub fn get(&self, id: &str) -> Result<Option<T>> {
        self.db.read(|txn| txn.get(self, id))
    }

    /// See [`ReadTransaction::find`](crate::ReadTransaction::find).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::query::{Query, field};
    /// let found = people.find(&Query::new().filter(field("age").ge(40).and(field("age").lt(50)))).unwrap();
    /// assert_eq!(found.len(), 1);
    /// ```
    pub fn find(&self, query: &Query) -> Result<Vec<T>> {
        self.db.read(|txn| txn.find(self, query))
    }

    /// See [`ReadTransaction::find_page`](crate::ReadTransaction::find_page).
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(people.find_page(&Default::default()).unwrap().rows.len(), 1);
    /// ```
    pub fn find_page(&self, query: &Query) -> Result<Rows<T>> {
        self.db.read(|txn| txn.find_page(self, query))
    }
}
