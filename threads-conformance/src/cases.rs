//! Laws that try many cases, and show the smallest that breaks them.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::law::{Checked, Violation};

/// How many cases a law tries; `PROPTEST_CASES` in the environment is another number.
const CASES: u32 = 48;

/// Checks every case; the same ones each time.
#[track_caller]
pub(crate) fn for_all<T: Debug>(
    cases: impl Strategy<Value = T>,
    check: impl Fn(&T) -> Checked,
) -> Checked {
    let config = Config {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => Config::default().cases,
            None => CASES,
        },
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tried = TestRunner::new_with_rng(config, rng).run(&cases, |case| {
        catch_unwind(AssertUnwindSafe(|| check(&case)))
            .unwrap_or_else(|panic| Err(Violation::panicked(&*panic)))
            .map_err(|violation| TestCaseError::fail(violation.brief()))
    });
    tried.map_err(|error| match error {
        TestError::Fail(reason, case) => Violation::in_case(case, reason),
        TestError::Abort(reason) => Violation::new("cases were made", reason),
    })
}
