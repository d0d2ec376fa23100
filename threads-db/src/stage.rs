//! Staging: every check of an action, then its effect in the store's uncommitted state.

use std::sync::Arc;

use serde_json::Value;
use threads_core::access::Statement;
use threads_core::batch::{EVENTS_MAX, EntityEvent};
use threads_core::codec::{Action, ActionKind, EventCodec};
use threads_core::event::BODY_BYTES_MAX;
use threads_core::record::Dep;
use threads_core::{CollectionName, EntityId, Error, LogId, Result};

use crate::catalogue::Definition;
use crate::definitions;
use crate::entity::{EntityRow, Life};
use crate::history;
use crate::index::Moves;
use crate::layout::{self, EventPlace, Number, meta};
use crate::txn::WriteTransaction;

/// What a batch needs for an event besides its payload, and more.
const EVENT_OVERHEAD_BYTES: usize = 32;

/// What a transaction has gathered for its record.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) events: Vec<EntityEvent>,
    /// What is stated about access.
    pub(crate) statements: Vec<Statement>,
    /// The records that are emptied by this transaction, in a thread without rules.
    pub(crate) purged: Vec<Dep>,
    /// How large the body will be, rounded up.
    pub(crate) bytes: usize,
    /// What each event did, for reducers; empty when there are none.
    pub(crate) effects: Vec<Effect>,
    /// This node's log in the thread, once it is needed.
    pub(crate) log: Option<(LogId, Number, u64)>,
    /// Whether the thread is shared with more peers by what is staged.
    pub(crate) members: bool,
    /// Whether a step failed half-way, so that what is staged must never be committed.
    pub(crate) broken: bool,
}

/// What one event did to one entity.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) event: EntityEvent,
    pub(crate) before: Option<Arc<Value>>,
    pub(crate) after: Option<Arc<Value>>,
}

/// One event that passed every check, and what it makes of its entity.
pub(crate) struct Step<'s> {
    pub(crate) definition: &'s Arc<Definition>,
    pub(crate) id: &'s EntityId,
    pub(crate) action: ActionKind,
    pub(crate) payload: Vec<u8>,
    /// What becomes of the entity.
    pub(crate) life: Life,
    /// What becomes of its index rows.
    pub(crate) moves: Moves<'s>,
    /// What was seen of it, where a reducer wants to know, and what is seen now.
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

impl WriteTransaction<'_> {
    /// Runs a step that changes the uncommitted state in several places. If it fails, the
    /// transaction can only be dropped.
    pub(crate) fn whole<R>(&mut self, step: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let result = step(self);
        self.staged.broken |= result.is_err();
        result
    }

    /// Gives a reserved collection its local number, if it has none.
    pub(crate) fn ensure_reserved(&mut self, name: &CollectionName) -> Result<()> {
        let key = meta::collection(self.thread().number, name);
        if layout::number(self.txn.as_read(), &key)?.is_none() {
            layout::assign(&mut *self.txn, &key)?;
            self.reload_catalogue()?;
        }
        Ok(())
    }

    /// Whether the entity lives.
    pub(crate) fn exists(&self, definition: &Definition, id: &EntityId) -> Result<bool> {
        let key = layout::entity(self.thread().number, definition.number, id.as_str());
        let row = EntityRow::get(self.txn.as_read(), &key)?;
        Ok(row.is_some_and(|row| row.life.is_live()))
    }

    /// Stages a create or a save: checks everything, then changes the uncommitted state.
    pub(crate) fn stage(
        &mut self,
        definition: &Arc<Definition>,
        id: &EntityId,
        kind: ActionKind,
        action: &Action<'_>,
    ) -> Result<()> {
        let life = self.life(definition, id)?;
        self.stage_on(life, (definition, id), kind, action)
    }

    /// The same on what became of the entity so far, as [`life`](Self::life) gives it.
    pub(crate) fn stage_on(
        &mut self,
        life: Life,
        (definition, id): (&Arc<Definition>, &EntityId),
        kind: ActionKind,
        action: &Action<'_>,
    ) -> Result<()> {
        check_life(definition, id, &life, kind)?;
        check_codec(definition, id, &life)?;
        let Some(payload) = definition.codec.encode(life.state(), action)? else {
            return Ok(());
        };
        let state = definition.codec.apply(life.state(), &payload)?;
        let mut after = self.look(definition, &definition.codec.view(&state)?)?;
        self.keep_id(definition, id, &life, &mut after)?;
        if let Some(schema) = &definition.schema {
            schema
                .validate(&after)
                .map_err(|error| error.with("collection", &definition.name).with("_id", id))?;
        }
        let before = self.seen(definition, &life, id)?;
        let mut moves = Moves::new(definition, before.as_ref(), Some(&after));
        moves.check_entries()?;
        moves.check_unique(self.txn.as_read(), self.thread().number, id.as_str())?;
        let life = Life::Live(definition.codec_id.clone(), state);
        self.effect(Step {
            definition,
            id,
            action: kind,
            payload,
            life,
            moves,
            before,
            after: Some(after),
        })
    }

    /// Sees to it that an entity has its own id after a change.
    fn keep_id(
        &self,
        definition: &Definition,
        id: &EntityId,
        before: &Life,
        after: &mut Value,
    ) -> Result<()> {
        if after.get("_id").and_then(Value::as_str) == Some(id.as_str()) {
            return Ok(());
        }
        // What created it may not be applied: then it is shown with its id, and has none of its own.
        let shown = before.state().map(|state| definition.codec.view(state));
        let shown = shown
            .transpose()?
            .map(|shown| self.look(definition, &shown));
        let lacks = |value: &Value| value.get("_id").is_none();
        let lacked = shown.transpose()?.as_ref().is_some_and(lacks);
        match after
            .as_object_mut()
            .filter(|after| lacked && !after.contains_key("_id"))
        {
            Some(after) => _ = after.insert("_id".to_owned(), id.as_str().into()),
            None => {
                return Err(
                    Error::invalid("an entity keeps its _id: create another one instead")
                        .with("_id", id),
                );
            }
        }
        Ok(())
    }

    /// Stages a delete.
    pub(crate) fn stage_delete(
        &mut self,
        definition: &Arc<Definition>,
        id: &EntityId,
    ) -> Result<()> {
        let life = self.life(definition, id)?;
        check_life(definition, id, &life, ActionKind::Delete)?;
        self.stage_tombstone(definition, id, &life)
    }

    /// What became of an entity so far.
    pub(crate) fn life(&self, definition: &Definition, id: &EntityId) -> Result<Life> {
        let (key, _) = self.keys(definition, id);
        let row = EntityRow::get(self.txn.as_read(), &key)?;
        Ok(row.map_or(Life::Unknown, |row| row.life))
    }

    /// Stages a delete, whatever became of the entity before.
    pub(crate) fn stage_tombstone(
        &mut self,
        definition: &Arc<Definition>,
        id: &EntityId,
        life: &Life,
    ) -> Result<()> {
        let before = self.seen(definition, life, id)?;
        let moves = Moves::new(definition, before.as_ref(), None);
        let (action, payload, life) = (ActionKind::Delete, Vec::new(), Life::Deleted);
        self.effect(Step {
            definition,
            id,
            action,
            payload,
            life,
            moves,
            before,
            after: None,
        })
    }

    /// As much of an entity's text as its schema, its indexes and the reducers want to know.
    fn look(&self, definition: &Definition, text: &[u8]) -> Result<Value> {
        if definition.schema.is_none() && self.thread().node.reducers.is_empty() {
            return definition.indexed.read(text);
        }
        serde_json::from_slice(text).map_err(|cause| {
            Error::corrupt("a codec shows something else than JSON").caused_by(cause)
        })
    }

    /// What was seen of an entity, where an index or a reducer wants to know.
    pub(crate) fn seen(
        &self,
        definition: &Definition,
        life: &Life,
        id: &EntityId,
    ) -> Result<Option<Value>> {
        let thread = self.thread();
        if !thread.node.reducers.is_empty() {
            return history::view(thread, life, id.as_str());
        }
        let Life::Live(codec, state) = life else {
            return Ok(None);
        };
        if definition.indexes.is_empty() {
            return Ok(None);
        }
        let document = history::document(thread, codec.as_str(), state.clone(), id.as_str())?;
        document
            .map(|document| definition.indexed.read(document.text()))
            .transpose()
    }

    pub(crate) fn keys(&self, definition: &Definition, id: &EntityId) -> (Vec<u8>, Vec<u8>) {
        history::keys(self.thread().number, definition.number, id.as_str())
    }

    /// Makes the effect of one event, if there is room for it.
    pub(crate) fn effect(&mut self, step: Step<'_>) -> Result<()> {
        let bytes = self.room_for(step.payload.len(), step.definition, step.id)?;
        self.whole(|txn| txn.make(step))?;
        self.staged.bytes = bytes;
        Ok(())
    }

    /// Makes the effect of one event in the uncommitted state, and remembers the event.
    fn make(&mut self, step: Step<'_>) -> Result<()> {
        let Step {
            definition,
            id,
            action,
            payload,
            life,
            moves,
            before,
            after,
        } = step;
        let (thread, place) = (self.thread(), self.next_place()?);
        let (key, history) = self.keys(definition, id);
        let txn = &mut *self.txn;
        if let Some(base) = &self.base
            && let Some(row) = EntityRow::get(txn.as_read(), &key)?
        {
            base.keep(txn, thread.number, (&key, &row))?;
        }
        EntityRow { last: place, life }.put(txn, &key)?;
        history::put(txn, &history, place, self.tip.position + 1)?;
        if moves.make(txn, thread, id.as_str())? {
            self.reload_catalogue()?;
        }
        if definition.name.is_reserved() {
            definitions::changed(&mut *self.txn, thread)?;
            self.reload_catalogue()?;
        }
        let event = EntityEvent {
            collection: definition.name.clone(),
            entity: id.clone(),
            codec: definition.codec_id.clone(),
            action,
            payload,
        };
        if !thread.node.reducers.is_empty() {
            let (before, after) = (before.map(Arc::new), after.map(Arc::new));
            self.staged.effects.push(Effect {
                event: event.clone(),
                before,
                after,
            });
        }
        self.staged.events.push(event);
        Ok(())
    }

    /// How large the body becomes with one more event, if it may.
    fn room_for(&self, payload: usize, definition: &Definition, id: &EntityId) -> Result<usize> {
        let names = definition.name.as_str().len() + definition.codec_id.as_str().len();
        let event = payload + id.as_str().len() + EVENT_OVERHEAD_BYTES;
        let first = if self.staged.events.is_empty() {
            EVENT_OVERHEAD_BYTES
        } else {
            0
        };
        let known = self
            .staged
            .events
            .iter()
            .rev()
            .take(1)
            .any(|e| e.collection == definition.name);
        let bytes = self.staged.bytes + event + first + if known { 0 } else { names };
        if bytes > BODY_BYTES_MAX || self.staged.events.len() >= EVENTS_MAX {
            return Err(Error::invalid("a transaction is too large: use several")
                .with("bytes", bytes)
                .with("bytes_most", BODY_BYTES_MAX)
                .with("events_most", EVENTS_MAX));
        }
        Ok(bytes)
    }

    /// Where the next event of this transaction will stand.
    fn next_place(&mut self) -> Result<EventPlace> {
        let (_, log, seq) = self.own_log()?;
        // At most EVENTS_MAX events are staged.
        let index = self.staged.events.len() as u32;
        Ok(EventPlace {
            time: self.time,
            log,
            seq,
            index,
        })
    }
}

/// Refuses to change an entity that another codec made.
fn check_codec(definition: &Definition, id: &EntityId, life: &Life) -> Result<()> {
    let (Life::Live(codec, _) | Life::Waiting(codec)) = life else {
        return Ok(());
    };
    if *codec == definition.codec_id {
        return Ok(());
    }
    Err(
        Error::unsupported("another codec made this entity, and it keeps it")
            .with("collection", &definition.name)
            .with("_id", id)
            .with("codec", codec),
    )
}

fn check_life(definition: &Definition, id: &EntityId, life: &Life, kind: ActionKind) -> Result<()> {
    let error = match (life, kind) {
        (Life::Live(..), ActionKind::Create) => {
            Error::conflict("an entity of this _id exists: save or patch it, or use another _id")
        }
        (Life::Deleted, ActionKind::Create) => {
            Error::conflict("this _id was deleted, and deleting is final: use another _id")
        }
        (
            Life::Deleted | Life::Unknown | Life::Waiting(_),
            ActionKind::Save | ActionKind::Delete,
        ) => Error::not_found("no entity of this _id"),
        _ => return Ok(()),
    };
    Err(error.with("collection", &definition.name).with("_id", id))
}
