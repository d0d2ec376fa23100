//! A feed: items that are added and never changed, in an order that all peers agree on.
//!
//! Each item is an entity of its own, whose id is its [`Position`]: the hybrid time of its record, the
//! log of its author, and its place in the record. So all who have the same items have them in the
//! same order, and an item that its author appended after seeing another comes after that one.
//!
//! There are two ways to read. [`Feed::read`] and [`Feed::last`] go by position: what somebody
//! appended while they were away takes its place among the others when it comes, perhaps before what was
//! read already. [`Feed::follow`] goes by arrival on this node: each item once, also those that come
//! late, from a cursor that survives restarts.
//!
//! ```
#![doc = include_str!("../doc/example.txt")]
//! use serde_json::json;
//! use threads_db::FeedCursor;
//! use threads_shapes::Feed;
//!
//! let feed: Feed = Feed::open(&db, "news").unwrap();
//! let first = feed.append(&json!("hello")).unwrap();
//! feed.append(&json!({"more": 1})).unwrap();
//! assert_eq!(feed.read(Some(&first), 10).unwrap()[0].value, json!({"more": 1}));
//!
//! let mut follower = feed.follow(FeedCursor::START).unwrap();
//! assert_eq!(follower.try_next().unwrap().unwrap().value, json!("hello"));
//! // After a restart:
//! let mut follower = feed.follow(follower.cursor()).unwrap();
//! assert_eq!(follower.try_next().unwrap().unwrap().value, json!({"more": 1}));
//! assert!(follower.try_next().unwrap().is_none());
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use threads_core::codec::ActionKind;
use threads_core::erased_serde::Serialize as Serialized;
use threads_core::{Error, ErrorKind, Hlc, Result};
use threads_db::query::{Cursor, Query, QueryCaps, field};
use threads_db::{ChangeFilter, Collection, Db, FeedCursor, Listener, Notice, WriteTransaction};

use crate::define;

/// The most items of one answer.
///
/// ```
/// assert_eq!(threads_shapes::feed::ITEMS_MAX, 10_000);
/// ```
pub const ITEMS_MAX: usize = 10_000;

/// Where an item stands among all of its feed. Positions order as their items do.
///
/// ```
#[doc = include_str!("../doc/example.txt")]
/// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
/// let (one, two) = (feed.append(&1).unwrap(), feed.append(&2).unwrap());
/// assert!(one < two);
/// assert_eq!(one.to_string().parse::<threads_shapes::feed::Position>().unwrap(), one);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(String);

/// The digits of the time, those of the place in a record, and what is between the parts.
const TIME_DIGITS: usize = 24;
const PLACE_DIGITS: usize = 4;
/// The letters and digits of the id of a log; what they say matters to nobody here.
const LOG_LETTERS: usize = 52;

impl Position {
    fn new(time: Hlc, log: &str, place: usize) -> Self {
        let Hlc { wall_ms, counter } = time;
        Self(format!("{wall_ms:016x}{counter:08x}-{log}-{place:04x}"))
    }

    /// When the item was appended, by the clock of its author.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
    /// assert!(feed.append(&1).unwrap().time().wall_ms > 0);
    /// ```
    pub fn time(&self) -> Hlc {
        let digits = |from, to| u64::from_str_radix(&self.0[from..to], 16).unwrap_or_default();
        Hlc {
            wall_ms: digits(0, 16),
            // Eight digits.
            counter: digits(16, TIME_DIGITS) as u32,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Position {
    fn read(text: String) -> Result<Self> {
        let digits = |text: &str, count| {
            let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.len() == count && text.bytes().all(digit)
        };
        let sound = |text: &str| {
            let (time, rest) = text.split_once('-')?;
            let (log, place) = rest.split_once('-')?;
            let is_log =
                log.len() == LOG_LETTERS && log.bytes().all(|byte| byte.is_ascii_alphanumeric());
            (digits(time, TIME_DIGITS) && is_log && digits(place, PLACE_DIGITS)).then_some(())
        };
        match sound(&text) {
            Some(()) => Ok(Self(text)),
            None => Err(
                Error::invalid("not the position of an item: use one that a feed gave")
                    .with("position", format_args!("{text:.100}")),
            ),
        }
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::read(text.to_owned())
    }
}

impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An item of a feed.
///
/// ```
/// use threads_shapes::feed::Item;
/// fn line(item: &Item<String>) -> String { format!("{} {}", item.position.time().wall_ms, item.value) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item<T = Value> {
    /// Where it stands.
    pub position: Position,
    /// What was appended.
    pub value: T,
}

/// An item as it is kept.
#[derive(Deserialize)]
struct Stored<T> {
    #[serde(rename = "_id")]
    id: String,
    item: T,
}

impl<T> Stored<T> {
    /// `None` for an entity that somebody else put there, without a position.
    fn item(self) -> Option<Item<T>> {
        let position = Position::read(self.id).ok()?;
        let value = self.item;
        Some(Item { position, value })
    }
}

/// An item as it is written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    item: &'a dyn Serialized,
}

/// A feed in a collection, whose items are of type `T`. See the [module](self) for an example.
pub struct Feed<T = Value> {
    items: Collection<Stored<T>>,
    /// The same, to be written to by reference.
    written: Collection<Written<'static>>,
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        let (items, written) = (self.items.clone(), self.written.clone());
        Self { items, written }
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Feed").field(self.items.name()).finish()
    }
}

impl<T> Feed<T> {
    /// The feed in the collection of this name, which is defined if it is not there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when the codec `lww/1` is not
    /// registered, and where the collection would have to be defined in a store that is only read;
    /// [`ErrorKind::Conflict`] for a collection of another codec.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<String> = threads_shapes::Feed::open(&db, "news").unwrap();
    /// ```
    pub fn open(db: &Db, name: &str) -> Result<Self> {
        let items = define::collection(db, name, define::LWW)?;
        let written = db.typed(name)?;
        Ok(Self { items, written })
    }

    /// How many items there are. It looks at all of them, but not into them.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<String> = threads_shapes::Feed::open(&db, "news").unwrap();
    /// assert_eq!(feed.count().unwrap(), 0);
    /// ```
    pub fn count(&self) -> Result<u64> {
        self.items.count(&Query::new())
    }

    /// Follows the items as they arrive on this node, from a cursor: [`FeedCursor::START`], or that of an
    /// earlier [`Follower`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a cursor of another node.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// use threads_db::FeedCursor;
    /// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
    /// feed.append(&1).unwrap();
    /// assert_eq!(feed.follow(FeedCursor::START).unwrap().try_next().unwrap().unwrap().value, 1);
    /// ```
    pub fn follow(&self, from: FeedCursor) -> Result<Follower<T>> {
        let filter = ChangeFilter::all()
            .collection(self.items.name().clone())
            .action(ActionKind::Create);
        let listener = self.items.db().listen_from(filter, from)?;
        let value = PhantomData;
        Ok(Follower { listener, value })
    }
}

impl<T: Serialize> Feed<T> {
    /// Appends an item.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a value that is not JSON, or too
    /// large: 1 MiB, and 62 levels.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
    /// feed.append(&1).unwrap();
    /// ```
    pub fn append(&self, value: &T) -> Result<Position> {
        self.items.db().write(|txn| self.append_in(txn, value))
    }

    /// Appends items in one transaction: all of them, or none; at most 10,000 and 1 MiB. They stand
    /// together in every order.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
    /// assert_eq!(feed.append_all(&[1, 2]).unwrap().len(), 2);
    /// ```
    pub fn append_all(&self, values: &[T]) -> Result<Vec<Position>> {
        self.items.db().write(|txn| {
            let log = txn.log()?.to_string();
            let mut append = |value| self.append_to(txn, &log, value);
            values.iter().map(&mut append).collect()
        })
    }

    /// Appends in a transaction that changes other things too.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
    /// db.write(|txn| feed.append_in(txn, &1)).unwrap();
    /// ```
    pub fn append_in(&self, txn: &mut WriteTransaction<'_>, value: &T) -> Result<Position> {
        let log = txn.log()?.to_string();
        self.append_to(txn, &log, value)
    }

    /// Appends to the log of a transaction.
    fn append_to(&self, txn: &mut WriteTransaction<'_>, log: &str, value: &T) -> Result<Position> {
        // What was staged before says which place is free.
        let position = Position::new(txn.time(), log, txn.staged_events());
        let (id, item) = (position.0.as_str(), value as &dyn Serialized);
        txn.create(&self.written, &Written { id, item })?;
        Ok(position)
    }
}

impl<T: DeserializeOwned> Feed<T> {
    /// The items after a position, or from the first, in order; at most `limit` and [`ITEMS_MAX`].
    ///
    /// What is not of type `T` is left out, for whoever may write can put it there: a `Feed<Value>` has
    /// everything.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
    /// feed.append_all(&[1, 2, 3]).unwrap();
    /// let first = feed.read(None, 1).unwrap().remove(0);
    /// let rest = feed.read(Some(&first.position), 10).unwrap();
    /// assert_eq!(rest.iter().map(|item| item.value).collect::<Vec<_>>(), [2, 3]);
    /// ```
    pub fn read(&self, after: Option<&Position>, limit: usize) -> Result<Vec<Item<T>>> {
        let query = match after {
            Some(position) => Query::new().filter(field("_id").gt(position.0.as_str())),
            None => Query::new(),
        };
        self.take(query, limit)
    }

    /// The last items, in order; at most `limit` and [`ITEMS_MAX`].
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
    /// feed.append_all(&[1, 2, 3]).unwrap();
    /// assert_eq!(feed.last(2).unwrap().iter().map(|item| item.value).collect::<Vec<_>>(), [2, 3]);
    /// ```
    pub fn last(&self, limit: usize) -> Result<Vec<Item<T>>> {
        let mut items = self.take(Query::new().sort_desc("_id"), limit)?;
        items.reverse();
        Ok(items)
    }

    /// The item at a position.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// let feed: threads_shapes::Feed<u32> = threads_shapes::Feed::open(&db, "numbers").unwrap();
    /// let position = feed.append(&7).unwrap();
    /// assert_eq!(feed.get(&position).unwrap(), Some(7));
    /// ```
    pub fn get(&self, position: &Position) -> Result<Option<T>> {
        let stored = self.items.get(&position.0)?;
        Ok(stored.map(|stored| stored.item))
    }

    fn take(&self, query: Query, limit: usize) -> Result<Vec<Item<T>>> {
        let limit = limit.min(ITEMS_MAX);
        let mut items = Vec::new();
        let mut query = query.caps(QueryCaps::unbounded());
        // What is no item does not count, so that it hides nothing that comes after it.
        while items.len() < limit {
            let (found, next) = self.page(&query.clone().limit((limit - items.len()) as u64))?;
            items.extend(found);
            match next {
                Some(next) => query = query.after(next),
                None => break,
            }
        }
        Ok(items)
    }

    /// The items of one page, and where the next one begins.
    fn page(&self, query: &Query) -> Result<(Vec<Item<T>>, Option<Cursor>)> {
        match self.items.find_page(query) {
            Ok(found) => Ok((
                found.rows.into_iter().filter_map(Stored::item).collect(),
                found.next,
            )),
            Err(error) if error.kind() == ErrorKind::Invalid => {
                let entities = self.items.db().collection(self.items.name().as_str())?;
                let found = entities.find_page(query)?;
                Ok((
                    found.rows.into_iter().filter_map(lenient).collect(),
                    found.next,
                ))
            }
            Err(error) => Err(error),
        }
    }
}

/// The item of an entity, if it is one of this type: nobody who may write can keep others from reading
/// the rest.
fn lenient<T: DeserializeOwned>(entity: Value) -> Option<Item<T>> {
    serde_json::from_value(entity).ok().and_then(Stored::item)
}

/// Gives the items of a feed in the order of their arrival here. Made by [`Feed::follow`].
///
/// Each item comes once. One whose author lost the right to write, and got it back, comes again.
///
/// ```
/// use threads_shapes::feed::Follower;
/// fn print_all(follower: &mut Follower) -> threads_core::Result<()> {
///     while let Some(item) = follower.try_next()? {
///         println!("{}", item.value);
///     }
///     Ok(())
/// }
/// ```
pub struct Follower<T = Value> {
    listener: Listener,
    value: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Follower<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Follower").field(&self.cursor()).finish()
    }
}

impl<T> Follower<T> {
    /// Where to resume after the items given so far. It is this node's own.
    ///
    /// The example of the [module](self) uses it.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// use threads_db::FeedCursor;
    /// let feed: threads_shapes::Feed = threads_shapes::Feed::open(&db, "news").unwrap();
    /// assert_eq!(feed.follow(FeedCursor::START).unwrap().cursor(), FeedCursor::START);
    /// ```
    pub fn cursor(&self) -> FeedCursor {
        self.listener.cursor()
    }
}

impl<T: DeserializeOwned> Follower<T> {
    /// The next item of type `T`, if there is one now.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// use threads_db::FeedCursor;
    /// let feed: threads_shapes::Feed = threads_shapes::Feed::open(&db, "news").unwrap();
    /// assert!(feed.follow(FeedCursor::START).unwrap().try_next().unwrap().is_none());
    /// ```
    pub fn try_next(&mut self) -> Result<Option<Item<T>>> {
        loop {
            let Some(notice) = self.listener.try_next()? else {
                return Ok(None);
            };
            if let Some(item) = item(notice) {
                return Ok(Some(item));
            }
        }
    }

    /// The next item, waiting for one up to `wait` after whatever else happens in the thread.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// use std::time::Duration;
    /// use threads_db::FeedCursor;
    /// let feed: threads_shapes::Feed = threads_shapes::Feed::open(&db, "news").unwrap();
    /// let mut follower = feed.follow(FeedCursor::START).unwrap();
    /// assert!(follower.next_timeout(Duration::from_millis(1)).unwrap().is_none());
    /// ```
    pub fn next_timeout(&mut self, wait: Duration) -> Result<Option<Item<T>>> {
        loop {
            let Some(notice) = self.listener.next_timeout(wait)? else {
                return Ok(None);
            };
            if let Some(item) = item(notice) {
                return Ok(Some(item));
            }
        }
    }
}

/// The item that a notice is about. What lives in the wrong place, is of another type or was purged
/// since is none.
fn item<T: DeserializeOwned>(notice: Notice) -> Option<Item<T>> {
    let Notice::Change(change) = notice else {
        return None;
    };
    change.after.and_then(lenient)
}
