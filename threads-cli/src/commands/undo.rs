//! `revert`, `undo`, `redo`: changes that take others back.

use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_db::{Db, Finality, Undone, UndoneEntity, UndoneHow};

use crate::args::{Revert, TakeBack, Undo};
use crate::commands::past;
use crate::exit::{Advise, Result};
use crate::output::{Output, time};
use crate::repo::{self, Repo, quoted};

pub(crate) fn revert(repo: &Repo, args: &Revert, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    let mut txn = db.begin()?;
    let done = txn
        .revert(&collection, &args.id, &args.to)
        .advise(ErrorKind::Conflict, || {
            let (db, name) = (quoted(&args.target.db), &args.target.collection);
            format!("`threads at POINT get {db} {name} ID` prints what it was")
        });
    done.advise(ErrorKind::NotFound, || {
        let (db, name) = (quoted(&args.target.db), &args.target.collection);
        format!("`threads history {db} {name} ID` shows when it lived")
    })?;
    let commit = txn.commit()?;
    out.done("the change is committed");
    if out.is_json() {
        let record = commit.map_or(Value::Null, |commit| commit.record.to_string().into());
        return Ok(out.value(&json!({"id": args.id, "record": record}))?);
    }
    out.remark(match commit {
        Some(_) => "changed",
        None => "nothing to change: it is so already",
    });
    Ok(())
}

/// Which of the two, as people are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Undo,
    Redo,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Self::Undo => "undo",
            Self::Redo => "redo",
        }
    }

    fn look(self, db: &Db) -> threads_core::Result<Option<Undone>> {
        match self {
            Self::Undo => db.next_undo(),
            Self::Redo => db.next_redo(),
        }
    }

    fn go(self, db: &Db, finality: Finality) -> threads_core::Result<Option<Undone>> {
        match self {
            Self::Undo => db.undo_with(finality),
            Self::Redo => db.redo_with(finality),
        }
    }
}

pub(crate) fn undo(repo: &Repo, args: &Undo, out: &mut Output) -> Result {
    if args.skip {
        return skip(repo, &args.what, out);
    }
    take_back(repo, &args.what, Way::Undo, out)
}

pub(crate) fn redo(repo: &Repo, args: &TakeBack, out: &mut Output) -> Result {
    take_back(repo, args, Way::Redo, out)
}

fn skip(repo: &Repo, args: &TakeBack, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let undone = repo::open(&node, &args.db)?.skip_undo()?;
    out.done("the change is committed");
    if out.is_json() {
        return Ok(out.value(&undone)?);
    }
    match undone {
        Some(undone) => out.remark(format_args!("{} stays as it is", undone.record)),
        None => out.remark("nothing to undo"),
    }
    Ok(())
}

/// What to do about a transaction that is not taken back.
fn help(db: &Db, way: Way) -> Option<String> {
    let (word, name) = (way.word(), quoted(db.name()));
    let ahead = way.look(db).ok()??;
    let is_final = ahead.entities.iter().any(|entity| entity.how.is_final());
    match way {
        _ if is_final => Some(format!(
            "`threads {word} {name} --dry-run` shows what would happen, `threads {word} {name} --final` does it; \
             nothing was changed"
        )),
        Way::Undo => Some(format!(
            "`threads undo {name} --skip` leaves it as it is, so that the one before it can be undone"
        )),
        Way::Redo => None,
    }
}

fn take_back(repo: &Repo, args: &TakeBack, way: Way, out: &mut Output) -> Result {
    let undone = if args.dry_run {
        way.look(&repo::open(&repo.reader()?, &args.db)?)?
    } else {
        let node = repo.writer()?;
        let db = repo::open(&node, &args.db)?;
        let finality = match args.finally {
            true => Finality::Accept,
            false => Finality::Refuse,
        };
        let undone = way
            .go(&db, finality)
            .advise_by(|error| match error.kind() {
                ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::Unsupported => help(&db, way),
                _ => None,
            })?;
        out.done("the change is committed");
        undone
    };
    if out.is_json() {
        return Ok(out.value(&undone)?);
    }
    match undone {
        Some(undone) => shown(&undone, out),
        None => {
            out.remark(format_args!("nothing to {}", way.word()));
            Ok(())
        }
    }
}

fn shown(undone: &Undone, out: &mut Output) -> Result {
    let word = match undone.commit {
        Some(_) => "took",
        None => "would take",
    };
    let (time, record) = (time(undone.time.wall_ms), undone.record);
    out.line(format_args!(
        "{word} back what was written at {time} UTC, {record}"
    ))?;
    for entity in &undone.entities {
        entity_shown(entity, out)?;
    }
    Ok(())
}

fn entity_shown(entity: &UndoneEntity, out: &mut Output) -> Result {
    let name = format!("{}/{}", entity.collection, entity.entity);
    out.line(match entity.how {
        UndoneHow::Deleted => format!("{name}: deleted, for good"),
        UndoneHow::Lost => format!("{name}: stays deleted"),
        UndoneHow::Kept => format!("{name}: stays, as somebody changed it since"),
        UndoneHow::Nothing => format!("{name}: there is nothing to put back"),
        _ => name,
    })?;
    past::edits(&entity.edits, out)?;
    for kept in &entity.kept {
        let value = kept.value.as_ref();
        let value = value.map_or_else(|| "removed".to_owned(), Value::to_string);
        let path = &kept.path;
        out.line(format_args!(
            "  {path} stays {value}: somebody changed it since"
        ))?;
    }
    Ok(())
}
