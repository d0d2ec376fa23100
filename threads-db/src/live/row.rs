//! A row of a result, as a live query keeps it.

use crate::query::Place;

/// A row of a result, without what it shows.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    /// Equal when it shows the same.
    pub(super) digest: [u8; 16],
    /// What it counts for the caps of its query.
    pub(super) bytes: u64,
}
