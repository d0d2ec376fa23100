//! The store keeps every law, and the README says so.

use std::path::Path;

use threads_conformance::datastore::{LAWS, Subject};
use threads_core::Result;
use threads_store_lmdb::{Lmdb, LmdbOptions};

fn options() -> LmdbOptions {
    let mut options = LmdbOptions::default();
    options.reserve_bytes = 0;
    options
}

/// With room for a few pages.
fn small(dir: &Path) -> Result<Lmdb> {
    let mut options = options();
    options.map_bytes_initial = 4 << 20;
    options.map_bytes_max = 4 << 20;
    options.open(dir)
}

fn subject() -> Subject {
    Subject::new(|dir| options().open(dir)).with_failing(small)
}

threads_conformance::datastore_laws!(subject());

#[test]
fn the_readme_says_which_laws_were_checked() {
    let line = threads_conformance::summary(LAWS, subject);
    let readme = include_str!("../README.md");
    assert!(readme.contains(&line), "README.md: {line}");
}
