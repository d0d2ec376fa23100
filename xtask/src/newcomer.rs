//! What the guide for authors of modules promises, done as a newcomer does it: outside of this workspace, with the program
//! and the code that the guide shows.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// The guide.
const GUIDE: &str = "docs/publishing-a-module.md";
/// What the second application of the guide prints.
const PRINTED: &str = "Oat milk, for the shop\n";

/// Begins a module in a directory of its own, tests it, and runs the second application on it. `threads` is the program;
/// cargo takes no package that this workspace does not have, and builds where it always does.
pub(crate) fn run(threads: &Path) -> io::Result<()> {
    // What is made here stays where it is looked for below.
    let root = fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    let threads = fs::canonicalize(threads)?;
    let dir = std::env::temp_dir().join(format!("threads-newcomer-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let done = walk(&root, &threads, &dir);
    fs::remove_dir_all(&dir)?;
    done
}

fn walk(root: &Path, threads: &Path, dir: &Path) -> io::Result<()> {
    let module = dir.join("threads-module-notes");
    let mut new = Command::new(threads);
    new.args(["module", "new", "notes", "--threads"]).arg(root);
    run_in(dir, &mut new)?;
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root.join(target),
        None => root.join("target"),
    };
    fs::copy(root.join("Cargo.lock"), module.join("Cargo.lock"))?;
    run_in(&module, &mut cargo("test", &target))?;

    let guide = fs::read_to_string(root.join(GUIDE))?;
    let app = dir.join("reminder");
    let manifest = block(&guide, "toml", "name = \"reminder\"")?;
    let manifest = manifest.replace("../threads/", &format!("{}/", root.display()));
    fs::create_dir_all(app.join("src"))?;
    fs::write(app.join("Cargo.toml"), manifest)?;
    fs::write(app.join("src/main.rs"), block(&guide, "rust", "fn main()")?)?;
    fs::copy(root.join("Cargo.lock"), app.join("Cargo.lock"))?;
    let printed = run_in(&app, &mut cargo("run", &target))?;
    if printed != PRINTED {
        let said = format!("the second application of {GUIDE} printed {printed:?}");
        return Err(io::Error::other(said));
    }
    Ok(())
}

fn cargo(command: &str, target: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsStr::new("cargo").to_owned());
    let mut cargo = Command::new(program);
    cargo.args([command, "--offline", "--quiet"]);
    cargo.env("CARGO_TARGET_DIR", target);
    cargo
}

/// Runs a command that has to end well, and gives what it printed.
fn run_in(dir: &Path, command: &mut Command) -> io::Result<String> {
    let output = command.current_dir(dir).output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{command:?} ended with {}\n{printed}{said}",
        output.status
    )))
}

/// The block of code of a kind in which a text is.
fn block<'t>(guide: &'t str, kind: &str, with: &str) -> io::Result<&'t str> {
    let fence = format!("```{kind}\n");
    let blocks = guide.split(&fence).skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
    let missing = || io::Error::other(format!("{GUIDE} has no block of {kind} with {with}"));
    blocks
        .find(|block| block.contains(with))
        .ok_or_else(missing)
}

/// The program, where the build put it.
pub(crate) fn program(arguments: &[String]) -> Option<PathBuf> {
    match arguments {
        [command, program] if command == "newcomer" => Some(PathBuf::from(program)),
        _ => None,
    }
}
