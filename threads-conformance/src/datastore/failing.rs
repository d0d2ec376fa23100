//! Laws of commits that fail.

use threads_core::Result;
use threads_core::datastore::{Datastore, DatastoreExt, Durability};

use super::Subject;
use super::rows::{SPACE, all, get_now};
use crate::law::{Checked, Violation, ensure};

/// A store that fails does so before it has taken this many commits of this size.
const COMMITS_MAX: u32 = 256;
const COMMIT_BYTES: usize = 64 << 10;

/// Each commit counts in one key and adds a row.
fn commit(store: &dyn Datastore, n: u32, durability: Durability) -> Result<()> {
    store.transact(durability, |txn| {
        txn.put(SPACE, b"count", &n.to_be_bytes())?;
        txn.put(SPACE, &n.to_be_bytes(), &[n as u8; COMMIT_BYTES])
    })
}

pub(super) fn a_commit_that_fails_leaves_nothing(subject: &Subject) -> Checked {
    for durability in [Durability::Immediate, Durability::Group] {
        let subject = subject.fresh()?;
        let store = subject.open_failing()?;
        let mut failed =
            (1..=COMMITS_MAX).filter_map(|n| Some((n, commit(&*store, n, durability).err()?)));
        let Some((n, error)) = failed.next() else {
            let seen = format!("{COMMITS_MAX} commits of {COMMIT_BYTES} bytes worked");
            return Err(Violation::new(
                "committed to a store that should fail",
                seen,
            ));
        };
        let done = format!("commit {n}, {durability:?}, failed: {error}");
        check(&*store, n - 1, &done)?;
        // It may fail too, and may not bring anything back.
        let _ = store.sync();
        check(&*store, n - 1, &format!("{done}; tried to sync"))?;
        if store.capability().durable {
            let after = subject.after_crash()?;
            check(&*after.open_failing()?, n - 1, &format!("{done}; crashed"))?;
        }
    }
    Ok(())
}

/// The store holds the commits up to this one, and nothing of another.
fn check(store: &dyn Datastore, commits: u32, done: &str) -> Checked {
    let seen = all(&*store.read()?)?.len();
    let count = get_now(store, b"count")?.map(|value| value.0);
    let wanted = (commits > 0).then(|| commits.to_be_bytes().to_vec());
    let right = count == wanted && seen == commits as usize + usize::from(commits > 0);
    let text = format_args!("{seen} rows and a count of {count:?} after {commits} good commits");
    ensure(right, done, text)
}
