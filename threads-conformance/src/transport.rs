//! The laws of [`Transport`]: what every transport has to do.
//!
//! [`LAWS`] is the list; [`transport_laws!`](crate::transport_laws) makes a test of each:
//!
//! ```
//! # mod tests { // A doctest runs no tests.
//! use threads_conformance::transport::Subject;
//! use threads_core::transport::memory::Hub; // yours, instead
//! use threads_core::{IdentityKey, system_rng};
//!
//! fn subject() -> Subject {
//!     let hub = Hub::new();
//!     let anybody = || IdentityKey::generate(&mut system_rng()).peer_id();
//!     Subject::new(move || hub.join(anybody())).with_discovery()
//! }
//!
//! threads_conformance::transport_laws!(subject());
//! # }
//! ```
//!
//! The laws name no runtime: they run on the thread of the check, or on whatever
//! [`Subject::with_block_on`] gives. Nothing in them waits for time to pass; what must not happen is
//! looked for once something that comes after it has.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use threads_core::Result;
use threads_core::transport::Transport;

use crate::law::{Checked, Violation, laws};

mod closing;
mod concurrent;
mod connections;
mod ends;
mod events;
mod finding;
mod frames;
mod queues;
mod requests;
mod topics;

/// One end of a transport.
type End = Arc<dyn Transport>;
type BlockOn = dyn Fn(Pin<Box<dyn Future<Output = ()> + '_>>) + Send;

/// The transport that is checked: how to make an end of it, and what polls it.
///
/// ```
/// use threads_conformance::transport::{LAWS, Subject};
/// use threads_conformance::summary;
/// use threads_core::transport::Transport;
///
/// fn report<T: Transport + Default>() {
///     println!("{}", summary(LAWS, || Subject::new(|| Ok(T::default()))));
///     for law in LAWS {
///         println!("{law:?}: {:?}", law.check(Subject::new(|| Ok(T::default()))));
///     }
/// }
/// ```
pub struct Subject {
    join: Box<dyn Fn() -> Result<End> + Send>,
    block_on: Box<BlockOn>,
    finds: bool,
}

impl Subject {
    /// The transport that `join` makes ends of: each with an identity of its own, listening, and
    /// within reach of the others. It is called outside of what polls futures.
    ///
    /// ```
    /// use threads_conformance::transport::Subject;
    /// use threads_core::transport::Transport;
    ///
    /// fn subject<T: Transport + Default>() -> Subject {
    ///     Subject::new(|| Ok(T::default()))
    /// }
    /// ```
    pub fn new<T: Transport>(join: impl Fn() -> Result<T> + Send + 'static) -> Self {
        Self {
            join: Box::new(move || Ok(Arc::new(join()?))),
            block_on: Box::new(concurrent::block_on),
            finds: false,
        }
    }

    /// The same, polled by a runtime: for transports whose calls work only within one.
    ///
    /// ```
    /// use threads_conformance::transport::Subject;
    /// use threads_core::transport::Transport;
    ///
    /// fn subject<T: Transport + Default>() -> Subject {
    ///     let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    ///     Subject::new(|| Ok(T::default())).with_block_on(move |task| runtime.block_on(task))
    /// }
    /// ```
    #[must_use]
    pub fn with_block_on(
        mut self,
        block_on: impl Fn(Pin<Box<dyn Future<Output = ()> + '_>>) + Send + 'static,
    ) -> Self {
        self.block_on = Box::new(block_on);
        self
    }

    /// The same, and what one end provides is found by another that is connected to it.
    ///
    /// ```
    /// use threads_conformance::transport::Subject;
    /// use threads_core::transport::Transport;
    ///
    /// fn subject<T: Transport + Default>() -> Subject {
    ///     Subject::new(|| Ok(T::default())).with_discovery()
    /// }
    /// ```
    #[must_use]
    pub fn with_discovery(mut self) -> Self {
        self.finds = true;
        self
    }

    fn end(&self) -> Result<End> {
        (self.join)()
    }

    /// Runs a law to its end.
    fn run(&self, law: impl Future<Output = Checked>) -> Checked {
        let mut outcome = None;
        (self.block_on)(Box::pin(async { outcome = Some(law.await) }));
        outcome.unwrap_or_else(|| {
            Err(Violation::new(
                "ran a future with the given block_on",
                "it returned before the future was ready",
            ))
        })
    }

    /// Runs a law on two connected ends, whose first call of the other the second has heard of.
    /// Then on two others, of whom the second called the first.
    fn both_ways(&self, law: impl AsyncFn(&End, &End) -> Checked) -> Checked {
        for first_calls in [true, false] {
            let (a, b) = (self.end()?, self.end()?);
            self.run(async {
                match first_calls {
                    true => ends::connect(&a, &b).await?,
                    false => ends::connect(&b, &a).await?,
                }
                law(&a, &b).await
            })?;
        }
        Ok(())
    }

    /// The same with three, all connected to each other.
    fn three(&self, law: impl AsyncFn(&End, &End, &End) -> Checked) -> Checked {
        for first_calls in [true, false] {
            let (a, b, c) = (self.end()?, self.end()?, self.end()?);
            self.run(async {
                for (one, other) in [(&a, &b), (&c, &b), (&a, &c)] {
                    let (caller, called) = if first_calls {
                        (one, other)
                    } else {
                        (other, one)
                    };
                    caller.connect(&ends::address(called)?).await?;
                }
                for (end, others) in [(&a, [&b, &c]), (&b, [&a, &c]), (&c, [&a, &b])] {
                    ends::all_connected(end, others).await?;
                }
                law(&a, &b, &c).await
            })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("finds", &self.finds)
            .finish_non_exhaustive()
    }
}

/// Says that a transport finds nobody, unless it was given as one that does.
fn finds(subject: &Subject) -> Result<(), String> {
    match subject.finds {
        true => Ok(()),
        false => Err("discovery = none".into()),
    }
}

laws! { $
    /// Makes a test of every law of [`Transport`](threads_core::transport::Transport), and one that
    /// prints which laws do not apply. It takes an expression that gives a
    /// [`Subject`](crate::transport::Subject).
    ///
    /// ```
    /// # mod tests { // A doctest runs no tests.
    /// use threads_conformance::transport::Subject;
    /// use threads_core::{IdentityKey, system_rng, transport::memory::Hub};
    ///
    /// fn subject() -> Subject {
    ///     let hub = Hub::new();
    ///     Subject::new(move || hub.join(IdentityKey::generate(&mut system_rng()).peer_id()))
    /// }
    ///
    /// threads_conformance::transport_laws!(subject());
    /// # }
    /// ```
    transport_laws in transport;

    "TR-1" frames::frames_arrive_whole: "A frame of no byte, of one, and of the most arrives whole and unaltered, as a request and as a reply.",
        "half a record is no record, and nobody would know why";
    "TR-2" frames::what_is_too_long_is_refused: "One byte more than the most is an error of kind Invalid: of a request, a reply, a publication, a topic; the most itself is not.",
        "a stranger could make every peer keep as much as he likes";
    "TR-3" requests::the_asker_is_named: "Of two who ask at once, each is named with what it asked.",
        "the answer to a member would go to somebody else";
    "TR-4" requests::each_reply_finds_its_request: "Of 16 requests of one peer that wait at once, each gets its own reply, in whatever order they are given.",
        "one thread's records would be filed in another";
    "TR-5" requests::a_dropped_token_is_an_error: "A token that is dropped is an error of kind Unavailable for who asked.",
        "whoever refuses to answer would stop the peer that asked";
    "TR-6" requests::nobody_there_is_an_error: "A request to a peer that is not connected, or to oneself, is an error of kind Unavailable.",
        "sync tries the next peer, and not this one for ever";
    "TR-7" requests::a_peer_that_vanishes_is_an_error: "A peer that is closed fails the requests to it that are under way, read or unread, and the others are told that it is gone.",
        "a laptop that is shut would stop everybody that asked it";
    "TR-8" requests::a_disconnect_fails_requests: "A disconnect by either end fails the requests under way and is told to both; then they can connect and ask again.",
        "a peer that is to be left alone would go on being waited for";
    "TR-9" requests::a_request_nobody_waits_for_is_forgotten: "Requests whose askers stopped waiting take no room from later ones once they are answered.",
        "every timeout would make the transport a little fuller, until it is full";
    "TR-10" requests::a_foreign_token_is_invalid: "A token of another transport is an error of kind Invalid.",
        "a node has several transports, and tells itself when it mixes them up";
    "TR-11" connections::addresses_name_the_peer: "There is an address at least, and each ends in the id of the peer.",
        "who dials an address from an invitation knows whom to expect";
    "TR-12" connections::an_address_leads_to_its_peer_once: "Every address leads to its peer, and connecting again, or from both ends at once, is one connection to both.",
        "peers that connect twice would be told everything twice";
    "TR-13" connections::where_nobody_is_is_an_error: "An address that nobody is at any more is an error of kind Unavailable, and connects nobody.",
        "the next address of the book is to be tried";
    "TR-14" connections::another_peer_is_refused: "An address that names another peer than is there is an error of kind Unavailable, and the two are not connected.",
        "somebody who took over an address would be taken for who was there";
    "TR-15" connections::nobody_calls_oneself: "The own address is an error of kind Invalid.",
        "a peer that syncs with itself is always in sync";
    "TR-16" events::news_comes_in_turn: "Connected and Disconnected of one peer come in turn, its requests between them, and the last is how it is, however often it came and went unread.",
        "sync would forget a peer that is there, or wait for one that is not";
    "TR-17" events::news_is_never_lost: "Whoever does not read for long still learns who came and who went, although too much else was waiting.",
        "a flood would make peers invisible";
    "TR-18" events::next_event_is_cancel_safe: "A next_event that is woken and dropped took no event.",
        "events would be lost wherever two things are waited for at once";
    "TR-19" queues::whoever_does_not_read_is_spared: "Of twice 1,024 requests to who does not read, at least 1,024 are errors of kind Unavailable.",
        "memory would fill up behind a peer that is stuck";
    "TR-20" queues::bytes_that_wait_are_bounded: "Of twice 64 MiB of requests to who does not read, at least 64 MiB are errors of kind Unavailable.",
        "a thousand long frames are 4 GiB";
    "TR-21" queues::a_flood_leaves_room_for_others: "While one peer asks more than fits, another one's request is read and answered.",
        "one stranger could silence everybody else";
    "TR-22" topics::subscribers_are_reached: "What is published reaches a connected peer that subscribed, with the topic and who published.",
        "news would wait for the next repair";
    "TR-23" topics::nobody_else_is_reached: "What is published reaches nobody that did not subscribe to that topic.",
        "a phone would pay for every thread of everybody it knows";
    "TR-24" topics::nothing_comes_twice: "What is published once comes once at most, also among three who are all connected.",
        "announcements would go round for ever";
    "TR-25" topics::a_slow_subscriber_holds_nobody_up: "Publishing more than a subscriber reads goes on, and other peers are answered.",
        "one phone without a signal would stop every writer";
    "TR-26" topics::an_unsubscribed_topic_is_silent: "What is published after unsubscribing does not come.",
        "a thread that was left would go on costing";
    "TR-27" topics::topics_are_bounded: "There is room for 64 topics; one more is an error of kind Full, one again is none, and one less makes room.",
        "beyond a bound that nobody names, subscriptions get lost without a word";
    "TR-28" closing::closed_is_for_good: "After close, a next_event that waits, every later one, and every other call are errors of kind Unavailable, and the peers are told.",
        "a loop that reads events has to end when there are no more";
    "TR-29" finding::what_is_provided_is_found if finds: "What one peer provides another one finds, with an address that names it, at most 64, and under no other key.",
        "peers that lost each other's addresses would never meet again";
}
