//! A document in memory: the changes that are known, those of them that are applied, and what they
//! make.
//!
//! Which are applied is determined by the set of those that are known: going through them in their
//! order, each one is that finds there all that it refers to. What a change refers to comes before
//! it in that order, so one that comes later never changes whether an earlier one is applied.
//!
//! There is an end to what is known: where the changes, in their order, have too many operations or
//! bytes together, that one is forgotten, and whatever comes after it in the order. Where that was is
//! remembered, so that in whatever order changes come the same are forgotten.

use std::collections::HashMap;

use automerge::transaction::CommitOptions;
use automerge::{self as am, ActorId, ReadDoc, TextEncoding};
use sha2::{Digest, Sha256};
use threads_core::codec::EntityState;
use threads_core::{Error, Result};

use crate::change::{self, Change, Decoded, Hash, Order};
use crate::edit::{Edit, carry_out};
use crate::index::{Fit, Index};
use crate::limits::{HISTORY_BYTES_MAX, HISTORY_OPS_MAX};
use crate::made;
use crate::seen::{self, Seen};
use crate::state::{self, Parts};

/// What the hash in an actor id is of, before anything else.
const ACTOR_TAG: &[u8] = b"threads automerge/1 actor\0";

/// How many bytes of an actor id are a hash. Four before them are a number.
const ACTOR_HASH_BYTES: usize = 12;

/// A change that is known.
struct Known {
    order: Order,
    len: usize,
    ops: usize,
    stage: Stage,
}

/// How far a change that is known has got.
enum Stage {
    /// It waits for something that it refers to.
    Waits(Box<Decoded>),
    /// It was made and applied here, and is yet to be given to Automerge.
    Made,
    Applied,
}

/// A document in memory.
pub(crate) struct Document {
    /// Automerge's. It lacks changes that were made here, until something is asked of it.
    inner: am::Automerge,
    /// How many it lacks.
    lacks: usize,
    index: Index,
    known: Vec<Known>,
    /// The bytes of all changes, in their order.
    changes: Vec<u8>,
    /// How many operations they have.
    ops: usize,
    /// From here on changes are forgotten.
    cut: Option<Order>,
    /// The place of the change that was made here, if none came since.
    made: Option<usize>,
    seen: Seen,
    view: String,
}

impl Document {
    /// A document without changes.
    pub(crate) fn new() -> Self {
        Self::of(Parts::default(), Vec::new())
    }

    /// The document of a state.
    pub(crate) fn open(state: Parts<'_>) -> Result<Self> {
        let known = state::changes(state.changes)?;
        let mut document = Self::of(state, known);
        let last = document.known.last().map(|known| known.order);
        let is_cut_off = last.zip(state.cut).is_none_or(|(last, cut)| last < cut);
        if !is_cut_off || document.first_beyond().is_some() {
            return Err(state::damaged("it has more than there may be"));
        }
        // In order nothing takes the turn of what comes before it.
        document.apply_waiting(0)?;
        Ok(document)
    }

    fn of(state: Parts<'_>, known: Vec<(Decoded, usize)>) -> Self {
        let known = known
            .into_iter()
            .map(|(decoded, len)| Known::waiting(decoded, len));
        let known: Vec<Known> = known.collect();
        let inner = am::Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint);
        Self {
            seen: Seen::read(&inner),
            inner,
            lacks: 0,
            index: Index::default(),
            ops: known.iter().map(|known| known.ops).sum(),
            known,
            changes: state.changes.to_vec(),
            cut: state.cut,
            made: None,
            view: "{}".into(),
        }
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(crate) fn view(&self) -> &str {
        &self.view
    }

    /// How many operations all changes have.
    pub(crate) fn ops(&self) -> usize {
        self.ops
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            view: self.view.as_bytes(),
            cut: self.cut,
            changes: &self.changes,
        }
    }

    /// Whether it is the document of a state.
    pub(crate) fn is(&self, state: Parts<'_>) -> bool {
        self.cut == state.cut && self.changes == state.changes
    }

    pub(crate) fn has(&self, change: &Change) -> bool {
        self.place(&change.order).is_ok()
    }

    fn place(&self, order: &Order) -> std::result::Result<usize, usize> {
        self.known.binary_search_by(|known| known.order.cmp(order))
    }

    pub(crate) fn state(&self) -> Result<EntityState> {
        state::join(self.parts())
    }

    /// The document in Automerge's own format, deflated.
    pub(crate) fn save(mut self) -> Result<Vec<u8>> {
        self.catch_up()?;
        Ok(self.inner.save())
    }

    /// Whether this is what a change with these bytes made of a state: the last one that was made here.
    pub(crate) fn is_after(&self, before: Parts<'_>, event: &[u8]) -> bool {
        let Some(place) = self.made else {
            return false;
        };
        let start = self.start(place);
        let (head, rest) = self.changes.split_at(start);
        let tail = rest.strip_prefix(event);
        let same = before.changes.strip_prefix(head).is_some();
        self.cut == before.cut && same && tail == before.changes.get(start..)
    }

    /// Where the bytes of a known change begin.
    fn start(&self, place: usize) -> usize {
        // Most changes are the last.
        let after: usize = self.known[place..].iter().map(|known| known.len).sum();
        self.changes.len() - after
    }

    /// Takes in a change that is not known yet.
    pub(crate) fn add(&mut self, decoded: Decoded) -> Result<()> {
        if self.cut.is_some_and(|cut| decoded.change.order >= cut) {
            return Ok(());
        }
        self.catch_up()?;
        let bytes = decoded.inner.raw_bytes().to_vec();
        let place = self.file(Known::waiting(decoded, bytes.len()), &bytes);
        let forgets_applied = self.forget();
        // What comes before it in the order does not refer to it.
        if forgets_applied || self.apply_waiting(place)? == Fit::Displaces {
            *self = Self::open(self.parts())?;
        }
        Ok(())
    }

    /// Files a change in its place.
    fn file(&mut self, known: Known, bytes: &[u8]) -> usize {
        let place = self.place(&known.order).unwrap_or_else(|place| place);
        let at = self.start(place);
        self.changes.splice(at..at, bytes.iter().copied());
        self.ops += known.ops;
        self.known.insert(place, known);
        self.made = None;
        place
    }

    /// The first change that is too much.
    fn first_beyond(&self) -> Option<usize> {
        if self.ops <= HISTORY_OPS_MAX && self.changes.len() <= HISTORY_BYTES_MAX {
            return None;
        }
        let (mut ops, mut bytes) = (0, 0);
        self.known.iter().position(|known| {
            (ops, bytes) = (ops + known.ops, bytes + known.len);
            ops > HISTORY_OPS_MAX || bytes > HISTORY_BYTES_MAX
        })
    }

    /// Forgets what is too much, and tells whether any of it was applied.
    fn forget(&mut self) -> bool {
        let Some(place) = self.first_beyond() else {
            return false;
        };
        self.changes.truncate(self.start(place));
        let forgotten = self.known.split_off(place);
        self.ops -= forgotten.iter().map(|known| known.ops).sum::<usize>();
        self.cut = forgotten.first().map(|known| known.order).or(self.cut);
        forgotten
            .iter()
            .any(|known| !matches!(known.stage, Stage::Waits(_)))
    }

    /// Applies what waits and fits, in order, from a place on.
    fn apply_waiting(&mut self, from: usize) -> Result<Fit> {
        let mut ready = Ready::default();
        let mut any = false;
        for known in self.known.iter_mut().skip(from) {
            let Stage::Waits(decoded) = &known.stage else {
                continue;
            };
            match self.index.add(&decoded.change) {
                Fit::Added => {}
                Fit::Waits => continue,
                Fit::Displaces => return Ok(Fit::Displaces),
            }
            any = true;
            if ready.may_overtake(&decoded.change) {
                ready.apply(&mut self.inner)?;
            }
            ready.extend(std::mem::replace(&mut known.stage, Stage::Applied));
        }
        if !any {
            return Ok(Fit::Waits);
        }
        ready.apply(&mut self.inner)?;
        self.look();
        Ok(Fit::Added)
    }

    fn look(&mut self) {
        self.seen = Seen::read(&self.inner);
        self.view = seen::text(&self.seen);
    }

    /// Gives Automerge the changes that it lacks.
    fn catch_up(&mut self) -> Result<()> {
        if self.lacks == 0 {
            return Ok(());
        }
        let mut lacked = Vec::with_capacity(self.lacks);
        let mut rest = self.changes.as_slice();
        for known in &mut self.known {
            let (bytes, after) = rest.split_at(known.len);
            if matches!(known.stage, Stage::Made) {
                known.stage = Stage::Applied;
                lacked.push(am::Change::from_bytes(bytes.to_vec()));
            }
            rest = after;
        }
        let unreadable =
            |cause| Error::corrupt("Automerge cannot read a change made here").caused_by(cause);
        let lacked: std::result::Result<Vec<_>, _> = lacked.into_iter().collect();
        let applied = self.inner.apply_changes(lacked.map_err(unreadable)?);
        self.lacks = 0;
        applied.map_err(|cause| {
            Error::corrupt("Automerge refuses a change made here").caused_by(cause)
        })
    }

    /// Makes one change of edits, and gives its bytes; none when nothing changes by them.
    pub(crate) fn commit(&mut self, writer: &[u8], edits: Vec<Edit>) -> Result<Option<Vec<u8>>> {
        let actor = self.actor(writer, &edits)?;
        let steps: Option<Vec<_>> = edits.iter().map(Edit::step).collect();
        let Some(steps) = steps else {
            return self.commit_by_automerge(actor, edits);
        };
        let Some((change, event)) = made::make(&self.index, &actor, &steps) else {
            return self.commit_by_automerge(actor, edits);
        };
        self.keep_made(&change, &event, Stage::Made)?;
        self.lacks += 1;
        self.seen.take(steps);
        self.view = seen::text(&self.seen);
        Ok(Some(event))
    }

    /// As [`Document::commit`], of any edits.
    fn commit_by_automerge(&mut self, actor: Vec<u8>, edits: Vec<Edit>) -> Result<Option<Vec<u8>>> {
        let failed = |cause: am::AutomergeError| {
            Error::invalid("Automerge cannot make this change").caused_by(cause)
        };
        self.catch_up()?;
        let is_empty = edits.is_empty();
        self.inner.set_actor(ActorId::from(actor));
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
        let made = hash.and_then(|hash| self.inner.get_change_by_hash(&hash));
        let Some(made) = made else {
            return Ok(None);
        };
        let event = made.raw_bytes().to_vec();
        let decoded = change::decode(&event).map_err(|fault| {
            Error::invalid("a change is too large for one event: make it in parts").caused_by(fault)
        })?;
        self.keep_made(&decoded.change, &event, Stage::Applied)?;
        self.look();
        Ok(Some(event))
    }

    /// Keeps a change that was made here, unless there is no room for it.
    fn keep_made(&mut self, change: &Change, event: &[u8], stage: Stage) -> Result<()> {
        if self.index.add(change) != Fit::Added {
            return Err(Error::corrupt(
                "a change does not fit the state it was made on: rebuild it from its log",
            ));
        }
        let known = Known {
            order: change.order,
            len: event.len(),
            ops: change.ops.len(),
            stage,
        };
        let place = self.file(known, event);
        if self.first_beyond().is_some() || self.cut.is_some_and(|cut| change.order >= cut) {
            return Err(
                Error::invalid("an entity's history is full: go on with another entity")
                    .with("most_operations", HISTORY_OPS_MAX)
                    .with("most_bytes", HISTORY_BYTES_MAX),
            );
        }
        self.made = Some(place);
        Ok(())
    }

    /// The actor of a change: another one for each, as long as writer, document or edits differ.
    ///
    /// It begins with the number of the change's first operation, so that it comes last among the
    /// document's actors: Automerge renumbers those that come after a new one.
    fn actor(&self, writer: &[u8], edits: &[Edit]) -> Result<Vec<u8>> {
        let edits = serde_json::to_vec(edits)
            .map_err(|cause| Error::invalid("a change cannot be written").caused_by(cause))?;
        let heads = self.index.heads();
        let mut hash = Sha256::new().chain_update(ACTOR_TAG);
        hash.update((writer.len() as u64).to_be_bytes());
        hash.update(writer);
        hash.update((heads.len() as u64).to_be_bytes());
        heads.iter().for_each(|head| hash.update(head));
        hash.update(&edits);
        // Invariant: a document's numbers fit: they have an upper bound.
        let next = u32::try_from(self.index.last() + 1).unwrap_or(u32::MAX);
        let mut actor = next.to_be_bytes().to_vec();
        actor.extend_from_slice(&hash.finalize()[..ACTOR_HASH_BYTES]);
        Ok(actor)
    }
}

/// Changes that fit, and are applied at once.
#[derive(Default)]
struct Ready {
    changes: Vec<am::Change>,
    /// The last of each actor.
    latest: HashMap<Box<[u8]>, Hash>,
}

impl Ready {
    /// Whether Automerge could take a change before an earlier one of its actor, and panic: it takes them by
    /// what they say they depend on, and a stranger's need not say it.
    fn may_overtake(&self, change: &Change) -> bool {
        let before = self.latest.get(&change.actor);
        before.is_some_and(|before| !change.deps.contains(before))
    }

    fn extend(&mut self, stage: Stage) {
        if let Stage::Waits(decoded) = stage {
            let Decoded { change, inner } = *decoded;
            self.latest.insert(change.actor, change.order.hash);
            self.changes.push(inner);
        }
    }

    fn apply(&mut self, document: &mut am::Automerge) -> Result<()> {
        self.latest.clear();
        let changes = std::mem::take(&mut self.changes);
        document.apply_changes(changes).map_err(|cause| {
            Error::rejected("Automerge refuses a change that refers to nothing amiss")
                .caused_by(cause)
        })
    }
}

impl Known {
    fn waiting(decoded: Decoded, len: usize) -> Self {
        Self {
            order: decoded.change.order,
            len,
            ops: decoded.change.ops.len(),
            stage: Stage::Waits(Box::new(decoded)),
        }
    }
}

#[cfg(test)]
mod tests;
