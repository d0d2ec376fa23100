//! A disk that is full, under a file.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "a skipped test says why")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use common::{assert_kind, get, options, put};
use threads_core::ErrorKind;
use threads_core::datastore::{DatastoreExt, Durability};

const MIB: u64 = 1 << 20;

/// A small file system of its own, taken away again at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with a printed reason, where this process may not mount one.
    fn new(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={bytes},mode=700");
        let run = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output();
        match run {
            Ok(run) if run.status.success() => Some(Self(dir)),
            other => {
                println!("skipped: cannot mount a small file system: {other:?}");
                None
            }
        }
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut filler = fs::File::create(self.0.path().join("filler")).unwrap();
        while filler.write(&[0; 4_096]).is_ok_and(|bytes| bytes > 0) {}
    }

    /// Emptied first: a child of another test may still hold the removed file.
    fn free(&self) {
        let filler = self.0.path().join("filler");
        fs::write(&filler, "").unwrap();
        fs::remove_file(filler).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Left mounted, it is lost with the temporary directory's name at worst.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_keeps_what_was_acknowledged_and_relief_is_enough() {
    let Some(disk) = SmallDisk::new(8 * MIB) else {
        return;
    };
    let store = options().open(disk.store()).unwrap();
    put(&store, b"first", b"v", Durability::Group).unwrap();
    disk.fill();
    for i in 0..200u8 {
        put(&store, &[i], &[i; 2_000], Durability::Relaxed).unwrap();
    }
    let big = vec![7; 8 << 20];
    assert_kind(
        put(&store, b"big", &big, Durability::Group),
        ErrorKind::Full,
    );
    assert_eq!(get(&store, b"big"), None);
    assert_eq!(get(&store, &[199]), Some(vec![199; 2_000]));
    assert!(get(&store, b"first").is_some());
    disk.free();
    store.sync().unwrap();
    assert_eq!(store.stats().unsynced, 0);
    drop(store);
    assert_eq!(options().open(disk.store()).unwrap().verify().unwrap(), 201);
}

#[test]
fn commits_that_fail_together_leave_nothing_and_the_others_everything() {
    let Some(disk) = SmallDisk::new(6 * MIB) else {
        return;
    };
    let store = options().open(disk.store()).unwrap();
    let commit_until_full = &|t: u8| {
        let keys = (0..10_000u32).map(move |i| [&[t][..], &i.to_be_bytes()].concat());
        keys.take_while(
            |key| match put(&store, key, &[t; 1_500], Durability::Group) {
                Ok(()) => true,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
                    false
                }
            },
        )
        .collect::<Vec<_>>()
    };
    let done: Vec<Vec<u8>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|t| scope.spawn(move || commit_until_full(t)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(done.iter().all(|key| get(&store, key).is_some()));
    assert_eq!(store.verify().unwrap(), done.len() as u64);
    drop(store);
    let store = options().open(disk.store()).unwrap();
    assert_eq!(store.verify().unwrap(), done.len() as u64);
}

#[test]
fn a_full_disk_gives_no_store_and_later_a_whole_one() {
    let Some(disk) = SmallDisk::new(4 * MIB) else {
        return;
    };
    disk.fill();
    assert_kind(options().open(disk.store()), ErrorKind::Full);
    disk.free();
    let store = options().open(disk.store()).unwrap();
    put(&store, b"k", b"v", Durability::Group).unwrap();
}
