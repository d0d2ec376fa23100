//! Undo and redo of this node's own transactions.
//!
//! An undo is a transaction as any other, with a note of which record it takes back: an entity of a reserved
//! collection. So what there is to undo and to redo is read from this node's log, and survives what the log does.

use serde::Serialize;
use threads_core::{Cid, CollectionName, EntityId, Error, Hlc, Result};

use super::edit::Edit;
use crate::db::Db;
use crate::txn::Commit;

mod plan;
mod stack;

use plan::Plan;
pub(crate) use stack::UNDONE;
pub(super) use stack::takes_back;
use stack::{Stack, Step};

/// Whether an undo may do what nobody can take back.
///
/// ```
/// assert_eq!(threads_db::Finality::default(), threads_db::Finality::Refuse);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finality {
    /// It fails and changes nothing, where the transaction created or deleted entities.
    #[default]
    Refuse,
    /// It deletes for good what the transaction created, and leaves dead what it deleted.
    Accept,
}

/// A transaction that was taken back, or would be.
///
/// ```
/// fn line(undone: &threads_db::Undone) -> String {
///     format!("{}: {} entities", undone.record, undone.entities.len())
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Undone {
    /// The record of the transaction.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// When it was made.
    pub time: Hlc,
    /// What becomes of each entity that it changed.
    pub entities: Vec<UndoneEntity>,
    /// The commit that takes it back; none of a look ahead.
    pub commit: Option<Commit>,
}

/// What an undo does to one entity.
///
/// ```
/// fn is_whole(entity: &threads_db::UndoneEntity) -> bool { entity.kept.is_empty() }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UndoneEntity {
    /// Where it lives.
    pub collection: CollectionName,
    /// Which entity.
    pub entity: EntityId,
    /// What becomes of it.
    pub how: UndoneHow,
    /// What is put back.
    pub edits: Vec<Edit>,
    /// What is not, as somebody changed it since.
    pub kept: Vec<KeptField>,
}

/// A field that somebody changed since, and that an undo leaves as it is.
///
/// ```
/// fn line(kept: &threads_db::KeptField) -> String { format!("{} stays {:?}", kept.path, kept.value) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptField {
    /// Where: a JSON Pointer (RFC 6901).
    pub path: String,
    /// What it is now; none where it was removed.
    pub value: Option<serde_json::Value>,
}

/// What an undo makes of an entity.
///
/// ```
/// use threads_db::UndoneHow;
/// assert!(UndoneHow::Deleted.is_final() && !UndoneHow::Restored.is_final());
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoneHow {
    /// Its fields are put back, but for those that somebody changed since.
    Restored,
    /// The transaction created it, and it is deleted, for good.
    Deleted,
    /// The transaction created it, and it stays, as somebody changed it since.
    Kept,
    /// The transaction deleted it, and nothing brings it back.
    Lost,
    /// There is nothing to put back: it was deleted since, or nothing that the transaction did to it counts.
    Nothing,
}

impl UndoneHow {
    /// Whether nobody can take that back, or could.
    ///
    /// ```
    /// assert!(threads_db::UndoneHow::Lost.is_final());
    /// ```
    pub fn is_final(self) -> bool {
        matches!(self, Self::Deleted | Self::Lost)
    }
}

impl Db {
    /// Takes back the last transaction of this node that is not taken back: in the fields that it changed and that
    /// still have the value it gave them, the value before is put back; whatever else happened stays, and is told.
    /// `None` when there is nothing to undo.
    ///
    /// Of this node's log in the thread, so it goes on after a restart. Definitions, invites and rules are passed
    /// over. Undoing again goes one transaction further back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the transaction created or deleted entities,
    /// for deleting is final: ask with [`Db::undo_with`]; and those of a commit, as for any other change: the schema,
    /// unique values and rights are those of today. What cannot be taken back for that reason is passed over by
    /// [`Db::skip_undo`].
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
    /// db.undo().unwrap().expect("something to undo");
    /// assert_eq!(people.get("bob").unwrap().unwrap()["age"], 42);
    /// db.redo().unwrap().expect("something to redo");
    /// assert_eq!(people.get("bob").unwrap().unwrap()["age"], 43);
    /// ```
    pub fn undo(&self) -> Result<Option<Undone>> {
        self.undo_with(Finality::Refuse)
    }

    /// [`Db::undo`], saying whether it may delete for good.
    ///
    /// # Errors
    ///
    /// Those of [`Db::undo`].
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::Finality;
    /// assert!(db.undo().is_err(), "it created bob");
    /// db.undo_with(Finality::Accept).unwrap();
    /// assert!(!people.has("bob").unwrap());
    /// ```
    pub fn undo_with(&self, finality: Finality) -> Result<Option<Undone>> {
        self.take_back(Step::Undo, finality)
    }

    /// Passes over what [`Db::undo`] would take back: nothing of it changes, and the next undo takes back the
    /// transaction before it. For one whose undo is refused, say as another entity has a unique value by now.
    /// `None` when there is nothing to undo.
    ///
    /// # Errors
    ///
    /// Those of a commit.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// db.skip_undo().unwrap().expect("bob was created");
    /// assert!(people.has("bob").unwrap() && db.undo().unwrap().is_none());
    /// ```
    pub fn skip_undo(&self) -> Result<Option<Undone>> {
        let thread = self.thread();
        thread.check_reads()?;
        let mut txn = self.begin()?;
        let Some(place) = Stack::of(txn.store().as_read(), thread)?.top(Step::Undo)? else {
            return Ok(None);
        };
        let plan = Plan::new(txn.store().as_read(), thread, place)?;
        txn.note_taken_back(&plan.record, Step::Undo)?;
        let mut undone = plan.told();
        undone.entities.clear();
        undone.commit = txn.commit()?;
        Ok(Some(undone))
    }

    /// Takes back the last undo, as long as this node made no other transaction since. `None` when there is nothing
    /// to redo.
    ///
    /// # Errors
    ///
    /// Those of [`Db::undo`]: what an undo deleted does not come back.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.redo().unwrap().is_none());
    /// ```
    pub fn redo(&self) -> Result<Option<Undone>> {
        self.redo_with(Finality::Refuse)
    }

    /// [`Db::redo`], saying whether it may leave dead what the undo deleted.
    ///
    /// # Errors
    ///
    /// Those of [`Db::undo`].
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.redo_with(threads_db::Finality::Accept).unwrap().is_none());
    /// ```
    pub fn redo_with(&self, finality: Finality) -> Result<Option<Undone>> {
        self.take_back(Step::Redo, finality)
    }

    /// What [`Db::undo_with`] would do now, changing nothing.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let ahead = db.next_undo().unwrap().unwrap();
    /// assert!(ahead.entities[0].how.is_final());
    /// ```
    pub fn next_undo(&self) -> Result<Option<Undone>> {
        self.look_ahead(Step::Undo)
    }

    /// What [`Db::redo_with`] would do now, changing nothing.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.next_redo().unwrap().is_none());
    /// ```
    pub fn next_redo(&self) -> Result<Option<Undone>> {
        self.look_ahead(Step::Redo)
    }

    fn look_ahead(&self, step: Step) -> Result<Option<Undone>> {
        let thread = self.thread();
        thread.check_reads()?;
        let txn = thread.node.store.read()?;
        let Some(place) = Stack::of(&*txn, thread)?.top(step)? else {
            return Ok(None);
        };
        Ok(Some(Plan::new(&*txn, thread, place)?.told()))
    }

    fn take_back(&self, step: Step, finality: Finality) -> Result<Option<Undone>> {
        let thread = self.thread();
        thread.check_reads()?;
        let mut txn = self.begin()?;
        let Some(place) = Stack::of(txn.store().as_read(), thread)?.top(step)? else {
            return Ok(None);
        };
        let plan = Plan::new(txn.store().as_read(), thread, place)?;
        if finality == Finality::Refuse {
            plan.check_finality()?;
        }
        plan.stage(&mut txn)?;
        txn.note_taken_back(&plan.record, step)?;
        let mut undone = plan.told();
        undone.commit = txn.commit()?;
        Ok(Some(undone))
    }
}

/// Says what cannot be taken back, before anything is.
fn final_error(entities: &[UndoneEntity]) -> Option<Error> {
    let count = |how| entities.iter().filter(|entity| entity.how == how).count();
    let (deleted, lost) = (count(UndoneHow::Deleted), count(UndoneHow::Lost));
    let message = match (deleted, lost) {
        (0, 0) => return None,
        (_, 0) => "this created entities, and to take it back deletes them for good",
        (0, _) => "this deleted entities, and nothing brings them back; the rest can be taken back",
        _ => "this created and deleted entities, and both stay so once it is taken back",
    };
    Some(
        Error::conflict(message)
            .with("created", deleted)
            .with("deleted", lost),
    )
}
