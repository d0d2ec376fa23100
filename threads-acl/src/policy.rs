//! The policy: what the rules say of the records of a thread.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use threads_core::access::{EntityTag, Role, Rules, Scope, Stated, Subject};
use threads_core::codec::ActionKind;
use threads_core::datastore::ReadTxn;
use threads_core::policy::{
    AccessPolicy, AccessRecord, Again, Candidate, Change, Learned, Verdict, policy_prefix,
};
use threads_core::record::Dep;
use threads_core::reducer::{ReadView, View};
use threads_core::{Cid, PeerId, Result, ThreadId, Variant};

use crate::{AclId, Data, Entity, Judgement, Peer, Refusal, Room, Standing};

mod cards;
mod rows;
mod state;
mod words;

use rows::Stamp;
use state::State;

/// How many threads' rules are kept at hand.
const STATES_MAX: usize = 64;
/// The reserved collections that every writer may write: they note who adopted what, what was taken back, and who
/// signed for which state.
const NOTES: [&str; 3] = ["$adopted", "$undone", "$snapshots"];

/// The access policy of rules R0 to R14, for access-controlled threads; in raw threads everybody with the
/// keys may write.
///
/// What it learned rests in the thread's own view. In memory it keeps the rules of the threads that were
/// asked about last, each with the stamp of the rows it was made from, so that a transaction which was given
/// up spoils nothing.
///
/// ```
/// use threads_acl::Acl;
/// use threads_core::policy::AccessPolicy;
/// let policy: Box<dyn AccessPolicy> = Box::new(Acl::new());
/// ```
#[derive(Default)]
pub struct Acl {
    /// The latest last.
    states: Mutex<States>,
    room: Room,
}

impl fmt::Debug for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acl").finish_non_exhaustive()
    }
}

impl Acl {
    /// The policy.
    ///
    /// ```
    /// let policy = threads_acl::Acl::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with room for more access events, or for fewer, than the rules say (R15): to try things out,
    /// as nodes that differ in it do not agree.
    ///
    /// ```
    /// use threads_acl::{Acl, Room};
    /// let policy = Acl::with_room(Room { own: 10, ..Room::default() });
    /// ```
    pub fn with_room(room: Room) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    fn states(&self) -> MutexGuard<'_, States> {
        // A state is taken out before it is changed, so a panic elsewhere left whole ones.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the state of a thread out of what is kept, as of a stamp, to change it.
    fn take(&self, thread: &ThreadId, stamp: &Stamp) -> Option<State> {
        let mut states = self.states();
        let at = position(&states, thread, stamp)?;
        Some(states.remove(at).2)
    }

    fn put(&self, thread: &ThreadId, stamp: Stamp, state: State) {
        push(&mut self.states(), thread, stamp, state);
    }

    /// Looks at the rules of a thread, as a transaction sees them.
    fn look<R>(
        &self,
        thread: &ThreadId,
        txn: &dyn ReadTxn,
        look: impl FnOnce(&State) -> Result<R>,
    ) -> Result<R> {
        let prefix = policy_prefix(thread);
        let view = ReadView::new(txn, &prefix)?;
        let stamp = rows::stamp(&view)?;
        // Held while somebody looks, but not while a state is made again: that takes longer, and others ask
        // of other threads.
        let mut states = self.states();
        let at = match position(&states, thread, &stamp) {
            Some(at) => at,
            None => {
                drop(states);
                let state = State::load(thread, self.room, &view)?;
                states = self.states();
                let made = position(&states, thread, &stamp);
                made.unwrap_or_else(|| push(&mut states, thread, stamp, state))
            }
        };
        look(&states[at].2)
    }
}

type States = Vec<(ThreadId, Stamp, State)>;

fn position(states: &States, thread: &ThreadId, stamp: &Stamp) -> Option<usize> {
    let mut states = states.iter();
    states.position(|(id, of, _)| id == thread && of == stamp)
}

/// Keeps a state, in place of the oldest if there are as many as may be; gives where it is.
fn push(states: &mut States, thread: &ThreadId, stamp: Stamp, state: State) -> usize {
    if states.len() >= STATES_MAX {
        states.remove(0);
    }
    states.push((thread.clone(), stamp, state));
    states.len() - 1
}

/// Whether a thread has rules at all.
fn is_ruled(thread: &ThreadId) -> bool {
    thread.variant() == Variant::AccessControlled
}

impl AccessPolicy for Acl {
    fn judge(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Verdict> {
        if !is_ruled(candidate.thread) {
            return Ok(Verdict::Accept);
        }
        self.look(candidate.thread, txn, |state| {
            match Case::new(state, candidate).judge()? {
                Ok(_) => Ok(Verdict::Accept),
                Err(refusal) => Ok(Verdict::Quarantine(words::refusal(state, &refusal).into())),
            }
        })
    }

    fn learn(&self, record: &AccessRecord<'_>, view: &mut View<'_>) -> Result<Learned> {
        if !is_ruled(record.thread) {
            return Ok(Learned::default());
        }
        let before = rows::stamp_of(view)?;
        let state = self.take(record.thread, &before);
        let mut state = match state {
            Some(state) => state,
            None => State::load_from(record.thread, self.room, view)?,
        };
        if state.knows(&record.id) {
            self.put(record.thread, before, state);
            // Who had to name it was told so when it came.
            return Ok(Learned {
                passing: true,
                ..Learned::default()
            });
        }
        let (mut learned, void) = state.learn(record)?;
        learned.void = void.map(|void| words::void(&state, &void));
        let stamp = rows::append(view, &before, record)?;
        if state.is_outdated() {
            state = State::load_from(record.thread, self.room, view)?;
            learned.again = vec![Again::default()];
        }
        self.put(record.thread, stamp, state);
        Ok(learned)
    }

    fn roles(
        &self,
        thread: &ThreadId,
        peer: &PeerId,
        scope: &Scope,
        txn: &dyn ReadTxn,
    ) -> Result<Option<Vec<Role>>> {
        if !is_ruled(thread) {
            return Ok(None);
        }
        self.look(thread, txn, |state| Ok(state.roles(peer, scope)))
    }

    fn rules(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Option<Rules>> {
        if !is_ruled(thread) {
            return Ok(None);
        }
        self.look(thread, txn, |state| Ok(state.rules()))
    }

    fn removal(&self, thread: &ThreadId, peer: &PeerId, txn: &dyn ReadTxn) -> Result<Option<Cid>> {
        if !is_ruled(thread) {
            return Ok(None);
        }
        self.look(thread, txn, |state| {
            let removal = state.evaluator().removal_of(state.peer(peer));
            Ok(removal
                .and_then(|id| state.source(id))
                .map(|(_, record)| record))
        })
    }

    fn statements(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Vec<Stated>> {
        if !is_ruled(thread) {
            return Ok(Vec::new());
        }
        let prefix = policy_prefix(thread);
        let view = ReadView::new(txn, &prefix)?;
        self.look(thread, txn, |state| {
            state.statements(&view, &|void| words::void(state, void).into_owned())
        })
    }

    fn explain(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Vec<String>> {
        if !is_ruled(candidate.thread) {
            return Ok(vec![
                "it is applied: whoever has the keys may write".to_owned(),
            ]);
        }
        self.look(candidate.thread, txn, |state| {
            let judged = Case::new(state, candidate).judge()?;
            Ok(words::judgement(state, &candidate.author, &judged))
        })
    }
}

/// A candidate, in the numbers of the evaluator.
struct Case<'a> {
    state: &'a State,
    candidate: &'a Candidate<'a>,
    author: Peer,
    past: Vec<AclId>,
    /// The first error in finding out what is covered: the evaluator takes no errors.
    failed: RefCell<Option<threads_core::Error>>,
}

impl<'a> Case<'a> {
    fn new(state: &'a State, candidate: &'a Candidate<'a>) -> Self {
        let past = candidate
            .acl
            .iter()
            .flat_map(|record| state.last_of(record))
            .copied();
        Self {
            state,
            candidate,
            author: state.peer(&candidate.author),
            past: past.collect(),
            failed: RefCell::new(None),
        }
    }

    /// What the candidate stands on, or what it lacks: all of its changes have to be allowed.
    fn judge(&self) -> Result<Result<Standing, Refusal>> {
        let judged = match self.candidate.changes {
            Some(changes) => self.judge_changes(changes),
            None => self.judge_unread(),
        };
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(judged),
        }
    }

    fn judge_changes(&self, changes: &[Change]) -> Result<Standing, Refusal> {
        let mut standing = None;
        for change in changes {
            standing = Some(self.judge_change(change)?);
        }
        standing.map_or_else(|| self.judge_unread(), Ok)
    }

    fn judge_change(&self, change: &Change) -> Result<Standing, Refusal> {
        if change.collection.is_reserved() && !NOTES.contains(&change.collection.as_str()) {
            let covered = |id| self.covered(id);
            let evaluator = self.state.evaluator();
            return outcome(evaluator.judge_definition(self.author, &self.past, &covered));
        }
        let tag = EntityTag::of(self.candidate.thread, &change.collection, &change.entity);
        self.judge_data(self.state.entity(&tag), change.action)
    }

    /// Of changes that cannot be read here: may the author change anything at all?
    fn judge_unread(&self) -> Result<Standing, Refusal> {
        let unnamed = self.state.unnamed();
        let written = self.judge_data(unnamed, ActionKind::Save);
        written.or_else(|lack| {
            let deleted = self.judge_data(unnamed, ActionKind::Delete);
            deleted.map_err(|_| lack)
        })
    }

    fn judge_data(&self, entity: Entity, action: ActionKind) -> Result<Standing, Refusal> {
        let data = Data {
            author: self.author,
            past: &self.past,
            entity,
            action,
        };
        outcome(self.state.evaluator().judge(&data, &|id| self.covered(id)))
    }

    /// Whether the author of a removal or restriction had seen the candidate.
    fn covered(&self, id: AclId) -> bool {
        let within = |dep: &Dep| match (self.candidate.within)(dep) {
            Ok(within) => within,
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
                false
            }
        };
        self.state.seen(id).iter().any(within)
    }
}

fn outcome(judgement: Judgement) -> Result<Standing, Refusal> {
    match judgement {
        Judgement::Applied(standing) => Ok(standing),
        Judgement::Refused(refusal) => Err(refusal),
    }
}

/// Whom a statement names, if it is one peer.
fn named(subject: &Subject) -> Option<&PeerId> {
    match subject {
        Subject::Peer(peer) => Some(peer),
        Subject::Everybody => None,
    }
}
