//! The laws of [`GroupKeys`]: what every way to give keys to members has to do.
//!
//! [`LAWS`] is the list; [`group_keys_laws!`](crate::group_keys_laws) makes a test of each:
//!
//! ```
//! # mod tests { // A doctest runs no tests; the crate's own tests run these.
//! use threads_conformance::group::Subject;
//! use threads_core::group::SealedToEach;
//!
//! threads_conformance::group_keys_laws!(Subject::new(|| SealedToEach));
//! # }
//! ```

use std::fmt;

use threads_core::group::GroupKeys;

use crate::law::laws;

mod members;
mod opening;
mod sealed;

/// The scheme that is checked: how to make an instance, one for each node as it were.
///
/// ```
/// use threads_core::group::SealedToEach;
/// let subject = threads_conformance::group::Subject::new(|| SealedToEach);
/// ```
pub struct Subject {
    make: Box<dyn Fn() -> Box<dyn GroupKeys> + Send + Sync>,
}

impl Subject {
    /// A scheme as `make` makes it.
    ///
    /// ```
    /// use threads_core::group::SealedToEach;
    /// let subject = threads_conformance::group::Subject::new(|| SealedToEach);
    /// ```
    pub fn new<G: GroupKeys>(make: impl Fn() -> G + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(move || Box::new(make())),
        }
    }

    fn make(&self) -> Box<dyn GroupKeys> {
        (self.make)()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("scheme", &self.make())
            .finish_non_exhaustive()
    }
}

laws! { $
    /// Makes a test of every law of [`GroupKeys`](threads_core::group::GroupKeys), and one that
    /// prints which laws do not apply. It takes an expression that gives a
    /// [`Subject`](crate::group::Subject), which each test makes anew.
    ///
    /// ```
    /// use threads_core::group::SealedToEach;
    /// threads_conformance::group_keys_laws!(threads_conformance::group::Subject::new(|| SealedToEach));
    /// ```
    group_keys_laws in group;

    "GK-1" sealed::its_name_stays: "A scheme has a name of 1 to 32 bytes, and it is always the same.",
        "the name says who can open what is sealed, years later";
    "GK-2" sealed::other_schemes_are_unsupported: "Sealed keys of another scheme are refused as unsupported.",
        "a node that lacks a scheme has to say so, and not that somebody cheated";
    "GK-3" members::members_open_what_is_theirs: "Every reader opens both keys, and every replica the replica key and no read key.",
        "a member that is left out cannot read or keep what is written, and a replica that reads is no replica";
    "GK-4" members::others_open_nothing: "Who was not among the recipients opens nothing, whatever the list says that is shown with the keys.",
        "a removed reader would read on";
    "GK-5" opening::another_thread_opens_nothing: "What was sealed for one thread opens in no other.",
        "a member of both could bring the keys of one into the other, where others know them";
    "GK-6" opening::what_opens_are_the_keys_of_the_number: "What opens are the keys of the epoch that is named, or it is refused.",
        "somebody could give each member other keys under one number, and nobody could read the others";
    "GK-7" sealed::no_key_stands_in_the_sealed_bytes: "Neither key stands in the sealed bytes.",
        "whoever keeps the thread sees them";
    "GK-8" opening::any_bytes_are_opened_or_refused: "Whatever the sealed bytes are, opening gives the keys, nothing, or an error.",
        "they come from strangers, and a panic stops the node";
    "GK-9" opening::another_instance_opens_it: "What one instance sealed another one opens.",
        "a program ends, and is started again; members have instances of their own";
    "GK-10" members::readers_need_the_read_key: "Keys without their read key are sealed to no reader.",
        "the reader would take itself for one that can read, and could not";
}
