//! What differs between two points.

use serde::Serialize;
use serde_json::Value;
use threads_core::codec::ActionKind;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::{CollectionName, EntityId, Result};

use super::edit::{self, Edit};
use super::walk::{self, Entities, Kept, Replayer};
use super::{Cut, Point};
use crate::collection::Collection;
use crate::db::Db;
use crate::document::Document;
use crate::feed;
use crate::layout;

/// Of what a difference is asked.
///
/// ```
/// use threads_db::DiffScope;
/// let scope = DiffScope::Collection("Person".parse().unwrap());
/// assert_ne!(scope, DiffScope::Thread);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DiffScope {
    /// Every collection, but for the framework's own.
    #[default]
    Thread,
    /// One collection.
    Collection(CollectionName),
    /// One entity.
    Entity(CollectionName, EntityId),
}

/// How an entity differs between two points.
///
/// ```
/// fn line(diff: &threads_db::EntityDiff) -> String {
///     format!("{} {}/{}: {} edits", diff.action.as_str(), diff.collection, diff.entity, diff.edits.len())
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntityDiff {
    /// Where it lives.
    pub collection: CollectionName,
    /// Which entity.
    pub entity: EntityId,
    /// What happened to it on the way.
    #[serde(serialize_with = "crate::text::action")]
    pub action: ActionKind,
    /// Its value at the first point; none where it did not live.
    pub before: Option<Value>,
    /// Its value at the second point.
    pub after: Option<Value>,
    /// What makes the second of the first.
    pub edits: Vec<Edit>,
}

impl EntityDiff {
    /// The same of what is seen of both values; none where that is the same.
    fn seen(self, see: impl Fn(Value) -> Value) -> Option<Self> {
        let (before, after) = (self.before.map(&see), self.after.map(&see));
        Some(Self {
            action: feed::net_kind(before.as_ref(), after.as_ref())?,
            edits: edit::edits(before.as_ref(), after.as_ref()),
            before,
            after,
            ..self
        })
    }

    /// The edits as a JSON Patch (RFC 6902). Of an entity that is created or deleted it concerns the whole value.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::{DiffScope, Point};
    /// let before = "1970-01-01T00:00:00Z".parse().unwrap();
    /// let diff = &db.diff(&before, &Point::Now, &DiffScope::Thread).unwrap()[0];
    /// assert_eq!(diff.json_patch()[0]["op"], "add");
    /// ```
    pub fn json_patch(&self) -> Value {
        self.edits.iter().map(Edit::operation).collect()
    }
}

impl Db {
    /// Every entity that differs between two points, in memory, as it is stored; see [`Db::each_diff`], and
    /// [`Collection::diff`] for what a version of a module sees.
    ///
    /// # Errors
    ///
    /// Those of [`Db::as_of`], for both points.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::{DiffScope, Point};
    /// let before = Point::Records(db.heads().unwrap());
    /// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
    /// let diffs = db.diff(&before, &Point::Now, &DiffScope::Thread).unwrap();
    /// assert_eq!(diffs[0].edits[0].to_string(), "age: 42 → 43");
    /// ```
    pub fn diff(&self, from: &Point, to: &Point, scope: &DiffScope) -> Result<Vec<EntityDiff>> {
        let mut diffs = Vec::new();
        self.each_diff(from, to, scope, &mut |diff| {
            diffs.push(diff);
            Ok(true)
        })?;
        Ok(diffs)
    }

    /// Gives each entity that differs between two points, by collection and id, for as long as `each` says `true`.
    /// In memory is one at a time. All events of the scope are looked at; an entity is replayed only if some
    /// event of it is at one of the points and not at the other.
    ///
    /// # Errors
    ///
    /// Those of [`Db::as_of`], for both points, and the first one of `each`.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::{DiffScope, Point};
    /// let (now, mut differ) = (Point::Now, 0);
    /// db.each_diff(&now, &now, &DiffScope::Thread, &mut |_| { differ += 1; Ok(true) }).unwrap();
    /// assert_eq!(differ, 0);
    /// ```
    pub fn each_diff(
        &self,
        from: &Point,
        to: &Point,
        scope: &DiffScope,
        each: &mut dyn FnMut(EntityDiff) -> Result<bool>,
    ) -> Result<()> {
        let thread = self.thread();
        thread.check_reads()?;
        let txn = thread.node.store.read()?;
        let cuts = [Cut::at(&*txn, thread, from)?, Cut::at(&*txn, thread, to)?];
        for name in names(&*txn, thread.number, scope)? {
            let Some(number) = walk::number(&*txn, thread, &name)? else {
                continue;
            };
            let mut replayer = Replayer::new(&*txn, thread, number);
            if let DiffScope::Entity(_, id) = scope {
                let kept = replayer.entity(id.as_str())?;
                if let Some(diff) = differs(&mut replayer, &name, &kept, &cuts)? {
                    each(diff)?;
                }
                continue;
            }
            for kept in Entities::new(&*txn, thread, number)? {
                if let Some(diff) = differs(&mut replayer, &name, &kept?, &cuts)?
                    && !each(diff)?
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl<T> Collection<T> {
    /// Every entity of this collection that differs between two points, in memory; see [`Collection::each_diff`].
    ///
    /// # Errors
    ///
    /// Those of [`Db::as_of`], for both points.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::Point;
    /// let before = Point::Records(db.heads().unwrap());
    /// people.patch("bob", &serde_json::json!({"age": 43})).unwrap();
    /// let diffs = people.diff(&before, &Point::Now).unwrap();
    /// assert_eq!(diffs[0].edits[0].to_string(), "age: 42 → 43");
    /// ```
    pub fn diff(&self, from: &Point, to: &Point) -> Result<Vec<EntityDiff>> {
        let mut diffs = Vec::new();
        self.each_diff(from, to, &mut |diff| {
            diffs.push(diff);
            Ok(true)
        })?;
        Ok(diffs)
    }

    /// Gives each entity of this collection that differs between two points, by id, as the collection shows it: one of
    /// a [module](crate::InstalledModule) shows what its version sees, and leaves out what makes no difference to that.
    /// See [`Db::each_diff`] for what it costs.
    ///
    /// # Errors
    ///
    /// Those of [`Db::each_diff`].
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::Point;
    /// people.each_diff(&Point::Now, &Point::Now, &mut |diff| {
    ///     println!("{}", diff.entity);
    ///     Ok(true)
    /// }).unwrap();
    /// ```
    pub fn each_diff(
        &self,
        from: &Point,
        to: &Point,
        each: &mut dyn FnMut(EntityDiff) -> Result<bool>,
    ) -> Result<()> {
        let scope = DiffScope::Collection(self.name().clone());
        self.db().each_diff(from, to, &scope, &mut |diff| {
            let diff = match self.view() {
                Some(_) => diff.seen(|stored| self.shows(stored)),
                None => Some(diff),
            };
            diff.map_or(Ok(true), &mut *each)
        })
    }
}

fn names(
    txn: &dyn ReadTxn,
    thread: layout::Number,
    scope: &DiffScope,
) -> Result<Vec<CollectionName>> {
    match scope {
        DiffScope::Thread => {
            let all = layout::collections(txn, thread)?.into_iter();
            Ok(all
                .map(|(_, name)| name)
                .filter(|name| !name.is_reserved())
                .collect())
        }
        DiffScope::Collection(name) | DiffScope::Entity(name, _) => Ok(vec![name.clone()]),
    }
}

fn differs(
    replayer: &mut Replayer<'_>,
    collection: &CollectionName,
    kept: &Kept,
    [from, to]: &[Cut; 2],
) -> Result<Option<EntityDiff>> {
    if kept.rows.iter().all(|row| from.has(row) == to.has(row)) {
        return Ok(None);
    }
    let mut value = |cut: &Cut| -> Result<Option<Value>> {
        let document = replayer.document(kept, cut)?;
        document.as_ref().map(Document::value).transpose()
    };
    let (before, after) = (value(from)?, value(to)?);
    let Some(action) = feed::net_kind(before.as_ref(), after.as_ref()) else {
        return Ok(None);
    };
    Ok(Some(EntityDiff {
        collection: collection.clone(),
        entity: kept.id.parse()?,
        action,
        edits: edit::edits(before.as_ref(), after.as_ref()),
        before,
        after,
    }))
}
