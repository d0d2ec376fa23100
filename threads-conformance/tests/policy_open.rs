//! The policy without rules keeps the laws.
#![allow(clippy::print_stdout, reason = "it says what does not apply")]

threads_conformance::policy_laws!(threads_conformance::policy::Subject::new(|| {
    threads_core::policy::OpenPolicy
}));
