//! Histories to try, and chance from seeds.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod node;
pub(crate) mod random;
pub(crate) mod second;
pub(crate) mod vectors;

use threads_acl::Room;
use threads_acl::eval::{Described, Evaluation, evaluate};

/// Chance that comes out the same every time: splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True in so many of a hundred.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// The events in some order, some of them twice.
pub(crate) fn delivery(events: &[Described], chance: &mut Chance) -> Vec<Described> {
    let mut order = events.to_vec();
    let twice: Vec<_> = events
        .iter()
        .filter(|_| chance.percent(50))
        .cloned()
        .collect();
    order.extend(twice);
    chance.shuffle(&mut order);
    order
}

/// Evaluates the events in `orders` orders of delivery, which must all give the same bytes.
pub(crate) fn in_every_order(events: &[Described], orders: u64) -> Evaluation {
    let expected = evaluate(events).unwrap();
    let bytes = serde_json::to_string(&expected.outcome).unwrap();
    let mut reversed: Vec<_> = events.iter().chain(events).cloned().collect();
    reversed.reverse();
    let mut all = vec![reversed];
    all.extend((0..orders).map(|seed| delivery(events, &mut Chance(seed))));
    for order in all {
        let outcome = evaluate(&order).unwrap().outcome;
        assert_eq!(
            serde_json::to_string(&outcome).unwrap(),
            bytes,
            "{order:#?}"
        );
    }
    expected
}

/// Room for a few events.
pub(crate) fn little_room(chance: &mut Chance) -> Room {
    let mut few = |most: usize| chance.below(most) as u32;
    Room {
        root: 3 + few(16),
        own: 1 + few(3),
        guests: few(3),
        member: few(2),
        everyone: few(2),
    }
}
