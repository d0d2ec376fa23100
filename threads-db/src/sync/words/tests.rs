//! When a peer is told of snapshots, and asked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use threads_core::{ReplicaKey, system_rng};

use super::super::io::{Input, Output, Work};
use super::*;

const THREAD: Number = 7;

fn peer(n: u8) -> PeerId {
    PeerId::from_key_bytes([n; 32])
}

/// A node with a connected peer that has shown the key of a thread.
fn machine() -> Machine {
    let mut machine = Machine::new(peer(1));
    machine.handle(0, Input::Connected(peer(2)), &mut system_rng());
    let known = machine.peers.get_mut(&peer(2)).unwrap();
    known.proven.insert(THREAD);
    machine
}

/// Has the machine hear what came of work for words.
fn done(machine: &mut Machine, doing: Doing, done: Result<Worded>) -> Vec<Output> {
    machine.words_done(doing, done.map(Done::Words));
    std::mem::take(&mut machine.out)
}

/// Whether the peer is to be told, or asked, by this time.
fn greets(machine: &mut Machine, at_ms: u64) -> bool {
    let greets = |output: &Output| {
        matches!(
            output,
            Output::Work(Work(_, Op::Words(Wording::Greet(THREAD, of, _)))) if *of == peer(2)
        )
    };
    let outputs = machine.handle(at_ms, Input::Woken, &mut system_rng());
    outputs.iter().any(greets)
}

fn of_words() -> Doing {
    Doing::Words(THREAD, peer(2))
}

#[test]
fn a_peer_is_told_the_same_once_unless_a_snapshot_is_sought() {
    let mut machine = machine();
    let mut asked = |seq: u64, sought: bool| {
        let claim = Claim::new(&ReplicaKey::from_bytes(&[7; 32]), &peer(1), &peer(2));
        let ask = Some((claim, vec![(peer(3), seq)]));
        let outputs = done(
            &mut machine,
            of_words(),
            Ok(Worded::Greeting { ask, sought }),
        );
        let calls = outputs
            .iter()
            .filter(|output| matches!(output, Output::Call(..)));
        calls.count()
    };
    assert_eq!([asked(1, false), asked(1, false)], [1, 0]);
    assert_eq!([asked(2, false), asked(2, true)], [1, 1]);
}

#[test]
fn what_is_new_is_told_to_others_and_what_is_not_is_not() {
    for new in [true, false] {
        let mut machine = machine();
        done(
            &mut machine,
            of_words(),
            Ok(Worded::Taken { new, sound: true }),
        );
        assert_eq!(greets(&mut machine, TELL_AFTER_MS), new);
    }
}

#[test]
fn what_a_full_disk_kept_from_being_done_is_done_later_and_no_error_else() {
    for (error, passes) in [
        (Error::full("the disk is full"), true),
        (Error::unavailable("the disk is busy"), true),
        (Error::corrupt("the disk is damaged"), false),
    ] {
        let mut machine = machine();
        done(&mut machine, of_words(), Err(error));
        assert!(!greets(&mut machine, ASK_APART_MS - 1));
        assert_eq!(greets(&mut machine, ASK_APART_MS), passes);
    }
}

#[test]
fn who_knows_more_is_asked_and_not_sooner_than_it_may_have_more_to_tell() {
    let mut machine = machine();
    let known = machine.peers.get_mut(&peer(2)).unwrap();
    known.told.last.insert(THREAD, (Vec::new(), 0));
    let listed = |behind| ListedWords {
        thread: THREAD,
        words: Vec::new(),
        behind,
    };
    // What else is to be done for a peer that showed the key is done first.
    greets(&mut machine, BLOB_LOOK_AFTER_MS);
    machine.answer_words(peer(2), &listed(true));
    assert!(!greets(&mut machine, ASK_APART_MS - 1));
    assert!(greets(&mut machine, ASK_APART_MS));
    machine.answer_words(peer(2), &listed(false));
    assert!(!greets(&mut machine, 10 * ASK_APART_MS));
}

#[test]
fn when_a_search_has_ended_all_is_compared_anew() {
    for (sought, compares) in [(Sought::Ended, true), (Sought::Waits, false)] {
        let mut machine = machine();
        let outputs = done(
            &mut machine,
            Doing::Sought(THREAD),
            Ok(Worded::Sought(sought)),
        );
        let is_greeting = |output: &Output| {
            matches!(
                output,
                Output::Work(Work(_, Op::Shared(of, Which::Only(THREAD)))) if *of == peer(2)
            )
        };
        assert_eq!(outputs.iter().any(is_greeting), compares);
        assert_eq!(greets(&mut machine, TELL_AFTER_MS), compares);
    }
}
