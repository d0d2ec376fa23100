//! Laws of what a policy says.

use threads_core::Error;
use threads_core::access::Scope;
use threads_core::datastore::Datastore;
use threads_core::policy::Verdict;

use super::Subject;
use super::node::Node;
use super::story::{PEERS, peer, stories};
use crate::cases::for_all;
use crate::law::{Checked, ensure};

/// How many orders of a story are compared.
const ORDERS: usize = 4;

pub(super) fn the_same_question_has_the_same_answer(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let node = Node::new(subject);
        node.learn_all(story, 0)?;
        for datum in &story.data {
            let once = node.judge(&story.thread, datum)?;
            for _ in 0..3 {
                let again = node.judge(&story.thread, datum)?;
                ensure(
                    again == once,
                    "a record was judged again",
                    format_args!("{again:?} after {once:?}"),
                )?;
            }
        }
        Ok(())
    })
}

pub(super) fn verdicts_do_not_depend_on_the_order(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let node = Node::new(subject);
        node.learn_all(story, 0)?;
        let (accepted, told) = (node.accepted(story)?, node.told(&story.thread)?);
        for seed in 1..ORDERS {
            let other = Node::new(subject);
            other.learn_all(story, seed)?;
            let done = format!("it came in the order {:?}", story.order(seed));
            let seen = other.accepted(story)?;
            ensure(
                seen == accepted,
                &done,
                format_args!("accepted are {seen:?} in place of {accepted:?}"),
            )?;
            let seen = other.told(&story.thread)?;
            for (number, (seen, told)) in seen.0.iter().zip(&told.0).enumerate() {
                // First the roles of a peer in the thread, then in the list.
                let peer = number / 2;
                ensure(
                    seen == told,
                    &done,
                    format_args!("roles of peer {peer} are {seen:?} in place of {told:?}"),
                )?;
            }
            ensure(
                seen.1 == told.1,
                &done,
                format_args!("rules are {:?} in place of {:?}", seen.1, told.1),
            )?;
        }
        Ok(())
    })
}

pub(super) fn what_cannot_be_read_is_judged_by_its_author(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let node = Node::new(subject);
        node.learn_all(story, 0)?;
        for datum in &story.data {
            if node.judge(&story.thread, datum)? != Verdict::Accept {
                continue;
            }
            let within = |dep: &threads_core::record::Dep| Ok(datum.is_within(dep));
            let candidate = threads_core::policy::Candidate {
                changes: None,
                ..datum.candidate(&story.thread, &within)
            };
            let txn = node.store.read()?;
            let unread = node.policy.judge(&candidate, &*txn)?;
            ensure(
                unread == Verdict::Accept,
                format_args!("{datum:?} was judged without its changes"),
                format_args!("{unread:?}, and it is accepted with them"),
            )?;
        }
        Ok(())
    })
}

pub(super) fn an_error_is_no_verdict(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let node = Node::new(subject);
        node.learn_all(story, 0)?;
        for datum in &story.data {
            let asked = std::cell::Cell::new(false);
            let within = |_: &threads_core::record::Dep| {
                asked.set(true);
                Err(Error::unavailable("the disk does not answer"))
            };
            let txn = node.store.read()?;
            let judged = node
                .policy
                .judge(&datum.candidate(&story.thread, &within), &*txn);
            ensure(
                judged.is_err() || !asked.get(),
                "it was told that nobody can say what was seen",
                format_args!("{judged:?}"),
            )?;
        }
        Ok(())
    })
}

pub(super) fn roles_are_those_of_the_rules(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let node = Node::new(subject);
        for upto in 0..=story.told.len() {
            if let Some(told) = upto.checked_sub(1).and_then(|at| story.told.get(at)) {
                node.learn(&story.thread, told)?;
            }
            let txn = node.store.read()?;
            let rules = node.policy.rules(&story.thread, &*txn)?;
            for number in 0..=PEERS {
                let who = peer(number);
                let of = rules.as_ref().map(|rules| rules.of(&who));
                let thread = node
                    .policy
                    .roles(&story.thread, &who, &Scope::Thread, &*txn)?;
                let acl = node.policy.roles(&story.thread, &who, &Scope::Acl, &*txn)?;
                let said = thread.zip(acl);
                let ruled = of.map(|of| (of.thread, of.acl));
                ensure(
                    said == ruled,
                    format_args!("peer {number} was asked for after {upto} records"),
                    format_args!("roles {said:?}, rules {ruled:?}"),
                )?;
            }
        }
        Ok(())
    })
}
