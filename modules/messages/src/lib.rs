#![doc = include_str!("../README.md")]

use threads_core::Result;
use threads_core::module::{AclTemplate, Module, Version};

mod channel;
mod mark;
mod message;

pub use channel::{Channel, ChannelKind};
pub use mark::{AUTHORS_MAX, ReadMark, is_read};
pub use message::{Message, ORDER, POSITION_MAX, TEXT_CHARS_MAX};

/// The name of the collection of channels.
pub const CHANNEL: &str = "Channel";
/// The name of the collection of messages.
pub const MESSAGE: &str = "Message";
/// The name of the collection of read marks.
pub const READ_MARK: &str = "ReadMark";

/// The codec of all collections.
const CODEC: &str = "jsonpatch/1";

/// The module.
///
/// ```
/// use threads_core::module::Manifest;
/// use threads_module_messages::Messages;
/// assert_eq!(Manifest::of(&Messages).unwrap().collections(2).len(), 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages;

impl Module for Messages {
    fn id(&self) -> &str {
        "org.threads.messages"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let one = Version::new()
            .with(channel::version_1()?)
            .with(message::collection()?)
            .with(mark::collection()?);
        let two = Version::new()
            .with(channel::version_2()?)
            .with(message::collection()?)
            .with(mark::collection()?);
        Ok(vec![one, two])
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        let (channel, general) = (CHANNEL.parse()?, "general".parse()?);
        Ok(Some(AclTemplate::new().restrict(channel, general)))
    }

    fn vectors(&self) -> Option<&str> {
        Some(include_str!("../vectors.json"))
    }
}
