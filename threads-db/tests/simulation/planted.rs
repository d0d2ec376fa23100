//! Defects that the simulator must find.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::sim::generate::script;
use threads_conformance::sim::lab::{Lab, Things};
use threads_conformance::sim::run::{Plant, run};
use threads_conformance::sim::seeds::find;
use threads_conformance::sim::store::Lie;
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Result};

/// Within so many seeds each is found.
const SEEDS: u64 = 40;

/// What a seed that fails says, with the defect planted; without it, it does not fail.
fn found(lab: &dyn Lab, plant: Option<Plant>) -> String {
    let seed = find(lab, 0..SEEDS, plant).expect("the defect is found");
    run(lab, &script(seed), plant).unwrap_err().what
}

fn found_around_nodes(plant: Plant) -> String {
    let seed = find(&super::lab(), 0..SEEDS, Some(plant)).expect("the defect is found");
    run(&super::lab(), &script(seed), None).expect("without the defect all is well");
    found(&super::lab(), Some(plant))
}

#[test]
fn acknowledging_before_the_sync_is_found() {
    let what = found_around_nodes(Plant::Disk(Lie::SyncsLater));
    assert!(what.contains("on disk"), "{what}");
}

#[test]
fn showing_others_what_is_not_on_disk_is_found() {
    let what = found_around_nodes(Plant::Disk(Lie::SkipsEmptyCommits));
    assert!(what.contains("on disk"), "{what}");
}

#[test]
fn a_page_that_is_never_taken_in_is_found() {
    let what = found_around_nodes(Plant::DropsTakeIn);
    assert!(what.contains("do not agree"), "{what}");
}

#[test]
fn a_transport_that_swaps_replies_is_found() {
    let what = found_around_nodes(Plant::SwapsReplies);
    assert!(!what.contains("cannot"), "{what}");
}

/// A codec whose every ninth event changes nothing: what that is depends on what came when.
#[derive(Debug, Default)]
struct Forgetful {
    inner: JsonPatch,
    applied: AtomicU64,
}

impl EventCodec for Forgetful {
    fn id(&self) -> CodecId {
        self.inner.id()
    }

    fn ordering(&self) -> Ordering {
        self.inner.ordering()
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        self.inner.encode(before, action)
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        let forgets = self.applied.fetch_add(1, Relaxed) % 9 == 8;
        match before.filter(|_| forgets) {
            Some(before) => Ok(before.clone()),
            None => self.inner.apply(before, event),
        }
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        self.inner.view(state)
    }
}

#[test]
fn a_codec_that_depends_on_the_order_of_arrival_is_found() {
    let codec = "jsonpatch/1".parse().unwrap();
    let lab = Things::new(codec, |node| node.codec(Forgetful::default()));
    let what = found(&lab, None);
    assert!(
        what.contains("two states") || what.contains("verify"),
        "{what}"
    );
}
