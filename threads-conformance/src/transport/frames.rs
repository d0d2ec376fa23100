//! Laws of frames.

use threads_core::ErrorKind;
use threads_core::transport::{FRAME_BYTES_MAX, PUBLICATION_BYTES_MAX, TOPIC_BYTES_MAX};

use super::concurrent::both;
use super::ends::{asked, asks, frame, is_error, is_unavailable};
use super::{End, Subject};
use crate::law::{Checked, Violation, ensure};

pub(super) fn frames_arrive_whole(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        for bytes in [0, 1, 70_000, FRAME_BYTES_MAX] {
            for (asker, asked) in [(a, b), (b, a)] {
                arrives_whole(asker, asked, bytes).await?;
            }
        }
        Ok(())
    })
}

async fn arrives_whole(asker: &End, there: &End, bytes: usize) -> Checked {
    let (question, answer) = (frame(bytes, 1), frame(bytes, 2));
    let reply = asks(asker, there, question.clone(), async |asked| {
        let right = asked.frame == question;
        let seen = format_args!("another one, of {} bytes", asked.frame.len());
        ensure(right, format_args!("asked with {bytes} bytes"), seen)?;
        Ok(there.reply(asked.token, answer.clone()).await?)
    });
    let reply = reply.await?;
    let seen = format_args!("another one, of {} bytes", reply.len());
    ensure(
        reply == answer,
        format_args!("replied with {bytes} bytes"),
        seen,
    )
}

pub(super) fn what_is_too_long_is_refused(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        let invalid = ErrorKind::Invalid;
        let long = vec![0; FRAME_BYTES_MAX + 1];
        let asked_long = a.request(b.local_peer(), long.clone()).await;
        is_error(&asked_long, invalid, "asked with a byte too much")?;
        let replying = async {
            let token = asked(b).await?.token;
            Ok::<_, Violation>(b.reply(token, long.clone()).await)
        };
        let (reply, replied) = both(a.request(b.local_peer(), vec![1]), replying).await;
        is_error(&replied?, invalid, "replied with a byte too much")?;
        is_unavailable(&reply, "waited for a reply that was too long to send")?;

        let most = vec![0; PUBLICATION_BYTES_MAX];
        a.publish(&[0; TOPIC_BYTES_MAX], most).await?;
        let published = a.publish(b"t", vec![0; PUBLICATION_BYTES_MAX + 1]).await;
        is_error(&published, invalid, "published a byte too much")?;
        let topic = [0; TOPIC_BYTES_MAX + 1];
        let published = a.publish(&topic, vec![]).await;
        is_error(
            &published,
            invalid,
            "published under a topic a byte too long",
        )?;
        a.subscribe(&topic[1..]).await?;
        let subscribed = a.subscribe(&topic).await;
        is_error(
            &subscribed,
            invalid,
            "subscribed to a topic a byte too long",
        )
    })
}
