//! Checks blobs: every block is what its name says, and what is taken for whole is.

use threads_core::Result;

use super::Check;
use crate::blobs::check;

impl Check<'_> {
    pub(super) fn blobs(&mut self) -> Result<()> {
        let (found, _) = check::look(self.txn, self.thread.number, &mut |_| ())?;
        if found.damaged > 0 {
            let what = format!("{} are not what their names say", found.damaged);
            self.report.problem("blocks of blobs", what);
        }
        for cid in &found.blobs {
            let what = "it is not whole, and was: fetch it again";
            self.report.problem(format!("blob {cid}"), what);
        }
        // Those that are not named.
        self.report.problem_count += found.broken - found.blobs.len() as u64;
        self.report.blobs = found;
        Ok(())
    }
}
