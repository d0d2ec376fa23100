//! Watching the addresses of a log: the paper's `AddrStream`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use multiaddr::Multiaddr;

use super::{AddrBook, AddrChange};
use crate::datastore::Datastore;
use crate::queue::Queue;
use crate::{Error, LogId, Result, ThreadId};

/// The most events that wait for one stream. One more, and all are dropped for
/// [`AddrEvent::Lagged`].
pub const PENDING_EVENTS_MAX: usize = 64;
/// The most streams at a time.
pub const WATCHERS_MAX: usize = 1024;

type Pending = Queue<AddrEvent>;

/// What a stream tells.
///
/// ```
/// use threads_core::books::AddrEvent;
/// let event = AddrEvent::Added("/ip4/192.0.2.1/tcp/4006".parse().unwrap());
/// assert_ne!(event, AddrEvent::Lagged);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddrEvent {
    /// The log has this address. It may be told twice.
    Added(Multiaddr),
    /// The log no longer has this address.
    Removed(Multiaddr),
    /// The reader was too slow, and what was not read is lost: read the book again.
    Lagged,
}

/// Tells streams what transactions changed about addresses. Clones are the same watch.
///
/// ```
/// use std::time::Duration;
/// use threads_core::books::{AddrBookMut, AddrEvent, AddrWatch};
/// use threads_core::datastore::{DatastoreExt, Durability, Memory};
/// use threads_core::{LogId, Multiaddr, ThreadId};
///
/// let (store, watch) = (Memory::new(), AddrWatch::new());
/// let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// let log = LogId::from_key_bytes([1; 32]);
/// let mut stream = watch.subscribe(&store, &thread, &log, 1_000).unwrap();
///
/// let addr: Multiaddr = "/ip4/192.0.2.1/tcp/4006".parse().unwrap();
/// let changes = store.transact(Durability::Group, |txn| {
///     let mut book = AddrBookMut::new(txn, 1_000);
///     book.add(&thread, &log, &[addr.clone()], Duration::from_secs(60))?;
///     Ok(book.into_changes())
/// }).unwrap();
/// watch.notify(&changes);
/// assert_eq!(stream.try_next(), Some(AddrEvent::Added(addr)));
/// ```
#[derive(Clone, Default)]
pub struct AddrWatch(Arc<Watchers>);

#[derive(Default)]
struct Watchers(Mutex<Vec<Watcher>>);

struct Watcher {
    thread: ThreadId,
    log: LogId,
    /// Gone when the stream is dropped.
    pending: Weak<Pending>,
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, Vec<Watcher>> {
        // Every change is one push or one retain: a panic leaves the list whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for pending in self
            .lock()
            .iter()
            .filter_map(|watcher| watcher.pending.upgrade())
        {
            pending.close();
        }
    }
}

impl AddrWatch {
    /// A watch without streams.
    ///
    /// ```
    /// let watch = threads_core::books::AddrWatch::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream of the addresses of `log`: first those it has at the time `now_ms`, then every
    /// change. That time passes is no change; [`AddrBookMut::expire`](super::AddrBookMut::expire)
    /// makes it one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`](crate::ErrorKind::Full) when there are [`WATCHERS_MAX`] streams; those
    /// of the datastore.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// let stream = AddrWatch::new().subscribe(&store, &thread, &log, 1_000).unwrap();
    /// ```
    pub fn subscribe(
        &self,
        store: &dyn Datastore,
        thread: &ThreadId,
        log: &LogId,
        now_ms: u64,
    ) -> Result<AddrStream> {
        let pending = Arc::new(Pending::new());
        let watcher = Watcher {
            thread: thread.clone(),
            log: *log,
            pending: Arc::downgrade(&pending),
        };
        {
            let mut watchers = self.0.lock();
            watchers.retain(|watcher| watcher.pending.strong_count() > 0);
            if watchers.len() >= WATCHERS_MAX {
                return Err(Error::full("too many streams of addresses: drop some")
                    .with("most", WATCHERS_MAX));
            }
            watchers.push(watcher);
        }
        // Read after registering: a change between both is told twice rather than never.
        let snapshot = store.read()?;
        let present = AddrBook::new(&*snapshot, now_ms).addrs(thread, log)?;
        pending.edit(|events| {
            for addr in present.into_iter().rev() {
                events.push_front(AddrEvent::Added(addr));
            }
        });
        Ok(AddrStream(pending))
    }

    /// Tells the streams what a committed transaction changed. Never waits for a reader.
    ///
    /// ```
    /// threads_core::books::AddrWatch::new().notify(&[]);
    /// ```
    pub fn notify(&self, changes: &[AddrChange]) {
        let watchers = self.0.lock();
        for change in changes {
            let concerned = watchers
                .iter()
                .filter(|w| w.log == change.log && w.thread == change.thread);
            for pending in concerned.filter_map(|watcher| watcher.pending.upgrade()) {
                let added = change.added.iter().cloned().map(AddrEvent::Added);
                let removed = change.removed.iter().cloned().map(AddrEvent::Removed);
                pending.edit(|events| {
                    events.extend(removed.chain(added));
                    if events.len() > PENDING_EVENTS_MAX {
                        events.clear();
                        events.push_back(AddrEvent::Lagged);
                    }
                });
            }
        }
    }
}

impl fmt::Debug for AddrWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddrWatch")
            .field("streams", &self.0.lock().len())
            .finish()
    }
}

/// The addresses of one log, as they come and go. See [`AddrWatch::subscribe`].
///
/// ```
/// use threads_core::{LogId, books::AddrWatch, datastore::Memory};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let watch = AddrWatch::new();
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// let mut stream =
///     watch.subscribe(&Memory::new(), &thread, &LogId::from_key_bytes([1; 32]), 0).unwrap();
/// drop(watch);
/// assert_eq!(stream.next().await, None);
/// # });
/// ```
pub struct AddrStream(Arc<Pending>);

impl AddrStream {
    /// The next event; waits for it. `None` when the watch is gone. Cancel-safe.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let watch = AddrWatch::new();
    /// let mut stream = watch.subscribe(&store, &thread, &log, 1_000).unwrap();
    /// drop(watch);
    /// assert_eq!(stream.next().await, None);
    /// # });
    /// ```
    pub async fn next(&mut self) -> Option<AddrEvent> {
        self.0.next().await
    }

    /// The next event, if there is one now.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// let watch = AddrWatch::new();
    /// let mut stream = watch.subscribe(&store, &thread, &log, 1_000).unwrap();
    /// assert_eq!(stream.try_next(), None);
    /// ```
    pub fn try_next(&mut self) -> Option<AddrEvent> {
        self.0.try_next()
    }
}

impl fmt::Debug for AddrStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddrStream")
    }
}
