//! A store that has nothing but the group and a file keeps every law.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::Shelf;
use threads_conformance::datastore::{LAWS, Subject};

fn subject() -> Subject {
    Subject::new(Shelf::open).with_failing(|dir| Shelf::open_with_room(dir, 8 << 20))
}

threads_conformance::datastore_laws!(subject());

#[test]
fn no_law_is_skipped() {
    let wanted = format!("checked {0} of {0} laws, skipped none", LAWS.len());
    assert_eq!(threads_conformance::summary(LAWS, subject), wanted);
}
