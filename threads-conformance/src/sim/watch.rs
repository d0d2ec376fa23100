//! What looks on while a peer runs.
//!
//! ```
//! use threads_codec_jsonpatch::JsonPatch;
//! use threads_conformance::sim::watch::{Live, Watch};
//! use threads_core::{datastore::Memory, module::CollectionSpec};
//! use threads_db::{Node, query::Query};
//!
//! let node = Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
//! let db = node.create("lab").unwrap();
//! let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
//! db.define(&spec).unwrap();
//! let things = db.collection("Thing").unwrap();
//! let mut live = Live::new(&things, Query::new().sort_desc("n").limit(2)).unwrap();
//! things.create(&serde_json::json!({"n": 1})).unwrap();
//! live.look().unwrap();
//! ```

use serde_json::Value;
use threads_core::{Error, Result};
use threads_db::query::Query;
use threads_db::{Collection, LiveQuery, LiveUpdate};

/// Something that follows a peer, and says when what it sees is wrong. See the [module](self) for an example.
pub trait Watch: Send {
    /// Looks at what happened since the last time.
    ///
    /// # Errors
    ///
    /// Any: it says what does not hold.
    fn look(&mut self) -> Result<()>;
}

/// A live query: at every look its rows must be those that the query finds. See the [module](self) for an example.
#[derive(Debug)]
pub struct Live {
    collection: Collection<Value>,
    query: Query,
    live: LiveQuery<Value>,
    rows: Vec<Value>,
}

impl Live {
    /// Watches a query.
    ///
    /// # Errors
    ///
    /// Those of [`Collection::watch`].
    ///
    /// See the [module](self) for an example.
    pub fn new(collection: &Collection<Value>, query: Query) -> Result<Self> {
        Self::beside(collection, &query.clone(), query)
    }

    /// Watches one query, and compares with what another finds: to see that a difference is told.
    ///
    /// # Errors
    ///
    /// Those of [`Collection::watch`].
    ///
    /// ```
    /// use threads_conformance::sim::watch::Live;
    /// use threads_db::{Collection, query::Query};
    /// fn broken(things: &Collection) -> threads_core::Result<Live> {
    ///     Live::beside(things, &Query::new().limit(1), Query::new())
    /// }
    /// ```
    pub fn beside(collection: &Collection<Value>, watched: &Query, query: Query) -> Result<Self> {
        Ok(Self {
            live: collection.watch(watched)?,
            collection: collection.clone(),
            query,
            rows: Vec::new(),
        })
    }
}

impl Watch for Live {
    fn look(&mut self) -> Result<()> {
        let before = self.rows.clone();
        if let Some(update) = self.live.try_next()? {
            if let LiveUpdate::Changes(changes) = &update
                && changes.is_empty()
            {
                return Err(Error::corrupt("a live query tells of no change"));
            }
            update.apply(&mut self.rows);
        }
        let found = self.collection.find(&self.query)?;
        if self.rows == found {
            return Ok(());
        }
        let shown = |rows: &[Value]| Value::from(rows.to_vec()).to_string();
        Err(
            Error::corrupt("a live query shows something else than the query finds")
                .with("query", format_args!("{:?}", self.query))
                .with("before", shown(&before))
                .with("shows", shown(&self.rows))
                .with("finds", shown(&found)),
        )
    }
}
