//! A file that does nothing but hold space, given up when the disk is full.
//!
//! LMDB never changes a page in place, so even a removal needs a few new pages. On a full disk
//! the reserve pays for them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

pub(crate) const RESERVE_FILE: &str = "reserve";
/// How many commits to disk pass before another attempt to make a reserve that was given up.
const ATTEMPT_EVERY: u32 = 64;
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: AtomicBool,
    since_attempt: AtomicU32,
}

impl Reserve {
    /// Makes the reserve, or does without when there is no room for it.
    pub(crate) fn new(dir: &Path, bytes: u64) -> Self {
        let reserve = Self {
            path: dir.join(RESERVE_FILE),
            bytes,
            held: AtomicBool::new(false),
            since_attempt: AtomicU32::new(0),
        };
        reserve.make();
        reserve
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the space back to the disk. `false` when there was none to give.
    pub(crate) fn release(&self) -> bool {
        self.held.swap(false, Ordering::Relaxed) && fs::remove_file(&self.path).is_ok()
    }

    /// After a commit that reached the disk: now and then, tries to make up a missing reserve.
    pub(crate) fn renew(&self) {
        let due =
            self.since_attempt.fetch_add(1, Ordering::Relaxed) % ATTEMPT_EVERY == ATTEMPT_EVERY - 1;
        if due && !self.held.load(Ordering::Relaxed) {
            self.make();
        }
    }

    fn make(&self) {
        if self.bytes == 0 {
            return;
        }
        let whole = fs::metadata(&self.path).is_ok_and(|file| file.len() == self.bytes)
            || self.fill().is_ok();
        if !whole {
            // Half a reserve would take space that a commit can use. If it cannot be removed
            // either, the next attempt writes it anew.
            let _ = fs::remove_file(&self.path);
        }
        self.held.store(whole, Ordering::Relaxed);
    }

    /// Writes real bytes: a file with holes holds no space.
    fn fill(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        let chunk = [0xA5; CHUNK_BYTES];
        let mut left = self.bytes;
        while left > 0 {
            let bytes = left.min(CHUNK_BYTES as u64) as usize;
            file.write_all(&chunk[..bytes])?;
            left -= bytes as u64;
        }
        Ok(())
    }
}
