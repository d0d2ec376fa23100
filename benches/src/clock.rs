//! Time, and what becomes of many measurements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Result;

/// Whether time is that of the processor.
static PROCESSOR: AtomicBool = AtomicBool::new(false);

/// From here on, [`timed`] tells how long this process kept processors busy, and not how long it took: what
/// else the machine does is not in it then, and neither is waiting for the disk.
pub(crate) fn count_processor() {
    PROCESSOR.store(true, Ordering::Relaxed);
}

/// How long this process has kept processors busy.
#[allow(unsafe_code, reason = "asks the system in the only way there is")]
fn busy() -> Result<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the place to write to is this function's own.
    match unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) } {
        0 => Ok(Duration::new(
            time.tv_sec.try_into()?,
            time.tv_nsec.try_into()?,
        )),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// Runs `work`; gives how long it took, in seconds, and what it gave.
pub(crate) fn timed<R>(work: impl FnOnce() -> Result<R>) -> Result<(f64, R)> {
    if !PROCESSOR.load(Ordering::Relaxed) {
        return waited(work);
    }
    let began = busy()?;
    let result = work()?;
    Ok(((busy()? - began).as_secs_f64(), result))
}

/// As [`timed`], by the clock whatever was asked for.
#[allow(
    clippy::disallowed_methods,
    reason = "nothing here is replayed: measuring time is what this program is for"
)]
pub(crate) fn waited<R>(work: impl FnOnce() -> Result<R>) -> Result<(f64, R)> {
    let began = Instant::now();
    let result = work()?;
    Ok((began.elapsed().as_secs_f64(), result))
}

/// The middle one of `values`, or the mean of the two in the middle; 0 when there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_waits_is_not_busy() {
        let began = busy().unwrap();
        let mut sum = 0_u64;
        while busy().unwrap() == began {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(busy().unwrap() > began);
    }

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
