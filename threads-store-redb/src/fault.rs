//! What redb says went wrong, and the boundary at which a panic of redb becomes an error.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use threads_core::{ErrorKind, Result};
use threads_store_group::Fault;

#[cfg(doc)]
use crate::disk::Disk;

const STALE: &str = "the disk was full or failed while this transaction was open: begin it again";

/// After damage nobody knows what is on disk.
pub(crate) fn damaged(cause: impl ToString) -> Fault {
    Fault::damaged().because(cause).breaking()
}

/// Why a call of redb did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It said so.
    Said(redb::Error),
    /// It panicked, which it does on some damaged files.
    Panicked,
}

impl Failure {
    /// The fault behind a failed call, when the disk itself reported nothing.
    pub(crate) fn to_fault(&self) -> Fault {
        match self {
            Self::Said(error @ (redb::Error::PreviousIo | redb::Error::DatabaseClosed)) => {
                let fault = Fault::new(ErrorKind::Unavailable, STALE);
                fault.because(error).breaking()
            }
            Self::Said(redb::Error::Io(error)) if is_damage(error) => damaged(error),
            Self::Said(error @ (redb::Error::Io(_) | redb::Error::Unsupported)) => {
                Fault::broken().because(error)
            }
            Self::Said(error) => damaged(error),
            Self::Panicked => damaged("redb panicked"),
        }
    }
}

/// Runs a call of redb, which may panic where the file is damaged: an error, and not the end of
/// the process. What it may leave behind is never used again: see [`Disk::fault`].
pub(crate) fn guarded<T, E: Into<redb::Error>>(
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Said(error.into())),
        Err(_) => Err(Failure::Panicked),
    }
}

/// Whether what was to be read is not there, or is not what it should be.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
}
