//! An application's value with the id of its entity, in its own type: a codec may know more of its parts
//! than JSON does.

use serde::{Serialize, Serializer};
use serde_json::Value;
use threads_core::{EntityId, Error, Result};

use super::own_id::{Fault, own_id};

/// A value, and the id that it lacks.
#[derive(Debug)]
pub(super) struct Identified<'v, T> {
    value: &'v T,
    added: Option<EntityId>,
}

#[derive(Serialize)]
struct WithId<'v, T> {
    _id: &'v str,
    #[serde(flatten)]
    value: &'v T,
}

impl<T: Serialize> Serialize for Identified<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self { value, added } = self;
        match added {
            Some(id) => WithId {
                _id: id.as_str(),
                value,
            }
            .serialize(serializer),
            None => value.serialize(serializer),
        }
    }
}

impl<'v, T: Serialize> Identified<'v, T> {
    /// A value and its id; `make` gives one to a value without.
    pub(super) fn new(value: &'v T, make: impl FnOnce() -> EntityId) -> Result<(EntityId, Self)> {
        let own = own_id(value).map_err(|fault| match fault {
            Fault::NoObject => {
                Error::invalid("an entity is a JSON object, such as {\"name\": \"Bob\"}")
            }
            fault @ Fault::Unwritable(_) => {
                Error::invalid("an entity must be JSON").caused_by(fault)
            }
        })?;
        let (id, added) = match own {
            Some(Value::String(id)) => (id.parse()?, None),
            Some(_) => return Err(Error::invalid("an entity's _id is a string")),
            None => {
                let id = make();
                (id.clone(), Some(id))
            }
        };
        Ok((id, Self { value, added }))
    }
}
