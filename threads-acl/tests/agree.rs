//! The evaluator and a second one, which is the definitions as plain recursion, agree.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::Chance;
use common::random::{History, verdict_of};
use common::second::judge_within;
use threads_acl::Room;
use threads_acl::eval::evaluate_within;

const HISTORIES: u64 = 100_000;

#[test]
fn a_second_evaluator_agrees_on_100_000_histories() {
    agree(HISTORIES, |_| Room::default());
}

/// Where there is room for a handful of events only, so that most histories have too many by somebody.
#[test]
fn a_second_evaluator_agrees_on_who_finds_no_room() {
    let left_out = agree(HISTORIES / 4, common::little_room);
    assert!(left_out > 5_000, "{left_out}");
}

/// Gives how many histories come out otherwise than with the room of the rules.
fn agree(histories: u64, room: fn(&mut Chance) -> Room) -> u32 {
    let (mut refused, mut void, mut revoked, mut left_out) = (0, 0, 0, 0);
    let (full, of) = (HISTORIES, histories);
    for seed in 0..histories {
        let mut chance = Chance(seed);
        let count = 4 + chance.below(16);
        let history = History::random(count, &mut chance);
        let mut events = history.described();
        chance.shuffle(&mut events);
        let room = room(&mut chance);
        let outcome = evaluate_within(&events, room).unwrap().outcome;
        let expected = judge_within(&history, &room);
        if room != Room::default() {
            let all = judge_within(&history, &Room::default());
            left_out += u32::from(all.authorised != expected.authorised);
        }
        let found = verdict_of(&outcome, &history);
        if found.roles != expected.roles {
            // A peer that does not occur has what everyone has, and is not in the outcome.
            for (peer, roles) in &found.roles {
                let occurs = outcome.roles.contains_key(&format!("peer{peer}"));
                assert!(
                    !occurs || *roles == expected.roles[peer],
                    "{seed}: {peer} {history:#?}"
                );
            }
        }
        assert_eq!(
            (&found.authorised, &found.counted, &found.applied),
            (&expected.authorised, &expected.counted, &expected.applied),
            "{seed}: {history:#?}"
        );
        refused += outcome.quarantined.len();
        void += usize::from(outcome.authorised.len() + outcome.applied.len() < events.len());
        revoked += usize::from(outcome.roles.values().any(|roles| roles.thread.is_empty()));
    }
    // The histories must be worth agreeing on.
    let least = (10_000 * of / full) as usize;
    assert!(
        refused > least && void > least && revoked > least,
        "{refused} {void} {revoked}"
    );
    left_out
}
