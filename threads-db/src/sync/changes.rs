//! Where a thread stands with its peers, told whenever it changes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::Stream;
use threads_core::Result;

use super::status::SyncStatus;
use crate::db::Db;

/// Tells where a thread stands with its peers: first as it is, then whenever that has changed. Made by
/// [`Db::sync_changes`].
///
/// It keeps one status and no queue: who looks late is told how it stands then, and not of what was in
/// between. The last change is never missed. It is a stream, too.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// let mut changes = db.sync_changes();
/// assert!(changes.try_next().unwrap().unwrap().peers.is_empty());
/// assert!(changes.try_next().unwrap().is_none(), "nothing has changed");
/// let peer = threads_core::PeerId::from_key_bytes([1; 32]);
/// db.share_with(&peer).unwrap();
/// db.unshare(&peer).unwrap();
/// db.share_with(&peer).unwrap();
/// assert_eq!(changes.try_next().unwrap().unwrap().peers[0].lacks, 2);
/// assert!(changes.try_next().unwrap().is_none(), "once for all of it");
/// ```
#[derive(Debug)]
pub struct SyncChanges {
    db: Db,
    last: Option<SyncStatus>,
}

impl Db {
    /// Tells where this thread stands with its peers whenever that changes, beginning with how it is.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let now = db.sync_changes().try_next().unwrap().unwrap();
    /// assert_eq!(now, db.sync_status().unwrap());
    /// ```
    pub fn sync_changes(&self) -> SyncChanges {
        SyncChanges {
            db: self.clone(),
            last: None,
        }
    }
}

impl SyncChanges {
    /// How it stands, if that has changed; does not wait.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.sync_changes().try_next().unwrap().is_some());
    /// ```
    pub fn try_next(&mut self) -> Result<Option<SyncStatus>> {
        let status = self.db.sync_status()?;
        if self.last.as_ref() == Some(&status) {
            return Ok(None);
        }
        self.last = Some(status.clone());
        Ok(Some(status))
    }

    /// How it stands, once that has changed; `None` when `wait` is over. What another process changed
    /// is seen when the wait is over.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// # use std::time::Duration;
    /// let mut changes = db.sync_changes();
    /// assert!(changes.next_timeout(Duration::ZERO).unwrap().is_some());
    /// assert!(changes.next_timeout(Duration::from_millis(1)).unwrap().is_none());
    /// ```
    pub fn next_timeout(&mut self, wait: Duration) -> Result<Option<SyncStatus>> {
        let node = self.db.node();
        let (clock, notifier) = (&*node.inner.clock, &node.inner.notifier);
        match notifier.next(clock, wait, || self.try_next())? {
            None => self.try_next(),
            found => Ok(found),
        }
    }
}

/// The changes as they come; it ends only with an error.
impl Stream for SyncChanges {
    type Item = Result<SyncStatus>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let seen = self.db.node().inner.notifier.commits();
        match self.try_next() {
            Ok(Some(status)) => Poll::Ready(Some(Ok(status))),
            Ok(None) => {
                let node = self.db.node();
                node.inner.notifier.register(seen, cx.waker());
                Poll::Pending
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}
