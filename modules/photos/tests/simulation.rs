//! Applications of all versions at once, which crash, are cut off and hear late. 6 seeds, or as many as
//! `THREADS_SEEDS` says, or the one in `THREADS_SEED`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::sim::lab::Applications;
use threads_conformance::sim::seeds;
use threads_module_photos::Photos;

#[test]
fn applications_agree_once_all_is_healed_whatever_happened() {
    let lab = Applications::new(Photos, |node| node.codec(JsonPatch::new())).unwrap();
    seeds::check(&lab, seeds::from_env(6));
}
