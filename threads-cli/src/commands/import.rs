//! `import`: loading a file, and saying what became of it.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use threads_core::Error;

use crate::args;
use crate::exit::{Failure, Result};
use crate::import::rows::Rows;
use crate::import::{INVALID_TOLD_MAX, Loader, Options, Summary};
use crate::input;
use crate::meter::Meter;
use crate::output::{Output, counted, grouped, size};
use crate::repo::{self, Repo};

pub(crate) fn run(repo: &Repo, args: &args::Import, out: &mut Output) -> Result {
    let (input, total) = open(&args.file)?;
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
    let (summary, result) = Loader::new((&db, &collection), rows, options, out, meter).run();
    tell(&summary, out)?;
    result?;
    if summary.skipped == 0 {
        return Ok(());
    }
    let error = Error::invalid("some rows were not valid and are not in; the rest is")
        .with("rows", summary.rows)
        .with("skipped", summary.skipped);
    Err(Failure::new(
        error,
        "correct those rows and import them, or look at the schema with `threads --json collection ls`",
    ))
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
    open().map_err(|error| input::unreadable(path, error))
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
