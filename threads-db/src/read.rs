//! Reading a collection within a transaction: by id, by plan, row by row.

use serde_json::Value;
use threads_core::datastore::{Direction, Keyspace, ReadTxn};
use threads_core::{EntityId, Result};

use crate::catalogue::Definition;
use crate::entity::EntityRow;
use crate::history;
use crate::index::{self, key::KeyRange};
use crate::layout::{self, Prefix};
use crate::query::{self, Explain, Filter, Matcher, Page, Plan, Query};
use crate::thread::Thread;

/// One collection as one transaction sees it.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) txn: &'a dyn ReadTxn,
    pub(crate) thread: &'a Thread,
    pub(crate) definition: &'a Definition,
}

/// The bytes before the id in an entity's key.
const PREFIX_BYTES: usize = 8;

type Rows<'a> = Box<dyn Iterator<Item = Result<Value>> + 'a>;

impl<'a> Reader<'a> {
    /// The living entity of an id.
    pub(crate) fn get(&self, id: &str) -> Result<Option<Value>> {
        let key = layout::entity(self.thread.number, self.definition.number, id);
        // An id that no entity can have has no entity; the store would refuse the key.
        if id.parse::<EntityId>().is_err() {
            return Ok(None);
        }
        match EntityRow::get(self.txn, &key)? {
            Some(row) => history::view(self.thread, &row.life, id),
            None => Ok(None),
        }
    }

    /// Refuses a query that is malformed or asks for a field that no entity can have.
    fn check(&self, query: &Query) -> Result<()> {
        query.check()?;
        let Some(schema) = &self.definition.schema else {
            return Ok(());
        };
        let mut paths = query.paths().into_iter();
        paths
            .try_for_each(|path| schema.check_field(path))
            .map_err(|error| error.with("collection", &self.definition.name))
    }

    pub(crate) fn page(&self, query: &Query) -> Result<Page> {
        self.check(query)?;
        let plan = self.plan(query);
        let rows = self.rows(&plan)?;
        query::page_by_id(rows, query)
    }

    pub(crate) fn count(&self, query: &Query) -> Result<u64> {
        self.check(query)?;
        if query.filter.is_none() {
            return self.count_all();
        }
        query::count(self.rows(&self.plan(query))?, query)
    }

    /// Counts the living without looking into them.
    fn count_all(&self) -> Result<u64> {
        let prefix = self.prefix();
        let mut count = 0;
        for row in self
            .txn
            .scan(Keyspace::Entities, prefix.range(), Direction::Forward)?
        {
            count += u64::from(EntityRow::decode(&row?.1)?.life.is_live());
        }
        Ok(count)
    }

    pub(crate) fn for_each(
        &self,
        query: &Query,
        row: &mut dyn FnMut(Value) -> Result<bool>,
    ) -> Result<()> {
        if !query.sort.is_empty() || query.after.is_some() {
            for value in self.page(query)?.rows {
                if !row(value)? {
                    break;
                }
            }
            return Ok(());
        }
        self.check(query)?;
        let everything = Filter::And(Vec::new());
        let matcher = Matcher::new(query.filter.as_ref().unwrap_or(&everything))?;
        let (mut skip, mut left) = (query.skip, query.limit.unwrap_or(u64::MAX));
        for value in self.rows(&self.plan(query))? {
            let value = value?;
            if left == 0 {
                break;
            }
            if !matcher.matches(&value) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            left -= 1;
            let value = if query.fields.is_empty() {
                value
            } else {
                query::project(&value, &query.fields)
            };
            if !row(value)? {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn explain(&self, query: &Query) -> Result<Explain> {
        self.check(query)?;
        Ok(self.plan(query).explain(query.filter.as_ref()))
    }

    fn plan(&self, query: &Query) -> Plan {
        query.plan(&self.definition.index_infos())
    }

    fn prefix(&self) -> Prefix {
        Prefix::new(&layout::collection_prefix(
            self.thread.number,
            self.definition.number,
        ))
    }

    /// The rows where a plan looks: all that can meet the filter, and perhaps more.
    fn rows(&self, plan: &Plan) -> Result<Rows<'a>> {
        let reader = *self;
        match plan {
            Plan::ById(ids) => {
                let ids = ids.clone();
                Ok(Box::new(
                    ids.into_iter()
                        .filter_map(move |id| reader.get(&id).transpose()),
                ))
            }
            Plan::Index { .. } | Plan::Union(_) => {
                let mut ids = Vec::new();
                self.ids(plan, &mut ids)?;
                // In the order of a scan, each once, whatever the plan.
                ids.sort_unstable();
                ids.dedup();
                let get = move |id: EntityId| reader.get(id.as_str()).transpose();
                Ok(Box::new(ids.into_iter().filter_map(get)))
            }
            Plan::Scan => self.scan(),
        }
    }

    /// The ids that a plan finds, perhaps several times.
    fn ids(&self, plan: &Plan, ids: &mut Vec<EntityId>) -> Result<()> {
        match plan {
            Plan::ById(found) => {
                ids.extend(found.iter().filter_map(|id| id.parse::<EntityId>().ok()));
            }
            Plan::Index { name, ranges } => self.index_ids(name, ranges, ids)?,
            Plan::Union(plans) => {
                for plan in plans {
                    self.ids(plan, ids)?;
                }
            }
            Plan::Scan => {}
        }
        Ok(())
    }

    fn index_ids(&self, name: &str, ranges: &[KeyRange], ids: &mut Vec<EntityId>) -> Result<()> {
        let found = self
            .definition
            .indexes
            .iter()
            .find(|index| index.name == name);
        let Some(index) = found else { return Ok(()) };
        let prefix = layout::index(self.thread.number, index.number);
        for range in ranges {
            let range = range.under(&prefix);
            for row in self
                .txn
                .scan(Keyspace::Indexes, range.bounds(), Direction::Forward)?
            {
                let (key, value) = row?;
                ids.push(index::row_entity(&key, &value)?);
            }
        }
        Ok(())
    }

    fn scan(&self) -> Result<Rows<'a>> {
        let (prefix, thread) = (self.prefix(), self.thread);
        let rows = self
            .txn
            .scan(Keyspace::Entities, prefix.range(), Direction::Forward)?;
        Ok(Box::new(rows.filter_map(move |row| {
            let value = row.and_then(|(key, value)| {
                let id = layout::entity_id(&key, PREFIX_BYTES)?;
                history::view(thread, &EntityRow::decode(&value)?.life, id.as_str())
            });
            value.transpose()
        })))
    }
}
