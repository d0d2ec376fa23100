//! What changed between two sequences: characters of a text, elements of a list.

use std::ops::Range;

/// How many elements two sequences may differ by, to be compared one by one. Beyond that what is
/// between their common beginning and their common end is replaced.
const DISTANCE_MAX: usize = 512;

/// A stretch of the old sequence that is replaced by one of the new.
#[derive(Debug, PartialEq)]
pub(crate) struct Hunk {
    pub(crate) old: Range<usize>,
    pub(crate) new: Range<usize>,
}

/// The few stretches that differ, from the first to the last.
pub(crate) fn hunks<A, B>(old: &[A], new: &[B], same: impl Fn(&A, &B) -> bool) -> Vec<Hunk> {
    let alike = |pair: &(&A, &B)| same(pair.0, pair.1);
    let begin = old.iter().zip(new).take_while(alike).count();
    let (old_rest, new_rest) = (&old[begin..], &new[begin..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev());
    let end = ends.take_while(alike).count();
    let old_rest = &old_rest[..old_rest.len() - end];
    let new_rest = &new_rest[..new_rest.len() - end];
    let mut hunks = match between(old_rest, new_rest, same) {
        Some(hunks) => hunks,
        None => vec![Hunk {
            old: 0..old_rest.len(),
            new: 0..new_rest.len(),
        }],
    };
    for hunk in &mut hunks {
        hunk.old = hunk.old.start + begin..hunk.old.end + begin;
        hunk.new = hunk.new.start + begin..hunk.new.end + begin;
    }
    hunks
}

/// The shortest way from one to the other by Myers' greedy algorithm; `None` when it is too long.
///
/// A diagonal is where so many more of the old than of the new were passed. After each step it is
/// known how far one gets on every diagonal.
fn between<A, B>(old: &[A], new: &[B], same: impl Fn(&A, &B) -> bool) -> Option<Vec<Hunk>> {
    if old.is_empty() && new.is_empty() {
        return Some(Vec::new());
    }
    if old.is_empty() || new.is_empty() {
        return None;
    }
    // `reached[step][diagonal + step]` is how much of the old was passed; only every second counts.
    let mut reached: Vec<Vec<usize>> = Vec::new();
    for step in 0..=DISTANCE_MAX {
        let mut row = vec![0; 2 * step + 1];
        for at in (0..row.len()).step_by(2) {
            let from = reached.last().map_or(0, |before| came_from(before, at).1);
            // Invariant: a way never passes more of the old than of the new and the diagonal.
            let mut x = from;
            while let Some(y) = passed(x, at, step)
                && x < old.len()
                && y < new.len()
                && same(&old[x], &new[y])
            {
                x += 1;
            }
            row[at] = x;
            if x >= old.len() && passed(x, at, step).is_some_and(|y| y >= new.len()) {
                reached.push(row);
                return Some(way_back(&reached, at));
            }
        }
        reached.push(row);
    }
    None
}

/// How much of the new was passed on a diagonal, when so much was of the old.
fn passed(x: usize, at: usize, step: usize) -> Option<usize> {
    (x + step).checked_sub(at)
}

/// From where in the row before one gets to a place, and how far: by passing one of the old, or of
/// the new.
fn came_from(before: &[usize], at: usize) -> (usize, usize) {
    let by_old = at.checked_sub(2).map(|from| (from, before[from] + 1));
    let by_new = before.get(at).map(|x| (at, *x));
    match (by_old, by_new) {
        (Some(old), Some(new)) if old.1 > new.1 => old,
        (_, Some(new)) => new,
        (Some(old), None) => old,
        // Invariant: every place but the first has a row before it.
        (None, None) => (0, 0),
    }
}

/// What was passed on one side alone, from the end to the beginning.
fn way_back(reached: &[Vec<usize>], end: usize) -> Vec<Hunk> {
    let (mut hunks, mut at): (Vec<Hunk>, usize) = (Vec::new(), end);
    for step in (1..reached.len()).rev() {
        let (from, x) = came_from(&reached[step - 1], at);
        let y = passed(x, at, step).unwrap_or_default();
        let hunk = match from == at {
            true => Hunk {
                old: x..x,
                new: y - 1..y,
            },
            false => Hunk {
                old: x - 1..x,
                new: y..y,
            },
        };
        match hunks.last_mut() {
            Some(last) if last.old.start == hunk.old.end && last.new.start == hunk.new.end => {
                (last.old.start, last.new.start) = (hunk.old.start, hunk.new.start);
            }
            _ => hunks.push(hunk),
        }
        at = from;
    }
    hunks.reverse();
    hunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(old: &str, new: &str) -> Vec<(String, String)> {
        let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
        let hunks = hunks(&old, &new, |a, b| a == b);
        let text = |hunk: Hunk| {
            let (old, new) = (&old[hunk.old], &new[hunk.new]);
            (old.iter().collect(), new.iter().collect())
        };
        hunks.into_iter().map(text).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(old, new): &(&str, &str)| ((*old).to_owned(), (*new).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn finds_the_few_stretches_that_differ() {
        assert_eq!(of("abc", "abc"), pairs(&[]));
        assert_eq!(of("", "x"), pairs(&[("", "x")]));
        assert_eq!(of("the cat", "the black cat"), pairs(&[("", "black ")]));
        assert_eq!(of("abcdef", "abXdeYf"), pairs(&[("c", "X"), ("", "Y")]));
        assert_eq!(of("abc", "xyz"), pairs(&[("abc", "xyz")]));
    }

    #[test]
    fn what_differs_too_much_is_replaced() {
        let (old, new) = ("a".repeat(2_000), "b".repeat(2_000));
        assert_eq!(of(&old, &new), [(old, new)]);
    }

    proptest! {
        #[test]
        fn the_stretches_lead_from_one_to_the_other(old in "[ab]{0,24}", new in "[ab]{0,24}") {
            let (a, b): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
            let mut made = a.clone();
            for hunk in hunks(&a, &b, |a, b| a == b).into_iter().rev() {
                made.splice(hunk.old, b[hunk.new].iter().copied());
            }
            prop_assert_eq!(made, b);
        }
    }
}
