//! What comes of a run.

use std::fmt;

/// Within how long after everything is healed all peers agree, in milliseconds of the simulation.
pub const HEALED_MS_MAX: u64 = 15 * 60 * 1_000;

/// A run in which everything held.
///
/// ```
/// fn sent_nothing_twice(run: &threads_conformance::sim::run::Run) -> bool {
///     run.records_came == run.records_due
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// A digest of all that happened: the same for the same script.
    pub digest: u64,
    /// How many things happened.
    pub events: u64,
    /// How many frames were sent.
    pub frames: u64,
    /// How many records came to peers to be taken in, each as often as it did.
    pub records_came: u64,
    /// How many had to be, with no trouble and no forks: each to every peer but the one that wrote it.
    pub records_due: u64,
    /// How long it took in the simulation, in milliseconds.
    pub took_ms: u64,
}

/// What did not hold.
///
/// ```
/// fn line(failure: &threads_conformance::sim::run::Failure) -> String {
///     format!("{} ms: {}", failure.at_ms, failure.what)
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When, in milliseconds of the simulation.
    pub at_ms: u64,
    /// What.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} ms: {}", self.at_ms, self.what)
    }
}
