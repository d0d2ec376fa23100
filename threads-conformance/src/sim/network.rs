//! The links between peers: what passes, how long it takes, and who sees whom as connected.

use std::collections::{BTreeMap, BTreeSet};

use chacha20::ChaCha8Rng;
use threads_core::rand_core::Rng;

/// The shortest and longest way of a link, and by how much one frame differs from the next.
const LATENCY_MS_MIN: u64 = 2;
const LATENCY_MS_MAX: u64 = 120;
const JITTER_MS_MAX: u64 = 40;

/// The connection of two peers: each gets a number of its own.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    number: u64,
    alive: bool,
    /// Which connection each side sees: first the peer with the smaller number.
    seen: [Option<u64>; 2],
}

/// What is between the peers.
#[derive(Debug)]
pub(super) struct Network {
    rng: ChaCha8Rng,
    cut: BTreeSet<(usize, usize)>,
    /// How many of a thousand frames are lost, and of requests doubled.
    pub(super) loss: u32,
    pub(super) duplicate: u32,
    /// How many times as long everything takes, for each peer.
    slow: Vec<u64>,
    silent_until: Vec<u64>,
    ways: BTreeMap<(usize, usize), u64>,
    pairs: BTreeMap<(usize, usize), Pair>,
}

impl Network {
    pub(super) fn new(peers: usize, mut rng: ChaCha8Rng) -> Self {
        let mut ways = BTreeMap::new();
        for from in 0..peers {
            for to in 0..peers {
                let way = LATENCY_MS_MIN + rng.next_u64() % (LATENCY_MS_MAX - LATENCY_MS_MIN);
                ways.insert((from, to), way);
            }
        }
        Self {
            rng,
            cut: BTreeSet::new(),
            loss: 0,
            duplicate: 0,
            slow: vec![1; peers],
            silent_until: vec![0; peers],
            ways,
            pairs: BTreeMap::new(),
        }
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end.max(1)
    }

    fn happens(&mut self, permille: u32) -> bool {
        permille > 0 && self.below(1_000) < u64::from(permille)
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    pub(super) fn heal(&mut self, from: usize, to: usize) {
        self.cut.remove(&(from, to));
    }

    pub(super) fn slow(&mut self, peer: usize, factor: u64) {
        self.slow[peer] = factor.max(1);
    }

    pub(super) fn slowness(&self, peer: usize) -> u64 {
        self.slow[peer]
    }

    pub(super) fn silence(&mut self, peer: usize, until: u64) {
        self.silent_until[peer] = until;
    }

    /// Ends all trouble.
    pub(super) fn heal_all(&mut self) {
        self.cut.clear();
        (self.loss, self.duplicate) = (0, 0);
        self.slow.fill(1);
        self.silent_until.fill(0);
    }

    /// Whether nothing goes between two peers, one way at least.
    pub(super) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a, b)) || self.cut.contains(&(b, a))
    }

    /// Whether what has been sent arrives.
    pub(super) fn arrives(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// After how long a frame that is sent now comes, each time that it does.
    pub(super) fn ways(&mut self, from: usize, to: usize, now: u64, request: bool) -> Vec<u64> {
        let lost = self.happens(self.loss);
        let twice = request && self.happens(self.duplicate);
        if lost || !self.arrives(from, to) || self.silent_until[from] > now {
            return Vec::new();
        }
        (0..=usize::from(twice))
            .map(|_| self.way(from, to))
            .collect()
    }

    pub(super) fn way(&mut self, from: usize, to: usize) -> u64 {
        let way = self
            .ways
            .get(&(from, to))
            .copied()
            .unwrap_or(LATENCY_MS_MAX);
        let slow = self.slow[from].max(self.slow[to]);
        (way + self.below(JITTER_MS_MAX)) * slow
    }

    fn pair(&mut self, a: usize, b: usize) -> &mut Pair {
        self.pairs.entry((a.min(b), a.max(b))).or_default()
    }

    /// Which connection to a peer somebody sees.
    pub(super) fn seen(&mut self, at: usize, of: usize) -> Option<u64> {
        self.pair(at, of).seen[usize::from(at > of)]
    }

    pub(super) fn see(&mut self, at: usize, of: usize, number: Option<u64>) {
        self.pair(at, of).seen[usize::from(at > of)] = number;
    }

    /// The connection of two peers, if it stands.
    pub(super) fn connection(&mut self, a: usize, b: usize) -> Option<u64> {
        let pair = self.pair(a, b);
        pair.alive.then_some(pair.number)
    }

    /// Connects two peers that are not connected.
    pub(super) fn connect(&mut self, a: usize, b: usize) -> u64 {
        let pair = self.pair(a, b);
        pair.number += 1;
        pair.alive = true;
        pair.number
    }

    pub(super) fn disconnect(&mut self, a: usize, b: usize) {
        self.pair(a, b).alive = false;
    }
}
