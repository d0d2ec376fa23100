//! Fuzz targets for every decoder and parser that sees what others wrote.
//!
//! A target is a plain function of bytes that panics when a promise is broken: what is decoded is
//! encoded to the same bytes, what is printed is read again as the same value, what is refused is
//! refused with the right kind of error, and nothing else ever happens. `fuzz/run` looks for such
//! bytes; those that it found are in `fuzz/regressions`, and every test run tries them again.
//!
//! ```
//! let batch = threads_fuzz::find("batch").unwrap();
//! (batch.run)(b"no batch");
//! ```
#![allow(clippy::unwrap_used, reason = "a target says so when it cannot go on")]

mod bound;
mod check;
mod seeds;
mod targets {
    pub(crate) mod automerge;
    pub(crate) mod blobs;
    pub(crate) mod codec;
    pub(crate) mod files;
    pub(crate) mod formats;
    pub(crate) mod modules;
    pub(crate) mod shapes;
    pub(crate) mod states;
    pub(crate) mod sync;
    pub(crate) mod texts;
}

use targets::{automerge, blobs, codec, files, formats, modules, shapes, states, sync, texts};

/// Something to try bytes on.
///
/// ```
/// let target = &threads_fuzz::TARGETS[0];
/// for seed in (target.seeds)() {
///     (target.run)(&seed);
/// }
/// ```
#[derive(Debug)]
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Where to begin: bytes that go deep.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that are worth a try.
    pub words: &'static [&'static str],
}

const fn target(
    name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
    words: &'static [&'static str],
) -> Target {
    Target {
        name,
        run,
        seeds,
        words,
    }
}

/// Every target, each with a name of its own.
///
/// ```
/// assert!(threads_fuzz::TARGETS.len() >= 27);
/// ```
pub const TARGETS: &[Target] = &[
    target("record", formats::record, seeds::record, seeds::RECORD),
    target("event", formats::event, seeds::event, &[]),
    target("header", formats::header, seeds::header, seeds::HEADER),
    target("batch", formats::batch, seeds::batch, seeds::BATCH),
    target(
        "manifest",
        blobs::manifest,
        seeds::manifest,
        seeds::MANIFEST,
    ),
    target("blob", blobs::reference, seeds::reference, seeds::REFERENCE),
    target("change", codec::change, seeds::change, &[]),
    target("lww", codec::lww, seeds::lww, seeds::LWW),
    target("automerge", automerge::change, seeds::automerge, &[]),
    target("state", states::state, states::seeds, &[]),
    target("shapes", shapes::shapes, seeds::shapes, seeds::SHAPES),
    target("lens", modules::lens, modules::lens_seeds, &[]),
    target("module", modules::module, modules::module_seeds, &[]),
    target("patch", codec::patch, seeds::patch, seeds::PATCH),
    target("merge", codec::merge, seeds::merge, &[]),
    target("definition", codec::definition, seeds::definition, &[]),
    target("schema", texts::schema, seeds::schema, seeds::SCHEMA),
    target("query", texts::query, seeds::query, seeds::QUERY),
    target("ids", texts::ids, seeds::ids, &[]),
    target("address", texts::address, seeds::address, seeds::ADDRESS),
    target("cursor", texts::cursor, seeds::cursor, &[]),
    target("keys", texts::keys, seeds::keys, seeds::KEYS),
    target("car", files::car, seeds::car, &[]),
    target(
        "snapshot",
        files::snapshot,
        seeds::snapshot,
        seeds::SNAPSHOT,
    ),
    target("frame", sync::frame, seeds::frame, seeds::FRAME),
    target("invite", sync::invite, seeds::invite, &[]),
    target("secret", files::secret, seeds::secret, seeds::SECRET_WORDS),
    target(
        "keystore",
        files::keystore,
        seeds::keystore,
        seeds::KEYSTORE,
    ),
];

/// A target with a mistake in it, behind a decoder: whoever fuzzes has to find it.
///
/// ```
/// assert!(threads_fuzz::TARGETS.iter().all(|target| target.name != threads_fuzz::PLANTED.name));
/// ```
pub const PLANTED: Target = target("planted", formats::planted, seeds::batch, seeds::BATCH);

/// The target of a name, the planted one included.
///
/// ```
/// assert!(threads_fuzz::find("no such target").is_none());
/// ```
pub fn find(name: &str) -> Option<&'static Target> {
    let all = TARGETS.iter().chain(std::slice::from_ref(&PLANTED));
    all.into_iter().find(|target| target.name == name)
}
