//! What a node does for a thread's rules by itself.

use threads_core::Result;
use threads_core::access::Statement;

use crate::db::Db;

impl Db {
    /// States what only this node can state and others wait for: when it is root's, that it knows of
    /// the admins that other admins have removed. Says whether it stated anything.
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
        let rules = self.rules()?;
        let me = self.thread().own_author();
        if !rules.is_some_and(|rules| rules.root == me && rules.unsealed) {
            return Ok(false);
        }
        self.write(|txn| txn.state(Statement::Checkpoint))?;
        Ok(true)
    }
}
