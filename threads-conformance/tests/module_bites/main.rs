//! The suite is tested: for each law of modules there is one with one fault, which this law finds
//! and no other does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a failing test shows what was said")]

mod broken;

use broken::{Broken, Fault};
use threads_conformance::Outcome;
use threads_conformance::module::{LAWS, Subject, vectors};

fn subject(fault: Option<Fault>) -> Subject {
    Subject::new(move || Broken::new(fault))
}

threads_conformance::module_laws!(subject(None));

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

/// Each line makes a test of a law and a fault that it alone finds.
macro_rules! bites {
    ($($name:ident: $law:literal finds $fault:ident;)*) => {
        const BITES: &[&str] = &[$($law),*];
        $(
            #[test]
            fn $name() {
                assert_eq!(violated(Fault::$fault), [$law], "{:?}", Fault::$fault);
            }
        )*
    };
}

bites! {
    templates_change: "MO-1" finds ChangesItsTemplate;
    names_come_back: "MO-2" finds UsesANameAgain;
    schemas_reach_outside: "MO-3" finds RefersElsewhere;
    fixtures_do_not_fit: "MO-4" finds HasAnUnfitFixture;
    later_versions_want_more: "MO-5" finds WantsWhatWasNotThere;
    earlier_versions_are_forgotten: "MO-6" finds LeavesNothingForBefore;
    values_are_not_mapped: "MO-7" finds ForgetsAValue;
    invariants_panic: "MO-8" finds TakesTextForGranted;
    published_versions_change: "MO-9" finds ChangesWhatWasPublished;
}

#[test]
fn every_law_bites() {
    let laws: Vec<_> = LAWS.iter().map(|law| law.id).collect();
    assert_eq!(BITES, laws);
}

#[test]
fn no_law_is_skipped_of_what_is_published() {
    let line = threads_conformance::summary(LAWS, || subject(None));
    assert_eq!(line, "checked 9 of 9 laws, skipped none");
}

/// With `THREADS_VECTORS=write` it writes them down.
#[test]
fn the_vectors_are_those_of_the_module() {
    let now = vectors(&Broken::new(None)).unwrap();
    if std::env::var("THREADS_VECTORS").is_ok_and(|value| value == "write") {
        std::fs::write("tests/module_bites/vectors.json", now).unwrap();
    } else {
        assert_eq!(now, broken::VECTORS);
    }
}
