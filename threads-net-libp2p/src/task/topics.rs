//! Topics and publications.

use std::fmt::Write;

use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, PublishError};
use threads_core::Error;
use threads_core::transport::{PUBLICATION_BYTES_MAX, TOPIC_BYTES_MAX, TOPICS_MAX};

use super::{Task, tell, unavailable};
use crate::command::Done;
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

    /// Looks at a publication before it goes on to others, and gives it to the reader.
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
        let sound = message.data.len() <= PUBLICATION_BYTES_MAX;
        let acceptance = match (&topic, &from) {
            (Some(_), Some(_)) if sound => MessageAcceptance::Accept,
            _ => MessageAcceptance::Reject,
        };
        let accepted = matches!(acceptance, MessageAcceptance::Accept);
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(&message_id, &propagation_source, acceptance);
        if let (Some(topic), Some(from)) = (topic, from)
            && accepted
            && self.topics.contains(&topic)
        {
            self.shared.counting.frame_in(message.data.len());
            self.shared.inbox.published(from, &topic, message.data);
        }
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
