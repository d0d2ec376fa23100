//! A document in memory: the changes that are known, those of them that are applied, and what they
//! make.
//!
//! Which are applied is determined by the set of those that are known: going through them in their
//! order, each one is that finds there all that it refers to. What a change refers to comes before
//! it in that order, so one that comes later never changes whether an earlier one is applied.

use automerge::transaction::CommitOptions;
use automerge::{self as am, ActorId, ReadDoc, TextEncoding};
use sha2::{Digest, Sha256};
use threads_core::codec::EntityState;
use threads_core::{Error, Result};

use crate::change::{self, Change, Order};
use crate::edit::{Edit, carry_out};
use crate::index::Index;
use crate::seen::{self, Seen};
use crate::state;

/// What the hash in an actor id is of, before anything else.
const ACTOR_TAG: &[u8] = b"threads automerge/1 actor\0";

/// How many bytes of an actor id are a hash. Four before them are a number.
const ACTOR_HASH_BYTES: usize = 12;

/// A change that is known.
struct Known {
    order: Order,
    len: usize,
    /// What is to be applied yet: it waits for something that it refers to.
    waiting: Option<Change>,
    /// Whose turn it was, if it is applied.
    turn: (Box<[u8]>, u64),
}

/// A document in memory.
pub(crate) struct Document {
    inner: am::Automerge,
    index: Index,
    known: Vec<Known>,
    /// The bytes of all changes, in their order.
    changes: Vec<u8>,
    seen: Seen,
    view: String,
}

impl Document {
    /// A document without changes.
    pub(crate) fn new() -> Self {
        Self::of(Vec::new(), Vec::new())
    }

    /// The document of a state's changes.
    pub(crate) fn open(changes: &[u8]) -> Result<Self> {
        let known = state::changes(changes)?;
        let mut document = Self::of(changes.to_vec(), known);
        document.apply_waiting()?;
        Ok(document)
    }

    fn of(changes: Vec<u8>, known: Vec<(Change, usize)>) -> Self {
        let known = known
            .into_iter()
            .map(|(change, len)| Known::new(change, len));
        let inner = am::Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint);
        Self {
            seen: Seen::read(&inner),
            inner,
            index: Index::default(),
            known: known.collect(),
            changes,
            view: "{}".into(),
        }
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(crate) fn view(&self) -> &str {
        &self.view
    }

    /// The bytes of all changes, in their order.
    pub(crate) fn changes(&self) -> &[u8] {
        &self.changes
    }

    pub(crate) fn has(&self, change: &Change) -> bool {
        self.place(&change.order).is_ok()
    }

    fn place(&self, order: &Order) -> std::result::Result<usize, usize> {
        self.known.binary_search_by(|known| known.order.cmp(order))
    }

    pub(crate) fn state(&self) -> Result<EntityState> {
        state::join(&self.view, &self.changes)
    }

    /// The document in Automerge's own format, deflated.
    pub(crate) fn save(&self) -> Vec<u8> {
        self.inner.save()
    }

    /// Whether this is what a change with these bytes made of a state with those changes.
    pub(crate) fn is_after(&self, before: &[u8], event: &[u8], order: &Order) -> bool {
        let Ok(place) = self.place(order) else {
            return false;
        };
        let start = self.start(place);
        let (head, rest) = self.changes.split_at(start);
        let tail = rest.strip_prefix(event);
        before.strip_prefix(head).is_some() && tail == before.get(start..)
    }

    /// Where the bytes of a known change begin.
    fn start(&self, place: usize) -> usize {
        // Most changes are the last.
        let after: usize = self.known[place..].iter().map(|known| known.len).sum();
        self.changes.len() - after
    }

    /// Takes in a change that is not known yet.
    pub(crate) fn add(&mut self, change: Change) -> Result<()> {
        let replaces = self.replaces(&change);
        self.file(change);
        if replaces {
            *self = Self::open(&self.changes)?;
            return Ok(());
        }
        self.apply_waiting()
    }

    /// Whether a change takes the turn of one that is applied, and comes after it in the order.
    fn replaces(&self, change: &Change) -> bool {
        self.index.has_turn(&change.actor, change.seq)
            && self.known.iter().any(|known| {
                let same = *known.turn.0 == *change.actor && known.turn.1 == change.seq;
                same && known.waiting.is_none() && known.order > change.order
            })
    }

    fn file(&mut self, change: Change) {
        let bytes = change.inner.raw_bytes();
        let place = self.place(&change.order).unwrap_or_else(|place| place);
        let at = self.start(place);
        self.changes.splice(at..at, bytes.iter().copied());
        let len = bytes.len();
        self.known.insert(place, Known::new(change, len));
    }

    /// Applies what waits and fits, in order.
    fn apply_waiting(&mut self) -> Result<()> {
        let mut ready = Vec::new();
        for known in &mut self.known {
            if let Some(change) = known.waiting.take_if(|change| self.index.add(change)) {
                ready.push(change.inner);
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        self.inner.apply_changes(ready).map_err(|cause| {
            Error::rejected("Automerge refuses a change that refers to nothing amiss")
                .caused_by(cause)
        })?;
        self.look();
        Ok(())
    }

    fn look(&mut self) {
        self.seen = Seen::read(&self.inner);
        self.view = seen::text(&self.seen);
    }

    /// Makes one change of edits, and gives its bytes; none when nothing changes by them.
    pub(crate) fn commit(&mut self, writer: &[u8], edits: Vec<Edit>) -> Result<Option<Vec<u8>>> {
        let failed = |cause: am::AutomergeError| {
            Error::invalid("Automerge cannot make this change").caused_by(cause)
        };
        let is_empty = edits.is_empty();
        self.inner.set_actor(self.actor(writer, &edits)?);
        // A clock would make two events of one.
        let options = CommitOptions::default().with_time(0);
        let hash = match is_empty {
            true => Some(self.inner.empty_commit(options)),
            false => {
                let mut tx = self.inner.transaction();
                edits
                    .into_iter()
                    .try_for_each(|edit| carry_out(&mut tx, edit))
                    .map_err(failed)?;
                tx.commit_with(options).0
            }
        };
        let change = hash.and_then(|hash| self.inner.get_change_by_hash(&hash));
        let Some(made) = change else {
            return Ok(None);
        };
        let event = made.raw_bytes().to_vec();
        let change = change::decode(&event).map_err(|fault| {
            Error::invalid("a change is too large for one event: make it in parts").caused_by(fault)
        })?;
        if !self.index.add(&change) {
            return Err(Error::corrupt(
                "a change does not fit the state it was made on: rebuild it from its log",
            ));
        }
        self.file(change);
        // Invariant: it was filed a line ago; and it is applied.
        for known in &mut self.known {
            known
                .waiting
                .take_if(|change| self.index.has(&change.order.hash));
        }
        self.look();
        Ok(Some(event))
    }

    /// The actor of a change: another one for each, as long as writer, document or edits differ.
    ///
    /// It begins with the number of the change's first operation, so that it comes last among the
    /// document's actors: Automerge renumbers those that come after a new one.
    fn actor(&self, writer: &[u8], edits: &[Edit]) -> Result<ActorId> {
        let edits = serde_json::to_vec(edits)
            .map_err(|cause| Error::invalid("a change cannot be written").caused_by(cause))?;
        let mut heads = self.inner.get_heads();
        heads.sort_unstable();
        let mut hash = Sha256::new().chain_update(ACTOR_TAG);
        hash.update((writer.len() as u64).to_be_bytes());
        hash.update(writer);
        hash.update((heads.len() as u64).to_be_bytes());
        heads.iter().for_each(|head| hash.update(head.as_ref()));
        hash.update(&edits);
        // Invariant: a document's numbers fit: they have an upper bound.
        let next = u32::try_from(self.index.last() + 1).unwrap_or(u32::MAX);
        let mut actor = next.to_be_bytes().to_vec();
        actor.extend_from_slice(&hash.finalize()[..ACTOR_HASH_BYTES]);
        Ok(ActorId::from(actor))
    }
}

impl Known {
    fn new(change: Change, len: usize) -> Self {
        Self {
            order: change.order,
            len,
            turn: (change.actor.clone(), change.seq),
            waiting: Some(change),
        }
    }
}
