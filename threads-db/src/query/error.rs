//! What is wrong with the text of a query, and where.

use std::error::Error as StdError;
use std::fmt;

use threads_core::Error;

/// Where a query text breaks, and what was expected there.
///
/// It is the [`source`](StdError::source) of the [`threads_core::Error`] that parsing returns.
///
/// ```
/// use std::error::Error as _;
/// use threads_db::query::{Filter, QueryError};
///
/// let error = Filter::parse("age >= ").unwrap_err();
/// let place = error.source().unwrap().downcast_ref::<QueryError>().unwrap();
/// assert_eq!(place.column(), 8);
/// assert!(place.to_string().starts_with("column 8: expected a value after '>='"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    column: usize,
    message: String,
}

impl QueryError {
    pub(super) fn new(column: usize, message: impl Into<String>) -> Self {
        Self {
            column,
            message: message.into(),
        }
    }

    /// The first character that cannot be right, counted in characters from 1.
    ///
    /// ```
    /// # use std::error::Error as _;
    /// # use threads_db::query::{Filter, QueryError};
    /// let error = Filter::parse("naïve = ?").unwrap_err();
    /// assert_eq!(error.source().unwrap().downcast_ref::<QueryError>().unwrap().column(), 9);
    /// ```
    pub fn column(&self) -> usize {
        self.column
    }

    /// What was expected there.
    ///
    /// ```
    /// # use std::error::Error as _;
    /// # use threads_db::query::{Filter, QueryError};
    /// let error = Filter::parse("(a = 1").unwrap_err();
    /// let place = error.source().unwrap().downcast_ref::<QueryError>().unwrap();
    /// assert_eq!(place.message(), "expected ')', but the query ends here");
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl StdError for QueryError {}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        Self::invalid(format!("the query breaks at {error}")).caused_by(error)
    }
}
