//! Topics and publications.

use std::fmt::Write;

use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, PublishError};
use threads_core::Error;
use threads_core::transport::{
    Acceptance, PUBLICATION_BYTES_MAX, ReplyToken, TOPIC_BYTES_MAX, TOPICS_MAX,
};

use super::{Task, tell, unavailable};
use crate::command::{Done, Overheard};
use crate::peer::ours;

/// A topic in gossip's form, which is text.
fn text(topic: &[u8]) -> String {
    topic
        .iter()
        .fold(String::with_capacity(2 * topic.len()), |mut text, byte| {
            // Writing into a string cannot fail.
            let _written = write!(text, "{byte:02x}");
            text
        })
}

/// A topic of gossip's form; `None` when it is none that [`text`] gives.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 2 * TOPIC_BYTES_MAX {
        return None;
    }
    let byte = |pair: &[u8]| {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        Some(digit(pair[0])? << 4 | digit(pair[1])?)
    };
    digits.chunks_exact(2).map(byte).collect()
}

impl Task {
    pub(super) fn subscribe(&mut self, topic: Vec<u8>, done: Done<()>) {
        if self.topics.contains(&topic) {
            return tell(done, Ok(()));
        }
        if self.topics.len() >= TOPICS_MAX {
            let error =
                Error::full("too many topics: share them out in buckets").with("most", TOPICS_MAX);
            return tell(done, Err(error));
        }
        let subscribed = self
            .swarm
            .behaviour_mut()
            .gossip
            .subscribe(&IdentTopic::new(text(&topic)));
        let failed = |error| unavailable("the topic could not be subscribed to", error);
        let outcome = subscribed.map_err(failed);
        if outcome.is_ok() {
            self.topics.insert(topic);
        }
        tell(done, outcome.map(|_| ()));
    }

    pub(super) fn unsubscribe(&mut self, topic: &[u8], done: Done<()>) {
        if self.topics.remove(topic) {
            self.swarm
                .behaviour_mut()
                .gossip
                .unsubscribe(&IdentTopic::new(text(topic)));
        }
        tell(done, Ok(()));
    }

    pub(super) fn publish(&mut self, topic: &[u8], frame: Vec<u8>, done: Done<()>) {
        let bytes = frame.len();
        let published = self
            .swarm
            .behaviour_mut()
            .gossip
            .publish(IdentTopic::new(text(topic)), frame);
        let outcome = match published {
            Ok(_) => {
                self.shared.counting.frame_out(bytes);
                Ok(())
            }
            // Best effort: nobody is there, or too much waits for them.
            Err(
                PublishError::NoPeersSubscribedToTopic
                | PublishError::AllQueuesFull(_)
                | PublishError::Duplicate,
            ) => {
                self.shared
                    .counting
                    .count(|counters| counters.publications_lost += 1);
                Ok(())
            }
            Err(error) => Err(unavailable("the publication could not be sent", error)),
        };
        tell(done, outcome);
    }

    /// Gives a publication to the reader, who says whether it goes on to others; what is none, or
    /// under a topic that nobody here asked for, goes no further.
    pub(super) fn handle_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message {
            propagation_source,
            message_id,
            message,
        } = event
        else {
            return;
        };
        let topic = bytes(message.topic.as_str());
        let from = message.source.as_ref().and_then(ours);
        let overheard = Overheard(message_id, propagation_source);
        match (topic, from) {
            (Some(topic), Some(from)) if message.data.len() <= PUBLICATION_BYTES_MAX => {
                if !self.topics.contains(&topic) {
                    return self.report(&overheard, MessageAcceptance::Ignore);
                }
                self.shared.counting.frame_in(message.data.len());
                let token = ReplyToken::new(overheard);
                // One that finds no room is never judged, and forgotten soon.
                let inbox = &self.shared.inbox;
                inbox.published(from, &topic, message.data, token);
            }
            _ => self.report(&overheard, MessageAcceptance::Reject),
        }
    }

    pub(super) fn judge(&mut self, overheard: &Overheard, fit: Acceptance, done: Done<()>) {
        self.report(
            overheard,
            match fit {
                Acceptance::Accept => MessageAcceptance::Accept,
                Acceptance::Reject => MessageAcceptance::Reject,
                _ => MessageAcceptance::Ignore,
            },
        );
        tell(done, Ok(()));
    }

    fn report(&mut self, Overheard(message, source): &Overheard, acceptance: MessageAcceptance) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        // One that waited for too long is not known any more.
        gossip.report_message_validation_result(message, source, acceptance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_come_back_from_text() {
        for topic in [&b""[..], b"\0", b"news", &[0xff; TOPIC_BYTES_MAX]] {
            assert_eq!(bytes(&text(topic)).as_deref(), Some(topic));
        }
        for wrong in ["a", "0g", "0G", "FF", &text(&[0; TOPIC_BYTES_MAX + 1])] {
            assert_eq!(bytes(wrong), None);
        }
    }
}
