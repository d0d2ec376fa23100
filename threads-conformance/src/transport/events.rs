//! Laws of events.

use std::future::pending;

use threads_core::transport::{EVENTS_MAX, TransportEvent};

use super::concurrent::{both, race, woken_and_dropped};
use super::ends::{address, asked, connect, connected, disconnected, event};
use super::queues::refused;
use super::{End, Subject};
use crate::law::{Checked, Violation, ensure};

/// How often a peer comes and goes.
const TIMES: usize = 20;

pub(super) fn news_comes_in_turn(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        let there = address(b)?;
        for _ in 0..TIMES {
            // A request is under way when the connection ends.
            let asking = async {
                let _lost = a.request(b.local_peer(), b"before".to_vec()).await;
                disconnected(a, b.local_peer()).await
            };
            let parting = async { Ok::<_, Violation>(a.disconnect(b.local_peer()).await?) };
            let (told, parted) = both(asking, parting).await;
            parted?;
            told?;
            a.connect(&there).await?;
            connected(a, b.local_peer()).await?;
        }
        let last = async {
            a.request(b.local_peer(), b"last".to_vec()).await?;
            Ok(())
        };
        race(last, in_turn(b, a)).await
    })
}

/// Reads up to the last request: the peer was connected when this began.
async fn in_turn(end: &End, peer: &End) -> Checked {
    let peer = peer.local_peer();
    let (mut is_connected, mut read) = (true, Vec::new());
    let done = format!("{peer} disconnected and connected {TIMES} times, unread");
    loop {
        let event = event(end).await?;
        read.push(format!("{event:?}"));
        let seen = format!(
            "{} at the end of {read:?}",
            if is_connected { "connected" } else { "gone" }
        );
        match event {
            TransportEvent::Connected(there) if there == peer => {
                ensure(!is_connected, &done, &seen)?;
                is_connected = true;
            }
            TransportEvent::Disconnected(gone) if gone == peer => {
                ensure(is_connected, &done, &seen)?;
                is_connected = false;
            }
            TransportEvent::Request { token, frame, .. } => {
                ensure(is_connected, &done, &seen)?;
                if frame == b"last" {
                    end.reply(token, frame).await?;
                    return pending().await;
                }
            }
            _ => return Err(Violation::new(done, seen)),
        }
    }
}

pub(super) fn news_is_never_lost(subject: &Subject) -> Checked {
    for caller_is_third in [true, false] {
        let (a, b, c) = (subject.end()?, subject.end()?, subject.end()?);
        subject.run(async {
            connect(&a, &b).await?;
            // Where everyone is connected from the start, this is news as well.
            connect_quietly(&c, &b).await?;
            c.disconnect(b.local_peer()).await?;
            news_of(&b, &c, false).await?;
            refused(&a, &b, 2 * EVENTS_MAX, 1, 1).await?;
            let (caller, called) = if caller_is_third { (&c, &b) } else { (&b, &c) };
            caller.connect(&address(called)?).await?;
            news_of(&b, &c, true).await?;
            a.disconnect(b.local_peer()).await?;
            news_of(&b, &a, false).await
        })?;
    }
    Ok(())
}

/// Connects two of whom the first has read nothing yet.
async fn connect_quietly(caller: &End, called: &End) -> Checked {
    caller.connect(&address(called)?).await?;
    news_of(called, caller, true).await
}

/// Reads until it is news that a peer came, or went.
async fn news_of(end: &End, peer: &End, comes: bool) -> Checked {
    for _ in 0..=2 * EVENTS_MAX {
        match event(end).await? {
            TransportEvent::Connected(there) if comes && there == peer.local_peer() => {
                return Ok(());
            }
            TransportEvent::Disconnected(gone) if !comes && gone == peer.local_peer() => {
                return Ok(());
            }
            _ => {}
        }
    }
    let done = format_args!("connected is {comes} now of {}", peer.local_peer());
    Err(Violation::new(done, "many other events, and no news of it"))
}

pub(super) fn next_event_is_cancel_safe(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        for n in 0..100_u8 {
            let reading = async {
                match woken_and_dropped(b.next_event(), 1 + n as usize % 3).await {
                    // Ready at once, or something that laws do not look at.
                    Some(Ok(TransportEvent::Request { token, frame, .. })) => {
                        b.reply(token, frame).await?;
                        return pending::<Checked>().await;
                    }
                    Some(Err(error)) => return Err(error.into()),
                    Some(Ok(_)) | None => {}
                }
                let asked = asked(b).await?;
                ensure(
                    asked.frame == [n],
                    "dropped a next_event that was woken, and called it again",
                    format_args!("another request than {n}: {:?}", asked.frame),
                )?;
                b.reply(asked.token, asked.frame).await?;
                pending().await
            };
            let asking = async {
                a.request(b.local_peer(), vec![n]).await?;
                Ok(())
            };
            race(reading, asking).await?;
        }
        Ok(())
    })
}
