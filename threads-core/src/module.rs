//! Modules: shared schemas, published once and used by many applications.
//!
//! # Contract
//!
//! * [`Module::id`] and [`Module::version`] name what the module says for ever: changed schemas,
//!   codecs or indexes are a new version.
//! * [`Module::collections`] and [`Module::acl_template`] give the same every time.
//! * [`Module::upcast`] is pure, accepts every version before its own, and gives an entity that
//!   fits the present schema. It never fails on an entity that fitted the schema of its version.
//!
//! # For implementers
//!
//! Publish a crate that depends on `threads-core` alone. Give every field that a new version
//! adds a value in `upcast`; never give an old name another meaning.
//!
//! # For users
//!
//! Add modules when a thread is created or joined; two applications that add the same module
//! can share a thread.
//!
//! # Example
//!
//! ```
//! use threads_core::module::{CollectionSpec, IndexSpec, Module};
//! use threads_core::{CollectionName, Result};
//! use serde_json::{Value, json};
//!
//! #[derive(Debug)]
//! struct People;
//!
//! impl Module for People {
//!     fn id(&self) -> &str { "org.example.people" }
//!     fn version(&self) -> u32 { 2 }
//!     fn collections(&self) -> Vec<CollectionSpec> {
//!         let (name, codec) = ("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap());
//!         vec![
//!             CollectionSpec::new(name, codec)
//!                 .with_schema(json!({"type": "object", "required": ["name", "tags"]}))
//!                 .with_index(IndexSpec::on("name".parse().unwrap())),
//!         ]
//!     }
//!     fn upcast(&self, _: &CollectionName, from_version: u32, mut value: Value) -> Result<Value> {
//!         if from_version < 2 {
//!             value["tags"] = json!([]);
//!         }
//!         Ok(value)
//!     }
//!     fn acl_template(&self) -> Option<Value> { None }
//! }
//! ```

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::{CollectionName, Result};

mod spec;

pub use spec::{CollectionSpec, INDEX_PATHS_MAX, INDEXES_MAX, IndexSpec};

/// A shared schema module. See the [module](self) for its contract.
///
/// No method has a default: a wrapper that forgot one would change what the module says.
pub trait Module: fmt::Debug + Send + Sync + 'static {
    /// Its name, unique in the world: a domain name of the publisher, reversed, and a word.
    fn id(&self) -> &str;

    /// Its version: 1, then one more with every change.
    fn version(&self) -> u32;

    /// The collections it brings.
    fn collections(&self) -> Vec<CollectionSpec>;

    /// An entity of `collection` as this version has it, from one of `from_version`.
    fn upcast(&self, collection: &CollectionName, from_version: u32, value: Value)
    -> Result<Value>;

    /// The rules of access it proposes for a new thread, in the form of the policy in use.
    fn acl_template(&self) -> Option<Value>;
}

impl<T: Module + ?Sized> Module for Arc<T> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn version(&self) -> u32 {
        (**self).version()
    }

    fn collections(&self) -> Vec<CollectionSpec> {
        (**self).collections()
    }

    fn upcast(
        &self,
        collection: &CollectionName,
        from_version: u32,
        value: Value,
    ) -> Result<Value> {
        (**self).upcast(collection, from_version, value)
    }

    fn acl_template(&self) -> Option<Value> {
        (**self).acl_template()
    }
}
