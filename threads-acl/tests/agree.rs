//! The evaluator and a second one, which is the definitions as plain recursion, agree.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::Chance;
use common::random::{History, verdict_of};
use common::second::judge;
use threads_acl::eval::evaluate;

const HISTORIES: u64 = 100_000;

#[test]
fn a_second_evaluator_agrees_on_100_000_histories() {
    let (mut refused, mut void, mut revoked) = (0, 0, 0);
    for seed in 0..HISTORIES {
        let mut chance = Chance(seed);
        let count = 4 + chance.below(16);
        let history = History::random(count, &mut chance);
        let mut events = history.described();
        chance.shuffle(&mut events);
        let outcome = evaluate(&events).unwrap().outcome;
        let expected = judge(&history);
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
    assert!(
        refused > 10_000 && void > 10_000 && revoked > 10_000,
        "{refused} {void} {revoked}"
    );
}
