//! What a node does for a thread's rules by itself.

use threads_core::Result;
use threads_core::access::Statement;
use threads_core::datastore::Datastore;

use super::rotate;
use crate::db::Db;

impl Db {
    /// States what others wait for, and this node may state: when it is root's, that it knows of the admins
    /// that other admins have removed; new keys, when two were removed at once and each of them has those
    /// that were made for the other's removal. Says whether it stated anything.
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
        let Some(rules) = self.rules()? else {
            return Ok(false);
        };
        if rules.root == self.thread().own_author() && rules.unsealed {
            // Keys that are due are made with it.
            self.write(|txn| txn.state(Statement::Checkpoint))?;
            return Ok(true);
        }
        let due = {
            let txn = self.thread().node.store.read()?;
            rotate::is_due(self, &rules, &*txn)?
        };
        if due {
            self.rotate_keys()?;
        }
        Ok(due)
    }
}
