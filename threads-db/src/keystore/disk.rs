//! The file of a keystore on disk: read, and replaced whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use threads_core::rand_core::CryptoRng;
use threads_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::KeystoreFault;

/// The largest file that is looked at: a keystore has a few hundred bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The most names in the directory of a keystore that are looked at.
const ENTRIES_MAX: usize = 4096;

/// What happens to the disk when a file is replaced, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Write,
    Sync,
    Rename,
    SyncDir,
    Wipe,
}

/// Asked before each step: tests answer with an error, and all ends there, as in a crash.
pub(super) type Hook<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

pub(super) fn no_fault(_: Step) -> io::Result<()> {
    Ok(())
}

/// The bytes of the file, if nobody else may read it.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let unreadable = |error| match io::Error::kind(&error) {
        io::ErrorKind::NotFound => KeystoreFault::Missing.error(path),
        _ => failed("the keystore cannot be read", path, error),
    };
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if is_exposed(&about) {
        return Err(KeystoreFault::Exposed.error(path));
    }
    if about.len() > FILE_BYTES_MAX || !about.is_file() {
        return Err(KeystoreFault::Damaged.error(path));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(about.len() as usize));
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

/// Whether somebody else may read or change what is in the file.
#[cfg(unix)]
fn is_exposed(about: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(about) & 0o077 != 0
}

/// Elsewhere a file has the rights of its directory.
#[cfg(not(unix))]
fn is_exposed(_about: &fs::Metadata) -> bool {
    false
}

/// Puts `bytes` in the place of the file: readers see the one before, or this one whole. When it
/// returns, this one is on disk.
pub(super) fn replace(
    path: &Path,
    bytes: &[u8],
    rng: &mut dyn CryptoRng,
    hook: Hook<'_>,
) -> Result<()> {
    let unwritable = |error| failed("the keystore cannot be written", path, error);
    let beside = beside(path, rng);
    let before = OpenOptions::new().write(true).open(path).ok();
    let written = write(&beside, bytes, hook)
        .and_then(|()| hook(Step::Rename))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        // What is left of it holds keys.
        _ = fs::remove_file(&beside);
        return Err(unwritable(error));
    }
    hook(Step::SyncDir)
        .and_then(|()| sync_dir(path))
        .map_err(unwritable)?;
    // The new one is in place: what becomes of the old blocks is no reason to say otherwise.
    if hook(Step::Wipe).is_ok() {
        _ = before.map(wipe);
        clear_leftovers(path);
    }
    Ok(())
}

/// How the name of a file begins that is to take the place of this one.
fn beginning(path: &Path) -> OsString {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new-");
    name
}

/// A name that nobody else uses.
fn beside(path: &Path, rng: &mut dyn CryptoRng) -> PathBuf {
    let mut name = beginning(path);
    name.push(format!("{:016x}", rng.next_u64()));
    path.with_file_name(name)
}

/// Takes away what a crash left of files that were to take the place of this one: there are keys in them.
fn clear_leftovers(path: &Path) {
    let beginning = beginning(path);
    let entries = fs::read_dir(dir_of(path)).into_iter().flatten().flatten();
    for entry in entries.take(ENTRIES_MAX) {
        let name = entry.file_name();
        let is_one = name
            .as_encoded_bytes()
            .starts_with(beginning.as_encoded_bytes());
        if is_one && let Ok(file) = OpenOptions::new().write(true).open(entry.path()) {
            _ = wipe(file);
            _ = fs::remove_file(entry.path());
        }
    }
}

fn dir_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

fn write(path: &Path, bytes: &[u8], hook: Hook<'_>) -> io::Result<()> {
    hook(Step::Create)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    hook(Step::Write)?;
    file.write_all(bytes)?;
    hook(Step::Sync)?;
    file.sync_all()
}

/// Makes sure that the file is on disk under its name, whoever wrote it.
pub(super) fn sync(path: &Path) -> Result<()> {
    let file = File::open(path).and_then(|file| file.sync_all());
    file.and_then(|()| sync_dir(path))
        .map_err(|error| failed("the keystore cannot be written", path, error))
}

#[cfg(unix)]
fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(dir_of(path))?.sync_all()
}

/// Other systems make a new name durable by themselves, or offer no way to ask.
#[cfg(not(unix))]
fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes over what the file before had on disk. A file system that never writes in place, or a disk
/// that moves blocks about, may keep it all the same.
fn wipe(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len().min(FILE_BYTES_MAX);
    file.rewind()?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_data()
}

fn failed(what: &'static str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, what)
        .with("file", path.display())
        .with("cause", &error)
        .caused_by(error)
}
