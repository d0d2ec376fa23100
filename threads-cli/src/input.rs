//! JSON that the user hands over: on the command line, in a file or on standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use threads_core::{Error, ErrorKind};

use crate::exit::{Failure, Result};

/// The longest document that is read whole, in bytes: several times what one record holds.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// Some editors begin a text with it; it is no part of the JSON.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The JSON in an argument; `-` reads standard input.
pub(crate) fn argument(text: &str, what: &str) -> Result<Value> {
    const HELP: &str = r#"write JSON in single quotes, such as '{"name": "Ann", "age": 61}'"#;
    if text == "-" {
        return file(Path::new("-"), what);
    }
    parse(text, what, HELP)
}

/// The JSON in a file; `-` reads standard input.
pub(crate) fn file(path: &Path, what: &str) -> Result<Value> {
    typed(
        path,
        what,
        DOCUMENT_BYTES_MAX,
        "correct the text at that place",
    )
}

/// A value of some type, as JSON in a file of at most so many bytes; `-` reads standard input.
pub(crate) fn typed<T: DeserializeOwned>(
    path: &Path,
    what: &str,
    most: u64,
    help: &str,
) -> Result<T> {
    let text = if path.as_os_str() == "-" {
        read(io::stdin().lock(), most)
    } else {
        open(path).and_then(|file| read(file, most))
    };
    let text = text.map_err(|error| unreadable(path, Source::FileOrInput, error))?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    parse(text, what, help)
}

/// What a command can read where it takes a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    File,
    /// A file, or standard input as `-`.
    FileOrInput,
}

/// Opens a file and not a directory.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    Ok(file)
}

/// What to say of a file that cannot be read.
pub(crate) fn unreadable(path: &Path, source: Source, error: io::Error) -> Failure {
    let (kind, help) = match error.kind() {
        io::ErrorKind::NotFound => match source {
            Source::File => (ErrorKind::NotFound, "name a file that exists"),
            Source::FileOrInput => (
                ErrorKind::NotFound,
                "name a file that exists, or - for standard input",
            ),
        },
        io::ErrorKind::InvalidData => (ErrorKind::Invalid, "the file must be text in UTF-8"),
        io::ErrorKind::IsADirectory => (ErrorKind::Invalid, "name a file in it"),
        io::ErrorKind::FileTooLarge => (ErrorKind::Invalid, "`threads import` loads many entities"),
        _ => (ErrorKind::Unavailable, "check that you may read it"),
    };
    let said = Error::new(kind, "a file cannot be read")
        .with("file", path.display())
        .with("cause", &error)
        .caused_by(error);
    Failure::new(said, help)
}

fn read(input: impl Read, most: u64) -> io::Result<String> {
    let mut text = String::new();
    input.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(text)
}

/// What standard input holds, whatever it is.
pub(crate) fn bytes(what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let input = io::stdin().lock();
    let read = input.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes);
    let read = read.and_then(|length| match length as u64 > DOCUMENT_BYTES_MAX {
        true => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        false => Ok(()),
    });
    read.map_err(|error| {
        let said = Error::invalid(format!("{what} cannot be read from standard input"));
        Failure::new(said.caused_by(error), "a value has at most 1 MiB")
    })?;
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(text: &str, what: &str, help: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        let fault = if error.is_data() {
            "has another form"
        } else {
            "is not JSON"
        };
        let said = Error::invalid(format!("{what} {fault}"))
            .with("line", error.line())
            .with("column", error.column())
            .with("cause", &error)
            .caused_by(error);
        Failure::new(said, help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_not_read_to_its_end() {
        let error = read(io::repeat(b'1'), DOCUMENT_BYTES_MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(
            unreadable(Path::new("-"), Source::FileOrInput, error).code(),
            5
        );
    }

    #[test]
    fn a_mistake_has_a_place() {
        let failure = argument("{\"a\":\n1,}", "the entity").unwrap_err();
        let text = failure.to_text();
        assert!(
            text.starts_with("error: the entity is not JSON\n  line: 2\n  column: 3\n"),
            "{text}"
        );
        assert!(text.contains("help: write JSON in single quotes"));
    }
}
