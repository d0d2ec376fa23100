//! What was done to a file, in order, and what a power loss may leave of it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::Numbers;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;
/// What a write within one sector is cut at here, from its front: stricter than a disk.
const WORD_BYTES: u64 = 8;

/// One step.
pub(crate) enum Op {
    /// `synced`: it was on disk when the call returned.
    Write {
        at: u64,
        bytes: Vec<u8>,
        synced: bool,
    },
    /// All writes before it are on disk.
    Sync,
    /// This commit was acknowledged.
    Ack((u64, u64)),
}

/// How far the syncs of a recording are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncs {
    /// As far as a disk keeps its word.
    Kept,
    /// Writes that return when they are on disk do not; a control.
    MetaIgnored,
    /// Nothing is known to be on disk; a control.
    Ignored,
}

impl Syncs {
    pub(crate) const ALL: [Self; 3] = [Self::Kept, Self::MetaIgnored, Self::Ignored];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::MetaIgnored => "meta-ignored",
            Self::Ignored => "ignored",
        }
    }
}

/// A recording.
pub(crate) struct Log {
    before: Vec<u8>,
    ops: Vec<Op>,
}

/// A file as a power loss may leave it, and the commits that were acknowledged before.
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) acknowledged: Vec<(u64, u64)>,
}

impl Log {
    pub(crate) fn new(before: Vec<u8>) -> Self {
        Self {
            before,
            ops: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// The file after every step.
    pub(crate) fn replayed(&self) -> Vec<u8> {
        let mut file = self.before.clone();
        for op in &self.ops {
            if let Op::Write { at, bytes, .. } = op {
                overwrite(&mut file, *at, bytes);
            }
        }
        file
    }

    /// What is in it, in words.
    pub(crate) fn summary(&self) -> String {
        let synced = |op: &Op| matches!(op, Op::Write { synced: true, .. });
        format!(
            "{} writes ({} of them synced), {} syncs, {} acknowledged commits",
            self.count(|op| matches!(op, Op::Write { .. })),
            self.count(synced),
            self.count(|op| matches!(op, Op::Sync)),
            self.count(|op| matches!(op, Op::Ack(_))),
        )
    }

    pub(crate) fn count(&self, which: impl Fn(&Op) -> bool) -> usize {
        self.ops.iter().filter(|op| which(op)).count()
    }

    /// One image. The power goes while one of the steps is under way; of what was not synced by
    /// then, any part may have arrived.
    pub(crate) fn image(&self, syncs: Syncs, numbers: &mut Numbers) -> Image {
        let cut = self.cut(numbers);
        let synced = match syncs {
            Syncs::Ignored => None,
            _ => self.ops[..cut]
                .iter()
                .rposition(|op| matches!(op, Op::Sync)),
        };
        let arrivals = numbers.below(5);
        let (mut bytes, mut acknowledged) = (self.before.clone(), Vec::new());
        for (place, op) in self.ops[..=cut].iter().enumerate() {
            match op {
                Op::Write {
                    at,
                    bytes: written,
                    synced: by_itself,
                } => {
                    let by_itself = *by_itself && syncs == Syncs::Kept && place < cut;
                    if by_itself || synced.is_some_and(|sync| place < sync) {
                        overwrite(&mut bytes, *at, written);
                    } else {
                        arrive(&mut bytes, *at, written, arrivals, numbers);
                    }
                }
                Op::Ack(commit) if place < cut => acknowledged.push(*commit),
                Op::Ack(_) | Op::Sync => {}
            }
        }
        Image {
            bytes,
            acknowledged,
        }
    }

    /// The step that is under way. Half of them are the ones that matter most: synced writes, of
    /// which each makes a commit visible, and the acknowledgements after them.
    fn cut(&self, numbers: &mut Numbers) -> usize {
        let any = numbers.below(self.ops.len() as u64) as usize;
        if numbers.below(2) == 0 {
            return any;
        }
        let matters = |op: &Op| matches!(op, Op::Write { synced: true, .. } | Op::Ack(_));
        let next = self.ops[any..].iter().position(matters);
        next.map_or(any, |further| any + further)
    }

    pub(crate) fn save(&self, path: &Path) {
        let mut file = BufWriter::new(File::create(path).unwrap());
        let mut write = |tag: u8, a: u64, b: u64, bytes: &[u8]| {
            file.write_all(&[tag]).unwrap();
            for number in [a, b, bytes.len() as u64] {
                file.write_all(&number.to_le_bytes()).unwrap();
            }
            file.write_all(bytes).unwrap();
        };
        write(0, 0, 0, &self.before);
        for op in &self.ops {
            match op {
                Op::Write { at, bytes, synced } => write(1, *at, u64::from(*synced), bytes),
                Op::Sync => write(2, 0, 0, &[]),
                Op::Ack((thread, number)) => write(3, *thread, *number, &[]),
            }
        }
        file.flush().unwrap();
    }

    pub(crate) fn load(path: &Path) -> Self {
        let mut file = BufReader::new(File::open(path).unwrap());
        let mut log = Self::new(Vec::new());
        let mut tag = [0];
        while file.read(&mut tag).unwrap() == 1 {
            let mut number = || {
                let mut bytes = [0; 8];
                file.read_exact(&mut bytes).unwrap();
                u64::from_le_bytes(bytes)
            };
            let (a, b, length) = (number(), number(), number());
            let mut bytes = vec![0; length as usize];
            file.read_exact(&mut bytes).unwrap();
            match tag[0] {
                0 => log.before = bytes,
                1 => log.push(Op::Write {
                    at: a,
                    bytes,
                    synced: b == 1,
                }),
                2 => log.push(Op::Sync),
                _ => log.push(Op::Ack((a, b))),
            }
        }
        log
    }
}

fn overwrite(file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (start, end) = (at as usize, at as usize + bytes.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    file[start..end].copy_from_slice(bytes);
}

/// A write that was not synced: `arrivals` of four arrive, and one in four of those in part.
fn arrive(file: &mut Vec<u8>, at: u64, bytes: &[u8], arrivals: u64, numbers: &mut Numbers) {
    if numbers.below(4) >= arrivals {
        return;
    }
    if numbers.below(4) > 0 {
        return overwrite(file, at, bytes);
    }
    let (first, last) = (
        at / SECTOR_BYTES,
        (at + bytes.len() as u64 - 1) / SECTOR_BYTES,
    );
    if first == last {
        let words = numbers.below(bytes.len() as u64 / WORD_BYTES + 1);
        let kept = (words * WORD_BYTES) as usize;
        return overwrite(file, at, &bytes[..kept]);
    }
    for sector in first..=last {
        let start = (sector * SECTOR_BYTES).max(at);
        let end = ((sector + 1) * SECTOR_BYTES).min(at + bytes.len() as u64);
        if numbers.below(2) == 0 {
            overwrite(
                file,
                start,
                &bytes[(start - at) as usize..(end - at) as usize],
            );
        }
    }
}
