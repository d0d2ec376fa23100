//! Laws of closing.

use threads_core::transport::TransportEvent;

use super::Subject;
use super::concurrent::both;
use super::ends::{address, disconnected, is_unavailable};
use crate::law::Checked;

pub(super) fn closed_is_for_good(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        let there = address(b)?;
        let next = async {
            loop {
                // What was found may come before.
                match a.next_event().await {
                    Ok(TransportEvent::Discovered { .. }) => {}
                    event => return event,
                }
            }
        };
        let (waiting, ()) = both(next, async { a.close() }).await;
        is_unavailable(&waiting, "closed an end whose next event was waited for")?;
        disconnected(b, a.local_peer()).await?;
        a.close();
        for _ in 0..3 {
            is_unavailable(&a.next_event().await, "waited for events of a closed end")?;
        }
        let peer = b.local_peer();
        is_unavailable(&a.request(peer, vec![]).await, "asked from a closed end")?;
        is_unavailable(&a.connect(&there).await, "connected from a closed end")?;
        is_unavailable(&a.disconnect(peer).await, "disconnected from a closed end")?;
        is_unavailable(&a.subscribe(b"t").await, "subscribed at a closed end")?;
        is_unavailable(&a.unsubscribe(b"t").await, "unsubscribed at a closed end")?;
        is_unavailable(
            &a.publish(b"t", vec![]).await,
            "published from a closed end",
        )
    })
}
