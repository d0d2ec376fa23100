//! Requests and replies.

use std::collections::hash_map::Entry;

use libp2p::request_response::{self, Message, ResponseChannel};
use threads_core::transport::ReplyToken;
use threads_core::{Error, PeerId};
use tokio::time::Instant;

use super::{Task, tell, unavailable};
use crate::command::{Done, Way};
use crate::frames::Frame;
use crate::peer::{ours, theirs};

impl Task {
    pub(super) fn request(&mut self, peer: PeerId, frame: Vec<u8>, done: Done<Vec<u8>>) {
        if !self.connected.contains(&peer) || self.disconnecting.contains_key(&peer) {
            let error = Error::unavailable("the peer is not connected").with("peer", peer);
            return tell(done, Err(error));
        }
        let until = Instant::now() + self.limits.request;
        if let Err(done) = self.outgoing.push(peer, frame, done, until) {
            self.shared
                .counting
                .count(|counters| counters.requests_refused += 1);
            let error = Error::unavailable("too many requests to the peer wait").with("peer", peer);
            return tell(done, Err(error));
        }
        self.send_queued(peer);
    }

    /// Puts on the wire what may go there.
    fn send_queued(&mut self, peer: PeerId) {
        let (frames, counting) = (
            &mut self.swarm.behaviour_mut().frames,
            &self.shared.counting,
        );
        let to = theirs(peer);
        self.outgoing.send(peer, |frame| {
            counting.frame_out(frame.len());
            frames.send_request(&to, frame.into())
        });
    }

    pub(super) fn reply(&mut self, Way(peer, channel): Way, frame: Vec<u8>, done: Done<()>) {
        let bytes = frame.len();
        if !self.connected.contains(&peer) {
            return tell(done, Err(Error::unavailable("the peer went away")));
        }
        let Some(room) = self.replying.room(peer, bytes) else {
            let error = Error::unavailable("too many replies wait to be read by those who asked");
            return tell(done, Err(error.with("peer", peer)));
        };
        let frames = &mut self.swarm.behaviour_mut().frames;
        let sent = frames.send_response(channel, Frame::with_room(frame, room));
        if sent.is_ok() {
            self.shared.counting.frame_out(bytes);
        }
        tell(
            done,
            sent.map_err(|_| Error::unavailable("nobody waits for the reply any more")),
        );
    }

    pub(super) fn handle_frames(&mut self, event: request_response::Event<Frame, Frame>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request, channel, ..
                } => {
                    *self.answering.entry(peer).or_default() += 1;
                    self.asked(&peer, request, channel);
                }
                Message::Response {
                    request_id,
                    response,
                } => {
                    self.shared.counting.frame_in(response.bytes.len());
                    if let Some((peer, asker)) = self.outgoing.ended(request_id) {
                        tell(asker, Ok(response.bytes));
                        self.send_queued(peer);
                    }
                }
            },
            request_response::Event::OutboundFailure {
                request_id, error, ..
            } => {
                if let Some((peer, asker)) = self.outgoing.ended(request_id) {
                    self.shared
                        .counting
                        .count(|counters| counters.requests_failed += 1);
                    tell(
                        asker,
                        Err(unavailable("the peer did not reply", error).with("peer", peer)),
                    );
                    if self.connected.contains(&peer) {
                        self.send_queued(peer);
                    }
                }
            }
            request_response::Event::ResponseSent { peer, .. }
            | request_response::Event::InboundFailure { peer, .. } => self.answered(peer),
        }
    }

    /// A request of a peer has its reply, or gets none.
    fn answered(&mut self, peer: libp2p::PeerId) {
        if let Entry::Occupied(mut count) = self.answering.entry(peer) {
            match count.get() {
                2.. => *count.get_mut() -= 1,
                _ => drop(count.remove()),
            }
        }
    }

    /// What a peer asks goes to the reader, or is refused by dropping the way back.
    fn asked(&self, peer: &libp2p::PeerId, request: Frame, channel: ResponseChannel<Frame>) {
        self.shared.counting.frame_in(request.bytes.len());
        let Some(from) = ours(peer).filter(|from| self.connected.contains(from)) else {
            return;
        };
        let refused =
            self.shared
                .inbox
                .request(from, ReplyToken::new(Way(from, channel)), request.bytes);
        if refused.is_err() {
            self.shared
                .counting
                .count(|counters| counters.requests_refused += 1);
        }
    }
}
