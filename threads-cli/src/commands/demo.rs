//! `demo`: the main job in a minute. It types what a user would type, and runs it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ExitStatus, Stdio};
use std::{env, fs, io};

use serde_json::json;
use tempfile::TempDir;
use threads_core::Error;

use crate::exit::{Failure, Result};
use crate::output::Output;
use crate::repo::quoted;

mod shared;

use shared::Act::{Run, Serve, Stop};
use shared::SHARED;

const FILES: [(&str, &str); 3] = [
    (
        "person.schema.json",
        include_str!("demo/person.schema.json"),
    ),
    ("people.jsonl", include_str!("demo/people.jsonl")),
    ("passphrase.txt", "correct horse battery staple\n"),
];

/// The directories of the two repositories, in the demonstration's.
const REPOS: [&str; 4] = ["first", "second", "third", "replica"];

/// One command of the demonstration.
struct Step {
    /// What it shows; nothing when it belongs to the step before.
    shows: &'static str,
    /// The words after `threads`.
    words: &'static [&'static str],
    /// Whether it shows what happens to a mistake.
    refused: bool,
    /// The variable that keeps the last line of what it prints.
    keeps: Option<&'static str>,
}

const fn step(shows: &'static str, words: &'static [&'static str]) -> Step {
    Step {
        shows,
        words,
        refused: false,
        keeps: None,
    }
}

const fn keep(shows: &'static str, words: &'static [&'static str], name: &'static str) -> Step {
    Step {
        shows,
        words,
        refused: false,
        keeps: Some(name),
    }
}

const fn then(words: &'static [&'static str]) -> Step {
    step("", words)
}

const fn refused(shows: &'static str, words: &'static [&'static str]) -> Step {
    Step {
        shows,
        words,
        refused: true,
        keeps: None,
    }
}

const QUERY: &str = "age >= 60 and age < 66 or age == 67";

const HERE: &[Step] = &[
    step(
        "A repository: a place on disk, and an identity that signs what you write.",
        &["init"],
    ),
    step(
        "A thread, and a collection whose entities must follow a schema.",
        &["create", "people"],
    ),
    then(&[
        "collection",
        "add",
        "people",
        "Person",
        "--schema",
        "person.schema.json",
        "--index",
        "age",
    ]),
    step(
        "Many entities in one transaction: it becomes one signed and encrypted record.",
        &["import", "people", "Person", "people.jsonl"],
    ),
    step(
        "A query, and how the index answers it.",
        &["find", "people", "Person", QUERY],
    ),
    then(&["find", "people", "Person", QUERY, "--explain"]),
    refused(
        "What breaks a rule never becomes a record.",
        &[
            "put",
            "people",
            "Person",
            r#"{"firstName": "Joan", "age": -1}"#,
        ],
    ),
    step(
        "Changes.",
        &["patch", "people", "Person", "john", r#"{"age": 26}"#],
    ),
    then(&["rm", "people", "Person", "mary"]),
    step(
        "A listener: everyone under 30, from the start. Without --count it would go on.",
        &[
            "watch", "people", "Person", "age < 30", "--since", "start", "--count", "2",
        ],
    ),
    step("The log, newest first.", &["log", "people"]),
    step(
        "Proof: every hash, signature, link and derived value.",
        &["verify", "people"],
    ),
    step(
        "The thread in one file, its keys sealed under a passphrase.",
        &[
            "export",
            "people",
            "people.car",
            "--with-keys",
            "--passphrase-file",
            "passphrase.txt",
        ],
    ),
];

const THERE: &[Step] = &[
    step(
        "A second repository, with another identity; it could be on another machine.",
        &["init"],
    ),
    then(&[
        "restore",
        "people.car",
        "--passphrase-file",
        "passphrase.txt",
    ]),
    step(
        "The same rows, and the same proof.",
        &["find", "people", "Person", QUERY],
    ),
    then(&["verify", "people"]),
];

/// What a process that serves a repository is started with.
const SERVE: &[&str] = &["serve", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];

pub(crate) fn run(repo: Option<PathBuf>, out: &mut Output) -> Result {
    let place = Place::new(repo)?;
    let dir = place.dir();
    for (name, text) in FILES {
        fs::write(dir.join(name), text).map_err(|error| cannot_write(dir, error))?;
    }
    for (repo, steps) in REPOS.into_iter().zip([HERE, THERE]) {
        comment(
            out,
            &format!("In {}, with THREADS_REPO={repo}", dir.display()),
        )?;
        for step in steps {
            show(dir, repo, step, &mut Kept::default(), out)?;
        }
    }
    share(dir, out)?;
    comment(
        out,
        match place {
            Place::Passing(_) => "That was in a temporary directory, which is gone now.",
            Place::Kept(_) => "The files are there for you to look at.",
        },
    )?;
    comment(
        out,
        "Next: threads init, threads create NAME; threads --help lists the rest.",
    )
}

fn comment(out: &mut Output, text: &str) -> Result {
    Ok(if out.is_json() {
        out.value(&json!({"shows": text}))
    } else {
        out.line(format!("\n# {text}"))
    }?)
}

/// What variables keep.
type Kept = HashMap<&'static str, String>;

/// A process that ends with the demonstration, however that ends.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Two people and a replica, each with processes of their own.
fn share(dir: &Path, out: &mut Output) -> Result {
    let mut kept = Kept::new();
    let mut served: HashMap<&str, Served> = HashMap::new();
    let mut at = "";
    for (repo, act) in SHARED {
        if at != *repo {
            at = repo;
            comment(
                out,
                &format!("In {}, with THREADS_REPO={repo}", dir.display()),
            )?;
        }
        match act {
            Run(step) => show(dir, repo, step, &mut kept, out)?,
            Serve(shows, name) => {
                comment(out, shows)?;
                let (process, addr) = serve(dir, repo, out)?;
                kept.insert(name, addr);
                served.insert(repo, process);
            }
            Stop(shows) => {
                comment(out, shows)?;
                served.remove(repo);
            }
        }
    }
    Ok(())
}

/// Starts to serve a repository; it can be reached, where it says, when this returns.
fn serve(dir: &Path, repo: &str, out: &mut Output) -> Result<(Served, String)> {
    tell(out, &format!("threads {} &", SERVE.join(" ")))?;
    let mut command = command(dir, repo, false).map_err(cannot_start)?;
    let child = command
        .args(SERVE)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut served = Served(child.map_err(cannot_start)?);
    let mut line = String::new();
    if let Some(stdout) = served.0.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(cannot_start)?;
    }
    let addr = line.trim_end().to_owned();
    match out.is_json() {
        true => out.value(&json!({"address": addr}))?,
        false => out.line(&addr)?,
    }
    Ok((served, addr))
}

fn tell(out: &mut Output, command: &str) -> Result {
    if out.is_json() {
        out.value(&json!({"command": command}))?;
    } else {
        out.line(format_args!("$ {command}"))?;
    }
    Ok(out.flush()?)
}

fn cannot_start(error: io::Error) -> Failure {
    Error::unavailable("the program cannot start itself")
        .with("cause", &error)
        .caused_by(error)
        .into()
}

fn show(dir: &Path, repo: &str, step: &Step, kept: &mut Kept, out: &mut Output) -> Result {
    if !step.shows.is_empty() {
        comment(out, step.shows)?;
    }
    let typed: Vec<String> = step.words.iter().map(|word| as_typed(word)).collect();
    let mut command = format!("threads {}", typed.join(" "));
    if let Some(name) = step.keeps {
        command = format!("{name}=$({command} | tail -1)");
    }
    tell(out, &command)?;
    let status = start(dir, repo, step, kept, out.is_json()).map_err(cannot_start)?;
    if status.success() != step.refused {
        return Ok(());
    }
    let error = Error::rejected("a step of the demonstration did not end as it should")
        .with("command", command)
        .with("status", status);
    Err(error.into())
}

/// A word as a shell reads it; a variable is one.
fn as_typed(word: &str) -> String {
    match word.strip_prefix('$') {
        Some(_) => format!("\"{word}\""),
        None => quoted(word),
    }
}

/// Runs a step as its user would, but with everything that it says in one stream.
fn start(
    dir: &Path,
    repo: &str,
    step: &Step,
    kept: &mut Kept,
    json: bool,
) -> io::Result<ExitStatus> {
    let mut command = command(dir, repo, json && step.keeps.is_none())?;
    for word in step.words {
        let kept = word.strip_prefix('$').and_then(|name| kept.get(name));
        command.arg(kept.map_or(*word, String::as_str));
    }
    let Some(name) = step.keeps else {
        return command.stderr(io::stdout()).status();
    };
    let said = command.stderr(Stdio::null()).output()?;
    let said_text = String::from_utf8_lossy(&said.stdout);
    kept.insert(
        name,
        said_text.lines().last().unwrap_or_default().to_owned(),
    );
    Ok(said.status)
}

/// The program itself, in a repository of the demonstration.
fn command(dir: &Path, repo: &str, json: bool) -> io::Result<process::Command> {
    let mut command = process::Command::new(env::current_exe()?);
    command.args(json.then_some("--json"));
    command.env("THREADS_REPO", repo).current_dir(dir);
    command.stdin(Stdio::null());
    Ok(command)
}

/// Where the demonstration keeps its files.
enum Place {
    /// Until it ends.
    Passing(TempDir),
    /// For good, because the user named the directory.
    Kept(PathBuf),
}

impl Place {
    fn new(asked: Option<PathBuf>) -> Result<Self> {
        let Some(dir) = asked else {
            let dir = tempfile::Builder::new().prefix("threads-demo-").tempdir();
            return dir
                .map(Self::Passing)
                .map_err(|error| cannot_write(&env::temp_dir(), error));
        };
        fs::create_dir_all(&dir).map_err(|error| cannot_write(&dir, error))?;
        let names = FILES.iter().map(|(name, _)| *name).chain(REPOS);
        for name in names {
            if dir.join(name).exists() {
                let error =
                    Error::conflict("the directory has files where the demonstration puts its own")
                        .with("file", dir.join(name).display());
                return Err(Failure::new(
                    error,
                    "name an empty directory: `threads --repo DIR demo`",
                ));
            }
        }
        Ok(Self::Kept(dir))
    }

    fn dir(&self) -> &Path {
        match self {
            Self::Passing(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }
}

fn cannot_write(dir: &Path, error: io::Error) -> Failure {
    let said = Error::unavailable("the demonstration's files cannot be written")
        .with("directory", dir.display())
        .with("cause", &error)
        .caused_by(error);
    Failure::new(
        said,
        "name a directory that you may write to: `threads --repo DIR demo`",
    )
}
