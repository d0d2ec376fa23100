//! The `threads` program.

mod args;
mod commands;
mod exit;
mod import;
mod input;
mod interrupt;
#[cfg(all(feature = "keyring", target_os = "linux"))]
mod keyring;
mod keys;
mod link;
mod meter;
mod output;
mod passphrase;
mod paths;
mod peer;
mod repo;
mod words;

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use crate::args::Cli;
use crate::exit::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    keep_memory_private();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error),
    };
    let json = cli.json;
    let mut out = Output::standard(json);
    let result = commands::run(cli, &mut out).and_then(|()| Ok(out.flush()?));
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    // What was found before the failure is still the user's. If it cannot be written either, the
    // failure says more.
    let _ = out.flush();
    failed(json, &failure.after(out.what_is_done()))
}

/// Keys and plaintext are in memory: a crash must not write them to a file, and no other process of the
/// user's may look at them. Where the system refuses to promise it, everything else still works.
fn keep_memory_private() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = setrlimit(Resource::Core, none);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Ends with a failure. That a reader has gone, who wanted no more, is none.
fn failed(json: bool, failure: &Failure) -> ExitCode {
    if !failure.is_broken_pipe() {
        say(json, &failure.to_json(), &failure.to_text());
    }
    ExitCode::from(failure.code())
}

/// Help and version end well; anything else is a mistake in the command line.
fn not_parsed(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|word| word == OsStr::new("--json"));
    if !error.use_stderr() {
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        return printed.map_or_else(
            |error| failed(wants_json, &error.into()),
            |()| ExitCode::SUCCESS,
        );
    }
    let text = error.render().to_string();
    if wants_json {
        let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        let object = json!({"error": {"kind": "usage", "message": message, "context": {}}});
        say(true, &object, "");
    } else {
        let _ = error.print();
    }
    ExitCode::from(exit::USAGE)
}

/// Reports a failure. If that fails too, the exit code has to do.
fn say(json: bool, object: &serde_json::Value, text: &str) {
    let mut stderr = std::io::stderr();
    let _ = if json {
        writeln!(stderr, "{object}")
    } else {
        write!(stderr, "{text}")
    };
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn row_55_no_other_process_of_the_user_may_look_at_the_memory() {
        use rustix::process::{DumpableBehavior, dumpable_behavior};
        super::keep_memory_private();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
