//! A second evaluator: the definitions as they stand, as plain recursion over sets of bits.

use std::collections::{BTreeMap, HashMap};

use threads_acl::Room;

use super::random::{Act, Event, History};

/// What both evaluators say of a history, by the places of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) authorised: Vec<usize>,
    pub(crate) counted: Vec<usize>,
    pub(crate) applied: Vec<usize>,
    /// Of each peer: thread roles as bits by their rank, and whether it has a say in the list.
    pub(crate) roles: BTreeMap<u8, (u8, bool)>,
}

/// A scope: the thread, the list, or an entity.
pub(crate) type Where = i8;
pub(crate) const THREAD: Where = -1;
pub(crate) const LIST: Where = -2;

/// Ranks of roles.
pub(crate) const REPLICATE: u8 = 0;
pub(crate) const READ: u8 = 1;
pub(crate) const WRITE: u8 = 2;
pub(crate) const DELETE: u8 = 3;

/// Whether a removal of `taken` takes `role`.
fn takes(taken: u8, role: u8) -> bool {
    match taken {
        REPLICATE => true,
        READ => role == READ || role == WRITE,
        _ => role == taken,
    }
}

struct Second<'h> {
    events: &'h [Event],
    past: Vec<u64>,
    level: Vec<u32>,
    /// R15.
    takes_part: Vec<bool>,
    authorised: HashMap<(usize, u32), bool>,
    counts: HashMap<usize, bool>,
}

const ROOT: u8 = 0;
const FINAL: u32 = u32::MAX;

impl<'h> Second<'h> {
    fn saw(&self, event: usize, earlier: usize) -> bool {
        self.past[event] & (1 << earlier) != 0
    }

    /// A removal of (peer, scope, role): `Some(personal)`.
    fn removes(&self, r: usize, peer: u8, scope: Where, role: u8) -> Option<bool> {
        let Act::Revoke(target, of, taken) = self.events[r].act else {
            return None;
        };
        let hits = of == scope && takes(taken, role) && target.is_none_or(|target| target == peer);
        hits.then_some(target.is_some())
    }

    fn gives(&self, g: usize, peer: u8, scope: Where, role: u8) -> Option<bool> {
        let Act::Grant(target, of, given) = self.events[g].act else {
            return None;
        };
        let hits = of == scope && given == role && target.is_none_or(|target| target == peer);
        hits.then_some(target.is_some())
    }

    /// Whether removal `r` speaks against grant `g` to `peer`, and `g` does not answer it.
    fn against(&self, r: usize, g: usize, peer: u8, scope: Where, role: u8) -> bool {
        match (
            self.gives(g, peer, scope, role),
            self.removes(r, peer, scope, role),
        ) {
            // A personal grant: personal removals it has not seen.
            (Some(true), Some(true)) => !self.saw(g, r),
            (Some(true), Some(false)) => false,
            // A default grant: personal removals always, default ones it has not seen.
            (Some(false), Some(true)) => true,
            (Some(false), Some(false)) => !self.saw(g, r),
            _ => false,
        }
    }

    fn all(&self) -> std::ops::Range<usize> {
        0..self.events.len()
    }

    /// Whether `r` is sealed at `s` (R4).
    fn is_sealed(&mut self, r: usize, s: usize) -> bool {
        if self.events[s].author != ROOT {
            return false;
        }
        match self.events[s].act {
            Act::Revoke(_, LIST, _) => r == s,
            Act::Checkpoint => self.saw(s, r) && self.is_authorised(r, self.level[s]),
            _ => false,
        }
    }

    /// R3, by the seals of levels below `limit`.
    fn is_authorised(&mut self, e: usize, limit: u32) -> bool {
        let author = self.events[e].author;
        if !self.takes_part[e] {
            return false;
        }
        if author == ROOT
            || matches!(self.events[e].act, Act::Revoke(Some(target), ..) if target == author)
        {
            return true;
        }
        if let Some(known) = self.authorised.get(&(e, limit)) {
            return *known;
        }
        let is = self.all().any(|g| {
            self.saw(e, g)
                && self.gives(g, author, LIST, WRITE).is_some()
                && self.is_authorised(g, limit)
                && !self.all().any(|r| {
                    self.against(r, g, author, LIST, WRITE)
                        && ((self.saw(e, r) && self.is_authorised(r, limit))
                            || self.all().any(|s| {
                                self.level[s] < limit && self.is_sealed(r, s) && !self.saw(s, e)
                            }))
                })
        });
        self.authorised.insert((e, limit), is);
        is
    }

    /// R6 for grants and restrictions.
    fn counts(&mut self, e: usize) -> bool {
        if let Some(known) = self.counts.get(&e) {
            return *known;
        }
        let author = self.events[e].author;
        let is = self.is_authorised(e, FINAL) && self.is_supported(e, author, LIST, WRITE);
        self.counts.insert(e, is);
        is
    }

    /// The test of R6 and R8: for an access-control event and for data alike.
    fn is_supported(&mut self, e: usize, peer: u8, scope: Where, role: u8) -> bool {
        peer == ROOT
            || self.all().any(|g| {
                self.saw(e, g)
                    && self.gives(g, peer, scope, role).is_some()
                    && self.counts(g)
                    && !self.all().any(|r| {
                        self.against(r, g, peer, scope, role)
                            && self.is_authorised(r, FINAL)
                            && !self.saw(r, e)
                    })
            })
    }

    /// R7.
    fn has(&mut self, peer: u8, scope: Where, role: u8) -> bool {
        peer == ROOT
            || self.all().any(|g| {
                self.gives(g, peer, scope, role).is_some()
                    && self.counts(g)
                    && !self.all().any(|r| {
                        self.against(r, g, peer, scope, role) && self.is_authorised(r, FINAL)
                    })
            })
    }

    /// R8.
    fn is_applied(&mut self, d: usize, entity: i8, deletes: bool) -> bool {
        let (author, role) = (self.events[d].author, if deletes { DELETE } else { WRITE });
        let restricted = |second: &mut Self| {
            second.all().any(|q| {
                second.events[q].act == Act::Restrict(entity)
                    && second.counts(q)
                    && !second.saw(q, d)
            })
        };
        self.is_supported(d, author, THREAD, role)
            && (!restricted(self) || self.is_supported(d, author, entity, role))
    }
}

/// By way of whom somebody is in: a peer, or everyone.
type Way = Option<u8>;

/// The same rule once more, as it stands: who takes part (R15).
struct Parts<'h> {
    events: &'h [Event],
    past: &'h [u64],
}

impl Parts<'_> {
    /// The grants to the author of an event that it has in its past.
    fn grants(&self, e: usize) -> impl Iterator<Item = (usize, Option<u8>, Where)> {
        let author = self.events[e].author;
        let seen = (0..e).filter(move |g| self.past[e] & (1 << g) != 0);
        seen.filter_map(move |g| match self.events[g].act {
            Act::Grant(to, of, _) if to.is_none_or(|to| to == author) => Some((g, to, of)),
            _ => None,
        })
    }

    /// Whether a grant comes from there.
    fn comes_from(&self, g: usize, way: Way) -> bool {
        let Act::Grant(target, ..) = self.events[g].act else {
            return false;
        };
        match self.events[g].author {
            ROOT => target == way,
            _ => self
                .grants(g)
                .any(|(of, _, scope)| scope == LIST && self.comes_from(of, way)),
        }
    }

    /// In which room an event is by a way: 0 own, 1 guests, 2 and more a member, 255 everyone.
    fn room(&self, e: usize, way: Way) -> Option<u8> {
        let author = self.events[e].author;
        let room = |(_, to, scope): (usize, Option<u8>, Where)| match to {
            _ if way == Some(author) => 0,
            _ if scope == LIST => 1,
            Some(_) => 2 + author,
            None => 255,
        };
        self.grants(e)
            .filter(|(g, ..)| self.comes_from(*g, way))
            .map(room)
            .min()
    }

    fn is_full(&self, way: Way, room: u8, most: &Room) -> bool {
        let is_data = |e: &usize| matches!(self.events[*e].act, Act::Data(..));
        let more = |room: u8, most: u32| {
            let all =
                (0..self.events.len()).filter(|e| !is_data(e) && self.events[*e].author != ROOT);
            all.filter(|e| self.room(*e, way) == Some(room)).count() > most as usize
        };
        let own = || more(0, most.own);
        let guests = || own() || more(1, most.guests);
        match room {
            0 => own(),
            1 => guests(),
            255 => guests() || more(255, most.everyone),
            _ => guests() || more(room, most.member),
        }
    }

    fn takes_part(&self, e: usize, level: u32, most: &Room) -> bool {
        if self.events[e].author == ROOT {
            return level < most.root;
        }
        let ways = (0..PEERS_MAX).map(Some).chain([None]);
        let mut rooms = ways
            .filter_map(|way| Some((way, self.room(e, way)?)))
            .peekable();
        let is_in = rooms.peek().is_some();
        let roots = |r: &usize| {
            let is_acl = !matches!(self.events[*r].act, Act::Data(..));
            self.events[*r].author == ROOT && is_acl
        };
        let seen = (e + 1..self.events.len())
            .filter(roots)
            .any(|r| self.past[r] & (1 << e) != 0);
        is_in && (seen || rooms.any(|(way, room)| !self.is_full(way, room, most)))
    }
}

const PEERS_MAX: u8 = 8;

/// What the rules say of a history.
pub(crate) fn judge(history: &History) -> Verdict {
    judge_within(history, &Room::default())
}

/// The same, with room for so much.
pub(crate) fn judge_within(history: &History, most: &Room) -> Verdict {
    let events = &history.events;
    let (mut past, mut level): (Vec<u64>, Vec<u32>) = Default::default();
    for event in events {
        let with = |dep: &usize| past[*dep] | 1 << dep;
        let above = |dep: &usize| level[*dep] + u32::from(events[*dep].author == ROOT);
        let (reached, height) = (
            event.deps.iter().map(with).fold(0, |a, b| a | b),
            event.deps.iter().map(above).max(),
        );
        past.push(reached);
        level.push(height.unwrap_or_default());
    }
    let (authorised, counts) = (HashMap::new(), HashMap::new());
    // Of its room root uses as much as it states, and nothing by what it writes.
    let mut stated: Vec<u32> = Vec::new();
    for event in events {
        let states = |dep: &usize| {
            let states = events[*dep].author == ROOT && !matches!(events[*dep].act, Act::Data(..));
            stated[*dep] + u32::from(states)
        };
        stated.push(event.deps.iter().map(states).max().unwrap_or_default());
    }
    let parts = Parts {
        events,
        past: &past,
    };
    let takes_part = (0..events.len())
        .map(|e| parts.takes_part(e, stated[e], most))
        .collect();
    let mut second = Second {
        events,
        past,
        level,
        takes_part,
        authorised,
        counts,
    };
    let mut verdict = Verdict::default();
    for (e, event) in events.iter().enumerate() {
        match event.act {
            Act::Data(entity, deletes) => {
                if second.is_applied(e, entity, deletes) {
                    verdict.applied.push(e);
                }
                continue;
            }
            Act::Grant(..) if second.counts(e) => verdict.counted.push(e),
            _ => {}
        }
        if second.is_authorised(e, FINAL) {
            verdict.authorised.push(e);
        }
    }
    for peer in 0..history.peers {
        let roles = (0..4)
            .filter(|role| second.has(peer, THREAD, *role))
            .map(|role| 1 << role)
            .sum();
        verdict
            .roles
            .insert(peer, (roles, second.has(peer, LIST, WRITE)));
    }
    verdict
}
