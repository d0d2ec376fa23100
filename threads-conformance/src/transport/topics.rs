//! Laws of topics.

use threads_core::transport::{EVENTS_MAX, TOPICS_MAX, TransportEvent};
use threads_core::{ErrorKind, PeerId};

use super::concurrent::now;
use super::ends::{event, is_error, round_trip};
use super::{End, Subject};
use crate::law::{Checked, Violation, ensure};

/// A transport has so many round trips to tell others what it subscribed to.
const ROUNDS_MAX: u32 = 20_000;
/// So many publications in laws that count them.
const PUBLICATIONS: u32 = 200;

/// What was published, of all that was read.
fn published(events: Vec<TransportEvent>) -> impl Iterator<Item = (PeerId, Vec<u8>, Vec<u8>)> {
    events.into_iter().filter_map(|event| match event {
        TransportEvent::Published {
            from, topic, frame, ..
        } => Some((from, topic, frame)),
        _ => None,
    })
}

/// `a` publishes until `b`, which has subscribed, reads it. Gives what came.
async fn until_it_comes(
    a: &End,
    b: &End,
    topic: &[u8],
) -> Result<(PeerId, Vec<u8>, Vec<u8>), Violation> {
    for n in 0..ROUNDS_MAX {
        a.publish(topic, n.to_be_bytes().to_vec()).await?;
        if let Some(first) = published(round_trip(a, b).await?).next() {
            return Ok(first);
        }
    }
    let done = format_args!("published {ROUNDS_MAX} times, each followed by a round trip");
    Err(Violation::new(done, "nothing came to who subscribed"))
}

pub(super) fn subscribers_are_reached(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        for (publisher, subscriber) in [(a, b), (b, a)] {
            subscriber.subscribe(b"news").await?;
            let (from, topic, frame) = until_it_comes(publisher, subscriber, b"news").await?;
            let right = from == publisher.local_peer() && topic == b"news" && frame.len() == 4;
            let seen = format_args!("{frame:?} from {from} under {topic:?}");
            ensure(right, "published a number under b\"news\"", seen)?;
        }
        Ok(())
    })
}

pub(super) fn nobody_else_is_reached(subject: &Subject) -> Checked {
    subject.three(async |a, b, c| {
        b.subscribe(b"other").await?;
        until_it_comes(a, b, b"other").await?;
        for n in 0..PUBLICATIONS {
            for topic in [&b"news"[..], b"othe", b"other2", b""] {
                a.publish(topic, n.to_be_bytes().to_vec()).await?;
            }
            for end in [b, c] {
                let wrong =
                    published(round_trip(a, end).await?).find(|(_, topic, _)| topic != b"other");
                let seen = format_args!("{wrong:?}");
                ensure(
                    wrong.is_none(),
                    "published under what nobody subscribed to",
                    seen,
                )?;
            }
        }
        Ok(())
    })
}

pub(super) fn nothing_comes_twice(subject: &Subject) -> Checked {
    subject.three(async |a, b, c| {
        for end in [b, c] {
            end.subscribe(b"news").await?;
            until_it_comes(a, end, b"news").await?;
        }
        let mut seen = [(b, Vec::new()), (c, Vec::new())];
        for n in 0..PUBLICATIONS {
            // Other bytes than those before.
            a.publish(b"news", [1, 2, 3, 4, n as u8].to_vec()).await?;
            for (end, frames) in &mut seen {
                frames.extend(published(round_trip(a, end).await?).map(|(_, _, frame)| frame));
                frames.extend(published(round_trip(end, a).await?).map(|(_, _, frame)| frame));
            }
        }
        for (_, mut frames) in seen {
            frames.retain(|frame| frame.len() == 5);
            frames.sort();
            let twice = frames.windows(2).find(|two| two[0] == two[1]);
            ensure(
                twice.is_none(),
                "published each frame once",
                format_args!("{twice:?}"),
            )?;
        }
        Ok(())
    })
}

pub(super) fn a_slow_subscriber_holds_nobody_up(subject: &Subject) -> Checked {
    subject.three(async |a, b, c| {
        b.subscribe(b"news").await?;
        until_it_comes(a, b, b"news").await?;
        for _ in 0..4 * EVENTS_MAX {
            a.publish(b"news", vec![7; 1024]).await?;
        }
        round_trip(a, c).await?;
        round_trip(c, a).await.map(drop)
    })
}

pub(super) fn an_unsubscribed_topic_is_silent(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        b.subscribe(b"news").await?;
        until_it_comes(a, b, b"news").await?;
        b.unsubscribe(b"news").await?;
        // What waits may still be read.
        while now(event(b)).await.transpose()?.is_some() {}
        for n in 0..PUBLICATIONS {
            a.publish(b"news", n.to_be_bytes().to_vec()).await?;
            let late = published(round_trip(a, b).await?).next();
            let seen = format_args!("{late:?}");
            ensure(late.is_none(), "published after unsubscribing", seen)?;
        }
        b.unsubscribe(b"never subscribed to").await?;
        b.subscribe(b"news").await?;
        until_it_comes(a, b, b"news").await.map(drop)
    })
}

pub(super) fn topics_are_bounded(subject: &Subject) -> Checked {
    subject.both_ways(async |a, _b| {
        for n in 0..TOPICS_MAX {
            a.subscribe(&n.to_be_bytes()).await?;
        }
        a.subscribe(&0_usize.to_be_bytes()).await?;
        let more = a.subscribe(b"one more").await;
        is_error(
            &more,
            ErrorKind::Full,
            "subscribed to one topic more than the most",
        )?;
        a.unsubscribe(&0_usize.to_be_bytes()).await?;
        Ok(a.subscribe(b"one more").await?)
    })
}
