//! Reducers: projections of events into views that live in the same transaction.
//!
//! # Contract
//!
//! What is in brackets is the law in `threads-conformance` that checks the sentence; what has none
//! is kept by the framework or by types.
//!
//! * [`Reducer::reduce`] is pure: what it writes follows from its view and its events alone
//!   (RE-2). No clock, randomness, network or state of its own: another one goes on where it
//!   stopped (RE-3), and what it did in one thread makes no difference in another (RE-4).
//! * Its events arrive in the order in which they were applied, each once. A record arrives
//!   whole: all of its events are in one call.
//! * It cannot tell local from remote events: a [`DispatchedEvent`] does not say.
//! * It sees and changes only its own [`View`]: of one reducer, in one thread.
//! * Its writes are committed with the events, or neither is; a call whose transaction was
//!   dropped leaves no trace in the reducer either (RE-5).
//! * What fails in its view it passes on (RE-7).
//! * An error fails the commit of a local transaction. A record from elsewhere is applied all the
//!   same: the view is marked behind, says so when it is read, and is built anew when the node is
//!   opened again.
//!
//! # For implementers
//!
//! Raise [`Reducer::version`] whenever `reduce` changes: the view is cleared and every event is
//! replayed, which gives what was there when nothing else changed (RE-6). Late events can change history: an entity is then told as one net change, from what
//! was shown `before` to what is shown `after`. Undo by `before`, do by `after`, and the view
//! stays right (RE-8).
//!
//! Run the laws: `threads_conformance::reducer_laws!` makes a test of each.
//!
//! # For users
//!
//! Register reducers when the node is opened; read what they keep through a [`ReadView`].
//!
//! # Example
//!
//! Counts the entities of each collection:
//!
//! ```
//! use threads_core::Result;
//! use threads_core::codec::ActionKind;
//! use threads_core::datastore::{DatastoreExt, Durability, Memory};
//! use threads_core::reducer::{DispatchedEvent, Reducer, View, view_prefix};
//!
//! #[derive(Debug)]
//! struct Count;
//!
//! impl Reducer for Count {
//!     fn name(&self) -> &str { "count" }
//!     fn version(&self) -> u32 { 1 }
//!     fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
//!         for event in events {
//!             let key = event.collection.as_str().as_bytes();
//!             let old = view.get(key)?.and_then(|b| Some(u64::from_be_bytes((*b).try_into().ok()?)));
//!             let (was, is) = (event.before.is_some(), event.after.is_some());
//!             match (old.unwrap_or(0) + u64::from(is)).saturating_sub(u64::from(was)) {
//!                 0 => view.delete(key)?,
//!                 new => view.put(key, &new.to_be_bytes())?,
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let store = Memory::new();
//! let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
//! let prefix = view_prefix(&thread, Count.name()).unwrap();
//! store.transact(Durability::Group, |txn| Count.reduce(&mut View::new(txn, &prefix)?, &[])).unwrap();
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use cid::Cid;
use serde_json::Value;

use crate::codec::ActionKind;
use crate::{CollectionName, EntityId, Error, Hlc, LogId, Result, ThreadId};

mod table;
mod view;

pub use table::{AnyView, TABLE_ENTRIES_MAX, TABLE_NAME_BYTES_MAX, Table, TableRows, ViewKey};
pub use view::{ReadView, VIEW_KEY_BYTES_MAX, View};

/// The longest name of a reducer, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A projection. See the [module](self) for its contract.
pub trait Reducer: fmt::Debug + Send + Sync + 'static {
    /// Its name: 1 to 64 bytes, unique in a node, and always the same (RE-1). It names the view.
    fn name(&self) -> &str;

    /// The version of what it writes. A new one clears the view and replays.
    fn version(&self) -> u32;

    /// Brings the view up to date with `events`.
    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()>;
}

impl<T: Reducer + ?Sized> Reducer for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn version(&self) -> u32 {
        (**self).version()
    }

    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
        (**self).reduce(view, events)
    }
}

/// A change to one entity, after it was applied: what reducers and listeners see.
///
/// Values are those that are stored: what a version of a module sees of them, its [lens](crate::module::Lens::get) says.
///
/// ```
/// use threads_core::reducer::DispatchedEvent;
/// fn born(event: &DispatchedEvent) -> bool {
///     event.before.is_none() && event.after.is_some()
/// }
/// ```
#[derive(Clone, PartialEq)]
pub struct DispatchedEvent {
    /// The thread.
    pub thread: ThreadId,
    /// The record that brought the change.
    pub record: Cid,
    /// The log of the record.
    pub log: LogId,
    /// The place of the record in its log, from 1.
    pub seq: u64,
    /// When its author says it happened.
    pub time: Hlc,
    /// The collection of the entity.
    pub collection: CollectionName,
    /// The entity.
    pub entity: EntityId,
    /// What happened to it.
    pub action: ActionKind,
    /// The entity as it was shown before; `None` when there was none.
    pub before: Option<Arc<Value>>,
    /// The entity as it is shown now; `None` when it is gone.
    pub after: Option<Arc<Value>>,
}

/// Says what happened to which entity; the values are the application's.
impl fmt::Debug for DispatchedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchedEvent")
            .field("thread", &self.thread)
            .field("log", &self.log)
            .field("seq", &self.seq)
            .field("collection", &self.collection.as_str())
            .field("entity", &self.entity.as_str())
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// Where the view of the reducer `name` in `thread` is kept. No two have a prefix in common.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a name that is empty or too long.
///
/// ```
/// use threads_core::reducer::view_prefix;
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// assert_ne!(view_prefix(&thread, "a").unwrap(), view_prefix(&thread, "ab").unwrap());
/// assert!(view_prefix(&thread, "").is_err());
/// ```
pub fn view_prefix(thread: &ThreadId, name: &str) -> Result<Vec<u8>> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(
            Error::invalid("the name of a reducer has 1 to 64 bytes").with("bytes", name.len())
        );
    }
    let id = thread.as_bytes();
    // Both lengths fit a byte: an id has at most 66 bytes, a name 64.
    Ok([&[id.len() as u8], id, &[name.len() as u8], name.as_bytes()].concat())
}

/// Takes the prefix of a view off a stored key.
fn strip(key: Cow<'_, [u8]>, prefix_bytes: usize) -> Cow<'_, [u8]> {
    match key {
        Cow::Borrowed(key) => Cow::Borrowed(&key[prefix_bytes..]),
        Cow::Owned(mut key) => Cow::Owned(key.split_off(prefix_bytes)),
    }
}
