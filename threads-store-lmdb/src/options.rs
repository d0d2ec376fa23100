//! How to open a store.

use std::path::Path;
use std::time::Duration;

use threads_core::{Error, Result};
use threads_store_group::dir;

use crate::check::{self, Guard};
use crate::env::{self, DATA_FILE};
use crate::lock;
use crate::reserve::Reserve;
use crate::store::{Lmdb, Writing};

const GIB: u64 = 1 << 30;
/// What every map size is rounded up to: a multiple of the page size of every system.
const MAP_STEP_BYTES: usize = 64 * 1024;

/// How to open a store. The defaults suit most; each field says what it is for.
///
/// ```
/// use threads_store_lmdb::LmdbOptions;
///
/// # let dir = tempfile::tempdir().unwrap();
/// let mut options = LmdbOptions::default();
/// options.map_bytes_max = 1 << 30;
/// let store = options.open(dir.path()).unwrap();
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct LmdbOptions {
    /// The address space that the store takes at first, in bytes: 64 GiB, or 1 GiB on 32-bit
    /// systems. It costs no disk and no memory, and growing it later waits for readers.
    pub map_bytes_initial: usize,
    /// The size the store never outgrows, in bytes: 1 TiB, or 2 GiB less one page on 32-bit
    /// systems. Commits beyond it fail with [`Full`](threads_core::ErrorKind::Full). The initial size is
    /// never taken to be larger.
    pub map_bytes_max: usize,
    /// How many read transactions may be open at once, in all processes: 1,024.
    pub readers_max: u32,
    /// How long a commit that needs a larger map waits for open read transactions: 10 seconds.
    pub readers_wait: Duration,
    /// The size of a file that is given up when the disk is full, so that removing things still
    /// works, in bytes: 16 MiB. Zero does without.
    pub reserve_bytes: u64,
    /// Up to this length, in bytes, the data file is checked as a whole when it is opened: 16 MiB.
    /// In a longer one each page is checked before it is first used.
    pub check_bytes_max: u64,
}

impl Default for LmdbOptions {
    fn default() -> Self {
        let wide = usize::BITS >= u64::BITS;
        let (initial, most) = if wide {
            (64 * GIB, 1024 * GIB)
        } else {
            (GIB, 2 * GIB - 65_536)
        };
        Self {
            map_bytes_initial: initial as usize,
            map_bytes_max: most as usize,
            readers_max: 1_024,
            readers_wait: Duration::from_secs(10),
            reserve_bytes: 16 << 20,
            check_bytes_max: 16 << 20,
        }
    }
}

impl LmdbOptions {
    /// Opens the store in `dir`, or makes one there.
    ///
    /// # Errors
    ///
    /// As [`Lmdb::open`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = threads_store_lmdb::LmdbOptions::default().open(dir.path()).unwrap();
    /// ```
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Lmdb> {
        let (dir, options) = (dir.as_ref(), self.rounded()?);
        dir::make(dir)?;
        let lock = lock::take(dir)?;
        let guard = options.look(dir)?;
        if guard.is_none() {
            if env::had_store(dir) {
                return Err(dir::data_gone(&dir.join(DATA_FILE)));
            }
            env::create(dir)?;
        }
        let opened = env::open(dir, &options)?;
        let reserve = Reserve::new(dir, options.reserve_bytes);
        let writing = Writing {
            map_bytes_max: options.map_bytes_max,
            reserve,
            _lock: lock,
        };
        Ok(Lmdb::new(
            opened,
            dir,
            Some(writing),
            guard,
            options.readers_wait,
        ))
    }

    /// Opens the store in `dir` to read what another process writes.
    ///
    /// # Errors
    ///
    /// As [`Lmdb::open_read_only`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// drop(threads_store_lmdb::Lmdb::open(dir.path()).unwrap());
    /// let store = threads_store_lmdb::LmdbOptions::default().open_read_only(dir.path()).unwrap();
    /// ```
    pub fn open_read_only(&self, dir: impl AsRef<Path>) -> Result<Lmdb> {
        let (dir, options) = (dir.as_ref(), self.rounded()?);
        let Some(guard) = options.look(dir)? else {
            return Err(
                Error::not_found("there is no store in the directory: name another")
                    .with("directory", dir.display()),
            );
        };
        let opened = env::open_read_only(dir, &options)?;
        Ok(Lmdb::new(
            opened,
            dir,
            None,
            Some(guard),
            options.readers_wait,
        ))
    }

    /// Looks at the data file, if there is one.
    fn look(&self, dir: &Path) -> Result<Option<Guard>> {
        check::data_file(&dir.join(DATA_FILE), self.check_bytes_max)
    }

    fn rounded(&self) -> Result<Self> {
        let round = |bytes: usize| bytes.checked_next_multiple_of(MAP_STEP_BYTES);
        let reserve = self
            .reserve_bytes
            .checked_next_multiple_of(MAP_STEP_BYTES as u64);
        let (Some(initial), Some(most), Some(reserve_bytes)) = (
            round(self.map_bytes_initial),
            round(self.map_bytes_max),
            reserve,
        ) else {
            return Err(Error::invalid(
                "a size is too large for this system: lower the map or the reserve",
            ));
        };
        if initial == 0 || most == 0 {
            return Err(Error::invalid("a map needs a size of at least 1 byte"));
        }
        if self.readers_max == 0 {
            return Err(Error::invalid("readers_max must be at least 1"));
        }
        Ok(Self {
            map_bytes_initial: initial.min(most),
            map_bytes_max: most,
            reserve_bytes,
            ..self.clone()
        })
    }
}
