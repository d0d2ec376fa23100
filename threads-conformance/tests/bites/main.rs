//! The suite is tested: for each law there is a store with one fault, which this law finds and no
//! other does.
//!
//! The model law is a net under the others and finds most of what they find, so it is left out of
//! the comparison, and has a fault that it alone finds. Where another exception is needed, the
//! table gives the reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a failing test shows what was said")]

mod broken;

use std::time::Duration;

use broken::{Broken, Fault};
use threads_conformance::Outcome;
use threads_conformance::datastore::{LAWS, Subject};
use threads_conformance::faulty::{Fails, Faulty};
use threads_core::datastore::Memory;

/// The law that compares a store with the reference store.
const MODEL: &str = "DS-37";

/// A store with a fault, or none.
fn subject(fault: Option<Fault>) -> Subject {
    Subject::new(move |dir| Broken::open(dir, fault)).with_failing(move |_dir| {
        let torn = fault == Some(Fault::TornCommit);
        let (fails, nth) = if torn {
            (Fails::Torn, 3)
        } else {
            (Fails::Writing, 9)
        };
        let store = Faulty::new(Memory::new(), fails);
        store.arm(nth);
        Ok(store)
    })
}

/// Which laws do not hold.
fn violated(fault: Option<Fault>) -> Vec<&'static str> {
    let mut violated = Vec::new();
    for law in LAWS {
        match law.check(subject(fault)) {
            Outcome::Held => {}
            Outcome::Skipped(reason) => panic!("{} was skipped: {reason}", law.id),
            Outcome::Violated(message) => {
                assert!(message.starts_with(&format!("contract violation: {}: ", law.id)));
                assert!(message.contains("\n  done: ") && message.contains("\n  seen: "));
                println!("{message}");
                violated.push(law.id);
            }
        }
    }
    violated
}

#[track_caller]
fn check(law: &str, fault: Fault, also: &[&str]) {
    let mut found = violated(Some(fault));
    if law != MODEL {
        found.retain(|id| *id != MODEL);
    }
    let mut wanted = vec![law];
    wanted.extend(also);
    assert_eq!(found, wanted, "{fault:?}");
}

/// Each line makes a test of a law, a fault, and the other laws that find it by nature.
macro_rules! bites {
    ($($name:ident: $law:literal finds $fault:ident $(and so does $also:literal)?;)*) => {
        const BITES: &[&str] = &[$($law),*];
        $(
            #[test]
            fn $name() {
                check($law, Fault::$fault, &[$($also)?]);
            }
        )*
    };
}

bites! {
    short_keys_first: "DS-1" finds OrdersByLength;
    any_key_taken: "DS-2" finds TakesAnyKey;
    readers_refused: "DS-3" finds RefusesToLookForOddKeys;
    empty_is_absent: "DS-4" finds TakesEmptyForAbsent;
    values_cut_off: "DS-5" finds CutsLargeValues;
    written_over_in_place: "DS-6" finds WritesOverInPlace;
    one_too_many_deleted: "DS-7" finds DeletesTheNextKeyToo;
    nothing_to_delete: "DS-8" finds MissesWhatItDeletes;
    two_spaces_in_one: "DS-9" finds MixesTwoKeyspaces;
    included_is_excluded: "DS-10" finds ExcludesIncludedEnds;
    reverse_stops_early: "DS-11" finds ExcludesIncludedEndsInReverse;
    empty_range_panics: "DS-12" finds PanicsOnEmptyRanges;
    one_page_of_rows: "DS-13" finds StopsAfterOnePage;
    misses_look_in_the_present: "DS-14" finds LooksUpMissesInThePresent;
    next_page_from_the_present: "DS-15" finds ScansOnInThePresent;
    readers_lag: "DS-16" finds HidesRelaxedCommitsFromReaders;
    blind_to_own_puts: "DS-17" finds GetsPastItsOwnWrites;
    blind_to_own_rows: "DS-18" finds ScansPastItsOwnWrites;
    writers_lag: "DS-19" finds HidesRelaxedCommitsFromWriters;
    dirty_reads: "DS-20" finds ShowsWhatIsNotCommitted;
    commits_on_drop: "DS-21" finds CommitsOnDrop;
    refusal_ends_it_all: "DS-22" finds ForgetsAllOnARefusal;
    reader_of_the_past: "DS-23" finds ReadsThePastAsRead;
    wrong_refusal: "DS-24" finds RefusesASecondWriterWrongly;
    // Two writers at once lose updates too, whatever else they do.
    begins_without_its_turn: "DS-25" finds TakesItsTurnAtTheFirstWrite and so does "DS-26";
    snapshot_before_the_turn: "DS-26" finds TakesItsSnapshotBeforeItsTurn;
    two_halves: "DS-27" finds CommitsInTwoHalves;
    immediate_is_late: "DS-28" finds LeavesImmediateForLater;
    group_is_late: "DS-29" finds LeavesGroupForLater;
    only_itself: "DS-30" finds WritesOnlyTheLastCommit;
    holes: "DS-31" finds WritesRelaxedOutOfOrder;
    empty_commits_do_nothing: "DS-32" finds TakesAnEmptyCommitForNothing;
    closing_forgets: "DS-33" finds ForgetsRelaxedWhenClosed;
    writes_ahead: "DS-34" finds WritesBeforeTheCommit;
    no_checksum: "DS-35" finds ChecksNothing;
    torn_failure: "DS-36" finds TornCommit;
    first_put_wins: "DS-37" finds KeepsTheFirstOfTwoPuts;
    copies_are_the_same: "DS-38" finds IsTheSameInACopy;
}

#[test]
fn a_store_without_a_fault_keeps_every_law() {
    assert_eq!(violated(None), Vec::<&str>::new());
}

#[test]
fn every_law_bites() {
    let laws: Vec<_> = LAWS.iter().map(|law| law.id).collect();
    assert_eq!(BITES, laws);
}

/// A store that waits for itself does not hang the tests of its author.
#[test]
fn a_check_that_stops_is_a_violation() {
    let law = LAWS.iter().find(|law| law.id == "DS-24").unwrap();
    let stuck = subject(Some(Fault::WaitsForItself));
    let outcome = law.check_within(stuck, Duration::from_millis(300));
    assert!(matches!(outcome, Outcome::Violated(message) if message.contains("it has stopped")));
}
