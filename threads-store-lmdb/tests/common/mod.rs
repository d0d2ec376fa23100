//! What several tests need.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::io::Write;
use std::ops::Bound::Unbounded;
use std::path::Path;
use std::process::Command;

use threads_core::datastore::{
    Datastore, DatastoreExt, Direction, Durability, KeyRange, Keyspace, ReadTxn,
};
use threads_core::{ErrorKind, Result};
use threads_store_lmdb::{Lmdb, LmdbOptions};

/// Tells a copy of the test binary what to do; see [`spawn_child`].
const ROLE: &str = "THREADS_LMDB_TEST_ROLE";
const DIR: &str = "THREADS_LMDB_TEST_DIR";

pub(crate) const ALL: KeyRange<'static> = (Unbounded, Unbounded);
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A command that runs the test `child` of this binary, which calls [`child_role`].
pub(crate) fn spawn_child(role: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env(ROLE, role)
        .env(DIR, dir);
    command
}

/// In a child: what to do and where. In a parent: nothing.
pub(crate) fn child_role() -> Option<(String, std::path::PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(DIR)?.into()))
}

/// Prints past the test harness, in one write.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// A directory in memory, where there is one: for tests of many commits and no crashes.
pub(crate) fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

pub(crate) fn options() -> LmdbOptions {
    let mut options = LmdbOptions::default();
    options.reserve_bytes = 0;
    options
}

pub(crate) fn put(store: &Lmdb, key: &[u8], value: &[u8], durability: Durability) -> Result<()> {
    store.transact(durability, |txn| txn.put(Keyspace::Meta, key, value))
}

pub(crate) fn get(store: &Lmdb, key: &[u8]) -> Option<Vec<u8>> {
    store
        .read()
        .unwrap()
        .get(Keyspace::Meta, key)
        .unwrap()
        .map(std::borrow::Cow::into_owned)
}

pub(crate) fn rows(
    txn: &dyn ReadTxn,
    space: Keyspace,
    range: KeyRange<'_>,
    direction: Direction,
) -> Result<Pairs> {
    txn.scan(space, range, direction)?
        .map(|row| row.map(|(key, value)| (key.into_owned(), value.into_owned())))
        .collect()
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    error.to_string()
}

/// A small generator of numbers, so that a failure can be repeated.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
