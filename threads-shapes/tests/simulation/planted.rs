//! Defects that the lab of the shapes must find.

use std::sync::atomic::Ordering;

use threads_conformance::sim::generate::Also;
use threads_conformance::sim::lab::Lab;
use threads_conformance::sim::run::run;
use threads_conformance::sim::seeds::find;

use crate::lab::Shapes;

/// Within so many seeds each is found.
const SEEDS: u64 = 40;

#[test]
fn what_is_not_what_was_told_is_found() {
    let lab = Shapes::new(&[Also::NoBackups]);
    lab.lies.store(true, Ordering::Relaxed);
    let seed = find(&lab, 0..SEEDS, None).expect("the defect is found");
    let what = run(&lab, &lab.script(seed), None).unwrap_err().what;
    assert!(what.contains("not what was told"), "{what}");
}
