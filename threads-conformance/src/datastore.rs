//! The laws of [`Datastore`]: what every store has to do.
//!
//! [`LAWS`] is the list; [`datastore_laws!`](crate::datastore_laws) makes a test of each:
//!
//! ```
//! # mod tests { // A doctest runs no tests; the crate's own tests run these.
//! use threads_conformance::datastore::Subject;
//! use threads_core::datastore::Memory;
//!
//! threads_conformance::datastore_laws!(Subject::new(|_dir| Ok(Memory::new())));
//! # }
//! ```

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use threads_core::datastore::{Capability, Datastore};
use threads_core::{Error, Result};

use crate::law::laws;

mod damage;
mod durable;
mod failing;
mod keys;
pub mod model;
pub(crate) mod rows;
mod scans;
mod snapshots;
mod transactions;
mod values;
mod writers;

/// How deep the directory of a store may go.
const DEPTH_MAX: usize = 16;

type Open = dyn Fn(&Path) -> Result<Arc<dyn Datastore>> + Send + Sync;

/// The store that is checked: how to open it, and a directory of its own.
///
/// A store that keeps nothing in a directory ignores it.
///
/// ```
/// use threads_conformance::datastore::Subject;
/// use threads_core::datastore::{Datastore, Memory};
///
/// let subject = Subject::new(|_dir| Ok(Memory::new()));
/// assert!(!subject.open().unwrap().capability().durable);
/// ```
pub struct Subject {
    open: Arc<Open>,
    /// The same, with commits that fail.
    open_failing: Option<Arc<Open>>,
    dir: TempDir,
}

impl Subject {
    /// A store that `open` opens in the directory it is given, or makes there.
    ///
    /// The directory is empty at first, and removed with the subject. When the store is opened
    /// there again, what it holds has to be there; two are never open there at once.
    ///
    /// ```
    /// use threads_core::datastore::Memory;
    /// threads_conformance::datastore::Subject::new(|_dir| Ok(Memory::new()));
    /// ```
    ///
    /// # Panics
    ///
    /// When the system gives no temporary directory.
    pub fn new<D: Datastore>(open: impl Fn(&Path) -> Result<D> + Send + Sync + 'static) -> Self {
        match tempfile::tempdir() {
            Ok(dir) => Self {
                open: erase(open),
                open_failing: None,
                dir,
            },
            Err(error) => panic!("no temporary directory to check a store in: {error}"),
        }
    }

    /// Adds a way to open the store so that a commit fails before 16 MiB are in it: with little
    /// room, say, or on something that fails.
    ///
    /// ```
    /// use threads_conformance::datastore::Subject;
    /// use threads_conformance::faulty::{Fails, Faulty};
    /// use threads_core::datastore::Memory;
    ///
    /// Subject::new(|_dir| Ok(Memory::new())).with_failing(|_dir| {
    ///     let store = Faulty::new(Memory::new(), Fails::Writing);
    ///     store.arm(9);
    ///     Ok(store)
    /// });
    /// ```
    #[must_use]
    pub fn with_failing<D: Datastore>(
        mut self,
        open: impl Fn(&Path) -> Result<D> + Send + Sync + 'static,
    ) -> Self {
        self.open_failing = Some(erase(open));
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    ///
    /// Those of the store.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// # let subject = threads_conformance::datastore::Subject::new(|_dir| Ok(Memory::new()));
    /// assert!(subject.open().is_ok());
    /// ```
    pub fn open(&self) -> Result<Arc<dyn Datastore>> {
        (self.open)(self.dir.path())
    }

    fn open_failing(&self) -> Result<Arc<dyn Datastore>> {
        match &self.open_failing {
            Some(open) => open(self.dir.path()),
            None => Err(Error::unsupported("the subject opens no failing store")),
        }
    }

    /// The same store with an empty directory.
    ///
    /// ```
    /// # use threads_core::datastore::{Keyspace, Memory};
    /// # let subject = threads_conformance::datastore::Subject::new(|_dir| Ok(Memory::new()));
    /// assert!(subject.fresh().unwrap().open().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when the system gives no
    /// temporary directory.
    pub fn fresh(&self) -> Result<Self> {
        Ok(Self {
            open: Arc::clone(&self.open),
            open_failing: self.open_failing.clone(),
            dir: tempfile::tempdir().map_err(unavailable)?,
        })
    }

    /// What a process would find that opens the store after this one was killed now: the same
    /// store with a copy of the directory as it is, while the store may still be open.
    ///
    /// What was not handed to the system yet is not in it. Nothing may change the directory
    /// meanwhile.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// # let subject = threads_conformance::datastore::Subject::new(|_dir| Ok(Memory::new()));
    /// let store = subject.open().unwrap();
    /// let after = subject.after_crash().unwrap();
    /// assert!(after.open().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when the directory
    /// cannot be copied.
    pub fn after_crash(&self) -> Result<Self> {
        let copy = self.fresh()?;
        copy_dir(self.dir.path(), copy.dir.path(), DEPTH_MAX).map_err(unavailable)?;
        Ok(copy)
    }

    /// The directory of the store.
    ///
    /// ```
    /// # use threads_core::datastore::Memory;
    /// # let subject = threads_conformance::datastore::Subject::new(|_dir| Ok(Memory::new()));
    /// assert!(subject.dir().is_dir());
    /// ```
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

fn erase<D: Datastore>(open: impl Fn(&Path) -> Result<D> + Send + Sync + 'static) -> Arc<Open> {
    Arc::new(move |dir| Ok(Arc::new(open(dir)?)))
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

fn unavailable(error: io::Error) -> Error {
    Error::unavailable("the directory of a store that is checked could not be copied")
        .caused_by(error)
}

fn copy_dir(from: &Path, to: &Path, depth: usize) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other("the directory of the store is too deep"));
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_dir(&entry.path(), &target, depth - 1)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn durable(subject: &Subject) -> Result<(), String> {
    promises(subject, "durable", |capability| capability.durable)
}

fn checksums(subject: &Subject) -> Result<(), String> {
    promises(subject, "checksums", |capability| capability.checksums)?;
    match damage::is_findable(subject) {
        Ok(true) => Ok(()),
        Ok(false) => Err("values are not in the files as they are".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn instance(subject: &Subject) -> Result<(), String> {
    promises(subject, "durable", |capability| capability.durable)?;
    let store = subject.open().map_err(|error| error.to_string())?;
    let instance = store.capability().instance.map(drop);
    instance.ok_or_else(|| "instance = none".to_owned())
}

fn with_failing(subject: &Subject) -> Result<(), String> {
    let failing = subject.open_failing.as_ref().map(drop);
    failing.ok_or_else(|| "no failing store given".to_owned())
}

fn promises(subject: &Subject, name: &str, of: fn(Capability) -> bool) -> Result<(), String> {
    let store = subject.open().map_err(|error| error.to_string())?;
    match of(store.capability()) {
        true => Ok(()),
        false => Err(format!("{name} = false")),
    }
}

laws! { $
    /// Makes a test of every law of [`Datastore`](threads_core::datastore::Datastore), and one
    /// that prints which laws do not apply. It takes an expression that gives a
    /// [`Subject`](crate::datastore::Subject), which each test makes anew.
    ///
    /// ```
    /// use threads_conformance::datastore::Subject;
    /// use threads_core::datastore::Memory;
    /// threads_conformance::datastore_laws!(Subject::new(|_dir| Ok(Memory::new())));
    /// ```
    datastore_laws in datastore;

    "DS-1" keys::keys_order_bytewise: "Keys order bytewise.",
        "entities, histories and indexes are found by ranges of keys whose bytes were made to order";
    "DS-2" keys::keys_have_bounds: "A key is 1 to 511 bytes; to put or delete another is an error of kind Invalid.",
        "a key that one store takes and another refuses makes a database that cannot move";
    "DS-3" keys::a_reader_may_name_any_key: "A reader may name any key: one that is too long or empty is not there, and bounds a scan like any other.",
        "the engine builds bounds out of what users ask for, and asks before it knows";
    "DS-4" values::an_empty_value_is_a_value: "An empty value is a value, not the absence of one.",
        "an index row says all it has to say by being there";
    "DS-5" values::a_large_value_is_kept_whole: "A value of 1 MiB reads back whole.",
        "a transaction may be so large, and it is one value";
    "DS-6" values::a_put_replaces: "A put replaces the value of its key.",
        "the state of an entity would be an old one";
    "DS-7" values::a_delete_removes_its_key_and_no_other: "A delete removes its key and no other.",
        "deleted entities would come back, or others go";
    "DS-8" values::a_delete_of_nothing_is_fine: "To delete a key that is not there changes nothing and is no error.",
        "index rows are deleted without looking first";
    "DS-9" values::keyspaces_are_apart: "The same key in two keyspaces is two rows.",
        "keys of different things are equal now and then, and would overwrite each other";
    "DS-10" scans::every_kind_of_bound_is_kept: "A scan gives the rows within its bounds, included or excluded or open, and no others.",
        "pages of queries begin after the last row of the page before";
    "DS-11" scans::reverse_is_forward_backwards: "A reverse scan gives the rows of a forward scan, last first.",
        "the newest event of a history is the first of a reverse scan";
    "DS-12" scans::a_range_that_holds_nothing_gives_nothing: "A range whose end is before its start gives no rows: no error, no panic.",
        "a user may well ask for everything above 7 and below 3";
    "DS-13" scans::a_scan_gives_every_row: "A scan gives every row, however many there are.",
        "a scan that stops at a page loses entities without a word";
    "DS-14" snapshots::a_snapshot_does_not_move: "A read transaction does not see later commits.",
        "a query that reads an index and then the entities would see two different moments";
    "DS-15" snapshots::a_scan_goes_on_while_others_commit: "A scan that has begun is not changed by later commits.",
        "an export walks everything while the application goes on writing";
    "DS-16" snapshots::a_read_sees_everything_committed: "A read transaction sees every commit that has returned, whatever its durability.",
        "an application that saves and looks would not find what it saved";
    "DS-17" transactions::a_writer_gets_its_own_writes: "A write transaction gets what it has put, and does not get what it has deleted.",
        "the second action of a transaction builds on the first";
    "DS-18" transactions::a_writer_scans_its_own_writes: "A scan in a write transaction has its puts in their places and not its deletes, both ways.",
        "unique values and queries within a transaction are checked by scans";
    "DS-19" transactions::a_writer_begins_with_everything_committed: "A write transaction sees every commit before it, whatever its durability.",
        "the next record links to the one before it, and would fork the log";
    "DS-20" transactions::nobody_sees_what_is_not_committed: "What is not committed is seen by its own transaction alone.",
        "readers would show what may never happen";
    "DS-21" transactions::a_dropped_writer_leaves_no_trace: "A write transaction that is dropped leaves no trace.",
        "an action that fails drops its transaction and counts on that";
    "DS-22" transactions::a_refused_change_takes_nothing_with_it: "A put or delete that is refused changes nothing, and the transaction goes on.",
        "the application decides what to do about an error, and may go on";
    "DS-23" transactions::the_reader_of_a_writer_sees_the_same: "`as_read` sees what its write transaction sees.",
        "code that only reads is given this, in the middle of a transaction";
    "DS-24" writers::a_second_writer_on_a_thread_is_refused: "A second write transaction on a thread that has one is an error of kind Invalid.",
        "waiting for oneself is for ever, and a program that hangs does not say why";
    "DS-25" writers::a_second_writer_waits: "There is one write transaction at a time; a second one waits until it is committed or dropped.",
        "two writers at once overwrite each other";
    "DS-26" writers::a_writer_that_waited_sees_what_it_waited_for: "A write transaction that waited sees what the one before it committed.",
        "of two increments one would be lost";
    "DS-27" writers::nobody_sees_half_a_commit: "A commit is atomic: readers see all of its changes, or none.",
        "a record would be there without the state it leads to";
    "DS-28" durable::an_immediate_commit_survives if durable: "A commit of durability Immediate survives a crash once it has returned.",
        "somebody was told that it is safe";
    "DS-29" durable::a_group_commit_survives if durable: "A commit of durability Group survives a crash once it has returned.",
        "it is the default, and what peers are told is stored";
    "DS-30" durable::what_came_before_survives_too if durable: "With a commit of durability Immediate or Group, every commit before it survives.",
        "events are stored in an order, and the later ones build on the earlier";
    "DS-31" durable::relaxed_commits_are_lost_from_the_end if durable: "A crash takes Relaxed commits from the end, never in part.",
        "a log with a hole is no log";
    "DS-32" durable::sync_makes_all_durable if durable: "An empty commit of durability Immediate makes all Relaxed commits before it survive.",
        "an import commits fast, and syncs once at its end";
    "DS-33" durable::closing_is_no_crash if durable: "A store that is dropped and opened again has every commit, whatever its durability.",
        "a program that ends as it should loses nothing";
    "DS-34" durable::what_was_open_in_a_crash_is_gone if durable: "A write transaction that was open in a crash leaves no trace.",
        "nobody knows any more what it would have become";
    "DS-35" damage::a_flipped_bit_is_found if checksums: "A bit that was flipped in a stored value is an error of kind Corrupt, never a wrong value.",
        "disks fail silently, and what they give back is taken for what somebody signed";
    "DS-36" failing::a_commit_that_fails_leaves_nothing if with_failing: "A commit that gives an error leaves nothing, now or after a crash.",
        "the application tells its user that it failed, and tries again";
    "DS-37" model::does_what_the_reference_store_does: "Whatever is done to it in whatever order, a store shows what the reference store shows.",
        "contracts are broken where two of their sentences meet";
    "DS-38" durable::a_copy_is_another_instance if instance: "An instance has the same number when it is opened again, and a copy has another.",
        "two copies that go on with the same log would fork it";
}
