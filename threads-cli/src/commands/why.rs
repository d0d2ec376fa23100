//! `why`: why records are applied or not, in plain words.

use std::collections::BTreeMap;

use serde_json::json;
use threads_core::{Cid, Error, ErrorKind};
use threads_db::{Db, HeldRecord};

use crate::args::{EntityPath, RecordOrEntity, Why};
use crate::exit::{Advise, Failure, Result};
use crate::output::Output;
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, args: &Why, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, &args.db)?;
    let held: BTreeMap<Cid, HeldRecord> = db
        .held()?
        .into_iter()
        .map(|held| (held.record, held))
        .collect();
    let records = match &args.what {
        RecordOrEntity::Record(cid) => vec![*cid],
        RecordOrEntity::Entity(entity) => records_of(&db, entity, &held)?,
    };
    for record in &records {
        tell(&db, record, held.get(record), out)?;
    }
    Ok(())
}

/// The records that change an entity, or would.
fn records_of(db: &Db, entity: &EntityPath, held: &BTreeMap<Cid, HeldRecord>) -> Result<Vec<Cid>> {
    let mut records = db.records_of(&entity.collection, &entity.id)?;
    for (record, held) in held {
        if held.reason.is_quarantine() && changes(db, record, entity)? && !records.contains(record)
        {
            records.push(*record);
        }
    }
    if records.is_empty() {
        let error = Error::not_found("no record that is here changes this entity");
        let help = format!(
            "`threads find {} {} --fields _id` lists the entities",
            quoted(db.name()),
            entity.collection
        );
        return Err(Failure::new(error.with("entity", entity), help));
    }
    Ok(records)
}

fn changes(db: &Db, record: &Cid, entity: &EntityPath) -> Result<bool> {
    let shown = match db.show(record) {
        // It stands in no log, or cannot be read: what it changes is not known.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Rejected) => {
            return Ok(false);
        }
        shown => shown?,
    };
    let mut events = shown.events.iter();
    Ok(events.any(|event| event.collection == entity.collection && event.entity == entity.id))
}

/// Says why one record is applied or not, the deciding reason last.
fn tell(db: &Db, record: &Cid, held: Option<&HeldRecord>, out: &mut Output) -> Result {
    let why = match (db.why(record), held) {
        // It stands in no log: the reason is that for which it is kept apart.
        (Err(error), Some(held)) if error.kind() == ErrorKind::NotFound => {
            vec![held.reason.to_string()]
        }
        (why, _) => why.advise(ErrorKind::NotFound, || {
            let name = quoted(db.name());
            format!(
                "`threads log {name}` lists the records, `threads quarantine ls {name}` those apart"
            )
        })?,
    };
    if out.is_json() {
        let applied = held.is_none();
        let adopted_by = held.and_then(|held| held.adopted_by);
        return Ok(out.value(&json!({
            "record": record.to_string(), "applied": applied, "adopted_by": adopted_by, "why": why,
        }))?);
    }
    out.line(record)?;
    for line in why {
        out.line(format_args!("  {line}"))?;
    }
    if let Some(by) = held.and_then(|held| held.adopted_by) {
        out.line(format_args!("  its changes were adopted by {by}"))?;
    }
    Ok(())
}
