//! CAR files: round trips, damage, lies and other people's files.

use std::io::{self, Read};

use proptest::prelude::*;
use threads_core::ErrorKind;
use threads_core::block::{BLOCK_BYTES_MAX, Block};

use super::*;
use crate::car::write::prefix;

/// Written by hand from the CARv1 specification.
///
/// ```text
/// 3a                                 header: 58 bytes
///   a2                               map of 2
///     65 726f6f7473                  "roots"
///       81                           array of 1
///         d8 2a 58 25 00             tag 42, 37 bytes, multibase identity
///           01 55 12 20 2cf2…9824    CIDv1, raw, sha2-256, 32 bytes: of "hello"
///     67 76657273696f6e 01           "version": 1
/// 29                                 section: 41 bytes
///   01 55 12 20 2cf2…9824            the CID
///   68656c6c6f                       "hello"
/// ```
const HAND_WRITTEN: &str = "\
    3aa265726f6f747381d82a58250001551220\
    2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\
    6776657273696f6e01\
    2901551220\
    2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\
    68656c6c6f";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn blocks() -> Vec<Block> {
    vec![
        Block::raw(Vec::new()),
        Block::raw(vec![7; 300]),
        Block::cbor([0xa0]),
        Block::raw(*b"root"),
    ]
}

/// A file of `blocks`, the last being the root.
fn file(blocks: &[Block]) -> Vec<u8> {
    let root = *blocks.last().unwrap().cid();
    let mut car = CarWriter::new(Vec::new(), root).unwrap();
    for block in blocks {
        car.write(block).unwrap();
    }
    let position = car.position();
    let file = car.finish().unwrap();
    assert_eq!(position, file.len() as u64);
    file
}

fn read(file: &[u8]) -> threads_core::Result<Vec<Block>> {
    CarReader::new(file)?.collect()
}

#[test]
fn a_file_reads_back() {
    let file = file(&blocks());
    assert_eq!(read(&file).unwrap(), blocks());
    let mut car = CarReader::new(&file[..]).unwrap();
    assert_eq!(car.roots(), [*blocks()[3].cid()]);
    assert_eq!(car.position(), 59, "after the header");
    assert_eq!(car.by_ref().count(), 4);
    assert_eq!(car.position(), file.len() as u64);
    assert!(car.next().is_none());
}

#[test]
fn the_hand_written_file_reads_and_writes_the_same() {
    let hand_written = hex(HAND_WRITTEN);
    let hello = Block::raw(*b"hello");
    assert_eq!(read(&hand_written).unwrap(), std::slice::from_ref(&hello));
    assert_eq!(file(&[hello]), hand_written);
}

#[test]
fn the_largest_block_fits_and_no_larger() {
    let largest = Block::raw(vec![0; BLOCK_BYTES_MAX]);
    assert_eq!(
        read(&file(std::slice::from_ref(&largest))).unwrap(),
        [largest]
    );

    let larger = Block::raw(vec![0; BLOCK_BYTES_MAX + 1]);
    let mut car = CarWriter::new(Vec::new(), *larger.cid()).unwrap();
    assert_eq!(car.write(&larger).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn every_truncation_is_an_error() {
    let file = file(&blocks());
    for end in 0..file.len() {
        let error = read(&file[..end]).unwrap_err();
        let expected = if end == 0 {
            ErrorKind::Invalid
        } else {
            ErrorKind::Corrupt
        };
        assert_eq!(error.kind(), expected, "cut at {end}: {error}");
    }
    let error = read(&file[..100]).unwrap_err();
    assert!(error.to_string().contains("byte: 100"), "{error}");
}

#[test]
fn every_flipped_bit_is_an_error() {
    let mut file = file(&blocks());
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            assert!(read(&file).is_err(), "bit {bit} of byte {at}");
            file[at] ^= 1 << bit;
        }
    }
}

#[test]
fn a_damaged_block_is_named() {
    let mut file = file(&blocks());
    *file.last_mut().unwrap() ^= 1;
    let error = read(&file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.to_string().contains(&blocks()[3].cid().to_string()),
        "{error}"
    );
}

#[test]
fn nothing_follows_an_error() {
    let mut file = file(&blocks());
    let first = 59 + 1 + 36;
    file[first + 50] ^= 1;
    let mut car = CarReader::new(&file[..]).unwrap();
    assert!(car.next().unwrap().is_ok());
    assert!(car.next().unwrap().is_err());
    assert!(car.next().is_none());
}

#[test]
fn foreign_files_are_refused() {
    let text = b"{\"version\": 1}".to_vec();
    let zip = b"PK\x03\x04\x14\x00\x00\x00\x08\x00".to_vec();
    let zeros = vec![0; 100];
    // Valid DAG-CBOR, other shapes: a list; a map without a version; version 3.
    let list = hex("0180");
    let map = hex("01a0");
    let third = hex("12a265726f6f7473806776657273696f6e03");
    for bytes in [text, zip, zeros, list, map, third] {
        let error = read(&bytes).unwrap_err();
        assert!(
            error.to_string().starts_with("not a CAR file") || error.kind() == ErrorKind::Corrupt,
            "{error}"
        );
    }
}

#[test]
fn version_2_is_named() {
    // The fixed first eleven bytes of every CARv2 file.
    let error = read(&hex("0aa16776657273696f6e02")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[test]
fn other_hashes_are_unsupported() {
    // The hand-written file, its section under a CIDv0 and under the identity hash.
    let header = hex(&HAND_WRITTEN[..118]);
    let v0 = format!("271220{}68656c6c6f", &HAND_WRITTEN[36..100]);
    let identity = "0901550005".to_owned() + "68656c6c6f";
    for section in [v0, identity] {
        let file = [header.clone(), hex(&section)].concat();
        let error = read(&file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{section}: {error}");
    }
}

#[test]
fn a_missing_root_is_an_error() {
    let mut car = CarWriter::new(Vec::new(), *Block::raw(*b"root").cid()).unwrap();
    car.write(&Block::raw(*b"leaf")).unwrap();
    assert_eq!(car.finish().unwrap_err().kind(), ErrorKind::Invalid);

    let whole = file(&blocks());
    let last = 1 + 36 + 4;
    let error = read(&whole[..whole.len() - last]).unwrap_err();
    assert!(error.to_string().contains("root"), "{error}");
}

#[test]
fn row_32_a_lying_length_is_an_error() {
    let header = &hex(HAND_WRITTEN)[..59];
    // The most that is allowed, promised and not delivered.
    let lie = [header, &prefix(SECTION_BYTES_MAX), b"few"].concat();
    let error = read(&lie).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);

    for beyond in [SECTION_BYTES_MAX + 1, u32::MAX as usize, usize::MAX] {
        let error = read(&[header, &prefix(beyond), b"few"].concat()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("too large"), "{error}");
    }
    // The header's own length.
    let error = read(&[prefix(HEADER_BYTES_MAX + 1), vec![0; 9]].concat()).unwrap_err();
    assert!(error.to_string().starts_with("not a CAR file"), "{error}");
    // An empty section, and a length in more bytes than it needs.
    for odd in [&[0][..], &[0x80, 0]] {
        let error = read(&[header, odd].concat()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

/// A disk that fails.
#[derive(Debug)]
struct Failing(io::ErrorKind);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

impl io::Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_disk_is_not_a_foreign_file() {
    let error = CarReader::new(Failing(io::ErrorKind::TimedOut)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let root = *Block::raw(*b"root").cid();
    for (cause, kind) in [
        (io::ErrorKind::StorageFull, ErrorKind::Full),
        (io::ErrorKind::PermissionDenied, ErrorKind::Unavailable),
    ] {
        assert_eq!(
            CarWriter::new(Failing(cause), root).unwrap_err().kind(),
            kind
        );
    }
}

proptest! {
    #[test]
    fn any_blocks_read_back(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..20)) {
        let blocks: Vec<Block> = bodies.into_iter().map(Block::raw).collect();
        prop_assert_eq!(read(&file(&blocks)).unwrap(), blocks);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&[&hex(HAND_WRITTEN)[..59], &bytes].concat());
    }
}

/// Nothing that is read from elsewhere is inflated: no crate that could is among those that the library and
/// the program are built from, but for what the codec of Automerge is built from, which refuses what is
/// deflated, and bounds what it is handed by an application.
#[test]
fn row_33_nothing_inflates() {
    let tree = |more: &[&str]| {
        let edges = ["tree", "--offline", "--workspace", "--edges", "normal"];
        let shape = ["--prefix", "none", "--exclude", "threads-benches"];
        let mut cargo = std::process::Command::new(env!("CARGO"));
        let output = cargo.args(edges).args(shape).args(more).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (String::from_utf8(output.stdout).unwrap(), said)
    };
    let (all, said) = tree(&[]);
    assert!(all.contains("threads-cli"), "{said}");
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split(' ').next());
        lines.map(str::to_owned).collect()
    };
    let all = names(&all);
    for name in [
        "miniz_oxide",
        "libflate",
        "inflate",
        "zstd",
        "ruzstd",
        "brotli",
        "lz4",
        "lz4_flex",
        "snap",
        "xz2",
        "lzma-rs",
        "bzip2",
        "zip",
        "async-compression",
    ] {
        assert!(
            !all.iter().any(|found| found == name),
            "{name} is among the dependencies: bound what it gives"
        );
    }
    let (found, said) = tree(&["--invert", "flate2", "--depth", "1"]);
    let users = ["flate2", "automerge", "threads-codec-automerge"];
    let found = names(&found);
    assert!(found.len() > 1, "{said}");
    let other = found.iter().find(|found| !users.contains(&&***found));
    assert_eq!(other, None, "it uses flate2: bound what that gives");
}
