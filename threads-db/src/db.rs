//! A database: one thread, seen as collections of entities.

use std::fmt;
use std::sync::{Arc, Weak};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{CodecId, CollectionName, FieldPath, Result, ThreadId};

use crate::catalogue::{Catalogue, Definition};
use crate::collection::Collection;
use crate::index::{self, UniqueConflict};
use crate::node::Node;
use crate::read::Reader;
use crate::schema::schema_for;
use crate::thread::Thread;
use crate::txn::{ReadTransaction, WriteTransaction};

/// A thread as a database. Cloning it is cheap and shares everything.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// assert_eq!(db.collections().unwrap()[0].entities, 1);
/// ```
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    node: Node,
    thread: Thread,
}

/// A database that does not keep its node open.
#[derive(Clone)]
pub(crate) struct WeakDb(Weak<Inner>);

impl WeakDb {
    pub(crate) fn upgrade(&self) -> Option<Db> {
        self.0.upgrade().map(Db)
    }
}

/// A collection of a thread, in short.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// let person = &db.collections().unwrap()[0];
/// assert_eq!((person.name.as_str(), person.codec.as_str()), ("Person", "jsonpatch/1"));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollectionInfo {
    /// Its name.
    pub name: CollectionName,
    /// The codec of its entities.
    pub codec: CodecId,
    /// Its present schema.
    pub schema: Option<Value>,
    /// How many schemas it has had.
    pub schema_version: u64,
    /// Its indexes.
    pub indexes: Vec<IndexSpec>,
    /// How many entities live in it.
    pub entities: u64,
}

impl Db {
    pub(crate) fn new(node: Node, thread: Thread) -> Self {
        Self(Arc::new(Inner { node, thread }))
    }

    pub(crate) fn downgrade(&self) -> WeakDb {
        WeakDb(Arc::downgrade(&self.0))
    }

    pub(crate) fn thread(&self) -> &Thread {
        &self.0.thread
    }

    /// The catalogue as `txn` sees it, which must have changed no definition itself.
    pub(crate) fn catalogue(&self, txn: &dyn ReadTxn) -> Result<Arc<Catalogue>> {
        let thread = self.thread();
        thread.check_reads()?;
        thread.catalogue(txn)
    }

    /// The thread.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// assert!(node.create("a").unwrap().id().to_string().starts_with("bafk"));
    /// ```
    pub fn id(&self) -> &ThreadId {
        &self.thread().id
    }

    /// Its name on this node.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// assert_eq!(node.create("a").unwrap().name(), "a");
    /// ```
    pub fn name(&self) -> &str {
        &self.thread().name
    }

    /// The node it is open on.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new()).open().unwrap();
    /// assert_eq!(node.create("a").unwrap().node().peer_id(), node.peer_id());
    /// ```
    pub fn node(&self) -> Node {
        self.0.node.clone()
    }

    /// Defines a collection in a transaction of its own; see [`WriteTransaction::define`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let spec = CollectionSpec::new("Pet".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    /// db.define(&spec).unwrap();
    /// db.define(&spec).unwrap(); // the same again changes nothing
    /// ```
    pub fn define(&self, spec: &CollectionSpec) -> Result<()> {
        self.write(|txn| txn.define(spec))
    }

    /// Defines a collection whose schema is that of a Rust type.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    /// struct Pet { name: String }
    ///
    /// let pets = db.define_typed::<Pet>("Pet", "jsonpatch/1").unwrap();
    /// let id = pets.create(&Pet { name: "Rex".into() }).unwrap();
    /// assert_eq!(pets.get(id.as_str()).unwrap().unwrap().name, "Rex");
    /// ```
    pub fn define_typed<T: JsonSchema>(&self, name: &str, codec: &str) -> Result<Collection<T>> {
        let spec = CollectionSpec::new(name.parse()?, codec.parse()?);
        self.define(&spec.with_schema(schema_for::<T>()))?;
        self.typed(name)
    }

    /// Drops an index in a transaction of its own; see [`WriteTransaction::drop_index`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.drop_index("Person", &["age".parse().unwrap()]).is_err(), "there is none");
    /// ```
    pub fn drop_index(&self, collection: &str, paths: &[FieldPath]) -> Result<()> {
        let collection = collection.parse()?;
        self.write(|txn| txn.drop_index(&collection, paths))
    }

    /// A collection of JSON objects.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when it is not defined,
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when its codec is not
    /// registered.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.collection("Pet").is_err());
    /// ```
    pub fn collection(&self, name: &str) -> Result<Collection<Value>> {
        self.typed(name)
    }

    /// A collection whose entities are of a Rust type.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Person { age: u32 }
    /// let people = db.typed::<Person>("Person").unwrap();
    /// assert_eq!(people.get("bob").unwrap().unwrap().age, 42);
    /// ```
    pub fn typed<T>(&self, name: &str) -> Result<Collection<T>> {
        let name: CollectionName = name.parse()?;
        let txn = self.thread().node.store.read()?;
        self.catalogue(&*txn)?.get(&name)?;
        Ok(Collection::new(self.clone(), name))
    }

    /// Every collection of the thread, by name.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(db.collections().unwrap().len(), 1);
    /// ```
    pub fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let txn = self.thread().node.store.read()?;
        let catalogue = self.catalogue(&*txn)?;
        let info = |definition: &Arc<Definition>| {
            let reader = Reader {
                txn: &*txn,
                thread: self.thread(),
                definition,
                view: None,
            };
            Ok(CollectionInfo {
                name: definition.name.clone(),
                codec: definition.codec_id.clone(),
                schema: definition.schema_text.clone(),
                schema_version: definition.version,
                indexes: definition
                    .indexes
                    .iter()
                    .map(|index| index.spec.clone())
                    .collect(),
                entities: reader.count(&Default::default())?,
            })
        };
        catalogue.collections().map(info).collect()
    }

    /// Entities that hold the same value of a unique index, because peers that were apart each
    /// gave it away. The one with the smallest id holds it.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.conflicts("Person").unwrap().is_empty());
    /// ```
    pub fn conflicts(&self, collection: &str) -> Result<Vec<UniqueConflict>> {
        let txn = self.thread().node.store.read()?;
        let catalogue = self.catalogue(&*txn)?;
        index::conflicts(
            &*txn,
            self.thread().number,
            catalogue.get(&collection.parse()?)?,
        )
    }

    /// Begins a write transaction. Waits while another thread of the program has one open on this
    /// datastore; dropping it leaves no trace.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when this thread of the program
    /// has one open itself, and would wait for ever.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let txn = db.begin().unwrap();
    /// drop(txn);
    /// ```
    pub fn begin(&self) -> Result<WriteTransaction<'_>> {
        WriteTransaction::new(self)
    }

    /// Begins a read transaction: a snapshot.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let snapshot = db.begin_read().unwrap();
    /// people.delete("bob").unwrap();
    /// assert!(snapshot.has(&people, "bob").unwrap());
    /// ```
    pub fn begin_read(&self) -> Result<ReadTransaction<'_>> {
        ReadTransaction::new(self)
    }

    /// Runs `work` in a write transaction: commits on `Ok`, leaves no trace on `Err`.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use serde_json::json;
    /// db.write(|txn| {
    ///     txn.patch(&people, "bob", &json!({"age": 43}))?;
    ///     txn.create(&people, &json!({"name": "Ann"}))
    /// })
    /// .unwrap();
    /// ```
    pub fn write<R>(&self, work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<R>) -> Result<R> {
        let mut txn = self.begin()?;
        let result = work(&mut txn)?;
        txn.commit()?;
        Ok(result)
    }

    /// Runs `work` on a snapshot.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.read(|txn| txn.has(&people, "bob")).unwrap());
    /// ```
    pub fn read<R>(&self, work: impl FnOnce(&ReadTransaction<'_>) -> Result<R>) -> Result<R> {
        work(&self.begin_read()?)
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db")
            .field("id", self.id())
            .field("name", &self.name())
            .finish()
    }
}
