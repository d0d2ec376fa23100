//! `quarantine`: records that are kept and not applied.

use serde_json::{Value, json};
use threads_core::{Cid, Error, ErrorKind};
use threads_db::{Db, HeldRecord, ShownEvent, WriteTransaction};

use crate::args::{OfThread, QuarantineAdopt, QuarantineCommand, QuarantineShow};
use crate::exit::{Advise, Failure, Result};
use crate::meter::Meter;
use crate::output::{Output, counted, time};
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, command: &QuarantineCommand, out: &mut Output) -> Result {
    match command {
        QuarantineCommand::Ls(args) => list(repo, args, out),
        QuarantineCommand::Show(args) => show(repo, args, out),
        QuarantineCommand::Adopt(args) => adopt(repo, args, out),
    }
}

fn list(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, &args.db)?;
    let held = in_quarantine(&db)?;
    if out.is_json() {
        for held in &held {
            out.value(held)?;
        }
        return Ok(());
    }
    if held.is_empty() {
        out.remark("nothing is in quarantine");
        return Ok(());
    }
    let rows: Vec<_> = held.iter().map(row).collect();
    out.table(["RECORD", "AUTHOR", "SINCE (UTC)", "STATE", "WHY"], &rows)?;
    let name = quoted(db.name());
    out.remark(format_args!(
        "next: threads quarantine show {name} RECORD, threads quarantine adopt {name} RECORD"
    ));
    Ok(())
}

fn row(held: &HeldRecord) -> [String; 5] {
    let author = held.author;
    let state = match held.adopted_by {
        Some(_) => "adopted",
        None => "apart",
    };
    let why = held.reason.to_string();
    [
        held.record.to_string(),
        author.map_or("unknown".to_owned(), |author| author.to_string()),
        time(held.since_ms),
        state.to_owned(),
        why.strip_prefix("in quarantine: ")
            .unwrap_or(&why)
            .to_owned(),
    ]
}

fn in_quarantine(db: &Db) -> Result<Vec<HeldRecord>> {
    let mut held = db.held()?;
    held.retain(|held| held.reason.is_quarantine());
    Ok(held)
}

/// One of those in quarantine.
fn find(db: &Db, record: &Cid) -> Result<HeldRecord> {
    let mut held = in_quarantine(db)?.into_iter();
    held.find(|held| held.record == *record).ok_or_else(|| {
        let error = Error::not_found("no record in quarantine has this CID").with("cid", record);
        let help = format!(
            "`threads quarantine ls {}` lists those there are",
            quoted(db.name())
        );
        Failure::new(error, help)
    })
}

/// Shows what a record would change, on top of what there is now: it is adopted in a transaction that is
/// given up.
fn show(repo: &Repo, args: &QuarantineShow, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let held = find(&db, &args.cid)?;
    let shown = db.show(&args.cid);
    let (time_ms, events) = match shown {
        Ok(shown) => (Some(shown.time.wall_ms), shown.events),
        // It stands in no log, or its body breaks a rule.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Rejected) => {
            (None, Vec::new())
        }
        Err(error) => return Err(error.into()),
    };
    let mut txn = db.begin()?;
    let before = states(&txn, &db, &events)?;
    let adopted = txn.adopt(&args.cid);
    let after = match &adopted {
        Ok(_) => states(&txn, &db, &events)?,
        Err(_) => vec![Value::Null; events.len()],
    };
    drop(txn);
    let changes = events.iter().zip(before.into_iter().zip(after));
    let changes: Vec<_> = changes
        .map(|(event, (before, after))| {
            let (collection, entity) = (&event.collection, &event.entity);
            let mut change = json!({
                "collection": collection, "entity": entity, "action": event.action,
            });
            if adopted.is_ok() {
                change["before"] = before;
                change["after"] = after;
            }
            change
        })
        .collect();
    out.document(&json!({
        "record": held.record.to_string(), "author": held.author, "time_ms": time_ms,
        "since_ms": held.since_ms, "reason": held.reason, "adopted_by": held.adopted_by,
        "changes": changes,
    }))?;
    if let Err(error) = adopted {
        out.remark(format_args!("it cannot be adopted here: {error}"));
    }
    Ok(())
}

/// The entities of events as a transaction sees them; null where there is none.
fn states(txn: &WriteTransaction<'_>, db: &Db, events: &[ShownEvent]) -> Result<Vec<Value>> {
    let state = |event: &ShownEvent| -> Result<Value> {
        match db.collection(event.collection.as_str()) {
            Ok(collection) => {
                let found = txn.get(&collection, event.entity.as_str())?;
                Ok(found.unwrap_or(Value::Null))
            }
            // Of the framework's own collections, and of those that are not defined here.
            Err(_) => Ok(Value::Null),
        }
    };
    events.iter().map(state).collect()
}

fn adopt(repo: &Repo, args: &QuarantineAdopt, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let records = match &args.all_of {
        None => args.records.clone(),
        Some(peer) => {
            let held = in_quarantine(&db)?.into_iter();
            let own = held.filter(|held| held.author == Some(*peer) && held.adopted_by.is_none());
            own.map(|held| held.record).collect()
        }
    };
    if records.is_empty() {
        out.remark("nothing of this peer is in quarantine that nobody has adopted");
        return Ok(());
    }
    let mut adopted = Vec::new();
    {
        let meter = Meter::steps(out, "records");
        for record in &records {
            adopted.push((record, adopt_one(&db, record)?));
            meter.set(adopted.len() as u64, Some(records.len() as u64));
        }
    }
    out.done("the records are adopted");
    for (record, changed) in adopted {
        match out.is_json() {
            true => out.value(&json!({"record": record.to_string(), "changed": changed}))?,
            false => out.line(format_args!(
                "{record}  {}",
                counted(changed as u64, "change")
            ))?,
        }
    }
    Ok(())
}

/// Each in a transaction of its own: what is wrong with one is in nobody's way.
fn adopt_one(db: &Db, record: &Cid) -> Result<usize> {
    if let Some(by) = find(db, record)?.adopted_by {
        let error = Error::conflict("this record is adopted already");
        let error = error.with("cid", record).with("by", by);
        return Err(Failure::new(error, "there is nothing left to do about it"));
    }
    db.write(|txn| txn.adopt(record))
        .advise(ErrorKind::Unsupported, || {
            "make its changes anew: `threads put`, `patch`, `collection add`".to_owned()
        })
}
