//! `module new`, `module add`, `module ls`.

use serde_json::json;
use threads_core::module::{Manifest, Module};
use threads_core::{Error, ErrorKind};
use threads_db::{InstallOptions, ModuleInfo};
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
    let mut options = InstallOptions::new().prefix(args.prefix.as_deref().unwrap_or_default());
    if let Some(version) = args.version {
        options = options.version(version);
    }
    if args.redefine {
        options = options.redefine();
    }
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let installed = db
        .install_with(module, &options)
        .advise(ErrorKind::Conflict, || {
            let db = quoted(db.name());
            format!(
                "`threads module ls {db}` and `threads collection ls {db}` show what is there; --prefix mine- \
                 installs it beside that, and --redefine against it"
            )
        })
        .advise(ErrorKind::NotFound, || {
            "leave --version out for the last one".to_owned()
        })?;
    out.done("the change is committed");
    let (id, version) = (installed.id(), installed.version());
    let recorded = installed.is_recorded();
    if out.is_json() {
        let added =
            json!({"thread": db.id(), "module": id, "version": version, "recorded": recorded});
        return Ok(out.value(&added)?);
    }
    let name = quoted(db.name());
    out.remark(match recorded {
        true => format!("{name} has {id} {version}; next: threads collection ls {name}"),
        false if args.prefix.is_some() => {
            format!(
                "{name} has the collections of {id} {version}; next: threads collection ls {name}"
            )
        }
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
    for module in &modules {
        tell_later(module, out)?;
    }
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
            let known = known(&module.id).is_some();
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

/// Says of a module that the thread has it in a later version than this program.
fn tell_later(module: &ModuleInfo, out: &mut Output) -> Result {
    let Some(known) = known(&module.id) else {
        return Ok(());
    };
    let (id, last) = (&module.id, Manifest::of(known)?.version());
    let later = module
        .versions
        .iter()
        .copied()
        .filter(|version| *version > last);
    if let Some(later) = later.max() {
        let text = format!(
            "{id} {later} is later than {last}, the last one that this program knows: it keeps what it does not know"
        );
        out.note(text, &json!({"module": id, "later": later, "known": last}));
    }
    Ok(())
}

/// A module of this program, by its id.
fn known(id: &str) -> Option<&'static dyn Module> {
    let known = KNOWN.iter().find(|(_, known)| known.id() == id);
    known.map(|(_, module)| *module)
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
    let [first, second, last] = KNOWN.map(|(word, _)| word);
    format!("{first}, {second} or {last}")
}
