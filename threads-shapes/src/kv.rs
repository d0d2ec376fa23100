//! Keys and values: bytes under bytes, in order.
//!
//! A pair is an entity whose id is the [key](crate::key) and which has one member, its value. The
//! collection is of `lww/1`: of two who put one key the later wins, on every peer the same, and a put
//! wins over a delete that did not know of it.
//!
//! ```
#![doc = include_str!("../doc/example.txt")]
//! use threads_shapes::Kv;
//!
//! let kv = Kv::open(&db, "settings").unwrap();
//! kv.put("ui/theme", "dark").unwrap();
//! assert_eq!(kv.get("ui/theme").unwrap().unwrap(), b"dark");
//!
//! // All of a batch happens, or nothing.
//! kv.write(|batch| {
//!     batch.put("ui/size", [0xff, 12])?;
//!     batch.del("ui/theme")
//! })
//! .unwrap();
//! let all = kv.prefix("ui/", 10).unwrap();
//! assert_eq!(all, [(b"ui/size".to_vec(), vec![0xff, 12])]);
//! ```

use std::ops::{Bound, RangeBounds};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use threads_core::multibase::{self, Base};
use threads_core::{Error, Result};
use threads_db::query::{Filter, Query, QueryCaps, field};
use threads_db::{Collection, Db, WriteTransaction};

use crate::{define, key};

/// The most pairs of one answer.
///
/// ```
/// assert_eq!(threads_shapes::kv::PAIRS_MAX, 10_000);
/// ```
pub const PAIRS_MAX: usize = 10_000;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Keys and values in a collection. See the [module](self) for an example.
#[derive(Clone, Debug)]
pub struct Kv {
    pairs: Collection<Stored>,
}

/// A pair as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "_id")]
    id: String,
    /// None where it was deleted: an id cannot be used again once its entity is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Bytes>,
}

/// A value, readable where it is text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, from = "Value")]
enum Bytes {
    Text(String),
    Base64 {
        base64: String,
    },
    /// What somebody else wrote to the collection, in a form of their own.
    Foreign(Value),
}

impl From<Value> for Bytes {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            Value::Object(mut members) => match members.remove("base64") {
                Some(Value::String(base64)) => Self::Base64 { base64 },
                _ => Self::Foreign(Value::Null),
            },
            other => Self::Foreign(other),
        }
    }
}

impl Stored {
    fn new(id: String, value: &[u8]) -> Self {
        let value = match std::str::from_utf8(value) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Base64 {
                base64: multibase::encode(Base::Base64, value),
            },
        };
        let value = Some(value);
        Self { id, value }
    }

    fn value(self) -> Result<Option<Vec<u8>>> {
        let foreign = || Error::invalid("this value was not put by a key-value store");
        let bytes = match self.value {
            None => return Ok(None),
            Some(Bytes::Text(text)) => text.into_bytes(),
            Some(Bytes::Base64 { base64 }) => {
                let decoded = multibase::decode(base64);
                decoded
                    .map_err(|cause| foreign().with("_id", &self.id).caused_by(cause))?
                    .1
            }
            Some(Bytes::Foreign(_)) => return Err(foreign().with("_id", &self.id)),
        };
        Ok(Some(bytes))
    }
}

impl Kv {
    /// The pairs in the collection of this name, which is defined if it is not there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when the codec `lww/1` is not
    /// registered, and where the collection would have to be defined in a store that is only read;
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) for a collection of another codec.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "settings").unwrap();
    /// assert_eq!(kv.collection().as_str(), "settings");
    /// ```
    pub fn open(db: &Db, name: &str) -> Result<Self> {
        let pairs = define::collection(db, name, define::LWW)?;
        Ok(Self { pairs })
    }

    /// The name of its collection.
    ///
    /// The example of [`Kv::open`] uses it.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// assert_eq!(kv.collection(), &"a".parse().unwrap());
    /// ```
    pub fn collection(&self) -> &threads_core::CollectionName {
        self.pairs.name()
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for what another program put there in
    /// a form of its own.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// assert_eq!(kv.get("nothing").unwrap(), None);
    /// ```
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let stored = self.pairs.get(&key::to_id(key.as_ref())?)?;
        stored.map_or(Ok(None), Stored::value)
    }

    /// Puts a value under a key, in place of what is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a key that [`key::to_id`] refuses,
    /// and a value of more than about 1 MiB; three quarters of that, if it is not text.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.put(b"\x00key", b"value").unwrap();
    /// ```
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.write(|batch| batch.put(key, value))
    }

    /// Deletes a key; says whether it was there.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.put("k", "v").unwrap();
    /// assert_eq!((kv.del("k").unwrap(), kv.del("k").unwrap()), (true, false));
    /// ```
    pub fn del(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.write(|batch| batch.del(key))
    }

    /// Puts `new` (or deletes, for `None`) if the value is `expected` (or absent, for `None`); says
    /// whether it was. Nobody comes in between on this node; others, who are elsewhere, may.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// assert!(kv.compare_and_swap("k", None, Some(b"1")).unwrap());
    /// assert!(!kv.compare_and_swap("k", None, Some(b"2")).unwrap());
    /// ```
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool> {
        let key = key.as_ref();
        self.write(|batch| {
            if batch.get(key)?.as_deref() != expected {
                return Ok(false);
            }
            match new {
                Some(value) => batch.put(key, value)?,
                None => drop(batch.del(key)?),
            }
            Ok(true)
        })
    }

    /// Does several things at once: all of them happen, or, on an error, none. One batch is one record,
    /// of at most 10,000 changes and 1 MiB.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.write(|batch| {
    ///     batch.put("one", "1")?;
    ///     batch.put("two", "2")
    /// })
    /// .unwrap();
    /// assert_eq!(kv.count().unwrap(), 2);
    /// ```
    pub fn write<R>(&self, work: impl FnOnce(&mut Batch<'_, '_>) -> Result<R>) -> Result<R> {
        self.pairs.db().write(|txn| work(&mut self.batch(txn)))
    }

    /// Its part of a transaction that changes other things too.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let (one, two) = (threads_shapes::Kv::open(&db, "a").unwrap(), threads_shapes::Kv::open(&db, "b").unwrap());
    /// db.write(|txn| {
    ///     one.batch(txn).put("k", "v")?;
    ///     two.batch(txn).put("k", "v")
    /// })
    /// .unwrap();
    /// ```
    pub fn batch<'t, 'a>(&'t self, txn: &'t mut WriteTransaction<'a>) -> Batch<'t, 'a> {
        let pairs = &self.pairs;
        Batch { pairs, txn }
    }

    /// The pairs of a range of keys in order, at most `limit` and [`PAIRS_MAX`] of them. What another
    /// program put there in a form of its own is left out.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.put("a", "1").unwrap();
    /// kv.put("b", "2").unwrap();
    /// assert_eq!(kv.range("b".., 10).unwrap().len(), 1);
    /// assert_eq!(kv.range::<&str>(.., 10).unwrap().len(), 2);
    /// ```
    pub fn range<K: AsRef<[u8]>>(
        &self,
        keys: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<Pair>> {
        self.take(&query(&keys), limit)
    }

    /// The same from the end: the largest keys first.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.put("a", "1").unwrap();
    /// kv.put("b", "2").unwrap();
    /// assert_eq!(kv.range_back::<&str>(.., 1).unwrap()[0].0, b"b");
    /// ```
    pub fn range_back<K: AsRef<[u8]>>(
        &self,
        keys: impl RangeBounds<K>,
        limit: usize,
    ) -> Result<Vec<Pair>> {
        self.take(&query(&keys).sort_desc("_id"), limit)
    }

    /// The pairs whose keys begin so, in order, at most `limit` and [`PAIRS_MAX`] of them.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.put("user/1", "Ann").unwrap();
    /// assert_eq!(kv.prefix("user/", 10).unwrap().len(), 1);
    /// ```
    pub fn prefix(&self, prefix: impl AsRef<[u8]>, limit: usize) -> Result<Vec<Pair>> {
        let begins = field("_id").starts_with(key::text(prefix.as_ref()));
        self.take(&Query::new().filter(living(begins)), limit)
    }

    /// Gives the pairs of a range one by one, in order and in constant memory, for as long as `pair`
    /// says `true`.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.put("a", "1").unwrap();
    /// let mut bytes = 0;
    /// kv.for_each::<&str>(.., &mut |_, value| {
    ///     bytes += value.len();
    ///     Ok(true)
    /// })
    /// .unwrap();
    /// assert_eq!(bytes, 1);
    /// ```
    pub fn for_each<K: AsRef<[u8]>>(
        &self,
        keys: impl RangeBounds<K>,
        pair: &mut dyn FnMut(Vec<u8>, Vec<u8>) -> Result<bool>,
    ) -> Result<()> {
        self.pairs.for_each(&query(&keys), &mut |row| {
            let found = serde_json::from_value(row).ok().and_then(read);
            found.map_or(Ok(true), |(key, value)| pair(key, value))
        })
    }

    /// How many keys there are. It looks at all of them.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// assert_eq!(threads_shapes::Kv::open(&db, "a").unwrap().count().unwrap(), 0);
    /// ```
    pub fn count(&self) -> Result<u64> {
        self.pairs
            .count(&Query::new().filter(field("value").exists()))
    }

    /// What is no pair does not count, so that it hides nothing that comes after it.
    fn take(&self, query: &Query, limit: usize) -> Result<Vec<Pair>> {
        let limit = limit.min(PAIRS_MAX);
        let mut pairs = Vec::new();
        let mut query = query.clone().caps(QueryCaps::unbounded());
        while pairs.len() < limit {
            let page = self
                .pairs
                .find_page(&query.clone().limit((limit - pairs.len()) as u64))?;
            pairs.extend(page.rows.into_iter().filter_map(read));
            match page.next {
                Some(next) => query = query.after(next),
                None => break,
            }
        }
        Ok(pairs)
    }
}

/// The pair of an entity; `None` where it was deleted, or is no pair: nobody who may write can keep
/// others from reading the rest.
fn read(stored: Stored) -> Option<Pair> {
    let key = key::of_id(&stored.id)?;
    Some((key, stored.value().ok()??))
}

fn living(filter: Filter) -> Filter {
    filter.and(field("value").exists())
}

/// The query for the pairs of a range of keys, in order.
fn query<K: AsRef<[u8]>>(keys: &impl RangeBounds<K>) -> Query {
    let id = |key: &K| key::text(key.as_ref());
    let mut filter = field("value").exists();
    match keys.start_bound() {
        Bound::Included(key) => filter = filter.and(field("_id").ge(id(key))),
        Bound::Excluded(key) => filter = filter.and(field("_id").gt(id(key))),
        Bound::Unbounded => {}
    }
    match keys.end_bound() {
        Bound::Included(key) => filter = filter.and(field("_id").le(id(key))),
        Bound::Excluded(key) => filter = filter.and(field("_id").lt(id(key))),
        Bound::Unbounded => {}
    }
    Query::new().filter(filter)
}

/// Changes of a [`Kv`] that happen together. Made by [`Kv::write`] and [`Kv::batch`].
///
/// ```
/// use threads_shapes::kv::Batch;
/// fn rename(batch: &mut Batch<'_, '_>, from: &str, to: &str) -> threads_core::Result<()> {
///     if let Some(value) = batch.get(from)? {
///         batch.put(to, value)?;
///         batch.del(from)?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Batch<'t, 'a> {
    pairs: &'t Collection<Stored>,
    txn: &'t mut WriteTransaction<'a>,
}

impl Batch<'_, '_> {
    /// The value of a key, as the batch has left it.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.write(|batch| {
    ///     batch.put("k", "v")?;
    ///     assert!(batch.get("k")?.is_some());
    ///     Ok(())
    /// })
    /// .unwrap();
    /// ```
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let stored = self.txn.get(self.pairs, &key::to_id(key.as_ref())?)?;
        stored.map_or(Ok(None), Stored::value)
    }

    /// See [`Kv::put`].
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// kv.write(|batch| batch.put("k", "v")).unwrap();
    /// ```
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let id = key::to_id(key.as_ref())?;
        let stored = Stored::new(id, value.as_ref());
        self.txn.save(self.pairs, &stored).map(drop)
    }

    /// See [`Kv::del`].
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let kv = threads_shapes::Kv::open(&db, "a").unwrap();
    /// assert!(!kv.write(|batch| batch.del("k")).unwrap());
    /// ```
    pub fn del(&mut self, key: impl AsRef<[u8]>) -> Result<bool> {
        let id = key::to_id(key.as_ref())?;
        let stored = self.txn.get(self.pairs, &id)?;
        if stored.is_none_or(|stored| stored.value.is_none()) {
            return Ok(false);
        }
        let stored = Stored { id, value: None };
        self.txn.save(self.pairs, &stored)?;
        Ok(true)
    }
}
