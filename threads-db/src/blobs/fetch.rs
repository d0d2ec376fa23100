//! Asking for blobs that are not here, and waiting for them.

use std::time::Duration;

use threads_core::datastore::{Datastore, DatastoreExt, Durability};
use threads_core::{Cid, Error, Result};

use super::rows::{Root, name};
use super::{Blobs, Missing, check, unsound, wanted};

/// What is missing is counted again once there were this many times fewer commits than blocks to be looked for.
const LOOKS_FOR_A_COMMIT: u64 = 256;

/// When to count what is missing: that looks for each block of the blob, and is not done for each that comes.
#[derive(Default)]
struct Pace {
    /// After which commit it is time.
    due: u64,
}

impl Pace {
    fn is_due(&self, commits: u64) -> bool {
        commits >= self.due
    }

    fn counted(&mut self, commits: u64, looked_for: usize) {
        self.due = commits.saturating_add(looked_for as u64 / LOOKS_FOR_A_COMMIT);
    }
}

impl Blobs {
    /// Asks for a blob that is not here: peers who share the thread are asked for it, now and whenever they
    /// can be reached, until it is whole. What came of it stays over restarts.
    ///
    /// Of one that is here, every block is compared with its name: what is damaged is taken away, and asked for
    /// again.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let elsewhere = threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"");
    /// db.blobs().fetch(&elsewhere).unwrap();
    /// assert!(!db.blobs().list().unwrap()[0].whole);
    /// ```
    pub fn fetch(&self, cid: &Cid) -> Result<()> {
        check::mend(self.db.thread(), cid)?;
        self.ask(cid)
    }

    fn ask(&self, cid: &Cid) -> Result<()> {
        let thread = self.db.thread();
        thread
            .node
            .store
            .transact(Durability::Group, |txn| wanted::want(txn, thread, cid))?;
        self.tell();
        Ok(())
    }

    /// Asks for a blob, and waits until all of it is here, or `wait` is over. A
    /// [`Service`](crate::sync::Service) has to run meanwhile, on another thread. Progress is told now and then:
    /// of large blobs not for each block that came.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when the time is over: it is still
    /// asked for. Those of [`Blobs::missing`].
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let elsewhere = threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"");
    /// assert!(db.blobs().await_whole(&elsewhere, std::time::Duration::ZERO, &mut |_| ()).is_err());
    /// ```
    pub fn await_whole(
        &self,
        cid: &Cid,
        wait: Duration,
        progress: &mut dyn FnMut(Missing),
    ) -> Result<()> {
        let node = &self.db.thread().node;
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let end = node.clock.now_ms().saturating_add(wait_ms);
        if self.has(cid)? {
            return Ok(());
        }
        self.want_whole(cid)?;
        let (mut left, mut pace) = (wait, Pace::default());
        // Ends with the time that is left.
        loop {
            let seen = node.notifier.commits();
            if self.is_noted_whole(cid)? {
                return Ok(());
            }
            if pace.is_due(seen) || left.is_zero() {
                let (missing, looked_for) = self.count(cid)?;
                pace.counted(seen, looked_for);
                if missing.is_nothing() {
                    return Ok(());
                }
                progress(missing);
                if left.is_zero() {
                    return Err(late(cid, &missing));
                }
            }
            node.notifier.wait(seen, left);
            left = Duration::from_millis(end.saturating_sub(node.clock.now_ms()));
        }
    }

    /// Wants one that lacks something, whatever was noted of it.
    fn want_whole(&self, cid: &Cid) -> Result<()> {
        let thread = self.db.thread();
        thread.node.store.transact(Durability::Group, |txn| {
            let known = Root::get(txn.as_read(), thread.number, &name(cid))?;
            match known.is_some_and(|root| root.place.is_some()) {
                true => wanted::want_again(txn, thread, &name(cid)),
                false => wanted::want(txn, thread, cid),
            }
        })?;
        self.tell();
        Ok(())
    }

    /// Whether it became whole, without looking it through.
    fn is_noted_whole(&self, cid: &Cid) -> Result<bool> {
        let thread = self.db.thread();
        let root = Root::get(&*thread.node.store.read()?, thread.number, &name(cid))?;
        match root {
            Some(root) if root.unsound => Err(unsound(cid)),
            root => Ok(root.is_some_and(|root| root.place.is_some())),
        }
    }

    pub(super) fn count(&self, cid: &Cid) -> Result<(Missing, usize)> {
        let thread = self.db.thread();
        let txn = thread.node.store.read()?;
        wanted::missing(&*txn, thread.number, cid)
    }
}

fn late(cid: &Cid, missing: &Missing) -> Error {
    Error::unavailable(
        "the blob did not come in time: it is still asked for while peers can be reached",
    )
    .with("blob", cid)
    .with("missing", missing.bytes)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, OnceLock};

    use threads_core::blob::{BlobKey, BlobSecret, CHUNK_BYTES, Manifest, PARTS_MAX, Part};
    use threads_core::block::{RAW, cid_of};
    use threads_core::datastore::{
        Capability, Direction, KeyRange, Keyspace, Memory, ReadTxn, Scan, WriteTxn,
    };
    use threads_core::{ErrorKind, ManualClock, ReadKey};

    use super::*;
    use crate::Node;

    /// Does something each time that it is read, and counts what is looked up.
    struct Counting {
        inner: Memory,
        looked_up: AtomicU64,
        reads: AtomicU64,
        on_read: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
    }

    impl std::fmt::Debug for Counting {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Counting").finish_non_exhaustive()
        }
    }

    struct Counted<'a>(Box<dyn ReadTxn + 'a>, &'a AtomicU64);

    impl ReadTxn for Counted<'_> {
        fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.get(space, key)
        }

        fn scan(&self, space: Keyspace, range: KeyRange<'_>, to: Direction) -> Result<Scan<'_>> {
            self.0.scan(space, range, to)
        }
    }

    impl Datastore for Counting {
        fn capability(&self) -> Capability {
            self.inner.capability()
        }

        fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
            let reads = self.reads.fetch_add(1, Ordering::Relaxed);
            if let Some(on_read) = self.on_read.get() {
                on_read(reads);
            }
            Ok(Box::new(Counted(self.inner.read()?, &self.looked_up)))
        }

        fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
            self.inner.write()
        }
    }

    #[test]
    fn who_waits_for_a_large_blob_does_not_look_it_through_for_each_commit() {
        const COMMITS: u64 = 2_000;
        let store = Arc::new(Counting {
            inner: Memory::new(),
            looked_up: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            on_read: OnceLock::new(),
        });
        let clock = Arc::new(ManualClock::at(1_000_000_000_000));
        let node = Node::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
        let node = node.open().unwrap();
        let db = node.create("a").unwrap();
        let secret = BlobSecret::of(&ReadKey::from_bytes(&[7; 32]));
        let part =
            |n: usize| Part::new(cid_of(RAW, &n.to_be_bytes()), BlobKey::from_bytes(&[1; 32]));
        let parts = (0..PARTS_MAX).map(part).collect();
        let size = (CHUNK_BYTES * PARTS_MAX) as u64;
        let (manifest, _) = Manifest::new(&secret, size, parts).unwrap();
        let block = manifest.to_block().unwrap();
        let cid = *block.cid();
        db.blobs().fetch(&cid).unwrap();
        wanted::take_in(db.thread(), vec![block]).unwrap();

        // Each look finds that something was committed, until the time is over.
        let (begun, inner) = (store.reads.load(Ordering::Relaxed), Arc::clone(&node.inner));
        let on_read = move |reads| {
            inner.notifier.notify();
            if reads > begun + COMMITS {
                clock.set(2_000_000_000_000);
            }
        };
        assert!(store.on_read.set(Box::new(on_read)).is_ok());
        let before = store.looked_up.load(Ordering::Relaxed);
        let mut told = 0;
        let late = db
            .blobs()
            .await_whole(&cid, Duration::from_secs(60), &mut |missing| {
                assert_eq!((missing.blocks, missing.bytes), (PARTS_MAX as u64, size));
                told += 1;
            });
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Unavailable);
        let looked_up = store.looked_up.load(Ordering::Relaxed) - before;
        let bound = COMMITS * (LOOKS_FOR_A_COMMIT + 2) + 4 * PARTS_MAX as u64;
        assert!(looked_up < bound, "{looked_up} of {bound}");
        assert!(told > 2, "it says how far it is");
    }
}
