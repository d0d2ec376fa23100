//! Slow disks: `fdatasync` itself takes a least time, for whoever calls it.
//!
//! The program defines the function, so LMDB, SQLite and the standard library all call this one.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Result;

/// How long a sync takes at least, in microseconds.
static LEAST_US: AtomicU64 = AtomicU64::new(0);

/// Runs `work` while every sync of this process takes at least `micros` microseconds.
pub(crate) fn slowed<R>(micros: u64, work: impl FnOnce() -> Result<R>) -> Result<R> {
    LEAST_US.store(micros, Ordering::Relaxed);
    let result = work();
    LEAST_US.store(0, Ordering::Relaxed);
    result
}

/// Whether syncs can be slowed down on this system.
pub(crate) const CAN_SLOW: bool = cfg!(target_os = "linux");

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "stands in for a function of C")]
mod linux {
    use std::ptr;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use super::LEAST_US;

    #[unsafe(no_mangle)]
    #[allow(
        clippy::disallowed_methods,
        reason = "nothing here is replayed: it waits for what is left of a time"
    )]
    extern "C" fn fdatasync(file: libc::c_int) -> libc::c_int {
        let began = Instant::now();
        // SAFETY: the system call takes any number and says so when it is no open file.
        let result = unsafe { libc::syscall(libc::SYS_fdatasync, file) };
        let least = Duration::from_micros(LEAST_US.load(Ordering::Relaxed));
        if let Some(rest) = least.checked_sub(began.elapsed()) {
            let rest = libc::timespec {
                tv_sec: rest.as_secs() as libc::time_t,
                tv_nsec: rest.subsec_nanos().into(),
            };
            // SAFETY: the time is well-formed, and nothing is to be told of an interruption.
            unsafe { libc::nanosleep(&rest, ptr::null_mut()) };
        }
        result as libc::c_int
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::clock::timed;

    #[test]
    fn a_slowed_sync_takes_its_time() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"x").unwrap();
        let (seconds, ()) = slowed(20_000, || timed(|| Ok(file.sync_data()?))).unwrap();
        assert!(seconds >= 0.02, "{seconds}");
    }
}
