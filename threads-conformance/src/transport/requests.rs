//! Laws of requests.

use std::future::pending;

use threads_core::transport::{PEER_EVENTS_MAX, REQUESTS_MIN, ReplyToken, TransportEvent};
use threads_core::{ErrorKind, PeerId};

use super::concurrent::{Enough, both, many, race};
use super::ends::{
    asked, connect, disconnected, event, frame, is_error, is_unavailable, round_trip,
};
use super::{End, Subject};
use crate::law::{Checked, Violation, ensure};

pub(super) fn the_asker_is_named(subject: &Subject) -> Checked {
    subject.three(async |a, b, c| {
        let answering = async {
            for _ in 0..2 {
                let asked = asked(b).await?;
                ensure(
                    asked.frame == asked.from.to_bytes(),
                    "two asked, each with its own id",
                    format_args!("a request from {}, with another id in it", asked.from),
                )?;
                b.reply(asked.token, asked.frame).await?;
            }
            Ok::<_, Violation>(())
        };
        let ask = async |end: &End| {
            let frame = end.local_peer().to_bytes().to_vec();
            end.request(b.local_peer(), frame).await
        };
        let (replies, answered) = both(both(ask(a), ask(c)), answering).await;
        answered?;
        for (end, reply) in [(a, replies.0?), (c, replies.1?)] {
            let right = reply == end.local_peer().to_bytes();
            ensure(right, "answered each with its own id", "it got another")?;
        }
        Ok(())
    })
}

pub(super) fn each_reply_finds_its_request(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        for round in 0..8_u32 {
            // Short and long ones, so that they overtake each other.
            let ask = async |n: u32| {
                let question = frame(4 + (n as usize % 4) * 10_000, n);
                (n, a.request(b.local_peer(), question).await)
            };
            let numbers = (0..REQUESTS_MIN as u32).map(|n| round * 1000 + n);
            let mut replies = Vec::new();
            let asking = async {
                let each = |(n, reply): (u32, threads_core::Result<Vec<u8>>)| {
                    let failed = reply.is_err();
                    replies.push((n, reply));
                    if failed { Enough::Yes } else { Enough::No }
                };
                many(numbers.map(ask), each).await;
                Ok(())
            };
            race(asking, answer_all(b, round % 2 == 0)).await?;
            for (n, reply) in replies {
                let reply = reply?;
                ensure(
                    reply == frame(reply.len(), n),
                    "answered 16 requests, each with what it asked",
                    format_args!("request {n} got another reply"),
                )?;
            }
        }
        Ok(())
    })
}

/// Reads as many requests as have to fit, and then answers each with what it asked.
async fn answer_all(end: &End, last_first: bool) -> Checked {
    let mut waiting = Vec::new();
    for _ in 0..REQUESTS_MIN {
        waiting.push(asked(end).await?);
    }
    if last_first {
        waiting.reverse();
    }
    for asked in waiting {
        end.reply(asked.token, asked.frame).await?;
    }
    pending().await
}

pub(super) fn a_dropped_token_is_an_error(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        let (reply, read) = both(a.request(b.local_peer(), vec![1]), asked_and_dropped(b)).await;
        read?;
        is_unavailable(&reply, "asked, and the other end dropped the token")
    })
}

async fn asked_and_dropped(end: &End) -> Checked {
    drop(asked(end).await?.token);
    Ok(())
}

pub(super) fn nobody_there_is_an_error(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        let nobody = PeerId::from_key_bytes([7; 32]);
        let reply = a.request(nobody, vec![1]).await;
        is_unavailable(&reply, "asked a peer that nobody has met")?;
        let reply = a.request(a.local_peer(), vec![1]).await;
        is_unavailable(&reply, "asked oneself")?;
        round_trip(a, b).await.map(drop)
    })
}

pub(super) fn a_peer_that_vanishes_is_an_error(subject: &Subject) -> Checked {
    for read in [true, false] {
        subject.both_ways(async |a, b| {
            let leaving = async {
                let token = match read {
                    true => Some(asked(b).await?.token),
                    false => None,
                };
                b.close();
                Ok::<_, Violation>(token)
            };
            let asking = a.request(b.local_peer(), vec![1]);
            let (reply, token) = both(asking, leaving).await;
            is_unavailable(&reply, "asked, and the other end was closed")?;
            drop(token?);
            disconnected(a, b.local_peer()).await?;
            let reply = a.request(b.local_peer(), vec![1]).await;
            is_unavailable(&reply, "asked an end that was closed")
        })?;
    }
    Ok(())
}

pub(super) fn a_disconnect_fails_requests(subject: &Subject) -> Checked {
    for asker_disconnects in [true, false] {
        subject.both_ways(async |a, b| {
            let parting = async {
                let asked = asked(b).await?;
                match asker_disconnects {
                    true => a.disconnect(b.local_peer()).await?,
                    false => b.disconnect(a.local_peer()).await?,
                }
                Ok::<_, Violation>(asked)
            };
            let (reply, asked) = both(a.request(b.local_peer(), vec![1]), parting).await;
            is_unavailable(&reply, "asked, and one end disconnected")?;
            disconnected(a, b.local_peer()).await?;
            disconnected(b, a.local_peer()).await?;
            // A reply to nobody does no harm.
            let asked = asked?;
            drop(b.reply(asked.token, asked.frame).await);
            let reply = a.request(b.local_peer(), vec![1]).await;
            is_unavailable(&reply, "asked a peer after one end disconnected")?;
            a.disconnect(b.local_peer()).await?;

            connect(a, b).await?;
            round_trip(a, b).await?;
            round_trip(b, a).await.map(drop)
        })?;
    }
    Ok(())
}

pub(super) fn a_request_nobody_waits_for_is_forgotten(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        for _ in 0..4 * PEER_EVENTS_MAX {
            let asking = async {
                let reply = a.request(b.local_peer(), vec![1]).await;
                let seen = format!("it was not read: {:?}", reply.map(|_| ()));
                Err(Violation::new("asked while no other request waits", seen))
            };
            // The request is dropped once it is read.
            let asked = race(asked(b), asking).await?;
            drop(b.reply(asked.token, asked.frame).await);
        }
        round_trip(a, b).await.map(drop)
    })
}

pub(super) fn a_foreign_token_is_invalid(subject: &Subject) -> Checked {
    struct Foreign;
    subject.both_ways(async |a, b| {
        let replied = a.reply(ReplyToken::new(Foreign), vec![1]).await;
        is_error(
            &replied,
            ErrorKind::Invalid,
            "replied with a token of another transport",
        )?;
        let others = round_trip(a, b).await?;
        let none = others.is_empty();
        ensure(
            none,
            "replied with a token of another transport",
            format_args!("{others:?}"),
        )
    })
}

/// Reads events until one is the request of this peer; drops others.
pub(super) async fn asked_by(end: &End, peer: PeerId) -> Result<ReplyToken, Violation> {
    loop {
        match event(end).await? {
            TransportEvent::Request { from, token, .. } if from == peer => return Ok(token),
            _ => {}
        }
    }
}
