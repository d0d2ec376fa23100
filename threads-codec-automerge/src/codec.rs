//! The codec: what each action becomes, and what each event does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use automerge::ObjId;
use serde_json::Value;
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::{CodecId, Error, Result};

use crate::cache::Cache;
use crate::change;
use crate::document::Document;
use crate::edit;
use crate::foreign;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::node::{Node, members};
use crate::patch;
use crate::seen::Seen;
use crate::state;

/// The codec `automerge/1`. See the [crate](crate) for its format and rules.
///
/// ```
/// use threads_codec_automerge::Automerge;
/// use threads_core::codec::EventCodec;
/// assert_eq!(Automerge::of("ann").id().as_str(), "automerge/1");
/// ```
#[derive(Clone)]
pub struct Automerge {
    writer: Box<[u8]>,
    cache: Arc<Cache>,
}

/// Says whose it is; what it keeps at hand is the application's.
impl fmt::Debug for Automerge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writer: String = self
            .writer
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        f.debug_struct("Automerge")
            .field("writer", &writer)
            .finish_non_exhaustive()
    }
}

impl Automerge {
    /// The codec of one writer, by any bytes that no other writer has, such as a peer's id.
    ///
    /// A codec is a function of its arguments: what one writer asks for twice on one state is one event.
    /// What two writers do at the same time counts twice, even if it is the same.
    ///
    /// ```
    /// use serde_json::json;
    /// use threads_codec_automerge::Automerge;
    /// use threads_core::codec::{Action, EventCodec};
    ///
    /// let event = |codec: Automerge| codec.encode(None, &Action::Create(&json!({}))).unwrap();
    /// assert_eq!(event(Automerge::of("ann")), event(Automerge::of("ann")));
    /// assert_ne!(event(Automerge::of("ann")), event(Automerge::of("bob")));
    /// ```
    #[must_use]
    pub fn of(writer: impl AsRef<[u8]>) -> Self {
        Self {
            writer: writer.as_ref().into(),
            cache: Arc::default(),
        }
    }

    /// An entity as a document of Automerge, as its `save` writes it and its `load` reads it in any
    /// language. What waits for changes that have not come is not in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](threads_core::ErrorKind::Corrupt) for a state that is none.
    ///
    /// ```
    /// use serde_json::json;
    /// use threads_codec_automerge::Automerge;
    /// use threads_core::codec::{Action, EventCodec};
    ///
    /// let codec = Automerge::of("ann");
    /// let created = codec.encode(None, &Action::Create(&json!({"a": 1}))).unwrap().unwrap();
    /// let state = codec.apply(None, &created).unwrap();
    /// let bytes = Automerge::document(&state).unwrap();
    /// assert_eq!(automerge::Automerge::load(&bytes).unwrap().get_heads().len(), 1);
    /// ```
    pub fn document(state: &EntityState) -> Result<Vec<u8>> {
        Document::open(state::split(state)?)?.save()
    }

    /// The event of a change that was made elsewhere: one chunk of Automerge's format, as
    /// `getLastLocalChange` of its JavaScript package gives it, deflated or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for what is no change, exceeds the
    /// limits, or has marks or columns of another version.
    ///
    /// ```
    /// use threads_codec_automerge::Automerge;
    /// use threads_core::codec::{EventCodec, EventCodecExt};
    /// use automerge::{AutoCommit, ROOT, transaction::Transactable};
    ///
    /// let mut elsewhere = AutoCommit::new();
    /// elsewhere.put(ROOT, "a", 1).unwrap();
    /// let change = elsewhere.get_last_local_change().unwrap().bytes().into_owned();
    ///
    /// let codec = Automerge::of("ann");
    /// let state = codec.apply(None, &Automerge::event(&change).unwrap()).unwrap();
    /// assert_eq!(codec.value(&state).unwrap(), serde_json::json!({"a": 1}));
    /// ```
    pub fn event(change: &[u8]) -> Result<Vec<u8>> {
        foreign::event(change)
    }

    /// A change that was made elsewhere, as an [`Action::Patch`] that takes it in: what
    /// [`Automerge::event`] is for a codec, this is for a database.
    ///
    /// # Errors
    ///
    /// As [`Automerge::event`].
    ///
    /// ```
    /// use threads_codec_automerge::Automerge;
    /// use threads_core::codec::{Action, EventCodec};
    /// # use automerge::{AutoCommit, ROOT, transaction::Transactable};
    /// # let codec = Automerge::of("ann");
    /// # let created = codec.encode(None, &Action::Create(&serde_json::json!({}))).unwrap().unwrap();
    /// # let state = codec.apply(None, &created).unwrap();
    /// # let mut elsewhere = AutoCommit::load(&Automerge::document(&state).unwrap()).unwrap();
    /// # elsewhere.put(ROOT, "a", 1).unwrap();
    /// # let change = elsewhere.get_last_local_change().unwrap().bytes().into_owned();
    /// let patch = Automerge::patch(&change).unwrap();
    /// let event = codec.encode(Some(&state), &Action::Patch(&patch)).unwrap();
    /// assert_eq!(event, Some(Automerge::event(&change).unwrap()));
    /// ```
    pub fn patch(change: &[u8]) -> Result<Value> {
        foreign::patch(change)
    }

    /// The event that makes of a state an object of these members.
    fn save(
        &self,
        before: Option<&EntityState>,
        wanted: BTreeMap<String, Node>,
    ) -> Result<Option<Vec<u8>>> {
        let mut document = self.open(before)?;
        let mut edits = Vec::new();
        // Invariant: the document itself is an object.
        if let Seen::Map(_, seen) = document.seen() {
            edit::members(&ObjId::Root, seen, wanted, &mut edits);
        }
        if edits.is_empty() && before.is_some() {
            self.cache.keep(document);
            return Ok(None);
        }
        let event = document.commit(&self.writer, edits)?;
        if document.view().len() > DOCUMENT_BYTES_MAX {
            return Err(
                Error::invalid("an entity is too large: split it into several")
                    .with("bytes", document.view().len())
                    .with("most", DOCUMENT_BYTES_MAX),
            );
        }
        self.cache.keep(document);
        Ok(event)
    }

    /// The event of a change that was made elsewhere, unless it is known.
    fn take_in(&self, before: &EntityState, event: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let document = self.open(Some(before))?;
        let decoded = change::decode(&event)
            .map_err(|fault| Error::invalid("this is no change").caused_by(fault))?;
        let known = document.has(&decoded.change);
        self.cache.keep(document);
        Ok((!known).then_some(event))
    }

    fn open(&self, before: Option<&EntityState>) -> Result<Document> {
        match before {
            Some(before) => self.cache.take(state::split(before)?),
            None => Ok(Document::new()),
        }
    }
}

/// What an entity shows, as JSON.
fn shown(state: &EntityState) -> Result<Value> {
    serde_json::from_slice(state::split(state)?.view)
        .map_err(|_| state::damaged("what it shows is not JSON"))
}

impl EventCodec for Automerge {
    fn id(&self) -> CodecId {
        // Invariant: the text is a well-formed codec id; a test parses it.
        "automerge/1".parse().expect("a well-formed codec id")
    }

    fn ordering(&self) -> Ordering {
        Ordering::Any
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        match (action, before) {
            (Action::Create(_), Some(_)) => Err(Error::conflict(
                "the entity exists already: save or patch it",
            )),
            (Action::Create(value) | Action::Save(value), _) => self.save(before, members(*value)?),
            (Action::Merge(_) | Action::Patch(_), None) => Err(Error::not_found(
                "there is no entity to patch: create it first",
            )),
            (Action::Merge(merge), Some(state)) => {
                let mut after = shown(state)?;
                patch::merge(&mut after, merge)?;
                self.save(before, members(&after)?)
            }
            (Action::Patch(list), Some(state)) => {
                if let Some(event) = foreign::carried(list) {
                    return self.take_in(state, event?);
                }
                let mut after = shown(state)?;
                patch::patch(&mut after, list)?;
                self.save(before, members(&after)?)
            }
            _ => Err(Error::unsupported(
                "this codec creates, saves, merges and patches only",
            )),
        }
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        let parts = before.map(state::split).transpose()?.unwrap_or_default();
        if let Some(state) = self.cache.after(parts, event) {
            return state;
        }
        let decoded = change::decode(event)
            .map_err(|fault| Error::rejected("an event is no sound change").caused_by(fault))?;
        let mut document = self.open(before)?;
        if !document.has(&decoded.change) {
            document.add(decoded)?;
        }
        let state = document.state();
        self.cache.keep(document);
        state
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(state::split(state)?.view))
    }
}
