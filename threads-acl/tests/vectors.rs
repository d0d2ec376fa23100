//! The histories of `spec/vectors/access.json`: what the rules make of them stands there, for whoever writes the
//! rules anew. `THREADS_VECTORS=write` writes what this crate makes of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::vectors::{self, History};
use threads_acl::eval::evaluate;

const ABOUT: &str = "histories, described as for `acl eval`, and what follows from them by the rules of 07; every \
                     list of an outcome is sorted";

#[test]
fn the_outcomes_are_what_the_rules_make_of_the_histories() {
    let mut file = vectors::read();
    if std::env::var("THREADS_VECTORS").as_deref() == Ok("write") {
        file.about = ABOUT.to_owned();
        for history in &mut file.vectors {
            history.outcome = evaluate(&history.events).unwrap().outcome;
        }
        vectors::write(&file);
    }
    assert_eq!(file.about, ABOUT);
    for History {
        name,
        events,
        outcome,
        ..
    } in &vectors::read().vectors
    {
        let evaluation = evaluate(events).unwrap();
        assert_eq!(
            (&evaluation.outcome, &evaluation.pending[..]),
            (outcome, &[][..]),
            "{name}"
        );
    }
}

#[test]
fn every_history_has_a_name_of_its_own_and_there_are_those_of_all_scenarios() {
    let file = vectors::read();
    let mut names: Vec<_> = file
        .vectors
        .iter()
        .map(|history| &history.name[..])
        .collect();
    for scenario in 1..=20 {
        let number = format!("{scenario:02}: ");
        let found = names.iter().filter(|name| name.starts_with(&number));
        assert_eq!(found.count(), 1, "{number}");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), file.vectors.len());
}
