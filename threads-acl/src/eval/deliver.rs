//! Events go in as soon as all that they depend on is there.

use std::collections::HashMap;
use std::rc::Rc;

use threads_core::Result;

use super::{Step, What};
use crate::past::Past;
use crate::{AclEvent, AclId, Evaluator};

/// Where an event stands.
#[derive(Debug)]
pub(super) struct Place {
    /// When it went in.
    pub(super) number: u32,
    /// Its number as an access-control event.
    pub(super) acl: Option<AclId>,
    /// The latest access-control events in its past.
    pub(super) frontier: Rc<[AclId]>,
    past: Past,
}

/// A history as far as it could be delivered.
pub(super) struct Delivered {
    pub(super) evaluator: Evaluator,
    /// By number.
    places: Vec<Place>,
    numbers: HashMap<String, u32>,
    /// The number of each access-control event.
    acl: Vec<u32>,
}

impl Delivered {
    pub(super) fn has(&self, id: &str) -> bool {
        self.numbers.contains_key(id)
    }

    /// Every event that went in.
    pub(super) fn places<'s, 'a>(
        &'s self,
        steps: &'s [Step<'a>],
    ) -> impl Iterator<Item = (&'s Step<'a>, &'s Place)> {
        steps.iter().filter_map(|step| {
            let number = self.numbers.get(step.id)?;
            Some((step, &self.places[*number as usize]))
        })
    }

    /// Whether an access-control event has this event in its past.
    pub(super) fn reaches(&self, id: AclId, number: u32) -> bool {
        let place = &self.places[self.acl[id.index()] as usize];
        place.past.contains(number)
    }

    fn take(&mut self, step: &Step<'_>) -> Result<()> {
        let numbers = step.deps.iter().filter_map(|dep| self.numbers.get(*dep));
        let mut deps: Vec<_> = numbers.copied().collect();
        // The latest first: it mostly has the others in its past.
        deps.sort_unstable_by(|a, b| b.cmp(a));
        let mut past = Past::default();
        for dep in &deps {
            if !past.contains(*dep) {
                past.unite(&self.places[*dep as usize].past);
                past.insert(*dep);
            }
        }
        let frontier = self.frontier(&deps);
        let number = self.places.len() as u32;
        let acl = match step.what {
            What::Data(..) => None,
            What::Acl(kind) => {
                let parents = frontier.to_vec();
                let event = AclEvent {
                    author: step.author,
                    parents,
                    kind,
                };
                self.acl.push(number);
                Some(self.evaluator.insert(event)?.0)
            }
        };
        self.numbers.insert(step.id.to_owned(), number);
        self.places.push(Place {
            number,
            acl,
            frontier,
            past,
        });
        Ok(())
    }

    /// The latest access-control events that these events are, or have in their pasts.
    fn frontier(&self, deps: &[u32]) -> Rc<[AclId]> {
        let own = |dep: &u32| -> Rc<[AclId]> {
            let place = &self.places[*dep as usize];
            place
                .acl
                .map_or_else(|| Rc::clone(&place.frontier), |id| Rc::from([id]))
        };
        let parts: Vec<_> = deps.iter().map(own).collect();
        let [first, others @ ..] = parts.as_slice() else {
            return Rc::from([]);
        };
        if others.iter().all(|other| other == first) {
            return Rc::clone(first);
        }
        let mut ids: Vec<_> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        let mut latest: Vec<AclId> = Vec::new();
        for id in ids {
            if !latest
                .iter()
                .any(|later| self.evaluator.reaches(*later, id))
            {
                latest.push(id);
            }
        }
        Rc::from(latest)
    }
}

/// Delivers every event whose deps are there, in the order of the history as far as deps allow.
pub(super) fn deliver(evaluator: Evaluator, steps: &[Step<'_>]) -> Result<Delivered> {
    let (places, numbers, acl) = (Vec::new(), HashMap::new(), Vec::new());
    let mut delivered = Delivered {
        evaluator,
        places,
        numbers,
        acl,
    };
    let mut waiting: HashMap<&str, Vec<usize>> = HashMap::new();
    for first in 0..steps.len() {
        // Each event waits for one dep at a time, and so is looked at once for each dep at most.
        let mut ready = vec![first];
        while let Some(at) = ready.pop() {
            let step = &steps[at];
            let missing = step.deps.iter().find(|dep| !delivered.has(dep));
            if let Some(dep) = missing {
                waiting.entry(dep).or_default().push(at);
                continue;
            }
            delivered.take(step)?;
            ready.extend(
                waiting
                    .remove(step.id)
                    .unwrap_or_default()
                    .into_iter()
                    .rev(),
            );
        }
    }
    Ok(delivered)
}
