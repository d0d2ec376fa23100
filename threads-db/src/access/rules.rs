//! The access rules of a thread, as applications ask for them.

use threads_core::access::{Genesis, Role, Rules, Scope, Stated, Statement};
use threads_core::datastore::{Datastore, Keyspace};
use threads_core::{Cid, Error, PeerId, Result};

use crate::chain;
use crate::db::Db;
use crate::dispatcher::{self, Judged};
use crate::layout::meta;
use crate::purge;

impl Db {
    /// Who may do what in this thread; `None` where there are no rules, so that whoever has the keys
    /// may do everything.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.rules().unwrap().is_none());
    /// ```
    pub fn rules(&self) -> Result<Option<Rules>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        thread.node.policy.rules(&thread.id, &*txn)
    }

    /// What a peer may do in a scope of this thread; `None` as in [`Db::rules`].
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_core::access::Scope;
    /// assert!(db.roles(&node.peer_id(), &Scope::Thread).unwrap().is_none());
    /// ```
    pub fn roles(&self, peer: &PeerId, scope: &Scope) -> Result<Option<Vec<Role>>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        thread.node.policy.roles(&thread.id, peer, scope, &*txn)
    }

    /// Everything that was stated about access, in the order in which it came here, and what became of
    /// it.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.access_history().unwrap().is_empty());
    /// ```
    pub fn access_history(&self) -> Result<Vec<Stated>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        thread.node.policy.statements(&thread.id, &*txn)
    }

    /// Why a record is applied or is not, in plain words: the grants and removals that lead there, the
    /// deciding one last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when it does not stand in a log of
    /// this thread.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let record = db.log(None).unwrap()[0].record;
    /// assert_eq!(db.why(&record).unwrap(), ["it is applied"]);
    /// ```
    pub fn why(&self, record: &Cid) -> Result<Vec<String>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let place = chain::locate(&*txn, thread.number, record)?;
        let place = place.ok_or_else(|| {
            Error::not_found("no record of this thread has this CID").with("cid", record)
        })?;
        let blocks = chain::expect(&*txn, place)?;
        let opened = match thread.open(&blocks) {
            Ok(opened) => opened,
            Err(fault) => return Ok(vec![fault.to_string()]),
        };
        if let Some(by) = blocks.purged_by()? {
            return Ok(vec![purge::why(&*txn, place, &by)?]);
        }
        if opened.record.fields().access {
            let stated = thread.node.policy.statements(&thread.id, &*txn)?;
            let stated = stated.into_iter().filter(|stated| stated.record == *record);
            let why = stated.map(|stated| stated.void.unwrap_or_else(|| "it counts".to_owned()));
            return Ok(why.collect());
        }
        let author = thread.author(&*txn, place.log)?;
        let author = author.ok_or_else(|| Error::corrupt("a log's author is missing"))?;
        let changes = opened.batch().map(dispatcher::changes);
        let fields = opened.record.fields();
        let judged = Judged::standing(fields, place, changes.as_deref());
        dispatcher::with_candidate(&*txn, thread, author, judged, |candidate| {
            thread.node.policy.explain(candidate, &*txn)
        })
    }

    /// States the beginning of a thread that this node made, if it was not stated yet.
    pub(crate) fn begin_access(&self) -> Result<()> {
        let thread = self.thread();
        let genesis = {
            let txn = thread.node.store.read()?;
            let key = meta::genesis(thread.number);
            let genesis = txn.get(Keyspace::Meta, &key)?;
            let begun = !super::latest(&*txn, thread.number)?.is_empty();
            genesis.filter(|_| !begun).map(|bytes| bytes.into_owned())
        };
        let Some(genesis) = genesis else {
            return Ok(());
        };
        let genesis: Genesis = threads_core::block::decode(&genesis).map_err(|cause| {
            Error::corrupt("the beginning of a thread is damaged").caused_by(cause)
        })?;
        // To be read only, it waits for who writes.
        if thread.node.writer()?.is_none() {
            return Ok(());
        }
        self.write(|txn| {
            txn.state(Statement::Genesis(genesis))?;
            txn.state(Statement::Card(thread.node.identity.card()))
        })
    }
}
