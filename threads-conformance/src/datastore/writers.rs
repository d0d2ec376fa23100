//! Laws of writers that meet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn};
use threads_core::{ErrorKind, Result};

use super::Subject;
use super::rows::{SPACE, get, get_in};
use crate::law::{Checked, Violation, ensure};

/// How long a writer that should wait is watched.
const WATCHED: Duration = Duration::from_millis(50);
/// Threads that write at once, and the transactions of each.
const WRITERS: usize = 4;
const ROUNDS: usize = 25;

pub(super) fn a_second_writer_on_a_thread_is_refused(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let first = store.write()?;
    let second = store.write().map(drop);
    let kind = second.as_ref().err().map(threads_core::Error::kind);
    let done = "began to write twice on one thread";
    ensure(
        kind == Some(ErrorKind::Invalid),
        done,
        format_args!("{second:?}"),
    )?;
    drop(first);
    let third = store.write().map(drop);
    let done = "began to write twice on one thread, dropped the first, and began again";
    ensure(third.is_ok(), done, format_args!("{third:?}"))
}

/// Watched for a moment: a store that lets both in does so at once.
pub(super) fn a_second_writer_waits(subject: &Subject) -> Checked {
    for ending in ["committed", "dropped"] {
        let store = subject.open()?;
        let (sender, receiver) = sync_channel(1);
        let first = store.write()?;
        let waited = thread::scope(|scope| -> Result<bool> {
            scope.spawn(|| {
                let began = store.write().map(drop);
                // Nobody listens any more when the first one failed.
                let _ = sender.send(began);
            });
            let waited = receiver.recv_timeout(WATCHED).is_err();
            match ending {
                "committed" => first.commit(Durability::Group)?,
                _ => drop(first),
            }
            if waited && let Ok(began) = receiver.recv() {
                began?;
            }
            Ok(waited)
        })?;
        let done =
            format!("began to write, and on another thread too, before the first was {ending}");
        ensure(waited, done, "the second did not wait")?;
    }
    Ok(())
}

fn number(txn: &(impl ReadTxn + ?Sized), key: &[u8]) -> Result<usize> {
    let text = get(txn, key)?.map(|value| String::from_utf8_lossy(&value.0).into_owned());
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

pub(super) fn a_writer_that_waited_sees_what_it_waited_for(subject: &Subject) -> Checked {
    let store = subject.open()?;
    let (sender, receiver) = sync_channel(1);
    let mut first = store.write()?;
    first.put(SPACE, b"n", b"1")?;
    let seen = thread::scope(|scope| -> Result<usize> {
        scope.spawn(|| {
            let seen = store.write().and_then(|txn| number(&*txn, b"n"));
            // Nobody listens any more when the first one failed.
            let _ = sender.send(seen);
        });
        let early = receiver.recv_timeout(WATCHED);
        first.commit(Durability::Group)?;
        early.or_else(|_| receiver.recv()).unwrap_or(Ok(0))
    })?;
    let done = "put n = 1, began to write on another thread, committed, and got n on the other";
    ensure(seen == 1, done, format_args!("n = {seen}"))?;
    no_update_is_lost(subject)
}

fn no_update_is_lost(subject: &Subject) -> Checked {
    let subject = subject.fresh()?;
    let store = subject.open()?;
    let count = || -> Result<()> {
        (0..ROUNDS).try_for_each(|_| {
            store.transact(Durability::Group, |txn| {
                let next = number(txn, b"n")? + 1;
                txn.put(SPACE, b"n", next.to_string().as_bytes())
            })
        })
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(count)).collect();
        writers.into_iter().try_for_each(join)
    })?;
    let (seen, wanted) = (number(&*store.read()?, b"n")?, WRITERS * ROUNDS);
    let done = format!("{WRITERS} threads added one {ROUNDS} times each, in transactions");
    ensure(seen == wanted, done, format_args!("{seen}, not {wanted}"))
}

fn join<E: Into<Violation>>(thread: thread::ScopedJoinHandle<'_, Result<(), E>>) -> Checked {
    match thread.join() {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

const SPACES: [Keyspace; 3] = [Keyspace::Meta, Keyspace::History, Keyspace::Views];

fn commit(store: &dyn Datastore, n: u8) -> Result<()> {
    let durability = match n % 16 {
        0 => Durability::Group,
        _ => Durability::Relaxed,
    };
    store.transact(durability, |txn| {
        SPACES.iter().try_for_each(|space| {
            txn.put(*space, b"a", &[n])?;
            txn.put(*space, b"z", &[n])
        })
    })
}

/// Every commit writes one number everywhere; a reader that sees two saw half a commit.
pub(super) fn nobody_sees_half_a_commit(subject: &Subject) -> Checked {
    let store = subject.open()?;
    commit(&*store, 0)?;
    let over = AtomicBool::new(false);
    let look = || -> Checked {
        while !over.load(Ordering::Relaxed) {
            let txn = store.read()?;
            let mut seen = Vec::new();
            for space in SPACES {
                for key in [b"a", b"z"] {
                    seen.push(get_in(&*txn, space, key)?);
                }
            }
            let whole = seen.iter().all(|value| *value == seen[0]);
            let done = "one thread commits one number to six places, another reads all six";
            ensure(whole, done, format_args!("{seen:?}"))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(look), scope.spawn(look)];
        let written = (1..=u8::MAX).try_for_each(|n| commit(&*store, n));
        over.store(true, Ordering::Relaxed);
        readers.into_iter().try_for_each(join)?;
        Ok(written?)
    })
}
