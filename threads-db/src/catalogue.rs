//! The catalogue: what collections a thread has, read from the entities that define them.
//!
//! Definitions are entities of reserved collections, so they travel with the thread like all
//! other data, with the same signatures, order and convergence:
//!
//! * `$collections`, id = the collection's name: `{_id, codec, schema, version}`
//! * `$schemas`, id = the hash of the schema: `{_id, schema}`, never changed
//! * `$modules`, id = a version of a module and the hash of what it says; see [`modules`]
//! * `$indexes`, id = a digest of collection and paths: `{_id, collection, paths, unique, dropped}`

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use threads_core::batch::EntityEvent;
use threads_core::codec::{ActionKind, EventCodec, EventCodecExt};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::module::{INDEX_PATHS_MAX, INDEXES_MAX, IndexSpec};
use threads_core::{CodecId, CollectionName, Error, ErrorKind, FieldPath, Result, block};

use crate::access::ADOPTED;
use crate::document::Members;
use crate::entity::EntityRow;
use crate::invite::{INVITES, MEMBERS};
use crate::layout::{self, Number, Prefix, meta};
use crate::modules::{self, MODULES};
use crate::query::IndexInfo;
use crate::schema::{CompiledSchema, schema_id};
use crate::snapshot::SNAPSHOTS;
use crate::thread::{Codecs, Thread};
use crate::travel::UNDONE;
use crate::whole::{WHOLE, Whole, whole_id};

/// The most collections that are defined here; a thread from elsewhere may have more.
pub(crate) const COLLECTIONS_MAX: usize = 1_024;

/// The reserved collections.
pub(crate) const COLLECTIONS: &str = "$collections";
/// See [`COLLECTIONS`].
pub(crate) const SCHEMAS: &str = "$schemas";
/// See [`COLLECTIONS`].
pub(crate) const INDEXES: &str = "$indexes";

/// The name of a reserved collection.
#[expect(
    clippy::expect_used,
    reason = "called with the constants above only, which are names"
)]
pub(crate) fn reserved(name: &str) -> CollectionName {
    name.parse()
        .expect("a constant collection name is well-formed")
}

/// An entity of `$collections`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CollectionEntity {
    #[serde(rename = "_id")]
    pub(crate) name: CollectionName,
    pub(crate) codec: CodecId,
    /// The id of its schema, an entity of `$schemas`.
    pub(crate) schema: Option<String>,
    /// How many schemas it has had.
    pub(crate) version: u64,
}

/// An entity of `$schemas`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SchemaEntity {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) schema: Value,
}

/// An entity of `$indexes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexEntity {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) collection: CollectionName,
    pub(crate) paths: Vec<FieldPath>,
    pub(crate) unique: bool,
    pub(crate) dropped: bool,
}

impl IndexEntity {
    pub(crate) fn new(collection: &CollectionName, spec: &IndexSpec) -> Self {
        Self {
            id: format!("{collection}.{}", hex(&path_digest(&spec.paths)[..16])),
            collection: collection.clone(),
            paths: spec.paths.clone(),
            unique: spec.unique,
            dropped: false,
        }
    }
}

impl IndexEntity {
    /// Whether it has the id that its fields give, and not too many of them.
    fn is_sound(&self) -> bool {
        let spec = IndexSpec {
            paths: self.paths.clone(),
            unique: self.unique,
        };
        (1..=INDEX_PATHS_MAX).contains(&self.paths.len())
            && self.id == Self::new(&self.collection, &spec).id
    }
}

/// What an index is known by, besides its collection.
pub(crate) fn path_digest(paths: &[FieldPath]) -> [u8; 32] {
    let text: Vec<_> = paths
        .iter()
        .flat_map(|path| [path.to_string(), "\0".into()])
        .collect();
    block::sha256(text.concat().as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An index of a collection.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) number: Number,
    /// What plans and errors call it: its paths, joined by commas.
    pub(crate) name: String,
    pub(crate) spec: IndexSpec,
    /// Whether no entity has ever had more than one entry in it.
    pub(crate) single_valued: bool,
    /// Whether every entity's entries are in it, so that a plan may rely on it.
    pub(crate) complete: bool,
}

/// Everything that is needed to read and write a collection.
pub(crate) struct Definition {
    pub(crate) name: CollectionName,
    pub(crate) number: Number,
    pub(crate) codec: Arc<dyn EventCodec>,
    pub(crate) codec_id: CodecId,
    pub(crate) schema: Option<CompiledSchema>,
    pub(crate) schema_text: Option<Value>,
    pub(crate) version: u64,
    pub(crate) indexes: Vec<Index>,
    /// What the indexes look at.
    pub(crate) indexed: Members,
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Definition {
    /// What the planner needs to know of the indexes.
    pub(crate) fn index_infos(&self) -> Vec<IndexInfo> {
        self.indexes
            .iter()
            .filter(|index| index.complete)
            .map(|index| {
                IndexInfo::new(&index.name, index.spec.paths.clone())
                    .unique(index.spec.unique)
                    .single_valued(index.single_valued)
            })
            .collect()
    }

    fn reserved(name: &str, number: Number) -> Self {
        Self {
            name: reserved(name),
            number,
            codec: Arc::new(Whole),
            codec_id: whole_id(),
            schema: None,
            schema_text: None,
            version: 0,
            indexes: Vec::new(),
            indexed: Members::of([]),
        }
    }
}

/// The generation of a thread that is being put together: no catalogue that was read has it.
pub(crate) const CLOSED: u64 = u64::MAX;

/// The definitions of a thread at one generation.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub(crate) generation: u64,
    definitions: BTreeMap<CollectionName, Arc<Definition>>,
    /// Why a collection that is defined cannot be used here, and its codec.
    unusable: BTreeMap<CollectionName, (CodecId, String)>,
}

impl Catalogue {
    /// What stands for a catalogue until one is read: no committed one has its generation.
    pub(crate) fn unread() -> Mutex<Arc<Self>> {
        Mutex::new(Arc::new(Self {
            generation: CLOSED,
            ..Self::default()
        }))
    }

    /// The definition of `name`.
    pub(crate) fn get(&self, name: &CollectionName) -> Result<&Arc<Definition>> {
        if let Some(definition) = self.definitions.get(name) {
            return Ok(definition);
        }
        if let Some((_, why)) = self.unusable.get(name) {
            return Err(Error::unsupported(why.clone()).with("collection", name));
        }
        Err(Error::not_found("no such collection: define it first").with("collection", name))
    }

    /// The definition of `name`, if it is defined and usable.
    pub(crate) fn find(&self, name: &CollectionName) -> Option<&Arc<Definition>> {
        self.definitions.get(name)
    }

    /// The collections that are defined and cannot be used here, with their codecs.
    pub(crate) fn unusable_by_codec(&self) -> impl Iterator<Item = (&CollectionName, &CodecId)> {
        let unusable = self.unusable.iter();
        unusable.map(|(name, (codec, _))| (name, codec))
    }

    /// The collections of applications, by name.
    pub(crate) fn collections(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.definitions
            .values()
            .filter(|definition| !definition.name.is_reserved())
    }

    /// Every collection, the framework's included.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.definitions.values()
    }

    /// The generation that is current in `txn`.
    pub(crate) fn generation(txn: &dyn ReadTxn, thread: Number) -> Result<u64> {
        let Some(bytes) = txn.get(Keyspace::Meta, &meta::catalogue(thread))? else {
            return Ok(0);
        };
        let bytes: [u8; 8] = (&*bytes)
            .try_into()
            .map_err(|_| Error::corrupt("the catalogue's number is damaged"))?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Has nobody read the thread until it is bumped, as it is being put together.
    pub(crate) fn close(txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        txn.put(
            Keyspace::Meta,
            &meta::catalogue(thread),
            &CLOSED.to_be_bytes(),
        )
    }

    /// Whether nobody is to read the thread.
    pub(crate) fn is_closed(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
        Ok(Self::generation(txn, thread)? == CLOSED)
    }

    /// Makes `txn` and everybody after it read the definitions again. The number is random: one
    /// that was given out by a transaction which was lost must not come back.
    pub(crate) fn bump(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
        let mut generation = [0; 8];
        thread.node.rng().fill_bytes(&mut generation);
        txn.put(Keyspace::Meta, &meta::catalogue(thread.number), &generation)
    }

    /// The framework's own collections, as far as the thread has them.
    pub(crate) fn framework(txn: &dyn ReadTxn, thread: Number) -> Result<Self> {
        let mut catalogue = Self {
            generation: Self::generation(txn, thread)?,
            ..Self::default()
        };
        for name in [
            COLLECTIONS,
            SCHEMAS,
            INDEXES,
            INVITES,
            MEMBERS,
            ADOPTED,
            UNDONE,
            SNAPSHOTS,
            MODULES,
        ] {
            let key = meta::collection(thread, &reserved(name));
            if let Some(number) = layout::number(txn, &key)? {
                let definition = Arc::new(Definition::reserved(name, number));
                catalogue.definitions.insert(reserved(name), definition);
            }
        }
        Ok(catalogue)
    }

    /// Reads every definition of the thread.
    pub(crate) fn load(txn: &dyn ReadTxn, thread: Number, codecs: &Codecs) -> Result<Self> {
        let mut catalogue = Self::framework(txn, thread)?;
        let collections: Vec<CollectionEntity> = catalogue.entities(txn, thread, COLLECTIONS)?;
        let indexes: Vec<IndexEntity> = catalogue.entities(txn, thread, INDEXES)?;
        for entity in collections
            .into_iter()
            .filter(|entity| !entity.name.is_reserved())
        {
            let (name, codec) = (entity.name.clone(), entity.codec.clone());
            match catalogue.definition(txn, thread, entity, &indexes, codecs) {
                Ok(definition) => {
                    catalogue.definitions.insert(name, Arc::new(definition));
                }
                // What a definition says may be wrong, or wait for a codec; that it cannot be read
                // is another matter.
                Err(error) if is_about_definition(&error) => {
                    catalogue.unusable.insert(name, (codec, error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(catalogue)
    }

    /// The living entities of a reserved collection. One that is not of the expected shape was
    /// written by another version; it is left alone.
    pub(crate) fn entities<T: for<'de> Deserialize<'de>>(
        &self,
        txn: &dyn ReadTxn,
        thread: Number,
        name: &str,
    ) -> Result<Vec<T>> {
        let Some(definition) = self.find(&reserved(name)) else {
            return Ok(Vec::new());
        };
        let prefix = layout::collection_prefix(thread, definition.number);
        let (bounds, prefix_bytes) = (Prefix::new(&prefix), prefix.len());
        let mut entities = Vec::new();
        for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
            let (key, value) = row?;
            let row = EntityRow::decode(&value)?;
            if let Some(state) = row.life.state() {
                let mut value = definition.codec.value(state)?;
                if let Some(members) = value.as_object_mut() {
                    let id = layout::entity_id(&key, prefix_bytes)?;
                    members.insert("_id".to_owned(), id.as_str().into());
                }
                entities.extend(serde_json::from_value(value).ok());
            }
        }
        Ok(entities)
    }

    fn definition(
        &self,
        txn: &dyn ReadTxn,
        thread: Number,
        entity: CollectionEntity,
        indexes: &[IndexEntity],
        codecs: &Codecs,
    ) -> Result<Definition> {
        let key = meta::collection(thread, &entity.name);
        let number = layout::number(txn, &key)?
            .ok_or_else(|| Error::corrupt("a collection has no local number"))?;
        let schema_text = match &entity.schema {
            Some(id) => Some(self.schema(txn, thread, id)?),
            None => None,
        };
        // While a collection could not be used here its indexes were not kept.
        let stale = txn.get(Keyspace::Meta, &meta::stale(number))?.is_some();
        let mine = if stale {
            Vec::new()
        } else {
            kept(indexes, &entity.name)
        };
        let indexes = mine
            .into_iter()
            .filter_map(|index| self.index(txn, number, index).transpose())
            .collect::<Result<Vec<_>>>()?;
        let paths = indexes.iter().flat_map(|index| &index.spec.paths);
        Ok(Definition {
            number,
            codec: codecs.get(&entity.codec)?,
            codec_id: entity.codec,
            indexed: Members::of(paths),
            schema: schema_text
                .as_ref()
                .map(CompiledSchema::compile)
                .transpose()?,
            schema_text,
            version: entity.version,
            indexes,
            name: entity.name,
        })
    }

    fn schema(&self, txn: &dyn ReadTxn, thread: Number, id: &str) -> Result<Value> {
        let missing = || Error::unsupported("the collection's schema has not arrived yet");
        let definition = self.find(&reserved(SCHEMAS)).ok_or_else(missing)?;
        let key = layout::entity(thread, definition.number, id);
        let row = EntityRow::get(txn, &key)?.ok_or_else(missing)?;
        let state = row.life.state().ok_or_else(missing)?;
        let entity: SchemaEntity = serde_json::from_value(definition.codec.value(state)?)
            .map_err(|cause| Error::rejected("a schema entity is malformed").caused_by(cause))?;
        Ok(entity.schema)
    }

    /// An index that has been filled here; one that has not is not used.
    fn index(
        &self,
        txn: &dyn ReadTxn,
        collection: Number,
        entity: &IndexEntity,
    ) -> Result<Option<Index>> {
        let key = meta::index(collection, &path_digest(&entity.paths));
        let Some(number) = layout::number(txn, &key)? else {
            return Ok(None);
        };
        let spec = IndexSpec {
            paths: entity.paths.clone(),
            unique: entity.unique,
        };
        let unset = |fact: &[u8]| Ok::<_, Error>(txn.get(Keyspace::Meta, fact)?.is_none());
        Ok(Some(Index {
            number,
            name: index_name(&entity.paths),
            spec,
            single_valued: unset(&meta::index_multi(number))?,
            complete: unset(&meta::index_partial(number))?,
        }))
    }
}

/// The indexes of a collection that are kept: the first ones by id, the same on every peer.
pub(crate) fn kept<'e>(
    indexes: &'e [IndexEntity],
    collection: &CollectionName,
) -> Vec<&'e IndexEntity> {
    let mut kept: Vec<_> = indexes
        .iter()
        .filter(|index| index.collection == *collection && !index.dropped && index.is_sound())
        .collect();
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    kept.truncate(INDEXES_MAX);
    kept
}

/// What plans and errors call an index.
pub(crate) fn index_name(paths: &[FieldPath]) -> String {
    let names: Vec<_> = paths.iter().map(FieldPath::to_string).collect();
    names.join(",")
}

fn is_about_definition(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unsupported | ErrorKind::Invalid | ErrorKind::Rejected
    )
}

/// Whether an event may change an entity of the framework's own.
///
/// Nobody deletes one: deleting is final, and a name or a schema could never be used again. A
/// schema is known by its hash, so another text under its id is refused, and so is what a module says.
pub(crate) fn admits(event: &EntityEvent) -> bool {
    if event.action == ActionKind::Delete || event.codec.as_str() != WHOLE {
        return false;
    }
    match event.collection.as_str() {
        SCHEMAS => {}
        MODULES => return modules::is_sound(event),
        _ => return true,
    }
    let entity = block::decode::<SchemaEntity>(&event.payload);
    entity.is_ok_and(|entity| schema_id(&entity.schema) == event.entity.as_str())
}
