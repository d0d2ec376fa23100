//! A disk that is soon full, for the tests of every store.
#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

pub(crate) const MIB: u64 = 1 << 20;

/// A small file system of its own, taken away again at the end.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with a printed reason, where this process may not mount one.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
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

    /// Where a store goes.
    pub(crate) fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Keeps some space that [`SmallDisk::free`] gives back.
    pub(crate) fn keep(&self, bytes: u64) {
        fs::write(self.filler(), vec![0; bytes as usize]).unwrap();
    }

    /// Takes all the space that is left, up to the last byte.
    pub(crate) fn fill(&self) {
        let mut filler = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.filler())
            .unwrap();
        while filler.write(&[0; 4_096]).is_ok_and(|bytes| bytes > 0) {}
    }

    /// Gives back what was kept and filled.
    pub(crate) fn free(&self) {
        // Emptied first: a child of another test may still hold the removed file.
        fs::write(self.filler(), "").unwrap();
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Left mounted, it is lost with the temporary directory's name at worst.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
