//! What was measured on, and with which versions.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::Result;
use crate::bench::Bench;
use crate::clock::{median, timed};

const SYNCS: usize = 101;
const SYNC_BYTES: usize = 4_096;

/// The machine, its disk and the versions of what is measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    filesystem: String,
    /// The median time of writing 4 KiB and `fdatasync`, in microseconds.
    pub(crate) sync_us: f64,
    threads: &'static str,
    rustc: &'static str,
    lmdb: String,
    sqlite: &'static str,
    optimised: bool,
}

impl Machine {
    /// Names and values, for people.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let build = if self.optimised {
            ""
        } else {
            " (not optimised: the figures mean nothing)"
        };
        vec![
            ("machine", format!("{}, {} cores", self.cpu, self.cores)),
            ("kernel", self.kernel.clone()),
            ("disk", self.filesystem.clone()),
            ("sync", format!("{:.0} µs for 4 KiB", self.sync_us)),
            ("threads", format!("{}{build}", self.threads)),
            ("rustc", self.rustc.to_owned()),
            ("LMDB", self.lmdb.clone()),
            ("SQLite", self.sqlite.to_owned()),
        ]
    }
}

pub(crate) fn look(bench: &Bench) -> Result<Machine> {
    let unknown = || "unknown".to_owned();
    let lmdb = heed::lmdb_version();
    Ok(Machine {
        cpu: cpu().unwrap_or_else(unknown),
        cores: std::thread::available_parallelism()?.get(),
        kernel: kernel(),
        filesystem: filesystem(bench.dir()).unwrap_or_else(unknown),
        sync_us: sync_us(bench.dir())?,
        threads: env!("CARGO_PKG_VERSION"),
        rustc: env!("BENCHES_RUSTC"),
        lmdb: format!(
            "{}.{}.{}, heed {}",
            lmdb.major,
            lmdb.minor,
            lmdb.patch,
            env!("BENCHES_HEED")
        ),
        sqlite: rusqlite::version(),
        optimised: !cfg!(debug_assertions),
    })
}

/// The system and the version of its kernel, without what its builder called it.
fn kernel() -> String {
    let system = std::env::consts::OS;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = release.trim().split('-').next().unwrap_or_default();
    format!("{system} {version}").trim_end().to_owned()
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The type of the file system that `dir` is on: of the longest mount point above it.
fn filesystem(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        dir.starts_with(&point).then_some((point.len(), kind))
    };
    // Of two at one point the later one is seen.
    let deepest = mounts
        .lines()
        .filter_map(mount)
        .max_by_key(|(length, _)| *length);
    Some(deepest?.1)
}

fn sync_us(dir: &Path) -> Result<f64> {
    let path = dir.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for turn in 0..SYNCS {
        let (seconds, ()) = timed(|| {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&[turn as u8; SYNC_BYTES])?;
            Ok(file.sync_data()?)
        })?;
        times.push(seconds * 1e6);
    }
    fs::remove_file(path)?;
    Ok(median(&times))
}
