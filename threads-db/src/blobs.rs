//! Blobs: large content of a thread, kept apart from its records.
//!
//! A blob is cut into chunks, sealed, and named by what it is ([`threads_core::blob`]). What an application keeps
//! in its entities is a [`BlobRef`]. The blocks are in a keyspace of their own, each once for a thread; each
//! has owners: the manifests that list it, or the attempt to put it in. Nothing of a blob goes through a
//! record, so that who has a reference may fetch the content later, or never.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::Duration;

use serde::Serialize;
use threads_core::blob::BlobRef;
use threads_core::datastore::{Datastore, DatastoreExt, Durability};
use threads_core::{Cid, Error, Result};

use crate::db::Db;
use crate::progress::Progress;
use crate::sync::{Fresh, News};

mod carried;
pub(crate) mod carry;
pub(crate) mod check;
mod fetch;
mod gc;
mod listers;
mod put;
mod read;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
mod walk;
pub(crate) mod wanted;

pub use check::BlobsChecked;
pub use gc::BlobsCleared;
pub use read::BlobReader;
use rows::{Root, name};

/// The blobs of a thread. See [`Db::blobs`].
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// let named = db.blobs().put(&b"a picture"[..]).unwrap().of_type("image/png").unwrap();
/// people.patch("bob", &serde_json::json!({"face": named})).unwrap();
///
/// let bob = people.get("bob").unwrap().unwrap();
/// let named: threads_core::blob::BlobRef = serde_json::from_value(bob["face"].clone()).unwrap();
/// let mut out = Vec::new();
/// db.blobs().get(&named, &mut out).unwrap();
/// assert_eq!(out, b"a picture");
/// ```
#[derive(Clone, Debug)]
pub struct Blobs {
    db: Db,
}

/// What of a blob is not here.
///
/// ```
/// assert!(threads_db::Missing::default().is_nothing());
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// How many blocks, as far as the manifests tell that are here.
    pub blocks: u64,
    /// How many bytes of content those hold.
    pub bytes: u64,
    /// How many bytes the whole blob has; none while its manifest is not here.
    pub size: Option<u64>,
}

impl Missing {
    /// Whether the blob is here, whole.
    ///
    /// ```
    /// assert!(threads_db::Missing::default().is_nothing());
    /// ```
    pub fn is_nothing(&self) -> bool {
        self.blocks == 0
    }
}

/// A blob that is here, or is to come.
///
/// ```
/// fn line(blob: &threads_db::BlobInfo) -> String { format!("{} {}", blob.cid, blob.size) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlobInfo {
    /// Its name.
    #[serde(serialize_with = "crate::text::display")]
    pub cid: Cid,
    /// How many bytes it has; 0 while it is not whole here.
    pub size: u64,
    /// Whether all of it is here.
    pub whole: bool,
    /// Whether it stays though no entity names it.
    pub pinned: bool,
}

fn unsound(cid: &Cid) -> Error {
    Error::rejected("who made the blob broke its format: it cannot be read").with("blob", cid)
}

impl Db {
    /// The blobs of the thread.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.blobs().list().unwrap().is_empty());
    /// ```
    pub fn blobs(&self) -> Blobs {
        Blobs { db: self.clone() }
    }
}

impl Blobs {
    /// Puts in what `reader` gives, to its end, and gives what names it. It keeps a few MiB in memory. When
    /// it returns, the blob is on disk. Content that is here already takes no more room.
    ///
    /// What was put in by a call that failed or was cut short is used again when the same content comes, and
    /// is cleared away by [`Blobs::clear`] after an hour.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when the reader fails;
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) where the thread cannot be read;
    /// [`ErrorKind::Full`](threads_core::ErrorKind::Full) when the disk is;
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the reader gave nothing for an hour, and
    /// [`Blobs::clear`] took away what was in.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let one = db.blobs().put(&b"the same"[..]).unwrap();
    /// assert_eq!(db.blobs().put(&b"the same"[..]).unwrap(), one);
    /// ```
    pub fn put(&self, reader: impl Read) -> Result<BlobRef> {
        self.put_with(reader, &mut |_| ())
    }

    /// [`Blobs::put`], telling after each chunk how many bytes are in.
    ///
    /// # Errors
    ///
    /// Those of [`Blobs::put`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let mut done = 0;
    /// db.blobs().put_with(&[0; 300_000][..], &mut |progress| done = progress.done).unwrap();
    /// assert_eq!(done, 300_000);
    /// ```
    pub fn put_with(
        &self,
        mut reader: impl Read,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<BlobRef> {
        self.db.thread().check_reads()?;
        put::put(self.db.thread(), &mut reader, progress)
    }

    /// Writes the content of a blob to `writer`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when a part of it is not here, or the
    /// writer fails; [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when the reference opens it
    /// not, or whoever made it broke the format.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let named = db.blobs().put(&b"content"[..]).unwrap();
    /// let mut out = Vec::new();
    /// db.blobs().get(&named, &mut out).unwrap();
    /// assert_eq!(out, b"content");
    /// ```
    pub fn get(&self, named: &BlobRef, writer: impl Write) -> Result<()> {
        self.get_with(named, writer, &mut |_| ())
    }

    /// [`Blobs::get`], telling after each chunk how many bytes are out.
    ///
    /// # Errors
    ///
    /// Those of [`Blobs::get`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let named = db.blobs().put(&b"content"[..]).unwrap();
    /// let mut done = 0;
    /// db.blobs().get_with(&named, std::io::sink(), &mut |progress| done = progress.done).unwrap();
    /// assert_eq!(done, 7);
    /// ```
    pub fn get_with(
        &self,
        named: &BlobRef,
        mut writer: impl Write,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let failed = |cause| Error::unavailable("the blob cannot be written out").caused_by(cause);
        let mut reader = self.open(named)?;
        let mut done = 0;
        loop {
            let chunk = reader.rest()?;
            if chunk.is_empty() {
                return writer.flush().map_err(failed);
            }
            writer.write_all(chunk).map_err(failed)?;
            let bytes = chunk.len();
            reader.advance(bytes);
            done += bytes as u64;
            let total = Some(named.size());
            progress(Progress { done, total });
        }
    }

    /// The content of a blob, to be read from anywhere. See [`BlobReader`] for an example.
    ///
    /// # Errors
    ///
    /// Those of [`Blobs::get`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let named = db.blobs().put(&b"content"[..]).unwrap();
    /// let mut out = String::new();
    /// std::io::Read::read_to_string(&mut db.blobs().open(&named).unwrap(), &mut out).unwrap();
    /// assert_eq!(out, "content");
    /// ```
    pub fn open(&self, named: &BlobRef) -> Result<BlobReader> {
        BlobReader::new(&self.db, named)
    }

    /// Whether all of a blob is here. It needs no key: a replica may ask.
    ///
    /// # Errors
    ///
    /// Those of [`Blobs::missing`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let named = db.blobs().put(&b"content"[..]).unwrap();
    /// assert!(db.blobs().has(named.cid()).unwrap());
    /// ```
    pub fn has(&self, cid: &Cid) -> Result<bool> {
        Ok(self.missing(cid)?.is_nothing())
    }

    /// What of a blob is not here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when whoever made it broke the format.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let elsewhere = threads_core::block::cid_of(threads_core::block::DAG_CBOR, b"");
    /// let missing = db.blobs().missing(&elsewhere).unwrap();
    /// assert_eq!((missing.blocks, missing.size), (1, None), "its manifest, at least");
    /// ```
    pub fn missing(&self, cid: &Cid) -> Result<Missing> {
        Ok(self.count(cid)?.0)
    }

    /// Whether this node gets every blob that peers have of the thread. One that cannot read the thread does,
    /// within [`NodeBuilder::replica_quota`](crate::NodeBuilder::replica_quota); others get what is
    /// [asked for](Blobs::fetch), unless they are told to keep all.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(!db.blobs().keeps_all().unwrap());
    /// db.blobs().keep_all(true).unwrap();
    /// assert!(db.blobs().keeps_all().unwrap());
    /// ```
    pub fn keeps_all(&self) -> Result<bool> {
        let thread = self.db.thread();
        let txn = thread.node.store.read()?;
        rows::keeps_all(&*txn, thread)
    }

    /// Says whether this node is to get every blob that peers have of the thread.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// db.blobs().keep_all(false).unwrap();
    /// ```
    pub fn keep_all(&self, all: bool) -> Result<()> {
        let thread = self.db.thread();
        let note = |txn: &mut dyn threads_core::datastore::WriteTxn| {
            rows::keep_all(txn, thread.number, all)
        };
        thread.node.store.transact(Durability::Group, note)?;
        self.tell();
        Ok(())
    }

    /// Has a blob stay though no entity names it, or not any more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) for one that is neither here nor asked for.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let named = db.blobs().put(&b"content"[..]).unwrap();
    /// db.blobs().pin(named.cid(), true).unwrap();
    /// assert_eq!(db.blobs().clear(std::time::Duration::ZERO).unwrap().blobs, 0);
    /// ```
    pub fn pin(&self, cid: &Cid, pinned: bool) -> Result<()> {
        let thread = self.db.thread();
        thread.node.store.transact(Durability::Group, |txn| {
            let root = Root::get(txn.as_read(), thread.number, &name(cid))?;
            let mut root = root.ok_or_else(|| no_such(cid))?;
            root.pinned = pinned;
            root.put(txn, thread.number, &name(cid))
        })
    }

    /// The blobs that are here or asked for, by name.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let named = db.blobs().put(&b"content"[..]).unwrap();
    /// let blob = &db.blobs().list().unwrap()[0];
    /// assert_eq!((blob.cid, blob.size, blob.whole), (*named.cid(), 7, true));
    /// ```
    pub fn list(&self) -> Result<Vec<BlobInfo>> {
        let thread = self.db.thread();
        let txn = thread.node.store.read()?;
        let mut blobs = Vec::new();
        for roots in Root::pages(&*txn, thread.number) {
            blobs.extend(roots?.into_iter().map(|(name, root)| BlobInfo {
                cid: rows::cid_of(&name),
                size: root.size,
                whole: root.place.is_some(),
                pinned: root.pinned,
            }));
        }
        Ok(blobs)
    }

    /// Whether there is none, here or asked for.
    pub(crate) fn is_none(&self) -> Result<bool> {
        let thread = self.db.thread();
        let txn = thread.node.store.read()?;
        Ok(Root::after(&*txn, thread.number, None)?.is_empty())
    }

    /// Takes a blob away here, whoever names it. Peers keep theirs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) for one that is neither here nor asked for.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let named = db.blobs().put(&b"content"[..]).unwrap();
    /// assert_eq!(db.blobs().remove(named.cid()).unwrap().blocks, 2);
    /// assert!(!db.blobs().has(named.cid()).unwrap());
    /// ```
    pub fn remove(&self, cid: &Cid) -> Result<BlobsCleared> {
        let thread = self.db.thread();
        let known = Root::get(&*thread.node.store.read()?, thread.number, &name(cid))?;
        known.ok_or_else(|| no_such(cid))?;
        let mut cleared = BlobsCleared::default();
        gc::remove(thread, &name(cid), &mut cleared)?;
        cleared.blobs = 1;
        Ok(cleared)
    }

    /// Clears away the blobs that no living entity names, here, if they are older than `grace` and not
    /// [pinned](Blobs::pin); and what is left of those that were put in and never became whole. An entity
    /// names a blob by its [`BlobRef`], as an object or as text, anywhere in it. A node that cannot read the
    /// thread knows nothing of that, and clears only what is left over. Records that are held back name nothing:
    /// the `grace` is for them too.
    ///
    /// With a `grace` of zero after [`Db::purge`](crate::Db::purge) it takes away what only the purged named; the
    /// report of that says how many there are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when the codec of a collection or an
    /// entity is missing: what that names is not known then, so nothing goes.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// # use std::time::Duration;
    /// let named = db.blobs().put(&b"a picture"[..]).unwrap();
    /// people.patch("bob", &serde_json::json!({"face": named})).unwrap();
    /// assert_eq!(db.blobs().clear(Duration::ZERO).unwrap().blobs, 0);
    /// people.delete("bob").unwrap();
    /// assert_eq!(db.blobs().clear(Duration::ZERO).unwrap().blobs, 1);
    /// ```
    pub fn clear(&self, grace: Duration) -> Result<BlobsCleared> {
        gc::clear(&self.db, grace)
    }

    /// Clears away the blobs that became whole here longer ago than `older`, and are not [pinned](Blobs::pin), whoever
    /// names them: for a replica that cannot read the thread, and so cannot tell which ones still count. Nobody can
    /// make it do so from outside. Peers keep theirs; one of whom it knows that it has them is not asked for them
    /// again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) where the thread can be read: see
    /// [`Blobs::clear`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.blobs().clear_unread(std::time::Duration::ZERO).is_err(), "it can tell what is named");
    /// ```
    pub fn clear_unread(&self, older: Duration) -> Result<BlobsCleared> {
        gc::clear_unread(self.db.thread(), older)
    }

    /// Takes those of some blobs away that no living entity names and that are not pinned.
    pub(crate) fn remove_unnamed(&self, some: &BTreeSet<Cid>) -> Result<()> {
        gc::remove_unnamed(&self.db, some)
    }

    /// The blobs that [`Blobs::clear`] would take away.
    ///
    /// # Errors
    ///
    /// Those of [`Blobs::clear`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let named = db.blobs().put(&b"a picture"[..]).unwrap();
    /// assert_eq!(db.blobs().unnamed(std::time::Duration::ZERO).unwrap(), [*named.cid()]);
    /// ```
    pub fn unnamed(&self, grace: Duration) -> Result<Vec<Cid>> {
        self.db.thread().check_reads()?;
        let names = gc::unnamed(&self.db, grace)?;
        Ok(names.iter().map(rows::cid_of).collect())
    }

    /// Tells sync that there is something to get, or to tell of.
    fn tell(&self) {
        let thread = self.db.thread();
        (thread.node.notifier).notify_of(News(Fresh::Blobs(thread.number)));
    }
}

fn no_such(cid: &Cid) -> Error {
    Error::not_found("no blob of this name is here, or asked for").with("blob", cid)
}
