//! Listeners: told what changed, from a cursor that survives restarts.
//!
//! A listener has no queue. It reads the thread's feed from its cursor, so nothing that it does,
//! or does not do, slows a commit, and nothing is lost when it is slow: it is told how far it
//! lags and goes on from where it was.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use threads_core::codec::ActionKind;
use threads_core::{CollectionName, EntityId, Error, Result};

use crate::base;
use crate::collection::{Collection, Lookout};
use crate::db::Db;
use crate::feed::{Change, FeedReader};
use crate::query::{Filter, Query};
use crate::thread::Tip;

/// How many records a listener may be behind before it is told.
pub const LAG_RECORDS_MAX: u64 = 1_024;

/// Which changes a listener wants. Conditions of one kind add up; of different kinds they all
/// have to hold; none means all.
///
/// ```
/// use threads_core::codec::ActionKind;
/// use threads_db::ChangeFilter;
///
/// let filter = ChangeFilter::all()
///     .collection("Person".parse().unwrap())
///     .action(ActionKind::Create)
///     .action(ActionKind::Save);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    collections: Vec<CollectionName>,
    entities: Vec<EntityId>,
    actions: Vec<ActionKind>,
    query: Option<Filter>,
}

impl ChangeFilter {
    /// Every change.
    ///
    /// ```
    /// let filter = threads_db::ChangeFilter::all();
    /// ```
    pub fn all() -> Self {
        Self::default()
    }

    /// Changes in this collection.
    ///
    /// ```
    /// let filter = threads_db::ChangeFilter::all().collection("Person".parse().unwrap());
    /// ```
    #[must_use]
    pub fn collection(mut self, name: CollectionName) -> Self {
        self.collections.push(name);
        self
    }

    /// Changes of this entity.
    ///
    /// ```
    /// let filter = threads_db::ChangeFilter::all().entity("bob".parse().unwrap());
    /// ```
    #[must_use]
    pub fn entity(mut self, id: EntityId) -> Self {
        self.entities.push(id);
        self
    }

    /// Changes of this kind.
    ///
    /// ```
    /// use threads_core::codec::ActionKind;
    /// let filter = threads_db::ChangeFilter::all().action(ActionKind::Delete);
    /// ```
    #[must_use]
    pub fn action(mut self, action: ActionKind) -> Self {
        self.actions.push(action);
        self
    }

    /// Changes of entities that meet the filter of `query` afterwards, or did before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a malformed query.
    ///
    /// ```
    /// use threads_db::query::Query;
    /// let filter = threads_db::ChangeFilter::all().query(&Query::parse("age > 40").unwrap()).unwrap();
    /// ```
    pub fn query(mut self, query: &Query) -> Result<Self> {
        query.check()?;
        self.query = query.filter.clone();
        Ok(self)
    }

    fn matches(&self, change: &Change) -> bool {
        let listed = self.collections.is_empty() || self.collections.contains(&change.collection);
        let entity = self.entities.is_empty() || self.entities.contains(&change.entity);
        let action = self.actions.is_empty() || self.actions.contains(&change.action);
        listed
            && entity
            && action
            && self.query.as_ref().is_none_or(|query| {
                let mut values = change.before.iter().chain(&change.after).peekable();
                // Whether what was purged met it nobody knows any more.
                values.peek().is_none() || values.any(|value| query.matches(value))
            })
    }
}

/// Where a listener is in a thread's feed. Its text survives a restart; it is this node's own.
///
/// ```
/// use threads_db::FeedCursor;
/// let cursor: FeedCursor = "7.2".parse().unwrap();
/// assert_eq!(cursor.to_string(), "7.2");
/// assert!("7".parse::<FeedCursor>().unwrap() < cursor);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedCursor {
    /// Records up to this position are done.
    position: u64,
    /// So many changes of the record after it are, too.
    changes: u64,
}

impl FeedCursor {
    /// Before the first record.
    ///
    /// ```
    /// assert_eq!(threads_db::FeedCursor::START.to_string(), "0");
    /// ```
    pub const START: Self = Self {
        position: 0,
        changes: 0,
    };
}

impl fmt::Display for FeedCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.changes {
            0 => write!(f, "{}", self.position),
            changes => write!(f, "{}.{changes}", self.position),
        }
    }
}

impl FromStr for FeedCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (position, changes) = text.split_once('.').unwrap_or((text, "0"));
        match (position.parse(), changes.parse()) {
            (Ok(position), Ok(changes)) => Ok(Self { position, changes }),
            _ => Err(
                Error::invalid("not a cursor: use one that a listener gave, or 0")
                    .with("cursor", format_args!("{text:.80}")),
            ),
        }
    }
}

/// What a listener is told.
///
/// ```
/// use threads_db::Notice;
/// fn show(notice: Notice) {
///     match notice {
///         Notice::Change(change) => println!("{}", change.entity),
///         Notice::Lagged(records) => println!("{records} records behind"),
///         _ => {}
///     }
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Something changed.
    Change(Box<Change>),
    /// The listener is this many records behind. All of them follow, in order.
    Lagged(u64),
    /// What came after the listener's cursor is not here any more, or never was: begin anew with the present state.
    /// What follows came after this position; some of it may be in that state already.
    StartOver(u64),
}

/// Follows the changes of a thread. Made by [`Db::listen`] and [`Db::listen_from`].
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// use threads_db::{ChangeFilter, Notice};
///
/// let mut listener = db.listen(ChangeFilter::all()).unwrap();
/// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
/// let Some(Notice::Change(change)) = listener.try_next().unwrap() else { panic!() };
/// assert_eq!(change.after.unwrap()["age"], 43);
/// assert!(listener.try_next().unwrap().is_none());
/// ```
pub struct Listener {
    db: Db,
    filter: ChangeFilter,
    /// The collection of which it tells, as that shows its entities; none of the whole thread.
    of: Option<Lookout>,
    cursor: FeedCursor,
    feed: FeedReader,
    /// The rest of the record after the cursor's position, each with its number.
    rest: VecDeque<(u64, Change)>,
    /// Whether it was told of its lag, or began behind, and has not caught up since.
    behind: bool,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl Db {
    /// Listens to what is committed from now on.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let mut listener = db.listen(threads_db::ChangeFilter::all()).unwrap();
    /// assert!(listener.try_next().unwrap().is_none());
    /// ```
    pub fn listen(&self, filter: ChangeFilter) -> Result<Listener> {
        let cursor = FeedCursor {
            position: self.feed_end()?,
            changes: 0,
        };
        self.listen_from(filter, cursor)
    }

    /// Listens from a cursor: everything after it comes, then what is committed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a cursor that is after the
    /// end of this node's feed.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::{ChangeFilter, FeedCursor};
    /// let mut listener = db.listen_from(ChangeFilter::all(), FeedCursor::START).unwrap();
    /// assert!(listener.try_next().unwrap().is_some(), "bob was created before");
    /// ```
    pub fn listen_from(&self, filter: ChangeFilter, cursor: FeedCursor) -> Result<Listener> {
        let end = self.feed_end()?;
        if cursor.position > end || (cursor.position == end && cursor.changes > 0) {
            return Err(
                Error::invalid("this cursor is not of this node's feed: begin at 0")
                    .with("cursor", cursor)
                    .with("end", end),
            );
        }
        Ok(Listener {
            db: self.clone(),
            filter,
            of: None,
            cursor,
            feed: FeedReader::default(),
            rest: VecDeque::new(),
            behind: cursor.position < end,
        })
    }

    fn feed_end(&self) -> Result<u64> {
        let thread = self.thread();
        Ok(Tip::get(&*thread.node.store.read()?, thread.number)?.position)
    }
}

impl<T> Collection<T> {
    /// Listens to what is committed to this collection from now on. Values are as the collection shows them, for the
    /// filter too: one of a [module](crate::InstalledModule) shows what its version sees, and is not told of
    /// what makes no difference to that. [`Db::listen`] tells what is stored.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::{ChangeFilter, Notice};
    /// let mut listener = people.listen(ChangeFilter::all()).unwrap();
    /// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
    /// assert!(matches!(listener.try_next().unwrap(), Some(Notice::Change(_))));
    /// ```
    pub fn listen(&self, filter: ChangeFilter) -> Result<Listener> {
        let listener = self.db().listen(filter)?;
        Ok(listener.of(self))
    }

    /// Listens to this collection from a cursor; see [`Collection::listen`] and [`Db::listen_from`].
    ///
    /// # Errors
    ///
    /// Those of [`Db::listen_from`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::{ChangeFilter, FeedCursor};
    /// let mut listener = people.listen_from(ChangeFilter::all(), FeedCursor::START).unwrap();
    /// assert!(listener.try_next().unwrap().is_some(), "bob was created before");
    /// ```
    pub fn listen_from(&self, filter: ChangeFilter, cursor: FeedCursor) -> Result<Listener> {
        let listener = self.db().listen_from(filter, cursor)?;
        Ok(listener.of(self))
    }
}

impl Listener {
    fn of<T>(mut self, collection: &Collection<T>) -> Self {
        self.of = Some(collection.lookout());
        self
    }

    /// A change as this listener tells it, if it does.
    fn told(&self, change: Change) -> Option<Change> {
        let change = match &self.of {
            Some(of) => of.told(change)?,
            None => change,
        };
        self.filter.matches(&change).then_some(change)
    }

    /// Where to resume after the notices given so far.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let listener = db.listen(threads_db::ChangeFilter::all()).unwrap();
    /// let cursor = listener.cursor().to_string();
    /// db.listen_from(threads_db::ChangeFilter::all(), cursor.parse().unwrap()).unwrap();
    /// ```
    pub fn cursor(&self) -> FeedCursor {
        self.cursor
    }

    /// The next notice, if there is one now.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let mut listener = db.listen(threads_db::ChangeFilter::all()).unwrap();
    /// assert!(listener.try_next().unwrap().is_none());
    /// ```
    pub fn try_next(&mut self) -> Result<Option<Notice>> {
        loop {
            if let Some((number, change)) = self.rest.pop_front() {
                self.cursor.changes = number;
                if self.rest.is_empty() {
                    self.cursor = FeedCursor {
                        position: self.cursor.position + 1,
                        changes: 0,
                    };
                }
                if let Some(change) = self.told(change) {
                    return Ok(Some(Notice::Change(Box::new(change))));
                }
                continue;
            }
            if let Some(lag) = self.read_record()? {
                return Ok(lag);
            }
        }
    }

    /// Reads the record after the cursor. Gives what ends the search: nothing new, or a lag.
    fn read_record(&mut self) -> Result<Option<Option<Notice>>> {
        let thread = self.db.thread();
        let txn = thread.node.store.read()?;
        let end = Tip::get(&*txn, thread.number)?.position;
        let begins = base::position(&*txn, thread.number)?;
        if self.cursor.position < begins {
            self.cursor = FeedCursor {
                position: begins,
                changes: 0,
            };
            self.feed = FeedReader::default();
            return Ok(Some(Some(Notice::StartOver(begins))));
        }
        let lag = end.saturating_sub(self.cursor.position);
        if lag == 0 {
            self.behind = false;
            return Ok(Some(None));
        }
        if lag > LAG_RECORDS_MAX && !std::mem::replace(&mut self.behind, true) {
            return Ok(Some(Some(Notice::Lagged(lag))));
        }
        let changes = self.feed.changes(&*txn, thread, self.cursor.position + 1)?;
        let done = self.cursor.changes;
        self.rest = (1..)
            .zip(changes)
            .filter(|(number, _)| *number > done)
            .collect();
        if self.rest.is_empty() {
            self.cursor = FeedCursor {
                position: self.cursor.position + 1,
                changes: 0,
            };
        }
        Ok(None)
    }

    /// The next notice, waiting for one up to `wait`.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use std::time::Duration;
    /// let mut listener = db.listen(threads_db::ChangeFilter::all()).unwrap();
    /// assert!(listener.next_timeout(Duration::from_millis(1)).unwrap().is_none());
    /// ```
    pub fn next_timeout(&mut self, wait: Duration) -> Result<Option<Notice>> {
        let node = Arc::clone(&self.db.thread().node);
        node.notifier.next(&*node.clock, wait, || self.try_next())
    }
}

/// The notices as they come; it ends only with an error.
impl Stream for Listener {
    type Item = Result<Notice>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let node = Arc::clone(&self.db.thread().node);
        node.notifier.poll(cx, || self.try_next())
    }
}
