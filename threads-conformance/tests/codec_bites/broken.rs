//! A small codec that keeps every law, and misbehaves in one way when it is told to.
//!
//! An entity is a register for each member: a number that grows with each write, and the value, or
//! none where it was removed. Events carry the registers that were written. They are JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Error, Result};

use crate::asked::{Members, asked};

/// What a codec does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    IsNamedAnew,
    WritesOtherBytesEachTime,
    WritesRemovalsInAnyOrder,
    ShowsOtherTextEachTime,
    BeginsNothingWithNothing,
    SavesOnTopOfWhatIsThere,
    MergesOneLevelOnly,
    MovesByCopying,
    CarriesOutHalfAPatch,
    SaysTheSameAgain,
    ComparesNumbersByValue,
    WrapsWhatIsNoObject,
    CountsInFloats,
    DropsEmptyNames,
    DropsTheId,
    HasRoomForLittle,
    KeepsTheOrderGiven,
    PanicsOnNothing,
    TrustsNumbers,
    ExpectsNoListsOfOthers,
    CallsBadEventsCorrupt,
    RemembersBadEvents,
    ShowsANameTwice,
    ShowsNoObject,
    ShowsDeepListsTooDeep,
    TrustsStates,
    CallsBadStatesInvalid,
    RecursesForEver,
    KeepsThePastTwice,
    RemembersEvents,
    LetsTheLaterArrivalWin,
    CountsDuplicates,
    LetsNothingComeBack,
}

/// What is deep to [`Fault::ShowsDeepListsTooDeep`]; three times as many levels no reader of JSON reads.
const DEEP_LEVELS: usize = 50;

/// A number that grows with each write, and the value, which may be null, or none.
type Register = (u64, Vec<Value>);
type Registers = BTreeMap<String, Register>;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Event {
    begins: bool,
    put: Registers,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct State {
    #[serde(default, skip_serializing_if = "is_zero")]
    applied: u64,
    registers: Registers,
}

fn is_zero(applied: &u64) -> bool {
    *applied == 0
}

/// The largest number of a register.
const WRITES_MAX: u64 = 1 << 53;

/// The longest state, in bytes.
const STATE_BYTES_MAX: usize = 1 << 20;

/// Where a codec that has little room ends, in bytes.
const LITTLE_BYTES: usize = 1 << 14;

static MADE: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
pub(crate) struct Broken {
    ordering: Ordering,
    fault: Option<Fault>,
    calls: AtomicUsize,
    number: usize,
    remembered: Mutex<HashMap<Vec<u8>, EntityState>>,
    poisoned: Mutex<bool>,
}

impl Broken {
    pub(crate) fn new(ordering: Ordering, fault: Option<Fault>) -> Self {
        Self {
            ordering,
            fault,
            calls: AtomicUsize::new(0),
            number: MADE.fetch_add(1, SeqCst),
            remembered: Mutex::default(),
            poisoned: Mutex::default(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn every_second_time(&self, fault: Fault) -> bool {
        self.is(fault) && self.calls.fetch_add(1, SeqCst) % 2 == 1
    }

    fn read(&self, state: &EntityState) -> Result<State> {
        if self.is(Fault::TrustsStates) {
            return Ok(serde_json::from_slice(state.as_bytes()).unwrap());
        }
        let read = serde_json::from_slice(state.as_bytes()).ok();
        read.filter(|state: &State| state.registers.values().all(is_register))
            .ok_or_else(|| match self.is(Fault::CallsBadStatesInvalid) {
                true => Error::invalid("not a state"),
                false => Error::corrupt("not a state"),
            })
    }

    fn parse(&self, event: &[u8]) -> Result<Event> {
        if self.is(Fault::PanicsOnNothing) {
            assert!(!event.is_empty(), "an event");
        }
        if self.is(Fault::RecursesForEver) {
            levels(event);
        }
        let bad = || match self.is(Fault::CallsBadEventsCorrupt) {
            true => Error::corrupt("not an event"),
            false => Error::rejected("not an event"),
        };
        let event: Event = serde_json::from_slice(event).map_err(|_| bad())?;
        if self.is(Fault::TrustsNumbers) {
            let small = |register: &Register| register.0 <= WRITES_MAX;
            assert!(event.put.values().all(small), "a small number");
        }
        let sound = event.put.values().all(is_register);
        sound.then_some(event).ok_or_else(bad)
    }

    fn members(&self, state: &State) -> Members {
        let present = |(name, register): (&String, &Register)| {
            Some((name.clone(), register.1.first()?.clone()))
        };
        state.registers.iter().filter_map(present).collect()
    }

    /// What has to be written so that the members become these.
    fn changes(&self, state: &State, after: &Members) -> Result<Registers> {
        let before = self.members(state);
        let same = |one: &Value, other: &Value| {
            let numbers = one.as_f64().is_some() && one.as_f64() == other.as_f64();
            one == other || self.is(Fault::ComparesNumbersByValue) && numbers
        };
        let mut put = Registers::new();
        let mut write = |name: &String, value: Vec<Value>| {
            let writes = state.registers.get(name).map_or(0, |register| register.0);
            if writes >= WRITES_MAX {
                return Err(Error::conflict("this member was written for the last time"));
            }
            put.insert(name.clone(), (writes + 1, value));
            Ok(())
        };
        for (name, value) in after {
            let unchanged = before.get(name).is_some_and(|before| same(before, value));
            let removed = state.registers.contains_key(name) && !before.contains_key(name);
            if removed && self.is(Fault::LetsNothingComeBack) {
                continue;
            }
            if !unchanged || self.is(Fault::SaysTheSameAgain) {
                write(name, vec![value.clone()])?;
            }
        }
        let removed = before.keys().filter(|name| !after.contains_key(*name));
        for name in removed {
            write(name, Vec::new())?;
        }
        Ok(put)
    }

    fn write(&self, event: &Event) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(event).map_err(invalid)?;
        if self.every_second_time(Fault::WritesOtherBytesEachTime) {
            // As long as before, and different only in its last bytes.
            let last = bytes.len() - 1;
            bytes.insert(last, b' ');
        } else if self.is(Fault::WritesOtherBytesEachTime) {
            bytes.push(b' ');
        }
        let removals = event.put.values().filter(|register| register.1.is_empty());
        if removals.count() > 1 && self.every_second_time(Fault::WritesRemovalsInAnyOrder) {
            bytes.push(b' ');
        }
        let most = match self.is(Fault::HasRoomForLittle) {
            true => LITTLE_BYTES,
            false => STATE_BYTES_MAX,
        };
        if bytes.len() > most {
            return Err(Error::invalid("too large"));
        }
        Ok(bytes)
    }

    /// Whether a register that comes replaces the one that is there.
    fn wins(&self, new: &Register, old: &Register) -> bool {
        let tie = self.is(Fault::LetsTheLaterArrivalWin) && new.0 == old.0;
        let text = |register: &Register| json!(register.1).to_string();
        self.ordering == Ordering::Total || tie || (new.0, text(new)) > (old.0, text(old))
    }
}

pub(crate) fn invalid(error: serde_json::Error) -> Error {
    Error::invalid("not JSON").caused_by(error)
}

fn is_register(register: &Register) -> bool {
    register.0 <= WRITES_MAX && register.1.len() <= 1
}

/// How many lists a text begins: one call for each.
fn levels(text: &[u8]) -> usize {
    match text.iter().position(|byte| *byte == b'[') {
        Some(at) => 1 + std::hint::black_box(levels(&text[at + 1..])),
        None => 0,
    }
}

impl EventCodec for Broken {
    fn id(&self) -> CodecId {
        let number = if self.is(Fault::IsNamedAnew) {
            self.number
        } else {
            1
        };
        format!("broken/{number}").parse().unwrap()
    }

    fn ordering(&self) -> Ordering {
        self.ordering
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        let state = before.map(|state| self.read(state)).transpose()?;
        let begins = state.is_none();
        let state = state.unwrap_or(State {
            applied: 0,
            registers: Registers::new(),
        });
        let after = asked(self.fault, self.members(&state), action)?;
        let put = self.changes(&state, &after)?;
        if let (Action::Create(value), true) = (action, self.is(Fault::KeepsTheOrderGiven)) {
            let text = serde_json::to_string(value).map_err(invalid)?;
            // White space that remembers the order, which is otherwise lost.
            let order = text
                .bytes()
                .fold(0, |sum, byte| (sum * 31 + usize::from(byte)) % 97);
            let bytes = self.write(&Event { begins, put })?;
            return Ok(Some([bytes, b" ".repeat(order)].concat()));
        }
        let idle = match self.is(Fault::BeginsNothingWithNothing) {
            true => put.keys().all(|name| name == "_id"),
            false => put.is_empty() && !begins,
        };
        match idle {
            true => Ok(None),
            false => self.write(&Event { begins, put }).map(Some),
        }
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        if self.is(Fault::ShowsNoObject) && event == b"null" {
            return Ok(EntityState::new(event));
        }
        let parsed = self.parse(event);
        if self.is(Fault::RemembersBadEvents) {
            let mut poisoned = self.poisoned.lock().unwrap();
            *poisoned |= parsed.is_err();
        }
        let parsed = parsed?;
        let mut remembered = self.remembered.lock().unwrap();
        if self.is(Fault::RemembersEvents)
            && let Some(state) = remembered.get(event)
        {
            return Ok(state.clone());
        }
        let mut state = match before {
            Some(before) => self.read(before)?,
            None if self.ordering == Ordering::Causal && !parsed.begins => {
                return Err(Error::rejected("a change to an entity that never began"));
            }
            None => State {
                applied: 0,
                registers: Registers::new(),
            },
        };
        for (name, new) in parsed.put {
            match state.registers.get_mut(&name) {
                Some(old)
                    if self.is(Fault::ExpectsNoListsOfOthers)
                        && new.0 <= old.0
                        && old.1.iter().any(Value::is_array) =>
                {
                    return Err(Error::invalid("a list"));
                }
                Some(old) if !self.wins(&new, old) => {}
                Some(old) => *old = new,
                None => drop(state.registers.insert(name, new)),
            }
        }
        let marked = self.is(Fault::RemembersBadEvents) && *self.poisoned.lock().unwrap();
        if self.is(Fault::CountsDuplicates) || marked {
            state.applied = state.applied.saturating_add(1);
        }
        let mut bytes = serde_json::to_vec(&state).map_err(invalid)?;
        if bytes.len() > STATE_BYTES_MAX {
            return Err(Error::rejected("too large"));
        }
        if self.is(Fault::KeepsThePastTwice) {
            let past = before.map_or(0, |before| before.as_bytes().len());
            bytes.extend(b" ".repeat(2 * past));
        }
        let state = EntityState::new(bytes);
        remembered.insert(event.to_vec(), state.clone());
        Ok(state)
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        if self.is(Fault::ShowsNoObject) && state.as_bytes() == b"null" {
            return Ok(Cow::Borrowed(b"null"));
        }
        let mut members: Map<String, Value> =
            self.members(&self.read(state)?).into_iter().collect();
        if self.is(Fault::DropsTheId) {
            members.remove("_id");
        }
        let mut text = serde_json::to_string(&members).map_err(invalid)?;
        if self.every_second_time(Fault::ShowsOtherTextEachTime) {
            text.push(' ');
        }
        if let Some(id) = members
            .get("_id")
            .filter(|_| self.is(Fault::ShowsANameTwice))
        {
            text = text.replacen('{', &format!("{{\"_id\":{id},"), 1);
        }
        let deep = ["[", "]"].map(|bracket| bracket.repeat(DEEP_LEVELS));
        if self.is(Fault::ShowsDeepListsTooDeep) && text.contains(&deep[0]) {
            for bracket in deep {
                text = text.replacen(&bracket, &bracket.repeat(3), 1);
            }
        }
        Ok(Cow::Owned(text.into_bytes()))
    }
}
