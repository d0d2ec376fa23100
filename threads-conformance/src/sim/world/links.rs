//! Connections between peers, and the frames on them.

use threads_core::{Error, Result};
use threads_db::sync::{CallId, Input, RequestId};

use super::super::peer::Asked;
use super::super::plant::Plant;
use super::{Event, Played, TIMEOUT_MS, World};

/// How long it takes at most to connect, and to find that a connection is gone, in milliseconds.
const MEET_MS_MAX: u64 = 3_000;
const DETECT_MS_MAX: u64 = 15_000;
/// Within how long the calls on a connection that is gone end, in milliseconds.
const END_MS_MAX: u64 = 20;

impl World<'_> {
    /// Two peers try to connect soon.
    pub(super) fn meet(&mut self, a: usize, b: usize) {
        let in_ms = 1 + self.net.below(MEET_MS_MAX);
        self.push(in_ms, Event::Join(a, b));
    }

    pub(super) fn join(&mut self, a: usize, b: usize) -> Played {
        let both = self.peers[a].up.is_some() && self.peers[b].up.is_some();
        if self.apart.contains(&(a.min(b), a.max(b))) {
            return Ok(());
        }
        if both && !self.net.is_cut(a, b) && self.net.connection(a, b).is_none() {
            let number = self.net.connect(a, b);
            for (at, of) in [(a, b), (b, a)] {
                let in_ms = self.net.way(of, at);
                self.push(in_ms, Event::Seen(at, of, number));
            }
        }
        Ok(())
    }

    pub(super) fn sees(&mut self, at: usize, of: usize, number: u64) -> Played {
        let known = self.net.seen(at, of);
        if self.net.connection(at, of) != Some(number) || known == Some(number) {
            return Ok(());
        }
        if let Some(old) = known {
            self.is_lost(at, of, old)?;
        }
        self.digest.add(b"connected");
        self.net.see(at, of, Some(number));
        let (life, id) = (self.peers[at].life, self.ids[of]);
        self.input(at, life, Input::Connected(id))
    }

    pub(super) fn loses(&mut self, at: usize, of: usize, number: u64) -> Played {
        let gone = self.net.connection(at, of) != Some(number);
        if self.net.seen(at, of) != Some(number) || !(gone || self.net.is_cut(at, of)) {
            return Ok(());
        }
        if !gone {
            self.net.disconnect(at, of);
            let in_ms = self.net.below(DETECT_MS_MAX);
            self.push(in_ms, Event::Lost(of, at, number));
        }
        self.meet(at, of);
        self.is_lost(at, of, number)
    }

    /// A peer finds that a connection is gone: its calls on it end, soon before or after.
    fn is_lost(&mut self, at: usize, of: usize, number: u64) -> Played {
        self.digest.add(b"lost");
        self.net.see(at, of, None);
        let life = self.peers[at].life;
        let calls = self.peers[at].up.iter().flat_map(|up| &up.calls);
        let ended: Vec<CallId> = calls
            .filter(|(_, on)| **on == (of, number))
            .map(|(call, _)| *call)
            .collect();
        for call in ended {
            if self.net.below(2) == 0 {
                let gone = Error::unavailable("the connection is gone");
                self.end_call(at, life, call, Err(gone))?;
            } else {
                let in_ms = self.net.below(END_MS_MAX);
                self.push(in_ms, Event::Ended(at, life, call));
            }
        }
        self.input(at, life, Input::Disconnected(self.ids[of]))
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.net.cut(from, to);
        for (at, of) in [(from, to), (to, from)] {
            if let Some(number) = self.net.seen(at, of) {
                let in_ms = self.net.below(DETECT_MS_MAX);
                self.push(in_ms, Event::Lost(at, of, number));
            }
        }
    }

    /// A peer ends the connection to another, for good.
    pub(super) fn part(&mut self, at: usize, of: usize) {
        self.apart.insert((at.min(of), at.max(of)));
        if let Some(number) = self.net.seen(at, of) {
            self.net.disconnect(at, of);
            self.push(0, Event::Lost(at, of, number));
            let in_ms = self.net.below(DETECT_MS_MAX);
            self.push(in_ms, Event::Lost(of, at, number));
        }
    }

    /// A peer is gone: the others find out.
    pub(super) fn break_links(&mut self, at: usize) {
        for other in (0..self.peers.len()).filter(|other| *other != at) {
            self.net.disconnect(at, other);
            self.net.see(at, other, None);
            if let Some(number) = self.net.seen(other, at) {
                let in_ms = self.net.below(DETECT_MS_MAX);
                self.push(in_ms, Event::Lost(other, at, number));
            }
        }
    }

    /// Sends a request.
    pub(super) fn call(&mut self, at: usize, to: usize, call: CallId, frame: Vec<u8>) {
        self.count(at, to);
        self.digest.add(&frame);
        let life = self.peers[at].life;
        let Some(connection) = self.net.seen(at, to) else {
            if let Some(up) = &mut self.peers[at].up {
                up.calls.insert(call, (to, 0));
            }
            return self.push(1, Event::Ended(at, life, call));
        };
        if let Some(up) = &mut self.peers[at].up {
            up.calls.insert(call, (to, connection));
        }
        self.push(TIMEOUT_MS, Event::Ended(at, life, call));
        for in_ms in self.net.ways(at, to, self.now, true) {
            let asked = Asked {
                from: at,
                life,
                call,
                connection,
            };
            self.push(in_ms, Event::Request(to, asked, frame.clone()));
        }
    }

    /// Whether a frame that was sent on a connection arrives.
    pub(super) fn arrives(&mut self, from: usize, to: usize, connection: u64) -> bool {
        self.net.arrives(from, to) && self.net.connection(from, to) == Some(connection)
    }

    pub(super) fn request(&mut self, at: usize, asked: Asked, frame: Vec<u8>) -> Played {
        if !self.arrives(asked.from, at, asked.connection) {
            return Ok(());
        }
        // What a peer asks comes after the news that it is connected.
        self.sees(at, asked.from, asked.connection)?;
        let (life, id) = (self.peers[at].life, self.ids[asked.from]);
        let Some(up) = &mut self.peers[at].up else {
            return Ok(());
        };
        up.next_request += 1;
        let request = up.next_request;
        up.requests.insert(request, asked);
        self.input(at, life, Input::Request(id, request, frame))
    }

    pub(super) fn send_reply(&mut self, at: usize, request: RequestId, reply: Result<Vec<u8>>) {
        self.digest.add(reply.as_deref().unwrap_or(b"refused"));
        let up = self.peers[at].up.as_mut();
        let Some(asked) = up.and_then(|up| up.requests.remove(&request)) else {
            return;
        };
        self.count(at, asked.from);
        for in_ms in self.net.ways(at, asked.from, self.now, false) {
            let reply = match &reply {
                Ok(frame) => Ok(frame.clone()),
                Err(_) => Err(Error::unavailable("refused")),
            };
            let reply = self.swapped(at, &asked, reply);
            self.push(in_ms, Event::Reply(at, asked, reply));
        }
    }

    /// The planted defect of a transport that gives a reply to another request.
    fn swapped(&mut self, at: usize, to: &Asked, mut reply: Result<Vec<u8>>) -> Result<Vec<u8>> {
        if self.plant == Some(Plant::SwapsReplies) {
            let waiting = self.queue.values_mut().find_map(|event| match event {
                Event::Reply(by, asked, other) if *by == at && asked.from == to.from => Some(other),
                _ => None,
            });
            if let Some(other) = waiting {
                std::mem::swap(other, &mut reply);
            }
        }
        reply
    }

    pub(super) fn reply(&mut self, by: usize, asked: Asked, reply: Result<Vec<u8>>) -> Played {
        if !self.arrives(by, asked.from, asked.connection) {
            return Ok(());
        }
        self.end_call(asked.from, asked.life, asked.call, reply)
    }

    /// Ends a call, unless it has ended.
    pub(super) fn end_call(
        &mut self,
        at: usize,
        life: u64,
        call: CallId,
        reply: Result<Vec<u8>>,
    ) -> Played {
        let peer = &mut self.peers[at];
        let waits = peer.up.as_mut().filter(|_| peer.life == life);
        if waits.is_none_or(|up| up.calls.remove(&call).is_none()) {
            return Ok(());
        }
        self.input(at, life, Input::Reply(call, reply))
    }
}
