//! The laws of policies.
#![allow(clippy::print_stdout, reason = "it says what does not apply")]

threads_conformance::policy_laws!(threads_conformance::policy::Subject::new(
    threads_acl::Acl::new
));
