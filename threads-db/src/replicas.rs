//! Waiting until peers have signed for a commit.

use std::time::Duration;

use threads_core::datastore::Datastore;
use threads_core::{Cid, Error, PeerId, Result};

use crate::chain;
use crate::db::Db;
use crate::sync::{Fresh, News, standing};
use crate::txn::{Commit, WriteTransaction};

impl Db {
    /// The peers that have a record of this node on their disks, by receipts that they signed. A peer
    /// that could not show what it signed for, or said since that it has less, is not among them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) for a record that is not here.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let mut txn = db.begin().unwrap();
    /// txn.delete(&db.collection("Person").unwrap(), "bob").unwrap();
    /// let commit = txn.commit().unwrap().unwrap();
    /// assert!(db.replicas_of(&commit.record).unwrap().is_empty(), "it is shared with nobody");
    /// ```
    pub fn replicas_of(&self, record: &Cid) -> Result<Vec<PeerId>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let place = chain::locate(&*txn, thread.number, record)?.ok_or_else(|| {
            Error::not_found("no record of this thread here has this CID").with("record", record)
        })?;
        let log = thread.log_id(&*txn, place.log)?;
        standing::holders(&*txn, thread.number, &log, place.seq)
    }

    /// Waits until `replicas` peers have signed that they have a record of this node on their disks, or
    /// `wait` is over; gives the peers. A [`Service`](crate::sync::Service) has to run meanwhile, on
    /// another thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when the time is over. The
    /// record stands all the same, here and with the peers that signed: wait again, and do not commit
    /// again. Those of [`Db::replicas_of`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// # use std::time::Duration;
    /// let mut txn = db.begin().unwrap();
    /// txn.delete(&db.collection("Person").unwrap(), "bob").unwrap();
    /// let commit = txn.commit().unwrap().unwrap();
    /// let late = db.await_replicas(&commit.record, 1, Duration::ZERO).unwrap_err();
    /// assert!(late.to_string().contains("signed: 0"), "{late}");
    /// ```
    pub fn await_replicas(
        &self,
        record: &Cid,
        replicas: usize,
        wait: Duration,
    ) -> Result<Vec<PeerId>> {
        let thread = self.thread();
        let node = &thread.node;
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let news = News(Fresh::Awaited(thread.number, wait_ms));
        node.notifier.notify_of(news);
        let enough = || {
            let signed = self.replicas_of(record)?;
            Ok((signed.len() >= replicas).then_some(signed))
        };
        match node.notifier.next(&*node.clock, wait, enough)? {
            Some(signed) => Ok(signed),
            None => self.too_few(record, replicas),
        }
    }

    /// The last look, for what came without a word, and the error.
    fn too_few(&self, record: &Cid, replicas: usize) -> Result<Vec<PeerId>> {
        let signed = self.replicas_of(record)?;
        if signed.len() >= replicas {
            return Ok(signed);
        }
        let error = Error::unavailable(
            "the record is on disk here, and too few replicas have signed for it yet: wait for them \
             again, and do not commit it again",
        );
        Err(error
            .with("record", record)
            .with("signed", signed.len())
            .with("wanted", replicas))
    }
}

impl WriteTransaction<'_> {
    /// [`WriteTransaction::commit`], durable here and on the disks of `replicas` peers: it waits until
    /// they have signed for it, as [`Db::await_replicas`] does.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::commit`]; and
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) with a `record` in its context
    /// when the time is over. That record stands: wait for it with [`Db::await_replicas`], and do not
    /// commit again.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// # use std::time::Duration;
    /// let mut txn = db.begin().unwrap();
    /// txn.delete(&db.collection("Person").unwrap(), "bob").unwrap();
    /// let late = txn.commit_replicated(2, Duration::from_millis(1)).unwrap_err();
    /// assert!(late.context().any(|(name, _)| name == "record"), "it is here all the same");
    /// ```
    pub fn commit_replicated(self, replicas: usize, wait: Duration) -> Result<Option<Commit>> {
        let db = self.db.clone();
        let durability = match db.thread().node.durability {
            // What may be lost here must not be waited for elsewhere.
            threads_core::datastore::Durability::Relaxed => Default::default(),
            durable => durable,
        };
        let Some(commit) = self.commit_with(durability)? else {
            return Ok(None);
        };
        db.await_replicas(&commit.record, replicas, wait)?;
        Ok(Some(commit))
    }
}
