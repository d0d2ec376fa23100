//! A queue that one side fills without waiting and the other awaits.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use event_listener::Event;

/// Items for whoever awaits [`Queue::next`]. Who fills it decides what is full: see
/// [`Queue::edit`].
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Event,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let state = State {
            items: VecDeque::new(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Event::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Every change under the lock is one push, pop or flag: a panic leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the items at once and wakes who waits. `None` when the queue is closed.
    pub(crate) fn edit<R>(&self, change: impl FnOnce(&mut VecDeque<T>) -> R) -> Option<R> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let result = change(&mut state.items);
        drop(state);
        self.changed.notify(usize::MAX);
        Some(result)
    }

    /// Nothing comes any more. What is queued can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify(usize::MAX);
    }

    /// The first item now, if there is one.
    pub(crate) fn try_next(&self) -> Option<T> {
        self.lock().items.pop_front()
    }

    /// The first item; waits for it. `None` when the queue is closed and empty. Cancel-safe: an item is
    /// taken at the moment it is returned.
    pub(crate) async fn next(&self) -> Option<T> {
        loop {
            // Listen before looking: what comes in between is noticed.
            let change = self.changed.listen();
            {
                let mut state = self.lock();
                if let Some(item) = state.items.pop_front() {
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            change.await;
        }
    }
}
