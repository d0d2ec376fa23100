//! The little that the laws need to run several things at once, on whatever polls them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Something to run to its end.
pub(super) type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a task on this thread.
pub(super) fn block_on(mut task: Task<'_>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    while task.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}

/// Both, at once.
pub(super) async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(move |context| {
        poll_into(a.as_mut(), &mut of_a, context);
        poll_into(b.as_mut(), &mut of_b, context);
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

fn poll_into<F: Future>(
    future: Pin<&mut F>,
    into: &mut Option<F::Output>,
    context: &mut Context<'_>,
) {
    if into.is_none()
        && let Poll::Ready(output) = future.poll(context)
    {
        *into = Some(output);
    }
}

/// The first of two to end; the other is dropped.
pub(super) async fn race<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|context| match a.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(output),
        Poll::Pending => b.as_mut().poll(context),
    })
    .await
}

/// Many at once. What becomes of each goes to `ended`, until that has enough.
pub(super) async fn many<F: Future>(
    futures: impl IntoIterator<Item = F>,
    mut ended: impl FnMut(F::Output) -> Enough,
) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(move |context| {
        let mut enough = false;
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Ready(output) if !enough => {
                enough = matches!(ended(output), Enough::Yes);
                false
            }
            Poll::Ready(_) => false,
            Poll::Pending => true,
        });
        match enough || futures.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// Whether to wait for more.
pub(super) enum Enough {
    Yes,
    No,
}

/// What a future gives now, if it is ready.
pub(super) async fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Notes that it was woken, and wakes the task itself.
struct Noted {
    woken: AtomicBool,
    task: Waker,
}

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.task.wake_by_ref();
    }
}

/// Polls a future so many times, each once it was woken, waits until it is woken again, and drops it:
/// as whoever cancels it at the worst moment. `Some` when it was ready before.
pub(super) async fn woken_and_dropped<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let (mut left, mut noted) = (polls, None::<Arc<Noted>>);
    poll_fn(move |context| {
        let waits = |noted: &Arc<Noted>| !noted.woken.swap(false, Ordering::SeqCst);
        if noted.as_ref().is_some_and(waits) {
            return Poll::Pending;
        }
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        let task = context.waker().clone();
        let noted = noted.insert(Arc::new(Noted {
            woken: AtomicBool::new(false),
            task,
        }));
        let waker = Waker::from(Arc::clone(noted));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        polled.map(Some)
    })
    .await
}
