//! Waking those who wait for commits, without a queue and without a runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use threads_core::{Clock, Result};

use crate::layout::Number;
use crate::sync::News;

/// The most tasks that can wait at once; a further one is woken at once and asks again.
const WAKERS_MAX: usize = 1_024;
/// The most threads that are noted for a watcher; when more have changed it looks at all of them.
const TOUCHED_MAX: usize = 1_024;

/// Counts commits and wakes whoever waits for the next one.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    commits: u64,
    wakers: Vec<Waker>,
    /// What sync has not been told; nothing is kept before it has asked. At most one for each
    /// thread, and for each thread and peer.
    news: Option<BTreeSet<News>>,
    /// What each watcher of all threads has not looked at.
    watchers: BTreeMap<u64, Touched>,
    /// How many watchers there were.
    watched: u64,
}

/// Threads that were touched since a watcher asked last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) threads: BTreeSet<Number>,
    /// Whether there were more than are noted: it may have been any.
    pub(crate) lags: bool,
}

impl Touched {
    fn note(&mut self, thread: Number) {
        if self.lags {
            return;
        }
        self.threads.insert(thread);
        if self.threads.len() > TOUCHED_MAX {
            self.threads.clear();
            self.lags = true;
        }
    }
}

impl Notifier {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A counter and a list of wakers are whole between any two operations.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many commits there were. Take it before looking, and wait for the next one after.
    pub(crate) fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// Says that something was committed. Never waits for a listener.
    pub(crate) fn notify(&self) {
        let wakers = {
            let mut state = self.lock();
            state.commits += 1;
            std::mem::take(&mut state.wakers)
        };
        self.changed.notify_all();
        for waker in wakers {
            waker.wake();
        }
    }

    /// Says which threads were touched.
    pub(crate) fn notify_in(&self, threads: impl IntoIterator<Item = Number>) {
        self.touch(threads);
        self.notify();
    }

    /// Says what was committed, to sync as well.
    pub(crate) fn notify_of(&self, news: News) {
        if let Some(kept) = &mut self.lock().news {
            kept.insert(news);
        }
        self.notify_in(news.thread());
    }

    fn touch(&self, threads: impl IntoIterator<Item = Number>) {
        let mut state = self.lock();
        if state.watchers.is_empty() {
            return;
        }
        for thread in threads {
            let watchers = state.watchers.values_mut();
            watchers.for_each(|touched| touched.note(thread));
        }
    }

    /// Begins to note for a watcher which threads are touched, until it ends.
    pub(crate) fn watch(&self) -> u64 {
        let mut state = self.lock();
        state.watched += 1;
        let watcher = state.watched;
        state.watchers.insert(watcher, Touched::default());
        watcher
    }

    /// What was touched since a watcher asked last.
    pub(crate) fn take_touched(&self, watcher: u64) -> Touched {
        let mut state = self.lock();
        let touched = state.watchers.get_mut(&watcher);
        touched.map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn end_watch(&self, watcher: u64) {
        self.lock().watchers.remove(&watcher);
    }

    pub(crate) fn has_news(&self) -> bool {
        self.lock()
            .news
            .as_ref()
            .is_some_and(|news| !news.is_empty())
    }

    /// What sync has not been told.
    pub(crate) fn take_news(&self) -> Vec<News> {
        let news = self.lock().news.replace(BTreeSet::new());
        news.unwrap_or_default().into_iter().collect()
    }

    /// Waits until there were more than `seen` commits, or `wait` is over. Says which.
    pub(crate) fn wait(&self, seen: u64, wait: Duration) -> bool {
        let waiting = self
            .changed
            .wait_timeout_while(self.lock(), wait, |s| s.commits == seen);
        waiting.map_or_else(
            |poisoned| poisoned.into_inner().0.commits,
            |(s, _)| s.commits,
        ) != seen
    }

    /// What `look` finds, looking again after each commit until `wait` is over.
    pub(crate) fn next<R>(
        &self,
        clock: &dyn Clock,
        wait: Duration,
        mut look: impl FnMut() -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let end = clock.now_ms().saturating_add(millis);
        let mut left = wait;
        loop {
            let seen = self.commits();
            if let Some(found) = look()? {
                return Ok(Some(found));
            }
            // Whatever else is committed on the node wakes it too.
            if left.is_zero() || !self.wait(seen, left) {
                return Ok(None);
            }
            left = left.min(Duration::from_millis(end.saturating_sub(clock.now_ms())));
        }
    }

    /// The same for a task: what `look` finds, or the task is woken after the next commit.
    pub(crate) fn poll<R>(
        &self,
        cx: &Context<'_>,
        mut look: impl FnMut() -> Result<Option<R>>,
    ) -> Poll<Option<Result<R>>> {
        let seen = self.commits();
        match look().transpose() {
            None => {
                self.register(seen, cx.waker());
                Poll::Pending
            }
            found => Poll::Ready(found),
        }
    }

    /// Wakes `waker` once there were more than `seen` commits.
    pub(crate) fn register(&self, seen: u64, waker: &Waker) {
        let mut state = self.lock();
        if state.commits != seen || state.wakers.len() >= WAKERS_MAX {
            drop(state);
            waker.wake_by_ref();
            return;
        }
        if !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_has_each_thread_once_and_is_told_when_there_were_too_many() {
        let notifier = Notifier::default();
        notifier.notify_in([1]);
        let (one, two) = (notifier.watch(), notifier.watch());
        notifier.notify_in([2, 3, 2]);
        let touched = notifier.take_touched(one);
        assert_eq!(touched.threads, BTreeSet::from([2, 3]));
        assert!(!touched.lags);
        assert_eq!(notifier.take_touched(one), Touched::default());
        let most = TOUCHED_MAX as Number;
        notifier.notify_in(10..10 + most);
        let touched = notifier.take_touched(one);
        assert_eq!((touched.threads.len(), touched.lags), (TOUCHED_MAX, false));
        let touched = notifier.take_touched(two);
        assert_eq!((touched.threads.len(), touched.lags), (0, true));
        notifier.end_watch(one);
        notifier.notify_in([1]);
        assert_eq!(notifier.take_touched(one), Touched::default());
        assert_eq!(notifier.take_touched(two).threads, BTreeSet::from([1]));
    }
}
