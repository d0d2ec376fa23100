//! What heed says went wrong, as a fault of the store.

use std::io;

use heed::MdbError;
use threads_core::{Error, ErrorKind};
use threads_store_group::Fault;
use threads_store_group::fault::is_full;

/// The fault behind an error of heed.
pub(crate) fn of(error: &heed::Error) -> Fault {
    match error {
        heed::Error::Io(io) => of_io(io).because(error),
        heed::Error::Mdb(mdb) => of_mdb(*mdb).because(error),
        heed::Error::EnvAlreadyOpened => Fault::new(
            ErrorKind::Unavailable,
            "the store is open in this process already: share that one",
        ),
        _ => Fault::damaged().because(error),
    }
}

/// The fault behind an error in checking pages before they are changed.
pub(crate) fn of_check(error: &Error) -> Fault {
    let fault = match error.kind() {
        ErrorKind::Corrupt => Fault::damaged(),
        kind => Fault::new(
            kind,
            "the store cannot be read, so nothing was written: check the disk",
        ),
    };
    fault.because(error)
}

fn of_io(error: &io::Error) -> Fault {
    match error.kind() {
        _ if is_full(error) => Fault::disk_full(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Fault::new(
            ErrorKind::Unavailable,
            "the store's directory cannot be written, and readers register there too: change its \
             permissions, or copy the store to a place of your own",
        ),
        io::ErrorKind::OutOfMemory => Fault::new(
            ErrorKind::Unavailable,
            "the system refused memory or address space: lower map_bytes_initial, or raise the limit",
        ),
        _ => Fault::broken(),
    }
}

fn of_mdb(error: MdbError) -> Fault {
    match error {
        MdbError::MapFull => Fault::new(
            ErrorKind::Full,
            "the store has reached its largest size: delete something, or raise map_bytes_max",
        ),
        MdbError::ReadersFull => Fault::new(
            ErrorKind::Unavailable,
            "too many read transactions are open: close some, or raise readers_max",
        ),
        MdbError::TxnFull => Fault::new(
            ErrorKind::Invalid,
            "a transaction is too large: split it into smaller ones",
        ),
        MdbError::Panic => Fault::broken(),
        _ => Fault::damaged(),
    }
}

/// The error for a failed call of heed outside a commit.
pub(crate) fn heed_error(error: heed::Error) -> Error {
    of(&error).to_error().caused_by(error)
}
