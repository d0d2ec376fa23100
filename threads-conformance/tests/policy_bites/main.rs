//! The suite is tested: for each law of policies there is one with one fault, which this law finds and no
//! other does, or the table gives the reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a failing test shows what was said")]

mod broken;

use broken::{Broken, Fault};
use threads_conformance::Outcome;
use threads_conformance::policy::{LAWS, Subject};

fn subject(fault: Option<Fault>) -> Subject {
    Subject::new(move || Broken::new(fault))
}

threads_conformance::policy_laws!(subject(None));

/// Which laws do not hold.
fn violated(fault: Fault) -> Vec<&'static str> {
    let mut violated = Vec::new();
    for law in LAWS {
        if let Outcome::Violated(message) = law.check(subject(Some(fault))) {
            println!("{message}");
            violated.push(law.id);
        }
    }
    violated
}

/// Each line makes a test of a law, a fault, and the other laws that find it by nature.
macro_rules! bites {
    ($($name:ident: $law:literal finds $fault:ident $(and so do $($also:literal)*)?;)*) => {
        const BITES: &[&str] = &[$($law),*];
        $(
            #[test]
            fn $name() {
                let mut wanted = vec![$law, $($($also),*)?];
                let mut found = violated(Fault::$fault);
                wanted.sort_unstable();
                found.sort_unstable();
                assert_eq!(found, wanted, "{:?}", Fault::$fault);
            }
        )*
    };
}

bites! {
    // Every law that compares two runs sees that two runs differ.
    verdicts_differ: "PO-1" finds AnswersByChance and so do "PO-2" "PO-3" "PO-6" "PO-7" "PO-8" "PO-9" "PO-10";
    the_last_wins: "PO-2" finds LetsTheLastWin;
    unread_is_refused: "PO-3" finds RefusesWhatItCannotRead;
    errors_are_verdicts: "PO-4" finds TakesErrorsForNo;
    rules_are_others: "PO-5" finds TellsOtherRules;
    nothing_is_named: "PO-6" finds NamesNothing;
    twice_is_two: "PO-7" finds CountsTwice;
    // What is not in the view is not given up with it, and its loss is told to nobody.
    bans_are_forgotten: "PO-8" finds KeepsBansToItself and so do "PO-6" "PO-9";
    what_was_given_up_stays: "PO-9" finds RemembersWhatWasGivenUp and so do "PO-6" "PO-8";
    // A ban that is remembered without what was seen is one of all records, until the next start.
    threads_mix: "PO-10" finds BansInAllThreads and so do "PO-6" "PO-8" "PO-9";
    others_said_it: "PO-11" finds TellsOfOthers;
    purges_count_by_chance: "PO-12" finds CountsPurgesByChance;
}

#[test]
fn every_law_bites() {
    let laws: Vec<_> = LAWS.iter().map(|law| law.id).collect();
    assert_eq!(BITES, laws);
}
