//! A blob of 1 GiB in and out, against copying the file with hashing and encryption.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use threads_core::blob::CHUNK_BYTES;
use threads_core::block::sha256;
use threads_core::{ContentKey, system_rng};
use threads_db::Node;
use threads_store_lmdb::Lmdb;

use super::in_child;
use crate::bench::Bench;
use crate::clock::timed;
use crate::report::{Reach, Row};
use crate::{Result, heap};

const MIB: usize = 1_024;
/// The most heap that it may take.
const HEAP_KIB_MAX: f64 = 32.0 * 1_024.0;

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let mib = bench.size(MIB);
    let dir = bench.fresh()?;
    let source = dir.path().join("source");
    make(&source, mib)?;
    let ours = || {
        let place = bench.fresh()?;
        let (seconds, ()) = timed(|| in_and_out(place.path(), &source))?;
        Ok(seconds)
    };
    let theirs = || {
        let place = bench.fresh()?;
        let (seconds, ()) = timed(|| copy(place.path(), &source))?;
        Ok(seconds)
    };
    let figures = bench.in_turns(ours, theirs)?;
    let what = (
        format!("a blob of {mib} MiB put into a store, on disk, and written out"),
        "the file copied, hashed and encrypted, on disk, and back",
    );
    Ok(Row::new("blob", what, figures, "s", Reach::AtMost(1.5)))
}

/// The most heap that it takes, in a process of its own.
pub(crate) fn most_heap(bench: &Bench) -> Result<Row> {
    let mib = bench.size(MIB);
    let peak = in_child("blob", bench.fresh()?.path(), mib)?;
    let what = (
        format!("peak heap of putting a blob of {mib} MiB in and writing it out"),
        "32 MiB",
    );
    Ok(Row::new(
        "blob-heap",
        what,
        (peak, HEAP_KIB_MAX),
        "KiB",
        Reach::AtMost(1.0),
    )
    .note("LMDB's allocations are counted too; pages of the mapped file are not"))
}

pub(super) fn child(dir: &Path, mib: usize) -> Result<f64> {
    let source = dir.join("source");
    make(&source, mib)?;
    heap::watch();
    in_and_out(dir, &source)?;
    let peak = heap::peak().ok_or("the heap cannot be counted on this system")?;
    Ok(peak as f64 / 1024.0)
}

/// A file of so many MiB without repetition.
fn make(path: &Path, mib: usize) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..mib * 131_072 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    Ok(file
        .into_inner()
        .map_err(|error| error.to_string())?
        .sync_all()?)
}

fn in_and_out(dir: &Path, source: &Path) -> Result<()> {
    let store = dir.join("store");
    std::fs::create_dir(&store)?;
    let db = Node::builder(Lmdb::open(&store)?).open()?.create("blobs")?;
    let named = db.blobs().put(File::open(source)?)?;
    Ok(db.blobs().get(&named, File::create(dir.join("out"))?)?)
}

/// The same by hand, in pieces of the same size.
fn copy(dir: &Path, source: &Path) -> Result<()> {
    let (sealed, key) = (dir.join("sealed"), ContentKey::generate(&mut system_rng()));
    let mut hashes = Vec::new();
    let mut file = File::create(&sealed)?;
    pieces(&mut File::open(source)?, CHUNK_BYTES, |piece| {
        hashes.push(sha256(piece));
        Ok(file.write_all(&key.seal_random(b"", piece, &mut system_rng())?)?)
    })?;
    file.sync_all()?;
    let mut out = File::create(dir.join("out"))?;
    let mut hashes = hashes.into_iter();
    let length = CHUNK_BYTES + threads_core::key::SEAL_OVERHEAD_BYTES;
    pieces(&mut File::open(&sealed)?, length, |piece| {
        let piece = key.open(b"", piece)?;
        match hashes.next() == Some(sha256(&piece)) {
            true => Ok(out.write_all(&piece)?),
            false => Err("a piece is another one".into()),
        }
    })
}

fn pieces(file: &mut File, length: usize, mut work: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut piece = Vec::with_capacity(length);
    loop {
        piece.clear();
        file.take(length as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        work(&piece)?;
    }
}
