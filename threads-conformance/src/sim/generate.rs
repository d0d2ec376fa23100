//! Scripts from seeds.
//!
//! ```
//! use threads_conformance::sim::generate::script;
//! assert_eq!(script(7), script(7));
//! assert_ne!(script(7), script(8));
//! ```

use threads_core::rand_core::Rng;

use super::script::{Act, PEERS_MAX, SKEW_MS_MAX, Script, Step};
use super::trace::chance;

mod ruled;
mod with;

pub use ruled::ruled;
pub use with::{Also, with};

/// How many things happen at most, but for what ends them.
const ACTS_MAX: u64 = 28;
/// How long things go on happening, in milliseconds.
const SPAN_MS: u64 = 60_000;

/// The script of a seed. See the [module](self) for an example.
pub fn script(seed: u64) -> Script {
    let mut maker = Maker {
        rng: chance(seed, "script"),
        peers: 0,
        steps: Vec::new(),
    };
    // Few peers are quick to run and easy to read; many find other faults.
    let most = if maker.below(4) == 0 { PEERS_MAX } else { 4 };
    maker.peers = 2 + maker.below(most as u64 - 1) as usize;
    // Each run leaves some kinds of trouble out, so that others get far.
    let kinds: Vec<u64> = (0..KINDS).filter(|_| maker.below(2) == 0).collect();
    for _ in 0..4 + maker.below(ACTS_MAX - 4) {
        let at_ms = maker.below(SPAN_MS);
        match kinds.get(maker.below(2 * kinds.len() as u64 + 1) as usize) {
            Some(kind) => maker.trouble(*kind, at_ms),
            None => maker.write(at_ms),
        }
    }
    maker.steps.sort_by_key(|step| step.at_ms);
    Script {
        seed,
        peers: maker.peers,
        rules: false,
        blind: Vec::new(),
        steps: maker.steps,
    }
}

/// How many kinds of trouble there are.
const KINDS: u64 = 9;

struct Maker<R> {
    rng: R,
    peers: usize,
    steps: Vec<Step>,
}

impl<R: Rng> Maker<R> {
    fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end.max(1)
    }

    fn peer(&mut self) -> usize {
        self.below(self.peers as u64) as usize
    }

    fn push(&mut self, at_ms: u64, act: Act) {
        self.steps.push(Step { at_ms, act });
    }

    fn write(&mut self, at_ms: u64) {
        let peer = self.peer();
        self.write_by(peer, at_ms);
    }

    fn write_by(&mut self, peer: usize, at_ms: u64) {
        let relaxed = self.below(4) == 0;
        // Now and then more than is pushed at once.
        let writes = if self.below(40) == 0 {
            300
        } else {
            1 + self.below(3)
        };
        for n in 0..writes {
            let (seed, changes) = (self.rng.next_u64() >> 12, 1 + self.below(3) as u32);
            let act = Act::Write {
                peer,
                seed,
                changes,
                relaxed,
            };
            self.push(at_ms + n, act);
        }
    }

    fn trouble(&mut self, kind: u64, at_ms: u64) {
        let (peer, other) = (self.peer(), self.peer());
        let for_ms = 200 + self.below(20_000);
        match kind {
            0 | 1 => {
                let ways = [(peer, other), (other, peer)];
                for (from, to) in ways.into_iter().take(1 + kind as usize) {
                    if from != to {
                        self.push(at_ms, Act::Cut { from, to });
                        self.push(at_ms + for_ms, Act::Heal { from, to });
                    }
                }
            }
            2 | 3 => {
                let commits = self.below(5) as u32;
                let disk = kind == 2;
                self.push(at_ms, Act::Crash { peer, commits });
                self.push(at_ms + for_ms, Act::Restart { peer, disk });
            }
            4 => {
                // Most clocks are wrong by little.
                let most = [2_000, 120_000, SKEW_MS_MAX][self.below(3) as usize];
                let skew_ms = self.below(2 * most as u64 + 1) as i64 - most;
                self.push(at_ms, Act::Clock { peer, skew_ms });
            }
            5 => {
                let factor = 2 + self.below(40);
                self.push(at_ms, Act::Slow { peer, factor });
                self.push(at_ms + for_ms, Act::Slow { peer, factor: 1 });
            }
            6 => self.push(at_ms, Act::Silent { peer, for_ms }),
            7 => {
                let back_at = at_ms + for_ms + self.below(2_000);
                self.push(at_ms, Act::Backup { peer });
                // Written, perhaps seen by others, and written otherwise once it is forgotten.
                self.write_by(peer, at_ms + 1);
                self.write_by(peer, back_at + 1);
                let crash = Act::Crash { peer, commits: 0 };
                self.push(at_ms + for_ms, crash);
                self.push(back_at, Act::PutBack { peer });
            }
            _ => {
                let permille = self.below(300) as u32;
                self.push(at_ms, Act::Loss { permille });
                self.push(at_ms, Act::Duplicate { permille });
            }
        }
    }
}
