//! What went wrong, in a form that many waiting commits can share; and the boundary at which a
//! panic of redb becomes an error.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use threads_core::{Error, ErrorKind, Result};

#[cfg(doc)]
use crate::disk::Disk;

/// The cause of a failed commit. Cloned for each commit that it took down.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    kind: ErrorKind,
    message: &'static str,
    cause: Option<String>,
    /// Whether the store can no longer tell what is on disk, so that it must be opened again.
    pub(crate) breaks: bool,
}

const DISK_FULL: &str = "the disk is full: free some space and try again";
const BROKEN: &str = "writing to disk failed, so the store takes no more writes: check the disk, \
                      then close the store and open it again";
const STALE: &str = "the disk was full or failed while this transaction was open: begin it again";
const DAMAGED: &str = "the store is damaged: restore it from a copy or a peer";

impl Fault {
    fn new(kind: ErrorKind, message: &'static str, cause: impl ToString) -> Self {
        Self {
            kind,
            message,
            cause: Some(cause.to_string()),
            breaks: true,
        }
    }

    /// Nothing was written, and nothing is in doubt.
    pub(crate) fn disk_full(cause: impl ToString) -> Self {
        Self {
            breaks: false,
            ..Self::new(ErrorKind::Full, DISK_FULL, cause)
        }
    }

    /// What is on disk is in doubt.
    pub(crate) fn broken(cause: impl ToString) -> Self {
        Self::new(ErrorKind::Unavailable, BROKEN, cause)
    }

    pub(crate) fn damaged(cause: impl ToString) -> Self {
        Self::new(ErrorKind::Corrupt, DAMAGED, cause)
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn to_error(&self) -> Error {
        let error = Error::new(self.kind, self.message);
        match &self.cause {
            Some(cause) => error.with("cause", cause),
            None => error,
        }
    }
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
                Fault::new(ErrorKind::Unavailable, STALE, error)
            }
            Self::Said(redb::Error::Io(error)) if is_damage(error) => Fault::damaged(error),
            Self::Said(error @ (redb::Error::Io(_) | redb::Error::Unsupported)) => {
                Fault::broken(error)
            }
            Self::Said(error) => Fault::damaged(error),
            Self::Panicked => Fault::damaged("redb panicked"),
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

/// Whether there was no room for a write.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// The error for a failed file operation, with what was being done.
pub(crate) fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ if is_full(&error) => ErrorKind::Full,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, what)
            .with("cause", &error)
            .caused_by(error)
    }
}
