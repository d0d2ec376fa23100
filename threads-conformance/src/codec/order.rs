//! Laws of order: which sequences of the same events have to end in the same state.

use std::collections::BTreeSet;
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_core::codec::{Action, EntityState, EventCodec};

use super::Subject;
use super::asked::{document, seen, shown};
use crate::cases::for_all;
use crate::law::{Checked, Violation, ensure};

/// How many events a history has at most: all orders of five are 120.
const EVENTS_MAX: usize = 5;

/// How many write at the same time.
const AUTHORS: usize = 3;

/// What one author does: takes in what another has, and changes one member. It creates the entity
/// if it knows of none, with its own number as the member `by`.
#[derive(Clone)]
struct Turn {
    author: usize,
    reads: usize,
    member: &'static str,
    value: Option<i64>,
}

/// In the words of a law's message.
impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "author {}", self.author)?;
        if self.reads != self.author {
            write!(f, " reads all of author {} and", self.reads)?;
        }
        match self.value {
            Some(value) => write!(f, " saves {} = {value}", self.member),
            None => write!(f, " saves without {}", self.member),
        }
    }
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let names = select(vec!["a", "b", "c"]);
    let values = select(vec![None, Some(1), Some(2), Some(3)]);
    let turn =
        (0..AUTHORS, 0..AUTHORS, names, values).prop_map(|(author, reads, member, value)| Turn {
            author,
            reads,
            member,
            value,
        });
    vec(turn, 2..=EVENTS_MAX)
}

/// An event, and the events that its author had seen.
#[derive(Debug)]
struct Made {
    event: Vec<u8>,
    causes: BTreeSet<usize>,
}

/// The events that authors make who know a part of each other's. Their places are one total order
/// of them, with causes before effects.
fn history(codec: &dyn EventCodec, turns: &[Turn]) -> Result<Vec<Made>, Violation> {
    let mut events: Vec<Made> = Vec::new();
    let mut knows = vec![BTreeSet::<usize>::new(); AUTHORS];
    for turn in turns {
        let read = knows[turn.reads].clone();
        knows[turn.author].extend(read);
        let causes = knows[turn.author].clone();
        let state = replay(codec, causes.iter().map(|at| &events[*at].event[..]))?;
        let event = match &state {
            Some(state) => {
                let mut value = document(seen(codec, state)?);
                change(&mut value, turn);
                codec.encode(Some(state), &Action::Save(&value))?
            }
            None => {
                let mut value = document(json!({"by": turn.author}));
                change(&mut value, turn);
                codec.encode(None, &Action::Create(&value))?
            }
        };
        if let Some(event) = event {
            knows[turn.author].insert(events.len());
            events.push(Made { event, causes });
        }
    }
    Ok(events)
}

fn change(document: &mut Value, turn: &Turn) {
    match (turn.value, document.as_object_mut()) {
        (Some(value), _) => document[turn.member] = json!(value),
        (None, Some(members)) => drop(members.remove(turn.member)),
        (None, None) => {}
    }
}

/// The state after events, one after the other. One that is rejected leaves the state.
fn replay<'e>(
    codec: &dyn EventCodec,
    events: impl IntoIterator<Item = &'e [u8]>,
) -> Result<Option<EntityState>, Violation> {
    let mut state: Option<EntityState> = None;
    for event in events {
        match codec.apply(state.as_ref(), event) {
            Ok(after) => state = Some(after),
            Err(error) if error.kind() == ErrorKind::Rejected => {}
            Err(error) => {
                let done = "applied an event of its own to a state that its author had not seen";
                return Err(Violation::new(done, format_args!("apply gives {error:?}")));
            }
        }
    }
    Ok(state)
}

/// Fails a law unless the events in this order give this state.
#[track_caller]
fn agrees(
    codec: &dyn EventCodec,
    events: &[Made],
    order: &[usize],
    wanted: &Option<EntityState>,
) -> Checked {
    let state = replay(codec, order.iter().map(|at| &events[*at].event[..]))?;
    if state == *wanted {
        return Ok(());
    }
    let text = |state: &Option<EntityState>| match state {
        Some(state) => {
            seen(codec, state).map(|value| format!("{value} (state {})", shown(state.as_bytes())))
        }
        None => Ok("nothing".into()),
    };
    let done = format!(
        "made {} events, and applied them in the order {order:?}",
        events.len()
    );
    let (state, wanted) = (text(&state)?, text(wanted)?);
    Err(Violation::new(
        done,
        format_args!("{state}, not {wanted} as in the order they were made"),
    ))
}

fn wanted(subject: &Subject, events: &[Made]) -> Result<Option<EntityState>, Violation> {
    replay(&*subject.codec(), events.iter().map(|made| &made.event[..]))
}

pub(super) fn a_sequence_of_events_is_one_state(subject: &Subject) -> Checked {
    for_all((turns(), any::<Index>()), |(turns, turn)| {
        let codec = subject.codec();
        let events = history(&*codec, turns)?;
        let wanted = wanted(subject, &events)?;
        // They arrive in another order, and each arrival is a replay of what is here.
        let mut arriving: Vec<usize> = (0..events.len()).rev().collect();
        if !arriving.is_empty() {
            let turn = turn.index(arriving.len());
            arriving.rotate_left(turn);
        }
        let mut here = BTreeSet::new();
        for at in arriving {
            here.insert(at);
            let state = replay(&*codec, here.iter().map(|at| &events[*at].event[..]))?;
            let fresh = replay(
                &*subject.codec(),
                here.iter().map(|at| &events[*at].event[..]),
            )?;
            let done = format!(
                "made {} events, and replayed {here:?} of them",
                events.len()
            );
            ensure(state == fresh, done, "another instance gives another state")?;
        }
        let all: Vec<usize> = here.into_iter().collect();
        agrees(&*codec, &events, &all, &wanted)
    })
}

pub(super) fn causal_orders_agree(subject: &Subject) -> Checked {
    in_all_orders(subject, |made, before| {
        made.causes.iter().all(|cause| before.contains(cause))
    })
}

pub(super) fn all_orders_agree(subject: &Subject) -> Checked {
    in_all_orders(subject, |_made, _before| true)
}

fn in_all_orders(subject: &Subject, may_follow: fn(&Made, &[usize]) -> bool) -> Checked {
    for_all(turns(), |turns| {
        let codec = subject.codec();
        let events = history(&*codec, turns)?;
        let wanted = wanted(subject, &events)?;
        let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
        for _ in 0..events.len() {
            let longer = |order: Vec<usize>| {
                let events = &events;
                (0..events.len())
                    .filter(|at| !order.contains(at) && may_follow(&events[*at], &order))
                    .map(|at| [&order[..], &[at]].concat())
                    .collect::<Vec<_>>()
            };
            orders = orders.into_iter().flat_map(longer).collect();
        }
        orders
            .iter()
            .try_for_each(|order| agrees(&*codec, &events, order, &wanted))
    })
}

pub(super) fn duplicates_do_nothing(subject: &Subject) -> Checked {
    for_all(turns(), |turns| {
        let codec = subject.codec();
        let events = history(&*codec, turns)?;
        let wanted = wanted(subject, &events)?;
        for again in 0..events.len() {
            for place in again + 1..=events.len() {
                let mut order: Vec<usize> = (0..events.len()).collect();
                order.insert(place, again);
                agrees(&*codec, &events, &order, &wanted)?;
            }
        }
        Ok(())
    })
}
