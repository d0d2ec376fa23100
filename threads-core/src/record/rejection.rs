//! What an author or a sender can do wrong, one name for each.

use std::fmt;

use crate::{Error, ErrorKind};

/// Why a record, an event or a body was refused.
///
/// It is the [`source`](std::error::Error::source) of an [`Error`] of kind
/// [`Rejected`](ErrorKind::Rejected).
///
/// ```
/// use threads_core::Error;
/// use threads_core::record::Rejection;
///
/// let error = Error::from(Rejection::BadSignature);
/// assert_eq!(Rejection::of(&error), Some(Rejection::BadSignature));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Not the shape of a record, or not canonical.
    Malformed,
    /// Larger than a record, an event or a body may be.
    TooLarge,
    /// Written by a later version of the format.
    UnknownVersion,
    /// Sealed under another key, or changed since.
    CannotOpen,
    /// It belongs to another thread.
    WrongThread,
    /// It belongs to another log.
    WrongLog,
    /// A link is not a CID that Threads uses, or does not match the sequence number.
    BadLink,
    /// More dependencies, ACL links or tags than allowed.
    TooManyLinks,
    /// The log's key is not one that only its owner can sign with.
    WeakKey,
    /// The signature is not the log key's over these bytes.
    BadSignature,
    /// The log's first record does not bind the log to its author by signatures both ways.
    AuthorMismatch,
    /// It does not follow the record before it.
    BrokenChain,
    /// The body is not what the signed header says it is.
    BadCommitment,
}

impl Rejection {
    /// The rejection an error carries, if it carries one.
    ///
    /// ```
    /// use threads_core::{Error, record::Rejection};
    /// assert_eq!(Rejection::of(&Error::full("disk full")), None);
    /// ```
    pub fn of(error: &Error) -> Option<Self> {
        std::error::Error::source(error)?
            .downcast_ref::<Self>()
            .copied()
    }

    fn message(self) -> &'static str {
        match self {
            Self::Malformed => "not a well-formed, canonical record",
            Self::TooLarge => "larger than the format allows",
            Self::UnknownVersion => "written by a later version: upgrade to read it",
            Self::CannotOpen => "sealed under another key, or changed since it was sealed",
            Self::WrongThread => "a record of another thread",
            Self::WrongLog => "a record of another log",
            Self::BadLink => "a link that is not sound",
            Self::TooManyLinks => "more links than the format allows",
            Self::WeakKey => "a log key that others could sign for",
            Self::BadSignature => "a signature that is not the log key's",
            Self::AuthorMismatch => "a log that is not bound to its author",
            Self::BrokenChain => "a record that does not follow the one before it",
            Self::BadCommitment => "a body that is not the one its header commits to",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Rejection {}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::new(ErrorKind::Rejected, rejection.message()).caused_by(rejection)
    }
}
