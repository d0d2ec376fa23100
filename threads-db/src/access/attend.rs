//! What a node does for a thread's rules by itself.

use std::sync::{MutexGuard, PoisonError};

use threads_core::access::{Scope, Statement};
use threads_core::datastore::Datastore;
use threads_core::{Cid, Result};

use crate::db::Db;
use crate::thread::Thread;

/// What came of it when a node last looked at what is to be done for a thread's rules.
#[derive(Debug, Default)]
pub(crate) struct Attended {
    /// The latest access records when there was nothing to state.
    latest: Option<Vec<Cid>>,
    /// Why it could not be done, as far as sync had to do it.
    failed: Option<String>,
}

impl Thread {
    fn attended(&self) -> MutexGuard<'_, Attended> {
        // Put in whole, so a panic elsewhere broke nothing.
        self.attended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why what this node does for the rules by itself could not be done when sync last tried, if so.
    pub(crate) fn unattended(&self) -> Option<String> {
        self.attended().failed.clone()
    }
}

impl Db {
    /// What [`Db::attend_access`] does, after records came: they are taken in whatever comes of it. What is
    /// left undone is told by the status, and tried again with the next records.
    pub(crate) fn attend_after_intake(&self) {
        let failed = self.attend_access().err();
        self.thread().attended().failed = failed.map(|error| error.to_string());
    }

    /// States what others wait for, and this node may state: when it is root's, that it knows of the admins
    /// that other admins have removed; new keys, when two were removed at once and each of them has those
    /// that were made for the other's removal, or when those in use have served for 30 days or 2^20 records.
    /// Says whether it stated anything.
    ///
    /// # Errors
    ///
    /// Those of a commit.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(!db.attend_access().unwrap(), "a thread without rules needs nothing");
    /// ```
    pub fn attend_access(&self) -> Result<bool> {
        let thread = self.thread();
        let (latest, worn) = {
            let txn = thread.node.store.read()?;
            let latest = super::latest(&*txn, thread.number)?;
            (latest, thread.rotation_is_due(&*txn)?)
        };
        // What others need not name changes nothing of that; but keys grow old.
        if !worn && (latest.is_empty() || thread.attended().latest.as_ref() == Some(&latest)) {
            return Ok(false);
        }
        let stated = self.state_what_is_due()?;
        if !stated {
            thread.attended().latest = Some(latest);
        }
        Ok(stated)
    }

    fn state_what_is_due(&self) -> Result<bool> {
        let own = self.thread().own_author();
        let may_change = self.roles(&own, &Scope::Acl)?;
        if may_change.is_none_or(|roles| roles.is_empty()) {
            return Ok(false);
        }
        let Some(rules) = self.rules()? else {
            return Ok(false);
        };
        if rules.root == own && rules.unsealed {
            // Keys that are due are made with it.
            self.write(|txn| txn.state(Statement::Checkpoint))?;
            return Ok(true);
        }
        let due = {
            let txn = self.thread().node.store.read()?;
            self.thread().rotation_is_due(&*txn)?
        };
        if due {
            self.rotate_keys()?;
        }
        Ok(due)
    }
}
