//! What the README has a newcomer type does what it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::Place;
use crate::common::Said;

/// The scripts of a section of the README, as one.
fn script(section: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split(&format!("\n## {section}\n")).nth(1).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(!blocks.is_empty());
    blocks.join("\n")
}

/// Runs a script, with the program that is tested on its path. What it leaves running ends with it.
fn run(place: &Place, script: &str) -> Said {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_threads"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let script = format!("set -e\ntrap 'kill $! 2>/dev/null' EXIT\n{script}");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(place.path("."))
        .env("PATH", path)
        .env_remove("THREADS_REPO");
    Said::of(command.output().unwrap())
}

#[test]
fn a_newcomer_lets_one_read_takes_write_from_another_and_adopts_what_that_one_wrote() {
    let place = Place::bare();
    let said = run(&place, &script("Who may do what"));
    assert_eq!(said.code, 0, "{said:#?}");
    let mut rest = &*said.out;
    for part in [
        ": read\n",                    // what Carol has left
        "on Monday",                   // what she wrote meanwhile is not applied
        "its author had not the role", // the list says why
        "it is not applied",           // and so does `why`, after what is applied
        "1 change",                    // it is adopted
        "on Tuesday",                  // and there
        ": no-access\n",               // she is out
        "everybody else",
    ] {
        rest = rest
            .split_once(part)
            .unwrap_or_else(|| panic!("{part:?} in {rest}"))
            .1;
    }
    assert!(said.err.contains("is its root"), "{said:#?}");
    assert!(
        said.err.contains("the thread's access policy refuses this"),
        "Bob writes: {said:#?}"
    );
}
