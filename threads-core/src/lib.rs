#![doc = include_str!("../README.md")]

pub mod access;
pub mod address;
mod announcement;
pub mod batch;
pub mod blob;
pub mod block;
pub mod books;
pub mod clock;
pub mod codec;
pub mod datastore;
pub mod erasure;
pub mod error;
pub mod event;
mod form;
pub mod group;
pub mod id;
pub mod key;
pub mod module;
pub mod path;
pub mod policy;
mod queue;
mod receipt;
pub mod record;
pub mod reducer;
mod rng;
mod seal;
pub mod text;
pub mod transport;
mod whereabouts;

pub use address::ThreadAddr;
pub use announcement::{ANNOUNCEMENT_BYTES, ANNOUNCEMENT_TOPICS, Announcement, Topic};
pub use async_trait::async_trait;
pub use clock::{Clock, Hlc, ManualClock, SystemClock, Timer};
pub use erasure::{Erased, Erasure};
pub use error::{Error, ErrorKind, Result};
pub use id::{CodecId, CollectionName, EntityId, LogId, PeerId, ThreadId, Variant};
pub use key::{
    AgreementKey, AgreementPublicKey, ContentKey, EpochKeys, IdentityKey, LogKey, PeerCard,
    ReadKey, ReplicaKey, StoreKey,
};
pub use path::FieldPath;
pub use receipt::Receipt;
pub use rng::system_rng;
pub use whereabouts::{WHEREABOUTS_MAX, Whereabouts};

pub use cid::{self, Cid};
pub use erased_serde;
pub use multiaddr::{self, Multiaddr};
pub use multibase;
pub use rand_core;

/// The traits stay object-safe, and what implements them can be shared between threads.
const _: () = {
    const fn shared<T: ?Sized + Send + Sync>() {}
    shared::<dyn Clock>();
    shared::<dyn codec::EventCodec>();
    shared::<dyn datastore::Datastore>();
    shared::<dyn group::GroupKeys>();
    shared::<dyn module::Module>();
    shared::<dyn policy::AccessPolicy>();
    shared::<dyn record::Record>();
    shared::<dyn reducer::Reducer>();
    shared::<dyn transport::Transport>();
};
