//! The collection under a shape.

use threads_core::module::CollectionSpec;
use threads_core::{ErrorKind, Result};
use threads_db::{Collection, Db};

/// The codec of most shapes: each member of an entity has a last writer.
pub(crate) const LWW: &str = "lww/1";
/// The codec of documents, which are changed inside their members.
pub(crate) const JSON_PATCH: &str = "jsonpatch/1";

/// The collection of this name, defined with `codec` if it is not there.
pub(crate) fn collection<T>(db: &Db, name: &str, codec: &str) -> Result<Collection<T>> {
    match db.typed(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            db.define(&CollectionSpec::new(name.parse()?, codec.parse()?))?;
            db.typed(name)
        }
        found => found,
    }
}
