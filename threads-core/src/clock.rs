//! Time: the wall clock behind a trait, and the hybrid logical clock of events.
//!
//! # Contract
//!
//! [`Clock::now_ms`] is milliseconds since 1970-01-01 UTC. It may stand still or go backwards;
//! nothing that must be true depends on it.
//!
//! # For implementers
//!
//! Return the time of your platform, or a time of your own for replay and simulation.
//!
//! # For users
//!
//! Pass [`SystemClock`] in an application and [`ManualClock`] in a test.
//!
//! # Example
//!
//! ```
//! use threads_core::{Clock, Hlc, ManualClock};
//!
//! let clock = ManualClock::at(1_000);
//! let first = Hlc::ZERO.tick(clock.now_ms()).unwrap();
//! let second = first.tick(clock.now_ms()).unwrap();
//! assert!(second > first);
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The only door for wall-clock time. See the [module](self) for its contract.
///
/// ```
/// #[derive(Debug)]
/// struct Stopped;
///
/// impl threads_core::Clock for Stopped {
///     fn now_ms(&self) -> u64 {
///         0
///     }
/// }
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC.
    fn now_ms(&self) -> u64;
}

/// The clock of the operating system.
///
/// ```
/// use threads_core::{Clock, SystemClock};
/// assert!(SystemClock.now_ms() > 0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }
}

/// Measures time that never goes back, and waits: the door of asynchronous code to a runtime.
///
/// ```
/// use std::time::{Duration, Instant};
/// use threads_core::{Timer, async_trait};
///
/// #[derive(Debug)]
/// struct Tokio(tokio::time::Instant);
///
/// #[async_trait]
/// impl Timer for Tokio {
///     fn elapsed_ms(&self) -> u64 {
///         self.0.elapsed().as_millis() as u64
///     }
///
///     async fn sleep_until(&self, at_ms: u64) {
///         tokio::time::sleep_until(self.0 + Duration::from_millis(at_ms)).await;
///     }
/// }
/// ```
#[async_trait]
pub trait Timer: fmt::Debug + Send + Sync + 'static {
    /// Milliseconds since this timer began.
    fn elapsed_ms(&self) -> u64;

    /// Waits until so many milliseconds have passed since this timer began.
    async fn sleep_until(&self, at_ms: u64);
}

/// A clock that a test sets.
///
/// ```
/// use threads_core::{Clock, ManualClock};
/// let clock = ManualClock::at(5);
/// clock.set(7);
/// assert_eq!(clock.now_ms(), 7);
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `ms`.
    ///
    /// ```
    /// use threads_core::{Clock, ManualClock};
    /// assert_eq!(ManualClock::at(5).now_ms(), 5);
    /// ```
    pub fn at(ms: u64) -> Self {
        Self(AtomicU64::new(ms))
    }

    /// Moves the clock to `ms`, forwards or backwards.
    ///
    /// ```
    /// use threads_core::{Clock, ManualClock};
    /// let clock = ManualClock::at(5);
    /// clock.set(3);
    /// assert_eq!(clock.now_ms(), 3);
    /// ```
    pub fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Hybrid logical time: wall-clock milliseconds and a counter that orders what happens within
/// one millisecond, or while the wall clock stands still or goes backwards.
///
/// Source: Kulkarni et al., "Logical Physical Clocks" (2014); the paper's `EventHeader.Time`.
///
/// ```
/// use threads_core::Hlc;
/// assert!(Hlc { wall_ms: 1, counter: 2 } < Hlc { wall_ms: 2, counter: 0 });
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Hlc {
    /// Milliseconds since 1970-01-01 UTC.
    pub wall_ms: u64,
    /// Order within the millisecond.
    pub counter: u32,
}

impl Hlc {
    /// Before every event.
    ///
    /// ```
    /// assert_eq!(threads_core::Hlc::ZERO.wall_ms, 0);
    /// ```
    pub const ZERO: Self = Self {
        wall_ms: 0,
        counter: 0,
    };

    /// The time of a local event: after `self`, and not before `now_ms`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) after the last time there is. A
    /// counter that is full goes on in the next millisecond: no event stops those after it.
    ///
    /// ```
    /// use threads_core::Hlc;
    /// let last = Hlc { wall_ms: 10, counter: 3 };
    /// assert_eq!(last.tick(9).unwrap(), Hlc { wall_ms: 10, counter: 4 });
    /// assert_eq!(last.tick(11).unwrap(), Hlc { wall_ms: 11, counter: 0 });
    /// ```
    pub fn tick(self, now_ms: u64) -> Result<Self> {
        if now_ms > self.wall_ms {
            return Ok(Self {
                wall_ms: now_ms,
                counter: 0,
            });
        }
        let counted = self.counter.checked_add(1);
        let wall_ms = match counted {
            Some(_) => Some(self.wall_ms),
            None => self.wall_ms.checked_add(1),
        };
        let counter = counted.unwrap_or(0);
        wall_ms
            .map(|wall_ms| Self { wall_ms, counter })
            .ok_or_else(|| Error::unavailable("there is no time after the last one"))
    }

    /// The clock after it has seen an event of time `seen`, which must not be further in the
    /// future than `drift_ms_max`: a peer's clock never drags ours along without bound.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) when `seen` is too far ahead.
    ///
    /// ```
    /// use threads_core::Hlc;
    /// let seen = Hlc { wall_ms: 10_050, counter: 0 };
    /// assert_eq!(Hlc::ZERO.observe(seen, 10_000, 60_000).unwrap(), seen);
    /// assert!(Hlc::ZERO.observe(seen, 1_000, 5_000).is_err());
    /// ```
    pub fn observe(self, seen: Self, now_ms: u64, drift_ms_max: u64) -> Result<Self> {
        if seen.wall_ms > now_ms.saturating_add(drift_ms_max) {
            return Err(Error::rejected("an event is dated too far in the future")
                .with("ahead_ms", seen.wall_ms - now_ms));
        }
        Ok(self.max(seen))
    }

    /// Twelve bytes that order as the times do.
    ///
    /// ```
    /// use threads_core::Hlc;
    /// let time = Hlc { wall_ms: 1, counter: 2 };
    /// assert_eq!(Hlc::from_bytes(&time.to_bytes()), Some(time));
    /// ```
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.wall_ms.to_be_bytes());
        bytes[8..].copy_from_slice(&self.counter.to_be_bytes());
        bytes
    }

    /// The inverse of [`Hlc::to_bytes`].
    ///
    /// ```
    /// assert_eq!(threads_core::Hlc::from_bytes(&[0; 11]), None);
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (wall, counter) = bytes.split_at_checked(8)?;
        Some(Self {
            wall_ms: u64::from_be_bytes(wall.try_into().ok()?),
            counter: u32::from_be_bytes(counter.try_into().ok()?),
        })
    }
}
