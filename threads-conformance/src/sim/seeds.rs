//! Running many seeds, and showing one that fails.
//!
//! ```
//! use threads_codec_jsonpatch::JsonPatch;
//! use threads_conformance::sim::{lab::Things, seeds};
//!
//! let lab = Things::new("jsonpatch/1".parse().unwrap(), |node| node.codec(JsonPatch::new()));
//! seeds::check(&lab, seeds::from_env(2));
//! ```

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::lab::Lab;
use super::minimise::minimise;
use super::run::{Failure, Plant, run};
use super::script::Script;

/// After how many seeds there is a line of progress.
const PROGRESS_EVERY: u64 = 50;
/// How often a script is played to find the smallest that fails.
const MINIMISE_RUNS_MAX: usize = 200;
/// How many runs go on at a time.
const THREADS: usize = 2;

/// The seeds that the environment asks for: one in `THREADS_SEED`, or so many in `THREADS_SEEDS`;
/// `usual` of them when it says nothing. See the [module](self) for an example.
pub fn from_env(usual: u64) -> Range<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text: String| text.parse().ok())
    };
    match number("THREADS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("THREADS_SEEDS").unwrap_or(usual),
    }
}

/// A seed that failed, and the smallest script found that does. See the [module](self).
///
/// ```
/// fn text(found: &threads_conformance::sim::seeds::Found) -> String { found.script.to_string() }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Found {
    /// The seed.
    pub seed: u64,
    /// The smallest script.
    pub script: Script,
    /// What did not hold in it.
    pub failure: Failure,
}

/// Runs the scripts of these seeds, some at a time.
///
/// # Panics
///
/// When one fails: with its seed, the smallest script that fails, and what did not hold. See the
/// [module](self) for an example.
pub fn check(lab: &dyn Lab, seeds: Range<u64>) {
    let failed = find(lab, seeds, None).and_then(|seed| shrink(lab, seed, None));
    if let Some(found) = failed {
        let Found {
            seed,
            script,
            failure,
        } = found;
        panic!(
            "seed {seed} fails {failure}\n\nThis script reproduces it, with sim::run::run:\n{script}\n\nThe seed alone: THREADS_SEED={seed}. What happens, step by step: THREADS_TRACE=1"
        );
    }
}

/// Runs the scripts of these seeds until one fails, with a defect planted if there is one. Gives that
/// seed.
///
/// ```
/// use threads_codec_jsonpatch::JsonPatch;
/// use threads_conformance::sim::{lab::Things, run::Plant, seeds, store::Lie};
///
/// let lab = Things::new("jsonpatch/1".parse().unwrap(), |node| node.codec(JsonPatch::new()));
/// assert!(seeds::find(&lab, 0..20, Some(Plant::Disk(Lie::SyncsLater))).is_some());
/// ```
pub fn find(lab: &dyn Lab, seeds: Range<u64>, plant: Option<Plant>) -> Option<u64> {
    let (next, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let failed: Mutex<Option<u64>> = Mutex::new(None);
    // A seed is put in whole, so a panic elsewhere broke nothing.
    let failed_so_far = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while failed_so_far().is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if run(lab, &lab.script(seed), plant).is_err() {
                failed_so_far().get_or_insert(seed);
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(PROGRESS_EVERY) {
                eprintln!("simulated {done} of {} seeds", seeds.end - seeds.start);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    *failed_so_far()
}

/// The smallest script that fails, of a seed that does.
///
/// ```
/// use threads_codec_jsonpatch::JsonPatch;
/// use threads_conformance::sim::{lab::Things, seeds};
///
/// let lab = Things::new("jsonpatch/1".parse().unwrap(), |node| node.codec(JsonPatch::new()));
/// assert!(seeds::shrink(&lab, 1, None).is_none(), "it does not fail");
/// ```
pub fn shrink(lab: &dyn Lab, seed: u64, plant: Option<Plant>) -> Option<Found> {
    let mut last = run(lab, &lab.script(seed), plant).err()?;
    let fails = |script: &Script| match run(lab, script, plant) {
        Ok(_) => false,
        Err(failure) => {
            last = failure;
            true
        }
    };
    let script = minimise(&lab.script(seed), MINIMISE_RUNS_MAX, fails);
    Some(Found {
        seed,
        script,
        failure: last,
    })
}
