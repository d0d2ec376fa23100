//! `log`, `show`, `verify`: what is there, and the proof that it is right.

use threads_core::{Error, ErrorKind};
use threads_db::{LogEntry, VerifyReport};

use crate::args::{Log, OfThread, Show};
use crate::exit::{Advise, Failure, Result};
use crate::meter::Meter;
use crate::output::{Output, grouped, short, size, time};
use crate::repo::{self, Repo, quoted};

pub(crate) fn log(repo: &Repo, args: &Log, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.of.db)?;
    let entries = db.log(
        args.limit
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
    )?;
    if out.is_json() {
        for entry in &entries {
            out.value(entry)?;
        }
        return Ok(());
    }
    if entries.is_empty() {
        out.remark("no records yet");
        return Ok(());
    }
    let headings = [
        "LOG",
        "SEQ",
        "TIME (UTC)",
        "AUTHOR",
        "ACTIONS",
        "BYTES",
        "RECORD",
    ];
    Ok(out.table(headings, &entries.iter().map(row).collect::<Vec<_>>())?)
}

fn row(entry: &LogEntry) -> [String; 7] {
    let actions: Vec<String> = entry
        .actions
        .iter()
        .map(|(kind, count)| format!("{} {kind}", grouped(*count)))
        .collect();
    [
        short(entry.log),
        entry.seq.to_string(),
        match entry.purged_by {
            Some(_) => "-".to_owned(),
            None => time(entry.time.wall_ms),
        },
        entry
            .author
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), short),
        if entry.purged_by.is_some() {
            "purged".to_owned()
        } else if actions.is_empty() {
            "not readable here".to_owned()
        } else {
            actions.join(", ")
        },
        grouped(entry.bytes),
        entry.record.to_string(),
    ]
}

pub(crate) fn show(repo: &Repo, args: &Show, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.of.db)?;
    let shown = db.show(&args.cid).advise(ErrorKind::NotFound, || {
        format!(
            "`threads log {}` lists the records with their CIDs",
            quoted(db.name())
        )
    })?;
    Ok(out.document(&shown)?)
}

pub(crate) fn verify(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.db)?;
    let report = {
        let meter = Meter::steps(out, "records");
        db.verify(&mut |progress| meter.set(progress.done, progress.total))?
    };
    tell(&report, out)?;
    if report.is_clean() {
        return Ok(());
    }
    let error = Error::rejected("the thread is not as it was written; nothing was changed")
        .with("thread", db.id())
        .with("problems", report.problem_count);
    if !report.blobs.is_clean() {
        let name = quoted(db.name());
        let help = format!(
            "`threads blob check {name} --repair` has what is damaged of blobs fetched again"
        );
        return Err(Failure::new(error, help));
    }
    let help = "restore it from an export into another repository: `threads --repo DIR init`, \
                then `threads --repo DIR restore FILE`";
    Err(Failure::new(error, help))
}

fn tell(report: &VerifyReport, out: &mut Output) -> Result {
    if out.is_json() {
        return Ok(out.value(report)?);
    }
    let headings = [
        "LOGS",
        "RECORDS",
        "SIGNATURES",
        "EVENTS",
        "ENTITIES",
        "INDEX ROWS",
        "SIZE",
    ];
    let counts = [
        grouped(report.logs),
        grouped(report.records),
        grouped(report.signatures),
        grouped(report.events),
        grouped(report.entities),
        grouped(report.index_rows),
        size(report.bytes),
    ];
    out.table(headings, &[counts])?;
    if report.is_clean() {
        return Ok(out.line("clean: every hash, signature, link and derived value is right")?);
    }
    for problem in &report.problems {
        out.line(format_args!("{}: {}", problem.place, problem.what))?;
    }
    let untold = report
        .problem_count
        .saturating_sub(report.problems.len() as u64);
    if untold > 0 {
        out.line(format_args!("… and {} more", grouped(untold)))?;
    }
    Ok(())
}
