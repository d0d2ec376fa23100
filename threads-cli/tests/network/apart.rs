//! Three machines, as far as the kernel can play them: a network that loses every fifth packet, and
//! a cable that is pulled out and put back.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::serving::{Serving, within};
use crate::meeting::{Member, agree, three};

/// How long it may take to agree over such a network.
const PATIENCE: Duration = Duration::from_secs(180);
/// Drops every fifth packet that comes in, where the kernel has no `netem`.
const LOSS: &str = "table inet loss { chain in { type filter hook input priority 0; \
                    numgen random mod 100 < 20 drop; }; }";

/// Runs a program as far as it gets; what it says is the error.
fn run(program: &str, words: &[&str], fed: &str) -> Result<(), String> {
    let failed = |why: String| format!("{program} {}: {why}", words.join(" "));
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // One that ended before it read says so itself.
    _ = child.stdin.take().unwrap().write_all(fed.as_bytes());
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

fn ip(words: &str) -> Result<(), String> {
    run("ip", &words.split(' ').collect::<Vec<_>>(), "")
}

/// A switch and machines that are plugged into it, each in a network namespace. They go when it does.
struct Lan {
    switch: String,
    machines: Vec<String>,
}

impl Lan {
    fn new(machines: usize) -> Result<Self, String> {
        let id = std::process::id();
        let mut lan = Self {
            switch: format!("threads-{id}-switch"),
            machines: Vec::new(),
        };
        let switch = &lan.switch;
        ip(&format!("netns add {switch}"))?;
        ip(&format!("-n {switch} link add name switch type bridge"))?;
        ip(&format!("-n {switch} link set switch up"))?;
        for number in 0..machines {
            lan.plug_in(number, &format!("threads-{id}-{number}"))?;
        }
        Ok(lan)
    }

    fn plug_in(&mut self, number: usize, name: &str) -> Result<(), String> {
        let switch = &self.switch;
        ip(&format!("netns add {name}"))?;
        self.machines.push(name.to_owned());
        ip(&format!(
            "-n {switch} link add port{number} type veth peer name eth netns {name}"
        ))?;
        ip(&format!(
            "-n {switch} link set port{number} master switch up"
        ))?;
        let address = Self::address(number);
        ip(&format!("-n {name} addr add {address}/24 dev eth"))?;
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {name} link set eth up"))?;
        let netem = [
            "-n", name, "qdisc", "add", "dev", "eth", "root", "netem", "loss", "20%",
        ];
        run("tc", &netem, "").or_else(|netem| {
            let nft = ["netns", "exec", name, "nft", "-f", "-"];
            run("ip", &nft, LOSS).map_err(|nft| format!("{netem}; {nft}"))
        })
    }

    fn address(number: usize) -> String {
        format!("10.201.7.{}", number + 1)
    }

    /// The same command on a machine.
    fn on(&self, number: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.machines[number]]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir);
        }
        inside
    }

    fn cable(&self, number: usize, state: &str) {
        ip(&format!("-n {} link set port{number} {state}", self.switch)).unwrap();
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for name in self.machines.iter().chain([&self.switch]) {
            // One that was never made is not there.
            _ = ip(&format!("netns del {name}"));
        }
    }
}

#[test]
fn three_machines_agree_over_a_bad_network_that_parts_and_heals() {
    let lan = match Lan::new(3) {
        Ok(lan) => lan,
        Err(why) => {
            println!("skipped: no network can be made here: {why}");
            return;
        }
    };
    let members = three(|number, place| {
        let listen = format!("/ip4/{}/tcp/0", Lan::address(number));
        lan.on(number, &Serving::command(place, &listen))
    });
    let all: [&Member; 3] = members.each_ref();
    let write = |round: &str| {
        for (number, member) in all.iter().enumerate() {
            member.write(&format!("{round}-{number}"));
        }
    };
    write("lossy");
    within(PATIENCE, "agreement", || agree(&all, 3));

    lan.cable(2, "down");
    write("apart");
    within(PATIENCE, "agreement of two", || agree(&all[..2], 5));
    assert_eq!(all[2].rows().lines().count(), 4, "nobody reaches it");

    lan.cable(2, "up");
    write("healed");
    within(PATIENCE, "agreement after all", || agree(&all, 9));
    for member in all {
        member.place.ok(["verify", "t"]);
    }
}
