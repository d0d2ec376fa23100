//! Waking those who wait for commits, without a queue and without a runtime.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::sync::News;

/// The most tasks that can wait at once; a further one is woken at once and asks again.
const WAKERS_MAX: usize = 1_024;

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

    /// Says what was committed, to sync as well.
    pub(crate) fn notify_of(&self, news: News) {
        if let Some(kept) = &mut self.lock().news {
            kept.insert(news);
        }
        self.notify();
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
