//! What went wrong, in a form that many waiting commits can share.

use std::io;

use heed::MdbError;
use threads_core::{Error, ErrorKind};

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
const DAMAGED: &str = "the store is damaged: restore it from a copy or a peer";

impl Fault {
    pub(crate) fn new(kind: ErrorKind, message: &'static str) -> Self {
        Self {
            kind,
            message,
            cause: None,
            breaks: false,
        }
    }

    pub(crate) fn disk_full() -> Self {
        Self::new(ErrorKind::Full, DISK_FULL)
    }

    /// The same fault, after which the store must be opened again.
    pub(crate) fn breaking(self) -> Self {
        Self {
            breaks: true,
            ..self
        }
    }

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

    /// The fault behind an error of heed.
    pub(crate) fn of(error: &heed::Error) -> Self {
        let cause = Some(error.to_string());
        match error {
            heed::Error::Io(io) => Self {
                cause,
                ..Self::of_io(io)
            },
            heed::Error::Mdb(mdb) => Self {
                cause,
                ..Self::of_mdb(*mdb)
            },
            heed::Error::EnvAlreadyOpened => Self::new(
                ErrorKind::Unavailable,
                "the store is open in this process already: share that one",
            ),
            _ => Self {
                cause,
                ..Self::new(ErrorKind::Corrupt, DAMAGED)
            },
        }
    }

    /// The fault behind an error in checking pages before they are changed.
    pub(crate) fn of_check(error: &Error) -> Self {
        let message = match error.kind() {
            ErrorKind::Corrupt => DAMAGED,
            _ => "the store cannot be read, so nothing was written: check the disk",
        };
        Self {
            cause: Some(error.to_string()),
            ..Self::new(error.kind(), message)
        }
    }

    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::disk_full(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::new(
                ErrorKind::Unavailable,
                "the store's directory cannot be written, and readers register there too: change its \
                 permissions, or copy the store to a place of your own",
            ),
            io::ErrorKind::OutOfMemory => Self::new(
                ErrorKind::Unavailable,
                "the system refused memory or address space: lower map_bytes_initial, or raise the limit",
            ),
            _ => Self::new(ErrorKind::Unavailable, BROKEN).breaking(),
        }
    }

    fn of_mdb(error: MdbError) -> Self {
        match error {
            MdbError::MapFull => Self::new(
                ErrorKind::Full,
                "the store has reached its largest size: delete something, or raise map_bytes_max",
            ),
            MdbError::ReadersFull => Self::new(
                ErrorKind::Unavailable,
                "too many read transactions are open: close some, or raise readers_max",
            ),
            MdbError::TxnFull => Self::new(
                ErrorKind::Invalid,
                "a transaction is too large: split it into smaller ones",
            ),
            MdbError::Panic => Self::new(ErrorKind::Unavailable, BROKEN).breaking(),
            _ => Self::new(ErrorKind::Corrupt, DAMAGED),
        }
    }
}

/// The error for a failed file operation, with what was being done.
pub(crate) fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, what)
            .with("cause", &error)
            .caused_by(error)
    }
}

/// The error for a failed call of heed outside a commit.
pub(crate) fn heed_error(error: heed::Error) -> Error {
    Fault::of(&error).to_error().caused_by(error)
}
