//! Laws of what survives. A crash is what [`Subject::after_crash`] makes of one.

use threads_core::datastore::{Datastore, DatastoreExt, Durability};

use super::Subject;
use super::rows::{ALL_KINDS, SPACE, all, put, rows};
use crate::law::{Checked, ensure};

/// How many relaxed commits are looked at.
const RELAXED: u8 = 40;

pub(super) fn an_immediate_commit_survives(subject: &Subject) -> Checked {
    one_commit_survives(subject, Durability::Immediate)
}

pub(super) fn a_group_commit_survives(subject: &Subject) -> Checked {
    one_commit_survives(subject, Durability::Group)
}

fn one_commit_survives(subject: &Subject, durability: Durability) -> Checked {
    let store = subject.open()?;
    put(&*store, &[(b"a", b"1"), (b"b", b"2")], durability)?;
    let seen = all(&*subject.after_crash()?.open()?.read()?)?;
    let done = format!("committed a and b, {durability:?}, crashed, and opened the store again");
    ensure(
        seen == rows(&[(b"a", b"1"), (b"b", b"2")]),
        done,
        format_args!("{seen:?}"),
    )
}

/// The numbers of the commits, one row for each.
fn commits(store: &dyn Datastore) -> threads_core::Result<Vec<u8>> {
    Ok(all(&*store.read()?)?
        .into_iter()
        .map(|(key, _)| key.0[0])
        .collect())
}

fn commit(store: &dyn Datastore, n: u8, durability: Durability) -> threads_core::Result<()> {
    put(store, &[(&[n, b'a'], b"v"), (&[n, b'z'], b"v")], durability)
}

pub(super) fn what_came_before_survives_too(subject: &Subject) -> Checked {
    for last in [Durability::Immediate, Durability::Group] {
        let subject = subject.fresh()?;
        let store = subject.open()?;
        commit(&*store, 1, Durability::Group)?;
        commit(&*store, 2, Durability::Relaxed)?;
        commit(&*store, 3, Durability::Relaxed)?;
        commit(&*store, 4, last)?;
        let mut seen = commits(&*subject.after_crash()?.open()?)?;
        // Whether it survives itself is another law's.
        seen.retain(|n| *n < 4);
        let done = format!(
            "committed 1 Group, 2 Relaxed, 3 Relaxed, 4 {last:?}, two rows each, and crashed"
        );
        ensure(
            seen == [1, 1, 2, 2, 3, 3],
            done,
            format_args!("the rows of {seen:?} below 4"),
        )?;
    }
    Ok(())
}

pub(super) fn relaxed_commits_are_lost_from_the_end(subject: &Subject) -> Checked {
    let store = subject.open()?;
    for n in 1..=RELAXED {
        commit(&*store, n, Durability::Relaxed)?;
        if n % 8 != 0 {
            continue;
        }
        let seen = commits(&*subject.after_crash()?.open()?)?;
        let whole: Vec<u8> = (1..).flat_map(|n| [n, n]).take(seen.len()).collect();
        let right = seen == whole && seen.len() % 2 == 0;
        let done = format!("made {n} Relaxed commits of two rows each, and crashed");
        ensure(right, done, format_args!("the rows of {seen:?}"))?;
    }
    Ok(())
}

pub(super) fn sync_makes_all_durable(subject: &Subject) -> Checked {
    let store = subject.open()?;
    (1..=3).try_for_each(|n| commit(&*store, n, Durability::Relaxed))?;
    store.sync()?;
    let seen = commits(&*subject.after_crash()?.open()?)?;
    let done = "made three Relaxed commits of two rows each, an empty Immediate one, and crashed";
    ensure(
        seen == [1, 1, 2, 2, 3, 3],
        done,
        format_args!("the rows of {seen:?}"),
    )
}

pub(super) fn closing_is_no_crash(subject: &Subject) -> Checked {
    let mut wanted = Vec::new();
    for (n, durability) in (1u8..).zip(ALL_KINDS) {
        let store = subject.open()?;
        commit(&*store, n, durability)?;
        wanted.extend([n, n]);
        drop(store);
        let seen = commits(&*subject.open()?)?;
        let done = format!(
            "made a commit of two rows, {durability:?}, dropped the store, and opened \
                            it again"
        );
        ensure(
            seen == wanted,
            done,
            format_args!("the rows of {seen:?}, not {wanted:?}"),
        )?;
    }
    Ok(())
}

pub(super) fn what_was_open_in_a_crash_is_gone(subject: &Subject) -> Checked {
    let store = subject.open()?;
    put(
        &*store,
        &[(b"a", b"old"), (b"b", b"old")],
        Durability::Group,
    )?;
    store.sync()?;
    let mut txn = store.write()?;
    txn.put(SPACE, b"a", b"new")?;
    txn.put(SPACE, b"c", &[0; 100_000])?;
    txn.delete(SPACE, b"b")?;
    let seen = all(&*subject.after_crash()?.open()?.read()?)?;
    let done = "committed a and b; in one transaction put a and c, deleted b, and crashed";
    ensure(
        seen == rows(&[(b"a", b"old"), (b"b", b"old")]),
        done,
        format_args!("{seen:?}"),
    )
}

pub(super) fn a_copy_is_another_instance(subject: &Subject) -> Checked {
    let instance = |subject: &Subject| -> threads_core::Result<_> {
        let store = subject.open()?;
        put(&*store, &[(b"k", b"v")], Durability::Group)?;
        Ok(store.capability().instance)
    };
    let first = instance(subject)?;
    let copy = subject.after_crash()?;
    let (again, other) = (instance(subject)?, instance(&copy)?);
    let done = "opened the store, opened it again, and opened a copy of its directory";
    let seen = format!("{first:?}, {again:?}, and {other:?} in the copy");
    ensure(again == first && other != first, done, seen)
}
