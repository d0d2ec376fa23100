//! `module new`, `module add`, `module ls`.

use serde_json::json;
use threads_core::module::{Manifest, Module};
use threads_core::{Error, ErrorKind};
use threads_module_messages::Messages;
use threads_module_person::People;
use threads_module_photos::Photos;

use crate::args::{ModuleAdd, ModuleCommand, OfThread};
use crate::exit::{Advise, Failure, Result};
use crate::output::Output;
use crate::repo::{self, Repo, quoted};

mod new;

/// The modules in this program, with the short word for each.
const KNOWN: [(&str, &dyn Module); 3] = [
    ("messages", &Messages),
    ("person", &People),
    ("photos", &Photos),
];

pub(crate) fn run(repo: &Repo, command: &ModuleCommand, out: &mut Output) -> Result {
    match command {
        ModuleCommand::New(args) => new::run(args, out),
        ModuleCommand::Add(args) => add(repo, args, out),
        ModuleCommand::Ls(args) => list(repo, args, out),
    }
}

fn add(repo: &Repo, args: &ModuleAdd, out: &mut Output) -> Result {
    let module = named(&args.module)?;
    let version = match args.version {
        Some(version) => version,
        None => Manifest::of(module)?.version(),
    };
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let installed = db
        .install_version(module, version)
        .advise(ErrorKind::Conflict, || {
            let db = quoted(db.name());
            format!("`threads module ls {db}` and `threads collection ls {db}` show what is there")
        })
        .advise(ErrorKind::NotFound, || {
            "leave --version out for the last one".to_owned()
        })?;
    out.done("the change is committed");
    let (id, recorded) = (installed.id(), installed.is_recorded());
    if out.is_json() {
        let added =
            json!({"thread": db.id(), "module": id, "version": version, "recorded": recorded});
        return Ok(out.value(&added)?);
    }
    let name = quoted(db.name());
    out.remark(match recorded {
        true => format!("{name} has {id} {version}; next: threads collection ls {name}"),
        false => {
            format!("{name} has the collections; who may change the rules records {id} {version}")
        }
    });
    Ok(())
}

fn list(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.db)?;
    let modules = db.modules()?;
    if out.is_json() {
        return Ok(out.value(&modules)?);
    }
    if modules.is_empty() {
        let (db, words) = (quoted(db.name()), words());
        out.remark(format_args!(
            "no modules yet; next: threads module add {db} {words}"
        ));
        return Ok(());
    }
    let rows: Vec<_> = modules
        .iter()
        .map(|module| {
            let versions = module.versions.iter().map(|version| {
                let disputed = module.disputed.contains(version);
                format!("{version}{}", if disputed { " (disputed)" } else { "" })
            });
            let names = module.collections.iter().map(ToString::to_string);
            let known = KNOWN.iter().any(|(_, known)| known.id() == module.id);
            [
                module.id.clone(),
                versions.collect::<Vec<_>>().join(" "),
                names.collect::<Vec<_>>().join(" "),
                if known { "yes" } else { "no" }.to_owned(),
            ]
        })
        .collect();
    Ok(out.table(["MODULE", "VERSIONS", "COLLECTIONS", "KNOWN HERE"], &rows)?)
}

/// A module of this program, by its word or its id.
fn named(name: &str) -> Result<&'static dyn Module> {
    let mut known = KNOWN.iter();
    let found = known.find(|(word, module)| *word == name || module.id() == name);
    found.map(|(_, module)| *module).ok_or_else(|| {
        let error = Error::not_found("this program does not have the module").with("module", name);
        let help = format!(
            "it has {}; others are installed by applications that have them",
            words()
        );
        Failure::new(error, help)
    })
}

/// The words for the modules in this program.
fn words() -> String {
    KNOWN.map(|(word, _)| word).join(" or ")
}
