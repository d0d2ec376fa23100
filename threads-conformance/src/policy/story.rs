//! Stories: access records that know of some of those before, and changes between them.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use threads_core::access::{EntityTag, Genesis, History, Role, Scope, Statement, Subject};
use threads_core::block::{DAG_CBOR, cid_of};
use threads_core::codec::ActionKind;
use threads_core::policy::{AccessRecord, Candidate, Change};
use threads_core::record::Dep;
use threads_core::{Cid, Error, LogId, PeerId, Result, ThreadId};

/// How many peers there are; the first is root.
pub(super) const PEERS: usize = 4;
/// How many records of changes each has.
const RECORDS: u64 = 4;

/// A story.
#[derive(Clone)]
pub(super) struct Story {
    pub(super) thread: ThreadId,
    pub(super) told: Vec<Told>,
    pub(super) data: Vec<Datum>,
}

/// An access record.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) id: Cid,
    pub(super) author: PeerId,
    /// Those that it names, by their places in the story.
    pub(super) names: Vec<usize>,
    acl: Vec<Cid>,
    pub(super) statements: Vec<Statement>,
}

/// A record of a change.
#[derive(Clone)]
pub(super) struct Datum {
    pub(super) author: PeerId,
    pub(super) log: LogId,
    pub(super) seq: u64,
    /// The access records that it names, by their places in the story.
    pub(super) names: Vec<usize>,
    acl: Vec<Cid>,
    pub(super) changes: Vec<Change>,
}

/// What was stated; a law that is about a change shows it.
impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stated = self.told.iter().enumerate();
        stated
            .into_iter()
            .try_for_each(|(place, told)| write!(f, "\n    {place}: {told:?}"))
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, who knows of {:?}, states",
            Peer(&self.author),
            self.names
        )?;
        self.statements
            .iter()
            .try_for_each(|statement| match statement {
                Statement::Genesis(_) => write!(f, " the genesis"),
                Statement::Grant { to, scope, role } => {
                    write!(f, " a grant of {role} in {scope} to {}", Whom(to))
                }
                Statement::Revoke {
                    from,
                    scope,
                    role,
                    seen,
                } => {
                    write!(
                        f,
                        " a removal of {role} in {scope} from {}{}",
                        Whom(from),
                        Seen(seen)
                    )
                }
                Statement::Restrict { entity, seen } => {
                    write!(f, " a restriction of {entity}{}", Seen(seen))
                }
                Statement::Leave { seen } => write!(f, " its leaving{}", Seen(seen)),
                Statement::Purge { .. } => write!(f, " a purge"),
                other => write!(f, " {other:?}"),
            })
    }
}

impl fmt::Debug for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (author, seq) = (Peer(&self.author), self.seq);
        write!(
            f,
            "change {seq} of {author}, who knows of {:?}:",
            self.names
        )?;
        let mut changes = self.changes.iter();
        changes.try_for_each(|one| write!(f, " {:?} {}", one.action, one.entity))
    }
}

/// A peer by its number.
struct Peer<'a>(&'a PeerId);

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = (0..PEERS).find(|number| peer(*number) == *self.0);
        match number {
            Some(number) => write!(f, "peer {number}"),
            None => self.0.fmt(f),
        }
    }
}

struct Whom<'a>(&'a Subject);

impl fmt::Display for Whom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Subject::Peer(peer) => Peer(peer).fmt(f),
            Subject::Everybody => f.write_str("everybody"),
        }
    }
}

/// What had been seen: so many records of each peer.
struct Seen<'a>(&'a [Dep]);

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(", having seen")?;
        for number in 0..PEERS {
            if let Some(dep) = self.0.iter().find(|dep| dep.log == log(number)) {
                write!(f, " {} of peer {number}", dep.seq)?;
            }
        }
        f.write_str(if self.0.is_empty() { " nothing" } else { "" })
    }
}

/// What a strategy chooses of one access record.
type Choice = (usize, usize, u8, u8, u64, u64);

pub(super) fn stories() -> impl Strategy<Value = Story> {
    // Half of what is said root says.
    let author = prop_oneof![Just(0), 0..PEERS];
    let choice = (
        author,
        0..PEERS,
        any::<u8>(),
        any::<u8>(),
        any::<u64>(),
        0..=RECORDS,
    );
    let changes = vec((any::<u64>(), any::<u8>()), PEERS * RECORDS as usize);
    (vec(choice, 1..8), changes).prop_filter_map("formats have no error", |(told, changes)| {
        story(&told, &changes).ok()
    })
}

pub(super) fn peer(number: usize) -> PeerId {
    PeerId::from_key_bytes([number as u8 + 1; 32])
}

fn log(number: usize) -> LogId {
    LogId::from_key_bytes([number as u8 + 101; 32])
}

/// The record of a peer at a place, as others name it.
fn dep(number: usize, seq: u64) -> Dep {
    Dep {
        log: log(number),
        seq,
        cid: cid_of(DAG_CBOR, &[number as u8, seq as u8]),
    }
}

fn entity(number: u8) -> Result<Change> {
    Ok(Change {
        collection: "Note".parse()?,
        entity: format!("n{}", number % 3).parse()?,
        action: match number / 64 {
            0 => ActionKind::Delete,
            1 => ActionKind::Create,
            _ => ActionKind::Save,
        },
    })
}

fn story(choices: &[Choice], changes: &[(u64, u8)]) -> Result<Story> {
    // Chance of no use: one thread for all stories.
    let genesis = Genesis::new(peer(0), History::All, &mut Fixed);
    let thread = genesis.thread_id()?;
    let mut story = Story {
        thread: thread.clone(),
        told: Vec::new(),
        data: Vec::new(),
    };
    story.tell(0, &[], vec![Statement::Genesis(genesis)]);
    for choice in choices {
        let (author, _, _, _, names, _) = *choice;
        let names = story.chosen(names);
        let statement = statement(&thread, choice)?;
        story.tell(author, &names, vec![statement]);
    }
    let mut changes = changes.iter();
    for number in 0..PEERS {
        for seq in 1..=RECORDS {
            let (names, change) = changes.next().ok_or_else(|| Error::invalid("too few"))?;
            let names = story.chosen(*names);
            story.data.push(Datum {
                author: peer(number),
                log: log(number),
                seq,
                acl: story.ids(&names),
                names,
                changes: vec![entity(*change)?],
            });
        }
    }
    Ok(story)
}

fn statement(thread: &ThreadId, choice: &Choice) -> Result<Statement> {
    let (author, target, kind, place, _, seen) = *choice;
    let role = Role::ALL[usize::from(place) % 4];
    let Change {
        collection,
        entity: id,
        ..
    } = entity(place)?;
    let tag = EntityTag::of(thread, &collection, &id);
    let (scope, role) = match place / 64 {
        0 => (Scope::Acl, Role::Write),
        1 => (Scope::Entity(tag), role),
        _ => (Scope::Thread, role),
    };
    let subject = match place % 16 {
        0 => Subject::Everybody,
        _ => Subject::Peer(peer(target)),
    };
    let upto = |number| (seen > 0).then(|| dep(number, seen));
    Ok(match kind % 9 {
        0..=3 => Statement::Grant {
            to: subject,
            scope,
            role,
        },
        4 | 5 => Statement::Revoke {
            from: subject,
            scope,
            role,
            seen: match subject {
                Subject::Peer(_) => upto(target).into_iter().collect(),
                Subject::Everybody => (0..PEERS).filter_map(upto).collect(),
            },
        },
        6 => Statement::Restrict {
            entity: tag,
            seen: (0..PEERS).filter_map(upto).collect(),
        },
        7 => Statement::Purge {
            records: vec![dep(target, seen.max(1))],
        },
        _ if author == 0 => Statement::Checkpoint,
        _ => Statement::Leave {
            seen: upto(author).into_iter().collect(),
        },
    })
}

impl Story {
    fn tell(&mut self, author: usize, names: &[usize], statements: Vec<Statement>) {
        let place = self.told.len();
        self.told.push(Told {
            id: cid_of(DAG_CBOR, &[255, place as u8]),
            author: peer(author),
            acl: self.ids(names),
            names: names.to_vec(),
            statements,
        });
    }

    /// One or two of the access records so far, as bits choose them, so that many know nothing of each
    /// other.
    fn chosen(&self, bits: u64) -> Vec<usize> {
        let pick = |bits: u64| bits as usize % self.told.len();
        let mut chosen = vec![pick(bits), pick(bits >> 16)];
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn ids(&self, names: &[usize]) -> Vec<Cid> {
        let mut ids: Vec<_> = names.iter().map(|name| self.told[*name].id).collect();
        ids.sort();
        ids
    }

    /// Another order in which every record comes after those that it names.
    pub(super) fn order(&self, seed: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.told.len()).collect();
        let mut order: Vec<usize> = Vec::new();
        // Ends: the first one that is left names none that are left.
        while !left.is_empty() {
            let ready: Vec<usize> = (0..left.len())
                .filter(|at| {
                    let mut names = self.told[left[*at]].names.iter();
                    names.all(|name| order.contains(name))
                })
                .collect();
            let at = ready[(seed * 31 + order.len() * 7) % ready.len()];
            order.push(left.remove(at));
        }
        order
    }
}

impl Told {
    pub(super) fn record<'a>(&'a self, thread: &'a ThreadId) -> AccessRecord<'a> {
        AccessRecord {
            thread,
            author: self.author,
            id: self.id,
            acl: &self.acl,
            statements: &self.statements,
        }
    }
}

impl Datum {
    pub(super) fn is_within(&self, dep: &Dep) -> bool {
        dep.log == self.log && self.seq <= dep.seq
    }

    pub(super) fn candidate<'a>(
        &'a self,
        thread: &'a ThreadId,
        within: &'a dyn Fn(&Dep) -> Result<bool>,
    ) -> Candidate<'a> {
        Candidate {
            thread,
            author: self.author,
            log: self.log,
            seq: self.seq,
            deps: &[],
            acl: &self.acl,
            changes: Some(&self.changes),
            within,
        }
    }
}

/// A source of randomness that always gives the same.
struct Fixed;

impl threads_core::rand_core::TryRng for Fixed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(7)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(7)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(7);
        Ok(())
    }
}

impl threads_core::rand_core::TryCryptoRng for Fixed {}
