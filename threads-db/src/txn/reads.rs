//! Read transactions, and the reading half of both kinds.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use threads_core::Result;
use threads_core::datastore::{ReadTxn, WriteTxn};

use super::WriteTransaction;
use crate::catalogue::{Catalogue, Definition};
use crate::collection::Collection;
use crate::db::Db;
use crate::query::{Explain, PAGE_ROWS, Query};
use crate::read::Reader;
use crate::thread::Thread;

/// A page of entities in the application's type.
///
/// ```
/// let page: threads_db::Rows<serde_json::Value> = Default::default();
/// assert!(page.next.is_none());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<T> {
    /// The entities, in the query's order.
    pub rows: Vec<T>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<crate::query::Cursor>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            next: None,
        }
    }
}

/// A snapshot of a thread, over all its collections.
///
/// ```
/// # use threads_core::{datastore::Memory, module::CollectionSpec};
/// # use threads_codec_jsonpatch::JsonPatch;
/// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
/// # let db = node.create("friends").unwrap();
/// # db.define(&CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())).unwrap();
/// let people = db.collection("Person").unwrap();
/// let (has, all) = db.read(|txn| Ok((txn.has(&people, "bob")?, txn.count(&people, &Default::default())?))).unwrap();
/// assert_eq!((has, all), (false, 0));
/// ```
pub struct ReadTransaction<'a> {
    db: &'a Db,
    txn: Box<dyn ReadTxn + 'a>,
    catalogue: Arc<Catalogue>,
}

impl fmt::Debug for ReadTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTransaction")
            .field("db", self.db)
            .finish_non_exhaustive()
    }
}

impl<'a> ReadTransaction<'a> {
    pub(crate) fn new(db: &'a Db) -> Result<Self> {
        let txn = db.thread().node.store.read()?;
        let catalogue = db.catalogue(&*txn)?;
        Ok(Self { db, txn, catalogue })
    }

    pub(crate) fn store(&self) -> &dyn ReadTxn {
        &*self.txn
    }

    pub(crate) fn thread(&self) -> &Thread {
        self.db.thread()
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue)
    }
}

/// The reading half, the same for both kinds of transaction.
macro_rules! reads {
    ($name:ident) => {
        impl $name<'_> {
            pub(super) fn reader<'t>(&'t self, definition: &'t Definition) -> Reader<'t> {
                Reader {
                    txn: self.store().as_reader(),
                    thread: self.thread(),
                    definition,
                    view: None,
                }
            }

            fn reading<T, R>(
                &self,
                collection: &Collection<T>,
                read: impl FnOnce(&Reader<'_>) -> Result<R>,
            ) -> Result<R> {
                collection.check_thread(self.thread())?;
                let catalogue = self.catalogue();
                read(&Reader {
                    view: collection.view(),
                    ..self.reader(catalogue.get(collection.name())?)
                })
            }

            /// Whether there is such an entity.
            ///
            /// ```
            #[doc = include_str!("../../doc/example_read.txt")]
            /// assert!(db.read(|txn| txn.has(&people, "bob")).unwrap());
            /// ```
            pub fn has<T>(&self, collection: &Collection<T>, id: &str) -> Result<bool> {
                self.reading(collection, |reader| Ok(reader.get(id)?.is_some()))
            }

            /// The entity of this id.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when it is not of the
            /// collection's type.
            ///
            /// ```
            #[doc = include_str!("../../doc/example_read.txt")]
            /// assert_eq!(db.read(|txn| txn.get(&people, "bob")).unwrap().unwrap()["age"], 42);
            /// ```
            pub fn get<T: DeserializeOwned>(
                &self,
                collection: &Collection<T>,
                id: &str,
            ) -> Result<Option<T>> {
                let document = self.reading(collection, |reader| reader.get(id))?;
                document.map(|document| document.read()).transpose()
            }

            /// The entities that a query asks for, in its order.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a malformed query, and
            /// for one that finds more than its [caps](crate::query::QueryCaps) allow in memory:
            /// by default 10,000 entities or 16 MiB.
            ///
            /// ```
            #[doc = include_str!("../../doc/example_read.txt")]
            /// use threads_db::query::Query;
            /// let old = Query::parse("age > 40").unwrap();
            /// assert_eq!(db.read(|txn| txn.find(&people, &old)).unwrap().len(), 1);
            /// ```
            pub fn find<T: DeserializeOwned>(
                &self,
                collection: &Collection<T>,
                query: &Query,
            ) -> Result<Vec<T>> {
                let found = self.reading(collection, |reader| reader.page(query))?;
                Ok(found.rows)
            }

            /// The same, page by page: with a cursor for what comes after. A page has
            /// [`PAGE_ROWS`](crate::query::PAGE_ROWS) entities if the query does not say how many.
            ///
            /// ```
            #[doc = include_str!("../../doc/example_read.txt")]
            /// use threads_db::query::Query;
            /// let page = db.read(|txn| txn.find_page(&people, &Query::new().limit(1))).unwrap();
            /// assert!(page.next.is_none());
            /// ```
            pub fn find_page<T: DeserializeOwned>(
                &self,
                collection: &Collection<T>,
                query: &Query,
            ) -> Result<Rows<T>> {
                if query.limit.is_some() {
                    return self.reading(collection, |reader| reader.page(query));
                }
                let query = query.clone().limit(PAGE_ROWS);
                self.reading(collection, |reader| reader.page(&query))
            }

            /// How many entities meet a query's filter; its limit and skip do not count.
            ///
            /// ```
            #[doc = include_str!("../../doc/example_read.txt")]
            /// assert_eq!(db.read(|txn| txn.count(&people, &Default::default())).unwrap(), 1);
            /// ```
            pub fn count<T>(&self, collection: &Collection<T>, query: &Query) -> Result<u64> {
                self.reading(collection, |reader| reader.count(query))
            }

            /// Gives the rows of a query one by one, for as long as `row` says `true`. Without a
            /// sort they come as they are found, in constant memory; with one or with a cursor, all
            /// of them are in memory first, within the query's caps.
            ///
            /// ```
            #[doc = include_str!("../../doc/example_read.txt")]
            /// let mut rows = 0;
            /// db.read(|txn| {
            ///     txn.for_each(&people, &Default::default(), &mut |_| {
            ///         rows += 1;
            ///         Ok(true)
            ///     })
            /// })
            /// .unwrap();
            /// assert_eq!(rows, 1);
            /// ```
            pub fn for_each<T>(
                &self,
                collection: &Collection<T>,
                query: &Query,
                row: &mut dyn FnMut(Value) -> Result<bool>,
            ) -> Result<()> {
                self.reading(collection, |reader| reader.for_each(query, row))
            }

            /// How a query would be carried out.
            ///
            /// ```
            #[doc = include_str!("../../doc/example_read.txt")]
            /// use threads_db::query::Query;
            /// let query = Query::parse("_id = 'bob'").unwrap();
            /// println!("{}", db.read(|txn| txn.explain(&people, &query)).unwrap());
            /// ```
            pub fn explain<T>(&self, collection: &Collection<T>, query: &Query) -> Result<Explain> {
                self.reading(collection, |reader| reader.explain(query))
            }
        }
    };
}

reads!(ReadTransaction);
reads!(WriteTransaction);

/// One word for "as a reader" on both kinds of store transaction.
trait AsReader {
    fn as_reader(&self) -> &dyn ReadTxn;
}

impl AsReader for dyn ReadTxn + '_ {
    fn as_reader(&self) -> &dyn ReadTxn {
        self
    }
}

impl AsReader for dyn WriteTxn + '_ {
    fn as_reader(&self) -> &dyn ReadTxn {
        self.as_read()
    }
}
