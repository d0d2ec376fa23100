//! Codecs that are not installed here, and what waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use threads_core::datastore::{Direction, Keyspace};
use threads_core::{CodecId, CollectionName, Result};

use crate::db::Db;
use crate::entity::EntityRow;
use crate::layout::{self, Number, Prefix};

/// A codec that is not installed here, and what cannot be seen without it.
///
/// Records that need it are verified, kept and passed on as others are. What they say is applied
/// when the thread is opened, to be written, on a node that has the codec.
///
/// ```
/// use threads_db::MissingCodec;
/// fn tell(missing: &MissingCodec) { println!("{missing}") }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingCodec {
    /// The codec.
    pub codec: CodecId,
    /// The collections that are defined with it, or have entities of it.
    pub collections: BTreeSet<CollectionName>,
    /// How many entities wait for it.
    pub entities: u64,
}

impl fmt::Display for MissingCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .collections
            .iter()
            .map(CollectionName::as_str)
            .collect();
        let entities = match self.entities {
            1 => "1 entity waits".to_owned(),
            many => format!("{many} entities wait"),
        };
        let (codec, names) = (&self.codec, names.join(", "));
        write!(f, "codec missing: {codec}: {entities} for it, in {names}")
    }
}

impl Db {
    /// The codecs that are not installed here and that something in the thread needs. Looks at every
    /// entity of the thread, but not into it. A node that cannot read the thread knows of none.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.missing_codecs().unwrap().is_empty());
    /// ```
    pub fn missing_codecs(&self) -> Result<Vec<MissingCodec>> {
        let thread = self.thread();
        if thread.is_blind() {
            return Ok(Vec::new());
        }
        let txn = thread.node.store.read()?;
        let mut found = BTreeMap::new();
        for (name, codec) in self.catalogue(&*txn)?.unusable_by_codec() {
            if thread.node.codecs.get(codec).is_err() {
                missing(&mut found, codec).collections.insert(name.clone());
            }
        }
        let collections: BTreeMap<Number, CollectionName> =
            layout::collections(&*txn, thread.number)?
                .into_iter()
                .collect();
        let bounds = Prefix::new(&layout::thread_prefix(thread.number));
        for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
            let (key, value) = row?;
            let Some(codec) = EntityRow::waiting(&value)? else {
                continue;
            };
            let missing = missing(&mut found, &codec);
            missing.entities += 1;
            let number = key.get(4..8).and_then(|number| number.try_into().ok());
            let name = number.and_then(|n| collections.get(&Number::from_be_bytes(n)));
            missing.collections.extend(name.cloned());
        }
        Ok(found.into_values().collect())
    }
}

fn missing<'f>(
    found: &'f mut BTreeMap<CodecId, MissingCodec>,
    codec: &CodecId,
) -> &'f mut MissingCodec {
    found.entry(codec.clone()).or_insert_with(|| MissingCodec {
        codec: codec.clone(),
        collections: BTreeSet::new(),
        entities: 0,
    })
}
