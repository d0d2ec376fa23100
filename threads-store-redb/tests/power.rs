//! Power loss: every image that a crash could leave holds every acknowledged commit, and none in
//! part.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a test says what it found")]

mod common;

use std::collections::BTreeMap;

use common::{Event, Numbers, Rows, Storage, all_rows, write_to};
use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace};

const COMMITS: u64 = 24;
/// What a disk writes whole.
const SECTOR_BYTES: usize = 512;
/// How many images with random losses are made in each window, besides those of its prefixes.
const LOSSES: usize = 8;

/// What one run did, and what the store held after each commit.
struct Recording {
    start: Vec<u8>,
    events: Vec<Event>,
    states: Vec<Rows>,
}

/// Commits of all sizes, with a table that grows, shrinks and splits.
fn record() -> Recording {
    let storage = Storage::default();
    let store = storage.open().unwrap();
    store.sync().unwrap();
    storage.events.lock().unwrap().clear();
    let start = storage.bytes();
    let mut numbers = Numbers(5);
    let mut model = BTreeMap::new();
    let mut states = vec![Rows::new()];
    for commit in 1..=COMMITS {
        let durability = match commit % 3 {
            0 => Durability::Immediate,
            _ => Durability::Group,
        };
        let mut changes = Vec::new();
        for _ in 0..1 + numbers.below(12) {
            let space = [Keyspace::Meta, Keyspace::Feed][numbers.below(2) as usize];
            let key = vec![b'k', numbers.below(40) as u8];
            let len = [3, 300, 9_000][numbers.below(3) as usize];
            let value = (numbers.below(4) > 0).then(|| vec![commit as u8; len]);
            changes.push((space, key, value));
        }
        let mut txn = threads_core::datastore::Datastore::write(&store).unwrap();
        for (space, key, value) in changes {
            match value {
                Some(value) => {
                    txn.put(space, &key, &value).unwrap();
                    model.insert((space, key), value);
                }
                None => {
                    txn.delete(space, &key).unwrap();
                    model.remove(&(space, key));
                }
            }
        }
        txn.commit(durability).unwrap();
        storage
            .events
            .lock()
            .unwrap()
            .push(Event::Acknowledged(commit));
        let rows = model.iter().map(|((s, k), v)| (*s, k.clone(), v.clone()));
        states.push(rows.collect());
    }
    drop(store);
    let events = storage.events.lock().unwrap().clone();
    Recording {
        start,
        events,
        states,
    }
}

/// What is wrong with an image, if anything is.
fn judge(image: Vec<u8>, acknowledged: u64, states: &[Rows]) -> Result<(), String> {
    let store = Storage::of(image)
        .open()
        .map_err(|error| format!("{error:?}"))?;
    let rows = all_rows(&store, Direction::Forward).map_err(|error| format!("{error:?}"))?;
    let state = states.iter().rposition(|state| *state == rows);
    match state {
        None => Err("half a commit".to_owned()),
        Some(state) if (state as u64) < acknowledged => {
            Err(format!("commit {acknowledged} is lost, {state} is there"))
        }
        Some(_) => Ok(()),
    }
}

/// Applies a part of a window: each sector of a write may be lost, and each change of length.
fn lose(image: &mut Vec<u8>, window: &[&Event], numbers: &mut Numbers) {
    // From hardly anything to nearly everything.
    let keep = 1 + numbers.below(9);
    for event in window {
        match event {
            Event::Write(offset, data) => {
                let whole = numbers.below(2) == 0;
                let kept = numbers.below(10) < keep;
                for (n, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                    if if whole {
                        kept
                    } else {
                        numbers.below(10) < keep
                    } {
                        write_to(image, offset + (n * SECTOR_BYTES) as u64, sector);
                    }
                }
            }
            Event::SetLen(len) if numbers.below(10) < keep => image.resize(*len as usize, 0),
            _ => {}
        }
    }
}

fn apply(image: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write(offset, data) => write_to(image, *offset, data),
        Event::SetLen(len) => image.resize(*len as usize, 0),
        Event::Sync | Event::Acknowledged(_) => {}
    }
}

/// Makes the images of a crash in every window between two syncs; gives how many there were and
/// what was wrong with them. Without `syncs`, all is one window.
fn crash_everywhere(recording: &Recording, syncs: bool) -> (usize, Vec<String>) {
    let mut numbers = Numbers(11);
    let (mut images, mut wrong) = (0, Vec::new());
    let mut synced = recording.start.clone();
    let mut window: Vec<&Event> = Vec::new();
    let mut acknowledged = 0;
    let mut check = |image, acknowledged| {
        images += 1;
        wrong.extend(judge(image, acknowledged, &recording.states).err());
    };
    for event in &recording.events {
        match event {
            Event::Acknowledged(commit) => acknowledged = *commit,
            Event::Sync if syncs => {
                for _ in 0..LOSSES {
                    let mut image = synced.clone();
                    lose(&mut image, &window, &mut numbers);
                    check(image, acknowledged);
                }
                window.iter().for_each(|event| apply(&mut synced, event));
                window.clear();
                check(synced.clone(), acknowledged);
            }
            Event::Sync => {
                let mut image = synced.clone();
                lose(&mut image, &window, &mut numbers);
                check(image, acknowledged);
            }
            _ => {
                window.push(event);
                if syncs {
                    let mut image = synced.clone();
                    window.iter().for_each(|event| apply(&mut image, event));
                    check(image, acknowledged);
                }
            }
        }
    }
    (images, wrong)
}

#[test]
fn power_loss_keeps_every_acknowledged_commit_whole() {
    let recording = record();
    let (images, wrong) = crash_everywhere(&recording, true);
    println!("{} events, {images} images", recording.events.len());
    assert!(images > 300, "only {images} images");
    assert!(
        wrong.is_empty(),
        "{} of {images}: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
}

/// The test above can fail: on a disk that does not sync, acknowledged commits get lost.
#[test]
fn power_loss_without_syncs_loses_commits() {
    let (images, wrong) = crash_everywhere(&record(), false);
    println!("{} of {images} images are wrong", wrong.len());
    assert!(
        wrong.iter().any(|what| what.contains("is lost")),
        "{wrong:#?}"
    );
}
