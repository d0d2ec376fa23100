//! The suite is tested: for each law of reducers there is one with one fault, which this law finds
//! and no other does, or the table gives the reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a failing test shows what was said")]

mod broken;

use broken::{Broken, Fault};
use threads_conformance::Outcome;
use threads_conformance::reducer::{LAWS, Subject};

fn subject(fault: Option<Fault>) -> Subject {
    let subject = Subject::new(move || Broken::new(fault));
    // What these two keep besides is not of the present state by itself.
    match fault {
        Some(Fault::CountsItsStarts | Fault::CountsItsBeginnings) => subject,
        _ => subject.of_present_state(),
    }
}

threads_conformance::reducer_laws!(subject(None));

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
                let wanted = [$law, $($($also),*)?];
                assert_eq!(violated(Fault::$fault), wanted, "{:?}", Fault::$fault);
            }
        )*
    };
}

bites! {
    versions_change: "RE-1" finds ChangesItsVersion;
    // Every law that compares two runs sees that two runs differ.
    runs_differ: "RE-2" finds WritesAtRandom and so do "RE-3" "RE-4" "RE-5" "RE-6" "RE-8";
    starts_are_counted: "RE-3" finds CountsItsStarts;
    only_one_thread: "RE-4" finds KnowsOneThread;
    nothing_twice: "RE-5" finds SkipsWhatItSawLast;
    beginnings_are_counted: "RE-6" finds CountsItsBeginnings;
    faults_are_absent_rows: "RE-7" finds TakesFaultsForAbsence;
    nothing_is_undone: "RE-8" finds ForgetsBefore;
}

#[test]
fn every_law_bites() {
    let laws: Vec<_> = LAWS.iter().map(|law| law.id).collect();
    assert_eq!(BITES, laws);
}
