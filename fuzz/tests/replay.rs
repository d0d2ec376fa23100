//! Tries again what was found, and what every target begins with.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::path::Path;

use threads_fuzz::{PLANTED, TARGETS, find};

#[test]
fn seeds_are_found_and_keep_every_promise() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in seeds {
            (target.run)(&seed);
        }
    }
}

#[test]
fn seeds_do_not_hold_the_planted_mistake() {
    (PLANTED.seeds)()
        .iter()
        .for_each(|seed| (PLANTED.run)(seed));
}

/// Every file in `fuzz/regressions/<target>` broke a promise once.
#[test]
fn what_was_found_is_mended() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for dir in std::fs::read_dir(kept).unwrap() {
        let dir = dir.unwrap().path();
        if !dir.is_dir() {
            continue; // The page that says what is in here.
        }
        let name = dir.file_name().unwrap().to_str().unwrap();
        let target = find(name).unwrap_or_else(|| panic!("no target is called {name}"));
        for file in std::fs::read_dir(&dir).unwrap() {
            let path = file.unwrap().path();
            println!("{}", path.display());
            (target.run)(&std::fs::read(path).unwrap());
        }
    }
}

#[test]
fn the_planted_mistake_is_one() {
    let mut batch = (PLANTED.seeds)().swap_remove(0);
    let at = batch.windows(5).position(|bytes| bytes == b"alice");
    batch[at.unwrap()] = b'~';
    let found = std::panic::catch_unwind(|| (PLANTED.run)(&batch));
    assert!(found.is_err());
}
