//! Who gave the fields of an entity their values.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use threads_core::datastore::Datastore;
use threads_core::record::Record;
use threads_core::{Cid, EntityId, Error, FieldPath, Hlc, LogId, PeerId, Result};

use super::edit;
use super::walk::{self, Replayer};
use crate::collection::Collection;
use crate::db::Db;
use crate::entity::Life;
use crate::history::{self, Replayed};
use crate::thread::Thread;

/// How deep fields are told apart; what is below counts as one value.
const DEPTH_MAX: usize = 32;

/// Who last changed a field, and by which record.
///
/// ```
/// fn line(blame: &threads_db::Blame) -> String { format!("{}: {}", blame.path, blame.record) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Blame {
    /// The field.
    pub path: FieldPath,
    /// Its value; none where it was removed.
    pub value: Option<Value>,
    /// The record since which it has that value.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
    /// The record's log.
    pub log: LogId,
    /// The record's place in the log.
    pub seq: u64,
    /// The identity that owns the log.
    pub author: Option<PeerId>,
    /// When it was written, by the author's clock.
    pub time: Hlc,
}

impl Db {
    /// For each field of an entity, who gave it the value that it has. A member of an object in an object is a field
    /// of its own, a list is one value. Fields are those that the collection shows: of one of a
    /// [module](crate::InstalledModule) those of its version, whichever version changed them.
    ///
    /// It is found by replaying the entity and comparing what is seen before and after each event, and so for every
    /// codec, whatever its events say; as much work as there are events, times what the entity takes to read. Where
    /// older records are not here (see [`Db::base`]), fields are left out that nothing changed since.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when there is no such entity.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// people.patch("bob", &serde_json::json!({"nick": "b"})).unwrap();
    /// let blame = db.blame(&people, "bob").unwrap();
    /// let fields: Vec<_> = blame.iter().map(|blame| (blame.path.to_string(), blame.seq)).collect();
    /// assert_eq!(fields, [("_id".into(), 2), ("age".into(), 2), ("nick".into(), 3)]);
    /// ```
    pub fn blame<T>(&self, collection: &Collection<T>, id: &str) -> Result<Vec<Blame>> {
        // Of what is from before the records that are here nobody can tell.
        let mut fields: BTreeMap<Vec<String>, Option<Source>> = BTreeMap::new();
        let last = self.each_view(collection, id, &mut |source, before, after| {
            let mut present = BTreeMap::new();
            let leaves = after.map(leaves).unwrap_or_default();
            for path in leaves {
                let was = before.and_then(|before| edit::at(before, &path));
                let is = after.and_then(|after| edit::at(after, &path));
                let known = fields.remove(&path).filter(|_| was == is);
                present.insert(path, known.unwrap_or_else(|| source.cloned()));
            }
            fields = present;
            Ok(())
        })?;
        let Some(last) = last else {
            return Err(unknown(collection, id));
        };
        let fields = fields.into_iter();
        fields
            .filter_map(|(path, source)| source.map(|source| (path, source)))
            .map(|(path, source)| {
                let value = edit::at(&last, &path).cloned();
                source.blame(FieldPath::new(path)?, value)
            })
            .collect()
    }

    /// Who last changed what is at a path of an entity, which may also lead into a list, by a number; and who removed
    /// what was there, or the entity.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when nothing ever was there.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let age = "age".parse().unwrap();
    /// let blame = db.blame_field(&people, "bob", &age).unwrap();
    /// assert_eq!((blame.value, blame.author), (Some(42.into()), Some(node.peer_id())));
    /// ```
    pub fn blame_field<T>(
        &self,
        collection: &Collection<T>,
        id: &str,
        path: &FieldPath,
    ) -> Result<Blame> {
        let mut changed = None;
        let last = self.each_view(collection, id, &mut |source, before, after| {
            let was = before.and_then(|before| edit::at(before, path.segments()));
            let is = after.and_then(|after| edit::at(after, path.segments()));
            if was != is {
                changed = source.cloned();
            }
            Ok(())
        })?;
        let value = last.and_then(|last| edit::at(&last, path.segments()).cloned());
        match changed {
            Some(source) => source.blame(path.clone(), value),
            None if value.is_some() => Err(Error::unavailable(
                "the records are not here any more that would tell: ask on a node that has all of them",
            )
            .with("path", path)),
            None => Err(unknown(collection, id).with("path", path)),
        }
    }

    /// Replays an entity, telling what an application saw before and after each event that changed it. Gives the
    /// last of it.
    fn each_view<T>(
        &self,
        collection: &Collection<T>,
        id: &str,
        tell: Tell<'_>,
    ) -> Result<Option<Value>> {
        let thread = self.thread();
        thread.check_reads()?;
        collection.check_thread(thread)?;
        let txn = thread.node.store.read()?;
        let number = walk::number(&*txn, thread, collection.name())?;
        let (Some(number), Ok(id)) = (number, id.parse::<EntityId>()) else {
            return Ok(None);
        };
        let mut replayer = Replayer::new(&*txn, thread, number);
        let rows = replayer.entity(id.as_str())?.rows;
        let applied = rows.iter().filter(|row| row.turns.is_applied());
        let places: Vec<_> = applied.map(|row| row.place).collect();
        let begins = replayer.begins(id.as_str())?;
        let show = |life: &Life| -> Result<Option<Value>> {
            let stored = history::view(thread, life, id.as_str())?;
            Ok(stored.map(|stored| collection.shows(stored)))
        };
        let mut shown = show(&begins)?;
        if shown.is_some() {
            tell(None, None, shown.as_ref())?;
        }
        replayer.events.replay_each(begins, &places, &mut |step| {
            if step.before == step.after {
                return Ok(());
            }
            let after = show(step.after)?;
            tell(
                Some(&Source::of(&*txn, thread, &step)?),
                shown.as_ref(),
                after.as_ref(),
            )?;
            shown = after;
            Ok(())
        })?;
        Ok(shown)
    }
}

/// Takes the record of an event, and what was seen before and after it; no record of what an entity begins with.
type Tell<'t> = &'t mut dyn FnMut(Option<&Source>, Option<&Value>, Option<&Value>) -> Result<()>;

/// Where a value is from.
#[derive(Clone, Debug)]
struct Source {
    record: Cid,
    log: LogId,
    seq: u64,
    author: Option<PeerId>,
    time: Hlc,
}

impl Source {
    fn of(
        txn: &dyn threads_core::datastore::ReadTxn,
        thread: &Thread,
        step: &Replayed<'_>,
    ) -> Result<Self> {
        Ok(Self {
            record: step.record.record.id(),
            log: step.record.record.fields().log,
            seq: step.place.seq,
            author: thread.author(txn, step.place.log)?,
            time: step.place.time,
        })
    }

    fn blame(self, path: FieldPath, value: Option<Value>) -> Result<Blame> {
        let Self {
            record,
            log,
            seq,
            author,
            time,
        } = self;
        Ok(Blame {
            path,
            value,
            record,
            log,
            seq,
            author,
            time,
        })
    }
}

/// The paths of an object's fields: objects within lead to their own.
fn leaves(value: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    add_leaves(value, &mut Vec::new(), &mut found);
    found
}

fn add_leaves(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(members) if path.len() < DEPTH_MAX && !members.is_empty() => {
            for (name, value) in members {
                path.push(name.clone());
                add_leaves(value, path, found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

fn unknown<T>(collection: &Collection<T>, id: &str) -> Error {
    Error::not_found("no such entity or field, now or ever: see the history of the entity")
        .with("collection", collection.name())
        .with("_id", id)
}
