//! The laws of [`AccessPolicy`]: what every policy has to do.
//!
//! [`LAWS`] is the list; [`policy_laws!`](crate::policy_laws) makes a test of each:
//!
//! ```
//! # mod tests { // A doctest runs no tests; the crate's own tests run these.
//! use threads_conformance::policy::Subject;
//! use threads_core::policy::OpenPolicy;
//!
//! threads_conformance::policy_laws!(Subject::new(|| OpenPolicy));
//! # }
//! ```
//!
//! A law tells the policy stories: access records of a few peers, some of which know of each other and
//! some not, and records of changes between them. A story is delivered in several orders, each of which
//! has every record after those that it builds on.

use std::fmt;

use threads_core::policy::AccessPolicy;

use crate::law::laws;

mod judging;
mod learning;
mod node;
mod story;

/// The policy that is checked: how to make it.
///
/// ```
/// use threads_conformance::policy::Subject;
/// let subject = Subject::new(|| threads_core::policy::OpenPolicy);
/// ```
pub struct Subject {
    make: Box<dyn Fn() -> Box<dyn AccessPolicy> + Send + Sync>,
}

impl Subject {
    /// A policy as `make` makes it: once for each node that is opened, as it were.
    ///
    /// ```
    /// # use threads_conformance::policy::Subject;
    /// let subject = Subject::new(|| threads_core::policy::OpenPolicy);
    /// ```
    pub fn new<P: AccessPolicy>(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(move || Box::new(make())),
        }
    }

    fn make(&self) -> Box<dyn AccessPolicy> {
        (self.make)()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("policy", &self.make())
            .finish_non_exhaustive()
    }
}

laws! { $
    /// Makes a test of every law of [`AccessPolicy`](threads_core::policy::AccessPolicy), and one that
    /// prints which laws do not apply. It takes an expression that gives a
    /// [`Subject`](crate::policy::Subject), which each test makes anew.
    ///
    /// ```
    /// use threads_core::policy::OpenPolicy;
    /// threads_conformance::policy_laws!(threads_conformance::policy::Subject::new(|| OpenPolicy));
    /// ```
    policy_laws in policy;

    "PO-1" judging::the_same_question_has_the_same_answer: "Asked twice, a policy gives the same verdict.",
        "a verdict by chance or by the clock is another one on every peer";
    "PO-2" judging::verdicts_do_not_depend_on_the_order: "Verdicts, roles and rules follow from what was learned, whatever the order.",
        "two peers with the same records would show different things for ever";
    "PO-3" judging::what_cannot_be_read_is_judged_by_its_author: "Of changes that cannot be read it accepts what it accepts of the author otherwise.",
        "a replica that cannot read would keep apart what readers apply";
    "PO-4" judging::an_error_is_no_verdict: "An error in finding out whether a record was seen is given on.",
        "a disk that fails for a moment would undo somebody's work";
    "PO-5" judging::roles_are_those_of_the_rules: "What a peer may do is what the rules say of it, and there are rules or there are none.",
        "people would be shown other rules than those that are kept";
    "PO-6" learning::whose_verdict_changes_is_named: "A record whose verdict is changed by what is learned is among those to be judged again.",
        "it would stay applied on the peers that had it before, and nowhere else";
    "PO-7" learning::learning_again_changes_nothing: "What was learned is learned once.",
        "a record that comes twice would count twice";
    "PO-8" learning::another_instance_goes_on: "It keeps nothing of its own: another one goes on where it stopped.",
        "a program ends, and is started again";
    "PO-9" learning::what_was_given_up_leaves_no_trace: "What it learned in a transaction that is given up it has not learned.",
        "a transaction may fail after the policy learned, and is tried again";
    "PO-10" learning::threads_are_apart: "What it learned in one thread makes no difference in another.",
        "a node has one policy, and many threads";
    "PO-11" learning::what_it_tells_was_said: "It tells every statement that it keeps as it was made, by whom, and in which record.",
        "nobody could find out why something is refused";
    "PO-12" learning::which_purges_count_does_not_depend_on_the_order: "Which purges count follows from what was learned, whatever the order, and another instance says the same.",
        "one peer would erase for good what another one shows";
}
