//! How many connections others may make from one address; none when this end closes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::ListenFailure;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};

/// The address at the beginning, or none: behind a relay there is none.
pub(crate) fn ip(addr: &Multiaddr) -> Option<IpAddr> {
    match addr.iter().next()? {
        _ if addr.iter().any(|part| part == Protocol::P2pCircuit) => None,
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    }
}

/// Refuses connections from an address that has too many, those under way included.
pub(crate) struct PerIp {
    most: u32,
    shut: bool,
    of: HashMap<ConnectionId, IpAddr>,
    counts: HashMap<IpAddr, u32>,
}

#[derive(Debug)]
struct Shut;

impl fmt::Display for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this end is closing")
    }
}

impl std::error::Error for Shut {}

#[derive(Debug)]
struct TooMany(IpAddr);

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "too many connections from {}", self.0)
    }
}

impl std::error::Error for TooMany {}

impl PerIp {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            shut: false,
            of: HashMap::new(),
            counts: HashMap::new(),
        }
    }

    /// Takes in nobody from now on, whoever is on the way included.
    pub(crate) fn shut(&mut self) {
        self.shut = true;
    }

    fn begin(&mut self, id: ConnectionId, ip: IpAddr) -> Result<(), TooMany> {
        let count = self.counts.entry(ip).or_default();
        if *count >= self.most {
            return Err(TooMany(ip));
        }
        *count += 1;
        self.of.insert(id, ip);
        Ok(())
    }

    fn end(&mut self, id: ConnectionId) {
        let Some(ip) = self.of.remove(&id) else {
            return;
        };
        if let Some(count) = self.counts.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&ip);
            }
        }
    }
}

impl NetworkBehaviour for PerIp {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        match ip(remote) {
            Some(ip) => self.begin(id, ip).map_err(ConnectionDenied::new),
            None => Ok(()),
        }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _id: ConnectionId,
        _peer: libp2p::PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        match self.shut {
            true => Err(ConnectionDenied::new(Shut)),
            false => Ok(dummy::ConnectionHandler),
        }
    }

    fn handle_established_outbound_connection(
        &mut self,
        _id: ConnectionId,
        _peer: libp2p::PeerId,
        _addr: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.end(connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _peer: libp2p::PeerId,
        _id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_38_an_address_has_a_bound_and_gets_its_room_back() {
        let here: Multiaddr = "/ip4/192.0.2.7/tcp/4001".parse().unwrap();
        let there: Multiaddr = "/ip4/192.0.2.8/tcp/4001".parse().unwrap();
        let mut limit = PerIp::new(2);
        let call = |limit: &mut PerIp, n, from: &Multiaddr| {
            let id = ConnectionId::new_unchecked(n);
            limit
                .handle_pending_inbound_connection(id, &here, from)
                .is_ok()
        };
        assert!(call(&mut limit, 1, &here) && call(&mut limit, 2, &here));
        assert!(!call(&mut limit, 3, &here));
        assert!(call(&mut limit, 4, &there));
        limit.end(ConnectionId::new_unchecked(1));
        assert!(call(&mut limit, 5, &here));
        for n in 0..10 {
            limit.end(ConnectionId::new_unchecked(n));
        }
        assert!(limit.counts.is_empty() && limit.of.is_empty());
    }

    #[test]
    fn behind_a_relay_no_address_is_known() {
        let relay = "/ip4/192.0.2.7/tcp/4001/p2p-circuit".parse().unwrap();
        assert_eq!(ip(&relay), None);
    }
}
