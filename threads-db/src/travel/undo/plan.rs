//! What taking a record back comes to.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use threads_core::codec::{Action, ActionKind};
use threads_core::datastore::ReadTxn;
use threads_core::record::Record;
use threads_core::{Cid, CollectionName, EntityId, Hlc, Result};

use super::{KeptField, Undone, UndoneEntity, UndoneHow, final_error};
use crate::chain;
use crate::entity::Life;
use crate::history;
use crate::layout::Place;
use crate::opened::Opened;
use crate::thread::Thread;
use crate::travel::Cut;
use crate::travel::edit;
use crate::travel::walk::{self, Replayer};
use crate::txn::WriteTransaction;

/// A record that is to be taken back.
pub(super) struct Plan {
    pub(super) record: Cid,
    time: Hlc,
    entities: Vec<Entity>,
}

struct Entity {
    told: UndoneEntity,
    /// Its value with what is put back.
    value: Option<Value>,
}

impl Plan {
    pub(super) fn new(txn: &dyn ReadTxn, thread: &Thread, place: Place) -> Result<Self> {
        let opened = thread.open(&chain::expect(txn, place)?)?;
        let mut entities = Vec::new();
        for (collection, id) in touched(&opened) {
            entities.push(entity(txn, thread, place, (collection, id))?);
        }
        Ok(Self {
            record: opened.record.id(),
            time: opened.time,
            entities,
        })
    }

    pub(super) fn told(&self) -> Undone {
        Undone {
            record: self.record,
            time: self.time,
            entities: self
                .entities
                .iter()
                .map(|entity| entity.told.clone())
                .collect(),
            commit: None,
        }
    }

    /// Refuses what is final.
    pub(super) fn check_finality(&self) -> Result<()> {
        let told = self.told();
        final_error(&told.entities).map_or(Ok(()), |error| Err(error.with("record", self.record)))
    }

    /// Makes the changes.
    pub(super) fn stage(&self, txn: &mut WriteTransaction<'_>) -> Result<()> {
        let catalogue = txn.catalogue();
        for Entity { told, value } in &self.entities {
            match (told.how, value) {
                (UndoneHow::Deleted, _) => {
                    let definition = Arc::clone(catalogue.get(&told.collection)?);
                    txn.stage_delete(&definition, &told.entity)?;
                }
                (UndoneHow::Restored, Some(value)) => {
                    let definition = Arc::clone(catalogue.get(&told.collection)?);
                    let action = Action::Save(value);
                    txn.stage(&definition, &told.entity, ActionKind::Save, &action)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The entities that a record changes, in the order in which it does.
fn touched(opened: &Opened) -> Vec<(&CollectionName, &EntityId)> {
    let events = opened.batch().map_or(&[][..], |batch| &batch.events);
    let mut seen = BTreeSet::new();
    let names = events
        .iter()
        .map(|event| (&event.collection, &event.entity));
    names
        .filter(|name| !name.0.is_reserved() && seen.insert(*name))
        .collect()
}

/// What an application saw of an entity before a record and after it, and sees now.
struct Seen {
    before: Option<Value>,
    after: Option<Value>,
    now: Option<Value>,
    /// Whether the record has anything that counts.
    counts: bool,
    /// Whether anything that counts is of another log.
    shared: bool,
}

fn seen(
    txn: &dyn ReadTxn,
    thread: &Thread,
    place: Place,
    (collection, id): (&CollectionName, &EntityId),
) -> Result<Seen> {
    let nothing = Seen {
        before: None,
        after: None,
        now: None,
        counts: false,
        shared: false,
    };
    let Some(number) = walk::number(txn, thread, collection)? else {
        return Ok(nothing);
    };
    let mut replayer = Replayer::new(txn, thread, number);
    let kept = replayer.entity(id.as_str())?;
    let applied = kept.rows.iter().filter(|row| row.turns.is_applied());
    let places: Vec<_> = applied.map(|row| row.place).collect();
    let is_its = |at: &crate::layout::EventPlace| at.of_record(thread.number) == place;
    // The events of one record of an entity follow each other.
    let Some(first) = places.iter().position(is_its) else {
        return Ok(nothing);
    };
    let end = first + places[first..].iter().take_while(|at| is_its(at)).count();
    let view = |life: &Life| history::view(thread, life, id.as_str());
    let begins = replayer.begins(id.as_str())?;
    let before = replayer
        .events
        .replay(begins.clone(), places[..first].to_vec())?;
    let after = replayer.events.replay(begins, places[..end].to_vec())?;
    Ok(Seen {
        before: view(&before)?,
        after: view(&after)?,
        now: view(&replayer.life(&kept, &Cut::Now)?)?,
        counts: before != after,
        shared: places.iter().any(|at| at.log != place.log),
    })
}

fn entity(
    txn: &dyn ReadTxn,
    thread: &Thread,
    place: Place,
    name: (&CollectionName, &EntityId),
) -> Result<Entity> {
    let seen = seen(txn, thread, place, name)?;
    let (collection, entity) = (name.0.clone(), name.1.clone());
    let mut told = UndoneEntity {
        collection,
        entity,
        how: UndoneHow::Nothing,
        edits: Vec::new(),
        kept: Vec::new(),
    };
    if !seen.counts {
        return Ok(Entity { told, value: None });
    }
    told.how = match (&seen.before, &seen.after, &seen.now) {
        (Some(_), None, _) => UndoneHow::Lost,
        (None, Some(_), None) | (None, None, _) | (_, _, None) => UndoneHow::Nothing,
        // Two may have created it alike: it is the other's too.
        (None, Some(after), Some(now)) if after == now && !seen.shared => UndoneHow::Deleted,
        (None, Some(_), Some(_)) => UndoneHow::Kept,
        (Some(_), Some(_), Some(_)) => UndoneHow::Restored,
    };
    let mut value = None;
    if let (UndoneHow::Restored, Some(now)) = (told.how, &seen.now) {
        let mut made = Some(now.clone());
        put_back(
            "",
            (seen.before.as_ref(), seen.after.as_ref()),
            &mut made,
            &mut told.kept,
        );
        told.edits = edit::edits(Some(now), made.as_ref());
        value = made;
    }
    Ok(Entity { told, value })
}

/// Puts back what was there before, wherever it is still as the transaction left it. The recursion is as deep as
/// documents nest, which their decoder bounds.
fn put_back(
    path: &str,
    (before, after): (Option<&Value>, Option<&Value>),
    now: &mut Option<Value>,
    kept: &mut Vec<KeptField>,
) {
    if before == after {
        return;
    }
    if now.as_ref() == after {
        *now = before.cloned();
        return;
    }
    let none = Map::new();
    let before_members = match before {
        None => Some(&none),
        Some(before) => before.as_object(),
    };
    if let (Some(before), Some(Value::Object(after)), Some(Value::Object(now))) =
        (before_members, after, &mut *now)
    {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let mut member = now.remove(name);
            let (before, after) = (before.get(name), after.get(name));
            put_back(&edit::under(path, name), (before, after), &mut member, kept);
            if let Some(member) = member {
                now.insert(name.clone(), member);
            }
        }
        return;
    }
    kept.push(KeptField {
        path: path.to_owned(),
        value: now.clone(),
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn back(before: Value, after: Value, now: Value) -> (Value, Vec<String>) {
        let (mut made, mut kept) = (Some(now), Vec::new());
        put_back("", (Some(&before), Some(&after)), &mut made, &mut kept);
        let kept = kept.into_iter().map(|field| field.path).collect();
        (made.unwrap(), kept)
    }

    #[test]
    fn what_nobody_touched_since_is_put_back() {
        let before = json!({"a": 1, "gone": [1], "o": {"x": 1, "y": 2}});
        let after = json!({"a": 2, "new": 3, "o": {"x": 5, "y": 2}});
        assert_eq!(back(before.clone(), after.clone(), after), (before, vec![]));
    }

    #[test]
    fn what_others_changed_stays_and_is_told() {
        let before = json!({"a": 1, "b": 1, "o": {"x": 1}});
        let after = json!({"a": 2, "b": 2, "o": {"x": 2}, "p": {"q": 1, "r": 1}});
        let now = json!({"a": 2, "b": 9, "c": 7, "o": {"x": 2, "z": 8}, "p": {"q": 5, "r": 1}});
        let (made, kept) = back(before, after, now);
        let wanted = json!({"a": 1, "b": 9, "c": 7, "o": {"x": 1, "z": 8}, "p": {"q": 5}});
        assert_eq!(made, wanted);
        assert_eq!(kept, ["/b", "/p/q"]);
    }

    #[test]
    fn nothing_is_put_where_its_place_is_gone() {
        let (before, after) = (
            json!({"o": {"x": 1, "y": 1}}),
            json!({"o": {"x": 2, "y": 1}}),
        );
        for now in [json!({}), json!({"o": 3}), json!({"o": [2]})] {
            let (made, kept) = back(before.clone(), after.clone(), now.clone());
            assert_eq!((made, kept), (now, vec!["/o".to_owned()]));
        }
    }

    #[test]
    fn a_list_is_one_value() {
        let (before, after) = (json!({"l": [1]}), json!({"l": [1, 2]}));
        let (made, kept) = back(before, after, json!({"l": [1, 2, 3]}));
        assert_eq!(
            (made, kept),
            (json!({"l": [1, 2, 3]}), vec!["/l".to_owned()])
        );
    }
}
