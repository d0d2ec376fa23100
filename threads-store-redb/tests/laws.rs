//! The store keeps every law, and the README says so.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use redb::backends::FileBackend;
use threads_conformance::datastore::{LAWS, Subject};
use threads_core::Result;
use threads_store_redb::{Redb, RedbOptions, StorageBackend};

/// A file that cannot grow beyond a few pages.
#[derive(Debug)]
struct Small(FileBackend);

const BYTES_MAX: u64 = 8 << 20;

impl StorageBackend for Small {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > BYTES_MAX {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

fn small(dir: &Path) -> Result<Redb> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("small"))
        .unwrap();
    RedbOptions::default().open_backend(Small(FileBackend::new(file).unwrap()))
}

fn subject() -> Subject {
    Subject::new(|dir| Redb::open(dir)).with_failing(small)
}

threads_conformance::datastore_laws!(subject());

#[test]
fn the_readme_says_which_laws_were_checked() {
    let line = threads_conformance::summary(LAWS, subject);
    let readme = include_str!("../README.md");
    assert!(readme.contains(&line), "README.md: {line}");
}
