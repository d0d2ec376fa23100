//! The laws of codecs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use threads_codec_automerge::Automerge;
use threads_conformance::codec::Subject;

threads_conformance::codec_laws!(Subject::new(|| Automerge::of("ann")));
