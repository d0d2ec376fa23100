//! How a command ends when it does not end well: what a person reads, what a program decides by.

use std::fmt::Write as _;
use std::io;

use serde_json::{Map, Value, json};
use threads_core::{Error, ErrorKind};

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
  10  unsupported by this build";

/// The exit code for a command line that is not right; the argument parser uses the same.
pub(crate) const USAGE: u8 = 2;

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
    Output(io::Error),
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
        Self::Output(error)
    }
}

/// Advice on the way of an error to the user.
pub(crate) trait Advise<T> {
    /// Adds what to do next about an error of `kind`.
    fn advise(self, kind: ErrorKind, help: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Failure>> Advise<T> for Result<T, E> {
    fn advise(self, kind: ErrorKind, help: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|failure| failure.into().with_help(kind, help))
    }
}

impl Failure {
    fn with_help(mut self, wanted: ErrorKind, advice: impl FnOnce() -> String) -> Self {
        if let Self::Error { error, help, .. } = &mut self
            && error.kind() == wanted
            && help.is_none()
        {
            *help = Some(advice());
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
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code, as [`EXIT_CODES`] lists them.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Error { error, .. } => code_of(error.kind()),
            Self::Output(_) if self.is_broken_pipe() => 0,
            Self::Output(error) if error.kind() == io::ErrorKind::StorageFull => 9,
            Self::Output(_) => 1,
        }
    }

    /// One object for a program.
    pub(crate) fn to_json(&self) -> Value {
        let (kind, message, context, help) = match self {
            Self::Error { error, help, .. } => {
                let context: Map<String, Value> = error
                    .context()
                    .map(|(name, value)| (name.to_owned(), Value::from(value)))
                    .collect();
                (
                    error.kind().as_str(),
                    error.message().to_owned(),
                    context,
                    help.clone(),
                )
            }
            Self::Output(error) => (
                "unexpected",
                format!("cannot write the results: {error}"),
                Map::new(),
                None,
            ),
        };
        let help = help.or_else(|| self.usual_help());
        json!({"error": {"kind": kind, "message": message, "context": context, "help": help}})
    }

    /// A few lines for a person.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = match self {
            Self::Output(error) => writeln!(text, "error: cannot write the results: {error}"),
            Self::Error { error, .. } => writeln!(text, "error: {}", error.message()),
        };
        if let Self::Error { error, excerpt, .. } = self {
            if let Some(excerpt) = excerpt {
                let _ = writeln!(text, "{excerpt}");
            }
            for (name, value) in error.context() {
                let _ = writeln!(text, "  {name}: {value}");
            }
        }
        let help = match self {
            Self::Error {
                help: Some(help), ..
            } => Some(help.clone()),
            _ => self.usual_help(),
        };
        if let Some(help) = help {
            let _ = writeln!(text, "help: {help}");
        }
        text
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
            ErrorKind::Unavailable => "run the command again when the other process has ended",
            _ => return None,
        };
        Some(help.to_owned())
    }
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
}
