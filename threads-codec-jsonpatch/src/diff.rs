//! The operations that turn one document into another: few and small, always the same.

use std::collections::HashMap;

use serde_json::Value;

use crate::document::{Members, sorted};
use crate::limits::{EVENT_BYTES_MAX, EVENT_OPS_MAX};
use crate::wire::{Op, op_len};

/// The largest table for aligning two lists (4 Mi cells, 8 MiB); it covers an edit anywhere in
/// a list of 2,000 elements. Lists that differ over more than that are paired by position.
const ALIGN_CELLS_MAX: usize = 1 << 22;

/// Operations in the order to carry them out.
pub(crate) struct Ops<'a> {
    pub(crate) list: Vec<Op<&'a Value>>,
    /// The encoded length of them all.
    pub(crate) bytes: usize,
}

/// The operations from `before` to `after`; `None` when they would not fit into one event.
pub(crate) fn diff<'a>(before: &'a Members, after: &'a Members) -> Option<Ops<'a>> {
    let mut diff = Diff {
        ops: Ops {
            list: Vec::new(),
            bytes: 0,
        },
        path: String::new(),
    };
    diff.objects(before, after, EVENT_BYTES_MAX);
    (!diff.is_over(EVENT_BYTES_MAX)).then_some(diff.ops)
}

struct Diff<'a> {
    ops: Ops<'a>,
    /// Where we are.
    path: String,
}

impl<'a> Diff<'a> {
    /// The changes inside one value, or its replacement where that is smaller.
    fn values(&mut self, before: &'a Value, after: &'a Value) {
        if before == after {
            return;
        }
        let (count, bytes) = (self.ops.list.len(), self.ops.bytes);
        let replaced = bytes + op_len(self.path.len(), Some(after));
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => self.objects(before, after, replaced),
            (Value::Array(before), Value::Array(after)) => self.arrays(before, after, replaced),
            _ => return self.replace(after),
        }
        if self.is_over(replaced) {
            self.ops.list.truncate(count);
            self.ops.bytes = bytes;
            self.replace(after);
        }
    }

    /// Gives up beyond `bytes_max`: a long path times many members would be without bound.
    fn objects(&mut self, before: &'a Members, after: &'a Members, bytes_max: usize) {
        for (name, old) in sorted(before) {
            self.at(name, |diff| match after.get(name) {
                Some(new) => diff.values(old, new),
                None => diff.remove(),
            });
            if self.is_over(bytes_max) {
                return;
            }
        }
        for (name, new) in sorted(after) {
            if !before.contains_key(name) {
                self.at(name, |diff| diff.add(new));
            }
            if self.is_over(bytes_max) {
                return;
            }
        }
    }

    fn arrays(&mut self, before: &'a [Value], after: &'a [Value], bytes_max: usize) {
        let mut index = 0;
        let (mut from, mut to) = (0, 0);
        for (kept_from, kept_to) in kept(before, after) {
            let (mut old, mut new) = (&before[from..kept_from], &after[to..kept_to]);
            while !self.is_over(bytes_max) {
                match (old.split_first(), new.split_first()) {
                    (Some((one, olds)), Some((other, news))) => {
                        self.at(&index.to_string(), |diff| diff.values(one, other));
                        (old, new, index) = (olds, news, index + 1);
                    }
                    (Some((_, olds)), None) => {
                        self.at(&index.to_string(), Self::remove);
                        old = olds;
                    }
                    (None, Some((other, news))) => {
                        self.at(&index.to_string(), |diff| diff.add(other));
                        (new, index) = (news, index + 1);
                    }
                    (None, None) => break,
                }
            }
            (from, to, index) = (kept_from + 1, kept_to + 1, index + 1);
        }
    }

    fn at(&mut self, step: &str, visit: impl FnOnce(&mut Self)) {
        let bytes = self.path.len();
        self.path.push('/');
        self.path
            .push_str(&step.replace('~', "~0").replace('/', "~1"));
        visit(self);
        self.path.truncate(bytes);
    }

    fn is_over(&self, bytes_max: usize) -> bool {
        self.ops.bytes > bytes_max || self.ops.list.len() > EVENT_OPS_MAX
    }

    fn add(&mut self, value: &'a Value) {
        self.ops.bytes += op_len(self.path.len(), Some(value));
        self.ops.list.push(Op::Add(self.path.clone(), value));
    }

    fn replace(&mut self, value: &'a Value) {
        self.ops.bytes += op_len(self.path.len(), Some(value));
        self.ops.list.push(Op::Replace(self.path.clone(), value));
    }

    fn remove(&mut self) {
        self.ops.bytes += op_len(self.path.len(), None);
        self.ops.list.push(Op::Remove(self.path.clone()));
    }
}

/// The elements to keep, as pairs of positions in both lists, and last the pair of both ends.
fn kept(before: &[Value], after: &[Value]) -> Vec<(usize, usize)> {
    let ends = (before.len(), after.len());
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before, after) = (&before[head..], &after[head..]);
    let tail = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (before, after) = (&before[..before.len() - tail], &after[..after.len() - tail]);

    let mut pairs: Vec<_> = (0..head).map(|i| (i, i)).collect();
    pairs.extend(
        align(before, after)
            .into_iter()
            .map(|(i, j)| (head + i, head + j)),
    );
    pairs.extend((0..=tail).map(|i| (ends.0 - tail + i, ends.1 - tail + i)));
    pairs
}

/// A longest common subsequence; empty when the table would be too large.
fn align(before: &[Value], after: &[Value]) -> Vec<(usize, usize)> {
    let width = after.len() + 1;
    if before.is_empty() || after.is_empty() || before.len() * after.len() > ALIGN_CELLS_MAX {
        return Vec::new();
    }
    // Numbers instead of values, so that a cell costs one comparison of integers.
    let mut numbers = HashMap::new();
    let mut number = |value| {
        let next = numbers.len();
        *numbers.entry(value).or_insert(next)
    };
    let before: Vec<usize> = before.iter().map(&mut number).collect();
    let after: Vec<usize> = after.iter().map(&mut number).collect();

    // lengths[i * width + j]: of the longest common subsequence of before[i..] and after[j..].
    // The shorter list has at most 2,048 elements, so 16 bits hold it.
    let mut lengths = vec![0_u16; (before.len() + 1) * width];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            lengths[i * width + j] = if before[i] == after[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < before.len() && j < after.len() {
        if before[i] == after[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}
