//! `revert`, `undo`, `redo`: changes that take others back.

use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_db::{Db, Finality, Undone, UndoneEntity, UndoneHow};

use crate::args::{Revert, Undo};
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
    take_back(repo, args, Way::Undo, out)
}

pub(crate) fn redo(repo: &Repo, args: &Undo, out: &mut Output) -> Result {
    take_back(repo, args, Way::Redo, out)
}

fn take_back(repo: &Repo, args: &Undo, way: Way, out: &mut Output) -> Result {
    let undone = if args.dry_run {
        way.look(&repo::open(&repo.reader()?, &args.db)?)?
    } else {
        let node = repo.writer()?;
        let db = repo::open(&node, &args.db)?;
        let finality = match args.finally {
            true => Finality::Accept,
            false => Finality::Refuse,
        };
        let undone = way.go(&db, finality).advise(ErrorKind::Conflict, || {
            let (word, name) = (way.word(), quoted(db.name()));
            format!(
                "`threads {word} {name} --dry-run` shows what would happen, `threads {word} {name} --final` does \
                 it; nothing was changed"
            )
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
