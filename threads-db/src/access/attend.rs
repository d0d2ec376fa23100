//! What a node does for a thread's rules by itself.

use std::sync::PoisonError;

use threads_core::Result;
use threads_core::access::{Scope, Statement};
use threads_core::datastore::Datastore;

use crate::db::Db;

impl Db {
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
        // Put in whole, so a panic elsewhere broke nothing.
        let attended = || {
            thread
                .attended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        // What others need not name changes nothing of that; but keys grow old.
        if !worn && (latest.is_empty() || attended().as_ref() == Some(&latest)) {
            return Ok(false);
        }
        let stated = self.state_what_is_due()?;
        if !stated {
            *attended() = Some(latest);
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
