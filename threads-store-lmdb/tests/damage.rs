//! Bits that flip and files that are cut: right data or an error, never a signal, never wrong data.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::Path;

use common::{Numbers, Pairs, child_role, fast_dir, options, rows, say, spawn_child};
use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, KeyRange, Keyspace, ReadTxn, WriteTxn,
};
use threads_core::{Error, ErrorKind, Result};
use threads_store_lmdb::{Lmdb, LmdbOptions};

const SPACES: [Keyspace; 3] = [Keyspace::Meta, Keyspace::Blocks, Keyspace::Views];
/// Enough for branches above branches.
const ROWS: u32 = 1_200;
const PAGE: usize = 4_096;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
/// What is right, by the place of the keyspace in [`SPACES`].
type Right = Vec<Rows>;

#[test]
fn child() {
    let Some((role, dir)) = child_role() else {
        return;
    };
    let words: Vec<&str> = role.split(' ').collect();
    match words[..] {
        ["guarded", check_bytes_max] => guarded(&dir, check_bytes_max.parse().unwrap()),
        ["raw", from] => raw::child(&dir, from.parse().unwrap()),
        _ => panic!("no such role: {role}"),
    }
}

fn key(i: u32) -> Vec<u8> {
    i.wrapping_mul(0x9E37_79B9).to_be_bytes().repeat(40)
}

/// A store with everything LMDB knows: branches above branches, long values, free pages.
fn fill(dir: &Path) {
    let store = options().open(dir).unwrap();
    for round in 0..4u32 {
        store
            .transact(Durability::Group, |txn| {
                // Later rounds change a little, so that most of the file is in use.
                for i in 0..if round == 0 { ROWS } else { 30 } {
                    let space = SPACES[if i % 3 == 0 { i as usize / 3 % 3 } else { 0 }];
                    let bytes = if i % 50 == 0 { 9_000 } else { 60 };
                    if round == 0 || i % 5 == round {
                        txn.put(space, &key(i), &vec![(i ^ round) as u8; bytes])?;
                    }
                    if i % 9 == round {
                        txn.delete(space, &key(i))?;
                    }
                }
                Ok(())
            })
            .unwrap();
    }
}

/// How the file is damaged: cut to a length, one bit flipped, a page overwritten, or a pointer
/// changed.
enum Damage {
    Cut(usize),
    Flip { byte: usize, bit: u32 },
    Copy { to: usize, from: usize },
    Point { byte: usize, to: u32 },
}

impl Damage {
    fn of(&self, pristine: &[u8]) -> Vec<u8> {
        let mut bytes = pristine.to_vec();
        match *self {
            Self::Cut(length) => bytes.truncate(length),
            Self::Flip { byte, bit } => bytes[byte] ^= 1 << bit,
            Self::Copy { to, from } => bytes.copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE),
            Self::Point { byte, to } => bytes[byte..byte + 4].copy_from_slice(&to.to_ne_bytes()),
        }
        bytes
    }

    /// A key at which LMDB may meet it, and whether that comes only after the key: the last key
    /// of the leaf that it is in, or the key of the long value.
    fn key_beside(&self, pristine: &[u8]) -> Option<(Vec<u8>, bool)> {
        let Self::Flip { byte, .. } = *self else {
            return None;
        };
        let number = byte / PAGE;
        if flags(pristine, number) == 2 {
            let last = *nodes(pristine, number).last().unwrap();
            return Some((node_key(pristine, last).to_vec(), true));
        }
        let leaves = pages_of_kind(pristine, 2).into_iter();
        let mut rows = leaves.flat_map(|leaf| nodes(pristine, leaf));
        let owner = rows.find(|at| {
            let value = at + 8 + u16_at(pristine, at + 6);
            let is_long = u16_at(pristine, at + 4) == 1;
            is_long && pristine[value..value + 8] == (number as u64).to_ne_bytes()
        })?;
        Some((node_key(pristine, owner).to_vec(), false))
    }

    fn describe(&self) -> String {
        match self {
            Self::Cut(length) => format!("cut to {length}"),
            Self::Flip { byte, bit } => format!("bit {bit} of byte {byte} flipped"),
            Self::Copy { to, from } => format!("page {to} overwritten by page {from}"),
            Self::Point { byte, to } => format!("pointer at byte {byte} to page {to}"),
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap()))
}

fn flags(file: &[u8], page: usize) -> usize {
    u16_at(file, page * PAGE + 10)
}

fn pages_of_kind(file: &[u8], kind: usize) -> Vec<usize> {
    let pages = 0..file.len() / PAGE;
    pages.filter(|page| flags(file, *page) == kind).collect()
}

/// Where in the file the nodes of a page are.
fn nodes(pristine: &[u8], number: usize) -> Vec<usize> {
    let page = &pristine[number * PAGE..(number + 1) * PAGE];
    let nodes = (u16_at(page, 12) - 16) / 2;
    let at = |node| number * PAGE + u16_at(page, 16 + 2 * node);
    (0..nodes).map(at).collect()
}

fn node_key(pristine: &[u8], at: usize) -> &[u8] {
    &pristine[at + 8..at + 8 + u16_at(pristine, at + 6)]
}

/// Pointers to old copies of the leaves that they point to, which nothing else is wrong with.
fn stale_pointers(pristine: &[u8], branches: &[usize], leaves: &[usize]) -> Vec<Damage> {
    let first = |leaf: usize| node_key(pristine, nodes(pristine, leaf)[0]);
    let mut damages = Vec::new();
    for at in branches.iter().flat_map(|branch| nodes(pristine, *branch)) {
        let child = u32::from_ne_bytes(pristine[at..at + 4].try_into().unwrap());
        let copies = leaves.iter().filter(|leaf| **leaf != child as usize);
        if leaves.contains(&(child as usize)) {
            let copies = copies.filter(|copy| first(**copy) == first(child as usize));
            damages.extend(copies.map(|copy| Damage::Point {
                byte: at,
                to: *copy as u32,
            }));
        }
    }
    damages.truncate(60);
    damages
}

/// A bit of a page of one kind, where its structure is rather than in the middle of a value.
fn flip(pristine: &[u8], pages: &[usize], numbers: &mut Numbers) -> Damage {
    let number = pages[numbers.below(pages.len() as u64) as usize];
    let page = &pristine[number * PAGE..(number + 1) * PAGE];
    let (lower, upper) = (u16_at(page, 12), u16_at(page, 14));
    let node = |numbers: &mut Numbers| {
        let nodes = (lower - 16) / 2;
        u16_at(page, 16 + 2 * numbers.below(nodes as u64) as usize)
    };
    let within = match numbers.below(4) {
        // Long values and metas have no nodes.
        _ if u16_at(page, 10) == 4 => numbers.below(16) as usize,
        _ if u16_at(page, 10) == 8 => numbers.below(160) as usize,
        0 => numbers.below(16) as usize,
        1 => numbers.below(lower as u64) as usize,
        2 => node(numbers) + numbers.below(10) as usize,
        _ => upper + numbers.below((PAGE - upper) as u64) as usize,
    };
    Damage::Flip {
        byte: number * PAGE + within,
        bit: numbers.below(8) as u32,
    }
}

/// The same ones every time.
fn damages(pristine: &[u8]) -> Vec<Damage> {
    let mut numbers = Numbers(1);
    let pages = pristine.len() / PAGE;
    let mut damages = Vec::new();
    // Branches, leaves, long values and headers.
    for (flags, flips) in [(1, 200), (2, 260), (4, 40), (8, 120)] {
        let pages = pages_of_kind(pristine, flags);
        assert!(!pages.is_empty(), "no pages of kind {flags}");
        for _ in 0..flips {
            damages.push(flip(pristine, &pages, &mut numbers));
        }
    }
    // How many pages a long value has: more than that are others'.
    for run in pages_of_kind(pristine, 4) {
        damages.extend((0..5).map(|bit| Damage::Flip {
            byte: run * PAGE + 12,
            bit,
        }));
    }
    let stale = stale_pointers(
        pristine,
        &pages_of_kind(pristine, 1),
        &pages_of_kind(pristine, 2),
    );
    assert!(stale.len() >= 20, "{}", stale.len());
    damages.extend(stale);
    for _ in 0..80 {
        damages.push(Damage::Copy {
            to: numbers.below(pages as u64) as usize,
            from: numbers.below(pages as u64) as usize,
        });
    }
    for _ in 0..30 {
        damages.push(Damage::Cut(numbers.below(pristine.len() as u64) as usize));
        damages.push(Damage::Cut(numbers.below(pages as u64) as usize * PAGE));
    }
    damages
}

fn guarded(dir: &Path, check_bytes_max: u64) {
    let pristine = fs::read(dir.join("pristine/data.mdb")).unwrap();
    let mut options = options();
    let store = options.open(dir.join("pristine")).unwrap();
    let right = contents(&store);
    drop(store);
    options.check_bytes_max = check_bytes_max;
    let victim = dir.join(format!("victim-{check_bytes_max}"));
    fs::create_dir(&victim).unwrap();
    let (mut found, mut harmless) = (0, 0);
    for (number, damage) in damages(&pristine).iter().enumerate() {
        let what = damage.describe();
        say(&format!("case {number}: {what}"));
        fs::write(victim.join("data.mdb"), damage.of(&pristine)).unwrap();
        let mut trial = Trial {
            number,
            what,
            beside: damage.key_beside(&pristine),
            options: options.clone(),
            right: right.clone(),
            found: 0,
        };
        trial.run(&victim);
        *(if trial.found > 0 {
            &mut found
        } else {
            &mut harmless
        }) += 1;
    }
    say(&format!("done: {found} found, {harmless} without effect"));
}

fn contents(store: &Lmdb) -> Right {
    let read = store.read().unwrap();
    SPACES
        .iter()
        .map(|space| {
            let rows = rows(&*read, *space, common::ALL, Direction::Forward).unwrap();
            rows.into_iter().collect()
        })
        .collect()
}

/// One damaged file in use: each answer is right, or the error says that the file is damaged.
struct Trial {
    number: usize,
    what: String,
    /// See [`Damage::key_beside`].
    beside: Option<(Vec<u8>, bool)>,
    options: LmdbOptions,
    right: Right,
    found: usize,
}

impl Trial {
    fn run(&mut self, dir: &Path) {
        match self.options.open(dir) {
            Ok(store) => {
                // What is asked first decides which pages are met first.
                match self.number % 4 {
                    0 => self.get(&*store.read().unwrap()),
                    1 => self.scan(&*store.read().unwrap()),
                    2 => self.range(&*store.read().unwrap()),
                    _ => {}
                }
                self.remove_beside(&store);
                self.write(&store);
                self.read_all(&store);
            }
            Err(error) => return self.refused(&error),
        }
        match self.options.open(dir) {
            Ok(store) => self.read_all(&store),
            Err(error) => self.refused(&error),
        }
    }

    fn read_all(&mut self, store: &Lmdb) {
        let read = store.read().unwrap();
        self.get(&*read);
        self.range(&*read);
        self.scan(&*read);
    }

    fn refused(&mut self, error: &Error) {
        let typed = matches!(
            error.kind(),
            ErrorKind::Corrupt | ErrorKind::Invalid | ErrorKind::Unsupported
        );
        assert!(typed, "{}: {error:?}", self.what);
        self.found += 1;
    }

    fn judge<T: PartialEq>(&mut self, got: Result<T>, right: &T, asked: &str) {
        match got {
            Ok(got) => assert!(got == *right, "{}: wrong {asked}", self.what),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{}: {error:?}", self.what);
                self.found += 1;
            }
        }
    }

    /// Keys that are there and keys that are not.
    fn get(&mut self, read: &dyn ReadTxn) {
        let mut numbers = Numbers(self.number as u64 + 3);
        for _ in 0..100 {
            let (at, i) = (
                numbers.below(3) as usize,
                numbers.below(u64::from(ROWS) + 50) as u32,
            );
            for key in [key(i), key(i)[..158].to_vec()] {
                let right = self.right[at].get(&key).cloned();
                let got = read.get(SPACES[at], &key);
                self.judge(got.map(|value| value.map(Cow::into_owned)), &right, "value");
            }
        }
    }

    fn scan(&mut self, read: &dyn ReadTxn) {
        for (at, space) in SPACES.into_iter().enumerate() {
            for direction in [Direction::Forward, Direction::Reverse] {
                let right = in_order(&self.right[at], direction, |_| true);
                self.judge(rows(read, space, common::ALL, direction), &right, "rows");
            }
        }
    }

    /// Short ranges that begin and end anywhere.
    fn range(&mut self, read: &dyn ReadTxn) {
        let mut numbers = Numbers(self.number as u64);
        for _ in 0..20 {
            let at = numbers.below(3) as usize;
            let space = SPACES[at];
            let start = key(numbers.below(u64::from(ROWS) + 50) as u32);
            let mut end = start.clone();
            end[0] = end[0].saturating_add(numbers.below(12) as u8);
            let direction = match numbers.below(2) {
                0 => Direction::Forward,
                _ => Direction::Reverse,
            };
            let range: KeyRange<'_> = match numbers.below(4) {
                0 => (Included(&start), Included(&end)),
                1 => (Excluded(&start), Excluded(&end)),
                2 => (Unbounded, Excluded(&start)),
                _ => (Included(&end), Unbounded),
            };
            let right = in_order(&self.right[at], direction, |key| is_within(range, key));
            self.judge(rows(read, space, range, direction), &right, "range");
        }
    }

    /// Removes what is beside the damage, so that LMDB may join a damaged leaf with the next one, or
    /// give up the pages of a long value.
    fn remove_beside(&mut self, store: &Lmdb) {
        let Some((key, only_after)) = self.beside.take() else {
            return;
        };
        let Some(at) = self.right.iter().position(|rows| rows.contains_key(&key)) else {
            return;
        };
        let mut right = self.right[at].clone();
        let start = if only_after {
            Excluded(&key[..])
        } else {
            Included(&key[..])
        };
        let beside = right.range::<[u8], _>((start, Unbounded)).take(13);
        let beside: Vec<_> = beside.map(|(key, _)| key.clone()).collect();
        for key in &beside {
            right.remove(key);
        }
        let done = store.transact(Durability::Group, |txn| {
            let mut keys = beside.iter();
            keys.try_for_each(|key| txn.delete(SPACES[at], key))
        });
        if done.is_ok() {
            self.right[at] = right;
        }
        self.judge(done, &(), "removal");
    }

    /// Commits that put and remove, few keys and many. One that is refused changes nothing.
    fn write(&mut self, store: &Lmdb) {
        let mut numbers = Numbers(self.number as u64 + 7);
        for _ in 0..8 {
            let at = numbers.below(3) as usize;
            let from = numbers.below(u64::from(ROWS) + 50) as u32;
            let many = [1, 3, 40][numbers.below(3) as usize];
            let mut after = self.right[at].clone();
            let neighbours: Vec<_> = after
                .range(key(from)..)
                .map(|(key, _)| key.clone())
                .collect();
            let mut changes = Vec::new();
            for i in 0..many {
                let bytes = [10, 60, 9_000][numbers.below(3) as usize];
                changes.push((key(from + i), Some(vec![i as u8; bytes])));
            }
            // Keys that follow each other empty leaves and branches.
            for key in neighbours.into_iter().take(many as usize * 3) {
                changes.push((key, None));
            }
            for (key, value) in &changes {
                match value {
                    Some(value) => after.insert(key.clone(), value.clone()),
                    None => after.remove(key),
                };
            }
            let done = store.transact(Durability::Group, |txn| {
                changes.iter().try_for_each(|(key, value)| match value {
                    Some(value) => txn.put(SPACES[at], key, value),
                    None => txn.delete(SPACES[at], key),
                })
            });
            if done.is_ok() {
                self.right[at] = after;
            }
            self.judge(done, &(), "commit");
        }
    }
}

fn is_within((start, end): KeyRange<'_>, key: &[u8]) -> bool {
    let after_start = match start {
        Included(start) => key >= start,
        Excluded(start) => key > start,
        Unbounded => true,
    };
    after_start
        && match end {
            Included(end) => key <= end,
            Excluded(end) => key < end,
            Unbounded => true,
        }
}

fn in_order(right: &Rows, direction: Direction, within: impl Fn(&Vec<u8>) -> bool) -> Pairs {
    let rows = right.iter().filter(|(key, _)| within(key));
    let mut rows: Pairs = rows
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if direction == Direction::Reverse {
        rows.reverse();
    }
    rows
}

/// In a child, so that a signal is seen and does not end the tests.
fn assert_guarded(check_bytes_max: u64) {
    let dir = fast_dir();
    fill(&dir.path().join("pristine"));
    let role = format!("guarded {check_bytes_max}");
    let run = spawn_child(&role, dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let last = said.lines().rfind(|line| line.starts_with("case "));
    assert!(
        run.status.success(),
        "{last:?}: {:?}\n{}",
        run.status,
        String::from_utf8_lossy(&run.stderr)
    );
    let done = said.lines().find(|line| line.starts_with("done"));
    say(done.unwrap());
}

#[test]
fn row_52_damage_is_found_and_is_never_a_signal_or_a_wrong_value() {
    assert_guarded(u64::MAX);
}

#[test]
fn damage_is_found_page_by_page_in_a_long_file() {
    assert_guarded(0);
}

/// Nothing that LMDB does itself may look like damage, in whatever order pages are met.
/// A tree that holds nothing has no pages to give a damaged root away, until something is put there.
#[test]
fn row_52_no_commit_is_acknowledged_into_a_keyspace_whose_root_is_damaged() {
    let dir = fast_dir();
    drop(options().open(dir.path()).unwrap());
    let file = dir.path().join("data.mdb");
    let pristine = fs::read(&file).unwrap();
    // Its name, then sizes, counts and a root of all ones.
    let root = [b"held", &[0; 40][..], &[0xFF; 8]].concat();
    let places = pristine.windows(root.len()).enumerate();
    let places: Vec<_> = places.filter(|(_, window)| *window == root).collect();
    assert!(!places.is_empty());
    for bit in 0..40 * 8 {
        let mut bytes = pristine.clone();
        for (at, _) in &places {
            bytes[at + 4 + bit / 8] ^= 1 << (bit % 8);
        }
        fs::write(&file, bytes).unwrap();
        let _ = fs::remove_file(dir.path().join("lock.mdb"));
        let put = options().open(dir.path()).and_then(|store| {
            store.transact(Durability::Group, |txn| {
                txn.put(Keyspace::Held, b"key", b"value")
            })
        });
        if let Err(error) = put {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}: {error}");
            continue;
        }
        let store = options().open(dir.path()).unwrap();
        let read = store.read().unwrap();
        let value = read.get(Keyspace::Held, b"key").unwrap();
        assert_eq!(value.as_deref(), Some(&b"value"[..]), "bit {bit}");
    }
}

#[test]
fn a_sound_file_is_never_taken_for_a_damaged_one() {
    let dir = fast_dir();
    fill(dir.path());
    let mut options = options();
    let mut right = contents(&options.open(dir.path()).unwrap());
    options.check_bytes_max = 0;
    for number in 0..60 {
        let mut trial = Trial {
            number,
            what: format!("round {number}"),
            beside: None,
            options: options.clone(),
            right,
            found: 0,
        };
        trial.run(dir.path());
        assert_eq!(trial.found, 0, "round {number}");
        right = trial.right;
    }
}

#[test]
fn readers_and_a_writer_share_what_is_checked() {
    let dir = fast_dir();
    fill(dir.path());
    let mut options = options();
    options.check_bytes_max = 0;
    for round in 0..5u32 {
        let store = options.open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for reader in 0..3 {
                let store = &store;
                scope.spawn(move || {
                    let mut numbers = Numbers(reader);
                    for _ in 0..60 {
                        let read = store.read().unwrap();
                        let key = key(numbers.below(u64::from(ROWS)) as u32);
                        read.get(Keyspace::Meta, &key).unwrap();
                        let range = (Included(&key[..]), Unbounded);
                        let scan = read.scan(Keyspace::Meta, range, Direction::Reverse);
                        assert!(scan.unwrap().take(100).all(|row| row.is_ok()));
                    }
                });
            }
            for i in 0..60 {
                let (gone, new) = (key(i * 5 + round), key(ROWS + i));
                let change = |txn: &mut dyn WriteTxn| {
                    txn.delete(Keyspace::Meta, &gone)?;
                    txn.put(Keyspace::Meta, &new, &[round as u8; 3_000])
                };
                store.transact(Durability::Group, change).unwrap();
            }
        });
        store.verify().unwrap();
    }
}

/// The control: what LMDB alone makes of the same files. It must end in signals and lose keys.
#[test]
fn without_checks_the_same_damage_ends_the_process_and_loses_keys() {
    let dir = fast_dir();
    fill(&dir.path().join("pristine"));
    let pristine = fs::read(dir.path().join("pristine/data.mdb")).unwrap();
    let (mut from, mut signals, mut lost) = (0, 0, 0);
    let trials = damages(&pristine).len();
    while from < trials {
        let run = spawn_child(&format!("raw {from}"), dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        lost += said.lines().filter(|line| *line == "lost").count();
        let cases = said
            .lines()
            .filter(|line| line.starts_with("case "))
            .count();
        signals += usize::from(!run.status.success());
        from += cases.max(1) * raw::EVERY;
    }
    let tried = trials / raw::EVERY;
    say(&format!(
        "{signals} signals, {lost} with keys lost, of {tried}"
    ));
    assert!(signals >= 10, "{signals}");
    assert!(lost >= 10, "{lost}");
}

mod raw {
    use heed::types::Bytes;

    use super::*;

    /// Of how many damages one is tried.
    pub(crate) const EVERY: usize = 3;

    pub(crate) fn child(dir: &Path, from: usize) {
        let pristine = fs::read(dir.join("pristine/data.mdb")).unwrap();
        let right = contents(&options().open(dir.join("pristine")).unwrap());
        for (number, damage) in damages(&pristine)
            .iter()
            .enumerate()
            .skip(from)
            .step_by(EVERY)
        {
            say(&format!("case {number}"));
            // heed remembers the environments of a process by their path.
            let victim = dir.join(format!("raw-{number}"));
            fs::create_dir_all(&victim).unwrap();
            fs::write(victim.join("data.mdb"), damage.of(&pristine)).unwrap();
            if loses_keys(&victim, &right).unwrap_or(false) {
                say("lost");
            }
            fs::remove_dir_all(&victim).unwrap();
        }
    }

    #[allow(unsafe_code, reason = "heed opens an environment in no other way")]
    fn loses_keys(dir: &Path, right: &Right) -> heed::Result<bool> {
        // SAFETY: none. That is what this shows, in a process that may end.
        let env = unsafe {
            heed::EnvOpenOptions::new()
                .max_dbs(16)
                .map_size(1 << 26)
                .open(dir)
        }?;
        let txn = env.read_txn()?;
        let opened = env.open_databases_and_commit(txn, |opener, txn| {
            let open =
                |at: usize| opener.open_database::<Bytes, Bytes>(txn, Some(SPACES[at].name()));
            Ok::<_, heed::Error>(match (open(0)?, open(1)?, open(2)?) {
                (Some(a), Some(b), Some(c)) => heed::CommitOrAbort::Commit((a, b, c)),
                _ => heed::CommitOrAbort::Abort(()),
            })
        })?;
        let Some((a, b, c)) = opened.commit() else {
            return Ok(true);
        };
        let (txn, mut lost) = (env.read_txn()?, false);
        for (table, rows) in [a, b, c].into_iter().zip(right) {
            for key in rows.keys() {
                lost |= table.get(&txn, key)?.is_none();
            }
        }
        drop(txn);
        // Then writes, whose answer does not matter.
        for (table, rows) in [a, b, c].into_iter().zip(right) {
            let mut txn = env.write_txn()?;
            for (at, key) in rows.keys().enumerate() {
                if at % 3 == 0 {
                    table.put(&mut txn, key, b"new")?;
                } else {
                    table.delete(&mut txn, key)?;
                }
            }
            txn.commit()?;
        }
        Ok(lost)
    }
}
