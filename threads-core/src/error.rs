//! The one error type that crosses every trait.
//!
//! A caller decides by [`ErrorKind`]; a person reads the message and the context; a program
//! that needs the precise fault downcasts [`std::error::Error::source`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// The result of every fallible call in Threads.
///
/// ```
/// fn half(n: u32) -> threads_core::Result<u32> {
///     if n % 2 == 0 { Ok(n / 2) } else { Err(threads_core::Error::invalid("not even")) }
/// }
/// assert_eq!(half(4).unwrap(), 2);
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error.
///
/// A new kind is added only when a caller would handle it differently from every other.
///
/// ```
/// use threads_core::{Error, ErrorKind};
/// assert_eq!(Error::not_found("no such thread").kind(), ErrorKind::NotFound);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The thing named does not exist. Create it, or name another.
    NotFound,
    /// The thing exists already, or a unique value is taken. Choose another.
    Conflict,
    /// The caller's input is wrong. Correct it; trying again unchanged cannot succeed.
    Invalid,
    /// Something authored elsewhere broke a rule of the protocol. It was not applied.
    Rejected,
    /// Bytes at rest are not what was written. Restore from a copy or a peer.
    Corrupt,
    /// This build or backend cannot do it. Install the missing part.
    Unsupported,
    /// Not now: in use, closed, or the system refused. Trying again may succeed.
    Unavailable,
    /// Out of space. Everything committed is intact; free space and try again.
    Full,
}

impl ErrorKind {
    /// A short, stable word for programs, such as `not-found`.
    ///
    /// ```
    /// assert_eq!(threads_core::ErrorKind::NotFound.as_str(), "not-found");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Full => "full",
        }
    }
}

/// An error: a kind to decide by, a message to read, facts, and the cause.
///
/// The message says what happened and what to do; its text is not API.
///
/// ```
/// use threads_core::{Error, ErrorKind};
///
/// let error = Error::invalid("a thread id is too short").with("bytes", 3);
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.to_string(), "a thread id is too short (bytes: 3)");
/// ```
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
            Self::new(ErrorKind::$kind, message)
        })*
    };
}

impl Error {
    /// An error of `kind`.
    ///
    /// ```
    /// use threads_core::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Full, "disk full").kind(), ErrorKind::Full);
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }
    }

    constructors! {
        /// An error of kind [`ErrorKind::NotFound`].
        ///
        /// ```
        /// assert_eq!(threads_core::Error::not_found("gone").to_string(), "gone");
        /// ```
        not_found => NotFound;
        /// An error of kind [`ErrorKind::Conflict`].
        ///
        /// ```
        /// assert_eq!(threads_core::Error::conflict("taken").to_string(), "taken");
        /// ```
        conflict => Conflict;
        /// An error of kind [`ErrorKind::Invalid`].
        ///
        /// ```
        /// assert_eq!(threads_core::Error::invalid("odd").to_string(), "odd");
        /// ```
        invalid => Invalid;
        /// An error of kind [`ErrorKind::Rejected`].
        ///
        /// ```
        /// assert_eq!(threads_core::Error::rejected("forged").to_string(), "forged");
        /// ```
        rejected => Rejected;
        /// An error of kind [`ErrorKind::Corrupt`].
        ///
        /// ```
        /// assert_eq!(threads_core::Error::corrupt("bit rot").to_string(), "bit rot");
        /// ```
        corrupt => Corrupt;
        /// An error of kind [`ErrorKind::Unsupported`].
        ///
        /// ```
        /// assert_eq!(threads_core::Error::unsupported("no codec").to_string(), "no codec");
        /// ```
        unsupported => Unsupported;
        /// An error of kind [`ErrorKind::Unavailable`].
        ///
        /// ```
        /// assert_eq!(threads_core::Error::unavailable("in use").to_string(), "in use");
        /// ```
        unavailable => Unavailable;
        /// An error of kind [`ErrorKind::Full`].
        ///
        /// ```
        /// assert_eq!(threads_core::Error::full("disk full").to_string(), "disk full");
        /// ```
        full => Full;
    }

    /// The same error with one more fact. Never pass a key or a plaintext.
    ///
    /// ```
    /// let error = threads_core::Error::invalid("bad row").with("line", 7);
    /// assert_eq!(error.to_string(), "bad row (line: 7)");
    /// ```
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((name, value.to_string()));
        self
    }

    /// The same error with its cause.
    ///
    /// ```
    /// use std::error::Error as _;
    /// let cause = "x".parse::<u8>().unwrap_err();
    /// assert!(threads_core::Error::invalid("bad port").caused_by(cause).source().is_some());
    /// ```
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    ///
    /// ```
    /// # use threads_core::{Error, ErrorKind};
    /// assert_eq!(Error::full("disk full").kind(), ErrorKind::Full);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened and what to do, without the facts.
    ///
    /// ```
    /// # use threads_core::Error;
    /// assert_eq!(Error::invalid("bad row").with("line", 7).message(), "bad row");
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The facts, in the order they were added.
    ///
    /// ```
    /// # use threads_core::Error;
    /// let error = Error::invalid("bad row").with("line", 7);
    /// assert_eq!(error.context().next(), Some(("line", "7")));
    /// ```
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.context
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether the same call may succeed later without a change by the caller.
    ///
    /// ```
    /// # use threads_core::Error;
    /// assert!(Error::unavailable("in use").is_retryable());
    /// assert!(!Error::invalid("odd").is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Full)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (i, (name, value)) in self.context.iter().enumerate() {
            f.write_str(if i == 0 { " (" } else { ", " })?;
            write!(f, "{name}: {value}")?;
        }
        if !self.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "; caused by: {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}
