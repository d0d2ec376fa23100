//! Scripts with what a lab is about.

use threads_core::rand_core::Rng;

use super::{Maker, SPAN_MS, chance, script};
use crate::sim::peer::BEGIN_MS;
use crate::sim::script::{Act, Script, Step};

/// How often each kind of thing happens at most.
const TIMES_MAX: u64 = 6;

/// What happens in a script besides what happens in all. See [`with`].
///
/// ```
/// use threads_conformance::sim::generate::Also;
/// assert_ne!(Also::Acts, Also::Lacks);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Also {
    /// Peers do what the lab has them do.
    Acts,
    /// Peers run for a while with parts missing.
    Lacks,
    /// Peers drop old records.
    Compacts,
    /// Peers begin anew with a snapshot from a file.
    Snapshots,
    /// Those who can read meet through one that cannot, most of the time.
    Between,
    /// No datastore is put back from a backup.
    NoBackups,
}

/// The script of a seed, in which also happens what is said.
///
/// ```
/// use threads_conformance::sim::{generate::{Also, with}, script::Act};
///
/// let script = with(7, &[Also::Acts]);
/// assert!(script.steps.iter().any(|step| matches!(step.act, Act::Own { .. })));
/// ```
pub fn with(seed: u64, also: &[Also]) -> Script {
    let mut script = script(seed);
    let mut maker = Maker {
        rng: chance(seed, "also"),
        peers: script.peers,
        steps: std::mem::take(&mut script.steps),
    };
    for kind in also {
        match kind {
            Also::Between => {
                script.peers = maker.peers.max(3);
                script.blind = vec![script.peers - 1];
                maker.between(script.peers - 1);
            }
            Also::NoBackups => maker
                .steps
                .retain(|step| !matches!(step.act, Act::Backup { .. } | Act::PutBack { .. })),
            kind => {
                for _ in 0..1 + maker.below(TIMES_MAX) {
                    maker.also(*kind);
                }
            }
        }
    }
    maker.steps.sort_by_key(|step| step.at_ms);
    script.steps = maker.steps;
    script
}

impl<R: Rng> Maker<R> {
    fn also(&mut self, kind: Also) {
        let (peer, at_ms, for_ms) = (self.peer(), self.below(SPAN_MS), self.below(20_000));
        match kind {
            Also::Acts => {
                let seed = self.rng.next_u64() >> 12;
                self.push(at_ms, Act::Own { peer, seed });
            }
            Also::Lacks => {
                self.push(at_ms, Act::Equip { peer, lacks: true });
                let back = Act::Equip { peer, lacks: false };
                self.push(at_ms + for_ms, back);
            }
            Also::Compacts => {
                let keep = match self.below(4) {
                    0 => "all".to_owned(),
                    1 => format!("since:{}", BEGIN_MS + self.below(at_ms + 1)),
                    _ => "latest".to_owned(),
                };
                self.push(at_ms, Act::Compact { peer, keep });
            }
            Also::Snapshots => {
                let of = self.peer();
                self.push(at_ms, Act::Crash { peer, commits: 0 });
                self.push(at_ms + for_ms, Act::Anew { peer, of });
            }
            Also::Between | Also::NoBackups => {}
        }
    }

    /// Nothing goes from a reader to another, but for when the script heals a cut of its own.
    fn between(&mut self, blind: usize) {
        for from in 0..blind {
            for to in (0..blind).filter(|to| *to != from) {
                let cut = Act::Cut { from, to };
                self.steps.insert(0, Step { at_ms: 0, act: cut });
            }
        }
    }
}
