//! Schemas: what the entities of a collection must look like, in JSON Schema.
//!
//! A schema may come from a stranger, so compiling one refuses whatever could reach outside,
//! run away or take the node down: references beyond the schema itself, patterns that need
//! backtracking, references that go round without ever looking deeper, and sizes beyond the
//! named bounds. What remains is checked in bounded time and stack, whatever the document.
//!
//! Drafts 4, 6, 7, 2019-09 and 2020-12 are known by their `$schema`; without one it is 2020-12.
//! `format` is an assertion in drafts 4 to 7 and a remark in the later ones, as they define it.
//!
//! Every entity has a string `_id`, which a schema need not know about: when the schema does not
//! mention `_id` for the entity itself (in `properties` or `required`, directly or through
//! `allOf`, `$ref` and the like), the entity is checked without it.
//!
//! ```
//! use serde_json::json;
//! use threads_db::schema::CompiledSchema;
//!
//! let schema = CompiledSchema::compile(&json!({
//!     "properties": {"age": {"type": "integer", "minimum": 0}},
//!     "additionalProperties": false,
//! })).unwrap();
//! assert!(schema.validate(&json!({"_id": "a", "age": 36})).is_ok());
//! let error = schema.validate(&json!({"_id": "a", "age": -1})).unwrap_err();
//! assert_eq!(error.context().next(), Some(("at", "/age")));
//! ```

use std::collections::BTreeSet;

use std::error::Error as StdError;

use jsonschema::{Draft, PatternOptions, Retrieve, Uri, ValidationError, Validator};
use serde_json::{Map, Value};
use threads_core::block::sha256;
use threads_core::{Error, FieldPath, Result, multibase};

mod explain;
mod fields;
mod graph;
mod pattern;
mod size;

#[cfg(test)]
mod tests;

use graph::Graph;
pub(crate) use size::values_in;

/// The largest schema, in bytes of its JSON text.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// The deepest schema, in nested arrays and objects.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// The most properties a schema may name.
pub const SCHEMA_PROPERTIES_MAX: usize = 1_000;
/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 512;
/// The most memory of one compiled pattern, in bytes.
const PATTERN_MEMORY_BYTES_MAX: usize = 1024 * 1024;
/// The deepest entity, in nested arrays and objects: what codecs accept.
const ENTITY_DEPTH_MAX: usize = 64;

/// The drafts that are known, by the URI that names them.
const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

/// A schema that is ready to check entities.
///
/// ```
/// use serde_json::json;
/// use threads_db::schema::CompiledSchema;
/// let schema = CompiledSchema::compile(&json!({"required": ["name"]})).unwrap();
/// assert!(schema.validate(&json!({"_id": "a"})).is_err());
/// ```
#[derive(Debug)]
pub struct CompiledSchema {
    validator: Validator,
    graph: Graph,
    mentions_id: bool,
    /// The names that an entity's members can have, when the schema lists them all.
    fields: Option<BTreeSet<String>>,
}

impl CompiledSchema {
    /// Compiles `schema`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for what is not a JSON Schema and
    /// for what is refused; the message says which, and `at` where, as a JSON Pointer.
    ///
    /// ```
    /// use serde_json::json;
    /// use threads_db::schema::CompiledSchema;
    /// let error = CompiledSchema::compile(&json!({"$ref": "https://example.org/s"})).unwrap_err();
    /// assert!(error.message().contains("only references within the schema itself"));
    /// ```
    pub fn compile(schema: &Value) -> Result<Self> {
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            return Err(Error::invalid(
                "a schema must be an object, or true or false: write {} to allow everything",
            ));
        }
        size::check(schema)?;
        check_draft(schema, "")?;
        let graph = Graph::of(schema)?;
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN_MEMORY_BYTES_MAX)
            .dfa_size_limit(PATTERN_MEMORY_BYTES_MAX);
        let validator = jsonschema::options()
            .with_retriever(NoRetriever)
            .with_pattern_options(patterns)
            .build(schema)
            .map_err(|cause| not_a_schema(&cause))?;
        let mentions_id = graph.mentions_id();
        Ok(Self {
            validator,
            graph,
            mentions_id,
            fields: fields::listed(schema),
        })
    }

    /// Refuses a path that no entity of this schema can have a value at.
    ///
    /// A schema tells when its top level lists `properties` and says
    /// `"additionalProperties": false`; others allow every field.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound), with the fields there are.
    ///
    /// ```
    /// use serde_json::json;
    /// use threads_db::schema::CompiledSchema;
    /// let closed = json!({"properties": {"age": {}}, "additionalProperties": false});
    /// let schema = CompiledSchema::compile(&closed).unwrap();
    /// assert!(schema.check_field(&"age".parse().unwrap()).is_ok());
    /// assert!(schema.check_field(&"agee".parse().unwrap()).is_err());
    /// ```
    pub fn check_field(&self, path: &FieldPath) -> Result<()> {
        match &self.fields {
            Some(fields) => fields::check(fields, path),
            None => Ok(()),
        }
    }

    /// Whether `entity` is as the schema says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when it is not: the message has up
    /// to three reasons, each with the JSON Pointer of its place, and the context has the first
    /// place as `at`. Values are not repeated in either. Also for an entity that is nested too
    /// deeply, or that recursive alternatives of the schema would take too long to check.
    ///
    /// ```
    /// use serde_json::json;
    /// use threads_db::schema::CompiledSchema;
    /// let schema = CompiledSchema::compile(&json!({"properties": {"n": {"maximum": 1}}})).unwrap();
    /// let error = schema.validate(&json!({"n": 2})).unwrap_err();
    /// assert!(error.message().ends_with("/n must be at most 1"), "{error}");
    /// ```
    pub fn validate(&self, entity: &Value) -> Result<()> {
        match entity {
            Value::Object(members) if !self.mentions_id && members.contains_key("_id") => {
                let rest: Map<String, Value> = members
                    .iter()
                    .filter(|(name, _)| *name != "_id")
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                self.check(&Value::Object(rest))
            }
            _ => self.check(entity),
        }
    }

    fn check(&self, entity: &Value) -> Result<()> {
        let values = values_in(entity, ENTITY_DEPTH_MAX).ok_or_else(|| {
            Error::invalid("the entity is nested too deeply: flatten it")
                .with("most", ENTITY_DEPTH_MAX)
        })?;
        if !self.graph.affords_checking(entity, values) {
            return Err(Error::invalid(
                "the entity is nested too deeply for the recursive alternatives of its schema: \
                 flatten it, or simplify the schema",
            ));
        }
        if self.validator.is_valid(entity) {
            return Ok(());
        }
        if !self.graph.affords_explaining(entity) {
            return Err(Error::invalid(
                "the entity does not match its schema; it is too large to say where",
            )
            .with("at", ""));
        }
        Err(explain::violations(self.validator.iter_errors(entity)))
    }
}

/// Names a schema by its content: base32 multibase of the SHA-256 of its canonical JSON text
/// (members sorted by name, no whitespace).
///
/// Numbers are compared as they are written: `1` and `1.0` make two schemas.
///
/// ```
/// use serde_json::json;
/// use threads_db::schema::schema_id;
/// let id = schema_id(&json!({"type": "object", "minProperties": 1}));
/// assert_eq!(id, schema_id(&json!({"minProperties": 1, "type": "object"})));
/// assert_eq!((id.len(), &id[..1]), (53, "b"));
/// ```
pub fn schema_id(schema: &Value) -> String {
    let mut text = String::new();
    write_canonical(schema, &mut text);
    multibase::encode(multibase::Base::Base32Lower, sha256(text.as_bytes()))
}

/// The schema of a Rust type, in draft 2020-12.
///
/// ```
/// #[derive(schemars::JsonSchema)]
/// struct Person { name: String }
/// let schema = threads_db::schema::schema_for::<Person>();
/// assert_eq!(schema["properties"]["name"]["type"], "string");
/// ```
pub fn schema_for<T: schemars::JsonSchema>() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            // The map's own order depends on how it was built.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (i, (name, member)) in members.into_iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(member, text);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// Refuses a `$schema` that names no known draft.
fn check_draft(schema: &Value, at: &str) -> Result<()> {
    let Some(named) = schema.get("$schema") else {
        return Ok(());
    };
    if named
        .as_str()
        .is_some_and(|uri| Draft::from_schema_uri(uri) != Draft::Unknown)
    {
        return Ok(());
    }
    let known = DRAFTS.join(", ");
    Err(Error::invalid(format!(
        "the schema's $schema is not known: leave it out, or use one of {known}"
    ))
    .with("$schema", explain::shortened(&named.to_string()))
    .with("at", format!("{at}/$schema")))
}

/// Fetches nothing.
struct NoRetriever;

impl Retrieve for NoRetriever {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn StdError + Send + Sync>> {
        Err("schemas are not fetched".into())
    }
}

fn not_a_schema(cause: &ValidationError<'_>) -> Error {
    Error::invalid(format!(
        "not a JSON Schema: {}",
        explain::reason(cause.kind(), cause.instance())
    ))
    .with("at", explain::shortened(cause.instance_path().as_str()))
}
