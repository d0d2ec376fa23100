//! Lenses: an entity as one version sees it, over the one form in which it is stored.
//!
//! No entity is ever migrated. What is stored keeps one place for each member for ever, that of the
//! version which introduced it; a lens reads it there and writes it there. So versions change the
//! same stored members, and their concurrent changes merge as the codec merges any others. What a
//! version does not know is kept as it is.
//!
//! ```
//! use serde_json::json;
//! use threads_core::module::{Lens, Step};
//!
//! let one = json!({"properties": {"name": {}, "email": {}}});
//! let two = json!({"properties": {"fullName": {}, "emails": {"items": {}}, "tags": {}}});
//! let steps = [
//!     Step::rename("name", "fullName").unwrap(),
//!     Step::wrap("email", "emails").unwrap(),
//!     Step::add_with("tags", json!([])).unwrap(),
//! ];
//! let old = Lens::of(&[(&one, &[])]).unwrap();
//! let new = Lens::of(&[(&one, &[]), (&two, &steps)]).unwrap();
//!
//! // The old version makes an entity, and the new one sees it as its own.
//! let stored = old.put(None, &json!({"_id": "ann", "name": "Ann", "email": "a@x"})).unwrap();
//! assert_eq!(new.get(&stored), json!({"_id": "ann", "fullName": "Ann", "emails": ["a@x"], "tags": []}));
//!
//! // The new one changes it, and the old one goes on with it, and loses nothing.
//! let changed = json!({"_id": "ann", "fullName": "Ann", "emails": ["a@x", "b@x"], "tags": ["new"]});
//! let stored = new.put(Some(&stored), &changed).unwrap();
//! assert_eq!(old.get(&stored), json!({"_id": "ann", "name": "Ann", "email": "a@x"}));
//! let stored = old.put(Some(&stored), &json!({"_id": "ann", "name": "Anne", "email": "a@x"})).unwrap();
//! assert_eq!(new.get(&stored)["fullName"], "Anne");
//! assert_eq!(new.get(&stored)["tags"], json!(["new"]));
//! ```

use serde_json::{Map, Value};

use super::chain::{Chain, Slot};
use super::shape::{self, Shape};
use super::source::Source;
use super::step::Step;
use crate::{Error, FieldPath, Result};

/// The member that every entity has.
const ID: &str = "_id";

/// How a version of a collection sees stored entities. See the [module](self) for an example.
#[derive(Clone, Debug)]
pub struct Lens {
    schema: Value,
    /// The members that are not stored where the version has them, or have a default; those above
    /// others come first.
    slots: Vec<Slot>,
    /// What versions before expect in entities that this one makes.
    owed: Vec<(Source, Value)>,
}

/// Where the value of a path is stored, for whoever looks for entities by it.
///
/// ```
/// use threads_core::module::{Lens, StoredAt};
/// let schema = serde_json::json!({"properties": {"name": {}}});
/// let lens = Lens::of(&[(&schema, &[])]).unwrap();
/// let name = "name".parse().unwrap();
/// assert_eq!(lens.stored_at(&name), StoredAt::Path { path: name, default: None });
/// assert_eq!(lens.stored_at(&"age".parse().unwrap()), StoredAt::Nowhere);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum StoredAt {
    /// There, as it is; where there is nothing, the version sees the default.
    Path {
        /// Where.
        path: FieldPath,
        /// What is seen where nothing is stored.
        default: Option<Value>,
    },
    /// It is made of what is stored, and cannot be looked for.
    Made,
    /// The version has no such member.
    Nowhere,
}

impl Lens {
    /// The lens of the last version of a collection, by the schema of each version in which it is
    /// and the steps from the one before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when steps and schemas do not fit each
    /// other, or are too large; the message says what to change.
    ///
    /// ```
    /// use serde_json::json;
    /// use threads_core::module::{Lens, Step};
    /// let (one, two) = (json!({"properties": {"a": {}}}), json!({"properties": {"a": {}, "b": {}}}));
    /// assert!(Lens::of(&[(&one, &[]), (&two, &[])]).is_err(), "no step adds b");
    /// assert!(Lens::of(&[(&one, &[]), (&two, &[Step::add("b").unwrap()])]).is_ok());
    /// ```
    pub fn of(versions: &[(&Value, &[Step])]) -> Result<Self> {
        let chain = Chain::of(versions)?;
        let mut slots = chain.slots;
        slots.sort_by_key(|slot| slot.seen.segments().len());
        Ok(Self {
            schema: chain.schema.clone(),
            slots,
            owed: chain.owed,
        })
    }

    fn shape(&self) -> Shape<'_> {
        Shape::of(&self.schema)
    }

    fn shape_at(&self, path: &FieldPath) -> Shape<'_> {
        let shape = self.shape().at(path.segments());
        shape.unwrap_or(Shape::anything())
    }

    /// A stored entity as the version sees it: the members that its schema lists, and `_id`.
    ///
    /// See the example of the [module](self).
    pub fn get(&self, stored: &Value) -> Value {
        let mut seen = self.shape().seen(stored);
        for slot in &self.slots {
            // What is stored there is something else.
            shape::put(&mut seen, &slot.seen, None);
        }
        for slot in &self.slots {
            let value = slot.source.get(stored, self.shape_at(&slot.seen));
            if let Some(value) = value {
                shape::put(&mut seen, &slot.seen, Some(value));
            }
        }
        for slot in &self.slots {
            if let Some(default) = &slot.default
                && shape::find(&seen, &slot.seen).is_none()
                && shape::holder(&seen, &slot.seen).is_some()
            {
                shape::put(&mut seen, &slot.seen, Some(default.clone()));
            }
        }
        if let (Some(id), Some(members)) = (stored.get(ID), seen.as_object_mut()) {
            members.insert(ID.to_owned(), id.clone());
        }
        seen
    }

    /// What is stored when the version saves `now`, over what was stored before: what it does not
    /// know stays, and what it did not change too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when `now` is no object, has a member that
    /// the version does not have, or a value that the versions before cannot have.
    ///
    /// See the example of the [module](self).
    pub fn put(&self, before: Option<&Value>, now: &Value) -> Result<Value> {
        let Some(members) = now.as_object() else {
            return Err(Error::invalid("an entity is a JSON object"));
        };
        let mut rest = members.clone();
        let id = rest.remove(ID);
        let mut rest = Value::Object(rest);
        if let Some(at) = self.shape().unknown(&rest) {
            let error = "this version of the module has no such member: later versions may";
            return Err(Error::invalid(error).with("at", at));
        }
        // Those below others go first, so that these are without them.
        let slots = self.slots.iter().rev();
        let mut values: Vec<_> = slots
            .map(|slot| (slot, shape::put(&mut rest, &slot.seen, None)))
            .collect();
        values.reverse();
        let empty = Value::Object(Map::new());
        let stored = before.unwrap_or(&empty);
        let mut after = self.shape().woven(Some(stored), &rest);
        for (slot, value) in values {
            let shape = self.shape_at(&slot.seen);
            let shown = slot.default.as_ref() == value.as_ref();
            let unchanged = shown && slot.source.get(stored, shape).is_none();
            let value = value.filter(|_| !unchanged);
            slot.source.put(stored, &mut after, value.as_ref(), shape)?;
        }
        self.pay(stored, &mut after)?;
        if let (Some(id), Some(members)) = (id, after.as_object_mut()) {
            members.insert(ID.to_owned(), id);
        }
        Ok(after)
    }

    /// Gives earlier versions what they expect in what is new.
    fn pay(&self, before: &Value, after: &mut Value) -> Result<()> {
        for (source, value) in &self.owed {
            let at = source.origin();
            let is_new = match at.segments() {
                [_] => before.as_object().is_none_or(Map::is_empty),
                _ => shape::holder(before, at).is_none() && shape::holder(after, at).is_some(),
            };
            if is_new && source.get(after, Shape::anything()).is_none() {
                let nothing = Value::Object(Map::new());
                source.put(&nothing, after, Some(value), Shape::anything())?;
            }
        }
        Ok(())
    }

    /// Where the value of a path is stored.
    ///
    /// See the example of [`StoredAt`], as the [module](self) has none.
    pub fn stored_at(&self, path: &FieldPath) -> StoredAt {
        let segments = path.segments();
        let whole = |path: FieldPath| StoredAt::Path {
            path,
            default: None,
        };
        if segments == [ID] {
            return whole(path.clone());
        }
        if self.shape().at(segments).is_none() {
            return StoredAt::Nowhere;
        }
        let above = |slot: &&Slot| segments.starts_with(slot.seen.segments());
        let Some(slot) = self.slots.iter().rev().find(above) else {
            return whole(path.clone());
        };
        let below = &segments[slot.seen.segments().len()..];
        match (&slot.source, &slot.default) {
            (Source::Field(at), default) if below.is_empty() => match default {
                // Whether it is seen depends on what is above it.
                Some(_) if segments.len() > 1 => StoredAt::Made,
                default => StoredAt::Path {
                    path: at.clone(),
                    default: default.clone(),
                },
            },
            (Source::Field(at), None) => {
                let all = at.segments().iter().chain(below).cloned();
                FieldPath::new(all).map_or(StoredAt::Made, whole)
            }
            _ => StoredAt::Made,
        }
    }
}
