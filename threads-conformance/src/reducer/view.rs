//! Laws of what a reducer makes of events.

use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Memory};
use threads_core::reducer::{DispatchedEvent, ReadView, Reducer, View, view_prefix};
use threads_core::{Error, ErrorKind, Result, ThreadId};

use super::Subject;
use super::history::{History, histories, thread};
use crate::cases;
use crate::datastore::rows::Bytes;
use crate::faulty::{Fails, Faulty};
use crate::law::{Checked, Violation, ensure};

/// More operations than a reducer makes of one record.
const OPERATIONS_MAX: u64 = 1_000;

/// Keys and values as a person reads them.
type Rows = Vec<(Bytes, Bytes)>;

/// Where a reducer keeps the view of one thread.
struct Node<S> {
    store: S,
    prefix: Vec<u8>,
}

impl<S: Datastore> Node<S> {
    fn new(store: S, reducer: &dyn Reducer, thread: &ThreadId) -> Result<Self> {
        let prefix = view_prefix(thread, reducer.name())?;
        Ok(Self { store, prefix })
    }

    fn reduce(&self, reducer: &dyn Reducer, record: &[DispatchedEvent]) -> Result<()> {
        self.store.transact(Durability::Relaxed, |txn| {
            reducer.reduce(&mut View::new(txn, &self.prefix)?, record)
        })
    }

    /// Reduces in a transaction that is dropped.
    fn reduce_in_vain(&self, reducer: &dyn Reducer, record: &[DispatchedEvent]) -> Result<()> {
        let mut txn = self.store.write()?;
        reducer.reduce(&mut View::new(&mut *txn, &self.prefix)?, record)
    }

    fn clear(&self) -> Result<()> {
        self.store.transact(Durability::Relaxed, |txn| {
            View::new(txn, &self.prefix)?.clear()
        })
    }

    fn rows(&self) -> Result<Rows> {
        let txn = self.store.read()?;
        ReadView::new(&*txn, &self.prefix)?
            .scan(b"", Direction::Forward)?
            .map(|row| row.map(|(key, value)| (Bytes(key.into_owned()), Bytes(value.into_owned()))))
            .collect()
    }
}

/// What a new reducer makes of a history, a record at a time.
fn view(subject: &Subject, history: &History) -> Result<Rows> {
    let reducer = subject.make();
    let node = Node::new(Memory::new(), &*reducer, &thread(0)?)?;
    for record in &history.0 {
        node.reduce(&*reducer, record)?;
    }
    node.rows()
}

fn for_all(subject: &Subject, check: impl Fn(&History) -> Checked) -> Checked {
    cases::for_all(histories(subject), |told| match &told.0 {
        Ok(history) => check(history),
        Err(error) => Err(Violation::new(
            "histories of the given values were made",
            error,
        )),
    })
}

#[track_caller]
fn same(seen: &Rows, wanted: &Rows, done: &str) -> Checked {
    let text = format_args!("the rows {seen:?}, not {wanted:?}");
    ensure(seen == wanted, done, text)
}

pub(super) fn its_name_stays(subject: &Subject) -> Checked {
    let reducer = subject.make();
    let (name, version) = (reducer.name().to_owned(), reducer.version());
    let prefix = view_prefix(&thread(0)?, &name);
    ensure(
        prefix.is_ok(),
        "asked for its name",
        format_args!("{name:?}: {prefix:?}"),
    )?;
    for other in [&reducer, &subject.make()] {
        let seen = (other.name(), other.version());
        let done = "asked for name and version, and asked again";
        let text = format_args!("{seen:?} after {:?}", (&name, version));
        ensure(seen == (&*name, version), done, text)?;
    }
    Ok(())
}

pub(super) fn the_same_events_give_the_same_view(subject: &Subject) -> Checked {
    for_all(subject, |history| {
        let wanted = view(subject, history)?;
        let done = "a new reducer, and another new one on another node";
        same(&view(subject, history)?, &wanted, done)
    })
}

pub(super) fn it_goes_on_where_another_stopped(subject: &Subject) -> Checked {
    for_all(subject, |history| {
        let wanted = view(subject, history)?;
        let node = Node::new(Memory::new(), &*subject.make(), &thread(0)?)?;
        for record in &history.0 {
            node.reduce(&*subject.make(), record)?;
        }
        same(
            &node.rows()?,
            &wanted,
            "one reducer for all records, and a new one for each",
        )
    })
}

pub(super) fn it_works_on_many_threads(subject: &Subject) -> Checked {
    let other = thread(1)?;
    for_all(subject, |history| {
        let wanted = view(subject, history)?;
        let (reducer, elsewhere) = (subject.make(), history.in_thread(&other));
        let node = Node::new(Memory::new(), &*reducer, &thread(0)?)?;
        let second = Node::new(Memory::new(), &*reducer, &other)?;
        for (here, there) in history.0.iter().zip(&elsewhere.0) {
            second.reduce(&*reducer, there)?;
            node.reduce(&*reducer, here)?;
        }
        same(
            &node.rows()?,
            &wanted,
            "one reducer for two threads by turns",
        )
    })
}

/// Not with the first record: a view that is empty is another law's.
pub(super) fn a_call_that_was_dropped_leaves_no_trace(subject: &Subject) -> Checked {
    for_all(subject, |history| {
        let wanted = view(subject, history)?;
        let reducer = subject.make();
        let node = Node::new(Memory::new(), &*reducer, &thread(0)?)?;
        for (record, before) in history.0.iter().zip(0..) {
            if before > 0 {
                node.reduce_in_vain(&*reducer, record)?;
            }
            node.reduce(&*reducer, record)?;
        }
        let done = "each record in a transaction that was dropped, and then in one that was not";
        same(&node.rows()?, &wanted, done)
    })
}

pub(super) fn a_replay_gives_the_same_view(subject: &Subject) -> Checked {
    for_all(subject, |history| {
        let reducer = subject.make();
        let node = Node::new(Memory::new(), &*reducer, &thread(0)?)?;
        let mut views = Vec::new();
        for _ in ["at first", "again"] {
            node.clear()?;
            for record in &history.0 {
                node.reduce(&*reducer, record)?;
            }
            views.push(node.rows()?);
        }
        same(
            &views[1],
            &views[0],
            "cleared the view, and replayed all by the same reducer",
        )
    })
}

pub(super) fn a_fault_of_the_view_is_passed_on(subject: &Subject) -> Checked {
    for_all(subject, |history| {
        for fails in [Fails::Reading, Fails::Writing] {
            let reducer = subject.make();
            let store = Faulty::new(Memory::new(), fails);
            let node = Node::new(store, &*reducer, &thread(0)?)?;
            for record in &history.0 {
                fail_everywhere(&node, subject, record)?;
                node.reduce(&*reducer, record)?;
            }
        }
        Ok(())
    })
}

/// Fails the first operation of a call, then the second, and so on until none fails. Each by a
/// new reducer, for what is left of a call that was dropped is another law's.
fn fail_everywhere(
    node: &Node<Faulty<Memory>>,
    subject: &Subject,
    record: &[DispatchedEvent],
) -> Checked {
    for nth in 1..OPERATIONS_MAX {
        let reducer = subject.make();
        node.store.arm(nth);
        let result = node.reduce_in_vain(&*reducer, record);
        if !node.store.disarm() {
            return Ok(());
        }
        let kind = result.as_ref().err().map(Error::kind);
        let done = format!("operation {nth} of {:?} failed", node.store.fails());
        let right = kind == Some(ErrorKind::Unavailable);
        ensure(right, done, format_args!("the reducer gave {result:?}"))?;
    }
    Ok(())
}

pub(super) fn the_view_is_of_the_present_state(subject: &Subject) -> Checked {
    for_all(subject, |history| {
        let wanted = view(subject, &history.last_states())?;
        let done = "compared with a view of nothing but what is there at the end";
        same(&view(subject, history)?, &wanted, done)
    })
}
