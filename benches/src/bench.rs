//! What all rows share: sizes, rounds, a directory, and stores that more than one row reads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::clock::median;
use crate::{Result, engine, sqlite};

/// Sizes are a multiple of this, so that the documents fall into whole groups.
const SIZE_STEP: usize = 100;

pub(crate) struct Bench {
    dir: TempDir,
    divide: usize,
    rounds: usize,
    built: RefCell<BTreeMap<String, PathBuf>>,
}

impl Bench {
    pub(crate) fn new(dir: Option<&Path>, divide: usize, rounds: usize) -> Result<Self> {
        let own = std::env::current_exe()?;
        let above = dir.or(own.parent()).ok_or("name a directory with --dir")?;
        fs::create_dir_all(above)?;
        Ok(Self {
            dir: tempfile::Builder::new()
                .prefix("threads-benches-")
                .tempdir_in(above)?,
            divide,
            rounds,
            built: RefCell::default(),
        })
    }

    /// Where all data goes.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds
    }

    /// A size that is `full` when nothing is divided.
    pub(crate) fn size(&self, full: usize) -> usize {
        (full / self.divide)
            .next_multiple_of(SIZE_STEP)
            .max(SIZE_STEP)
    }

    /// A directory that goes when the value does.
    pub(crate) fn fresh(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.dir())?)
    }

    /// The directory of a store with `documents` documents and their two indexes.
    pub(crate) fn store(&self, documents: usize) -> Result<PathBuf> {
        self.build(format!("store-{documents}"), |path| {
            engine::build(path, documents)
        })
    }

    /// The directory of a store with a thread of `records` records.
    pub(crate) fn log(&self, records: usize) -> Result<PathBuf> {
        self.build(format!("log-{records}"), |path| {
            engine::build_log(path, records)
        })
    }

    /// The directory of a store of entities that were all edited after a point in the past.
    pub(crate) fn edited(
        &self,
        entities: usize,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        self.build(format!("edited-{entities}"), make)
    }

    /// The SQLite file with the documents of [`Bench::store`].
    pub(crate) fn sqlite(&self, documents: usize) -> Result<PathBuf> {
        self.build(format!("sqlite-{documents}"), |path| {
            sqlite::build(path, documents)
        })
    }

    fn build(&self, name: String, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        if let Some(path) = self.built.borrow().get(&name) {
            return Ok(path.clone());
        }
        eprintln!("  building {name} ...");
        let path = self.dir().join(&name);
        make(&path)?;
        self.built.borrow_mut().insert(name, path.clone());
        Ok(path)
    }

    /// Measures both sides in turns, so that whatever else the machine does hurts them equally;
    /// gives the median of each.
    pub(crate) fn in_turns(
        &self,
        mut ours: impl FnMut() -> Result<f64>,
        mut theirs: impl FnMut() -> Result<f64>,
    ) -> Result<(f64, f64)> {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            left.push(ours()?);
            right.push(theirs()?);
        }
        Ok((median(&left), median(&right)))
    }
}
