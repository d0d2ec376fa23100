//! Publications: from neighbour to neighbour, as far as each finds them fit.

use std::collections::BTreeSet;

use threads_core::transport::Acceptance;
use threads_db::sync::{Input, Output};

use super::{Event, Played, World};

/// What somebody published, and whom it has reached.
pub(super) struct Publication {
    author: usize,
    topic: Vec<u8>,
    frame: Vec<u8>,
    reached: BTreeSet<usize>,
}

impl World<'_> {
    pub(super) fn gossip(&mut self, at: usize, output: Output) -> Played {
        match output {
            Output::Subscribe(topic) => {
                let up = self.peers[at].up.as_mut();
                up.map(|up| up.topics.insert(topic));
            }
            Output::Unsubscribe(topic) => {
                let up = self.peers[at].up.as_mut();
                up.map(|up| up.topics.remove(&topic));
            }
            Output::Publish(topic, frame) => {
                self.digest.add(&frame);
                self.publications.push(Publication {
                    author: at,
                    topic,
                    frame,
                    reached: [at].into(),
                });
                self.carry(at, self.publications.len() - 1);
            }
            Output::Judge(number, Acceptance::Accept) => self.carry(at, number as usize),
            Output::Judge(_, Acceptance::Ignore) => {}
            Output::Judge(_, fit) => {
                return self.fail(format!("peer {at} judges what was published: {fit:?}"));
            }
            other => {
                return self.fail(format!("peer {at} wants what is not simulated: {other:?}"));
            }
        }
        Ok(())
    }

    /// Hands a publication on to the neighbours.
    fn carry(&mut self, at: usize, number: usize) {
        for to in (0..self.peers.len()).filter(|to| *to != at) {
            let Some(connection) = self.net.seen(at, to) else {
                continue;
            };
            if self.publications[number].reached.contains(&to) {
                continue;
            }
            self.count(at, to);
            for in_ms in self.net.ways(at, to, self.now, false) {
                self.push(in_ms, Event::Published(to, at, connection, number));
            }
        }
    }

    pub(super) fn published(&mut self, at: usize, by: usize, on: u64, number: usize) -> Played {
        if !self.arrives(by, at, on) {
            return Ok(());
        }
        let publication = &mut self.publications[number];
        let up = self.peers[at].up.as_ref();
        let reads = up.is_some_and(|up| up.topics.contains(&publication.topic));
        if !reads || !publication.reached.insert(at) {
            return Ok(());
        }
        let (author, topic) = (self.ids[publication.author], publication.topic.clone());
        let frame = publication.frame.clone();
        let life = self.peers[at].life;
        let input = Input::Published(author, number as u64, topic, frame);
        self.input(at, life, input)
    }
}
