//! The vectors of the specification: made here, kept in `spec/vectors/`, read by two readers.
//!
//! Each test makes the vectors anew, compares them with the file, and reads every one back through
//! the library. `THREADS_VECTORS=write cargo test -p threads-core --test vectors` rewrites the
//! files; the second reader, `spec/reader/read.py`, then has to agree.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]
#![expect(clippy::too_many_lines, reason = "tables of cases are long")]

#[path = "vectors/batches.rs"]
mod batches;
#[path = "vectors/blobs.rs"]
mod blobs;
#[path = "vectors/blocks.rs"]
mod blocks;
#[path = "vectors/encode.rs"]
mod encode;
#[path = "vectors/epochs.rs"]
mod epochs;
#[path = "vectors/events.rs"]
mod events;
#[path = "vectors/forge.rs"]
mod forge;
#[path = "vectors/harness.rs"]
mod harness;
#[path = "vectors/ids.rs"]
mod ids;
#[path = "vectors/keys.rs"]
mod keys;
#[path = "vectors/records.rs"]
mod records;
#[path = "vectors/skip_links.rs"]
mod skip_links;

use harness::{TestRng, array, bytes, check, hex, text};

#[test]
fn ids() {
    check(
        "ids.json",
        "Identifiers and addresses: spec/01-identifiers.md",
        ids::make(),
        ids::read,
    );
}

#[test]
fn keys() {
    check(
        "keys.json",
        "Keys, sealing and signatures: spec/03-encryption.md, spec/02-blocks-and-records.md",
        keys::make(),
        keys::read,
    );
}

#[test]
fn epochs() {
    check(
        "epochs.json",
        "Keys of epochs, and how they get to members: spec/03-encryption.md",
        epochs::make(),
        epochs::read,
    );
}

#[test]
fn blocks() {
    check(
        "blocks.json",
        "CIDs and canonical DAG-CBOR: spec/02-blocks-and-records.md",
        blocks::make(),
        blocks::read,
    );
}

#[test]
fn blobs() {
    check(
        "blobs.json",
        "Blobs: chunks, manifests and references: spec/10-blobs.md",
        blobs::make(),
        blobs::read,
    );
}

#[test]
fn skip_links() {
    check(
        "skip-links.json",
        "Skip links and shortest paths: spec/02-blocks-and-records.md",
        skip_links::make(),
        skip_links::read,
    );
}

#[test]
fn batches() {
    check(
        "batches.json",
        "Bodies of transactions: spec/04-events-and-batches.md",
        batches::make(),
        batches::read,
    );
}

#[test]
fn events() {
    check(
        "events.json",
        "Events, headers and bodies: spec/03-encryption.md, spec/04-events-and-batches.md",
        events::make(),
        events::read,
    );
}

#[test]
fn records() {
    let mut logs = records::Logs::default();
    check(
        "records.json",
        "Two logs of one thread, with every layer, and what is refused: spec/02-blocks-and-records.md",
        records::make(),
        |vector| records::read(vector, &mut logs),
    );
}
