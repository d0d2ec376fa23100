//! The suite is tested: for each law of codecs there is a codec with one fault, which this law
//! finds and no other does.
//!
//! The model law is a net under the others and finds most of what they find, so it is left out of
//! the comparison, and has a fault that it alone finds. Where another exception is needed, the
//! table gives the reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a failing test shows what was said")]

mod asked;
mod broken;

use std::env;
use std::process::Command;

use broken::{Broken, Fault};
use threads_conformance::codec::{LAWS, Subject};
use threads_conformance::{Law, Outcome, summary};
use threads_core::codec::Ordering;

/// The law that compares an entity with a plain document.
const MODEL: &str = "EC-27";

/// The law whose violation ends the process.
const STACK: &str = "EC-21";

/// Tells a process that it is there to end by that.
const DIES: &str = "THREADS_CONFORMANCE_DIES";

fn subject(ordering: Ordering, fault: Option<Fault>) -> Subject {
    Subject::new(move || Broken::new(ordering, fault))
}

/// Which laws do not hold, of these.
fn violated<'l>(
    laws: impl IntoIterator<Item = &'l Law<Subject>>,
    ordering: Ordering,
    fault: Option<Fault>,
) -> Vec<&'static str> {
    let mut violated = Vec::new();
    for law in laws {
        if let Outcome::Violated(message) = law.check(subject(ordering, fault)) {
            assert!(message.starts_with(&format!("contract violation: {}: ", law.id)));
            assert!(message.contains("\n  done: ") && message.contains("\n  seen: "));
            println!("{message}");
            violated.push(law.id);
        }
    }
    violated
}

#[track_caller]
fn check(law: &str, ordering: Ordering, fault: Fault, also: &[&str]) {
    let mut found = violated(LAWS, ordering, Some(fault));
    if law != MODEL {
        found.retain(|id| *id != MODEL);
    }
    let mut wanted = vec![law];
    wanted.extend(also);
    assert_eq!(found, wanted, "{fault:?}");
}

/// Each line makes a test of a law, a fault of a codec of that ordering, and the other laws that
/// find it by nature.
macro_rules! bites {
    ($($name:ident: $law:literal finds $fault:ident of $ordering:ident $(and so does $also:literal)?;)*) => {
        const BITES: &[&str] = &[$($law),*];
        $(
            #[test]
            fn $name() {
                check($law, Ordering::$ordering, Fault::$fault, &[$($also)?]);
            }
        )*
    };
}

bites! {
    named_anew: "EC-1" finds IsNamedAnew of Total;
    other_bytes_each_time: "EC-2" finds WritesOtherBytesEachTime of Total;
    removals_in_any_order: "EC-2" finds WritesRemovalsInAnyOrder of Total;
    other_text_each_time: "EC-3" finds ShowsOtherTextEachTime of Total;
    nothing_begins_nothing: "EC-4" finds BeginsNothingWithNothing of Total;
    save_on_top: "EC-5" finds SavesOnTopOfWhatIsThere of Total;
    flat_merge: "EC-6" finds MergesOneLevelOnly of Total;
    move_that_copies: "EC-7" finds MovesByCopying of Total;
    half_a_patch: "EC-8" finds CarriesOutHalfAPatch of Total;
    the_same_again: "EC-9" finds SaysTheSameAgain of Total;
    numbers_by_value: "EC-10" finds ComparesNumbersByValue of Total;
    wrapped: "EC-11" finds WrapsWhatIsNoObject of Total;
    floats_only: "EC-12" finds CountsInFloats of Total;
    no_empty_names: "EC-13" finds DropsEmptyNames of Total;
    no_id: "EC-14" finds DropsTheId of Total;
    little_room: "EC-15" finds HasRoomForLittle of Total;
    order_given: "EC-16" finds KeepsTheOrderGiven of Total;
    panic_on_nothing: "EC-17" finds PanicsOnNothing of Total;
    numbers_trusted: "EC-17" finds TrustsNumbers of Total;
    // A damaged state is one that the author did not know.
    no_lists_of_others: "EC-17" finds ExpectsNoListsOfOthers of Total and so does "EC-20";
    corrupt_events: "EC-17" finds CallsBadEventsCorrupt of Total;
    bad_events_remembered: "EC-18" finds RemembersBadEvents of Total;
    a_name_twice: "EC-19" finds ShowsANameTwice of Total;
    no_object: "EC-19" finds ShowsNoObject of Total;
    too_deep_to_read: "EC-19" finds ShowsDeepListsTooDeep of Total;
    states_trusted: "EC-20" finds TrustsStates of Total;
    invalid_states: "EC-20" finds CallsBadStatesInvalid of Total;
    past_kept_twice: "EC-22" finds KeepsThePastTwice of Total;
    events_remembered: "EC-23" finds RemembersEvents of Total;
    later_arrival_in_causal_order: "EC-24" finds LetsTheLaterArrivalWin of Causal;
    // What comes again comes later, too.
    later_arrival: "EC-25" finds LetsTheLaterArrivalWin of Any and so does "EC-26";
    duplicates_counted: "EC-26" finds CountsDuplicates of Any;
    nothing_comes_back: "EC-27" finds LetsNothingComeBack of Total;
}

/// No law can say that the stack has overflowed: the system does, and names the thread.
#[test]
fn endless_recursion() {
    let (ordering, fault) = (Ordering::Total, Some(Fault::RecursesForEver));
    let is_stack = |law: &&Law<Subject>| law.id == STACK;
    if env::var_os(DIES).is_some() {
        violated(LAWS.iter().filter(is_stack), ordering, fault);
        return;
    }
    let mut this = Command::new(env::current_exe().unwrap());
    this.args(["--exact", "endless_recursion", "--nocapture"]);
    let output = this.env(DIES, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&format!("thread '{STACK}: ")), "{said}");
    let others = LAWS.iter().filter(|law| !is_stack(law));
    assert_eq!(violated(others, ordering, fault), Vec::<&str>::new());
}

#[test]
fn a_codec_without_a_fault_keeps_every_law() {
    for ordering in [Ordering::Total, Ordering::Causal, Ordering::Any] {
        assert_eq!(
            violated(LAWS, ordering, None),
            Vec::<&str>::new(),
            "{ordering:?}"
        );
    }
}

#[test]
fn every_law_bites() {
    let mut bites = [BITES, &[STACK]].concat();
    bites.sort_by_key(|id| LAWS.iter().position(|law| law.id == *id));
    bites.dedup();
    let laws: Vec<_> = LAWS.iter().map(|law| law.id).collect();
    assert_eq!(bites, laws);
}

#[test]
fn what_is_skipped_is_said() {
    let line = |ordering| summary(LAWS, || subject(ordering, None));
    let total = "checked 24 of 27 laws, skipped 3: \
                 EC-24 (ordering = Total), EC-25 (ordering = Total), EC-26 (ordering = Total)";
    assert_eq!(line(Ordering::Total), total);
    let any = "checked 26 of 27 laws, skipped 1: EC-24 (ordering = Any)";
    assert_eq!(line(Ordering::Any), any);
}
