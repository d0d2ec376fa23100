//! Who was removed for good changes nothing by what it writes without having seen the removal.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::Chance;
use common::random::{Act, Event, History};
use common::second::{LIST, REPLICATE, THREAD, WRITE};
use threads_acl::eval::{Described, Outcome, evaluate};

const ATTEMPTS: u64 = 100_000;
/// Attempts on one history.
const EACH: u64 = 20;

/// A history at whose end peer 1 is removed from everything: by root, or by peer 2 under a checkpoint.
/// Gives how many events were there before the removal.
fn removed(seed: u64, chance: &mut Chance) -> (History, usize) {
    let mut history = History::random(5 + chance.below(8), chance);
    let push = |history: &mut History, author, deps, act| {
        history.events.push(Event { author, deps, act });
        history.events.len() - 1
    };
    let all: Vec<usize> = (0..history.events.len()).collect();
    let admin = push(&mut history, 0, all, Act::Grant(Some(2), LIST, WRITE));
    let before = history.events.len();
    let by = if seed.is_multiple_of(2) { 0 } else { 2 };
    let list = push(
        &mut history,
        by,
        vec![admin],
        Act::Revoke(Some(1), LIST, WRITE),
    );
    let thread = push(
        &mut history,
        by,
        vec![list],
        Act::Revoke(Some(1), THREAD, REPLICATE),
    );
    push(&mut history, 0, vec![thread], Act::Checkpoint);
    (history, before)
}

/// What peer 1 writes as if it had not seen its removal.
fn back_dated(before: usize, chance: &mut Chance) -> Event {
    let count = 1 + chance.below(3);
    let mut deps: Vec<usize> = (0..count).map(|_| chance.below(before)).collect();
    deps.sort_unstable();
    deps.dedup();
    let whom = *chance.pick(&[None, Some(0), Some(2), Some(3), Some(STRANGER)]);
    let of = *chance.pick(&[LIST, LIST, THREAD, 0]);
    let act = match chance.below(6) {
        0..=1 => Act::Grant(whom, of, WRITE),
        2..=3 => Act::Revoke(whom, of, WRITE),
        4 => Act::Restrict(chance.below(2) as i8),
        _ => Act::Data(chance.below(2) as i8, chance.percent(30)),
    };
    Event {
        author: 1,
        deps,
        act,
    }
}

/// Who comes to the thread by a forged grant, if at all.
const STRANGER: u8 = 5;

/// What the stranger makes of it.
fn built_on_it(deps: Vec<usize>, chance: &mut Chance) -> Event {
    let act = *chance.pick(&[
        Act::Revoke(Some(2), LIST, WRITE),
        Act::Grant(Some(4), THREAD, WRITE),
        Act::Data(0, false),
    ]);
    Event {
        author: STRANGER,
        deps,
        act,
    }
}

/// The outcome without a word of one event, and without peers that others than these name.
fn outcome_without(events: &[Described], id: &str, named: Option<&Outcome>) -> Outcome {
    let mut outcome = evaluate(events).unwrap().outcome;
    let Outcome {
        authorised,
        counted,
        applied,
        quarantined,
        roles,
        ..
    } = &mut outcome;
    for list in [authorised, counted, applied, quarantined] {
        list.retain(|other| other != id);
    }
    roles.retain(|name, _| named.is_none_or(|named| named.roles.contains_key(name)));
    outcome
}

/// Whether a forged event, and what is built on it, shows in the state of all others.
fn shows(history: &History, forged: Event, next: impl Fn(Vec<usize>) -> Event) -> bool {
    let (mut with, mut without) = (history.clone(), history.clone());
    let place = history.events.len();
    // In the other history something by the same name that does nothing stands in its place.
    without.events.push(Event {
        author: 1,
        deps: forged.deps.clone(),
        act: Act::Checkpoint,
    });
    with.events.push(forged);
    for history in [&mut with, &mut without] {
        history.events.push(next(vec![place]));
    }
    let (with, without) = (with.described(), without.described());
    let expected = outcome_without(&without, &without[place].id, None);
    let found = outcome_without(&with, &with[place].id, Some(&expected));
    serde_json::to_string(&found).unwrap() != serde_json::to_string(&expected).unwrap()
}

#[test]
fn rows_21_22_and_23_100_000_back_dated_events_change_no_byte() {
    let mut shown_without_removal = 0;
    for seed in 0..ATTEMPTS / EACH {
        let mut chance = Chance(seed);
        let (history, before) = removed(seed, &mut chance);
        for attempt in 0..EACH {
            let forged = back_dated(before, &mut chance);
            let act = built_on_it(Vec::new(), &mut chance).act;
            let next = |deps| Event {
                author: STRANGER,
                deps,
                act,
            };
            assert!(
                !shows(&history, forged.clone(), next),
                "{seed}: {forged:?} {act:?} {history:#?}"
            );
            if attempt == 0 {
                let mut open = history.clone();
                open.events.truncate(before);
                shown_without_removal += usize::from(shows(&open, forged, next));
            }
        }
    }
    // The same events do show where nobody removed their author.
    assert!(shown_without_removal > 500, "{shown_without_removal}");
}
