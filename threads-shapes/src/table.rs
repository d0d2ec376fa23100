//! Tables: rows with typed columns, filters, and joins on keys.
//!
//! A row is an entity of `lww/1`, and its key is the `_id`: of two who change one row, both keep the
//! columns that they wrote, and of one column the last writer wins. The columns are the collection's
//! schema, so they travel with the thread, and every program that writes the collection is held to them.
//!
//! ```
#![doc = include_str!("../doc/example.txt")]
//! use serde_json::json;
//! use threads_db::query::Query;
//! use threads_shapes::table::{Column, Kind, Table};
//!
//! let authors = Table::define(&db, "Author", &[Column::new("name", Kind::Text).required()]).unwrap();
//! let books = Table::define(
//!     &db,
//!     "Book",
//!     &[
//!         Column::new("title", Kind::Text).required().unique(),
//!         Column::new("year", Kind::Integer).indexed(),
//!         Column::new("author", Kind::Key),
//!     ],
//! )
//! .unwrap();
//! let ann = authors.insert(&json!({"name": "Ann"})).unwrap();
//! books.insert(&json!({"title": "Threads", "year": 2026, "author": ann})).unwrap();
//! assert!(books.insert(&json!({"title": "No", "year": "2026"})).is_err());
//!
//! let found = books.join(&Query::parse("year > 2000").unwrap(), "author", &authors).unwrap();
//! assert_eq!(found[0].left["title"], "Threads");
//! assert_eq!(found[0].right.as_ref().unwrap()["name"], "Ann");
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{Error, FieldPath, Result};
use threads_db::query::{IN_MAX, Query, QueryCaps, field};
use threads_db::{Collection, Db, ReadTransaction, Rows, WriteTransaction};

use crate::define;

mod column;

pub use column::{Column, Kind};

/// The most columns of a table.
///
/// ```
/// assert_eq!(threads_shapes::table::COLUMNS_MAX, 256);
/// ```
pub const COLUMNS_MAX: usize = 256;

/// A row of a join.
///
/// ```
/// use threads_shapes::table::Joined;
/// fn is_orphan(row: &Joined) -> bool { row.right.is_none() }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Joined {
    /// A row of the first table.
    pub left: Value,
    /// The row of the other table whose key it has, shared by all that have it; none if there is no such
    /// row.
    pub right: Option<Arc<Value>>,
}

/// A table in a collection. See the [module](self) for an example.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Collection<Value>,
}

impl Table {
    /// Defines a table, or gives it other columns: what is stored is not checked again, and an index
    /// stays until [`Db::drop_index`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for too many columns, one given twice or
    /// called `_id`, and a name that is no plain field;
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) when the codec `lww/1` is not
    /// registered; [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) for a collection of another
    /// codec, and a unique column over values that are not.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// use threads_shapes::table::{Column, Kind, Table};
    /// let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// ```
    pub fn define(db: &Db, name: &str, columns: &[Column]) -> Result<Self> {
        if columns.len() > COLUMNS_MAX {
            return Err(Error::invalid("a table has too many columns").with("most", COLUMNS_MAX));
        }
        let mut properties = Map::from_iter([("_id".to_owned(), json!({"type": "string"}))]);
        let mut spec = CollectionSpec::new(name.parse()?, define::LWW.parse()?);
        for column in columns {
            let path = FieldPath::new([column.name.as_str()])?;
            if properties
                .insert(column.name.clone(), column.schema())
                .is_some()
            {
                let error = Error::invalid("a column has a name of its own, and not _id");
                return Err(error.with("column", &column.name));
            }
            let (paths, unique) = (vec![path], column.index);
            spec.indexes
                .extend(unique.map(|unique| IndexSpec { paths, unique }));
        }
        let required = columns.iter().filter(|column| column.required);
        let required: Vec<_> = required.map(|column| &column.name).collect();
        let schema = json!({
            "type": "object", "properties": properties, "required": required,
            "additionalProperties": false,
        });
        db.define(&spec.with_schema(schema))?;
        Self::open(db, name)
    }

    /// The table of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when it is not defined, and
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) for a collection of another codec.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// assert!(threads_shapes::Table::open(&db, "Person").is_err());
    /// ```
    pub fn open(db: &Db, name: &str) -> Result<Self> {
        let rows = define::found(db, name, define::LWW)?;
        Ok(Self { rows })
    }

    /// Puts in a row and gives its key: its `_id`, or a new one. A key that was deleted cannot be used
    /// again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a value that its column does not
    /// hold, or that has none; [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the key
    /// or a unique value is taken.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// let key = people.insert(&serde_json::json!({"age": 41})).unwrap();
    /// assert!(people.insert(&serde_json::json!({"agee": 41})).is_err());
    /// ```
    pub fn insert(&self, row: &Value) -> Result<String> {
        self.write(|rows| rows.insert(row))
    }

    /// Changes columns of a row, each as a whole; `null` empties one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when there is no such row,
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for columns that are no object or change the
    /// key, and those of [`Table::insert`].
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// let key = people.insert(&serde_json::json!({"age": 41})).unwrap();
    /// people.update(&key, &serde_json::json!({"age": 42})).unwrap();
    /// assert_eq!(people.get(&key).unwrap().unwrap()["age"], 42);
    /// ```
    pub fn update(&self, key: &str, columns: &Value) -> Result<()> {
        self.write(|rows| rows.update(key, columns))
    }

    /// Changes columns of every row that a query finds; says how many it found.
    ///
    /// # Errors
    ///
    /// Those of [`Table::insert`] and [`Table::select`]: then nothing has changed.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// people.insert(&serde_json::json!({"age": 41})).unwrap();
    /// let old = threads_db::query::Query::parse("age > 40").unwrap();
    /// assert_eq!(people.update_all(&old, &serde_json::json!({"age": null})).unwrap(), 1);
    /// ```
    pub fn update_all(&self, query: &Query, columns: &Value) -> Result<u64> {
        self.write(|rows| {
            let found = rows.txn.find(&self.rows, &query.clone().fields(["_id"]))?;
            for row in &found {
                rows.update(row["_id"].as_str().unwrap_or_default(), columns)?;
            }
            Ok(found.len() as u64)
        })
    }

    /// Deletes a row, for good; says whether there was one.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// assert!(!people.delete("nobody").unwrap());
    /// ```
    pub fn delete(&self, key: &str) -> Result<bool> {
        self.write(|rows| rows.delete(key))
    }

    /// Does several things at once: all of them happen, or, on an error, none.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// people.write(|rows| {
    ///     let key = rows.insert(&serde_json::json!({"age": 41}))?;
    ///     rows.update(&key, &serde_json::json!({"age": 42}))
    /// })
    /// .unwrap();
    /// ```
    pub fn write<R>(&self, work: impl FnOnce(&mut Batch<'_, '_>) -> Result<R>) -> Result<R> {
        self.rows.db().write(|txn| work(&mut self.batch(txn)))
    }

    /// Its part of a transaction that changes other things too.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// db.write(|txn| people.batch(txn).insert(&serde_json::json!({"age": 41}))).unwrap();
    /// ```
    pub fn batch<'t, 'a>(&'t self, txn: &'t mut WriteTransaction<'a>) -> Batch<'t, 'a> {
        let rows = &self.rows;
        Batch { rows, txn }
    }

    /// The row of a key.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// assert_eq!(people.get("nobody").unwrap(), None);
    /// ```
    pub fn get(&self, key: &str) -> Result<Option<Value>> {
        self.rows.get(key)
    }

    /// A page of the rows that a query finds, with its order, limit, columns and cursor.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) for a column that there is not.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// use threads_db::query::Query;
    /// assert!(people.select(&Query::parse("age > 40").unwrap()).unwrap().rows.is_empty());
    /// assert!(people.select(&Query::parse("agee > 40").unwrap()).is_err());
    /// ```
    pub fn select(&self, query: &Query) -> Result<Rows<Value>> {
        self.rows.find_page(query)
    }

    /// How many rows a query finds.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// assert_eq!(people.count(&threads_db::query::Query::new()).unwrap(), 0);
    /// ```
    pub fn count(&self, query: &Query) -> Result<u64> {
        self.rows.count(query)
    }

    /// The rows that a query finds here, each with the row of `other` whose key is in the column `on`:
    /// a left join, in the order of the query. Both tables are of one thread, and looked at at one moment.
    ///
    /// It takes as long as finding the rows and then each key once; no row is compared with every other.
    ///
    /// # Errors
    ///
    /// Those of [`Table::select`], and [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for more
    /// rows than the [caps](threads_db::query::QueryCaps) of the query allow at once, and for tables of two
    /// threads. What is found in `other` has the same caps, for each [`IN_MAX`] keys anew.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// use threads_db::query::Query;
    /// use threads_shapes::table::{Column, Kind, Table};
    /// // Who reports to whom: a table joined with itself.
    /// let people = Table::define(&db, "Person", &[Column::new("boss", Kind::Key)]).unwrap();
    /// people.insert(&serde_json::json!({"_id": "ann"})).unwrap();
    /// people.insert(&serde_json::json!({"_id": "bob", "boss": "ann"})).unwrap();
    /// let all = people.join(&Query::new(), "boss", &people).unwrap();
    /// assert_eq!(all[0].right, None);
    /// assert_eq!(all[1].right.as_ref().unwrap()["_id"], "ann");
    /// ```
    pub fn join(&self, query: &Query, on: &str, other: &Self) -> Result<Vec<Joined>> {
        self.rows.db().read(|txn| {
            // The key is needed, whether or not it is asked for.
            let query = match query.fields.is_empty() {
                true => query.clone(),
                false => query.clone().fields([on]),
            };
            let left = txn.find(&self.rows, &query)?;
            let key = |row: &Value| row[on].as_str().map(str::to_owned);
            let keys: BTreeSet<String> = left.iter().filter_map(key).collect();
            let right = by_key(txn, other, keys, query.caps)?;
            let join = |left: Value| {
                let right = key(&left).and_then(|key| right.get(&key).map(Arc::clone));
                Joined { left, right }
            };
            Ok(left.into_iter().map(join).collect())
        })
    }
}

/// The rows of these keys, by key: as many at once as a condition may name.
fn by_key(
    txn: &ReadTransaction<'_>,
    table: &Table,
    keys: BTreeSet<String>,
    caps: Option<QueryCaps>,
) -> Result<BTreeMap<String, Arc<Value>>> {
    let keys: Vec<String> = keys.into_iter().collect();
    let mut rows = BTreeMap::new();
    for some in keys.chunks(IN_MAX) {
        let mut query = Query::new().filter(field("_id").is_in(some.iter().cloned()));
        query.caps = caps;
        for row in txn.find(&table.rows, &query)? {
            let key = row["_id"].as_str().unwrap_or_default().to_owned();
            rows.insert(key, Arc::new(row));
        }
    }
    Ok(rows)
}

/// Changes of a [`Table`] that happen together. Made by [`Table::write`] and [`Table::batch`].
///
/// ```
/// use threads_shapes::table::Batch;
/// fn move_on(rows: &mut Batch<'_, '_>, from: &str, to: &str) -> threads_core::Result<()> {
///     rows.update(from, &serde_json::json!({"current": false}))?;
///     rows.update(to, &serde_json::json!({"current": true}))
/// }
/// ```
#[derive(Debug)]
pub struct Batch<'t, 'a> {
    rows: &'t Collection<Value>,
    txn: &'t mut WriteTransaction<'a>,
}

impl Batch<'_, '_> {
    /// See [`Table::insert`].
    ///
    /// The example of [`Table::write`] uses it.
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// people.write(|rows| rows.insert(&serde_json::json!({"age": 41}))).unwrap();
    /// ```
    pub fn insert(&mut self, row: &Value) -> Result<String> {
        let key = self.txn.create(self.rows, row)?;
        Ok(key.as_str().to_owned())
    }

    /// See [`Table::update`].
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// assert!(people.write(|rows| rows.update("nobody", &serde_json::json!({"age": 41}))).is_err());
    /// ```
    pub fn update(&mut self, key: &str, columns: &Value) -> Result<()> {
        let Value::Object(columns) = columns else {
            return Err(Error::invalid("columns are a JSON object: name each"));
        };
        let Some(Value::Object(mut row)) = self.txn.get(self.rows, key)? else {
            return Err(Error::not_found("no row of this key: insert it").with("key", key));
        };
        for (column, value) in columns {
            if column == "_id" && value != key {
                return Err(Error::invalid(
                    "the key of a row does not change: insert another one",
                ));
            }
            match value {
                Value::Null => row.remove(column),
                value => row.insert(column.clone(), value.clone()),
            };
        }
        self.txn.save(self.rows, &Value::Object(row)).map(drop)
    }

    /// See [`Table::delete`].
    ///
    /// ```
    #[doc = include_str!("../doc/example.txt")]
    /// # use threads_shapes::table::{Column, Kind, Table};
    /// # let people = Table::define(&db, "Person", &[Column::new("age", Kind::Integer)]).unwrap();
    /// assert!(!people.write(|rows| rows.delete("nobody")).unwrap());
    /// ```
    pub fn delete(&mut self, key: &str) -> Result<bool> {
        let there = self.txn.has(self.rows, key)?;
        if there {
            self.txn.delete(self.rows, key)?;
        }
        Ok(there)
    }
}
