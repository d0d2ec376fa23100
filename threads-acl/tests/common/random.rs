//! Small histories by chance, which bring about removals, duels, seals, forks and back-dating.

use threads_acl::eval::{Described, Outcome};

use super::Chance;
use super::second::{DELETE, LIST, READ, REPLICATE, THREAD, Verdict, WRITE, Where};

/// What an event does; no target is everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Genesis,
    Grant(Option<u8>, Where, u8),
    Revoke(Option<u8>, Where, u8),
    Restrict(i8),
    Checkpoint,
    Data(i8, bool),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) author: u8,
    pub(crate) deps: Vec<usize>,
    pub(crate) act: Act,
}

/// Events, each after those it depends on; peer 0 is root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) peers: u8,
    pub(crate) events: Vec<Event>,
}

/// What everybody has of the histories that are made: few events to have, and so many ways to meet.
const PEERS: u8 = 5;
const ENTITIES: usize = 2;
const ROLES: [u8; 4] = [REPLICATE, READ, WRITE, DELETE];

impl History {
    /// A history of `count` events.
    pub(crate) fn random(count: usize, chance: &mut Chance) -> Self {
        let genesis = Event {
            author: 0,
            deps: Vec::new(),
            act: Act::Genesis,
        };
        let mut history = Self {
            peers: PEERS,
            events: vec![genesis],
        };
        // Mostly there are admins, so that there is something to fight over.
        for admin in 1..=2 {
            if chance.percent(80) {
                let act = Act::Grant(Some(admin), LIST, WRITE);
                let deps = vec![history.events.len() - 1];
                history.events.push(Event {
                    author: 0,
                    deps,
                    act,
                });
            }
        }
        while history.events.len() < count {
            let event = history.another(chance);
            history.events.push(event);
        }
        history
    }

    /// One in which a peer is given and taken the same few roles again and again, by root and by two admins, who
    /// may be removed too.
    pub(crate) fn to_and_fro(count: usize, chance: &mut Chance) -> Self {
        let grant = |target, of| Act::Grant(Some(target), of, WRITE);
        let first = [
            Act::Genesis,
            grant(1, LIST),
            grant(3, LIST),
            grant(2, THREAD),
        ];
        let first = first.into_iter().enumerate();
        let event = |(at, act): (usize, Act)| Event {
            author: 0,
            deps: (0..at).collect(),
            act,
        };
        let mut history = Self {
            peers: PEERS,
            events: first.map(event).collect(),
        };
        while history.events.len() < count {
            let taken = *chance.pick(&[REPLICATE, WRITE, WRITE, DELETE]);
            let given = *chance.pick(&[WRITE, WRITE, DELETE]);
            let target = *chance.pick(&[None, Some(2), Some(2), Some(2)]);
            let (admin, writer) = (*chance.pick(&[0, 1, 1, 3]), 2);
            let (author, act) = match chance.below(24) {
                0..=6 => (writer, Act::Data(0, chance.percent(30))),
                7..=12 => (admin, Act::Revoke(target, THREAD, taken)),
                13..=16 => (admin, Act::Grant(target, THREAD, given)),
                17 => (admin, Act::Restrict(0)),
                18 => (admin, Act::Grant(Some(2), 0, WRITE)),
                19 => (0, Act::Checkpoint),
                _ => {
                    let removed = *chance.pick(&[1, 3]);
                    let by = *chance.pick(&[0, 4 - removed]);
                    (by, Act::Revoke(Some(removed), LIST, WRITE))
                }
            };
            let deps = history.deps(author, chance);
            history.events.push(Event { author, deps, act });
        }
        history
    }

    fn another(&self, chance: &mut Chance) -> Event {
        // Root, admins and writers act more often than strangers.
        let author = *chance.pick(&[0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4]);
        let deps = self.deps(author, chance);
        Event {
            author,
            deps,
            act: act(author, chance),
        }
    }

    /// What an author has seen: mostly its own latest event, and one or two of others. Without its own it
    /// forks its log.
    fn deps(&self, author: u8, chance: &mut Chance) -> Vec<usize> {
        let own = self.events.iter().rposition(|event| event.author == author);
        let mut deps: Vec<usize> = own.filter(|_| !chance.percent(10)).into_iter().collect();
        for _ in 0..chance.below(3) {
            deps.push(chance.below(self.events.len()));
        }
        if chance.percent(30) {
            deps.push(self.events.len() - 1);
        }
        if deps.is_empty() {
            deps.push(chance.below(self.events.len()));
        }
        deps.sort_unstable();
        deps.dedup();
        deps
    }

    /// The same in words.
    pub(crate) fn described(&self) -> Vec<Described> {
        let describe = |(at, event): (usize, &Event)| {
            let deps: Vec<String> = event.deps.iter().map(|dep| id(*dep)).collect();
            let deps: Vec<&str> = deps.iter().map(String::as_str).collect();
            let new = |kind| Described::new(&id(at), &peer(event.author), kind, &deps);
            let entity = |entity: i8| format!("n{entity}");
            let role = |kind, target: Option<u8>, of: Where, role: u8| {
                let target = target.map_or_else(|| "*".to_owned(), peer);
                let of = match of {
                    THREAD => "thread".to_owned(),
                    LIST => "acl".to_owned(),
                    one => format!("entity:{}", entity(one)),
                };
                new(kind)
                    .target(&target)
                    .scope(&of)
                    .role(ROLE_NAMES[usize::from(role)])
            };
            match event.act {
                Act::Genesis => new("genesis"),
                Act::Grant(target, of, given) => role("grant", target, of, given),
                Act::Revoke(target, of, taken) => role("revoke", target, of, taken),
                Act::Restrict(of) => new("restrict").entity(&entity(of)),
                Act::Checkpoint => new("checkpoint"),
                Act::Data(of, true) => new("delete").entity(&entity(of)),
                Act::Data(of, false) => new("save").entity(&entity(of)),
            }
        };
        self.events.iter().enumerate().map(describe).collect()
    }
}

pub(crate) const ROLE_NAMES: [&str; 4] = ["replicate", "read", "write", "delete"];

/// Names whose order is not that of the numbers.
fn id(at: usize) -> String {
    format!("{:02}-{at}", at * 37 % 64)
}

fn peer(number: u8) -> String {
    format!("peer{number}")
}

fn act(author: u8, chance: &mut Chance) -> Act {
    let entity = chance.below(ENTITIES) as i8;
    let whom = Some(chance.below(usize::from(PEERS)) as u8);
    let whom = if chance.percent(12) { None } else { whom };
    let role = *chance.pick(&ROLES);
    let (of, role) = match chance.below(10) {
        0..=4 => (LIST, WRITE),
        5..=6 => (THREAD, WRITE),
        7..=8 => (THREAD, role),
        _ => (entity, *chance.pick(&[WRITE, WRITE, DELETE])),
    };
    match chance.below(20) {
        0..=5 => Act::Grant(whom, of, role),
        6..=10 => Act::Revoke(whom, of, role),
        11 => Act::Restrict(entity),
        12..=13 if author == 0 => Act::Checkpoint,
        12 => Act::Checkpoint,
        _ => Act::Data(entity, chance.percent(20)),
    }
}

/// What the outcome says, by the places of events.
pub(crate) fn verdict_of(outcome: &Outcome, history: &History) -> Verdict {
    let places = |ids: &[String]| {
        let place = |id: &String| id[3..].parse::<usize>().unwrap();
        let mut places: Vec<_> = ids.iter().map(place).collect();
        places.sort_unstable();
        places
    };
    let roles = (0..history.peers).map(|number| {
        let roles = outcome.roles.get(&peer(number));
        let bits = |names: &[String]| {
            let bit = |name: &String| 1 << ROLE_NAMES.iter().position(|role| role == name).unwrap();
            names.iter().map(bit).sum()
        };
        let root = u8::from(number == 0);
        let (thread, list) = roles.map_or((15 * root, root == 1), |roles| {
            (bits(&roles.thread), !roles.acl.is_empty())
        });
        (number, (thread, list))
    });
    Verdict {
        authorised: places(&outcome.authorised),
        counted: places(&outcome.counted),
        applied: places(&outcome.applied),
        roles: roles.collect(),
    }
}
