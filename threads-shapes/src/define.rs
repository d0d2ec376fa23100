//! The collection under a shape.

use threads_core::module::CollectionSpec;
use threads_core::{Error, ErrorKind, Result};
use threads_db::{Collection, Db};

/// The codec of most shapes: each member of an entity has a last writer.
pub(crate) const LWW: &str = "lww/1";
/// The codec of documents, which are changed inside their members.
pub(crate) const JSON_PATCH: &str = "jsonpatch/1";

/// The collection of this name, defined with `codec` if it is not there.
pub(crate) fn collection<T>(db: &Db, name: &str, codec: &str) -> Result<Collection<T>> {
    match found(db, name, codec) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            db.define(&CollectionSpec::new(name.parse()?, codec.parse()?))?;
            db.typed(name)
        }
        found => found,
    }
}

/// The collection of this name. What a shape promises rests on its codec, so of no other one.
pub(crate) fn found<T>(db: &Db, name: &str, codec: &str) -> Result<Collection<T>> {
    let collection = db.typed(name)?;
    let actual = collection.codec()?;
    if actual.as_str() != codec {
        let error =
            Error::conflict("this shape needs a collection of another codec: use another name");
        let error = error.with("collection", name);
        return Err(error.with("codec", actual).with("needed", codec));
    }
    Ok(collection)
}
