//! Checks images in a child process, so that one that crashes its reader is a finding.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Numbers;
use super::log::{Image, Log, Syncs};

const DIR: &str = "THREADS_POWER_DIR";
const SYNCS: &str = "THREADS_POWER_SYNCS";
const FROM: &str = "THREADS_POWER_FROM";
const TO: &str = "THREADS_POWER_TO";
/// The seed of a run; printed, and taken from the environment.
const SEED: &str = "THREADS_SEED";
const SEED_DEFAULT: u64 = 20;

/// What an image that should hold did not.
pub(crate) struct Finding {
    pub(crate) image: u64,
    pub(crate) what: String,
}

fn seed() -> u64 {
    std::env::var(SEED).map_or(SEED_DEFAULT, |seed| seed.parse().unwrap())
}

/// A directory in memory, where there is one: images need no disk.
pub(crate) fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// In a child: checks its share of the images, and says what it found of each. In a parent: nothing.
pub(crate) fn child(file: &str, check: fn(&Path, &Image) -> Result<(), String>) {
    let Some(dir) = std::env::var_os(DIR) else {
        return; // This is the parent's own run of its tests.
    };
    let text = |name| std::env::var(name).unwrap();
    let (from, to): (u64, u64) = (text(FROM).parse().unwrap(), text(TO).parse().unwrap());
    let syncs = Syncs::ALL
        .into_iter()
        .find(|syncs| syncs.name() == text(SYNCS));
    let log = Log::load(&Path::new(&dir).join("log"));
    let place = fast_dir();
    for number in from..to {
        // Every image can be made alone, from its number.
        let mut numbers = Numbers(seed().wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let image = log.image(syncs.unwrap(), &mut numbers);
        std::fs::write(place.path().join(file), &image.bytes).unwrap();
        let found = check(place.path(), &image).err().unwrap_or_default();
        let line = format!("image {number} {}\n", found.replace('\n', " "));
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

/// Checks `images` images of `log`, and gives those that do not hold.
pub(crate) fn run(log: &Log, syncs: Syncs, images: u64) -> Vec<Finding> {
    let dir = fast_dir();
    log.save(&dir.path().join("log"));
    let (mut findings, mut next) = (Vec::new(), 0);
    // Each turn is at least one image further.
    while next < images {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(DIR, dir.path())
            .env(SYNCS, syncs.name())
            .env(FROM, next.to_string())
            .env(TO, images.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The harness may print its own words on the same line before the first.
            let Some((_, said)) = line.split_once("image ") else {
                continue;
            };
            let (number, what) = said.split_once(' ').unwrap();
            next = number.parse::<u64>().unwrap() + 1;
            if !what.is_empty() {
                findings.push(Finding {
                    image: next - 1,
                    what: what.to_owned(),
                });
            }
        }
        let ended = child.wait().unwrap();
        if next < images {
            findings.push(Finding {
                image: next,
                what: format!("the reader ended: {ended}"),
            });
            next += 1;
        }
    }
    println!(
        "{images} images with syncs {}, seed {}: {} do not hold",
        syncs.name(),
        seed(),
        findings.len()
    );
    if syncs == Syncs::Kept && !findings.is_empty() {
        // Writers race, so no seed makes the same recording again.
        let kept = dir.keep();
        println!(
            "to look at image N: {DIR}={} {SYNCS}=kept {FROM}=N {TO}=N+1",
            kept.display()
        );
    }
    findings
}
