//! The storage under redb: shared, so that redb can be started again over it; watched, so that a
//! full disk is told from a failing one; and, for a look without touching, covered by an overlay.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use threads_store_group::Fault;
use threads_store_group::fault::is_full;

use crate::fault::{Failure, damaged, is_damage};

/// The storage of one store. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Box<dyn StorageBackend>,
    /// The first failure since redb was last started over it.
    failed: Mutex<Option<Fault>>,
    /// Nothing more is read or written.
    dead: AtomicBool,
}

impl Disk {
    pub(crate) fn new(backend: impl StorageBackend) -> Self {
        Self(Arc::new(Inner {
            backend: Box::new(backend),
            failed: Mutex::default(),
            dead: AtomicBool::new(false),
        }))
    }

    /// The fault of a failed call of redb: what the disk reported, or else what redb says.
    pub(crate) fn fault(&self, failure: &Failure) -> Fault {
        let reported = lock(&self.0.failed).clone();
        if let Failure::Panicked = failure {
            // What redb holds in memory may be half done. It must not reach the disk.
            self.kill();
        }
        reported.unwrap_or_else(|| failure.to_fault())
    }

    /// Forgets what failed, for a new start of redb.
    pub(crate) fn forgive(&self) {
        *lock(&self.0.failed) = None;
    }

    /// Refuses everything from now on.
    pub(crate) fn kill(&self) {
        self.0.dead.store(true, Ordering::Release);
    }

    fn alive(&self) -> io::Result<&dyn StorageBackend> {
        if self.0.dead.load(Ordering::Acquire) {
            return Err(io::Error::other("the store is closed after a failure"));
        }
        Ok(&*self.0.backend)
    }

    /// Notes what failed, and whether that leaves anything in doubt.
    fn note<T>(&self, result: io::Result<T>, fault: fn(&io::Error) -> Fault) -> io::Result<T> {
        if let Err(error) = &result {
            lock(&self.0.failed).get_or_insert_with(|| fault(error));
        }
        result
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_write(error: &io::Error) -> Fault {
    if is_full(error) {
        Fault::disk_full().because(error)
    } else {
        Fault::broken().because(error)
    }
}

/// After a failed sync the system may have dropped what it was to write, whatever it says.
fn of_sync(error: &io::Error) -> Fault {
    Fault::broken().because(error)
}

/// A read beyond the end of a file is damage; any other failure is the disk's.
fn of_read(error: &io::Error) -> Fault {
    if is_damage(error) {
        damaged(error)
    } else {
        Fault::broken().because(error)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let result = self.alive().and_then(|disk| disk.len());
        self.note(result, of_read)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let result = self.alive().and_then(|disk| disk.read(offset, out));
        self.note(result, of_read)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let result = self.alive().and_then(|disk| disk.set_len(len));
        self.note(result, of_write)
    }

    fn sync_data(&self) -> io::Result<()> {
        let result = self.alive().and_then(|disk| disk.sync_data());
        self.note(result, of_sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let result = self.alive().and_then(|disk| disk.write(offset, data));
        self.note(result, of_write)
    }

    // Closing is for the last clone: redb may be started again over this one.
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to hear of an error, and everything acknowledged is synced.
        let _ = self.backend.close();
    }
}

const CHUNK_BYTES: u64 = 4_096;

/// A disk whose writes stay in memory: what redb would do to the file, without doing it.
#[derive(Debug)]
pub(crate) struct Overlay {
    below: Disk,
    state: Mutex<Cover>,
}

#[derive(Debug)]
struct Cover {
    len: u64,
    /// Where the file below ends, or was cut.
    below_len: u64,
    chunks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(crate) fn over(below: Disk) -> io::Result<Self> {
        let len = below.len()?;
        Ok(Self {
            below,
            state: Mutex::new(Cover {
                len,
                below_len: len,
                chunks: BTreeMap::new(),
            }),
        })
    }

    /// One chunk as it is below: zero where nothing is.
    fn chunk_below(&self, at: u64, below_len: u64) -> io::Result<Box<[u8]>> {
        let mut chunk = vec![0; CHUNK_BYTES as usize].into_boxed_slice();
        let there = below_len.saturating_sub(at).min(CHUNK_BYTES) as usize;
        if there > 0 {
            self.below.read(at, &mut chunk[..there])?;
        }
        Ok(chunk)
    }
}

/// The parts of a range that lie in different chunks: the chunk, where in it, and how much.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + len as u64;
    let first = offset - offset % CHUNK_BYTES;
    (first..end).step_by(CHUNK_BYTES as usize).map(move |at| {
        let from = offset.max(at);
        let to = end.min(at + CHUNK_BYTES);
        (at, (from - at) as usize, (to - from) as usize)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.state).len)
    }

    fn read(&self, offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        let cover = lock(&self.state);
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > cover.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if cover.chunks.is_empty() && cover.len <= cover.below_len {
            return self.below.read(offset, out);
        }
        for (at, start, len) in parts(offset, out.len()) {
            let (part, rest) = out.split_at_mut(len);
            match cover.chunks.get(&at) {
                Some(chunk) => part.copy_from_slice(&chunk[start..start + len]),
                None => {
                    let chunk = self.chunk_below(at, cover.below_len)?;
                    part.copy_from_slice(&chunk[start..start + len]);
                }
            }
            out = rest;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut cover = lock(&self.state);
        cover.below_len = cover.below_len.min(len);
        cover.chunks.split_off(&len);
        let cut = len - len % CHUNK_BYTES;
        if let Some(chunk) = cover.chunks.get_mut(&cut) {
            chunk[(len - cut) as usize..].fill(0);
        }
        cover.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, mut data: &[u8]) -> io::Result<()> {
        let mut cover = lock(&self.state);
        let below_len = cover.below_len;
        for (at, start, len) in parts(offset, data.len()) {
            let (part, rest) = data.split_at(len);
            let chunk = match cover.chunks.entry(at) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(self.chunk_below(at, below_len)?)
                }
            };
            chunk[start..start + len].copy_from_slice(part);
            data = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
        Read(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_000_u64, prop::collection::vec(any::<u8>(), 1..9_000))
                .prop_map(|(at, data)| Step::Write(at, data)),
            (0..30_000_u64).prop_map(Step::SetLen),
            (0..30_000_u64, 0..9_000_usize).prop_map(|(at, len)| Step::Read(at, len)),
        ]
    }

    proptest! {
        /// Seen through the overlay everything is done, and below it nothing.
        #[test]
        fn an_overlay_is_a_disk_and_touches_nothing(steps in prop::collection::vec(step(), 0..20)) {
            let (below, model) = (InMemoryBackend::new(), InMemoryBackend::new());
            let start = [7; 10_000];
            for disk in [&below, &model] {
                disk.set_len(start.len() as u64).unwrap();
                disk.write(0, &start).unwrap();
            }
            let disk = Disk::new(below);
            let overlay = Overlay::over(disk.clone()).unwrap();
            for step in steps {
                match step {
                    Step::Write(at, data) if at + data.len() as u64 <= model.len().unwrap() => {
                        overlay.write(at, &data).unwrap();
                        model.write(at, &data).unwrap();
                    }
                    Step::SetLen(len) => {
                        overlay.set_len(len).unwrap();
                        model.set_len(len).unwrap();
                    }
                    Step::Read(at, len) if at + len as u64 <= model.len().unwrap() => {
                        let (mut a, mut b) = (vec![0; len], vec![0; len]);
                        overlay.read(at, &mut a).unwrap();
                        model.read(at, &mut b).unwrap();
                        prop_assert_eq!(a, b);
                    }
                    Step::Read(at, len) => prop_assert!(overlay.read(at, &mut vec![0; len]).is_err()),
                    Step::Write(..) => {}
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len().unwrap());
            }
            let mut kept = [0; 10_000];
            disk.read(0, &mut kept).unwrap();
            prop_assert_eq!(kept, start);
        }
    }
}
