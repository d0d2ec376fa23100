//! Playing a script.
//!
//! ```
//! use threads_codec_jsonpatch::JsonPatch;
//! use threads_conformance::sim::{generate, lab::Things, run::run};
//!
//! let lab = Things::new("jsonpatch/1".parse().unwrap(), |node| node.codec(JsonPatch::new()));
//! let script = generate::script(1);
//! let (once, twice) = (run(&lab, &script, None), run(&lab, &script, None));
//! assert_eq!(once.unwrap().digest, twice.unwrap().digest, "one seed, one history");
//! ```

use std::fmt;

use super::lab::Lab;
use super::script::Script;
use super::store::Lie;
use super::world::World;

/// Within how long after everything is healed all peers agree, in milliseconds of the simulation.
pub const HEALED_MS_MAX: u64 = 15 * 60 * 1_000;

/// A defect of what is around the nodes, to see that it is found.
///
/// ```
/// use threads_conformance::sim::{run::Plant, store::Lie};
/// assert_ne!(Plant::Disk(Lie::SyncsLater), Plant::SwapsReplies);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Disks break their promise.
    Disk(Lie),
    /// One page of records that was asked for is never taken in, nor said to have failed.
    DropsTakeIn,
    /// Two replies of one peer to another that are under way go to each other's request.
    SwapsReplies,
}

/// A run in which everything held. See the [module](self) for an example.
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

/// What did not hold. See the [module](self).
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

/// Plays a script, with a defect planted if there is one. See the [module](self) for an example.
///
/// # Errors
///
/// What did not hold.
pub fn run(lab: &dyn Lab, script: &Script, plant: Option<Plant>) -> Result<Run, Failure> {
    World::new(lab, script, plant).play()
}
