//! Defining collections: schemas, indexes and codecs, as events of the thread.

use std::collections::BTreeSet;

use serde_json::Value;
use threads_core::Result;
use threads_core::codec::{Action, ActionKind};
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::module::{CollectionSpec, INDEXES_MAX, IndexSpec};
use threads_core::{CollectionName, Error, FieldPath};

use crate::catalogue::{
    COLLECTIONS, COLLECTIONS_MAX, Catalogue, CollectionEntity, Definition, INDEXES, Index,
    IndexEntity, SCHEMAS, SchemaEntity, index_name, kept, path_digest, reserved,
};
use crate::index;
use crate::layout::{self, Number, Prefix, meta};
use crate::schema::{CompiledSchema, schema_id};
use crate::thread::Thread;
use crate::txn::WriteTransaction;

impl WriteTransaction<'_> {
    /// Defines a collection, or gives an existing one a new schema or more indexes.
    ///
    /// A schema that differs from the present one becomes its next version; what is stored is
    /// not checked again. Indexes that are not listed stay; see [`WriteTransaction::drop_index`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a schema that is not allowed,
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) for a codec that is not
    /// registered, and [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) for another
    /// codec than the present one, or a unique index over values that are not. A transaction in
    /// which a definition was refused cannot be committed.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, module::{CollectionSpec, IndexSpec}};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// # let db = node.create("friends").unwrap();
    /// let person = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())
    ///     .with_schema(serde_json::json!({"type": "object", "required": ["name"]}))
    ///     .with_index(IndexSpec::on("age".parse().unwrap()));
    /// db.write(|txn| txn.define(&person)).unwrap();
    /// ```
    pub fn define(&mut self, spec: &CollectionSpec) -> Result<()> {
        check_spec(spec)?;
        self.thread().node.codecs.get(&spec.codec)?;
        // One that is refused half-way must not be committed in part.
        self.whole(|txn| {
            let schema = txn.define_schema(spec)?;
            txn.define_collection(spec, schema)?;
            let mut indexes = spec.indexes.iter();
            indexes.try_for_each(|index| txn.set_index(IndexEntity::new(&spec.name, index)))
        })
    }

    /// Makes a collection what `spec` says, whatever it is now: its codec and its schema, which is none if `spec` has
    /// none, and its indexes. For when somebody else changed what was agreed, and
    /// [`WriteTransaction::define`] refuses. No entity is changed: one keeps the codec it began with, and can be
    /// changed again once the collection has that.
    ///
    /// # Errors
    ///
    /// Those of [`WriteTransaction::define`], but for another codec.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, module::CollectionSpec};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// # let db = node.create("friends").unwrap();
    /// let person = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    /// db.define(&person.clone().with_schema(serde_json::json!({"maxProperties": 0}))).unwrap();
    /// db.write(|txn| txn.redefine(&person)).unwrap();
    /// assert!(db.collections().unwrap()[0].schema.is_none());
    /// ```
    pub fn redefine(&mut self, spec: &CollectionSpec) -> Result<()> {
        check_spec(spec)?;
        self.thread().node.codecs.get(&spec.codec)?;
        self.whole(|txn| {
            let schema = txn.define_schema(spec)?;
            let mut entity = CollectionEntity {
                name: spec.name.clone(),
                codec: spec.codec.clone(),
                version: u64::from(schema.is_some()),
                schema,
            };
            if let Some(present) = txn.present(&spec.name)? {
                let same = present.codec == entity.codec && present.schema == entity.schema;
                entity.version = present.version.saturating_add(u64::from(!same));
            }
            txn.save_reserved(COLLECTIONS, spec.name.as_str(), &entity)?;
            let mut indexes = spec.indexes.iter();
            indexes.try_for_each(|index| txn.set_index(IndexEntity::new(&spec.name, index)))
        })
    }

    /// What the thread says that a collection is, if it is defined.
    fn present(&self, name: &CollectionName) -> Result<Option<CollectionEntity>> {
        let catalogue = self.catalogue();
        let thread = self.thread().number;
        let all: Vec<CollectionEntity> =
            catalogue.entities(self.store().as_read(), thread, COLLECTIONS)?;
        Ok(all.into_iter().find(|present| present.name == *name))
    }

    /// Drops the index over `paths`; its values are no longer kept, nor kept unique.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when there is no such index.
    ///
    /// ```
    /// # use threads_core::{datastore::Memory, module::{CollectionSpec, IndexSpec}};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// # let db = node.create("friends").unwrap();
    /// # let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap())
    /// #     .with_index(IndexSpec::on("age".parse().unwrap()));
    /// # db.define(&spec).unwrap();
    /// let name = "Person".parse().unwrap();
    /// db.write(|txn| txn.drop_index(&name, &["age".parse().unwrap()])).unwrap();
    /// assert!(db.write(|txn| txn.drop_index(&name, &["age".parse().unwrap()])).is_err());
    /// ```
    pub fn drop_index(&mut self, collection: &CollectionName, paths: &[FieldPath]) -> Result<()> {
        let catalogue = self.catalogue();
        let definition = catalogue.get(collection)?;
        let found = definition
            .indexes
            .iter()
            .find(|index| index.spec.paths == paths);
        let index = found.ok_or_else(|| {
            Error::not_found("no such index on this collection")
                .with("collection", collection)
                .with("index", index_name(paths))
        })?;
        let dropped = IndexEntity {
            dropped: true,
            ..IndexEntity::new(collection, &index.spec)
        };
        self.set_index(dropped)
    }

    fn define_schema(&mut self, spec: &CollectionSpec) -> Result<Option<String>> {
        let Some(schema) = &spec.schema else {
            return Ok(None);
        };
        CompiledSchema::compile(schema)?;
        let id = schema_id(schema);
        let entity = SchemaEntity {
            id: id.clone(),
            schema: schema.clone(),
        };
        self.save_reserved(SCHEMAS, &id, &entity)?;
        Ok(Some(id))
    }

    fn define_collection(&mut self, spec: &CollectionSpec, schema: Option<String>) -> Result<()> {
        let mut entity = CollectionEntity {
            name: spec.name.clone(),
            codec: spec.codec.clone(),
            version: u64::from(schema.is_some()),
            schema,
        };
        if let Some(present) = self.present(&spec.name)? {
            if present.codec != spec.codec {
                return Err(
                    Error::conflict("a collection keeps the codec it began with")
                        .with("collection", &spec.name)
                        .with("codec", present.codec),
                );
            }
            // No schema given means no change to the schema.
            if entity.schema.is_none() || entity.schema == present.schema {
                return Ok(());
            }
            entity.version = present.version.saturating_add(1);
        } else if self.catalogue().collections().count() >= COLLECTIONS_MAX {
            return Err(
                Error::invalid("a thread has too many collections: use another thread")
                    .with("most", COLLECTIONS_MAX),
            );
        }
        self.save_reserved(COLLECTIONS, spec.name.as_str(), &entity)?;
        Ok(())
    }

    fn set_index(&mut self, entity: IndexEntity) -> Result<()> {
        let id = entity.id.clone();
        let catalogue = self.catalogue();
        let definition = catalogue.get(&entity.collection)?;
        if !entity.dropped {
            check_index(definition, &entity)?;
        }
        let changed = self.save_reserved(INDEXES, &id, &entity)?;
        if entity.dropped || !changed {
            return Ok(());
        }
        let catalogue = self.catalogue();
        let definition = catalogue.get(&entity.collection)?;
        let found = definition
            .indexes
            .iter()
            .find(|index| index.spec.paths == entity.paths);
        let Some(index) = found else { return Ok(()) };
        if !index.complete {
            return Err(
                Error::invalid("an entity has too many values for this index")
                    .with("collection", &entity.collection)
                    .with("index", index_name(&entity.paths)),
            );
        }
        if !entity.unique {
            return Ok(());
        }
        let thread = self.thread().number;
        let conflicts = index::conflicts(self.store().as_read(), thread, definition)?;
        let field = index_name(&entity.paths);
        if let Some(conflict) = conflicts.iter().find(|conflict| conflict.field == field) {
            return Err(
                Error::conflict("entities share a value, so the index cannot be unique")
                    .with("collection", &entity.collection)
                    .with("field", field)
                    .with("first", &conflict.entities[0])
                    .with("second", &conflict.entities[1]),
            );
        }
        Ok(())
    }

    /// Creates or saves an entity of the framework's own. Says whether that changed it.
    pub(crate) fn save_reserved(
        &mut self,
        collection: &str,
        id: &str,
        entity: &impl serde::Serialize,
    ) -> Result<bool> {
        let collection = reserved(collection);
        self.ensure_reserved(&collection)?;
        let catalogue = self.catalogue();
        let definition = catalogue.get(&collection)?;
        let value: Value = serde_json::to_value(entity)
            .map_err(|cause| Error::invalid("not JSON").caused_by(cause))?;
        let id = id.parse()?;
        let kind = if self.exists(definition, &id)? {
            ActionKind::Save
        } else {
            ActionKind::Create
        };
        let action = match kind {
            ActionKind::Create => Action::Create(&value),
            _ => Action::Save(&value),
        };
        let staged = self.staged_events();
        self.stage(definition, &id, kind, &action)?;
        Ok(self.staged_events() > staged)
    }
}

/// Refuses an index over a field that cannot be there, or one too many.
fn check_index(definition: &Definition, entity: &IndexEntity) -> Result<()> {
    if let Some(schema) = &definition.schema {
        entity
            .paths
            .iter()
            .try_for_each(|path| schema.check_field(path))?;
    }
    let present = definition
        .indexes
        .iter()
        .any(|index| index.spec.paths == entity.paths);
    if !present && definition.indexes.len() >= INDEXES_MAX {
        return Err(
            Error::invalid("a collection has too many indexes: drop one first")
                .with("collection", &entity.collection)
                .with("most", INDEXES_MAX),
        );
    }
    Ok(())
}

fn check_spec(spec: &CollectionSpec) -> Result<()> {
    spec.check()?;
    if spec.name.is_reserved() {
        return Err(
            Error::invalid("names that begin with $ belong to the framework")
                .with("collection", &spec.name),
        );
    }
    Ok(())
}

/// Brings local numbers and index rows in line with the definitions: fills what is new, clears
/// what was dropped. Runs whenever a definition changed, in the transaction that changed it.
pub(crate) fn changed(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    Catalogue::bump(txn, thread)?;
    let catalogue = Catalogue::framework(txn.as_read(), thread.number)?;
    let defined: Vec<CollectionEntity> =
        catalogue.entities(txn.as_read(), thread.number, COLLECTIONS)?;
    for entity in defined {
        layout::number_or_assign(txn, &meta::collection(thread.number, &entity.name))?;
    }
    let catalogue = Catalogue::load(txn.as_read(), thread.number, &thread.node.codecs)?;
    let entities: Vec<IndexEntity> = catalogue.entities(txn.as_read(), thread.number, INDEXES)?;
    // A collection that is not usable here yet brings its indexes later.
    for definition in catalogue.collections() {
        sync_indexes(txn, thread, definition, &entities)?;
    }
    Ok(())
}

fn sync_indexes(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    definition: &Definition,
    entities: &[IndexEntity],
) -> Result<()> {
    let kept = kept(entities, &definition.name);
    let key = |entity: &IndexEntity| meta::index(definition.number, &path_digest(&entity.paths));
    let wanted: BTreeSet<_> = kept.iter().map(|entity| key(entity)).collect();
    let stale = txn
        .get(Keyspace::Meta, &meta::stale(definition.number))?
        .is_some();
    // One whose definition was undone is not among the entities, and may be done again.
    for (key, number) in numbered(txn.as_read(), definition)? {
        if stale || !wanted.contains(&key) {
            index::clear(txn, thread.number, number)?;
            txn.delete(Keyspace::Meta, &key)?;
        }
    }
    for entity in kept {
        let key = key(entity);
        if layout::number(txn.as_read(), &key)?.is_none() {
            fill(txn, thread, definition, entity, &key)?;
        }
    }
    if stale {
        txn.delete(Keyspace::Meta, &meta::stale(definition.number))?;
    }
    Ok(())
}

/// The indexes of a collection that have rows here: where their numbers are, and these.
fn numbered(txn: &dyn ReadTxn, definition: &Definition) -> Result<Vec<(Vec<u8>, Number)>> {
    let prefix = Prefix::new(&meta::indexes(definition.number));
    let rows = txn.scan(Keyspace::Meta, prefix.range(), Direction::Forward)?;
    rows.map(|row| {
        let (key, number) = row?;
        Ok((key.into_owned(), layout::as_number(&number)?))
    })
    .collect()
}

fn fill(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    definition: &Definition,
    entity: &IndexEntity,
    key: &[u8],
) -> Result<()> {
    let index = Index {
        number: layout::assign(txn, key)?,
        name: index_name(&entity.paths),
        spec: IndexSpec {
            paths: entity.paths.clone(),
            unique: entity.unique,
        },
        single_valued: true,
        complete: true,
    };
    index::fill(txn, thread, definition, &index)
}
