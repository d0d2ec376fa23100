//! Making an entity what it was.

use serde_json::Value;
use threads_core::codec::{Action, ActionKind};
use threads_core::{EntityId, Error, Result};

use super::walk::Replayer;
use super::{Cut, Point};
use crate::collection::Collection;
use crate::entity::Life;
use crate::txn::WriteTransaction;

impl WriteTransaction<'_> {
    /// Makes an entity's value what it was at a point, by a change as any other: the history stays. What this
    /// transaction did to it before is replaced too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when it was deleted since, for that is final;
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when it did not live at that point, or never;
    /// those of [`Db::as_of`](crate::Db::as_of) for the point, and those of [`WriteTransaction::save`]: the schema and
    /// unique values are those of today.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::Point;
    /// let before = Point::Records(db.heads().unwrap());
    /// people.patch("bob", &serde_json::json!({"age": 43, "nick": "b"})).unwrap();
    /// db.write(|txn| txn.revert(&people, "bob", &before)).unwrap();
    /// assert_eq!(people.get("bob").unwrap().unwrap(), serde_json::json!({"_id": "bob", "age": 42}));
    /// ```
    pub fn revert<T>(&mut self, collection: &Collection<T>, id: &str, to: &Point) -> Result<()> {
        let definition = self.writable(collection)?;
        let id: EntityId = id.parse()?;
        let told = |error: Error| error.with("collection", &definition.name).with("_id", &id);
        if self.life(&definition, &id)? == Life::Deleted {
            let message =
                "deleting is final: create another entity of what it was, which is in the past";
            return Err(told(Error::conflict(message)));
        }
        let was = self.value_at(definition.number, &id, to)?.ok_or_else(|| {
            told(Error::not_found(
                "no entity of this _id lived at that point, so there is nothing to go back to",
            ))
        })?;
        self.stage(&definition, &id, ActionKind::Save, &Action::Save(&was))
    }

    fn value_at(
        &self,
        number: crate::layout::Number,
        id: &EntityId,
        point: &Point,
    ) -> Result<Option<Value>> {
        let (txn, thread) = (self.txn.as_read(), self.thread());
        let cut = Cut::at(txn, thread, point)?;
        let mut replayer = Replayer::new(txn, thread, number);
        let mut kept = replayer.entity(id.as_str())?;
        // What this transaction staged is in no record yet.
        kept.rows.retain(|row| row.place.time < self.time);
        let places = kept.rows.iter().filter(|row| cut.has(row));
        let places: Vec<_> = places.map(|row| row.place).collect();
        let begins = replayer.begins(id.as_str())?;
        let life = replayer.events.replay(begins, places)?;
        crate::history::view(thread, &life, id.as_str())
    }
}

impl<T> Collection<T> {
    /// See [`WriteTransaction::revert`](crate::WriteTransaction::revert).
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// use threads_db::Point;
    /// people.revert("bob", &Point::Now).unwrap(); // changes nothing
    /// ```
    pub fn revert(&self, id: &str, to: &Point) -> Result<()> {
        self.db().write(|txn| txn.revert(self, id, to))
    }
}
