//! Watching what a reducer keeps.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use threads_core::Result;
use threads_core::datastore::Keyspace;
use threads_core::reducer::{ReadView, view_prefix};

use crate::db::Db;
use crate::layout::meta;
use crate::thread::Tip;

/// What is read from a view.
type Read<R> = Box<dyn FnMut(&ReadView<'_>) -> Result<R> + Send>;

/// Follows something that is read from the view of a reducer. Made by [`Db::watch_view`].
///
/// ```
/// use threads_db::LiveView;
/// fn show(unread: &mut LiveView<u64>) -> threads_core::Result<()> {
///     if let Some(count) = unread.try_next()? {
///         println!("{count} unread");
///     }
///     Ok(())
/// }
/// ```
pub struct LiveView<R> {
    db: Db,
    reducer: String,
    read: Read<R>,
    /// The end of the feed, and how far the reducer was, at the last look.
    seen: Option<(u64, Option<Vec<u8>>)>,
    told: Option<R>,
}

impl<R> fmt::Debug for LiveView<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveView")
            .field("db", &self.db)
            .field("reducer", &self.reducer)
            .finish_non_exhaustive()
    }
}

impl Db {
    /// Watches what `read` makes of a reducer's view: it is told first as it is, and then whenever it is
    /// something else. After each commit to the thread it is read again, so it should read little: a count,
    /// a page.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when `reducer` is not a name.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let mut live = db.watch_view("ages", |view| Ok(view.get(b"42")?.is_some())).unwrap();
    /// assert_eq!(live.try_next().unwrap(), Some(false), "no such reducer is registered");
    /// people.delete("bob").unwrap();
    /// assert_eq!(live.try_next().unwrap(), None, "it is as it was");
    /// ```
    pub fn watch_view<R>(
        &self,
        reducer: &str,
        read: impl FnMut(&ReadView<'_>) -> Result<R> + Send + 'static,
    ) -> Result<LiveView<R>> {
        view_prefix(&self.thread().id, reducer)?;
        Ok(LiveView {
            db: self.clone(),
            reducer: reducer.to_owned(),
            read: Box::new(read),
            seen: None,
            told: None,
        })
    }
}

impl<R: Clone + PartialEq> LiveView<R> {
    /// What is read now, if that is not what was told last.
    ///
    /// # Errors
    ///
    /// Those of [`Db::view`], once for each commit after which they come.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let mut live = db.watch_view("ages", |_| Ok(1)).unwrap();
    /// assert_eq!(live.try_next().unwrap(), Some(1));
    /// assert_eq!(live.try_next().unwrap(), None);
    /// ```
    pub fn try_next(&mut self) -> Result<Option<R>> {
        let thread = self.db.thread();
        let txn = thread.node.store.read()?;
        let row = meta::reducer(thread.number, &self.reducer);
        let row = txn.get(Keyspace::Meta, &row)?.map(|row| row.into_owned());
        let point = Some((Tip::get(&*txn, thread.number)?.position, row));
        if self.seen == point {
            return Ok(None);
        }
        let read = self.db.view_in(&*txn, &self.reducer, &mut self.read);
        self.seen = point;
        let now = Some(read?);
        if self.told == now {
            return Ok(None);
        }
        self.told.clone_from(&now);
        Ok(now)
    }

    /// What is read next that is not what was told last, waiting for it up to `wait`.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use std::time::Duration;
    /// let mut live = db.watch_view("ages", |_| Ok(1)).unwrap();
    /// assert_eq!(live.next_timeout(Duration::from_millis(1)).unwrap(), Some(1));
    /// assert_eq!(live.next_timeout(Duration::from_millis(1)).unwrap(), None);
    /// ```
    pub fn next_timeout(&mut self, wait: Duration) -> Result<Option<R>> {
        let node = Arc::clone(&self.db.thread().node);
        node.notifier.next(&*node.clock, wait, || self.try_next())
    }
}

/// What is read as it becomes something else; it ends only with the program.
impl<R: Clone + PartialEq + Unpin> Stream for LiveView<R> {
    type Item = Result<R>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let node = Arc::clone(&self.db.thread().node);
        node.notifier.poll(cx, || self.try_next())
    }
}
