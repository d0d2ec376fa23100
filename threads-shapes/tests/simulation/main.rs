//! The shapes in the simulator: peers that crash, are cut off and hear late. 15 seeds, or as many as
//! `THREADS_SEEDS` says, or the one in `THREADS_SEED`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod journal;
mod lab;
mod looks;
mod planted;

use lab::Shapes;
use threads_conformance::sim::generate::Also;
use threads_conformance::sim::seeds;

#[test]
fn shapes_agree_once_all_is_healed_whatever_happened() {
    let also = &[Also::Lacks];
    seeds::check(&Shapes::new(also), seeds::from_env(15));
}

#[test]
fn shapes_are_what_a_simple_model_makes_of_what_was_told() {
    let also = &[Also::NoBackups, Also::Between];
    seeds::check(&Shapes::new(also), seeds::from_env(15));
}
