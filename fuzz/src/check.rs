//! What targets assert.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ipld_core::ipld::Ipld;
use threads_core::record::Rejection;
use threads_core::{Error, ErrorKind, block};

/// The longest error, in bytes: it quotes what was wrong, and not without bound.
const ERROR_BYTES_MAX: usize = 8 * 1024;

/// A refusal is of one of `kinds`, and says something.
#[track_caller]
pub(crate) fn refused(error: &Error, kinds: &[ErrorKind]) {
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(!error.message().is_empty());
    assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{error}");
}

/// A refusal of what a peer sent names its fault.
#[track_caller]
pub(crate) fn rejected(error: &Error) {
    refused(error, &[ErrorKind::Rejected]);
    assert!(Rejection::of(error).is_some(), "{error:?}");
}

/// Bytes that were accepted are canonical DAG-CBOR, also to one who does not know their shape.
#[track_caller]
pub(crate) fn canonical(bytes: &[u8]) {
    block::decode::<Ipld>(bytes).unwrap();
}

/// What is read from a text is the same when it is read from its own text.
#[track_caller]
pub(crate) fn text<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = Error> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            assert_eq!(printed.parse::<T>().unwrap(), value, "{printed}");
            Some(value)
        }
        Err(error) => {
            refused(&error, &[ErrorKind::Invalid, ErrorKind::Unsupported]);
            None
        }
    }
}
