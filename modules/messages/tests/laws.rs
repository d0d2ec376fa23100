//! The module keeps every law, and its vectors are those of what was published.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "it says what does not apply")]

use threads_conformance::module::{LAWS, Subject, vectors};
use threads_core::module::Module;
use threads_module_messages::Messages;

threads_conformance::module_laws!(Subject::new(|| Messages));

#[test]
fn no_law_is_skipped() {
    let line = threads_conformance::summary(LAWS, || Subject::new(|| Messages));
    assert_eq!(line, "checked 9 of 9 laws, skipped none");
}

/// With `THREADS_VECTORS=write` it writes them down, for a version that is published.
#[test]
fn the_vectors_are_written_down() {
    let now = vectors(&Messages).unwrap();
    if std::env::var("THREADS_VECTORS").is_ok_and(|value| value == "write") {
        std::fs::write("vectors.json", now).unwrap();
    } else {
        assert_eq!(now, Messages.vectors().unwrap());
    }
}
