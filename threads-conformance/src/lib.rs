#![doc = include_str!("../README.md")]

mod cases;
pub mod codec;
pub mod datastore;
pub mod faulty;
pub mod group;
mod law;
#[cfg(feature = "modules")]
pub mod module;
pub mod policy;
pub mod reducer;
#[cfg(feature = "simulator")]
pub mod sim;
pub mod transport;

#[cfg(feature = "modules")]
#[doc = include_str!("../guides/publishing-a-module.md")]
pub mod publishing_a_module {}

#[doc = include_str!("../guides/writing-a-codec.md")]
pub mod writing_a_codec {}

#[doc = include_str!("../guides/writing-a-policy.md")]
pub mod writing_a_policy {}

#[doc = include_str!("../guides/writing-a-store.md")]
pub mod writing_a_store {}

#[doc = include_str!("../guides/writing-a-transport.md")]
pub mod writing_a_transport {}

pub use law::{Law, Outcome, SECONDS_MAX, enforce, summary};
