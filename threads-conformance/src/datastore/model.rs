//! A store beside the reference store: whatever is done to both, they show the same.
//!
//! A [`Plan`] is what is done. The law takes plans from [`plans`]; a fuzzer makes them of its
//! bytes:
//!
//! ```
//! use threads_conformance::datastore::Subject;
//! use threads_conformance::datastore::model::{Plan, run};
//! use threads_core::datastore::Memory;
//!
//! let plan = Plan::from_bytes(&[42; 256]);
//! run(&Subject::new(|_dir| Ok(Memory::new())), &plan).unwrap();
//! ```

use std::fmt;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{collection, sample};
use threads_core::Result;
use threads_core::datastore::{
    Datastore, Direction, Durability, KeyRange, Keyspace, Memory, ReadTxn, WriteTxn,
};

use super::Subject;
use super::rows::{ALL, Bytes, get_in, scan};
use crate::cases::for_all;
use crate::law::{Checked, Violation, ensure};

/// Where plans put their rows: at both ends of the list of keyspaces, and in the middle.
const SPACES: [Keyspace; 3] = [Keyspace::Meta, Keyspace::Feed, Keyspace::Views];
/// The most steps of a plan.
const STEPS_MAX: usize = 16;
/// The most changes in one transaction.
const CHANGES_MAX: usize = 6;
/// How many ranges are scanned after every step.
const RANGES: usize = 3;
/// Keys are short and of few bytes, so that they meet; of such that are easily ordered wrongly.
const KEY_BYTES: [u8; 4] = [0x00, b'a', b'b', 0xff];
const KEY_BYTES_MAX: usize = 3;
/// Longer than any key, for bounds.
const LONG_KEY_BYTES: usize = 600;
/// Small values, and one that does not fit a page.
const SMALL_BYTES_MAX: usize = 8;
const LARGE_BYTES: usize = 5_000;
/// Relaxed ones twice as often.
const DURABILITIES: [Durability; 4] = [
    Durability::Relaxed,
    Durability::Relaxed,
    Durability::Group,
    Durability::Immediate,
];

/// One change in a transaction.
///
/// ```
/// use threads_conformance::datastore::model::Change;
/// use threads_core::datastore::Keyspace;
/// assert_ne!(Change::Put(Keyspace::Meta, vec![1], vec![]), Change::Delete(Keyspace::Meta, vec![1]));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// A key gets a value.
    Put(Keyspace, Vec<u8>, Vec<u8>),
    /// A key goes.
    Delete(Keyspace, Vec<u8>),
}

/// Keys and values as far as a person wants to see them.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &Vec<u8>| Bytes(bytes.clone());
        match self {
            Self::Put(space, key, value) => {
                write!(
                    f,
                    "put {:?} = {:?} in {}",
                    shown(key),
                    shown(value),
                    space.name()
                )
            }
            Self::Delete(space, key) => write!(f, "delete {:?} in {}", shown(key), space.name()),
        }
    }
}

/// One step of a plan.
///
/// ```
/// use threads_conformance::datastore::model::Step;
/// assert_eq!(format!("{:?}", Step::Abandon(vec![])), "Abandon([])");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A transaction with these changes is committed.
    Commit(Vec<Change>, Durability),
    /// A transaction with these changes is dropped.
    Abandon(Vec<Change>),
    /// A read transaction begins, and stays.
    Snapshot,
    /// The read transaction that began last ends.
    Forget,
    /// All read transactions end, and a durable store is closed and opened again.
    Reopen,
}

/// Start and end of a scan.
///
/// ```
/// use std::ops::Bound;
/// let all: threads_conformance::datastore::model::Range = (Bound::Unbounded, Bound::Unbounded);
/// # let _ = all;
/// ```
pub type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// What is done to a store, and which ranges are scanned after every step.
///
/// ```
/// use threads_conformance::datastore::model::Plan;
/// assert_eq!(Plan::from_bytes(b"some bytes of a fuzzer"), Plan::from_bytes(b"some bytes of a fuzzer"));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// Start and end of each range.
    pub ranges: Vec<Range>,
}

impl Plan {
    /// The plan that these bytes stand for, whatever they are: for fuzzers.
    ///
    /// ```
    /// use threads_conformance::datastore::model::Plan;
    /// assert!(Plan::from_bytes(&[]).steps.is_empty());
    /// assert!(!Plan::from_bytes(&[7; 64]).steps.is_empty());
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut source = Source(bytes);
        let ranges = (0..RANGES)
            .map(|_| (source.bound(0), source.bound(1)))
            .collect();
        let mut steps = Vec::new();
        while !source.0.is_empty() && steps.len() < STEPS_MAX {
            steps.push(source.step());
        }
        Self { steps, ranges }
    }
}

/// Choices made by bytes; when they are used up, the first of each.
struct Source<'b>(&'b [u8]);

impl Source<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.0
            .split_off_first()
            .map_or(0, |byte| usize::from(*byte) % bound)
    }

    fn key(&mut self) -> Vec<u8> {
        let bytes = 1 + self.below(KEY_BYTES_MAX);
        (0..bytes)
            .map(|_| KEY_BYTES[self.below(KEY_BYTES.len())])
            .collect()
    }

    fn bound(&mut self, bytes_min: usize) -> Bound<Vec<u8>> {
        match self.below(6) {
            0 => Unbounded,
            1 | 2 => Included(self.key()),
            3 | 4 => Excluded(self.key()),
            _ => Included(vec![b'a'; [bytes_min, LONG_KEY_BYTES][self.below(2)]]),
        }
    }

    fn changes(&mut self) -> Vec<Change> {
        let changes = self.below(CHANGES_MAX);
        (0..changes).map(|_| self.change()).collect()
    }

    fn change(&mut self) -> Change {
        let (space, key) = (SPACES[self.below(SPACES.len())], self.key());
        match self.below(4) {
            0 => Change::Delete(space, key),
            1 => Change::Put(space, key, vec![self.below(256) as u8; LARGE_BYTES]),
            _ => {
                let bytes = self.below(SMALL_BYTES_MAX);
                let value = (0..bytes).map(|_| self.below(256) as u8).collect();
                Change::Put(space, key, value)
            }
        }
    }

    fn step(&mut self) -> Step {
        match self.below(10) {
            0 => Step::Reopen,
            1 => Step::Snapshot,
            2 => Step::Forget,
            3 => Step::Abandon(self.changes()),
            _ => {
                let durability = DURABILITIES[self.below(DURABILITIES.len())];
                Step::Commit(self.changes(), durability)
            }
        }
    }
}

/// One line for each step.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan:")?;
        self.steps
            .iter()
            .try_for_each(|step| write!(f, "\n    {step:?}"))
    }
}

/// Every kind of plan, also with bounds that no key can equal.
///
/// ```
/// use proptest::strategy::Strategy;
/// let lengths = threads_conformance::datastore::model::plans().prop_map(|plan| plan.steps.len());
/// # let _ = lengths;
/// ```
pub fn plans() -> impl Strategy<Value = Plan> {
    let steps = collection::vec(step(), 1..STEPS_MAX);
    let ranges = collection::vec((bound(0), bound(1)), RANGES);
    (steps, ranges).prop_map(|(steps, ranges)| Plan { steps, ranges })
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(sample::select(KEY_BYTES.to_vec()), 1..=KEY_BYTES_MAX)
}

fn change() -> impl Strategy<Value = Change> {
    let value = prop_oneof![
        3 => collection::vec(any::<u8>(), 0..SMALL_BYTES_MAX),
        1 => any::<u8>().prop_map(|byte| vec![byte; LARGE_BYTES]),
    ];
    let space = || sample::select(SPACES.to_vec());
    prop_oneof![
        2 => (space(), key(), value).prop_map(|(space, key, value)| Change::Put(space, key, value)),
        1 => (space(), key()).prop_map(|(space, key)| Change::Delete(space, key)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let changes = || collection::vec(change(), 0..CHANGES_MAX);
    let durability = sample::select(DURABILITIES.to_vec());
    prop_oneof![
        6 => (changes(), durability).prop_map(|(changes, kind)| Step::Commit(changes, kind)),
        1 => changes().prop_map(Step::Abandon),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Forget),
        1 => Just(Step::Reopen),
    ]
}

fn bound(bytes_min: usize) -> impl Strategy<Value = Bound<Vec<u8>>> {
    let odd = sample::select(vec![bytes_min, LONG_KEY_BYTES]).prop_map(|bytes| vec![b'a'; bytes]);
    let key = prop_oneof![8 => key(), 1 => odd];
    prop_oneof![
        1 => Just(Unbounded),
        2 => key.clone().prop_map(Included),
        2 => key.prop_map(Excluded),
    ]
}

/// Carries out a plan on a store and on [`Memory`], and compares them after every change.
///
/// # Errors
///
/// What was done last and what was seen, when the two show different things.
///
/// ```
/// use threads_conformance::datastore::Subject;
/// use threads_conformance::datastore::model::{Plan, run};
/// use threads_core::datastore::Memory;
/// let subject = Subject::new(|_dir| Ok(Memory::new()));
/// assert_eq!(run(&subject, &Plan::from_bytes(&[3; 256])), Ok(()));
/// ```
pub fn run(subject: &Subject, plan: &Plan) -> Result<(), String> {
    carry_out(subject, plan).map_err(|violation| violation.to_string())
}

pub(super) fn does_what_the_reference_store_does(subject: &Subject) -> Checked {
    for_all(plans(), |plan| carry_out(subject, plan))
}

fn carry_out(subject: &Subject, plan: &Plan) -> Checked {
    let subject = subject.fresh()?;
    let memory = Memory::new();
    let mut store = subject.open()?;
    let durable = store.capability().durable;
    let mut left = &plan.steps[..];
    // Ends: every turn takes at least one step off what is left.
    while !left.is_empty() {
        left = &left[until_reopen(&*store, &memory, left, &plan.ranges)?..];
        if durable {
            drop(store);
            store = subject.open()?;
        }
        compare(
            &*store.read()?,
            &*memory.read()?,
            &plan.ranges,
            &format_args!("opened the store again"),
        )?;
    }
    Ok(())
}

/// Runs steps until a reopen, which ends all snapshots; gives how many steps were done.
fn until_reopen(
    store: &dyn Datastore,
    memory: &Memory,
    steps: &[Step],
    ranges: &[Range],
) -> Result<usize, Violation> {
    let mut snapshots = Vec::new();
    for (before, step) in steps.iter().enumerate() {
        match step {
            Step::Commit(changes, durability) => {
                let (mut ours, mut theirs) = (store.write()?, memory.write()?);
                change_both(&mut *ours, &mut *theirs, changes, ranges)?;
                ours.commit(*durability)?;
                theirs.commit(*durability)?;
            }
            Step::Abandon(changes) => {
                let (mut ours, mut theirs) = (store.write()?, memory.write()?);
                change_both(&mut *ours, &mut *theirs, changes, ranges)?;
            }
            Step::Snapshot => snapshots.push((store.read()?, memory.read()?)),
            Step::Forget => drop(snapshots.pop()),
            Step::Reopen => return Ok(before + 1),
        }
        compare(&*store.read()?, &*memory.read()?, ranges, step)?;
        for (ours, theirs) in &snapshots {
            compare(
                &**ours,
                &**theirs,
                ranges,
                &format_args!("{step:?}, in a snapshot from before"),
            )?;
        }
    }
    Ok(steps.len())
}

fn change_both(
    ours: &mut dyn WriteTxn,
    theirs: &mut dyn WriteTxn,
    changes: &[Change],
    ranges: &[Range],
) -> Checked {
    for change in changes {
        apply(ours, change)?;
        apply(theirs, change)?;
        compare(ours.as_read(), theirs.as_read(), ranges, change)?;
    }
    Ok(())
}

pub(crate) fn apply(txn: &mut dyn WriteTxn, change: &Change) -> Result<()> {
    match change {
        Change::Put(space, key, value) => txn.put(*space, key, value),
        Change::Delete(space, key) => txn.delete(*space, key),
    }
}

fn compare(
    ours: &dyn ReadTxn,
    theirs: &dyn ReadTxn,
    ranges: &[Range],
    done: &dyn fmt::Debug,
) -> Checked {
    let borrowed = ranges.iter().map(|(start, end)| -> KeyRange<'_> {
        (
            start.as_ref().map(Vec::as_slice),
            end.as_ref().map(Vec::as_slice),
        )
    });
    let ranges: Vec<_> = borrowed.chain([ALL]).collect();
    for space in SPACES {
        for range in ranges.iter().copied() {
            for direction in [Direction::Forward, Direction::Reverse] {
                let wanted = scan(theirs, space, range, direction)?;
                let seen = scan(ours, space, range, direction)?;
                let shown = (range.0.map(Bytes::from), range.1.map(Bytes::from));
                let text = format_args!(
                    "a {direction:?} scan of {} in {shown:?} gives {seen:?}, not {wanted:?}",
                    space.name()
                );
                ensure(seen == wanted, format_args!("{done:?}"), text)?;
            }
        }
        for key in [&b""[..], b"a", b"ab", &[0], &[0xff], &[b'a'; 600]] {
            let (seen, wanted) = (get_in(ours, space, key)?, get_in(theirs, space, key)?);
            let key = Bytes::from(key);
            let text = format_args!("get of {key:?} gives {seen:?}, not {wanted:?}");
            ensure(seen == wanted, format_args!("{done:?}"), text)?;
        }
    }
    Ok(())
}
