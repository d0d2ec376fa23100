//! Views: a collection as one version of a module has it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use threads_core::codec::{Action, EventCodec, EventCodecExt};
use threads_core::module::{Invariant, Lens, Manifest};
use threads_core::{CodecId, CollectionName, Error, Result};

use super::InstallOptions;
use super::narrow::narrowed;
use crate::catalogue::Definition;
use crate::document::Document;
use crate::query::{Candidate, Filter, Matcher, Query};
use crate::read::Documents;
use crate::schema::CompiledSchema;

/// How a version sees a collection, and what it wants of an entity.
pub(crate) struct View {
    lens: Lens,
    schema: CompiledSchema,
    invariants: Vec<Invariant>,
    /// What the collection is called in the thread.
    name: CollectionName,
    codec: CodecId,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl View {
    /// Those of all collections of a version, by the names that the module gives them.
    pub(super) fn all(
        manifest: &Manifest,
        version: u32,
        options: &InstallOptions,
    ) -> Result<BTreeMap<CollectionName, Arc<Self>>> {
        let view = |collection: &threads_core::module::ModuleCollection| {
            let name = collection.spec.name.clone();
            let schema = collection
                .spec
                .schema
                .as_ref()
                .unwrap_or(&Value::Bool(true));
            let compiled =
                CompiledSchema::compile(schema).map_err(|error| error.with("collection", &name))?;
            let view = Self {
                lens: manifest.lens(version, name.as_str())?,
                schema: compiled,
                invariants: collection.invariants.clone(),
                name: options.name(&name)?,
                codec: collection.spec.codec.clone(),
            };
            Ok((name, Arc::new(view)))
        };
        manifest.collections(version).iter().map(view).collect()
    }

    /// What the collection is called in the thread.
    pub(super) fn name(&self) -> &CollectionName {
        &self.name
    }

    /// Refuses to write to a collection of which somebody says otherwise than the module.
    pub(crate) fn check_definition(&self, definition: &Definition) -> Result<()> {
        let open = |schema: &Value| *schema == Value::Bool(true);
        let error = match &definition.schema_text {
            _ if definition.codec_id != self.codec => Error::conflict(
                "the collection was given another codec than the module's: install the module \
                 again to see by whom, and what to do",
            )
            .with("codec", &definition.codec_id),
            Some(schema) if !open(schema) => Error::conflict(
                "the collection was given a schema that is not the module's: install the module \
                 again to see by whom, and what to do",
            ),
            _ => return Ok(()),
        };
        Err(error.with("collection", &self.name))
    }

    /// The schema of what it sees.
    pub(crate) fn schema(&self) -> &CompiledSchema {
        &self.schema
    }

    /// A filter on what is stored that finds at least what a query does, if there is one.
    pub(crate) fn narrowed(&self, query: &Query) -> Option<Filter> {
        narrowed(&self.lens, query.filter.as_ref())
    }

    /// What it sees of the stored entities that a query can find.
    pub(crate) fn documents<'d>(&'d self, query: &Query, stored: Documents<'d>) -> Documents<'d> {
        let narrowed = self.narrowed(query);
        let found = stored.filter(move |stored| match (stored, &narrowed) {
            // It was checked when it was made.
            (Ok(stored), Some(filter)) => {
                Matcher::new(filter).is_ok_and(|matcher| stored.meets(&matcher))
            }
            _ => true,
        });
        Box::new(found.map(|stored| self.document(&stored?)))
    }

    /// Refuses an entity that does not fit the schema, or breaks an invariant.
    pub(crate) fn check(&self, entity: &Value) -> Result<()> {
        let about = |error: Error| match entity.get("_id").and_then(Value::as_str) {
            Some(id) => error.with("collection", &self.name).with("_id", id),
            None => error.with("collection", &self.name),
        };
        self.schema.validate(entity).map_err(about)?;
        let broken = |invariant: &&Invariant| !(invariant.holds)(entity);
        match self.invariants.iter().find(broken) {
            Some(invariant) => {
                let error = Error::invalid("an invariant of the module does not hold");
                Err(about(error.with("invariant", invariant.name)))
            }
            None => Ok(()),
        }
    }

    /// What this version sees of what is stored.
    pub(crate) fn value(&self, stored: &Value) -> Value {
        self.lens.get(stored)
    }

    /// The same as text.
    pub(crate) fn document(&self, stored: &Document) -> Result<Document> {
        Document::of(&self.value(&stored.value()?))
    }

    /// What is stored when an application saves an entity over what was stored before.
    pub(crate) fn stored(&self, before: Option<&Value>, entity: &Value) -> Result<Value> {
        let stored = self.lens.put(before, entity);
        let stored = stored.map_err(|error| error.with("collection", &self.name))?;
        // What is seen of it is what others of this version get, defaults included.
        self.check(&self.lens.get(&stored))?;
        Ok(stored)
    }

    /// What is stored when an application patches an entity of which this was stored: the codec
    /// carries out the patch on what the application sees.
    pub(crate) fn patched(
        &self,
        codec: &dyn EventCodec,
        before: &Value,
        patch: &Action<'_>,
    ) -> Result<Value> {
        let seen = self.value(before);
        let made = codec.encode(None, &Action::Create(&seen))?;
        let made = made.ok_or_else(|| Error::corrupt("a codec makes no event of a create"))?;
        let state = codec.apply(None, &made)?;
        let Some(event) = codec.encode(Some(&state), patch)? else {
            return Ok(before.clone());
        };
        let state = codec.apply(Some(&state), &event)?;
        let now = codec.value(&state)?;
        if now.get("_id") != seen.get("_id") {
            return Err(Error::invalid(
                "an entity keeps its _id: create another one instead",
            ));
        }
        self.stored(Some(before), &now)
    }
}
