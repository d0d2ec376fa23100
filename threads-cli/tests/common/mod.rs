//! A repository in a directory of its own, and the program that is tested.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod serving;

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use threads_db::{Keystore, KeystoreFile};

/// The program, with nothing of the environment of whoever runs the tests.
pub(crate) fn threads() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_threads"));
    for variable in [
        "THREADS_REPO",
        "THREADS_PASSPHRASE",
        "THREADS_KEYSTORE_PASSPHRASE",
        "COLUMNS",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// What the program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("not a signal"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Each line of the results as JSON.
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// The results as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect(&self.out)
    }

    /// The one error object.
    pub(crate) fn error(&self) -> Value {
        let value: Value = serde_json::from_str(&self.err).expect(&self.err);
        value["error"].clone()
    }
}

/// A directory with a repository, and room for files beside it.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    /// A directory without a repository.
    pub(crate) fn bare() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A directory with a repository.
    pub(crate) fn new() -> Self {
        let place = Self::bare();
        place.ok(["init"]);
        place
    }

    /// With a thread `t` and a collection `c`.
    pub(crate) fn with_collection() -> Self {
        let place = Self::new();
        place.ok(["create", "t"]);
        place.ok(["collection", "add", "t", "c"]);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// The keystore of the repository, which has no passphrase.
    pub(crate) fn keystore(&self) -> Keystore {
        let file = KeystoreFile::read(&self.repo().join("keystore")).unwrap();
        file.open(None).unwrap()
    }

    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = threads();
        command
            .env("THREADS_REPO", self.repo())
            .current_dir(self.dir.path())
            .args(words);
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Said {
        Said::of(self.command(words).output().unwrap())
    }

    /// Runs a command that has to work.
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{said:#?}");
        said
    }

    /// Runs a command that has to end with `code`, and gives what it said of it.
    pub(crate) fn fails<S: AsRef<OsStr>>(
        &self,
        code: i32,
        words: impl IntoIterator<Item = S>,
    ) -> String {
        let said = self.run(words);
        assert_eq!(said.code, code, "{said:#?}");
        assert!(
            said.err.starts_with("error: ") || said.err.contains("\nerror: "),
            "{said:#?}"
        );
        said.err
    }

    /// Runs a command with something to read.
    pub(crate) fn fed<S: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
        text: impl AsRef<[u8]>,
    ) -> Said {
        let mut child = self.spawn(words);
        match child.stdin.take().unwrap().write_all(text.as_ref()) {
            // It may refuse and end before it reads anything.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.unwrap(),
        }
        Said::of(child.wait_with_output().unwrap())
    }

    /// Starts a command with pipes on all sides.
    pub(crate) fn spawn<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Child {
        self.command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// A path as a word of a command line.
pub(crate) fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}
