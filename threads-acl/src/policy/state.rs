//! The rules of one thread in memory: the evaluator, and the names of what it numbers.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use threads_core::access::{EntityTag, Genesis, Role, Scope, Stated, Statement, Subject};
use threads_core::codec::ActionKind;
use threads_core::policy::{AccessRecord, Again, Learned};
use threads_core::record::Dep;
use threads_core::reducer::{ReadView, View};
use threads_core::{Cid, ErrorKind, PeerId, Result, ThreadId};

use super::cards::Cards;
use super::rows::{self, Row};
use super::{named, words};
use crate::{
    AclEvent, AclId, AclKind, Changes, Data, Entity, Evaluator, Judgement, Peer, Refusal, Who,
};

mod rules;

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

#[derive(Debug)]
pub(super) struct State {
    thread: ThreadId,
    genesis: Option<Genesis>,
    evaluator: Evaluator,
    peers: Names<PeerId>,
    entities: Names<EntityTag>,
    /// The last event of each record.
    records: HashMap<Cid, AclId>,
    /// What came before the beginning of the thread: taken in when that is known.
    early: Vec<Row>,
    seen: HashMap<AclId, Vec<Dep>>,
    cards: Cards,
    said: Vec<Said>,
    /// Removals of admins by others than root, that none of root's checkpoints has in its past.
    unsealed: BTreeSet<AclId>,
}

/// The number of root, which is named first; until the genesis comes, of nobody.
const ROOT: Peer = Peer(0);

impl State {
    fn new(thread: &ThreadId) -> Self {
        Self {
            thread: thread.clone(),
            genesis: None,
            evaluator: Evaluator::new(ROOT),
            peers: Names::new(),
            entities: Names::new(),
            records: HashMap::new(),
            early: Vec::new(),
            seen: HashMap::new(),
            cards: Cards::default(),
            said: Vec::new(),
            unsealed: BTreeSet::new(),
        }
    }

    pub(super) fn load(thread: &ThreadId, view: &ReadView<'_>) -> Result<Self> {
        Self::from_rows(thread, rows::records(view)?)
    }

    pub(super) fn load_from(thread: &ThreadId, view: &View<'_>) -> Result<Self> {
        Self::from_rows(thread, rows::records_of(view)?)
    }

    fn from_rows(thread: &ThreadId, rows: Vec<Row>) -> Result<Self> {
        let mut state = Self::new(thread);
        for row in rows {
            state.learn(&row.record_of(thread))?;
        }
        Ok(state)
    }

    pub(super) fn knows(&self, record: &Cid) -> bool {
        self.records.contains_key(record) || self.early.iter().any(|row| row.record == *record)
    }

    pub(super) fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    pub(super) fn last_of(&self, record: &Cid) -> Option<AclId> {
        self.records.get(record).copied()
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

    /// Takes in an access record. What comes before the beginning of the thread waits for that, so that the
    /// order in which they came makes no difference.
    pub(super) fn learn(&mut self, record: &AccessRecord<'_>) -> Result<Learned> {
        let mut statements = record.statements.iter();
        if self.genesis.is_some() {
            return self.take(record);
        }
        if !statements.any(|statement| self.begins(record, statement)) {
            self.early.push(Row::of(record));
            return Ok(Learned {
                void: Some("it names no beginning of the thread".into()),
                passing: true,
                ..Learned::default()
            });
        }
        let mut learned = self.take(record)?;
        for row in std::mem::take(&mut self.early) {
            self.take(&row.record_of(&self.thread.clone()))?;
        }
        // All that was judged so far was judged without rules.
        learned.again = vec![Again::default()];
        Ok(learned)
    }

    /// Whether a statement is the beginning of this thread.
    fn begins(&self, record: &AccessRecord<'_>, statement: &Statement) -> bool {
        match statement {
            Statement::Genesis(genesis) => {
                genesis.root() == record.author && genesis.is_of(&self.thread)
            }
            _ => false,
        }
    }

    fn take(&mut self, record: &AccessRecord<'_>) -> Result<Learned> {
        let mut learned = Learned {
            passing: true,
            ..Learned::default()
        };
        if self.genesis.is_none() {
            // Root is the first to have a number.
            self.peers.number(record.author);
        }
        let mut parents: Vec<_> = record
            .acl
            .iter()
            .filter_map(|known| self.last_of(known))
            .collect();
        for statement in record.statements {
            let event = self.state(record, statement, &parents, &mut learned)?;
            if let Ok(Some(id)) = &event {
                // What one record says is said in its order.
                parents = vec![*id];
            }
            self.said.push(Said {
                record: record.id,
                author: record.author,
                statement: statement.clone(),
                event,
            });
        }
        let last = match parents[..] {
            [last] if self.is_of(last, record) => Some(last),
            // It said nothing that counts for anybody: it stands for what it names.
            _ => self.mark(record, parents)?,
        };
        if let Some(last) = last {
            self.records.insert(record.id, last);
        }
        let own = self.said.iter().rev().take(record.statements.len());
        learned.void = own.rev().find_map(|said| self.void(said)).map(Cow::Owned);
        Ok(learned)
    }

    /// Whether an event is one of this record.
    fn is_of(&self, id: AclId, record: &AccessRecord<'_>) -> bool {
        let own = self.said.iter().rev().take(record.statements.len());
        own.into_iter()
            .any(|said| matches!(&said.event, Ok(Some(own)) if *own == id))
    }

    /// An event without effect, by which others can name a record.
    fn mark(&mut self, record: &AccessRecord<'_>, parents: Vec<AclId>) -> Result<Option<AclId>> {
        let author = Peer(self.peers.number(record.author));
        let kind = AclKind::Genesis;
        let event = AclEvent {
            author,
            parents,
            kind,
        };
        match self.evaluator.insert(event) {
            Ok((id, _)) => Ok(Some(id)),
            Err(error) if error.kind() == ErrorKind::Full => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes in one statement. Gives its number, or why it has none.
    fn state(
        &mut self,
        record: &AccessRecord<'_>,
        statement: &Statement,
        parents: &[AclId],
        learned: &mut Learned,
    ) -> Result<Result<Option<AclId>, Cow<'static, str>>> {
        if let Statement::Genesis(genesis) = statement {
            if !self.begins(record, statement) {
                return Ok(Err("it is the beginning of another thread".into()));
            }
            self.genesis.get_or_insert_with(|| genesis.clone());
        }
        if let Statement::Card(card) = statement
            && card.peer() != record.author
        {
            self.cards.state(card);
            return Ok(Ok(None));
        }
        let Some(kind) = self.kind(statement) else {
            return Ok(Err("this version does not know what it says".into()));
        };
        let author = Peer(self.peers.number(record.author));
        let event = AclEvent {
            author,
            parents: parents.to_vec(),
            kind,
        };
        // Who has nothing to leave says nothing to anybody by leaving; nor who is nobody, by a card.
        let own_card = matches!(statement, Statement::Card(_));
        let says_nothing = (kind == AclKind::Leave || own_card) && !self.has_any_role(author);
        let (id, changes) = match self.evaluator.insert(event) {
            Ok(inserted) => inserted,
            // Of more than there may be, and of what has no meaning, nobody can make errors for others.
            Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Full) => {
                return Ok(Err(error.to_string().into()));
            }
            Err(error) => return Err(error),
        };
        learned.passing &= match statement {
            // Who takes the role to delete from its author later has seen it by that.
            Statement::Purge { .. } => self.judge_purge(id).is_err(),
            _ => says_nothing || !(own_card || self.evaluator.is_authorised(id)),
        };
        if let Statement::Card(card) = statement {
            self.cards.state_own(&self.evaluator, id, card);
        }
        if !statement.seen().is_empty() {
            self.seen.insert(id, statement.seen().to_vec());
        }
        self.note_unsealed(id);
        self.touched(id, &changes, learned);
        Ok(Ok(Some(id)))
    }

    /// What a statement is to the evaluator.
    fn kind(&mut self, statement: &Statement) -> Option<AclKind> {
        Some(match statement {
            Statement::Genesis(_) => AclKind::Genesis,
            Statement::Grant { to, scope, role } => AclKind::Grant {
                target: self.who(to),
                scope: self.scope(scope),
                role: *role,
            },
            Statement::Revoke {
                from, scope, role, ..
            } => AclKind::Revoke {
                target: self.who(from),
                scope: self.scope(scope),
                role: *role,
            },
            Statement::Restrict { entity, .. } => {
                AclKind::Restrict(Entity(self.entities.number(*entity)))
            }
            Statement::Checkpoint => AclKind::Checkpoint,
            Statement::Leave { .. } => AclKind::Leave,
            // An event without effect, so that others of the peer can be told to come after it.
            Statement::Card(_) => AclKind::Genesis,
            // Of effect by what it brings; whether its author may is what an event says.
            Statement::Rekey(_) => AclKind::Checkpoint,
            // It changes no rule: what stands for it is judged like a delete.
            Statement::Purge { .. } => AclKind::Genesis,
            _ => return None,
        })
    }

    fn has_any_role(&self, peer: Peer) -> bool {
        let has = |scope| !self.evaluator.roles(peer, scope).is_empty();
        has(crate::Scope::Thread) || has(crate::Scope::Acl)
    }

    fn who(&mut self, subject: &Subject) -> Who {
        named(subject).map_or(Who::Everyone, |peer| {
            Who::Peer(Peer(self.peers.number(*peer)))
        })
    }

    fn scope(&mut self, scope: &Scope) -> crate::Scope {
        match scope {
            Scope::Thread => crate::Scope::Thread,
            Scope::Acl => crate::Scope::Acl,
            Scope::Entity(tag) => crate::Scope::Entity(Entity(self.entities.number(*tag))),
        }
    }

    /// Root says again what it knows when others removed an admin, unless it has.
    fn note_unsealed(&mut self, id: AclId) {
        let Some((author, kind)) = self.evaluator.event(id) else {
            return;
        };
        if author == ROOT && kind == AclKind::Checkpoint {
            let evaluator = &self.evaluator;
            self.unsealed
                .retain(|removal| !evaluator.reaches(id, *removal));
        } else if author != ROOT
            && matches!(
                kind,
                AclKind::Revoke {
                    scope: crate::Scope::Acl,
                    ..
                }
            )
        {
            self.unsealed.insert(id);
        }
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

    pub(super) fn statements(&self) -> Vec<Stated> {
        let stated = self.said.iter().map(|said| Stated {
            record: said.record,
            author: said.author,
            statement: said.statement.clone(),
            void: self.void(said),
        });
        stated.collect()
    }

    /// Why a statement does not count, if it does not.
    fn void(&self, said: &Said) -> Option<String> {
        match &said.event {
            Err(why) => Some(why.to_string()),
            Ok(None) => None,
            Ok(Some(id)) if matches!(said.statement, Statement::Rekey(_)) => {
                let refused = || "its author may not change the rules".to_owned();
                (!self.evaluator.is_authorised(*id)).then(refused)
            }
            Ok(Some(id)) if matches!(said.statement, Statement::Purge { .. }) => {
                let refused = self.judge_purge(*id).err()?;
                Some(words::refusal(self, &refused))
            }
            Ok(Some(id)) => match self.evaluator.event(*id)?.1 {
                AclKind::Genesis | AclKind::Checkpoint => None,
                _ if self.evaluator.counts(*id) => None,
                _ => match self.evaluator.explain(*id) {
                    Ok(_) => Some("it does not count".to_owned()),
                    Err(refusal) => Some(words::refusal(self, &refusal)),
                },
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

    /// Who stated an event, and in which record.
    pub(super) fn source(&self, id: AclId) -> Option<(PeerId, Cid)> {
        let mut said = self.said.iter();
        let said = said.find(|said| matches!(&said.event, Ok(Some(own)) if *own == id))?;
        Some((said.author, said.record))
    }
}
