//! The rules of one thread in memory: the evaluator, and the names of what it numbers.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use threads_core::access::{EntityTag, Genesis, Role, Scope, Stated, Statement};
use threads_core::codec::ActionKind;
use threads_core::datastore::Direction;
use threads_core::policy::{Again, Learned};
use threads_core::record::Dep;
use threads_core::reducer::{ReadView, View};
use threads_core::{Cid, PeerId, Result, ThreadId};

use super::cards::Cards;
use super::rows::{self, Row};
use crate::{
    AclId, AclKind, Cause, Changes, Data, Entity, Evaluator, Judgement, LeftOut, Peer, Refusal,
    Room, Who,
};

mod known;
mod rules;
mod taking;

use known::Known;

/// Numbers for names.
#[derive(Debug)]
struct Names<T> {
    numbers: HashMap<T, u32>,
    names: Vec<T>,
}

impl<T: Copy + Eq + std::hash::Hash> Names<T> {
    fn new() -> Self {
        Self {
            numbers: HashMap::new(),
            names: Vec::new(),
        }
    }

    fn number(&mut self, name: T) -> u32 {
        // Names come with events, of which there are far fewer than numbers.
        let next = self.names.len() as u32;
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            next
        })
    }

    /// The number of a name; of one that no event has, a number that none has.
    fn find(&self, name: &T) -> u32 {
        self.numbers.get(name).copied().unwrap_or(u32::MAX)
    }

    fn name(&self, number: u32) -> Option<T> {
        self.names.get(number as usize).copied()
    }
}

/// A statement that the evaluator does not take, and whose it is; or one that it numbered.
#[derive(Debug)]
struct Said {
    record: Cid,
    author: PeerId,
    statement: Statement,
    /// The number of it, or why it has none.
    event: Result<Option<AclId>, Cow<'static, str>>,
}

/// Why a statement does not count.
#[derive(Debug)]
pub(super) enum Void {
    /// It takes no part (R15).
    LeftOut(LeftOut),
    /// Its author had not the role that was needed.
    Refused(Refusal),
    /// For another reason, which is in words.
    Because(Cow<'static, str>),
}

impl Void {
    fn because(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Because(why.into())
    }
}

#[derive(Debug)]
pub(super) struct State {
    thread: ThreadId,
    genesis: Option<Genesis>,
    evaluator: Evaluator,
    peers: Names<PeerId>,
    entities: Names<EntityTag>,
    known: Known,
    /// What came before the beginning of the thread: taken in when that is known.
    early: Vec<Row>,
    seen: HashMap<AclId, Vec<Dep>>,
    cards: Cards,
    said: Vec<Said>,
    /// Removals of admins by others than root, that none of root's checkpoints has in its past.
    unsealed: BTreeSet<AclId>,
    /// Whether anybody stated a purge.
    purging: bool,
}

/// The number of root, which is named first; until the genesis comes, of nobody.
const ROOT: Peer = Peer(0);

impl State {
    fn new(thread: &ThreadId, room: Room) -> Self {
        Self {
            thread: thread.clone(),
            genesis: None,
            evaluator: Evaluator::with_room(ROOT, room),
            peers: Names::new(),
            entities: Names::new(),
            known: Known::default(),
            early: Vec::new(),
            seen: HashMap::new(),
            cards: Cards::default(),
            said: Vec::new(),
            unsealed: BTreeSet::new(),
            purging: false,
        }
    }

    /// That of the rows of a view.
    pub(super) fn load(thread: &ThreadId, room: Room, view: &ReadView<'_>) -> Result<Self> {
        Self::from_rows(thread, room, |direction| rows::records(view, direction))
    }

    /// The same, of one that can be written.
    pub(super) fn load_from(thread: &ThreadId, room: Room, view: &View<'_>) -> Result<Self> {
        Self::from_rows(thread, room, |direction| rows::records_of(view, direction))
    }

    fn from_rows<R: Iterator<Item = Result<Row>>>(
        thread: &ThreadId,
        room: Room,
        rows: impl Fn(Direction) -> Result<R>,
    ) -> Result<Self> {
        let mut state = Self::new(thread, room);
        for row in rows(Direction::Forward)? {
            state.learn(&row?.record_of(thread))?;
        }
        let (true, Some(genesis)) = (state.is_outdated(), &state.genesis) else {
            return Ok(state);
        };
        let seen = known::seen_by(&genesis.root(), rows(Direction::Reverse)?)?;
        let mut state = Self::new(thread, room);
        state.known.seen_by_root(seen);
        for row in rows(Direction::Forward)? {
            state.learn(&row?.record_of(thread))?;
        }
        state.known.is_whole();
        Ok(state)
    }

    /// Whether root has seen what was left out for want of room: it is to be loaded anew.
    pub(super) fn is_outdated(&self) -> bool {
        self.known.is_outdated()
    }

    pub(super) fn knows(&self, record: &Cid) -> bool {
        self.known.has(record) || self.early.iter().any(|row| row.record == *record)
    }

    pub(super) fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// The last events that a record says or, if it takes no part, knows of.
    pub(super) fn last_of(&self, record: &Cid) -> &[AclId] {
        self.known.last_of(record)
    }

    pub(super) fn peer(&self, peer: &PeerId) -> Peer {
        Peer(self.peers.find(peer))
    }

    pub(super) fn peer_name(&self, peer: Peer) -> Option<PeerId> {
        self.peers.name(peer.0)
    }

    pub(super) fn entity(&self, tag: &EntityTag) -> Entity {
        Entity(self.entities.find(tag))
    }

    /// An entity that no rule names.
    pub(super) fn unnamed(&self) -> Entity {
        Entity(u32::MAX)
    }

    /// What the author of a removal or restriction had seen.
    pub(super) fn seen(&self, id: AclId) -> &[Dep] {
        self.seen.get(&id).map(Vec::as_slice).unwrap_or_default()
    }

    /// What the changes of the evaluator mean for records.
    fn touched(&self, new: AclId, changes: &Changes, learned: &mut Learned) {
        for touched in &changes.data {
            let author = match touched.author {
                Who::Everyone => None,
                Who::Peer(peer) => match self.peer_name(peer) {
                    Some(peer) => Some(peer),
                    None => continue,
                },
            };
            let entity = match touched.scope {
                crate::Scope::Entity(entity) => self.entities.name(entity.0),
                _ => None,
            };
            let beyond = touched.beyond.map(|id| self.seen(id).to_vec());
            let within = self.covered_by(&self.evaluator.narrower(new, changes, touched));
            let again = Again {
                author,
                entity,
                beyond: beyond.unwrap_or_default(),
                within,
            };
            let is_empty = again
                .within
                .as_ref()
                .is_some_and(|within| within.iter().all(|dep| again.beyond.contains(dep)));
            if !is_empty && !learned.again.contains(&again) {
                learned.again.push(again);
            }
        }
        let may_purge = changes.turned || !changes.data.is_empty();
        if self.purging && may_purge && learned.again.is_empty() {
            // Which purges count is asked again when anything is; of other records there is none to judge.
            learned.again.push(Again {
                within: Some(Vec::new()),
                ..Again::default()
            });
        }
    }

    /// What the one of these covers that covers least, as far as numbers say.
    fn covered_by(&self, earlier: &[AclId]) -> Option<Vec<Dep>> {
        let covered = earlier.iter().map(|id| self.seen(*id));
        let records = |seen: &&[Dep]| {
            let seqs = seen.iter().map(|dep| u128::from(dep.seq));
            seqs.sum::<u128>()
        };
        covered.min_by_key(records).map(<[Dep]>::to_vec)
    }

    /// What a peer may do; `None` while the beginning of the thread is not known.
    pub(super) fn roles(&self, peer: &PeerId, scope: &Scope) -> Option<Vec<Role>> {
        self.genesis.as_ref()?;
        let scope = match scope {
            Scope::Thread => crate::Scope::Thread,
            Scope::Acl => crate::Scope::Acl,
            Scope::Entity(tag) => crate::Scope::Entity(self.entity(tag)),
        };
        let given = self.evaluator.roles(self.peer(peer), scope);
        // Of the rules themselves there is one role, which implies no other.
        let has = |role: &Role| match scope {
            crate::Scope::Acl => given.contains(*role),
            _ => given.may(*role),
        };
        Some(Role::ALL.into_iter().filter(has).collect())
    }

    /// Everything that was stated, in the order in which it came; `told` puts in words why something does not
    /// count. Of what takes no part, only the rows know.
    pub(super) fn statements(
        &self,
        view: &ReadView<'_>,
        told: &dyn Fn(&Void) -> String,
    ) -> Result<Vec<Stated>> {
        let stated = |said: &Said| Stated {
            record: said.record,
            author: said.author,
            statement: said.statement.clone(),
            void: self.void(said).as_ref().map(told),
        };
        if !self.known.leaves_out_any() {
            return Ok(self.said.iter().map(stated).collect());
        }
        let mut of: HashMap<Cid, Vec<Stated>> = HashMap::new();
        for said in &self.said {
            of.entry(said.record).or_default().push(stated(said));
        }
        let mut all = Vec::new();
        for row in rows::records(view, Direction::Forward)? {
            let row = row?;
            let Some(why) = self.known.why_left_out(&row.record) else {
                all.extend(of.remove(&row.record).into_iter().flatten());
                continue;
            };
            all.extend(row.statements.into_iter().map(|statement| Stated {
                record: row.record,
                author: row.author,
                statement,
                void: Some(told(&Void::LeftOut(why))),
            }));
        }
        Ok(all)
    }

    /// Why a statement does not count, if it does not.
    fn void(&self, said: &Said) -> Option<Void> {
        let id = match &said.event {
            Err(why) => return Some(Void::because(why.clone())),
            Ok(id) => (*id)?,
        };
        if let Some(why) = self.left_out(id) {
            return Some(Void::LeftOut(why));
        }
        match said.statement {
            Statement::Rekey(_) if self.evaluator.is_authorised(id) => None,
            Statement::Rekey(_) => Some(Void::because("its author may not change the rules")),
            Statement::Purge { .. } => self.judge_purge(id).err().map(Void::Refused),
            _ => match self.evaluator.event(id)?.1 {
                AclKind::Genesis | AclKind::Checkpoint => None,
                _ if self.evaluator.counts(id) => None,
                _ => Some(match self.evaluator.explain(id) {
                    Ok(_) => Void::because("it does not count"),
                    Err(refusal) => Void::Refused(refusal),
                }),
            },
        }
    }

    /// Whether the author of a purge may delete (R8), of an entity that no rule names: which ones it is about
    /// those see who can read them. Who took the role had seen the purge exactly when the access records that
    /// it knew reach it.
    fn judge_purge(&self, id: AclId) -> Result<(), Refusal> {
        let Some((author, _)) = self.evaluator.event(id) else {
            return Ok(());
        };
        if self.left_out(id).is_some() {
            return Err(Refusal::of(
                crate::Scope::Thread,
                Role::Delete,
                Cause::NoPart,
            ));
        }
        let data = Data {
            author,
            past: &[id],
            entity: self.unnamed(),
            action: ActionKind::Delete,
        };
        let covered = |removal| self.evaluator.reaches(removal, id);
        match self.evaluator.judge(&data, &covered) {
            Judgement::Applied(_) => Ok(()),
            Judgement::Refused(refusal) => Err(refusal),
        }
    }

    fn left_out(&self, id: AclId) -> Option<LeftOut> {
        self.evaluator.why_left_out(id)
    }

    /// Who stated an event, and in which record.
    pub(super) fn source(&self, id: AclId) -> Option<(PeerId, Cid)> {
        let mut said = self.said.iter();
        let said = said.find(|said| matches!(&said.event, Ok(Some(own)) if *own == id))?;
        Some((said.author, said.record))
    }
}
