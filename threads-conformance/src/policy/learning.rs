//! Laws of what a policy makes of what it learns.

use threads_core::access::{EntityTag, Genesis, History, Statement};
use threads_core::datastore::Datastore;
use threads_core::policy::{AccessRecord, Again};
use threads_core::system_rng;

use super::Subject;
use super::node::Node;
use super::story::{Datum, Story, peer, stories};
use crate::cases::for_all;
use crate::law::{Checked, ensure};

/// How many orders of a story are tried.
const ORDERS: usize = 3;

/// Whether a change is among those to be judged again.
fn is_named(story: &Story, datum: &Datum, again: &[Again]) -> bool {
    again.iter().any(|again| {
        let author = again.author.is_none_or(|author| author == datum.author);
        let entity = again.entity.is_none_or(|wanted| {
            let mut changes = datum.changes.iter();
            changes.any(|one| EntityTag::of(&story.thread, &one.collection, &one.entity) == wanted)
        });
        let seen = again.beyond.iter().any(|dep| datum.is_within(dep));
        let limited = again.within.as_ref();
        let beside = limited.is_some_and(|deps| !deps.iter().any(|dep| datum.is_within(dep)));
        author && entity && !seen && !beside
    })
}

pub(super) fn whose_verdict_changes_is_named(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        for seed in 0..ORDERS {
            let node = Node::new(subject);
            let mut learned = Vec::new();
            for place in story.order(seed) {
                let before = node.accepted(story)?;
                let again = node.learn(&story.thread, &story.told[place])?.again;
                let after = node.accepted(story)?;
                for ((datum, before), after) in story.data.iter().zip(before).zip(after) {
                    // What names a record that is not here is not judged yet.
                    let here = datum.names.iter().all(|name| learned.contains(name));
                    ensure(
                        before == after || !here || is_named(story, datum, &again),
                        format_args!("after {learned:?} the record {place} was learned"),
                        format_args!(
                            "accepted was {before} and is {after}, and to be judged again are \
                             {again:?}: {datum:?}"
                        ),
                    )?;
                }
                learned.push(place);
            }
        }
        Ok(())
    })
}

pub(super) fn learning_again_changes_nothing(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let node = Node::new(subject);
        for place in story.order(1) {
            let told = &story.told[place];
            node.learn(&story.thread, told)?;
            let (accepted, said) = (node.accepted(story)?, node.told(&story.thread)?);
            node.learn(&story.thread, told)?;
            let again = (node.accepted(story)?, node.told(&story.thread)?);
            ensure(
                again == (accepted, said),
                format_args!("the record {place} was learned twice"),
                "verdicts or rules are others than after once",
            )?;
        }
        let stated = node
            .policy
            .statements(&story.thread, &*node.store.read()?)?;
        let made: usize = story.told.iter().map(|told| told.statements.len()).sum();
        ensure(
            stated.len() <= made,
            "every record was learned twice",
            format_args!("it tells {} statements, and {made} were made", stated.len()),
        )
    })
}

pub(super) fn another_instance_goes_on(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let whole = Node::new(subject);
        whole.learn_all(story, 2)?;
        let mut node = Node::new(subject);
        for place in story.order(2) {
            node.learn(&story.thread, &story.told[place])?;
            node = node.again(subject);
        }
        let wanted = (whole.accepted(story)?, whole.told(&story.thread)?);
        let seen = (node.accepted(story)?, node.told(&story.thread)?);
        ensure(
            seen == wanted,
            "it was made anew after each record",
            format_args!("{seen:?} in place of {wanted:?}"),
        )
    })
}

pub(super) fn what_was_given_up_leaves_no_trace(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let node = Node::new(subject);
        for place in story.order(1) {
            let told = &story.told[place];
            let before = (node.accepted(story)?, node.told(&story.thread)?);
            node.learn_in_vain(&story.thread, told)?;
            let after = (node.accepted(story)?, node.told(&story.thread)?);
            ensure(
                after == before,
                format_args!("the record {place} was learned and given up"),
                "verdicts or rules are others than before",
            )?;
            node.learn(&story.thread, told)?;
        }
        let whole = Node::new(subject);
        whole.learn_all(story, 1)?;
        let wanted = (whole.accepted(story)?, whole.told(&story.thread)?);
        let seen = (node.accepted(story)?, node.told(&story.thread)?);
        ensure(
            seen == wanted,
            "each record was learned, given up, and learned",
            format_args!("{seen:?} in place of {wanted:?}"),
        )
    })
}

pub(super) fn threads_are_apart(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let alone = Node::new(subject);
        for told in &story.told {
            alone.learn(&story.thread, told)?;
        }
        let node = Node::new(subject);
        let genesis = Genesis::new(peer(1), History::All, &mut system_rng());
        let other = genesis.thread_id()?;
        let first = Statement::Genesis(genesis);
        for (at, told) in story.told.iter().enumerate() {
            node.learn(&story.thread, told)?;
            // In the other thread, another peer is root and says the same.
            let mut statements = told.statements.clone();
            if at == 0 {
                statements = vec![first.clone()];
            }
            node.learn_record(&AccessRecord {
                author: peer(1),
                statements: &statements,
                ..told.record(&other)
            })?;
        }
        let wanted = (alone.accepted(story)?, alone.told(&story.thread)?);
        let seen = (node.accepted(story)?, node.told(&story.thread)?);
        ensure(
            seen == wanted,
            "it learned of another thread, too",
            format_args!("{seen:?} in place of {wanted:?}"),
        )
    })
}

pub(super) fn what_it_tells_was_said(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let node = Node::new(subject);
        node.learn_all(story, 1)?;
        let told = node
            .policy
            .statements(&story.thread, &*node.store.read()?)?;
        for stated in told {
            let mut records = story.told.iter();
            let said = records.any(|told| {
                told.id == stated.record
                    && told.author == stated.author
                    && told.statements.contains(&stated.statement)
            });
            ensure(
                said,
                "a story was learned",
                format_args!("nobody said {stated:?}"),
            )?;
        }
        Ok(())
    })
}

pub(super) fn which_purges_count_does_not_depend_on_the_order(subject: &Subject) -> Checked {
    for_all(stories(), |story| {
        let first = Node::new(subject);
        first.learn_all(story, 0)?;
        let wanted = first.purges(&story.thread)?;
        for seed in 1..ORDERS {
            let node = Node::new(subject);
            node.learn_all(story, seed)?;
            let found = (
                node.purges(&story.thread)?,
                node.again(subject).purges(&story.thread)?,
            );
            ensure(
                found.0 == wanted && found.1 == wanted,
                format_args!("it learned in the order {:?}", story.order(seed)),
                format_args!("the purges that count are {found:?} in place of {wanted:?}"),
            )?;
        }
        Ok(())
    })
}
