//! Where the threads of a node stand with their peers, told whenever one of them changes.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::Stream;
use threads_core::Result;
use threads_core::block::sha256;

use super::status::SyncStatus;
use crate::db::Db;
use crate::layout::Number;
use crate::node::Node;

/// Tells where each thread of a node stands with its peers: first all as they are, then each that has
/// changed. Made by [`Node::sync_changes`].
///
/// It keeps a digest for each thread and no queue: who looks late is told how a thread stands then, once.
/// The last change of each is never missed. A thread is opened when it is told of, and not kept. It is a
/// stream, too.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// let mut changes = node.sync_changes();
/// assert_eq!(changes.try_next().unwrap().unwrap().0.name(), "friends");
/// assert!(changes.try_next().unwrap().is_none(), "that is all, and nothing has changed");
/// db.share_with(&threads_core::PeerId::from_key_bytes([1; 32])).unwrap();
/// let (changed, status) = changes.try_next().unwrap().unwrap();
/// assert_eq!((changed.id(), status.peers.len()), (db.id(), 1));
/// assert!(changes.try_next().unwrap().is_none());
/// ```
#[derive(Debug)]
pub struct NodeSyncChanges {
    node: Node,
    watcher: u64,
    /// Threads that were touched and not looked at since.
    touched: BTreeSet<Number>,
    /// From which one on all are to be looked at.
    all_from: Option<Number>,
    /// How each stood when it was told of.
    told: BTreeMap<Number, [u8; 32]>,
}

impl Node {
    /// Tells where the threads stand with their peers whenever that changes, beginning with how they are.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// # let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// assert!(node.sync_changes().try_next().unwrap().is_none(), "there are no threads");
    /// ```
    pub fn sync_changes(&self) -> NodeSyncChanges {
        NodeSyncChanges {
            watcher: self.inner.notifier.watch(),
            node: self.clone(),
            touched: BTreeSet::new(),
            all_from: Some(0),
            told: BTreeMap::new(),
        }
    }
}

impl NodeSyncChanges {
    /// A thread that stands otherwise than it was told to; does not wait.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(node.sync_changes().try_next().unwrap().is_some());
    /// ```
    pub fn try_next(&mut self) -> Result<Option<(Db, SyncStatus)>> {
        // Ends: there are so many threads, and each is looked at once.
        while let Some(thread) = self.next_thread()? {
            if !self.node.has_thread(thread)? {
                self.told.remove(&thread);
                continue;
            }
            let db = self.node.db(thread)?;
            let status = db.sync_status()?;
            let digest = sha256(format!("{status:?}").as_bytes());
            if self.told.insert(thread, digest) != Some(digest) {
                return Ok(Some((db, status)));
            }
        }
        Ok(None)
    }

    /// The next thread to look at.
    fn next_thread(&mut self) -> Result<Option<Number>> {
        if self.all_from.is_none() && self.touched.is_empty() {
            let touched = self.node.inner.notifier.take_touched(self.watcher);
            self.all_from = touched.lags.then_some(0);
            self.touched = touched.threads;
        }
        if let Some(from) = self.all_from {
            let next = self.node.thread_from(from)?;
            self.all_from = next.and_then(|next| next.checked_add(1));
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(self.touched.pop_first())
    }

    /// A thread that stands otherwise than it was told to, once there is one; `None` when `wait` is over.
    /// What another process changed is seen when the wait is over.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// # use std::time::Duration;
    /// let mut changes = node.sync_changes();
    /// assert!(changes.next_timeout(Duration::ZERO).unwrap().is_some());
    /// assert!(changes.next_timeout(Duration::from_millis(1)).unwrap().is_none());
    /// ```
    pub fn next_timeout(&mut self, wait: Duration) -> Result<Option<(Db, SyncStatus)>> {
        let node = self.node.clone();
        let (clock, notifier) = (&*node.inner.clock, &node.inner.notifier);
        match notifier.next(clock, wait, || self.try_next())? {
            None => {
                self.all_from = Some(0);
                self.try_next()
            }
            found => Ok(found),
        }
    }
}

/// The changes as they come; it ends only with an error.
impl Stream for NodeSyncChanges {
    type Item = Result<(Db, SyncStatus)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let seen = self.node.inner.notifier.commits();
        match self.try_next() {
            Ok(Some(changed)) => Poll::Ready(Some(Ok(changed))),
            Ok(None) => {
                self.node.inner.notifier.register(seen, cx.waker());
                Poll::Pending
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

/// Its threads are noted no longer.
impl Drop for NodeSyncChanges {
    fn drop(&mut self) {
        self.node.inner.notifier.end_watch(self.watcher);
    }
}
