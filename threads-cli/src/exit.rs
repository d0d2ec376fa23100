//! How a command ends when it does not end well: what a person reads, what a program decides by.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;

use serde_json::{Map, Value, json};
use threads_core::{Error, ErrorKind};

use crate::output::visible;

/// The end of `threads --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  unexpected: none of the below
   2  the command line is not right
   3  not found: a repository, thread, collection, entity, block or file
   4  conflict: the name, file or unique value is taken
   5  the input is not valid, or some rows of an import were not
   6  rejected, or verify found problems
   7  corrupt: the bytes on disk or in a file are not what was written
   8  unavailable: in use, or the system refused
   9  full: no space is left
  10  unsupported by this build
 130  an import was interrupted";

/// The exit code for a command line that is not right; the argument parser uses the same.
pub(crate) const USAGE: u8 = 2;

/// The exit code of a command that Ctrl-C ended half-way, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// The most causes of an error that are told.
const CAUSES_MAX: usize = 8;

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong; `help` says what to type next.
    Error {
        error: Error,
        excerpt: Option<String>,
        help: Option<String>,
    },
    /// The results could not be written. When the reader has gone, nobody is left to tell.
    Output {
        error: io::Error,
        /// What the command had done by then, if it was to do more than to print.
        done: Option<&'static str>,
    },
}

pub(crate) type Result<T = (), E = Failure> = std::result::Result<T, E>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error {
            error,
            excerpt: None,
            help: None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output { error, done: None }
    }
}

/// Advice on the way of an error to the user.
pub(crate) trait Advise<T> {
    /// Adds what to do next about an error of `kind`.
    fn advise(self, kind: ErrorKind, help: impl FnOnce() -> String) -> Result<T>;

    /// Adds what to do next about this very error, if `help` knows.
    fn advise_by(self, help: impl FnOnce(&Error) -> Option<String>) -> Result<T>;
}

impl<T, E: Into<Failure>> Advise<T> for Result<T, E> {
    fn advise(self, kind: ErrorKind, help: impl FnOnce() -> String) -> Result<T> {
        self.advise_by(|error| (error.kind() == kind).then(help))
    }

    fn advise_by(self, help: impl FnOnce(&Error) -> Option<String>) -> Result<T> {
        self.map_err(|failure| failure.into().with_help(help))
    }
}

impl Failure {
    fn with_help(mut self, advice: impl FnOnce(&Error) -> Option<String>) -> Self {
        if let Self::Error { error, help, .. } = &mut self
            && help.is_none()
        {
            *help = advice(error);
        }
        self
    }

    /// The same, of a command that had done something before its results could not be written.
    pub(crate) fn after(mut self, what: Option<&'static str>) -> Self {
        if let Self::Output { done, .. } = &mut self {
            *done = what;
        }
        self
    }

    /// A failure with its advice.
    pub(crate) fn new(error: Error, help: impl Into<String>) -> Self {
        Self::Error {
            error,
            excerpt: None,
            help: Some(help.into()),
        }
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The kind of the error; none when nothing could be printed.
    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Error { error, .. } => Some(error.kind()),
            Self::Output { .. } => None,
        }
    }

    /// The exit code, as [`EXIT_CODES`] lists them.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Error { error, .. } => code_of(error.kind()),
            Self::Output { .. } if self.is_broken_pipe() => 0,
            Self::Output { error, .. } if is_full(error) => code_of(ErrorKind::Full),
            Self::Output { .. } => 1,
        }
    }

    /// One object for a program.
    pub(crate) fn to_json(&self) -> Value {
        let context: Map<String, Value> = match self {
            Self::Error { error, .. } => error
                .context()
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .collect(),
            Self::Output { .. } => Map::new(),
        };
        let kind = match self {
            Self::Error { error, .. } => error.kind().as_str(),
            Self::Output { error, .. } if is_full(error) => ErrorKind::Full.as_str(),
            Self::Output { .. } => "unexpected",
        };
        json!({"error": {
            "kind": kind,
            "message": self.message(),
            "context": context,
            "causes": self.causes(),
            "help": self.help(),
        }})
    }

    /// A few lines for a person.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(text, "error: {}", self.message());
        if let Self::Error { error, excerpt, .. } = self {
            if let Some(excerpt) = excerpt {
                let _ = writeln!(text, "{excerpt}");
            }
            for (name, value) in error.context() {
                let _ = writeln!(text, "  {name}: {value}");
            }
        }
        for cause in self.causes() {
            let _ = writeln!(text, "caused by: {cause}");
        }
        if let Some(help) = self.help() {
            let _ = writeln!(text, "help: {help}");
        }
        visible(&text).into_owned()
    }

    fn message(&self) -> String {
        match self {
            Self::Error { error, .. } => error.message().to_owned(),
            Self::Output { error, .. } => format!("cannot write the results: {error}"),
        }
    }

    /// The causes behind the error that it does not tell itself, the nearest first.
    fn causes(&self) -> Vec<String> {
        let Self::Error { error, .. } = self else {
            return Vec::new();
        };
        let mut told = error.to_string();
        let mut causes = Vec::new();
        let mut next = error.source();
        for _ in 0..CAUSES_MAX {
            let Some(cause) = next else { break };
            let text = cause.to_string();
            if !told.contains(&text) {
                told.push_str(&text);
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Error {
                help: Some(help), ..
            } => Some(help.clone()),
            Self::Error { .. } => self.usual_help(),
            Self::Output {
                done: Some(done), ..
            } => Some(format!(
                "{done}; only the result could not be printed, so look before you run it again"
            )),
            Self::Output { .. } => {
                Some("send the results to a place that has room and can be written".to_owned())
            }
        }
    }

    /// What to do about an error that came without advice.
    fn usual_help(&self) -> Option<String> {
        let Self::Error { error, .. } = self else {
            return None;
        };
        let help = match error.kind() {
            ErrorKind::Corrupt => {
                "`threads verify DB` says what is damaged; `threads restore FILE` brings an export \
                 back into a repository made with `threads --repo DIR init`"
            }
            ErrorKind::Full => {
                "everything committed before is intact: free some space and run the command again"
            }
            // Only the access policy says why it refuses what is done here.
            ErrorKind::Rejected if error.context().any(|(name, _)| name == "why") => {
                "`threads acl show DB` says who may do what: ask root, or somebody with write of the rules, for \
                 a role"
            }
            ErrorKind::Rejected => {
                "it came from elsewhere and broke a rule, so nothing of it was applied: ask its \
                 author for another copy; `threads verify DB` proves what is here"
            }
            ErrorKind::Unavailable => "run the command again when the other process has ended",
            _ => return None,
        };
        Some(help.to_owned())
    }
}

/// Whether there was no room.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound => 3,
        ErrorKind::Conflict => 4,
        ErrorKind::Invalid => 5,
        ErrorKind::Rejected => 6,
        ErrorKind::Corrupt => 7,
        ErrorKind::Unavailable => 8,
        ErrorKind::Full => 9,
        ErrorKind::Unsupported => 10,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code_that_a_kind_has() {
        let kinds = [
            ErrorKind::NotFound,
            ErrorKind::Conflict,
            ErrorKind::Invalid,
            ErrorKind::Rejected,
            ErrorKind::Corrupt,
            ErrorKind::Unavailable,
            ErrorKind::Full,
            ErrorKind::Unsupported,
        ];
        for kind in kinds {
            let code = code_of(kind);
            assert!(EXIT_CODES.contains(&format!("\n  {code:2}  ")), "{code}");
            let failure = Failure::from(Error::new(kind, "it happened").with("fact", 1));
            assert_eq!(failure.code(), code);
            assert!(
                failure
                    .to_text()
                    .starts_with("error: it happened\n  fact: 1\n")
            );
            assert_eq!(failure.to_json()["error"]["kind"], kind.as_str());
            assert_eq!(failure.to_json()["error"]["context"]["fact"], "1");
        }
    }

    #[test]
    fn advice_is_for_its_kind_and_the_first_stays() {
        let missing = || Err::<(), _>(Error::not_found("no such thing"));
        let failure = missing()
            .advise(ErrorKind::Conflict, || "wrong".into())
            .advise(ErrorKind::NotFound, || "make it".into())
            .advise(ErrorKind::NotFound, || "too late".into())
            .unwrap_err();
        assert_eq!(failure.to_text(), "error: no such thing\nhelp: make it\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let gone = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(gone.code(), 0);
        assert_eq!(
            Failure::from(io::Error::from(io::ErrorKind::StorageFull)).code(),
            9
        );
        assert_eq!(Failure::from(io::Error::other("odd")).code(), 1);
    }

    #[test]
    fn causes_are_told_once() {
        let cause = Error::invalid("the cause").caused_by(io::Error::other("the last"));
        let error = Error::invalid("it happened")
            .with("cause", "the cause")
            .caused_by(cause);
        let failure = Failure::from(error);
        assert_eq!(
            failure.to_text(),
            "error: it happened\n  cause: the cause\ncaused by: the last\n"
        );
        assert_eq!(failure.to_json()["error"]["causes"], json!(["the last"]));
    }
}
