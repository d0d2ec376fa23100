//! Laws of connections.

use threads_core::ErrorKind;
use threads_core::transport::{named_peer, with_peer};

use super::Subject;
use super::concurrent::{both, now};
use super::ends::{address, connected, disconnected, event, is_error, is_unavailable, round_trip};
use crate::law::{Checked, Violation, ensure};

pub(super) fn addresses_name_the_peer(subject: &Subject) -> Checked {
    let end = subject.end()?;
    let addresses = end.addresses();
    ensure(!addresses.is_empty(), "made an end", "it has no address")?;
    for address in addresses {
        let right = named_peer(&address) == Some(end.local_peer());
        let seen = format_args!("{address}, which does not end in {}", end.local_peer());
        ensure(right, "asked an end for its addresses", seen)?;
    }
    Ok(())
}

pub(super) fn an_address_leads_to_its_peer_once(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        for (caller, called) in [(a, b), (b, a)] {
            for address in called.addresses() {
                let there = caller.connect(&address).await?;
                let seen = format_args!("connect says that {there} is there");
                let right = there == called.local_peer();
                ensure(right, format_args!("connected to {address} again"), seen)?;
            }
        }
        for (asker, asked) in [(a, b), (b, a)] {
            let news = round_trip(asker, asked).await?;
            ensure(news.is_empty(), "connected again", format_args!("{news:?}"))?;
        }
        Ok(())
    })?;
    let (a, b) = (subject.end()?, subject.end()?);
    subject.run(async {
        let (to_a, to_b) = (address(&a)?, address(&b)?);
        let (there, back) = both(a.connect(&to_b), b.connect(&to_a)).await;
        ensure(
            (there?, back?) == (b.local_peer(), a.local_peer()),
            "connected from both ends at once",
            "connect gives another peer",
        )?;
        connected(&a, b.local_peer()).await?;
        connected(&b, a.local_peer()).await?;
        for (asker, asked) in [(&a, &b), (&b, &a)] {
            let news = round_trip(asker, asked).await?;
            let none = news.is_empty();
            ensure(
                none,
                "connected from both ends at once",
                format_args!("{news:?}"),
            )?;
        }
        Ok(())
    })
}

pub(super) fn where_nobody_is_is_an_error(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        let there = address(b)?;
        b.close();
        disconnected(a, b.local_peer()).await?;
        let connected = a.connect(&there).await;
        is_unavailable(&connected, "connected to an address whose peer is closed")?;
        let news = now(event(a)).await.transpose()?;
        let seen = format_args!("{news:?}");
        ensure(
            news.is_none(),
            "connected to an address whose peer is closed",
            seen,
        )
    })
}

pub(super) fn another_peer_is_refused(subject: &Subject) -> Checked {
    let (a, b, c) = (subject.end()?, subject.end()?, subject.end()?);
    subject.run(async {
        // They may be connected from the start.
        a.disconnect(b.local_peer()).await?;
        let mut wrong = address(&b)?;
        wrong.pop();
        let wrong = with_peer(wrong, c.local_peer());
        let done = "connected to an address that names another peer";
        is_unavailable(&a.connect(&wrong).await, done)?;
        let reply = a.request(b.local_peer(), vec![1]).await;
        is_unavailable(&reply, "asked the peer that was there instead")?;
        // Without the name it is whoever is there.
        wrong_end_removed(&a, wrong, b.local_peer()).await
    })
}

async fn wrong_end_removed(
    a: &super::End,
    mut address: threads_core::Multiaddr,
    wanted: threads_core::PeerId,
) -> Checked {
    address.pop();
    let there = a.connect(&address).await?;
    match there == wanted {
        true => Ok(()),
        false => Err(Violation::new(
            format_args!("connected to {address}"),
            format_args!("connect says that {there} is there"),
        )),
    }
}

pub(super) fn nobody_calls_oneself(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        let called = a.connect(&address(a)?).await;
        is_error(&called, ErrorKind::Invalid, "connected to the own address")?;
        let news = round_trip(b, a).await?;
        ensure(
            news.is_empty(),
            "connected to the own address",
            format_args!("{news:?}"),
        )
    })
}
