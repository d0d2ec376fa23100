//! Processes that serve a repository to its peers.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Place;

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(120);
/// A free port of loopback.
pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";

/// A process that serves a repository, until it is dropped: that kills it.
pub(crate) struct Serving {
    child: Child,
    out: BufReader<ChildStdout>,
    /// Where it can be reached.
    pub(crate) addresses: Vec<String>,
}

impl Serving {
    pub(crate) fn start(place: &Place, listen: &str) -> Self {
        Self::of(Self::command(place, listen))
    }

    /// What starts it.
    pub(crate) fn command(place: &Place, listen: &str) -> Command {
        place.command(["--json", "serve", "--no-mdns", "--listen", listen])
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // It says so once it can be reached.
        let said = line(&mut out);
        let addresses: Vec<String> = serde_json::from_value(said["addresses"].clone()).unwrap();
        assert!(!addresses.is_empty(), "{said}");
        Self {
            child,
            out,
            addresses,
        }
    }

    /// A figure of its memory, in bytes: `VmRSS` now, `VmHWM` at most.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = status.lines();
        let line = lines.find(|line| line.starts_with(figure)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        1024 * kib
    }

    /// Interrupts it, and gives what it says at its end.
    pub(crate) fn stop(mut self) -> Value {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let said = line(&mut self.out);
        assert!(self.child.wait().unwrap().success());
        said
    }
}

/// A command that goes on printing lines of JSON, until it is dropped: that kills it.
pub(crate) struct Following {
    child: Child,
    lines: Receiver<Value>,
}

impl Following {
    pub(crate) fn start<const N: usize>(place: &Place, words: [&str; N]) -> Self {
        let mut child = place
            .command(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = sync_channel(1);
        std::thread::spawn(move || {
            let lines = out.lines().map_while(Result::ok);
            // Who has heard enough hears no more.
            lines
                .map(|line| serde_json::from_str(&line).expect(&line))
                .try_for_each(|said: Value| tell.send(said))
        });
        Self { child, lines }
    }

    /// Reads lines until one is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let mut last = Value::Null;
        loop {
            let Ok(said) = self.lines.recv_timeout(PATIENCE) else {
                panic!("{what} was not told; the last was {last}");
            };
            if is_so(&said) {
                return;
            }
            last = said;
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It goes on for ever otherwise.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn line(out: &mut impl BufRead) -> Value {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    serde_json::from_str(&line).expect(&line)
}

impl Drop for Serving {
    fn drop(&mut self) {
        // One that was stopped is gone already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Looks until it is so.
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    within(PATIENCE, what, is_so);
}

/// Looks until it is so, for as long as `patience`.
pub(crate) fn within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
    let end = Instant::now() + patience;
    while !is_so() {
        #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
        let now = Instant::now();
        assert!(now < end, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// What others seal things to.
pub(crate) fn card(place: &Place) -> String {
    let id: Value = place.ok(["--json", "id"]).json();
    id["card"].as_str().unwrap().to_owned()
}
