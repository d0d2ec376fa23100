//! Putting a blob in: chunk by chunk, a few MiB in each commit.

use std::io::{ErrorKind, Read};

use threads_core::blob::{
    BLOB_BYTES_MAX, BlobKey, BlobRef, BlobSecret, CHUNK_BYTES, Manifest, PARTS_MAX, Part,
};
use threads_core::block::Block;
use threads_core::datastore::{Datastore, DatastoreExt, Durability, WriteTxn};
use threads_core::{Error, Result};

use super::rows::{self, Root, name};
use crate::layout::blobs::Name;
use crate::progress::Progress;
use crate::sync::{Fresh, News};
use crate::thread::Thread;

/// The bytes of chunks that one commit takes.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// A blob on its way in. What was committed of it belongs to it until it is whole, so that nobody clears it
/// away; what is left of one that ended before is cleared later, or used again by the next attempt.
struct Putting<'a> {
    thread: &'a Thread,
    secret: BlobSecret,
    upload: Name,
    /// Sealed chunks for the next commit.
    batch: Vec<Block>,
    /// The chunks of the manifest under way, and how much is in them.
    chunks: Vec<Part>,
    bytes: u64,
    /// The manifests before it.
    manifests: Vec<Part>,
    size: u64,
}

/// Puts in what `reader` gives.
pub(super) fn put(
    thread: &Thread,
    reader: &mut dyn Read,
    progress: &mut dyn FnMut(Progress),
) -> Result<BlobRef> {
    let mut putting = Putting::new(thread)?;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    loop {
        chunk.clear();
        fill(reader, &mut chunk)?;
        if chunk.is_empty() {
            break;
        }
        putting.add(&chunk)?;
        let done = putting.size;
        progress(Progress { done, total: None });
    }
    putting.finish()
}

/// Reads a chunk, or what is left.
fn fill(reader: &mut dyn Read, chunk: &mut Vec<u8>) -> Result<()> {
    let failed = |cause| Error::unavailable("what is to be a blob cannot be read").caused_by(cause);
    let mut rest = reader.take(CHUNK_BYTES as u64);
    loop {
        match rest.read_to_end(chunk) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

impl<'a> Putting<'a> {
    fn new(thread: &'a Thread) -> Result<Self> {
        let secret = {
            let txn = thread.node.store.read()?;
            let none = || {
                let why = "there are no keys here to write under: ask who shares the thread";
                Error::unsupported(why).with("thread", &thread.id)
            };
            let epoch = thread.epoch_in_use(&*txn)?.ok_or_else(none)?;
            BlobSecret::of(&*thread.read_of(epoch.number)?.ok_or_else(none)?)
        };
        let mut upload = Name::default();
        thread.node.rng().fill_bytes(&mut upload);
        Ok(Self {
            thread,
            secret,
            upload,
            batch: Vec::new(),
            chunks: Vec::new(),
            bytes: 0,
            manifests: Vec::new(),
            size: 0,
        })
    }

    fn add(&mut self, content: &[u8]) -> Result<()> {
        let sealed = self.secret.seal_chunk(content)?;
        self.take(sealed, content.len() as u64)
    }

    fn take(&mut self, (key, block): (BlobKey, Block), length: u64) -> Result<()> {
        if self.size + length > BLOB_BYTES_MAX {
            return Err(Error::invalid("larger than a blob can be").with("most", BLOB_BYTES_MAX));
        }
        if self.chunks.len() == PARTS_MAX {
            self.close()?;
        }
        self.chunks.push(Part::new(*block.cid(), key));
        self.batch.push(block);
        self.bytes += length;
        self.size += length;
        match self.batch.len() * CHUNK_BYTES >= COMMIT_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn commit(&self, work: impl FnOnce(&mut dyn WriteTxn) -> Result<()>) -> Result<()> {
        let now_ms = self.thread.node.clock.now_ms();
        self.thread.node.store.transact(Durability::Group, |txn| {
            rows::see_upload(txn, self.thread.number, &self.upload, now_ms)?;
            work(txn)
        })
    }

    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.commit(|txn| {
            // Each goes when it is put, and makes room for the next one.
            batch.into_iter().try_for_each(|block| {
                let name = name(block.cid());
                rows::keep(txn, self.thread, &name, block.bytes())?;
                rows::own(txn, self.thread.number, &name, &self.upload)
            })
        })
    }

    /// Closes the manifest under way: its chunks are its own from now on.
    fn close(&mut self) -> Result<()> {
        self.flush()?;
        let parts = std::mem::take(&mut self.chunks);
        let size = std::mem::take(&mut self.bytes);
        let (manifest, key) = Manifest::new(&self.secret, size, parts)?;
        let block = manifest.to_block()?;
        let named = name(block.cid());
        self.commit(|txn| {
            rows::own(txn, self.thread.number, &named, &self.upload)?;
            self.hand_over(txn, &manifest, &block)
        })?;
        self.manifests.push(Part::new(*block.cid(), key));
        Ok(())
    }

    /// Puts a manifest in, and gives it its parts. All of them are here, unless nobody saw to this for so long
    /// that it was taken for ended, and they were cleared away.
    fn hand_over(&self, txn: &mut dyn WriteTxn, manifest: &Manifest, block: &Block) -> Result<()> {
        let (thread, owner) = (self.thread.number, name(block.cid()));
        rows::keep(txn, self.thread, &owner, block.bytes())?;
        for part in manifest.parts() {
            let part = name(part);
            if rows::here(txn.as_read(), thread, &part)?.is_none() {
                let why = "what was put in of the blob was cleared away, as nothing more came for an hour: \
                           put it in again";
                return Err(Error::conflict(why));
            }
            rows::own(txn, thread, &part, &owner)?;
            rows::disown(txn, thread, &part, &self.upload)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<BlobRef> {
        self.flush()?;
        if !self.manifests.is_empty() {
            self.close()?;
        }
        let parts = match self.manifests.is_empty() {
            true => std::mem::take(&mut self.chunks),
            false => std::mem::take(&mut self.manifests),
        };
        let (manifest, key) = Manifest::new(&self.secret, self.size, parts)?;
        let block = manifest.to_block()?;
        let (root, thread) = (name(block.cid()), self.thread);
        let now_ms = thread.node.clock.now_ms();
        thread.node.store.transact(Durability::Group, |txn| {
            self.hand_over(txn, &manifest, &block)?;
            rows::end_upload(txn, thread.number, &self.upload)?;
            let before = Root::get(txn.as_read(), thread.number, &root)?;
            let row = Root {
                place: before.as_ref().and_then(|root| root.place),
                since_ms: now_ms,
                size: self.size,
                pinned: before.is_some_and(|root| root.pinned),
                by: Vec::new(),
                unsound: false,
            };
            row.become_whole(txn, thread, &root)
        })?;
        thread
            .node
            .notifier
            .notify_of(News(Fresh::Blobs(thread.number)));
        BlobRef::new(*block.cid(), key, self.size, "")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, SeekFrom};

    use threads_core::datastore::Memory;

    use super::*;
    use crate::Node;

    /// It goes through a file as well.
    fn carried(db: &crate::Db, named: &BlobRef) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.car");
        let passphrase = || Some("correct horse".to_owned().into());
        let options = crate::ExportOptions {
            passphrase: passphrase(),
            blobs: true,
        };
        let file = std::fs::File::create(&path).unwrap();
        db.export(file, &options, &mut |_| ()).unwrap();
        let there = Node::builder(Memory::new()).open().unwrap();
        let options = crate::RestoreOptions {
            passphrase: passphrase(),
            ..Default::default()
        };
        let (copy, report) = there.restore(&path, &options, &mut |_| ()).unwrap();
        assert_eq!((report.blobs, report.blob_blocks), (1, 5));
        assert!(copy.blobs().has(named.cid()).unwrap());
        let mut end = String::new();
        let mut reader = copy.blobs().open(named).unwrap();
        reader.seek(SeekFrom::End(-7)).unwrap();
        reader.read_to_string(&mut end).unwrap();
        assert_eq!(end, "the end");
    }

    #[test]
    fn a_blob_of_many_chunks_has_a_manifest_of_manifests() {
        let node = Node::builder(Memory::new()).open().unwrap();
        let db = node.create("a").unwrap();
        let mut putting = Putting::new(db.thread()).unwrap();
        let zeros = vec![0; CHUNK_BYTES];
        let sealed = putting.secret.seal_chunk(&zeros).unwrap();
        for _ in 0..PARTS_MAX + 1 {
            putting.take(sealed.clone(), CHUNK_BYTES as u64).unwrap();
        }
        putting.add(b"the end").unwrap();
        let named = putting.finish().unwrap();

        assert_eq!(named.size(), (CHUNK_BYTES * (PARTS_MAX + 1)) as u64 + 7);
        assert!(db.blobs().has(named.cid()).unwrap());
        let mut reader = db.blobs().open(&named).unwrap();
        let mut end = String::new();
        reader.seek(SeekFrom::End(-7)).unwrap();
        reader.read_to_string(&mut end).unwrap();
        assert_eq!(end, "the end");
        let mut middle = [1; 9];
        reader
            .seek(SeekFrom::Start((CHUNK_BYTES * PARTS_MAX) as u64 - 4))
            .unwrap();
        reader.read_exact(&mut middle).unwrap();
        assert_eq!(middle, [0; 9], "from the first manifest into the second");

        carried(&db, &named);

        // Two chunks, as all but one are alike; two manifests, and theirs.
        assert_eq!(db.blobs().remove(named.cid()).unwrap().blocks, 5);
        assert!(
            node.inner
                .store
                .read()
                .unwrap()
                .scan(
                    threads_core::datastore::Keyspace::Blobs,
                    (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
                    threads_core::datastore::Direction::Forward,
                )
                .unwrap()
                .all(|row| row.unwrap().0[4] == b'n'),
            "only the end of the list is left"
        );
    }
}
