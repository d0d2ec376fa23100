//! Laws of bounds.

use std::future::pending;

use threads_core::transport::{EVENT_BYTES_MAX, EVENTS_MAX, FRAME_BYTES_MAX};

use super::concurrent::{Enough, many, race};
use super::ends::is_unavailable;
use super::requests::asked_by;
use super::{End, Subject};
use crate::law::Checked;

/// Sends `count` requests at once, and waits until as many have failed as must.
pub(super) async fn refused(
    a: &End,
    b: &End,
    count: usize,
    bytes: usize,
    wanted: usize,
) -> Checked {
    let asking = (0..count).map(|_| a.request(b.local_peer(), vec![7; bytes]));
    let (mut failed, mut outcome) = (0, Ok(()));
    many(asking, |reply| {
        failed += 1;
        outcome = is_unavailable(&reply, "asked more than fits of who does not read");
        match failed >= wanted || outcome.is_err() {
            true => Enough::Yes,
            false => Enough::No,
        }
    })
    .await;
    outcome
}

pub(super) fn whoever_does_not_read_is_spared(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| refused(a, b, 2 * EVENTS_MAX, 1, EVENTS_MAX).await)
}

pub(super) fn bytes_that_wait_are_bounded(subject: &Subject) -> Checked {
    const FRAMES: usize = EVENT_BYTES_MAX / FRAME_BYTES_MAX;
    subject.both_ways(async |a, b| refused(a, b, 2 * FRAMES, FRAME_BYTES_MAX, FRAMES).await)
}

pub(super) fn a_flood_leaves_room_for_others(subject: &Subject) -> Checked {
    subject.three(async |a, b, c| {
        refused(a, b, 2 * EVENTS_MAX, 1, 1).await?;
        let answering = async {
            let token = asked_by(b, c.local_peer()).await?;
            b.reply(token, vec![1]).await?;
            pending().await
        };
        let asking = async {
            c.request(b.local_peer(), vec![1]).await?;
            Ok(())
        };
        race(asking, answering).await
    })
}
