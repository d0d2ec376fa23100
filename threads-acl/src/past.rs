//! What an event reaches: sets of numbered events, shared where they are alike.

use std::sync::Arc;

/// How many events one page speaks of.
const PAGE_BITS: u32 = 1_024;
const WORDS: usize = PAGE_BITS as usize / 64;

type Page = [u64; WORDS];

/// A set of events by their numbers.
///
/// Whoever knows everything has everything in its past: all numbers below `full` are in it, and cost
/// nothing. Of what is above there are pages, which an event shares with those before it, so that only
/// what differs takes room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    full: u32,
    /// From page `full / PAGE_BITS` on. What a page says of numbers below `full` is not asked.
    pages: Vec<Option<Arc<Page>>>,
}

fn bit(number: u32) -> (usize, u64) {
    let at = number % PAGE_BITS;
    ((at / 64) as usize, 1 << (at % 64))
}

impl Past {
    /// Every number below this one is in the set.
    pub(crate) fn full(&self) -> u32 {
        self.full
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        if number < self.full {
            return true;
        }
        let at = (number / PAGE_BITS - self.full / PAGE_BITS) as usize;
        let (word, mask) = bit(number);
        let page = self.pages.get(at).and_then(Option::as_ref);
        page.is_some_and(|page| page[word] & mask != 0)
    }

    pub(crate) fn insert(&mut self, number: u32) {
        if self.contains(number) {
            return;
        }
        let page = Arc::make_mut(self.slot(number / PAGE_BITS).get_or_insert_default());
        let (word, mask) = bit(number);
        page[word] |= mask;
        self.settle();
    }

    pub(crate) fn unite(&mut self, other: &Self) {
        self.raise(other.full.max(self.full));
        let first = self.full / PAGE_BITS;
        for (number, page) in (other.full / PAGE_BITS..).zip(&other.pages) {
            let (true, Some(theirs)) = (number >= first, page) else {
                continue;
            };
            let slot = self.slot(number);
            *slot = Some(match slot.take() {
                None => Arc::clone(theirs),
                Some(ours) => united(ours, theirs),
            });
        }
        self.settle();
    }

    /// The place of a page that is not below `full`.
    fn slot(&mut self, number: u32) -> &mut Option<Arc<Page>> {
        let at = (number - self.full / PAGE_BITS) as usize;
        if self.pages.len() <= at {
            self.pages.resize(at + 1, None);
        }
        &mut self.pages[at]
    }

    /// Every number below `full` is in the set.
    fn raise(&mut self, full: u32) {
        let gone = (full / PAGE_BITS - self.full / PAGE_BITS) as usize;
        self.pages.drain(..gone.min(self.pages.len()));
        self.full = full;
    }

    /// Raises `full` as far as the pages allow.
    fn settle(&mut self) {
        while let Some(Some(page)) = self.pages.first() {
            let at = self.full % PAGE_BITS;
            let word = page[(at / 64) as usize] >> (at % 64);
            let ones = word.trailing_ones();
            self.raise(self.full + ones);
            if ones == 0 || !self.full.is_multiple_of(64) {
                return;
            }
        }
    }
}

/// Both pages in one, and one of the two where it has everything.
fn united(ours: Arc<Page>, theirs: &Arc<Page>) -> Arc<Page> {
    if Arc::ptr_eq(&ours, theirs) {
        return ours;
    }
    let both: Page = std::array::from_fn(|word| ours[word] | theirs[word]);
    if both == *ours {
        ours
    } else if both == **theirs {
        Arc::clone(theirs)
    } else {
        Arc::new(both)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const NUMBERS: u32 = 3 * PAGE_BITS;

    fn numbers() -> impl Strategy<Value = BTreeSet<u32>> {
        let run = (0..NUMBERS, 0..NUMBERS).prop_map(|(from, to)| from.min(to)..from.max(to));
        let runs = prop::collection::vec(run, 0..4);
        let single = prop::collection::btree_set(0..NUMBERS, 0..20);
        (runs, single).prop_map(|(runs, single)| runs.into_iter().flatten().chain(single).collect())
    }

    fn past(numbers: &BTreeSet<u32>) -> Past {
        let mut past = Past::default();
        numbers.iter().rev().for_each(|number| past.insert(*number));
        past
    }

    fn assert_same(past: &Past, model: &BTreeSet<u32>) {
        for number in 0..NUMBERS + PAGE_BITS {
            assert_eq!(past.contains(number), model.contains(&number), "{number}");
        }
        let full = (0..).find(|number| !model.contains(number));
        assert_eq!(Some(past.full()), full);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_a_set(a in numbers(), b in numbers()) {
            let mut both = past(&a);
            assert_same(&both, &a);
            both.unite(&past(&b));
            assert_same(&both, &a.union(&b).copied().collect());
        }
    }

    #[test]
    fn who_knows_everything_takes_no_room() {
        let mut past = Past::default();
        (0..10 * PAGE_BITS).for_each(|number| past.insert(number));
        assert!(past.pages.len() <= 1, "{}", past.pages.len());
    }
}
