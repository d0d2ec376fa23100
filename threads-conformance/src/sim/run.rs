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

use super::lab::Lab;
pub use super::outcome::{Failure, HEALED_MS_MAX, Run};
pub use super::plant::Plant;
use super::script::Script;
use super::world::World;

/// Plays a script, with a defect planted if there is one. See the [module](self) for an example.
///
/// # Errors
///
/// What did not hold.
pub fn run(lab: &dyn Lab, script: &Script, plant: Option<Plant>) -> Result<Run, Failure> {
    World::new(lab, script, plant).play()
}
