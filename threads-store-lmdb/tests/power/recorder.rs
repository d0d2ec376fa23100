//! Records what LMDB writes to its data file, in order, with the points at which it was synced.
//!
//! The test binary defines the functions of C that LMDB writes and syncs with; LMDB is linked into
//! it and calls these. Each makes its system call, and while a recording is under way notes those
//! that concern the one file. That nothing else changes the file is checked where a recording
//! ends: what was noted, done again on what was there before, gives the file to the byte.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::log::{Log, Op};

static RECORDING: Mutex<Option<Recording>> = Mutex::new(None);

struct Recording {
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
    log: Log,
}

fn recording() -> MutexGuard<'static, Option<Recording>> {
    RECORDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to record what is written to the file at `path`; one recording at a time.
pub(crate) fn begin(path: &Path) {
    let before = std::fs::read(path).unwrap();
    let about = std::fs::metadata(path).unwrap();
    let begun = Recording {
        path: path.to_owned(),
        file: (about.dev(), about.ino()),
        log: Log::new(before),
    };
    let other = recording().replace(begun);
    assert!(other.is_none(), "a recording is under way");
}

/// Notes that a commit was acknowledged.
pub(crate) fn acknowledge(commit: (u64, u64)) {
    let mut recording = recording();
    recording.as_mut().unwrap().log.push(Op::Ack(commit));
}

/// Ends the recording, and checks that it is complete.
pub(crate) fn end() -> Log {
    let ended = recording().take().unwrap();
    let now = std::fs::read(ended.path).unwrap();
    assert!(
        ended.log.replayed() == now,
        "the file was changed in a way that is not recorded"
    );
    ended.log
}

/// Makes a system call and notes what it did, both under the lock, so that the log has the order of
/// the calls.
fn noting(
    fd: libc::c_int,
    call: impl FnOnce() -> isize,
    op: impl FnOnce(u64, isize) -> Op,
) -> isize {
    let mut recording = recording();
    let Some(recording) = recording.as_mut().filter(|begun| is(fd, begun.file)) else {
        drop(recording);
        return call();
    };
    let place = position(fd);
    let result = call();
    if result >= 0 {
        recording.log.push(op(place, result));
    }
    result
}

#[allow(unsafe_code, reason = "stands in for functions of C")]
mod functions {
    use super::{Op, noting};

    #[unsafe(no_mangle)]
    extern "C" fn pwrite(
        fd: libc::c_int,
        from: *const libc::c_void,
        length: usize,
        at: libc::off_t,
    ) -> isize {
        // SAFETY: the caller's arguments go to the system call that they are meant for.
        let call = || unsafe { libc::syscall(libc::SYS_pwrite64, fd, from, length, at) as isize };
        noting(fd, call, |_, written| {
            // SAFETY: the system has just read so many bytes from there.
            let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), written as usize) };
            super::written(fd, at as u64, bytes.to_vec())
        })
    }

    #[unsafe(no_mangle)]
    extern "C" fn writev(fd: libc::c_int, parts: *const libc::iovec, count: libc::c_int) -> isize {
        // SAFETY: as above.
        let call = || unsafe { libc::syscall(libc::SYS_writev, fd, parts, count) as isize };
        noting(fd, call, |at, written| {
            let mut bytes = Vec::new();
            for place in 0..count as usize {
                // SAFETY: the system has just read the list, and the bytes that it names.
                bytes.extend_from_slice(unsafe {
                    let part = &*parts.add(place);
                    std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len)
                });
            }
            bytes.truncate(written as usize);
            super::written(fd, at, bytes)
        })
    }

    #[unsafe(no_mangle)]
    extern "C" fn fdatasync(fd: libc::c_int) -> libc::c_int {
        // SAFETY: the system call takes any number and says so when it is no open file.
        let call = || unsafe { libc::syscall(libc::SYS_fdatasync, fd) as isize };
        noting(fd, call, |_, _| Op::Sync) as libc::c_int
    }

    #[unsafe(no_mangle)]
    extern "C" fn fsync(fd: libc::c_int) -> libc::c_int {
        // SAFETY: as above.
        let call = || unsafe { libc::syscall(libc::SYS_fsync, fd) as isize };
        noting(fd, call, |_, _| Op::Sync) as libc::c_int
    }
}

fn written(fd: libc::c_int, at: u64, bytes: Vec<u8>) -> Op {
    Op::Write {
        at,
        bytes,
        synced: returns_when_synced(fd),
    }
}

#[allow(unsafe_code, reason = "asks the system about an open file")]
fn returns_when_synced(fd: libc::c_int) -> bool {
    // SAFETY: the command takes no pointer.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_DSYNC != 0
}

#[allow(unsafe_code, reason = "asks the system about an open file")]
fn position(fd: libc::c_int) -> u64 {
    // SAFETY: nothing is moved, and no pointer is taken.
    let at = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
    u64::try_from(at).unwrap_or(0)
}

/// Whether an open file is the one of this device and inode.
fn is(fd: libc::c_int, file: (u64, u64)) -> bool {
    let about = |fd: libc::c_int| -> io::Result<(u64, u64)> {
        let about = borrowed(fd).metadata()?;
        Ok((about.dev(), about.ino()))
    };
    about(fd).is_ok_and(|found| found == file)
}

#[allow(unsafe_code, reason = "looks at a file that the caller has open")]
fn borrowed(fd: libc::c_int) -> std::mem::ManuallyDrop<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: the caller has the file open during the call, and it is not closed here.
    std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(fd) })
}
