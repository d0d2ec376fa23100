//! The smallest script that still fails.
//!
//! ```
//! use threads_conformance::sim::{generate::script, minimise::minimise, script::Act};
//!
//! // Whatever has a write by the first peer fails.
//! let fails = |script: &threads_conformance::sim::script::Script| {
//!     script.steps.iter().any(|step| matches!(step.act, Act::Write { peer: 0, .. }))
//! };
//! let seed = (0..).find(|seed| fails(&script(*seed))).unwrap();
//! let small = minimise(&script(seed), 500, fails);
//! assert_eq!((small.steps.len(), small.peers), (1, 2));
//! ```

use super::script::Script;

/// Takes steps and peers off a script as long as it `fails`: delta debugging. It is played `runs_max`
/// times at most. See the [module](self) for an example.
pub fn minimise(
    script: &Script,
    runs_max: usize,
    mut fails: impl FnMut(&Script) -> bool,
) -> Script {
    let mut left = runs_max;
    let mut tries = |script: &Script| {
        left > 0 && {
            left -= 1;
            fails(script)
        }
    };
    let mut small = script.clone();
    fewer_peers(&mut small, &mut tries);
    let mut size = small.steps.len().div_ceil(2);
    // Ends: with each turn there are fewer steps, or smaller pieces.
    while size > 0 {
        let mut removed = false;
        let mut at = 0;
        while at < small.steps.len() {
            let mut fewer = small.clone();
            fewer.steps.drain(at..(at + size).min(small.steps.len()));
            if tries(&fewer) {
                small = fewer;
                removed = true;
            } else {
                at += size;
            }
        }
        if !removed || size > small.steps.len() {
            size = match size {
                1 if !removed => 0,
                1 => 1,
                size => size / 2,
            };
        }
        if small.steps.is_empty() {
            break;
        }
    }
    fewer_peers(&mut small, &mut tries);
    small
}

/// Takes off the last peers, with all that they do.
fn fewer_peers(small: &mut Script, tries: &mut impl FnMut(&Script) -> bool) {
    while small.peers > 2 {
        let mut fewer = small.clone();
        fewer.peers -= 1;
        let named = |peers: Vec<usize>| peers.into_iter().all(|peer| peer < fewer.peers);
        fewer.blind.retain(|peer| *peer < fewer.peers);
        fewer.steps.retain(|step| named(step.act.peers()));
        if !tries(&fewer) {
            return;
        }
        *small = fewer;
    }
}
