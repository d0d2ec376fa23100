//! The laws of [`EventCodec`]: what every codec has to do.
//!
//! [`LAWS`] is the list; [`codec_laws!`](crate::codec_laws) makes a test of each:
//!
//! ```
//! # mod tests { // A doctest runs no tests.
//! # use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
//! # use threads_core::{CodecId, Result};
//! # use std::borrow::Cow;
//! # #[derive(Debug, Default)]
//! # struct MyCodec;
//! # impl EventCodec for MyCodec {
//! #     fn id(&self) -> CodecId { "mine/1".parse().unwrap() }
//! #     fn ordering(&self) -> Ordering { Ordering::Total }
//! #     fn encode(&self, _: Option<&EntityState>, _: &Action<'_>) -> Result<Option<Vec<u8>>> { Ok(None) }
//! #     fn apply(&self, _: Option<&EntityState>, event: &[u8]) -> Result<EntityState> { Ok(EntityState::new(event)) }
//! #     fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> { Ok(Cow::Borrowed(state.as_bytes())) }
//! # }
//! use threads_conformance::codec::Subject;
//!
//! threads_conformance::codec_laws!(Subject::new(MyCodec::default));
//! # }
//! ```
//!
//! Events and states are the codec's own, so the laws make events by asking for actions, and
//! damage them. They look at an entity through [`EventCodec::view`] alone.

use std::fmt;
use std::sync::Arc;

use threads_core::codec::{EventCodec, Ordering};

use crate::law::laws;

mod actions;
mod asked;
mod bounds;
mod damage;
mod hostile;
mod model;
mod order;
mod plain;
mod pure;
mod values;

/// A codec takes every object of so many bytes of JSON text.
pub const DOCUMENT_BYTES_MIN: usize = 64 * 1024;

/// A codec takes every object that nests so deep; the object itself is level 1.
pub const DOCUMENT_LEVELS_MIN: usize = 32;

/// One event makes a state longer by so many bytes at most.
pub const GROWTH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The stack on which a codec is shown deep nesting, in bytes. The application's threads have more.
pub const STACK_BYTES: usize = 512 * 1024;

/// The codec that is checked, and how to make another instance of it.
///
/// ```
/// use threads_conformance::codec::{LAWS, Subject};
/// use threads_conformance::{Outcome, summary};
/// use threads_core::codec::EventCodec;
///
/// fn report<C: EventCodec + Default>() {
///     println!("{}", summary(LAWS, || Subject::new(C::default)));
///     for law in LAWS {
///         println!("{law:?}: {:?}", law.check(Subject::new(C::default)));
///     }
/// }
/// ```
pub struct Subject {
    make: Box<dyn Fn() -> Arc<dyn EventCodec> + Send>,
}

impl Subject {
    /// The codec that `make` gives. It is called more than once: two peers have two instances.
    ///
    /// ```
    /// use threads_conformance::codec::Subject;
    /// use threads_core::codec::EventCodec;
    ///
    /// fn subject<C: EventCodec + Default>() -> Subject {
    ///     Subject::new(C::default)
    /// }
    /// ```
    pub fn new<C: EventCodec>(make: impl Fn() -> C + Send + 'static) -> Self {
        Self {
            make: Box::new(move || Arc::new(make())),
        }
    }

    /// A fresh instance.
    ///
    /// ```
    /// use threads_conformance::codec::Subject;
    ///
    /// fn two_of_one_kind(subject: &Subject) -> bool {
    ///     subject.codec().id() == subject.codec().id()
    /// }
    /// ```
    pub fn codec(&self) -> Arc<dyn EventCodec> {
        (self.make)()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.codec()).finish()
    }
}

/// Says that a codec has no merges, when it answers so.
fn merges(subject: &Subject) -> Result<(), String> {
    match asked::has_merges(&*subject.codec()) {
        true => Ok(()),
        false => Err("merge = unsupported".into()),
    }
}

/// Says that a codec has no patches, when it answers so.
fn patches(subject: &Subject) -> Result<(), String> {
    match asked::has_patches(&*subject.codec()) {
        true => Ok(()),
        false => Err("patch = unsupported".into()),
    }
}

fn causal(subject: &Subject) -> Result<(), String> {
    needs(subject, Ordering::Causal)
}

fn any(subject: &Subject) -> Result<(), String> {
    needs(subject, Ordering::Any)
}

fn needs(subject: &Subject, wanted: Ordering) -> Result<(), String> {
    match subject.codec().ordering() {
        ordering if ordering == wanted => Ok(()),
        ordering => Err(format!("ordering = {ordering:?}")),
    }
}

laws! { $
    /// Makes a test of every law of [`EventCodec`](threads_core::codec::EventCodec), and one that
    /// prints which laws do not apply. It takes an expression that gives a
    /// [`Subject`](crate::codec::Subject).
    ///
    /// See the [module](crate::codec) for an example.
    codec_laws in codec;

    "EC-1" pure::the_id_and_the_ordering_are_constants: "Every instance has the same id and ordering, every time.",
        "the id is written in every batch, and finds the codec again on every peer";
    "EC-2" pure::encoding_is_a_function: "The same action on the same state is the same event, every time and in every instance.",
        "a transaction that is tried again would become another record";
    "EC-3" pure::applying_and_viewing_are_functions: "The same event on the same state gives the same state, and the same state the same view, every time and in every instance.",
        "two peers with the same records show the same, and cannot ask each other";
    "EC-4" actions::a_create_begins_the_entity: "The event of a Create, applied to nothing, shows the value, also when it has no members.",
        "the entity that others get is not the one that was saved";
    "EC-5" actions::a_save_is_the_value_whole: "The event of a Save shows the value and nothing of what was there.",
        "a member that somebody removed would come back";
    "EC-6" actions::a_merge_is_rfc_7396 if merges: "A Merge is that of RFC 7396: members replace members, objects merge, null removes.",
        "an application that sends two members means those two";
    "EC-7" actions::a_patch_is_rfc_6902 if patches: "A Patch is that of RFC 6902: all six operations, in their order, each on what the one before left.",
        "a patch moves what its author pointed at, and not something else";
    "EC-8" actions::a_patch_is_carried_out_whole_or_not if patches: "A Patch that does not fit is an error of kind Invalid, one whose test fails of kind Conflict: no event, not even for the operations before.",
        "half of a transfer is money from nowhere";
    "EC-9" actions::no_change_is_no_event: "An action that changes nothing gives no event.",
        "a save of what is there would wake every peer and grow every log";
    "EC-10" actions::a_change_is_an_event: "An action that changes anything gives an event: 1 is not 1.0, null is not absence, and the order of a list counts.",
        "the application was told that it is saved";
    "EC-11" actions::what_is_no_object_is_invalid: "What would make an entity other than an object, or cannot be written as JSON, is an error of kind Invalid.",
        "the application learns it from the save, and not from a view that is empty";
    "EC-12" values::every_json_value_survives: "Every JSON value comes back as it was given: all of 64-bit integers, every finite float, every string, empty and nested lists and objects.",
        "an account number that changes in its last digit is another account";
    "EC-13" values::every_member_name_survives: "Every member name comes back as it was given: empty, with dots, slashes, quotes, controls, in any script and form.",
        "names are data: file names, languages, keys of other systems";
    "EC-14" values::the_id_stays: "The member `_id` is a member like others: it is kept.",
        "the engine refuses a change that does not keep it";
    "EC-15" values::a_small_document_has_room: "An object of up to 64 KiB of JSON text, and of up to 32 levels, is taken.",
        "an application would find out when its first user writes a long text";
    "EC-16" values::the_order_of_members_does_not_matter: "A struct, a map and a JSON object with the same members give the same event, in whatever order they name them.",
        "two programs that save the same would write two different events";
    "EC-17" hostile::what_is_no_event_is_rejected: "Bytes that are no event, and events on a state that their author did not know, are an error of kind Rejected, or do no harm: no panic, no other kind.",
        "any other error stops the peer who takes in the record, for a stranger's fault";
    "EC-18" hostile::a_rejected_event_leaves_nothing: "An event that was rejected leaves nothing behind: what comes after it is as if it had never been.",
        "peers that saw the bad event and peers that did not would drift apart";
    "EC-19" hostile::a_view_is_one_json_object: "The view of every state that was ever given is one JSON object in UTF-8, with no name twice, and no deeper than 127 levels.",
        "an index sees the first of two members, and the application the second";
    "EC-20" hostile::what_is_no_state_is_corrupt: "Bytes that are no state are an error of kind Corrupt, or do no harm: no panic in encode, apply or view.",
        "a disk that fails is found, and does not take the program with it";
    "EC-21" bounds::deep_nesting_fits_a_small_stack: "However deep an event nests, encode, apply and view need no more than 512 KiB of stack.",
        "a stack that overflows ends the process, and nobody can catch that";
    "EC-22" bounds::an_event_does_not_explode: "One event makes a state longer by 8 MiB at most, applied once or again and again.",
        "a record of a few bytes would fill the memory of every peer";
    "EC-23" order::a_sequence_of_events_is_one_state: "One sequence of events is one state, byte for byte, wherever their authors stood, and however often it was replayed with events missing.",
        "a late event is a replay, and has to end where the others are";
    "EC-24" order::causal_orders_agree if causal: "Of Causal: every order that has causes before their effects gives one state.",
        "events reach each peer in another of these orders";
    "EC-25" order::all_orders_agree if any: "Of Any: every order gives one state.",
        "events are applied as they come, and come as they please";
    "EC-26" order::duplicates_do_nothing if any: "Of Any: events that come again change nothing.",
        "what is sent twice is applied twice";
    "EC-27" model::does_what_a_plain_document_does: "Whatever is done to it one after the other, an entity shows what a plain JSON document shows, and gives an event when that changes.",
        "contracts are broken where two of their sentences meet";
}
