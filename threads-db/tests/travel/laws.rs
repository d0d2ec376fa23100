//! What holds of every history.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::codec::{Action, EventCodec, EventCodecExt};
use threads_core::{Cid, EntityId, FieldPath, Hlc};
use threads_db::query::Query;
use threads_db::{Db, DiffScope, Point};

use super::lab::{Kit, Lab, Step, Writer};

type Tried = Result<(), TestCaseError>;

fn at(writer: &Writer, point: &Point) -> Vec<Value> {
    let past = writer.db.as_of(point).unwrap();
    past.find(&writer.things, &Query::new()).unwrap()
}

fn text(values: &[Value]) -> String {
    serde_json::to_string(values).unwrap()
}

/// A node that has more shows of the past what another one showed that had no more, and what it showed itself.
pub(crate) fn past_is_what_was_shown(kit: &Kit, steps: &[Step]) -> Tried {
    let lab = Lab::played(kit, steps);
    let all = lab.complete();
    let query = Query::parse("f0 >= 2 or in.f1 = 1")
        .unwrap()
        .sort_desc("f0");
    for seen in &lab.seen {
        let point = Point::Records(seen.heads.clone());
        prop_assert_eq!(text(&at(all, &point)), text(&seen.state));
        if let Some(record) = seen.record {
            let alone = at(all, &Point::Records(vec![record]));
            prop_assert_eq!(text(&alone), text(&seen.state), "what an author had seen");
        }
        let past = all.db.as_of(&point).unwrap();
        let found = past.find::<Value>(&all.things, &query).unwrap();
        let page = threads_db::query::page(seen.state.iter().cloned().map(Ok), &query).unwrap();
        prop_assert_eq!(&found, &page.rows);
        prop_assert_eq!(past.count(&all.things, &query).unwrap(), found.len() as u64);
        for value in &seen.state {
            let id = value["_id"].as_str().unwrap();
            let alone: Option<Value> = past.get(&all.things, id).unwrap();
            prop_assert_eq!(alone.as_ref(), Some(value));
        }
        let itself = &lab.writers[seen.writer];
        let then = at(itself, &Point::Position(seen.position));
        prop_assert_eq!(
            text(&then),
            text(&seen.state),
            "what the node itself showed"
        );
    }
    prop_assert_eq!(at(all, &Point::Now), all.state());
    Ok(())
}

/// The times of all records.
fn times(db: &Db) -> BTreeMap<Hlc, Vec<Cid>> {
    let mut times: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in db.log(None).unwrap() {
        times.entry(entry.time).or_default().push(entry.record);
    }
    times
}

/// Who writes is later than all they had seen: so the records until a time build on no others.
pub(crate) fn time_is_all_until_then(kit: &Kit, steps: &[Step]) -> Tried {
    let lab = Lab::played(kit, steps);
    let all = lab.complete();
    let mut until = Vec::new();
    for (time, records) in times(&all.db) {
        until.extend(records);
        let by_records = at(all, &Point::Records(until.clone()));
        prop_assert_eq!(text(&at(all, &Point::Time(time))), text(&by_records));
    }
    prop_assert!(at(all, &Point::Time(Hlc::ZERO)).is_empty());
    Ok(())
}

fn field<'v>(value: Option<&'v Value>, path: &FieldPath) -> Option<&'v Value> {
    let mut value = value?;
    for segment in path.segments() {
        value = value.get(segment)?;
    }
    Some(value)
}

/// By the model, a field was changed last at the last time at which it was another than just before.
pub(crate) fn blame_is_the_last_change(kit: &Kit, steps: &[Step]) -> Tried {
    let lab = Lab::played(kit, steps);
    let all = lab.complete();
    for value in all.state() {
        let id = value["_id"].as_str().unwrap();
        let moments = all.db.history(&all.things, id).unwrap().moments;
        let times: BTreeSet<Hlc> = moments.iter().map(|moment| moment.time).collect();
        if times.len() < moments.len() {
            // Of events of one time a past has all.
            continue;
        }
        let views: Vec<(Hlc, Option<Value>)> = times
            .into_iter()
            .map(|time| {
                let past = all.db.as_of(&Point::Time(time)).unwrap();
                (time, past.get(&all.things, id).unwrap())
            })
            .collect();
        let blames = all.db.blame(&all.things, id).unwrap();
        for blame in &blames {
            let mut before = None;
            let mut last = None;
            for (time, view) in &views {
                let now = field(view.as_ref(), &blame.path);
                last = if now == before { last } else { Some(*time) };
                before = now;
            }
            prop_assert_eq!(Some(blame.time), last, "{}", blame.path);
            prop_assert_eq!(blame.value.as_ref(), field(Some(&value), &blame.path));
            let alone = all.db.blame_field(&all.things, id, &blame.path).unwrap();
            prop_assert_eq!(&alone, blame);
            let moment = moments.iter().find(|moment| moment.record == blame.record);
            prop_assert_eq!(moment.unwrap().author, blame.author);
        }
        let mut rebuilt = BTreeSet::new();
        blames
            .iter()
            .for_each(|blame| _ = rebuilt.insert(blame.path.to_string()));
        prop_assert!(rebuilt.contains("_id"));
    }
    Ok(())
}

/// What a JSON Patch makes of a value.
fn patched(before: &Value, patch: &Value) -> Value {
    let codec = JsonPatch::new();
    let created = codec
        .encode(None, &Action::Create(before))
        .unwrap()
        .unwrap();
    let state = codec.apply(None, &created).unwrap();
    let event = codec
        .encode(Some(&state), &Action::Patch(patch))
        .unwrap()
        .unwrap();
    codec
        .value(&codec.apply(Some(&state), &event).unwrap())
        .unwrap()
}

pub(crate) fn diff_leads_there(kit: &Kit, steps: &[Step]) -> Tried {
    let lab = Lab::played(kit, steps);
    let all = lab.complete();
    let points: Vec<_> = lab.seen.iter().map(|seen| &seen.heads).step_by(3).collect();
    for (from, to) in points
        .iter()
        .zip(points.iter().skip(1))
        .chain(points.iter().rev().zip(&points))
    {
        let from = Point::Records((*from).clone());
        let to = Point::Records((*to).clone());
        let mut made: BTreeMap<String, Value> = BTreeMap::new();
        for value in at(all, &from) {
            made.insert(value["_id"].as_str().unwrap().to_owned(), value);
        }
        for diff in all.db.diff(&from, &to, &DiffScope::Thread).unwrap() {
            let id = diff.entity.as_str().to_owned();
            prop_assert_eq!(made.get(&id), diff.before.as_ref());
            let patch = diff.json_patch();
            match (&diff.before, &diff.after) {
                (Some(before), Some(_)) => _ = made.insert(id.clone(), patched(before, &patch)),
                (None, Some(_)) => _ = made.insert(id.clone(), patch[0]["value"].clone()),
                _ => _ = made.remove(&id),
            }
            prop_assert_eq!(made.get(&id), diff.after.as_ref());
            let entity: EntityId = diff.entity.clone();
            let scope = DiffScope::Entity(diff.collection.clone(), entity);
            prop_assert_eq!(all.db.diff(&from, &to, &scope).unwrap(), vec![diff]);
        }
        let made: Vec<Value> = made.into_values().collect();
        prop_assert_eq!(text(&made), text(&at(all, &to)));
    }
    Ok(())
}

pub(crate) fn revert_goes_back(kit: &Kit, steps: &[Step]) -> Tried {
    let lab = Lab::played(kit, steps);
    let all = lab.complete();
    for seen in lab.seen.iter().step_by(2) {
        let point = Point::Records(seen.heads.clone());
        let records = all.db.log(None).unwrap().len();
        for number in 0..4 {
            let id = super::lab::id(number);
            let was = seen.state.iter().find(|value| value["_id"] == *id);
            let lives = all.things.has(&id).unwrap();
            match (all.things.revert(&id, &point), was) {
                (Ok(()), Some(was)) => {
                    let is = all.things.get(&id).unwrap();
                    prop_assert_eq!(is.as_ref(), Some(was));
                }
                (Ok(()), None) => prop_assert!(false, "{id} was not there"),
                (Err(error), _) => {
                    prop_assert!(was.is_none() || !lives, "{error}");
                    prop_assert_eq!(all.things.has(&id).unwrap(), lives);
                }
            }
        }
        prop_assert!(
            all.db.log(None).unwrap().len() >= records,
            "nothing is rewritten"
        );
        prop_assert_eq!(text(&at(all, &point)), text(&seen.state));
    }
    prop_assert!(all.db.verify(&mut |_| ()).unwrap().is_clean());
    Ok(())
}
