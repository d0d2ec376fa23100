//! The suite is tested: for each law of group keys there is a scheme with one fault, which this law
//! finds and no other does, or the table gives the reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a failing test shows what was said")]

mod broken;

use broken::{Broken, Fault};
use threads_conformance::Outcome;
use threads_conformance::group::{LAWS, Subject};

fn subject(fault: Option<Fault>) -> Subject {
    Subject::new(move || Broken::new(fault))
}

threads_conformance::group_keys_laws!(subject(None));

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
                wanted.sort_by_key(|id| LAWS.iter().position(|law| law.id == *id));
                assert_eq!(violated(Fault::$fault), wanted, "{:?}", Fault::$fault);
            }
        )*
    };
}

bites! {
    names_change: "GK-1" finds ChangesItsName;
    every_scheme_is_taken: "GK-2" finds TakesEveryScheme;
    replicas_read: "GK-3" finds GivesReplicasTheReadKey;
    the_list_decides: "GK-4" finds SealsToTheList;
    threads_are_forgotten: "GK-5" finds ForgetsTheThread;
    numbers_are_believed: "GK-6" finds BelievesTheNumber;
    keys_are_written_down: "GK-7" finds WritesTheKeysDown;
    lengths_are_counted_on: "GK-8" finds CountsOnTheLength;
    nothing_is_sealed: "GK-9" finds RemembersInsteadOfSealing;
    marks_are_sealed_as_keys: "GK-10" finds SealsMarksToReaders;
}

#[test]
fn every_law_bites() {
    let laws: Vec<_> = LAWS.iter().map(|law| law.id).collect();
    assert_eq!(BITES, laws);
}
