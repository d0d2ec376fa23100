//! Reading a collection within a transaction: by id, by plan, row by row.

use std::borrow::Cow;
use std::ops::Bound;

use serde::de::DeserializeOwned;
use serde_json::Value;
use threads_core::codec::EntityState;
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::{EntityId, Error, Result};

use crate::catalogue::Definition;
use crate::document::{Document, Members};
use crate::entity::EntityRow;
use crate::history;
use crate::index::{self, key::KeyRange};
use crate::layout::{self, Prefix};
use crate::modules::View;
use crate::query::{
    self, Candidate, Explain, Filter, Found, Guard, IdRange, Matcher, Plan, Projection, Query,
    QueryCaps,
};
use crate::thread::Thread;
use crate::txn::Rows;

/// One collection as one transaction sees it.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) txn: &'a dyn ReadTxn,
    pub(crate) thread: &'a Thread,
    pub(crate) definition: &'a Definition,
    /// How a version of a module sees it, if one does: what is read is what that sees.
    pub(crate) view: Option<&'a View>,
}

/// The bytes before the id in an entity's key.
const PREFIX_BYTES: usize = 8;
/// What an id takes in memory besides its text: where it is, how long, and who shares it.
const ID_BYTES: usize = 4 * size_of::<usize>();

pub(crate) type Documents<'a> = Box<dyn Iterator<Item = Result<Document>> + 'a>;

impl<'a> Reader<'a> {
    /// The living entity of an id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) for one that another codec
    /// made, which is not installed here: it may live or not.
    pub(crate) fn get(&self, id: &str) -> Result<Option<Document>> {
        // An id that no entity can have has no entity; the store would refuse the key.
        let Ok(id) = id.parse::<EntityId>() else {
            return Ok(None);
        };
        let Some(row) = self.row(&id)? else {
            return Ok(None);
        };
        if let Some(codec) = EntityRow::waiting(&row)? {
            let missing = self.thread.node.codecs.get(&codec).err();
            return missing.map_or(Ok(None), |error| Err(error.with("_id", id)));
        }
        self.shown(document(self.thread, &row, id.as_str())?)
    }

    /// The living entity of an id, if its codec is installed here.
    pub(crate) fn entity(&self, id: &EntityId) -> Result<Option<Document>> {
        self.shown(self.stored(id)?)
    }

    fn shown(&self, stored: Option<Document>) -> Result<Option<Document>> {
        match self.view {
            Some(view) => stored.map(|stored| view.document(&stored)).transpose(),
            None => Ok(stored),
        }
    }

    fn stored(&self, id: &EntityId) -> Result<Option<Document>> {
        match self.row(id)? {
            Some(row) => document(self.thread, &row, id.as_str()),
            None => Ok(None),
        }
    }

    fn row(&self, id: &EntityId) -> Result<Option<Cow<'_, [u8]>>> {
        let key = layout::entity(self.thread.number, self.definition.number, id.as_str());
        self.txn.get(Keyspace::Entities, &key)
    }

    /// Refuses a query that is malformed or asks for a field that no entity can have.
    pub(crate) fn check(&self, query: &Query) -> Result<()> {
        query.check()?;
        let schema = self.definition.schema.as_ref();
        let Some(schema) = self.view.map(View::schema).or(schema) else {
            return Ok(());
        };
        let mut paths = query.paths().into_iter();
        paths
            .try_for_each(|path| schema.check_field(path))
            .map_err(|error| error.with("collection", &self.definition.name))
    }

    /// The entities that a query finds, in its order.
    pub(crate) fn page<T: DeserializeOwned>(&self, query: &Query) -> Result<Rows<T>> {
        rows(self.found(query)?, query)
    }

    /// The same, as documents.
    pub(crate) fn found(&self, query: &Query) -> Result<Found<Document>> {
        self.check(query)?;
        let in_order = match query.id_order() {
            Some(Direction::Forward) => true,
            Some(Direction::Reverse) => self.plan(query).is_scan(),
            None => false,
        };
        query::run(self.documents(query)?, query, in_order, self.caps(query))
    }

    pub(crate) fn count(&self, query: &Query) -> Result<u64> {
        self.check(query)?;
        if query.filter.is_none() {
            return self.count_all(self.guard(query));
        }
        query::count_of(self.documents(query)?, query)
    }

    /// Counts the living without looking into them.
    fn count_all(&self, guard: Guard<'_>) -> Result<u64> {
        let prefix = self.prefix();
        let mut count = 0;
        let rows = self
            .txn
            .scan(Keyspace::Entities, prefix.range(), Direction::Forward)?;
        for row in guard.watch(rows) {
            count += u64::from(EntityRow::living(&row?.1)?.is_some());
        }
        Ok(count)
    }

    pub(crate) fn for_each(
        &self,
        query: &Query,
        row: &mut dyn FnMut(Value) -> Result<bool>,
    ) -> Result<()> {
        if !query.sort.is_empty() || query.after.is_some() {
            for value in self.page::<Value>(query)?.rows {
                if !row(value)? {
                    break;
                }
            }
            return Ok(());
        }
        self.check(query)?;
        stream(self.documents(query)?, query, row)
    }

    pub(crate) fn explain(&self, query: &Query) -> Result<Explain> {
        self.check(query)?;
        Ok(self.plan(query).explain(query.filter.as_ref()))
    }

    fn plan(&self, query: &Query) -> Plan {
        let indexes = self.definition.index_infos();
        match self.view {
            Some(view) => Plan::choose(view.narrowed(query).as_ref(), &indexes),
            None => query.plan(&indexes),
        }
    }

    fn prefix(&self) -> Prefix {
        Prefix::new(&layout::collection_prefix(
            self.thread.number,
            self.definition.number,
        ))
    }

    /// What a query may cost.
    pub(crate) fn caps(&self, query: &Query) -> QueryCaps {
        query.caps.unwrap_or(self.thread.node.caps)
    }

    fn guard(&self, query: &Query) -> Guard<'a> {
        Guard::new(self.caps(query), &*self.thread.node.clock)
    }

    /// The rows where a query looks: all that can meet its filter, and perhaps more; as many as its
    /// caps allow.
    fn documents(&self, query: &Query) -> Result<Documents<'a>> {
        let stored = self.stored_documents(query)?;
        match self.view {
            Some(view) => Ok(view.documents(query, stored)),
            None => Ok(stored),
        }
    }

    fn stored_documents(&self, query: &Query) -> Result<Documents<'a>> {
        let (reader, plan) = (*self, self.plan(query));
        let guard = self.guard(query);
        match &plan {
            Plan::ById(ids) => {
                let ids = ids.clone();
                // What waits for its codec is not found, as in a scan.
                let ids = ids.into_iter().filter_map(|id| id.parse::<EntityId>().ok());
                let get = move |id: EntityId| reader.stored(&id).transpose();
                Ok(Box::new(guard.watch(ids.filter_map(get))))
            }
            Plan::Index { .. } | Plan::Union(_) => {
                let mut ids = Ids::at_most(self.caps(query).bytes);
                if !self.ids(&plan, &mut guard.clone(), &mut ids)? {
                    return self.scan(&IdRange::ALL, Direction::Forward, guard);
                }
                let get = move |id: EntityId| reader.stored(&id).transpose();
                let ids = ids.in_order().into_iter();
                Ok(Box::new(guard.watch(ids.filter_map(get))))
            }
            Plan::IdRange(range) => self.scan_in_order(range.clone(), query, guard),
            Plan::Scan => self.scan_in_order(IdRange::ALL, query, guard),
        }
    }

    /// The ids that a plan finds, perhaps several times. `false` when they are too many.
    fn ids(&self, plan: &Plan, guard: &mut Guard<'_>, ids: &mut Ids) -> Result<bool> {
        match plan {
            Plan::ById(found) => {
                let mut found = found.iter().filter_map(|id| id.parse().ok());
                Ok(found.all(|id| ids.push(id)))
            }
            Plan::Index { name, ranges } => self.index_ids(name, ranges, guard, ids),
            Plan::Union(plans) => {
                for plan in plans {
                    if !self.ids(plan, guard, ids)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Plan::IdRange(_) | Plan::Scan => Ok(true),
        }
    }

    fn index_ids(
        &self,
        name: &str,
        ranges: &[KeyRange],
        guard: &mut Guard<'_>,
        ids: &mut Ids,
    ) -> Result<bool> {
        let found = self
            .definition
            .indexes
            .iter()
            .find(|index| index.name == name);
        let Some(index) = found else { return Ok(true) };
        let prefix = layout::index(self.thread.number, index.number);
        for range in ranges {
            let range = range.under(&prefix);
            for row in self
                .txn
                .scan(Keyspace::Indexes, range.bounds(), Direction::Forward)?
            {
                let (key, value) = row?;
                guard.examine()?;
                if !ids.push(index::row_entity(&key, &value)?) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// A scan in the order of ids that the query wants, from where the page before it ended.
    fn scan_in_order(
        &self,
        mut range: IdRange,
        query: &Query,
        guard: Guard<'a>,
    ) -> Result<Documents<'a>> {
        let order = query.id_order();
        let after = query.after.as_ref();
        let after = after.map(|cursor| Bound::Excluded(cursor.id().as_bytes().to_vec()));
        match (order, after) {
            (Some(Direction::Forward), Some(after)) => range.from(after),
            (Some(Direction::Reverse), Some(after)) => range.to(after),
            _ => {}
        }
        self.scan(&range, order.unwrap_or(Direction::Forward), guard)
    }

    fn scan(
        &self,
        range: &IdRange,
        direction: Direction,
        guard: Guard<'a>,
    ) -> Result<Documents<'a>> {
        let (prefix, thread) = (self.prefix(), self.thread);
        let number = layout::collection_prefix(thread.number, self.definition.number);
        let [low, high] = range.under(&number, prefix.range());
        let bounds = (
            low.as_ref().map(Vec::as_slice),
            high.as_ref().map(Vec::as_slice),
        );
        let rows = self.txn.scan(Keyspace::Entities, bounds, direction)?;
        Ok(Box::new(guard.watch(rows).filter_map(move |row| {
            let document = row.and_then(|(key, value)| {
                let id = layout::entity_id_text(&key, PREFIX_BYTES)?;
                document(thread, &value, id)
            });
            document.transpose()
        })))
    }
}

/// Ids that indexes find, in bounded memory.
struct Ids {
    found: Vec<EntityId>,
    bytes_left: u64,
}

impl Ids {
    fn at_most(bytes: u64) -> Self {
        Self {
            found: Vec::new(),
            bytes_left: bytes,
        }
    }

    /// `false` when there is no room for it.
    fn push(&mut self, id: EntityId) -> bool {
        let bytes = (id.as_str().len() + ID_BYTES) as u64;
        let left = self.bytes_left.checked_sub(bytes);
        if let Some(left) = left {
            self.bytes_left = left;
            self.found.push(id);
        }
        left.is_some()
    }

    /// In the order of a scan, each once, whatever the plan.
    fn in_order(mut self) -> Vec<EntityId> {
        self.found.sort_unstable();
        self.found.dedup();
        self.found
    }
}

/// What applications see of an entity's row.
fn document(thread: &Thread, row: &[u8], id: &str) -> Result<Option<Document>> {
    match EntityRow::living(row)? {
        Some((codec, state)) => history::document(thread, codec, EntityState::new(state), id),
        None => Ok(None),
    }
}

/// What a query found, as it shows it.
pub(crate) fn rows<T: DeserializeOwned>(found: Found<Document>, query: &Query) -> Result<Rows<T>> {
    let shown = Shown::new(query);
    let rows = found.rows.iter().map(|document| shown.read(document));
    Ok(Rows {
        rows: rows.collect::<Result<_>>()?,
        next: found.next,
    })
}

/// Gives the rows of a query that has no order and no cursor as they come, for as long as `row` says `true`.
pub(crate) fn stream(
    documents: impl IntoIterator<Item = Result<Document>>,
    query: &Query,
    row: &mut dyn FnMut(Value) -> Result<bool>,
) -> Result<()> {
    let everything = Filter::And(Vec::new());
    let matcher = Matcher::new(query.filter.as_ref().unwrap_or(&everything))?;
    let shown = Shown::new(query);
    let (mut skip, mut left) = (query.skip, query.limit.unwrap_or(u64::MAX));
    for document in documents {
        let document = document?;
        if left == 0 {
            break;
        }
        if !document.meets(&matcher) {
            continue;
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        left -= 1;
        if !row(shown.read(&document)?)? {
            break;
        }
    }
    Ok(())
}

/// What a query shows of the entities that it finds: all of each, or some fields.
pub(crate) struct Shown<'q>(Option<(Members, Projection<'q>)>);

impl<'q> Shown<'q> {
    pub(crate) fn new(query: &'q Query) -> Self {
        let fields = &query.fields;
        let some = || (Members::of(fields), Projection::new(fields));
        Self((!fields.is_empty()).then(some))
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, document: &Document) -> Result<T> {
        match self.part(document)? {
            None => document.read(),
            Some(value) => serde_json::from_value(value).map_err(|cause| {
                Error::invalid("the fields of an entity are not of the collection's type")
                    .caused_by(cause)
            }),
        }
    }

    /// The fields that the query asks for; none when it asks for all.
    pub(crate) fn part(&self, document: &Document) -> Result<Option<Value>> {
        let read = |(members, projection): &(Members, Projection<'_>)| {
            Ok(projection.apply(&members.read(document.text())?))
        };
        self.0.as_ref().map(read).transpose()
    }
}
