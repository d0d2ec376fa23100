//! Live queries: a result, and then what changes in it.
//!
//! A live query has no queue and nobody works for it. When it is asked it looks at which entities the feed
//! says were touched since it last looked, reads these as they are now, all from one snapshot, and compares
//! them with what it keeps of its rows: id, what they are sorted by, and a digest of what they show. What
//! the records said, in which order they came, and whether they were undone does not matter to it, so late
//! events, reverts and purges are changes like any other, and the cost is that of what was touched.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use threads_core::datastore::{Keyspace, ReadTxn};
use threads_core::{EntityId, Error, ErrorKind, Result};

use crate::catalogue::{Catalogue, Definition};
use crate::collection::Collection;
use crate::document::Document;
use crate::layout::meta;
use crate::query::{Candidate, Cursor, Filter, Found, Matcher, Query, TooExpensive};
use crate::read::{Reader, Shown};
use crate::thread::{Thread, Tip};

mod diff;
mod row;
#[cfg(test)]
pub(crate) mod tests;
mod touched;
mod update;
mod view;
mod window;

use diff::Step;
use row::Row;
pub use touched::{LIVE_ENTITIES_MAX, LIVE_RECORDS_MAX};
pub use update::{LiveChange, LiveUpdate, Renewed};
pub use view::LiveView;
use window::{Room, Touched, Window};

/// The most rows behind its limit that a live query keeps, so that rows that go have others to take their
/// place. There are as many as the limit, within bounds; when they are used up, the query runs on from
/// the last one.
pub const LIVE_SPARE_ROWS_MAX: usize = 1_024;

/// The least of them.
const SPARE_ROWS_MIN: usize = 64;

/// A query that stays: it gives its result, and then what changes in it. Made by [`Collection::watch`].
///
/// It keeps of each row of the result the id and what it is sorted by, in memory, and nothing on disk:
/// after a restart it begins with a fresh result.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// use threads_db::{LiveChange, LiveUpdate, query::Query};
///
/// let mut live = people.watch(&Query::parse("age > 40").unwrap().sort("age")).unwrap();
/// let mut list = Vec::new();
/// live.try_next().unwrap().unwrap().apply(&mut list);
/// assert_eq!(list.len(), 1);
///
/// people.create(&serde_json::json!({"_id": "ann", "age": 41})).unwrap();
/// let update = live.try_next().unwrap().unwrap();
/// let LiveUpdate::Changes(changes) = &update else { panic!() };
/// assert!(matches!(&changes[..], [LiveChange::Added { at: 0, .. }]));
/// update.apply(&mut list);
/// assert_eq!(list[0]["age"], 41);
/// assert!(live.try_next().unwrap().is_none());
/// ```
pub struct LiveQuery<T> {
    collection: Collection<T>,
    query: Query,
    /// Where things stood at the last look.
    seen: Option<Point>,
    /// What is kept of the rows; none when the result is to be told from the beginning.
    kept: Option<Kept>,
    why: Renewed,
}

/// What is kept of a result.
struct Kept {
    definition: Arc<Definition>,
    window: Window,
}

/// Where a thread stands: while it stands there, nothing changed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Point {
    position: u64,
    /// Of its definitions.
    generation: u64,
    /// The codecs that are installed.
    codecs: Vec<u8>,
}

impl Point {
    fn get(txn: &dyn ReadTxn, thread: &Thread) -> Result<Self> {
        let codecs = txn.get(Keyspace::Meta, &meta::codecs(thread.number))?;
        Ok(Self {
            position: Tip::get(txn, thread.number)?.position,
            generation: Catalogue::generation(txn, thread.number)?,
            codecs: codecs.unwrap_or_default().into_owned(),
        })
    }
}

impl<T> fmt::Debug for LiveQuery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveQuery")
            .field("collection", &self.collection)
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Collection<T> {
    /// Watches a query: its result comes first, as [`Collection::find`] gives it, then what changes in it.
    ///
    /// Filter, order, skip, limit, cursor, fields and caps mean what they mean to [`Collection::find`]. The
    /// caps hold for the result at any time; once it exceeds them the live query says so, and begins anew
    /// when something changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a malformed query.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::query::Query;
    /// let mut live = people.watch(&Query::new().sort_desc("age").limit(10)).unwrap();
    /// assert!(live.try_next().unwrap().is_some(), "the result");
    /// assert!(people.watch(&Query::new().sort("a..b")).is_err());
    /// ```
    pub fn watch(&self, query: &Query) -> Result<LiveQuery<T>> {
        let live = LiveQuery {
            collection: self.clone(),
            query: query.clone(),
            seen: None,
            kept: None,
            why: Renewed::First,
        };
        let txn = self.db().thread().node.store.read()?;
        let definition = live.definition(&*txn)?;
        live.reader(&*txn, &definition).check(query)?;
        Ok(live)
    }
}

impl<T> LiveQuery<T> {
    /// The ids of the rows, in their order, as of the last update.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let mut live = people.watch(&Default::default()).unwrap();
    /// live.try_next().unwrap();
    /// assert_eq!(live.ids().collect::<Vec<_>>(), ["bob"]);
    /// ```
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let shown = self.kept.iter().flat_map(|kept| kept.window.shown());
        shown.map(|row| row.place.id())
    }

    fn definition(&self, txn: &dyn ReadTxn) -> Result<Arc<Definition>> {
        let catalogue = self.collection.db().catalogue(txn)?;
        Ok(Arc::clone(catalogue.get(self.collection.name())?))
    }

    fn reader<'r>(&'r self, txn: &'r dyn ReadTxn, definition: &'r Definition) -> Reader<'r> {
        Reader {
            txn,
            thread: self.collection.db().thread(),
            definition,
            view: self.collection.view(),
        }
    }

    /// Why the result has to be told from the beginning, if it has to.
    fn renewed(&self, point: &Point, definition: &Definition) -> Option<Renewed> {
        let (Some(kept), Some(seen)) = (&self.kept, &self.seen) else {
            return Some(self.why);
        };
        let old = &*kept.definition;
        let same = seen.codecs == point.codecs
            && (old.number, old.version) == (definition.number, definition.version)
            && old.codec_id == definition.codec_id
            && old.schema_text == definition.schema_text;
        (!same).then_some(Renewed::Redefined)
    }
}

impl<T: DeserializeOwned> LiveQuery<T> {
    /// What is new, if anything is: the result at first, then whatever changed in it since the last call.
    ///
    /// # Errors
    ///
    /// Those of [`Collection::find`]. The next update after one is a whole result; where the query cannot be
    /// answered as things stand, it comes when they changed.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let mut live = people.watch(&Default::default()).unwrap();
    /// assert!(live.try_next().unwrap().is_some());
    /// assert!(live.try_next().unwrap().is_none());
    /// ```
    pub fn try_next(&mut self) -> Result<Option<LiveUpdate<T>>> {
        let db = self.collection.db().clone();
        let txn = db.thread().node.store.read()?;
        let point = Point::get(&*txn, db.thread())?;
        if self.seen.as_ref() == Some(&point) {
            return Ok(None);
        }
        let looked = self.look(&*txn, &point);
        match &looked {
            Ok(_) => self.seen = Some(point),
            Err(error) => {
                (self.kept, self.why) = (None, Renewed::Failed);
                self.seen = is_final(error).then_some(point);
            }
        }
        looked
    }

    /// What is new, waiting for it up to `wait`.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use std::time::Duration;
    /// let mut live = people.watch(&Default::default()).unwrap();
    /// assert!(live.next_timeout(Duration::from_millis(1)).unwrap().is_some());
    /// assert!(live.next_timeout(Duration::from_millis(1)).unwrap().is_none());
    /// ```
    pub fn next_timeout(&mut self, wait: Duration) -> Result<Option<LiveUpdate<T>>> {
        let node = Arc::clone(&self.collection.db().thread().node);
        node.notifier.next(&*node.clock, wait, || self.try_next())
    }

    fn look(&mut self, txn: &dyn ReadTxn, point: &Point) -> Result<Option<LiveUpdate<T>>> {
        let definition = self.definition(txn)?;
        if let Some(why) = self.renewed(point, &definition) {
            return self.begin(txn, definition, why).map(Some);
        }
        let seen = self.seen.as_ref().map_or(0, |seen| seen.position);
        let thread = self.collection.db().thread();
        let name = self.collection.name();
        match touched::since(txn, thread, name, (seen, point.position))? {
            Some(touched) => self.follow(txn, definition, touched),
            None => self.begin(txn, definition, Renewed::Behind).map(Some),
        }
    }

    /// Runs the query.
    fn begin(
        &mut self,
        txn: &dyn ReadTxn,
        definition: Arc<Definition>,
        why: Renewed,
    ) -> Result<LiveUpdate<T>> {
        let reader = self.reader(txn, &definition);
        let shown = Shown::new(&self.query);
        let (room, found) = first(&reader, &self.query)?;
        let visible = found.rows.iter().skip(room.shown.start);
        let visible = visible.take(room.shown.len());
        let rows = visible.map(|document| shown.read(document));
        let rows = rows.collect::<Result<_>>()?;
        let kept = self.rows(&found, &shown)?;
        let window = Window::new(self.query.sort.clone(), room, kept, found.next.is_some());
        self.kept = Some(Kept { definition, window });
        Ok(LiveUpdate::Reset { why, rows })
    }

    /// Follows what became of the entities that were touched.
    fn follow(
        &mut self,
        txn: &dyn ReadTxn,
        definition: Arc<Definition>,
        ids: impl IntoIterator<Item = EntityId>,
    ) -> Result<Option<LiveUpdate<T>>> {
        let Some(Kept { mut window, .. }) = self.kept.take() else {
            return Ok(None);
        };
        let reader = self.reader(txn, &definition);
        let shown = Shown::new(&self.query);
        let (mut touched, documents) = self.touched(&reader, &shown, ids)?;
        window.sift(&mut touched);
        let mut changes = Vec::new();
        if !touched.is_empty() {
            let ids: Vec<EntityId> = touched.iter().map(|(id, _)| id.clone()).collect();
            let old = window.side(&ids);
            window.replace(&old, touched);
            self.refill(&reader, &shown, &mut window)?;
            let steps = diff::steps(&old, &window.side(&ids), window.order());
            let read = |id: &EntityId| match documents.get(id) {
                Some(document) => shown.read(document),
                None => shown.read(&reader.entity(id)?.ok_or_else(gone)?),
            };
            changes = changes_of(steps, &window, read)?;
            window.trim(reader.caps(&self.query))?;
        }
        self.kept = Some(Kept { definition, window });
        Ok((!changes.is_empty()).then_some(LiveUpdate::Changes(changes)))
    }
}

impl<T> LiveQuery<T> {
    /// What became of entities, and those that meet the query.
    fn touched(
        &self,
        reader: &Reader<'_>,
        shown: &Shown<'_>,
        ids: impl IntoIterator<Item = EntityId>,
    ) -> Result<(Vec<Touched>, HashMap<EntityId, Document>)> {
        let everything = Filter::And(Vec::new());
        let matcher = Matcher::new(self.query.filter.as_ref().unwrap_or(&everything))?;
        let (mut touched, mut documents) = (Vec::new(), HashMap::new());
        for id in ids {
            let document = reader.entity(&id)?;
            let document = document.filter(|document| document.meets(&matcher));
            let mut row = match &document {
                Some(document) => Some(self.row(document, shown)?),
                None => None,
            };
            row.take_if(|row| !self.is_after_cursor(row));
            if let Some(document) = document.filter(|_| row.is_some()) {
                documents.insert(id.clone(), document);
            }
            touched.push((id, row));
        }
        Ok((touched, documents))
    }

    fn is_after_cursor(&self, row: &Row) -> bool {
        let cursor = self.query.after.as_ref();
        cursor.is_none_or(|cursor| cursor.precedes(&self.query, &row.place))
    }

    fn row(&self, document: &Document, shown: &Shown<'_>) -> Result<Row> {
        let place = document.place(&self.query.sort)?;
        let bytes = document.bytes() + place.bytes();
        let hash = match shown.part(document)? {
            None => Sha256::digest(document.text()),
            Some(part) => Sha256::digest(part.to_string()),
        };
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash[..16]);
        Ok(Row {
            place,
            digest,
            bytes,
        })
    }

    fn rows(&self, found: &Found<Document>, shown: &Shown<'_>) -> Result<Vec<Row>> {
        let rows = found.rows.iter().map(|document| self.row(document, shown));
        rows.collect()
    }

    /// Runs the query on from the last row that is kept, when there are not enough.
    fn refill(&self, reader: &Reader<'_>, shown: &Shown<'_>, window: &mut Window) -> Result<()> {
        let Some((horizon, rows)) = window.lacks() else {
            return Ok(());
        };
        let cursor = Cursor::at(&self.query, horizon.clone());
        let query = self.query.clone().after(cursor).limit(rows as u64);
        let found = reader.found(&query)?;
        window.append(self.rows(&found, shown)?, found.next.is_some());
        Ok(())
    }
}

/// The first rows of a query, the spare ones included, and how many are to be kept.
fn first(reader: &Reader<'_>, query: &Query) -> Result<(Room, Found<Document>)> {
    let rows = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    // After a cursor a query skips nothing.
    let skip = rows(query.after.as_ref().map_or(query.skip, |_| 0));
    let Some(limit) = query.limit.map(rows) else {
        let shown = skip..usize::MAX;
        let found = reader.found(&query.clone().skip(0))?;
        return Ok((Room { shown, spare: 0 }, found));
    };
    let shown = skip..skip.saturating_add(limit);
    let room = rows(reader.caps(query).rows).saturating_sub(shown.end);
    let spare = limit.clamp(SPARE_ROWS_MIN, LIVE_SPARE_ROWS_MAX).min(room);
    let run = |spare: usize| match limit {
        0 => reader.found(query),
        _ => {
            let end = shown.end.saturating_add(spare) as u64;
            reader.found(&query.clone().skip(0).limit(end))
        }
    };
    let (spare, found) = match run(spare) {
        // The query itself may be within its caps.
        Err(error) if spare > 0 && TooExpensive::of(&error).is_some() => (0, run(0)?),
        found => (spare, found?),
    };
    Ok((Room { shown, spare }, found))
}

/// The changes that steps are, each with what its row shows.
fn changes_of<T>(
    steps: Vec<Step>,
    window: &Window,
    read: impl Fn(&EntityId) -> Result<T>,
) -> Result<Vec<LiveChange<T>>> {
    let first = window.first();
    let id = |index: usize| -> Result<EntityId> {
        window.row(index).ok_or_else(gone)?.place.id().parse()
    };
    let change = |step| {
        Ok(match step {
            Step::Removed(from, row) => LiveChange::Removed {
                from: from - first,
                id: row.place.id().parse()?,
            },
            Step::Moved(from, to) => LiveChange::Moved {
                from: from - first,
                to: to - first,
                id: id(to)?,
            },
            Step::Added(at) => LiveChange::Added {
                at: at - first,
                id: id(at)?,
                row: read(&id(at)?)?,
            },
            Step::Changed(at) => LiveChange::Changed {
                at: at - first,
                id: id(at)?,
                row: read(&id(at)?)?,
            },
        })
    };
    steps.into_iter().map(change).collect()
}

/// A row that is kept has an entity in the snapshot that it was compared with.
fn gone() -> Error {
    Error::corrupt("a row of a live query has no entity: verify the thread")
}

/// Whether the same error would come again as long as nothing changes.
fn is_final(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Corrupt
    )
}

/// The updates as they come; it ends only with the program.
impl<T: DeserializeOwned> Stream for LiveQuery<T> {
    type Item = Result<LiveUpdate<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let node = Arc::clone(&self.collection.db().thread().node);
        node.notifier.poll(cx, || self.try_next())
    }
}
