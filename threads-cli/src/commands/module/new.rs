//! `module new`: writes a crate that keeps every law of modules.

use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use serde_json::json;
use threads_core::module::Manifest;
use threads_core::{Error, ErrorKind, Result as CoreResult};

use crate::args::ModuleNew;
use crate::exit::{Advise, Failure, Result};
use crate::output::Output;

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 48;

/// The files of a crate, and what is in them.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    ("README.md", include_str!("template/README.md.txt")),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    ("tests/laws.rs", include_str!("template/laws.rs.txt")),
    ("tests/shared.rs", include_str!("template/shared.rs.txt")),
    ("vectors.json", include_str!("template/vectors.json.txt")),
];

pub(super) fn run(args: &ModuleNew, out: &mut Output) -> Result {
    check_name(&args.name)?;
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => PathBuf::from(format!("threads-module-{}", args.name)),
    };
    let id = match &args.id {
        Some(id) => id.clone(),
        None => format!("org.example.{}", args.name),
    };
    Manifest::check_id(&id).advise(ErrorKind::Invalid, || {
        "name your domain, reversed: --id org.example.notes".to_owned()
    })?;
    if dir.exists() {
        let error =
            Error::conflict("the directory is there already").with("directory", dir.display());
        return Err(Failure::new(error, "name another one: --dir DIR"));
    }
    if let Some(threads) = &args.threads {
        check_clone(&dir, threads)?;
    }
    for (file, text) in FILES {
        let text = filled(text, &args.name, &id, args.threads.as_deref());
        write(&dir.join(file), &text)?;
    }
    out.done("the crate is written");
    if out.is_json() {
        let written = json!({"directory": dir.display().to_string(), "module": id});
        return Ok(out.value(&written)?);
    }
    out.remark(format_args!(
        "{} has a module that keeps every law; next: cargo test --manifest-path {}",
        dir.display(),
        dir.join("Cargo.toml").display()
    ));
    Ok(())
}

/// A text of the template for this module.
fn filled(text: &str, name: &str, id: &str, threads: Option<&Path>) -> String {
    let mut filled = text.to_owned();
    for package in [
        "threads-core",
        "threads-db",
        "threads-codec-jsonpatch",
        "threads-conformance",
    ] {
        // A manifest has slashes on every system.
        let place = match threads {
            Some(path) => {
                let path = path.join(package).display().to_string().replace('\\', "/");
                format!("path = \"{path}\"")
            }
            None => concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"").to_owned(),
        };
        filled = filled.replace(&format!("{{{{{package}}}}}"), &place);
    }
    filled
        .replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{id}}", id)
}

/// Whether the project is where the new crate will look for it.
fn check_clone(dir: &Path, threads: &Path) -> Result {
    // The directory is not there yet, so what leads out of it is taken off by name.
    let mut from = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    for part in threads.components() {
        match part {
            Component::ParentDir => _ = from.pop(),
            Component::CurDir => {}
            part => from.push(part),
        }
    }
    if from.join("threads-core").join("Cargo.toml").is_file() {
        return Ok(());
    }
    let error = Error::not_found("there is no clone of the project")
        .with("threads", threads.display())
        .with("looked_in", from.display());
    let help = "--threads is a path from the new directory: ../threads for a clone beside it; \
                whole paths do too";
    Err(Failure::new(error, help))
}

/// A name is part of the package's.
fn check_name(name: &str) -> Result {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && name.len() <= NAME_BYTES_MAX && name.chars().all(plain) {
        return Ok(());
    }
    let error = Error::invalid("the name of a module has 1 to 48 small letters, digits or '-'");
    let help = "such as notes: the package is threads-module-notes then";
    Err(Failure::new(error.with("name", name), help))
}

fn write(path: &Path, text: &str) -> CoreResult<()> {
    let made = || {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::File::create_new(path)?.write_all(text.as_bytes())
    };
    made().map_err(|cause: std::io::Error| {
        Error::unavailable("a file of the crate cannot be written")
            .with("file", path.display())
            .with("cause", &cause)
            .caused_by(cause)
    })
}
