//! `import`: loading a file, and saying what became of it.

use std::io::{self, BufRead, BufReader, Write as _};
use std::path::Path;

use serde_json::json;
use threads_core::{Error, ErrorKind};

use crate::args;
use crate::exit::{Advise, Failure, INTERRUPTED, Result};
use crate::import::rows::Rows;
use crate::import::{INVALID_TOLD_MAX, Loader, Options, Summary, Tally};
use crate::input::{self, Source};
use crate::meter::Meter;
use crate::output::{Output, counted, grouped, size};
use crate::repo::{self, Repo, quoted};

/// What becomes of rows that are loaded a second time.
const AGAIN: &str = "rows with an _id, or with --id-field, replace what is in already; \
                     others would be in twice, so leave out the rows that are in";

pub(crate) fn run(repo: &Repo, args: &args::Import, out: &mut Output) -> Result {
    let (input, total) = open(&args.file)?;
    let json = out.is_json();
    let node = repo.writer()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    let options = Options {
        // The argument parser has bounded it.
        batch: usize::try_from(args.batch).unwrap_or(usize::MAX),
        id_field: args.id_field.clone(),
        strict: args.strict,
    };
    let meter = Meter::bytes(out, total);
    let rows = Rows::new(input);
    let loader = Loader::new((&db, &collection), rows, options, out, meter);
    end_on_interrupt(loader.tally(), json);
    let (summary, result) = loader.run();
    if summary.rows > 0 {
        out.done("the rows are in");
    }
    tell(&summary, out)?;
    result.advise(ErrorKind::Full, || {
        format!("free some space and run it again: {AGAIN}")
    })?;
    if summary.skipped == 0 {
        return Ok(());
    }
    let error = Error::invalid("some rows were not valid and are not in; the rest is")
        .with("rows", summary.rows)
        .with("skipped", summary.skipped);
    let db = quoted(db.name());
    Err(Failure::new(
        error,
        format!(
            "correct those rows and import them; `threads --json collection ls {db}` shows the schema"
        ),
    ))
}

/// Ends the program between two batches when the user wants it, even while it waits for input.
fn end_on_interrupt(tally: Tally, json: bool) {
    let end = move || {
        if tally.is_over() {
            std::process::exit(INTERRUPTED.into());
        }
        // Held to the end: no other batch goes in.
        let rows = tally.lock();
        let message = "the import was interrupted; the rows of whole batches are in";
        let text = if json {
            let context = json!({"rows_committed": rows.to_string()});
            json!({"error": {
                "kind": "interrupted", "message": message, "context": context,
                "causes": [], "help": AGAIN,
            }})
            .to_string()
        } else {
            format!("\nerror: {message}\n  rows_committed: {rows}\nhelp: {AGAIN}")
        };
        // If nobody can read it, the exit code has to do.
        let _ = writeln!(io::stderr(), "{text}");
        std::process::exit(INTERRUPTED.into());
    };
    // If the system refuses, an interrupt ends the program as usual; whole batches stay then too.
    let _ = ctrlc::set_handler(end);
}

fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>)> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let open = || {
        let file = input::open(path)?;
        let about = file.metadata()?;
        // A pipe says that it has no bytes; how many will come is not known.
        let total = about.is_file().then_some(about.len());
        io::Result::Ok((Box::new(BufReader::new(file)) as Box<dyn BufRead>, total))
    };
    open().map_err(|error| input::unreadable(path, Source::FileOrInput, error))
}

fn tell(summary: &Summary, out: &mut Output) -> Result {
    if out.is_json() {
        return Ok(out.value(summary)?);
    }
    let told = INVALID_TOLD_MAX as u64;
    if summary.skipped > told {
        out.remark(format_args!(
            "… and {} more",
            grouped(summary.skipped - told)
        ));
    }
    out.remark(format_args!(
        "{} imported, {} skipped: {}, {} read, {:.1} s, {} rows/s",
        counted(summary.rows, "row"),
        grouped(summary.skipped),
        counted(summary.records, "record"),
        size(summary.bytes),
        summary.seconds,
        grouped(summary.rows_per_second),
    ));
    Ok(())
}
