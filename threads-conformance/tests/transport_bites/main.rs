//! The suite is tested: for each law of transports there is a transport with one fault, which this
//! law finds and no other does. Where an exception is needed, the table gives the reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "a failing test shows what was said")]

mod broken;

use std::time::Duration;

use broken::{Fault, Net};
use threads_conformance::transport::{LAWS, Subject};
use threads_conformance::{Outcome, summary};

/// A fault that stops a law is given so long; every other law is given the other.
const STOPPED: Duration = Duration::from_secs(3);
const SLOW: Duration = Duration::from_secs(60);

fn subject(fault: Option<Fault>) -> Subject {
    let net = Net::new(fault);
    Subject::new(move || net.join()).with_discovery()
}

/// Which laws do not hold, and whether the check of the one that is stopped was.
fn violated(fault: Option<Fault>, stops: Option<&str>) -> Vec<&'static str> {
    let mut violated = Vec::new();
    for law in LAWS {
        let time = if stops == Some(law.id) { STOPPED } else { SLOW };
        if let Outcome::Violated(message) = law.check_within(subject(fault), time) {
            assert!(message.starts_with(&format!("contract violation: {}: ", law.id)));
            assert!(message.contains("\n  done: ") && message.contains("\n  seen: "));
            println!("{message}");
            assert_eq!(message.contains("it has stopped"), stops == Some(law.id));
            violated.push(law.id);
        }
    }
    violated
}

/// Each line makes a test of a law and a fault. A law may find it by waiting for ever, which is a
/// violation too.
macro_rules! bites {
    (@stops finds $law:literal) => { None };
    (@stops waits $law:literal) => { Some($law) };
    ($($name:ident: $law:literal $finds:ident $fault:ident;)*) => {
        const BITES: &[&str] = &[$($law),*];
        $(
            #[test]
            fn $name() {
                let fault = Fault::$fault;
                assert_eq!(violated(Some(fault), bites!(@stops $finds $law)), [$law], "{fault:?}");
            }
        )*
    };
}

bites! {
    cut_short: "TR-1" finds CutsLongFramesShort;
    long_replies: "TR-2" finds CutsLongRepliesToFit;
    other_asker: "TR-3" finds NamesWhoAskedBefore;
    other_reply: "TR-4" finds RepliesWithWhatItSaidBefore;
    kept_token: "TR-5" waits KeepsDroppedTokens;
    strangers: "TR-6" waits WaitsForStrangers;
    the_gone: "TR-7" waits WaitsForTheGone;
    odd_failure: "TR-8" finds FailsOddlyOnDisconnect;
    requests_counted: "TR-9" finds CountsDroppedRequests;
    any_token: "TR-10" finds TakesAnyToken;
    nameless: "TR-11" finds HasANamelessAddress;
    told_again: "TR-12" finds TellsOfConnectionsAgain;
    nobody: "TR-13" finds ConnectsToNobody;
    anybody: "TR-14" finds ConnectsToAnybody;
    oneself: "TR-15" finds ConnectsToItself;
    only_the_last: "TR-16" finds SkipsWhatIsNoLongerSo;
    news_lost: "TR-17" waits LosesNewsInAFlood;
    taken_early: "TR-18" finds TakesEventsEarly;
    no_bound: "TR-19" waits KeepsShortRequests;
    no_bound_of_bytes: "TR-20" waits KeepsLongRequests;
    no_share: "TR-21" finds RefusesEverybodyInAFlood;
    wrong_publisher: "TR-22" finds NamesTheReaderAsPublisher;
    unasked: "TR-23" finds SubscribesUnasked;
    twice: "TR-24" finds PublishesTwice;
    slow: "TR-25" waits WaitsForSlowReaders;
    still_subscribed: "TR-26" finds StaysSubscribed;
    no_bound_of_topics: "TR-27" finds TakesEveryTopic;
    not_terminal: "TR-28" finds ComesBackToLife;
    found_without_name: "TR-29" finds FindsNamelessAddresses;
}

#[test]
fn a_transport_without_a_fault_keeps_every_law() {
    assert_eq!(violated(None, None), Vec::<&str>::new());
}

#[test]
fn every_law_bites() {
    let laws: Vec<_> = LAWS.iter().map(|law| law.id).collect();
    assert_eq!(BITES, laws);
}

#[test]
fn what_is_skipped_is_said() {
    let net = Net::new(None);
    let line = summary(LAWS, move || {
        let net = net.clone();
        Subject::new(move || net.join())
    });
    assert_eq!(
        line,
        "checked 28 of 29 laws, skipped 1: TR-29 (discovery = none)"
    );
}

/// The laws run on a runtime that an author gives as they do on the thread of the check.
#[test]
fn a_given_runtime_polls_the_laws() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let given = subject(None).with_block_on(move |task| runtime.block_on(task));
    assert_eq!(LAWS[0].check(given), Outcome::Held);
    let lazy = subject(None).with_block_on(|_task| ());
    assert!(matches!(LAWS[0].check(lazy), Outcome::Violated(why) if why.contains("block_on")));
}
