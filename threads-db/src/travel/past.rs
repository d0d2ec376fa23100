//! Reading a thread as it was.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;
use threads_core::books::HeadBook;
use threads_core::datastore::{Datastore, Direction, ReadTxn};
use threads_core::{Cid, EntityId, Result};

use super::walk::{self, Entities, Replayer};
use super::{Cut, Point};
use crate::collection::Collection;
use crate::db::Db;
use crate::document::Document;
use crate::entity::Life;
use crate::query::{self, Guard, PAGE_ROWS, Plan, Query, QueryCaps};
use crate::read::{self, Shown};
use crate::thread::Thread;
use crate::txn::Rows;

/// A thread as it was at a [`Point`]: a snapshot that can be read as a
/// [`ReadTransaction`](crate::ReadTransaction) can.
///
/// One entity is found by its id at once, and replayed from its first event if anything happened to it since. A
/// query looks at every entity of the collection, in constant memory, for the past has no indexes; what it keeps
/// is bounded by its [caps](crate::query::QueryCaps), as ever. Fields are not compared with the schema of today.
///
/// What was [purged](crate::Db::purge) is in no past.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// use threads_db::{Point, query::Query};
/// let before = Point::Records(db.heads().unwrap());
/// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
/// let past = db.as_of(&before).unwrap();
/// assert_eq!(past.get(&people, "bob").unwrap().unwrap()["age"], 42);
/// assert_eq!(past.count(&people, &Query::parse("age > 42").unwrap()).unwrap(), 0);
/// ```
pub struct Past<'a> {
    db: &'a Db,
    txn: Box<dyn ReadTxn + 'a>,
    cut: Cut,
}

impl fmt::Debug for Past<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past")
            .field("db", self.db)
            .finish_non_exhaustive()
    }
}

/// Whether a query wants its rows in the order of a walk, by id.
fn in_order(query: &Query) -> bool {
    query.id_order() == Some(Direction::Forward)
}

type Documents<'p> = Box<dyn Iterator<Item = Result<Document>> + 'p>;

impl Db {
    /// The last record of every log, as a [`Point::Records`] has them: all that is known here now.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert_eq!(db.heads().unwrap(), [db.log(Some(1)).unwrap()[0].record]);
    /// ```
    pub fn heads(&self) -> Result<Vec<Cid>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let heads = HeadBook::new(&*txn).all(&thread.id)?;
        Ok(heads.into_iter().map(|(_, head)| head.record).collect())
    }

    /// The thread as it was.
    ///
    /// Where the point is records, those are followed to all that they build on first: as much work as there are
    /// records before them, and none for the present heads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when a record is not here;
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a position that the feed has not come to.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let past = db.as_of(&"1970-01-01T00:00:00Z".parse().unwrap()).unwrap();
    /// assert!(!past.has(&people, "bob").unwrap());
    /// ```
    pub fn as_of(&self, point: &Point) -> Result<Past<'_>> {
        let thread = self.thread();
        thread.check_reads()?;
        let txn = thread.node.store.read()?;
        let cut = Cut::at(&*txn, thread, point)?;
        Ok(Past { db: self, txn, cut })
    }
}

impl Past<'_> {
    fn thread(&self) -> &Thread {
        self.db.thread()
    }

    fn document<T>(&self, collection: &Collection<T>, id: &str) -> Result<Option<Document>> {
        collection.check_thread(self.thread())?;
        let number = walk::number(&*self.txn, self.thread(), collection.name())?;
        let (Some(number), Ok(id)) = (number, id.parse::<EntityId>()) else {
            return Ok(None);
        };
        let mut replayer = Replayer::new(&*self.txn, self.thread(), number);
        let kept = replayer.entity(id.as_str())?;
        match replayer.life(&kept, &self.cut)? {
            Life::Waiting(codec) => {
                let missing = self.thread().node.codecs.get(&codec).err();
                missing.map_or(Ok(None), |error| Err(error.with("_id", id)))
            }
            life => {
                let stored = replayer.show(life, id.as_str())?;
                stored.map(collection.shown()).transpose()
            }
        }
    }

    fn caps(&self, query: &Query) -> QueryCaps {
        query.caps.unwrap_or(self.thread().node.caps)
    }

    /// The entities where a query looks, by id, as the collection shows them.
    fn documents<'p, T>(
        &'p self,
        collection: &Collection<T>,
        query: &Query,
    ) -> Result<Documents<'p>> {
        let (stored, shown) = (self.stored(collection, query)?, collection.shown());
        Ok(Box::new(stored.map(move |document| shown(document?))))
    }

    fn stored<'p, T>(&'p self, collection: &Collection<T>, query: &Query) -> Result<Documents<'p>> {
        collection.check_thread(self.thread())?;
        query.check()?;
        let number = walk::number(&*self.txn, self.thread(), collection.name())?;
        let Some(number) = number else {
            return Ok(Box::new(std::iter::empty()));
        };
        let (txn, thread) = (&*self.txn, self.thread());
        let guard = Guard::new(self.caps(query), &*thread.node.clock);
        let mut replayer = Replayer::new(txn, thread, number);
        if let Plan::ById(ids) = query.plan(&[]) {
            let found = ids.into_iter().filter_map(move |id| {
                let id = id.parse::<EntityId>().ok()?;
                let kept = replayer.entity(id.as_str());
                kept.and_then(|kept| replayer.document(&kept, &self.cut))
                    .transpose()
            });
            return Ok(Box::new(guard.watch(found)));
        }
        let entities = guard.watch(Entities::new(txn, thread, number)?);
        Ok(Box::new(entities.filter_map(move |kept| {
            kept.and_then(|kept| replayer.document(&kept, &self.cut))
                .transpose()
        })))
    }

    /// Whether there was such an entity.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.as_of(&Default::default()).unwrap().has(&people, "bob").unwrap());
    /// ```
    pub fn has<T>(&self, collection: &Collection<T>, id: &str) -> Result<bool> {
        Ok(self.document(collection, id)?.is_some())
    }

    /// The entity of this id as it was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when it was not of the collection's type;
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when its codec is not installed here.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let now = db.as_of(&Default::default()).unwrap();
    /// assert_eq!(now.get(&people, "bob").unwrap(), people.get("bob").unwrap());
    /// ```
    pub fn get<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        id: &str,
    ) -> Result<Option<T>> {
        let document = self.document(collection, id)?;
        document.map(|document| document.read()).transpose()
    }

    /// The entities that a query asks for, in its order.
    ///
    /// # Errors
    ///
    /// As [`ReadTransaction::find`](crate::ReadTransaction::find).
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::query::Query;
    /// let now = db.as_of(&Default::default()).unwrap();
    /// assert_eq!(now.find(&people, &Query::parse("age > 40").unwrap()).unwrap().len(), 1);
    /// ```
    pub fn find<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        query: &Query,
    ) -> Result<Vec<T>> {
        Ok(self.page(collection, query)?.rows)
    }

    /// The same, page by page; see [`ReadTransaction::find_page`](crate::ReadTransaction::find_page).
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let now = db.as_of(&Default::default()).unwrap();
    /// assert!(now.find_page(&people, &Default::default()).unwrap().next.is_none());
    /// ```
    pub fn find_page<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        query: &Query,
    ) -> Result<Rows<T>> {
        match query.limit {
            Some(_) => self.page(collection, query),
            None => self.page(collection, &query.clone().limit(PAGE_ROWS)),
        }
    }

    fn page<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        query: &Query,
    ) -> Result<Rows<T>> {
        let documents = self.documents(collection, query)?;
        let found = query::run(documents, query, in_order(query), self.caps(query))?;
        read::rows(found, query)
    }

    /// How many entities met a query's filter; its limit and skip do not count.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let now = db.as_of(&Default::default()).unwrap();
    /// assert_eq!(now.count(&people, &Default::default()).unwrap(), 1);
    /// ```
    pub fn count<T>(&self, collection: &Collection<T>, query: &Query) -> Result<u64> {
        query::count_of(self.documents(collection, query)?, query)
    }

    /// Gives the rows of a query one by one; see
    /// [`ReadTransaction::for_each`](crate::ReadTransaction::for_each).
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let (now, mut rows) = (db.as_of(&Default::default()).unwrap(), 0);
    /// now.for_each(&people, &Default::default(), &mut |_| { rows += 1; Ok(true) }).unwrap();
    /// assert_eq!(rows, 1);
    /// ```
    pub fn for_each<T>(
        &self,
        collection: &Collection<T>,
        query: &Query,
        row: &mut dyn FnMut(Value) -> Result<bool>,
    ) -> Result<()> {
        let documents = self.documents(collection, query)?;
        if query.sort.is_empty() && query.after.is_none() {
            return read::stream(documents, query, row);
        }
        let found = query::run(documents, query, in_order(query), self.caps(query))?;
        let shown = Shown::new(query);
        for document in &found.rows {
            if !row(shown.read(document)?)? {
                break;
            }
        }
        Ok(())
    }
}
