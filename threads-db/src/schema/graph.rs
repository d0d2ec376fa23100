//! Which part of a schema looks at what: how far checking an entity can go, and for how long.
//!
//! The validator follows references as they are written, so a small schema can send it round
//! for ever, into the depth of the stack, or over the same values again and again: a chain of n
//! definitions that each mention the next one twice takes 2ⁿ steps. The graph finds the first
//! two, and what multiplies at one place, when a schema is compiled. What multiplies with the
//! depth of the entity is the nature of recursive alternatives, so that is counted per entity.

use std::collections::HashMap;

use serde_json::Value;
use threads_core::{Error, Result};

use super::{ENTITY_DEPTH_MAX, size};

mod build;

/// The most steps at one place of an entity.
const STEPS_IN_PLACE_MAX: u64 = 10_000;
/// The longest way through the schema that an entity of the greatest depth can take. One step
/// takes up to a kilobyte of stack.
const WAY_STEPS_MAX: u32 = 1024;
/// The steps any entity may take, and those it may take more for each of its values.
const STEPS_FREE: u64 = 1 << 20;
const STEPS_PER_VALUE: u64 = 64;
/// The most values that may be looked at, and copied, to explain what is wrong.
const EXPLAINED_VALUES_MAX: u64 = 250_000;
/// How often the validator looks at the same place for `unevaluated…`: for the subschemas, for
/// what they evaluated, and for whether those that evaluated it hold.
const UNEVALUATED_TIMES: u64 = 3;

/// The subschemas of a schema; the first is the whole.
#[derive(Debug)]
pub(super) struct Graph {
    nodes: Vec<Node>,
}

/// A subschema: which others it applies, by index, and to what.
#[derive(Debug, Default)]
struct Node {
    /// To the same value, so many times.
    same: Vec<(usize, u64)>,
    /// To the member of a name.
    named: HashMap<String, Vec<usize>>,
    /// To members of any name.
    members: Vec<usize>,
    /// To items.
    items: Vec<usize>,
    mentions_id: bool,
}

impl Node {
    /// The subschemas applied one level deeper.
    fn deeper(&self) -> impl Iterator<Item = usize> {
        let named = self.named.values().flatten();
        named.chain(&self.members).chain(&self.items).copied()
    }
}

impl Graph {
    /// The graph of `schema`, if every check on it ends soon enough.
    pub(super) fn of(schema: &Value) -> Result<Self> {
        let (graph, places) = build::graph_of(schema)?;
        let order = graph.in_place_order().map_err(|node| {
            Error::invalid(
                "the schema's references go round in a circle without looking deeper into the \
                 entity: remove one of them",
            )
            .with("at", &places[node])
        })?;
        graph.check_steps_in_place(&order, &places)?;
        graph.check_way(&order)?;
        Ok(graph)
    }

    /// Whether the schema says something of the entity's own `_id`.
    pub(super) fn mentions_id(&self) -> bool {
        let mut met = vec![false; self.nodes.len()];
        let mut waiting = vec![0];
        while let Some(node) = waiting.pop() {
            if std::mem::replace(&mut met[node], true) {
                continue;
            }
            if self.nodes[node].mentions_id {
                return true;
            }
            waiting.extend(self.nodes[node].same.iter().map(|(to, _)| *to));
        }
        false
    }

    /// Whether `entity`, of so many `values`, is checked in a bounded number of steps.
    pub(super) fn affords_checking(&self, entity: &Value, values: usize) -> bool {
        let mut left = STEPS_FREE.saturating_add(STEPS_PER_VALUE.saturating_mul(values as u64));
        self.walk(0, entity, &|_| 1, &mut left)
    }

    /// Whether all that is wrong with `entity` can be listed: alternatives copy what they refuse.
    pub(super) fn affords_explaining(&self, entity: &Value) -> bool {
        let values = |value: &Value| size::values_in(value, usize::MAX).unwrap_or(usize::MAX);
        let mut left = EXPLAINED_VALUES_MAX;
        self.walk(0, entity, &|value| values(value) as u64, &mut left)
    }

    /// Goes every way through the schema and `value`, paying `price` at each step; false when
    /// nothing is `left`.
    fn walk(
        &self,
        node: usize,
        value: &Value,
        price: &dyn Fn(&Value) -> u64,
        left: &mut u64,
    ) -> bool {
        let Some(rest) = left.checked_sub(price(value)) else {
            return false;
        };
        *left = rest;
        let node = &self.nodes[node];
        let mut go = |to: &usize, value: &Value| self.walk(*to, value, price, left);
        let here = node
            .same
            .iter()
            .all(|(to, times)| (0..*times).all(|_| go(to, value)));
        here && match value {
            Value::Object(members) => members.iter().all(|(name, member)| {
                let mut named = node.named.get(name).into_iter().flatten();
                named.all(|to| go(to, member)) && node.members.iter().all(|to| go(to, member))
            }),
            Value::Array(items) => items
                .iter()
                .all(|item| node.items.iter().all(|to| go(to, item))),
            _ => true,
        }
    }

    /// The subschemas in an order in which each comes before those it applies to the same value;
    /// or one on a circle of them.
    fn in_place_order(&self) -> Result<Vec<usize>, usize> {
        let mut awaited = vec![0; self.nodes.len()];
        for (to, _) in self.nodes.iter().flat_map(|node| &node.same) {
            awaited[*to] += 1;
        }
        let mut order: Vec<usize> = (0..self.nodes.len())
            .filter(|node| awaited[*node] == 0)
            .collect();
        let mut next = 0;
        while let Some(&node) = order.get(next) {
            next += 1;
            for (to, _) in &self.nodes[node].same {
                awaited[*to] -= 1;
                if awaited[*to] == 0 {
                    order.push(*to);
                }
            }
        }
        match awaited.iter().position(|count| *count > 0) {
            None => Ok(order),
            Some(node) => Err(node),
        }
    }

    fn check_steps_in_place(&self, order: &[usize], places: &[String]) -> Result<()> {
        let mut steps = vec![1_u64; self.nodes.len()];
        for &node in order.iter().rev() {
            for (to, times) in &self.nodes[node].same {
                steps[node] = steps[node].saturating_add(steps[*to].saturating_mul(*times));
            }
            if steps[node] > STEPS_IN_PLACE_MAX {
                return Err(Error::invalid(
                    "the schema's references multiply: mention shared parts fewer times",
                )
                .with("at", &places[node])
                .with("most", STEPS_IN_PLACE_MAX));
            }
        }
        Ok(())
    }

    fn check_way(&self, order: &[usize]) -> Result<()> {
        let mut longest = vec![0_u32; self.nodes.len()];
        for _ in 0..=ENTITY_DEPTH_MAX {
            let deeper = longest.clone();
            for &node in order.iter().rev() {
                let here = self.nodes[node].same.iter().map(|(to, _)| longest[*to]);
                let there = self.nodes[node].deeper().map(|to| deeper[to]);
                longest[node] = 1 + here.chain(there).max().unwrap_or(0);
            }
        }
        if longest[0] > WAY_STEPS_MAX {
            return Err(Error::invalid(
                "the schema's references form too long a chain: shorten it",
            )
            .with("steps", longest[0])
            .with("most", WAY_STEPS_MAX));
        }
        Ok(())
    }
}
