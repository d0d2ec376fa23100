//! The bounds of documents and events. They decide what every peer accepts, so they are part of
//! the format: another bound is another codec id.

use std::fmt;

use threads_core::{Error, ErrorKind};

/// The longest document: 1 MiB (1,048,576 bytes) of canonical JSON text.
///
/// ```
/// assert_eq!(threads_codec_jsonpatch::DOCUMENT_BYTES_MAX, 1_048_576);
/// ```
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// The deepest nesting of objects and arrays; the document itself is level 1.
///
/// ```
/// assert_eq!(threads_codec_jsonpatch::DOCUMENT_DEPTH_MAX, 64);
/// ```
pub const DOCUMENT_DEPTH_MAX: usize = 64;

/// The most JSON values in a document, itself and every member and element included. A value of
/// two bytes of text can take a hundred times as much memory, so bytes alone do not bound it.
///
/// ```
/// assert_eq!(threads_codec_jsonpatch::DOCUMENT_VALUES_MAX, 100_000);
/// ```
pub const DOCUMENT_VALUES_MAX: usize = 100_000;

/// The longest event: 1 MiB (1,048,576 bytes) of DAG-CBOR.
///
/// ```
/// assert_eq!(threads_codec_jsonpatch::EVENT_BYTES_MAX, 1_048_576);
/// ```
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The most operations in one event, and in one JSON Patch of an application.
///
/// ```
/// assert_eq!(threads_codec_jsonpatch::EVENT_OPS_MAX, 1_000);
/// ```
pub const EVENT_OPS_MAX: usize = 1_000;

/// What is too much about a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Bytes,
    Depth,
    Values,
    Integer,
}

impl Excess {
    /// The error to report: `Invalid` for an application's value, `Rejected` for an event's.
    pub(crate) fn error(self, kind: ErrorKind) -> Error {
        let most = match self {
            Self::Bytes => DOCUMENT_BYTES_MAX,
            Self::Depth => DOCUMENT_DEPTH_MAX,
            Self::Values => DOCUMENT_VALUES_MAX,
            Self::Integer => return Error::new(kind, self.message()),
        };
        Error::new(kind, self.message()).with("most", most)
    }

    fn message(self) -> &'static str {
        match self {
            Self::Bytes => "a document has too many bytes of JSON: split it into several entities",
            Self::Depth => "a document nests too deeply: flatten it",
            Self::Values => "a document has too many values: split it into several entities",
            Self::Integer => "a whole number needs more than 64 bits: store it as a string",
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Excess {}
