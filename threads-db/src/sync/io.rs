//! What goes into the machine and what comes out of it.

use threads_core::transport::Acceptance;
use threads_core::{Error, LogId, Multiaddr, PeerId, Result};

use super::blobs::{Blobbed, Blobbing};
use super::erasures::{Erase, ErasedBy};
use super::locate::{Locate, Located};
use super::overheard::{Gossip, Gossiped};
use super::ranges::{Found, Span};
use super::refill::Lacking;
use super::short::Short;
use super::vouch::{Vouch, Vouched};
use super::wire::{Claim, Digest, Frontier, Heads, Parcel, Proof, Range};
use super::words::{Worded, Wording};
use crate::access::Farewell;
use crate::invite::{PendingJoin, Verdict};
use crate::layout::Number;
use crate::line::Cuts;

/// A request of this node that waits for its reply.
pub type CallId = u64;
/// A request of a peer that waits for this node's reply, as the driver numbers them.
pub type RequestId = u64;
/// A publication that waits to be judged, as the driver numbers them.
pub type PublicationId = u64;
/// An operation on the store that the driver carries out.
pub type OpId = u64;

/// Something that happened.
///
/// ```
/// use threads_core::PeerId;
/// use threads_db::sync::Input;
/// let input = Input::Connected(PeerId::from_key_bytes([1; 32]));
/// assert!(format!("{input:?}").starts_with("Connected"));
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum Input {
    /// A peer can be reached.
    Connected(PeerId),
    /// A peer cannot be reached any more. Calls to it end with an error.
    Disconnected(PeerId),
    /// The node began: peers that share something are dialled.
    Started,
    /// An attempt to connect ended.
    Dialled(PeerId, Result<()>),
    /// A peer asks. The number is the driver's.
    Request(PeerId, RequestId, Vec<u8>),
    /// A connected peer is in one network with this node: what it says of addresses in that network
    /// is of use here.
    Near(PeerId),
    /// This node signed where it is: see [`Node::sign_addresses`](crate::Node::sign_addresses). From
    /// the first time on, it and its peers tell each other where those are who share their threads.
    Moved,
    /// A peer published something: who, the driver's number, under which topic, what.
    Published(PeerId, PublicationId, Vec<u8>, Vec<u8>),
    /// A call ended.
    Reply(CallId, Result<Vec<u8>>),
    /// Work on the store ended.
    Worked(Worked),
    /// The node itself did something: see [`Node::news`](crate::Node::news).
    News(News),
    /// The time that was asked for has come.
    Woken,
}

/// Something to do.
///
/// ```
/// use threads_db::sync::Output;
/// fn goes_out(output: &Output) -> bool { matches!(output, Output::Call(..) | Output::Reply(..)) }
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum Output {
    /// Send a request, and bring the reply.
    Call(PeerId, CallId, Vec<u8>),
    /// Reply to a request.
    Reply(RequestId, Vec<u8>),
    /// Let a request go without a reply.
    Refuse(RequestId),
    /// Have the node do this work, and bring what came of it.
    Work(Work),
    /// Connect to a peer at an address, and say how it ended.
    Connect(PeerId, Multiaddr),
    /// End the connection to a peer.
    Disconnect(PeerId),
    /// Ask for what is published under a topic, and ask no longer.
    Subscribe(Vec<u8>),
    /// See [`Output::Subscribe`].
    Unsubscribe(Vec<u8>),
    /// Publish something under a topic. It may be lost.
    Publish(Vec<u8>, Vec<u8>),
    /// Say what is to become of a publication.
    Judge(PublicationId, Acceptance),
}

/// Work on the store, for [`Node::perform`](crate::Node::perform).
///
/// ```
/// fn perform(node: &threads_db::Node, work: threads_db::sync::Work) -> threads_db::sync::Input {
///     threads_db::sync::Input::Worked(node.perform(work))
/// }
/// ```
#[derive(Debug)]
pub struct Work(pub(crate) OpId, pub(crate) Op);

impl Work {
    /// How many records came from a peer, to be taken in.
    ///
    /// ```
    /// fn takes_in(work: &threads_db::sync::Work) -> bool { work.records_that_came() > 0 }
    /// ```
    pub fn records_that_came(&self) -> u64 {
        match &self.1 {
            Op::TakeIn(_, parcels) | Op::Receive(.., parcels) => parcels.len() as u64,
            _ => 0,
        }
    }
}

/// What came of work on the store. To lose it loses what the work was for: after a crash, begin with a
/// new machine.
///
/// ```
/// fn take(done: threads_db::sync::Worked) -> threads_db::sync::Input {
///     threads_db::sync::Input::Worked(done)
/// }
/// ```
#[derive(Debug)]
pub struct Worked(pub(crate) OpId, pub(crate) Result<Done>);

impl Worked {
    /// How many records go to a peer now.
    pub(crate) fn records_to_send(&self) -> u64 {
        match &self.1 {
            Ok(Done::Page(page) | Done::Served(Some(page))) => page.parcels.len() as u64,
            _ => 0,
        }
    }
}

/// Something that a node did itself.
///
/// ```
/// fn tell(news: threads_db::sync::News) -> threads_db::sync::Input {
///     threads_db::sync::Input::News(news)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct News(pub(crate) Fresh);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fresh {
    /// Something was committed to a thread.
    Committed(Number),
    /// A thread is shared with a peer as of now.
    Shared(Number, PeerId),
    /// A thread is shared with peers that the machine may not know of, or not any more with some.
    Members(Number),
    /// A peer that was removed from a thread asks about it.
    Removed(PeerId),
    /// A link of this peer is to be used.
    Asked(PeerId),
    /// An address of a peer became known.
    Address(PeerId),
    /// Blobs of a thread became whole, or are to be got.
    Blobs(Number),
    /// There is a snapshot of a thread to tell of.
    Words(Number),
    /// Somebody waits, for so many milliseconds, until peers have signed for a thread.
    Awaited(Number, u64),
}

impl News {
    /// The thread that it is about, if it is about one.
    pub(crate) fn thread(&self) -> Option<Number> {
        match self.0 {
            Fresh::Committed(thread)
            | Fresh::Shared(thread, _)
            | Fresh::Members(thread)
            | Fresh::Blobs(thread)
            | Fresh::Words(thread)
            | Fresh::Awaited(thread, _) => Some(thread),
            Fresh::Asked(_) | Fresh::Address(_) | Fresh::Removed(_) => None,
        }
    }
}

/// An operation on the store.
#[derive(Debug)]
pub(crate) enum Op {
    /// Which peers are to be dialled.
    Peers,
    /// Where a peer can be reached.
    Addresses(PeerId),
    /// Which links of a peer this node waits for.
    Joins(PeerId),
    /// What becomes of a peer that uses a link of this node.
    Decide(PeerId, String, [u8; 16], Vec<u8>),
    /// Take part in a thread whose keys came by a link.
    Admit(String, Vec<u8>, Vec<u8>),
    /// With whom a thread is shared, and who of these peers may not have it, by its rules.
    Sharers(Number, Vec<PeerId>),
    /// Of which threads a peer is to be told that it was removed.
    Farewells(PeerId),
    /// Note that it was told of this one.
    Told(Number, PeerId),
    /// How threads that are shared with a peer stand.
    Shared(PeerId, Which),
    /// Which threads a peer claims rightly, and how they stand.
    Compare(PeerId, Vec<(Claim, Digest)>),
    /// How a thread stands here and, as far as they said, with these peers.
    Load(Number, Vec<PeerId>),
    /// A page of a thread, to push to a peer that may have it.
    Read(Number, PeerId, Vec<Range>),
    /// A page of the thread that a peer claims.
    Serve(PeerId, Claim, Vec<Range>),
    /// Take in records of a thread that a peer gave when asked.
    TakeIn(Number, Vec<Parcel>),
    /// Try again what is held.
    Retry(Number),
    /// Take in records that a peer pushed.
    Receive(PeerId, Claim, Vec<Parcel>),
    /// Note what a peer says it has, and say how far these logs have got here.
    Heard(PeerId, Claim, Heads),
    /// Compare what a peer has of the lines in ranges, and note what it says of them.
    Ranges(PeerId, Claim, Vec<Span>),
    /// Note what a peer acknowledged, and whether it takes more, if it said so.
    Acked(Number, PeerId, Frontier, Option<Room>),
    /// Note that a peer has all that this node had of these threads when they were compared.
    Level(PeerId, Vec<(Number, Frontier)>),
    /// Note that a peer has the same of these threads as this node has, and nothing more.
    Same(PeerId, Vec<(Number, Frontier)>),
    /// Note that a peer has not any more what it was asked for, and says so.
    Short(Number, PeerId, Short),
    /// About what peers sign for.
    Vouch(Vouch),
    Erase(Erase),
    /// What a peer is to be asked for that came emptied, from where on by this random number.
    Lacking(PeerId, u64),
    /// About where peers are.
    Locate(Locate),
    /// About what is announced.
    Gossip(Gossip),
    /// About blobs.
    Blobs(Blobbing),
    /// About snapshots that are kept.
    Words(Wording),
}

/// Which of the threads that are shared with a peer are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Only(Number),
    /// Those from this number on, as many as are compared at a time.
    From(Number),
}

/// Whether a peer takes more of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Some,
    None,
}

/// What came of an operation.
#[derive(Debug)]
pub(crate) enum Done {
    /// With the threads that hold records which are dated ahead.
    Peers(Vec<PeerId>, Vec<Number>),
    Addresses(Vec<Multiaddr>),
    Sharers(Vec<PeerId>, Vec<PeerId>),
    Joins(Vec<PendingJoin>),
    Farewells(Vec<Farewell>),
    /// `None` when there is nothing to be had.
    Decided(Option<Verdict>),
    Admitted(Number),
    Shared(Vec<Share>),
    Compared(Vec<Compared>),
    Loaded(Loaded),
    Page(Page),
    /// `None` when the peer has no right to ask.
    Served(Option<Page>),
    TakenIn(TakenIn),
    Received(Option<TakenIn>),
    Heard(Option<Heard>),
    /// The same, with what is answered.
    Ranges(Option<(Heard, Vec<Found>)>),
    Vouched(Vouched),
    Erased(ErasedBy),
    Lacking(Lacking),
    Located(Located),
    Gossiped(Gossiped),
    Blobs(Blobbed),
    /// The peer has no right to ask any more.
    Removed,
    Words(Worded),
    Noted,
}

/// A thread that is shared with a peer.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) thread: Number,
    pub(crate) claim: Claim,
    /// What shows this node that the peer holds the key.
    pub(crate) theirs: Proof,
    pub(crate) digest: Digest,
    /// What it is the digest of.
    pub(crate) heads: Heads,
}

/// How a thread that a peer claims stands, with what shows the peer that this node holds the key.
#[derive(Debug)]
pub(crate) enum Compared {
    Unknown,
    /// The peer was in, and is no more: to it, that is the same.
    Removed,
    Same(Number, Proof),
    /// With what shows the peer the key when this node asks it something.
    Differs(Number, Proof, Claim, Heads),
    /// There are too many heads to list.
    Many(Number, Proof),
}

/// What a peer said of a thread, and how far the same logs have got here.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) thread: Number,
    /// What shows the peer that this node holds the key.
    pub(crate) claim: Claim,
    pub(crate) theirs: Heads,
    pub(crate) ours: Heads,
    /// The logs of which it had said before that it has more.
    pub(crate) less: Vec<LogId>,
    /// That it takes more, if it has more than before.
    pub(crate) room: Option<Room>,
    /// Whether this node takes no more of the thread.
    pub(crate) full: bool,
}

/// How a thread stands.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) heads: Heads,
    /// The logs that this node writes.
    pub(crate) own: Vec<LogId>,
    /// What peers acknowledged.
    pub(crate) acked: Vec<(PeerId, Frontier)>,
    /// Where logs were forked.
    pub(crate) cuts: Cuts,
    /// Whether this node takes no more of it.
    pub(crate) full: bool,
    /// Whether it has records that came emptied, and nothing here says why.
    pub(crate) stripped: bool,
    /// Whether it is to begin with a snapshot, and takes in no records.
    pub(crate) sought: bool,
    /// What shows each peer that this node holds the key.
    pub(crate) claims: Vec<(PeerId, Claim)>,
}

/// Records, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) parcels: Vec<Parcel>,
    /// How far they bring each log.
    pub(crate) upto: Frontier,
    /// Whether the ranges ask for more than is in it.
    pub(crate) more: bool,
    /// What of them was dropped here, where it has no records.
    pub(crate) short: Option<Short>,
}

/// What became of records.
#[derive(Debug)]
pub(crate) struct TakenIn {
    pub(crate) thread: Number,
    /// How far the lines concerned have got.
    pub(crate) heads: Heads,
    /// Where logs of the thread were forked.
    pub(crate) cuts: Cuts,
    /// Logs of which another record is needed in a place where one is here: the first such place of each.
    pub(crate) astray: Frontier,
    /// What whoever sent them showed that it has.
    pub(crate) sent: Frontier,
    /// Whether a log has got further, also by records that are not applied, or more is applied.
    pub(crate) moved: bool,
    /// How many that had come emptied are whole now.
    pub(crate) filled: u64,
    /// Whether the thread has records that came emptied, and nothing here says why.
    pub(crate) stripped: bool,
    /// Whether some are sealed under keys that are not here, which is nobody's fault.
    pub(crate) locked: bool,
    /// How often keys came until then: what is locked may open when this changed.
    pub(crate) keys: u64,
    /// Whether they show that this node has no part in the thread any more.
    pub(crate) removed: bool,
    /// The first that broke a rule.
    pub(crate) refused: Option<Error>,
    /// Whether this node takes no more of the thread.
    pub(crate) full: bool,
    /// After how many milliseconds a record that is dated ahead may be applied, if one is held.
    pub(crate) due_in_ms: Option<u64>,
}
