//! What is settled step by step is what is settled at once, and what an insertion does not name is as it was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use std::collections::BTreeSet;

use common::Chance;
use common::random::{Act, Event, History};
use common::second::{LIST, THREAD};
use threads_acl::{
    AclEvent, AclId, AclKind, Changes, Data, Entity, Evaluator, Judgement, Peer, Role, RoleSet,
    Room, Scope, Touched, Who,
};
use threads_core::codec::ActionKind;

const HISTORIES: u64 = 4_000;
const ORDERS: u64 = 3;

fn role(rank: u8) -> Role {
    Role::ALL[usize::from(rank)]
}

fn scope(of: i8) -> Scope {
    match of {
        THREAD => Scope::Thread,
        LIST => Scope::Acl,
        entity => Scope::Entity(Entity(entity as u32)),
    }
}

fn who(target: Option<u8>) -> Who {
    target.map_or(Who::Everyone, |peer| Who::Peer(Peer(peer.into())))
}

fn kind(act: Act) -> Option<AclKind> {
    Some(match act {
        Act::Genesis => AclKind::Genesis,
        Act::Grant(target, of, rank) => AclKind::Grant {
            target: who(target),
            scope: scope(of),
            role: role(rank),
        },
        Act::Revoke(target, of, rank) => AclKind::Revoke {
            target: who(target),
            scope: scope(of),
            role: role(rank),
        },
        Act::Restrict(entity) => AclKind::Restrict(Entity(entity as u32)),
        Act::Checkpoint => AclKind::Checkpoint,
        Act::Data(..) => return None,
    })
}

/// Whether each event is authorised and counts, and what each peer has.
type Standing = (Vec<(bool, bool)>, Vec<(Peer, Scope, RoleSet)>);

/// A replica: the events it has, each with its number, and what it thinks of data.
struct Replica<'h> {
    history: &'h History,
    past: Vec<u64>,
    evaluator: Evaluator,
    ids: Vec<Option<AclId>>,
    places: Vec<usize>,
    judged: Vec<Option<Judgement>>,
}

impl<'h> Replica<'h> {
    fn new(history: &'h History, room: Room) -> Self {
        let mut past: Vec<u64> = Vec::new();
        for event in &history.events {
            past.push(
                event
                    .deps
                    .iter()
                    .fold(0, |all, dep| all | past[*dep] | 1 << dep),
            );
        }
        let count = history.events.len();
        Self {
            history,
            past,
            evaluator: Evaluator::with_room(Peer(0), room),
            ids: vec![None; count],
            places: Vec::new(),
            judged: vec![None; count],
        }
    }

    /// All access-control events in the past: more than the frontier, which may be named too.
    fn frontier(&self, at: usize) -> Vec<AclId> {
        let past = (0..at).filter(|other| self.past[at] & (1 << other) != 0);
        past.filter_map(|other| self.ids[other]).collect()
    }

    fn judge(&self, at: usize) -> Judgement {
        let Event {
            author,
            act: Act::Data(entity, deletes),
            ..
        } = self.history.events[at]
        else {
            panic!("no data");
        };
        let action = if deletes {
            ActionKind::Delete
        } else {
            ActionKind::Save
        };
        let past = self.frontier(at);
        let entity = Entity(entity as u32);
        let data = Data {
            author: Peer(author.into()),
            past: &past,
            entity,
            action,
        };
        self.evaluator.judge(&data, &|id| self.covers(id, at))
    }

    fn covers(&self, id: AclId, at: usize) -> bool {
        self.past[self.places[id.number() as usize]] & (1 << at) != 0
    }

    fn take(&mut self, at: usize) {
        let event = &self.history.events[at];
        let Some(kind) = kind(event.act) else {
            self.judged[at] = Some(self.judge(at));
            return;
        };
        let author = Peer(event.author.into());
        let before = self.standing();
        let parts = self.parts();
        let (id, changes) = self
            .evaluator
            .insert(AclEvent {
                author,
                parents: self.frontier(at),
                kind,
            })
            .unwrap();
        assert_eq!(changes.turned, self.parts() != parts, "{:#?}", self.history);
        self.ids[at] = Some(id);
        self.places.push(at);
        self.assert_named(&changes, &before);
        for at in 0..self.judged.len() {
            if self.judged[at].is_none() {
                continue;
            }
            let touches = |touched: &Touched| self.is_touched(touched, at);
            let mut touching = changes
                .data
                .iter()
                .filter(|touched| touches(touched))
                .peekable();
            if touching.peek().is_none() {
                continue;
            }
            // What others took before is taken from others' data by them all the same.
            let bound = |touched: &Touched| {
                let narrower = self.evaluator.narrower(id, &changes, touched);
                narrower.iter().any(|earlier| !self.covers(*earlier, at))
            };
            let now = self.judge(at);
            if touching.all(bound) {
                let before = self.judged[at].as_ref().map(Judgement::is_applied);
                assert_eq!(before, Some(now.is_applied()), "{:#?}", self.history);
            }
            self.judged[at] = Some(now);
        }
    }

    fn is_touched(&self, touched: &Touched, at: usize) -> bool {
        let Event {
            author,
            act: Act::Data(entity, _),
            ..
        } = self.history.events[at]
        else {
            return false;
        };
        let author = Who::Peer(Peer(author.into()));
        (touched.author == Who::Everyone || touched.author == author)
            && (touched.scope == Scope::Thread || touched.scope == scope(entity))
            && touched.beyond.is_none_or(|id| !self.covers(id, at))
    }

    fn standing(&self) -> Standing {
        let events = self.ids_in_order();
        let events = events.map(|id| (self.evaluator.is_authorised(id), self.evaluator.counts(id)));
        let scopes = [Scope::Thread, Scope::Acl, scope(0), scope(1)];
        let peers = (0..u32::from(self.history.peers)).map(Peer);
        let all = peers.flat_map(|peer| scopes.map(|scope| (peer, scope)));
        let roles = all.map(|(peer, scope)| (peer, scope, self.evaluator.roles(peer, scope)));
        (events.collect(), roles.collect())
    }

    /// Whether each event takes part.
    fn parts(&self) -> Vec<bool> {
        let ids = self.ids_in_order();
        ids.map(|id| self.evaluator.why_left_out(id).is_none())
            .collect()
    }

    fn ids_in_order(&self) -> impl Iterator<Item = AclId> {
        let mut ids: Vec<_> = self.ids.iter().copied().flatten().collect();
        ids.sort_unstable();
        ids.into_iter()
    }

    /// Whatever is otherwise now was named.
    fn assert_named(&self, changes: &Changes, before: &Standing) {
        let after = self.standing();
        let flipped: BTreeSet<_> = self
            .ids_in_order()
            .zip(before.0.iter().zip(&after.0))
            .filter(|(_, (before, after))| before != after)
            .map(|(id, _)| id)
            .collect();
        assert_eq!(changes.events, flipped, "{:#?}", self.history);
        for ((peer, scope, roles), (.., now)) in before.1.iter().zip(&after.1) {
            let named = |who| changes.roles.contains(&(who, *scope));
            assert!(roles == now || named(Who::Peer(*peer)) || named(Who::Everyone));
        }
    }
}

/// The places of a history in an order in which each comes after its deps.
fn order(history: &History, chance: &mut Chance) -> Vec<usize> {
    let mut order = Vec::new();
    let mut left: Vec<usize> = (0..history.events.len()).collect();
    while !left.is_empty() {
        let ready = |at: &usize| {
            history.events[*at]
                .deps
                .iter()
                .all(|dep| order.contains(dep))
        };
        let ready: Vec<usize> = left.iter().copied().filter(ready).collect();
        let next = *chance.pick(&ready);
        order.push(next);
        left.retain(|at| *at != next);
    }
    order
}

#[test]
fn step_by_step_is_at_once_in_every_order() {
    step_by_step(History::random, |_| Room::default());
}

/// What was taken before is taken still, and no more of what is known has to be judged.
#[test]
fn step_by_step_is_at_once_where_the_same_is_taken_again_and_again() {
    step_by_step(History::to_and_fro, |_| Room::default());
}

/// Whoever says too much is left out, and comes in again when root has seen it: as if all had come at once.
#[test]
fn step_by_step_is_at_once_where_there_is_little_room() {
    step_by_step(History::random, common::little_room);
    step_by_step(History::to_and_fro, common::little_room);
}

fn step_by_step(random: fn(usize, &mut Chance) -> History, room: fn(&mut Chance) -> Room) {
    for seed in 0..HISTORIES {
        let mut chance = Chance(seed);
        let count = 6 + chance.below(20);
        let history = random(count, &mut chance);
        let room = room(&mut chance);
        let mut known: Option<Vec<_>> = None;
        for _ in 0..ORDERS {
            let mut replica = Replica::new(&history, room);
            for at in order(&history, &mut chance) {
                replica.take(at);
            }
            let mut ends = Vec::new();
            for (at, event) in history.events.iter().enumerate() {
                if let Act::Data(..) = event.act {
                    let now = replica.judge(at);
                    let kept = replica.judged[at].unwrap();
                    assert_eq!(
                        kept.is_applied(),
                        now.is_applied(),
                        "{seed}: {at} {history:#?}"
                    );
                    ends.push((at, now.is_applied(), false));
                } else {
                    let id = replica.ids[at].unwrap();
                    let evaluator = &replica.evaluator;
                    assert_eq!(
                        evaluator.explain(id).is_ok(),
                        evaluator.counts(id),
                        "{seed}: {at}"
                    );
                    let in_short = match evaluator.why_left_out(id) {
                        None => (at, evaluator.is_authorised(id), evaluator.counts(id)),
                        Some(_) => {
                            assert!(!evaluator.is_authorised(id) && !evaluator.counts(id));
                            (at + replica.judged.len(), false, false)
                        }
                    };
                    ends.push(in_short);
                }
            }
            let known = known.get_or_insert_with(|| ends.clone());
            assert_eq!(*known, ends, "{seed}: {history:#?}");
            assert_shown(&replica);
        }
    }
}

/// The map shows what the rules say, and every event that counts hangs on root.
fn assert_shown(replica: &Replica<'_>) {
    let evaluator = &replica.evaluator;
    for scope in [Scope::Thread, Scope::Acl, scope(0)] {
        let map = evaluator.map(scope);
        let shown = |who| {
            map.get(&who)
                .map(|set| set.elements().copied().collect::<RoleSet>())
        };
        let default = shown(Who::Everyone).unwrap_or_default();
        assert_eq!(default, evaluator.default_roles(scope));
        for peer in (1..replica.history.peers).map(|peer| Peer(peer.into())) {
            let own = shown(Who::Peer(peer)).unwrap_or_default();
            let roles = evaluator.roles(peer, scope);
            assert!(own.iter().all(|role| roles.contains(role)));
            assert!(
                roles
                    .iter()
                    .all(|role| own.contains(role) || default.contains(role))
            );
        }
    }
    for id in replica.ids_in_order().filter(|id| evaluator.counts(*id)) {
        let last = evaluator.chain(id).last().copied().unwrap_or(id);
        let (author, kind) = evaluator.event(last).unwrap();
        let own = |by| matches!(kind, AclKind::Revoke { target, .. } if target == Who::Peer(by));
        assert!(author == Peer(0) || own(author), "{last:?} {author:?}");
    }
}
