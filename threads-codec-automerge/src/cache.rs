//! Documents at hand. Building one from its changes takes as long as its history; a change on one
//! that is at hand does not.
//!
//! A document here stands for exactly the changes it was made of, byte for byte, so whether it is
//! here changes nothing but the time an answer takes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use threads_core::Result;
use threads_core::codec::EntityState;

use crate::document::Document;
use crate::limits::{CACHE_DOCUMENTS_MAX, CACHE_OPS_MAX};
use crate::state::Parts;

/// The documents, from the longest unused to the latest used.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Vec<Document>>);

impl Cache {
    fn documents(&self) -> MutexGuard<'_, Vec<Document>> {
        // A panic elsewhere leaves whole documents here: they are moved in and out.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The document of a state's changes, which is no longer here until it is kept again.
    pub(crate) fn take(&self, state: Parts<'_>) -> Result<Document> {
        let mut documents = self.documents();
        let found = documents.iter().rposition(|document| document.is(state));
        let taken = found.map(|at| documents.remove(at));
        drop(documents);
        taken.map_or_else(|| Document::open(state), Ok)
    }

    /// The state that an event makes of another, if it was made here.
    pub(crate) fn after(&self, before: Parts<'_>, event: &[u8]) -> Option<Result<EntityState>> {
        let documents = self.documents();
        let mut newest = documents.iter().rev();
        newest
            .find(|document| document.is_after(before, event))
            .map(Document::state)
    }

    /// Keeps a document, and gives up those that were unused longest, where there is no room.
    pub(crate) fn keep(&self, document: Document) {
        let mut documents = self.documents();
        documents.push(document);
        let mut ops: usize = documents.iter().map(Document::ops).sum();
        let mut kept = documents.len();
        let too_many = documents.iter().take_while(|document| {
            let too_many = kept > CACHE_DOCUMENTS_MAX || ops > CACHE_OPS_MAX;
            (kept, ops) = (kept - 1, ops - document.ops());
            too_many
        });
        let given_up = too_many.count();
        documents.drain(..given_up);
    }
}
