//! What the transport counts.

use std::sync::Mutex;

/// What has gone in and out since the start, and what was refused. A snapshot.
///
/// ```
/// # async fn show(transport: &threads_net_libp2p::Libp2p) {
/// let counters = transport.counters();
/// println!("{} bytes in, {} out", counters.bytes_in, counters.bytes_out);
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that arrived: requests, replies and publications.
    pub frames_in: u64,
    /// Frames that were sent.
    pub frames_out: u64,
    /// Bytes of frames that arrived, without what carries them.
    pub bytes_in: u64,
    /// Bytes of frames that were sent.
    pub bytes_out: u64,
    /// Connections there are now.
    pub connections: u64,
    /// Connections there have been.
    pub connections_made: u64,
    /// Connections that failed or were refused, inwards and outwards.
    pub connections_failed: u64,
    /// Connections through a relay that this end gave up for direct ones.
    pub relays_left: u64,
    /// Requests that were refused because too much waited, here or of others.
    pub requests_refused: u64,
    /// Requests that failed on their way.
    pub requests_failed: u64,
    /// Publications that found no room, or nobody.
    pub publications_lost: u64,
}

/// Counters that are still counting.
#[derive(Debug, Default)]
pub(crate) struct Counting(Mutex<Counters>);

impl Counting {
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        // Each change is a few additions: a panic leaves it whole.
        change(
            &mut self
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
    }

    pub(crate) fn frame_in(&self, bytes: usize) {
        self.count(|counters| {
            counters.frames_in += 1;
            counters.bytes_in += bytes as u64;
        });
    }

    pub(crate) fn frame_out(&self, bytes: usize) {
        self.count(|counters| {
            counters.frames_out += 1;
            counters.bytes_out += bytes as u64;
        });
    }

    pub(crate) fn now(&self) -> Counters {
        let mut now = Counters::default();
        self.count(|counters| now = *counters);
        now
    }
}
