//! `export`, `restore`: a thread as one file.

#[cfg(unix)]
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde_json::json;
use tempfile::NamedTempFile;
use threads_core::{Error, ErrorKind};
use threads_db::{Db, ExportOptions, ExportReport, Progress, RestoreOptions, RestoreReport};

use crate::args::{Export, Restore};
use crate::commands::acl;
use crate::exit::{Advise, Failure, Result};
use crate::input::{self, Source};
use crate::meter::Meter;
use crate::output::{Output, counted, size};
use crate::passphrase;
use crate::repo::{self, Repo, quoted};

pub(crate) fn export(repo: &Repo, args: &Export, out: &mut Output) -> Result {
    // Who signs for a snapshot writes that down.
    let node = match args.snapshot {
        true => repo.writer()?,
        false => repo.reader()?,
    };
    let db = repo::open(&node, &args.db)?;
    check_target(&args.file, args.force)?;
    let passphrase = if args.with_keys {
        match passphrase::given(args.passphrase_file.as_deref())? {
            None => Some(passphrase::ask_new()?),
            given => given,
        }
    } else {
        None
    };
    let options = ExportOptions {
        passphrase,
        blobs: args.with_blobs,
    };
    let report = write(&db, args, &options, out)?;
    out.done("the file is written");
    let file = args.file.display();
    if out.is_json() {
        let keys = args.with_keys;
        return Ok(out.value(&json!({"file": args.file, "keys": keys, "report": report}))?);
    }
    out.remark(format_args!(
        "wrote {file}: {}, {}, {}, {}",
        counted(report.records, "record"),
        counted(report.blobs, "blob"),
        counted(report.blocks, "block"),
        size(report.bytes)
    ));
    if args.with_keys {
        out.remark("the passphrase opens it; without it nobody can read the file");
    } else {
        out.remark(
            "no keys are in it: it restores where the thread is already, or add --with-keys",
        );
    }
    Ok(())
}

/// Writes a file beside the one that is wanted, and gives it its name when it is whole and on
/// disk: whoever sees the name sees a complete export.
fn write(db: &Db, args: &Export, options: &ExportOptions, out: &Output) -> Result<ExportReport> {
    let meter = Meter::steps(out, "records");
    place(&args.file, args.force, |into| {
        let mut progress = |progress: Progress| meter.set(progress.done, progress.total);
        match args.snapshot {
            true => db.export_snapshot(into, options, &mut progress),
            false => db.export(into, options, &mut progress),
        }
    })
}

/// Has a file written beside the one that is wanted, and gives it its name when it is whole and on disk.
pub(super) fn place<R>(
    file: &Path,
    force: bool,
    write: impl FnOnce(&mut dyn io::Write) -> Result<R, Error>,
) -> Result<R> {
    let dir = match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut unnamed = tempfile::Builder::new()
        .prefix(".threads-export-")
        .tempfile_in(dir)
        .map_err(|error| unwritable(file, error))?;
    let mut buffered = BufWriter::new(&mut unnamed);
    let report = write(&mut buffered)?;
    buffered.flush().map_err(|error| unwritable(file, error))?;
    drop(buffered);
    unnamed
        .as_file()
        .sync_all()
        .map_err(|error| unwritable(file, error))?;
    // It may have come in the meantime.
    check_target(file, force)?;
    name(unnamed, file, force)?;
    sync_dir(dir).map_err(|error| unwritable(file, error))?;
    Ok(report)
}

fn name(unnamed: NamedTempFile, file: &Path, force: bool) -> Result {
    let named = if force {
        unnamed.persist(file)
    } else {
        unnamed.persist_noclobber(file)
    };
    match named {
        Ok(_) => Ok(()),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Err(taken(file)),
        Err(failed) => Err(unwritable(file, failed.error)),
    }
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Other systems make a new name durable by themselves, or offer no way to ask.
#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// Refuses what a new name would not replace but destroy: a device, a pipe, a link. Links are not
/// followed.
pub(super) fn check_target(file: &Path, force: bool) -> Result {
    match file.symlink_metadata() {
        Ok(about) if !about.is_file() => {
            let error = Error::invalid("the target is there already and is not a regular file")
                .with("file", file.display());
            Err(Failure::new(
                error,
                "name another file: only files are replaced",
            ))
        }
        Ok(_) if !force => Err(taken(file)),
        // What else is wrong with the place, writing to it says.
        _ => Ok(()),
    }
}

fn taken(file: &Path) -> Failure {
    let error = Error::conflict("the file exists already").with("file", file.display());
    Failure::new(error, "name another file, or add --force to replace it")
}

fn unwritable(file: &Path, error: io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Unavailable,
    };
    let said = Error::new(kind, "the file cannot be written")
        .with("file", file.display())
        .with("cause", &error)
        .caused_by(error);
    Failure::new(said, "name a file in a directory that exists and has room")
}

pub(crate) fn restore(repo: &Repo, args: Restore, out: &mut Output) -> Result {
    repo.check()?;
    drop(
        input::open(&args.file)
            .map_err(|error| input::unreadable(&args.file, Source::File, error))?,
    );
    let passphrase = match passphrase::given(args.passphrase_file.as_deref())? {
        None => passphrase::ask_if_there_is_one(),
        given => given,
    };
    let options = RestoreOptions {
        passphrase,
        name: args.name,
        signers_min: args.signers,
        trusted: args.trust.into_iter().collect(),
    };
    // Nobody else waits for the repository while the user types.
    let node = repo.writer()?;
    let restored = {
        let meter = Meter::steps(out, "records");
        node.restore(&args.file, &options, &mut |progress| {
            meter.set(progress.done, progress.total);
        })
    };
    let (db, report) = restored
        .advise(ErrorKind::Conflict, || {
            "add --name NAME to call it something else here".to_owned()
        })
        .advise_by(|error| Some(restore_help(error)?.to_owned()))?;
    out.done("the thread is restored");
    acl::attend(&node)?;
    let name = quoted(db.name());
    if options.name.is_some_and(|asked| asked != db.name()) {
        out.remark(format_args!(
            "the thread is here already and keeps its name {name}; --name was not used"
        ));
    }
    if out.is_json() {
        return Ok(out.value(&report)?);
    }
    out.line(db.id())?;
    out.remark(format_args!(
        "restored {name}: {}, {} here already, {} read; next: threads verify {name}",
        counted(report.records, "new record"),
        report.present,
        size(report.bytes)
    ));
    if let Some(snapshot) = &report.snapshot {
        let signers: Vec<_> = report.signers.iter().map(ToString::to_string).collect();
        out.remark(format_args!(
            "it begins with the snapshot {snapshot}, for which these signed: {}",
            signers.join(", ")
        ));
    }
    if report.blobs > 0 {
        out.remark(format_args!(
            "{} in it, of which {} new here",
            counted(report.blobs, "blob"),
            counted(report.blob_blocks, "block")
        ));
    }
    tell_held(&db, &report, out)
}

/// Says which records are not applied yet, and why the first of them is not.
fn tell_held(db: &Db, report: &RestoreReport, out: &mut Output) -> Result {
    if let Some(first) = db.held()?.first() {
        out.remark(format_args!(
            "{} not applied yet; the first one: {}",
            counted(report.held, "record"),
            first.reason
        ));
    }
    if report.dropped > 0 {
        out.remark(format_args!(
            "{} found no room to wait: restore the file again when the others are applied",
            counted(report.dropped, "record")
        ));
    }
    Ok(())
}

/// What to do about a file that was not taken in. Its faults share a kind, so the words of the
/// message tell them apart.
fn restore_help(error: &Error) -> Option<&'static str> {
    let about = |word| error.message().contains(word);
    Some(match error.kind() {
        ErrorKind::Invalid if about("passphrase") || about("keys") => {
            "a file that `threads export DB FILE --with-keys` wrote restores with its passphrase: \
             type it when asked, or give --passphrase-file FILE or $THREADS_PASSPHRASE"
        }
        ErrorKind::Invalid if about("name") => {
            "choose another name: `threads restore FILE --name NAME`"
        }
        ErrorKind::Invalid => "name a file that `threads export DB FILE` wrote",
        ErrorKind::Rejected if about("snapshot") => {
            "get a file of whom you trust; --trust PEER and --signers N say whose word is enough"
        }
        ErrorKind::Corrupt => "get another copy of the file; nothing of it was taken in",
        _ => return None,
    })
}
