//! Who provides what, in the distributed hash table.

use std::collections::HashMap;

use libp2p::core::Endpoint;
use libp2p::kad::store::{self, RecordStore};
use libp2p::kad::{
    self, AddProviderError, GetProvidersOk, InboundRequest, ProviderRecord, QueryResult, RecordKey,
};
use libp2p::swarm::{ConnectionId, NetworkBehaviour};
use libp2p::{Multiaddr, PeerId};
use threads_core::transport::FOUND_ADDRESSES_MAX;
use threads_core::{Error, Result};
use tokio::time::Instant;

use super::{Task, tell, unavailable};
use crate::book::usable;
use crate::command::Done;
use crate::limits::{
    PEER_ADDRESSES_MAX, PROVIDED_BY_OTHERS_MAX, PROVIDED_MAX, PROVIDERS_MAX, QUERIES_MAX,
};

/// A question that is under way, and who waits for the answer.
pub(crate) enum Query {
    Provide(Done<()>),
    Find {
        found: Vec<Multiaddr>,
        providers: Vec<PeerId>,
        done: Done<Vec<Multiaddr>>,
    },
}

/// The keys that are kept: how many are ours, and until when those of others.
#[derive(Default)]
pub(crate) struct Provided {
    ours: usize,
    others: HashMap<RecordKey, Option<std::time::Instant>>,
}

impl Provided {
    /// Whether there is room for a record of somebody else.
    fn has_room_for(&mut self, record: &ProviderRecord) -> bool {
        if record.key.as_ref().len() != 32 || record.addresses.len() > PEER_ADDRESSES_MAX {
            return false;
        }
        if self.others.len() >= PROVIDED_BY_OTHERS_MAX && !self.others.contains_key(&record.key) {
            let now = Instant::now().into_std();
            self.others
                .retain(|_, until| until.is_none_or(|until| until > now));
        }
        if self.others.len() >= PROVIDED_BY_OTHERS_MAX && !self.others.contains_key(&record.key) {
            return false;
        }
        self.others.insert(record.key.clone(), record.expires);
        true
    }
}

impl Task {
    /// The hash table, with room for one more question.
    fn table(&mut self) -> Result<Option<&mut kad::Behaviour<store::MemoryStore>>> {
        let under_way = self.queries.len();
        match self.swarm.behaviour_mut().kad.as_mut() {
            Some(_) if under_way >= QUERIES_MAX => Err(Error::unavailable(
                "too many questions to the hash table are under way",
            )),
            kad => Ok(kad),
        }
    }

    pub(super) fn provide(&mut self, key: &[u8; 32], done: Done<()>) {
        let key = RecordKey::new(key);
        let full = self.provided.ours >= PROVIDED_MAX;
        let me = *self.swarm.local_peer_id();
        let kad = match self.table() {
            Ok(Some(kad)) => kad,
            Ok(None) => return tell(done, Ok(())),
            Err(error) => return tell(done, Err(error)),
        };
        let mut providers = kad.store_mut().providers(&key).into_iter();
        let again = providers.any(|record| record.provider == me);
        if full && !again {
            let error = Error::full("too many keys are provided").with("most", PROVIDED_MAX);
            return tell(done, Err(error));
        }
        match kad.start_providing(key) {
            Ok(id) => {
                self.provided.ours += usize::from(!again);
                self.queries.insert(id, Query::Provide(done));
            }
            Err(error) => {
                let error = Error::full("the hash table has no room").with("cause", error);
                tell(done, Err(error));
            }
        }
    }

    pub(super) fn find(&mut self, key: &[u8; 32], done: Done<Vec<Multiaddr>>) {
        let kad = match self.table() {
            Ok(Some(kad)) => kad,
            Ok(None) => return tell(done, Ok(Vec::new())),
            Err(error) => return tell(done, Err(error)),
        };
        let id = kad.get_providers(RecordKey::new(key));
        let (found, providers) = (Vec::new(), Vec::new());
        self.queries.insert(
            id,
            Query::Find {
                found,
                providers,
                done,
            },
        );
    }

    pub(super) fn handle_kad(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest {
                request:
                    InboundRequest::AddProvider {
                        record: Some(record),
                    },
            } => self.provided_by_another(record),
            kad::Event::OutboundQueryProgressed {
                id, result, step, ..
            } => {
                match result {
                    QueryResult::StartProviding(outcome) => self.said(&id, outcome.err()),
                    QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders {
                        providers,
                        ..
                    })) => {
                        self.found(&id, providers.into_iter());
                    }
                    _ => {}
                }
                if step.last
                    && let Some(Query::Find { found, done, .. }) = self.queries.remove(&id)
                {
                    tell(done, Ok(found));
                }
            }
            _ => {}
        }
    }

    /// Keeps what another peer says that it provides. Without addresses it counts on being known.
    fn provided_by_another(&mut self, mut record: ProviderRecord) {
        if record.addresses.is_empty() {
            record.addresses = self.book.get(&record.provider, Instant::now()).to_vec();
        }
        record.addresses = usable(record.addresses, self.is_near());
        let fits = self.provided.has_room_for(&record);
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut().filter(|_| fits) {
            // It has room by what has just been counted.
            let _full = kad.store_mut().add_provider(record);
        }
    }

    fn said(&mut self, id: &kad::QueryId, error: Option<AddProviderError>) {
        if let Some(Query::Provide(done)) = self.queries.remove(id) {
            tell(
                done,
                match error {
                    None => Ok(()),
                    Some(error) => Err(unavailable("it could not be told to anybody", error)),
                },
            );
        }
    }

    /// Takes down the addresses of providers, while the question still knows them.
    fn found(&mut self, id: &kad::QueryId, peers: impl Iterator<Item = PeerId>) {
        let me = *self.swarm.local_peer_id();
        for peer in peers.filter(|peer| *peer != me) {
            let Some(Query::Find { providers, .. }) = self.queries.get_mut(id) else {
                return;
            };
            if providers.contains(&peer) || providers.len() >= PROVIDERS_MAX {
                continue;
            }
            providers.push(peer);
            let mut addrs = self.book.get(&peer, Instant::now()).to_vec();
            addrs.extend(self.told_by_others(peer));
            let named = addrs
                .into_iter()
                .filter_map(|addr| addr.with_p2p(peer).ok());
            if let Some(Query::Find { found, .. }) = self.queries.get_mut(id) {
                for addr in named {
                    if found.len() < FOUND_ADDRESSES_MAX && !found.contains(&addr) {
                        found.push(addr);
                    }
                }
            }
        }
    }

    /// What the hash table knows of a peer's addresses: it would use them itself to dial.
    fn told_by_others(&mut self, peer: PeerId) -> Vec<Multiaddr> {
        let near = self.is_near();
        let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() else {
            return Vec::new();
        };
        let (id, dialer) = (ConnectionId::new_unchecked(0), Endpoint::Dialer);
        let addrs = kad.handle_pending_outbound_connection(id, Some(peer), &[], dialer);
        usable(addrs.unwrap_or_default(), near)
    }

    /// Whether this end talks within private networks only. If not, what others tell never leads it
    /// into one.
    fn is_near(&self) -> bool {
        self.near.len() as u64 == self.shared.counting.now().connections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: usize, until: Option<std::time::Instant>) -> ProviderRecord {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&key.to_be_bytes());
        ProviderRecord {
            key: RecordKey::new(&bytes),
            provider: PeerId::random(),
            expires: until,
            addresses: Vec::new(),
        }
    }

    #[tokio::test]
    async fn what_others_provide_is_bounded_and_makes_room_when_it_ends() {
        let mut provided = Provided::default();
        let past = Instant::now().into_std();
        assert!(provided.has_room_for(&record(0, Some(past))));
        for key in 1..PROVIDED_BY_OTHERS_MAX {
            assert!(provided.has_room_for(&record(key, None)));
        }
        assert!(
            provided.has_room_for(&record(PROVIDED_BY_OTHERS_MAX, None)),
            "one has ended"
        );
        assert!(!provided.has_room_for(&record(PROVIDED_BY_OTHERS_MAX + 1, None)));
        assert!(
            provided.has_room_for(&record(1, None)),
            "a known key needs no room"
        );
        assert_eq!(provided.others.len(), PROVIDED_BY_OTHERS_MAX);

        let mut odd = record(1, None);
        odd.key = RecordKey::new(b"short");
        assert!(!provided.has_room_for(&odd));
    }
}
