//! Which log of a thread this node writes, and in which copy of its datastore.

use threads_core::datastore::{Datastore, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Error, LogId, Result};

use crate::db::Db;
use crate::layout::{Number, meta};

/// The log that a node writes in a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnLog {
    pub(crate) log: LogId,
    /// The copy of the datastore in which it is written, where that can be told.
    pub(crate) instance: Option<u64>,
}

impl OwnLog {
    pub(crate) fn get(txn: &dyn ReadTxn, thread: Number) -> Result<Option<Self>> {
        let Some(value) = txn.get(Keyspace::Meta, &meta::own_log(thread))? else {
            return Ok(None);
        };
        let damaged = || Error::corrupt("the name of this node's log is damaged");
        let (log, instance) = value.split_first_chunk::<32>().ok_or_else(damaged)?;
        let instance = match instance.is_empty() {
            true => None,
            false => Some(instance.try_into().map_err(|_| damaged())?),
        };
        Ok(Some(Self {
            log: LogId::from_key_bytes(*log),
            instance: instance.map(u64::from_be_bytes),
        }))
    }

    pub(crate) fn put(self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        let instance = self.instance.map(u64::to_be_bytes);
        let instance = instance.as_ref().map_or(&[][..], |bytes| bytes);
        let value = [self.log.key_bytes(), instance].concat();
        txn.put(Keyspace::Meta, &meta::own_log(thread), &value)
    }

    /// Whether it is known to be written in another copy of the datastore than this one.
    pub(crate) fn is_of_another(&self, here: Option<u64>) -> bool {
        self.instance.is_some() && here.is_some() && self.instance != here
    }
}

impl Db {
    /// Whether the datastore is a copy of the one in which this node last wrote to the thread. The
    /// next commit begins another log then: were both copies to go on with one log, it would be
    /// forked. Moving a datastore to another file system makes a copy too, and does no harm.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(!db.is_copy().unwrap());
    /// ```
    pub fn is_copy(&self) -> Result<bool> {
        let thread = self.thread();
        let here = thread.node.store.capability().instance;
        let own = OwnLog::get(&*thread.node.store.read()?, thread.number)?;
        Ok(own.is_some_and(|own| own.is_of_another(here)))
    }
}
