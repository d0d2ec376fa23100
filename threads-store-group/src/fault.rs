//! What went wrong, in a form that many waiting commits can share.

use std::io;

use threads_core::{Error, ErrorKind};

const DISK_FULL: &str = "the disk is full: free some space and try again";
const BROKEN: &str = "writing to disk failed, so the store takes no more writes: check the disk, \
                      then close the store and open it again";
const DAMAGED: &str = "the store is damaged: restore it from a copy or a peer";

/// The cause of a failed commit. Cloned for each commit that it took down.
///
/// ```
/// use threads_core::ErrorKind;
/// use threads_store_group::Fault;
///
/// let fault = Fault::new(ErrorKind::Full, "no room: delete something").because("quota");
/// assert_eq!((fault.kind(), fault.breaks()), (ErrorKind::Full, false));
/// assert!(fault.breaking().breaks());
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    kind: ErrorKind,
    message: &'static str,
    cause: Option<String>,
    breaks: bool,
}

impl Fault {
    /// A fault after which the store goes on. The message says what happened and what to do.
    ///
    /// ```
    /// # use threads_core::ErrorKind;
    /// threads_store_group::Fault::new(ErrorKind::Full, "no room: delete something");
    /// ```
    pub fn new(kind: ErrorKind, message: &'static str) -> Self {
        Self {
            kind,
            message,
            cause: None,
            breaks: false,
        }
    }

    /// Nothing was written for want of room, and nothing is in doubt.
    ///
    /// ```
    /// assert!(!threads_store_group::Fault::disk_full().breaks());
    /// ```
    pub fn disk_full() -> Self {
        Self::new(ErrorKind::Full, DISK_FULL)
    }

    /// Writing or syncing failed: what is on disk is in doubt.
    ///
    /// ```
    /// assert!(threads_store_group::Fault::broken().breaks());
    /// ```
    pub fn broken() -> Self {
        Self::new(ErrorKind::Unavailable, BROKEN).breaking()
    }

    /// What was read is not what was written.
    ///
    /// ```
    /// # use threads_core::ErrorKind;
    /// assert_eq!(threads_store_group::Fault::damaged().kind(), ErrorKind::Corrupt);
    /// ```
    pub fn damaged() -> Self {
        Self::new(ErrorKind::Corrupt, DAMAGED)
    }

    /// The same fault, with what lies behind it.
    ///
    /// ```
    /// let error = threads_store_group::Fault::damaged().because("page 7").to_error();
    /// assert!(format!("{error:?}").contains("page 7"));
    /// ```
    #[must_use]
    pub fn because(self, cause: impl ToString) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..self
        }
    }

    /// The same fault, after which nobody knows what is on disk: the store takes no more writes until it
    /// is opened again.
    ///
    /// ```
    /// assert!(threads_store_group::Fault::damaged().breaking().breaks());
    /// ```
    #[must_use]
    pub fn breaking(self) -> Self {
        Self {
            breaks: true,
            ..self
        }
    }

    /// The kind of its error.
    ///
    /// ```
    /// # use threads_core::ErrorKind;
    /// assert_eq!(threads_store_group::Fault::disk_full().kind(), ErrorKind::Full);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the store can no longer tell what is on disk.
    ///
    /// ```
    /// assert!(!threads_store_group::Fault::damaged().breaks());
    /// ```
    pub fn breaks(&self) -> bool {
        self.breaks
    }

    /// The error of one commit that it took down.
    ///
    /// ```
    /// # use threads_core::ErrorKind;
    /// assert_eq!(threads_store_group::Fault::disk_full().to_error().kind(), ErrorKind::Full);
    /// ```
    pub fn to_error(&self) -> Error {
        let error = Error::new(self.kind, self.message);
        match &self.cause {
            Some(cause) => error.with("cause", cause),
            None => error,
        }
    }
}

/// Whether there was no room for a write: on the disk, in a quota, or in a file's length.
///
/// ```
/// assert!(threads_store_group::fault::is_full(&std::io::ErrorKind::QuotaExceeded.into()));
/// ```
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// The error for a failed file operation, with what was being done.
///
/// ```
/// use threads_store_group::fault::io_error;
/// let read = std::fs::read("/no/such/file").map_err(io_error("cannot read the data file"));
/// assert_eq!(read.unwrap_err().kind(), threads_core::ErrorKind::NotFound);
/// ```
pub fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> Error {
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
