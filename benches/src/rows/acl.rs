//! The evaluator of access control against itself: ten times as much, and one late removal.

use std::hint::black_box;

use threads_acl::{AclEvent, AclId, AclKind, Data, Entity, Evaluator, Peer, Role, Scope, Who};
use threads_core::codec::ActionKind;

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::report::{Reach, Row};

const EVENTS: usize = 10_000;
/// Fewer let nobody in on the small side.
const EVENTS_LEAST: usize = 2_000;
/// Changes for each access-control event.
const CHANGES: usize = 10;
const ADMINS: u32 = 10;
/// Of them, each has as many of the changes.
const WRITERS: u32 = 100;
/// How many events behind the latest an author may be.
const LAG: usize = 16;
/// The large side has so many times the events of the small one.
const FACTOR: usize = 10;

/// A change of some writer, and the access-control frontier that it cites.
struct Change {
    author: Peer,
    past: [AclId; 2],
    entity: Entity,
}

impl Change {
    fn judge(&self, evaluator: &Evaluator) -> bool {
        let Self {
            author,
            past,
            entity,
        } = self;
        let (author, entity) = (*author, *entity);
        let data = Data {
            author,
            past,
            entity,
            action: ActionKind::Save,
        };
        // A removal has seen what came long before it, as its cut would say.
        let covered = |removal: AclId| {
            let seen = past.iter().map(|id| id.number()).max().unwrap_or_default();
            seen as usize + LAG < removal.number() as usize
        };
        evaluator.judge(&data, &covered).is_applied()
    }
}

/// What happened in a thread.
struct World {
    events: Vec<AclEvent>,
    /// Their numbers.
    ids: Vec<AclId>,
    changes: Vec<Change>,
}

fn writer(turn: usize) -> Peer {
    Peer(1 + ADMINS + (turn % WRITERS as usize) as u32)
}

/// A number that looks like chance, and is the same in every run.
fn scattered(turn: usize, below: usize) -> usize {
    crate::documents::scattered(turn, below.max(1))
}

impl World {
    /// Root makes admins; these let writers in, remove strangers and let them in again, each a little behind.
    fn new(count: usize) -> Result<Self> {
        // Numbers are given in order, so that a first evaluator can give those that others will.
        let mut numbers = Evaluator::new(Peer(0));
        let (mut events, mut ids) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for turn in 0..count {
            let event = event(turn, &ids);
            ids.push(numbers.insert(event.clone())?.0);
            events.push(event);
        }
        let changes = (0..count * CHANGES).map(|turn| {
            let at = |way: usize| count - 1 - scattered(turn + way, count / 2);
            let past = [ids[at(0)], ids[at(1)]];
            Change {
                author: writer(turn),
                past,
                entity: Entity((turn % 1_000) as u32),
            }
        });
        let changes = changes.collect();
        Ok(Self {
            events,
            ids,
            changes,
        })
    }

    fn evaluator(&self) -> Result<Evaluator> {
        let mut evaluator = Evaluator::new(Peer(0));
        for event in &self.events {
            evaluator.insert(event.clone())?;
        }
        Ok(evaluator)
    }

    /// Seconds to settle every event and to judge every change.
    fn settle(&self) -> Result<f64> {
        let (seconds, applied) = timed(|| {
            let evaluator = self.evaluator()?;
            Ok(self
                .changes
                .iter()
                .filter(|change| change.judge(&evaluator))
                .count())
        })?;
        if black_box(applied) == 0 {
            return Err("nothing was applied".into());
        }
        Ok(seconds)
    }
}

fn event(turn: usize, ids: &[AclId]) -> AclEvent {
    let whom = |peer| Who::Peer(peer);
    let first = (ADMINS + WRITERS) as usize;
    let (scope, role) = (Scope::Thread, Role::Write);
    let kind = match turn {
        _ if turn < ADMINS as usize => {
            let target = whom(Peer(1 + turn as u32));
            AclKind::Grant {
                target,
                scope: Scope::Acl,
                role,
            }
        }
        _ if turn < first => AclKind::Grant {
            target: whom(writer(turn)),
            scope,
            role,
        },
        _ => {
            let target = whom(Peer(1 + ADMINS + WRITERS + scattered(turn, 1_000) as u32));
            match turn % 3 {
                0 => AclKind::Revoke {
                    target,
                    scope,
                    role,
                },
                _ => AclKind::Grant {
                    target,
                    scope,
                    role,
                },
            }
        }
    };
    let (author, lag) = if turn < first {
        (Peer(0), 0)
    } else {
        (Peer(1 + scattered(turn, ADMINS as usize) as u32), LAG)
    };
    // It has seen everything but the very latest.
    let seen = ids.len() - scattered(turn, lag.min(ids.len()) + 1);
    let parents = ids[seen.saturating_sub(2 * LAG)..seen].to_vec();
    AclEvent {
        author,
        parents,
        kind,
    }
}

/// Ten times the events and changes: ten times the time, and a little more for what does not fit caches.
pub(crate) fn settle(bench: &Bench) -> Result<Row> {
    let count = bench.size(EVENTS).max(EVENTS_LEAST);
    let (large, small) = (World::new(count)?, World::new((count / FACTOR).max(1))?);
    let (large_s, small_s) = bench.in_turns(|| large.settle(), || small.settle())?;
    let what = (
        format!(
            "settling {count} access-control events and judging {} changes",
            count * CHANGES
        ),
        "a tenth of both",
    );
    let figures = (large_s * 1e3, small_s * 1e3);
    Ok(Row::new(
        "acl-settle",
        what,
        figures,
        "ms",
        Reach::AtMost(12.0),
    ))
}

/// One removal that comes late, of a writer who has a hundredth of the changes.
pub(crate) fn late(bench: &Bench) -> Result<Row> {
    let count = bench.size(EVENTS).max(EVENTS_LEAST);
    let world = World::new(count)?;
    let settled = world.evaluator()?;
    let removed = writer(0);
    let (scope, role) = (Scope::Thread, Role::Write);
    let kind = AclKind::Revoke {
        target: Who::Peer(removed),
        scope,
        role,
    };
    // By the first admin, which has seen its own grant and nothing since.
    let parents = vec![world.ids[0]];
    let late = AclEvent {
        author: Peer(1),
        parents,
        kind,
    };
    let own: Vec<&Change> = world
        .changes
        .iter()
        .filter(|change| change.author == removed)
        .collect();
    let one = || {
        let mut evaluator = settled.clone();
        let (seconds, touched) = timed(|| {
            let (_, changes) = evaluator.insert(late.clone())?;
            let is_touched = changes
                .data
                .iter()
                .any(|one| one.author == Who::Peer(removed));
            let again = if is_touched { own.as_slice() } else { &[] };
            Ok(again
                .iter()
                .map(|change| u64::from(change.judge(&evaluator)) | 2)
                .sum::<u64>())
        })?;
        if black_box(touched) == 0 {
            return Err("the removal touched nothing".into());
        }
        Ok(seconds * 1e3)
    };
    let figures = bench.in_turns(one, || Ok(world.settle()? * 1e3))?;
    let what = (
        format!(
            "one late removal, which touches {} of {} changes",
            own.len(),
            world.changes.len()
        ),
        "evaluating everything again",
    );
    Ok(Row::new(
        "acl-late",
        what,
        figures,
        "ms",
        Reach::AtMost(0.05),
    ))
}
