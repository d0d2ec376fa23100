//! `status`: what is here and not applied, and what the next change will do.

use serde_json::json;
use threads_db::{Db, HeldRecord};

use crate::args::Status;
use crate::exit::Result;
use crate::output::{Output, grouped, time};
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, args: &Status, out: &mut Output) -> Result {
    let node = repo.reader()?;
    if let Some(name) = &args.db {
        let db = repo::open(&node, name)?;
        return one(&db, out);
    }
    let mut rows = Vec::new();
    let mut copies = Vec::new();
    for thread in node.threads()? {
        let db = repo::open(&node, &thread.id.to_string())?;
        let held = db.held_counts()?;
        if out.is_json() {
            out.value(&json!({
                "id": db.id(), "name": db.name(), "records": thread.records, "held": held,
                "copy": db.is_copy()?,
            }))?;
            continue;
        }
        if db.is_copy()? {
            copies.push(quoted(db.name()));
        }
        rows.push([
            thread.name,
            grouped(thread.records),
            grouped(held.pending),
            grouped(held.quarantined),
        ]);
    }
    if out.is_json() {
        return Ok(());
    }
    if rows.is_empty() {
        out.remark("no threads yet; next: threads create NAME");
        return Ok(());
    }
    out.table(["NAME", "RECORDS", "WAITING", "QUARANTINED"], &rows)?;
    tell_copies(&copies, out);
    Ok(())
}

fn one(db: &Db, out: &mut Output) -> Result {
    let held = db.held()?;
    if out.is_json() {
        return Ok(out.value(&json!({
            "id": db.id(), "name": db.name(), "held": held, "copy": db.is_copy()?,
        }))?);
    }
    if held.is_empty() {
        out.remark("every record that is here is applied");
    } else {
        let rows: Vec<_> = held.iter().map(row).collect();
        out.table(["RECORD", "SINCE (UTC)", "WHY"], &rows)?;
        out.remark("any command that changes the repository tries them again");
    }
    if db.is_copy()? {
        tell_copies(&[quoted(db.name())], out);
    }
    Ok(())
}

fn row(held: &HeldRecord) -> [String; 3] {
    [
        held.record.to_string(),
        time(held.since_ms),
        held.reason.to_string(),
    ]
}

fn tell_copies(names: &[String], out: &mut Output) {
    if names.is_empty() {
        return;
    }
    out.remark(format_args!(
        "this repository was copied or moved since it last changed {}; the next change begins a log \
         of its own, so that the copies never contradict each other",
        names.join(", ")
    ));
}
