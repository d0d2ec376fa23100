//! Time travel, undo and redo, for several codecs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod edges;
mod lab;
mod laws;
mod undo;

use lab::{Kit, steps};
use proptest::prelude::*;
use threads_codec_automerge::Automerge;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;

/// How many histories each law is tried on.
const CASES: u32 = 12;

/// The laws, for each codec.
macro_rules! kits {
    ($($name:ident: $kit:expr;)*) => {$(
        mod $name {
            use super::*;

            const KIT: Kit = $kit;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(CASES))]

                #[test]
                fn the_past_is_what_nodes_showed_that_had_the_same_records(steps in steps()) {
                    laws::past_is_what_was_shown(&KIT, &steps)?;
                }

                #[test]
                fn a_time_is_all_that_was_written_until_then(steps in steps()) {
                    laws::time_is_all_until_then(&KIT, &steps)?;
                }

                #[test]
                fn blame_is_the_last_change_of_a_field(steps in steps()) {
                    laws::blame_is_the_last_change(&KIT, &steps)?;
                }

                #[test]
                fn a_difference_leads_from_one_point_to_the_other(steps in steps()) {
                    laws::diff_leads_there(&KIT, &steps)?;
                }

                #[test]
                fn what_is_reverted_is_what_it_was(steps in steps()) {
                    laws::revert_goes_back(&KIT, &steps)?;
                }

                #[test]
                fn undo_and_redo_go_back_and_forth(moves in undo::moves()) {
                    undo::goes_back_and_forth(&KIT, &moves)?;
                }
            }

            #[test]
            fn an_undo_keeps_what_others_did() {
                undo::keeps_what_others_did(&KIT);
            }
        }
    )*};
}

const fn jsonpatch_kit() -> Kit {
    Kit {
        codec: "jsonpatch/1",
        equip: |node| node.codec(JsonPatch::new()),
        merges: true,
    }
}

kits! {
    jsonpatch: jsonpatch_kit();
    lww: Kit {
        codec: "lww/1",
        equip: |node| node.codec(Lww::new()),
        merges: true,
    };
    automerge: Kit {
        codec: "automerge/1",
        equip: |node| node.codec_for(|own| Automerge::of(own.to_string())),
        merges: true,
    };
    whole: Kit { codec: "whole/1", equip: |node| node, merges: false };
}
