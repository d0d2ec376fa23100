//! What is known of each access record by its CID: its last event, or what it stands for if it takes no part
//! (R15).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use threads_core::policy::AccessRecord;
use threads_core::{Cid, PeerId, Result};

use crate::policy::rows::Row;
use crate::{AclId, LeftOut};

/// What a record is to others that name it.
#[derive(Debug)]
enum Stands {
    /// An event, the last that it says.
    For(AclId),
    /// Those that it knows of, the latest.
    Aside(Arc<[AclId]>, LeftOut),
}

#[derive(Debug, Default)]
pub(super) struct Known {
    records: HashMap<Cid, Stands>,
    aside: usize,
    /// Those for which there was no room, and those that know of such.
    hidden: HashSet<Cid>,
    /// What root has seen of them, as far as that was looked for.
    seen: HashSet<Cid>,
    /// Whether root has seen more.
    outdated: bool,
}

impl Known {
    pub(super) fn has(&self, record: &Cid) -> bool {
        self.records.contains_key(record)
    }

    pub(super) fn last_of(&self, record: &Cid) -> &[AclId] {
        match self.records.get(record) {
            Some(Stands::For(id)) => std::slice::from_ref(id),
            Some(Stands::Aside(knows, _)) => knows,
            None => &[],
        }
    }

    pub(super) fn insert(&mut self, record: Cid, last: AclId) {
        self.records.insert(record, Stands::For(last));
    }

    pub(super) fn set_aside(&mut self, record: Cid, knows: Arc<[AclId]>, why: LeftOut) {
        self.aside += 1;
        if why == LeftOut::NoRoom {
            self.hidden.insert(record);
        }
        self.records.insert(record, Stands::Aside(knows, why));
    }

    pub(super) fn leaves_out_any(&self) -> bool {
        self.aside > 0
    }

    pub(super) fn why_left_out(&self, record: &Cid) -> Option<LeftOut> {
        match self.records.get(record)? {
            Stands::For(_) => None,
            Stands::Aside(_, why) => Some(*why),
        }
    }

    /// Notes whether a record knows of such as there was no room for. If root does, there is.
    pub(super) fn note_hidden(&mut self, record: &AccessRecord<'_>, by_root: bool) {
        if record.acl.iter().any(|known| self.hidden.contains(known)) {
            self.hidden.insert(record.id);
            self.outdated |= by_root;
        }
    }

    pub(super) fn is_outdated(&self) -> bool {
        self.outdated
    }

    pub(super) fn seen_by_root(&mut self, seen: HashSet<Cid>) {
        self.seen = seen;
    }

    pub(super) fn is_seen_by_root(&self, record: &Cid) -> bool {
        self.seen.contains(record)
    }

    /// All that root has seen was taken in.
    pub(super) fn is_whole(&mut self) {
        self.seen.clear();
        self.outdated = false;
    }
}

/// Everything that root has seen of these rows, the latest of which comes first.
pub(super) fn seen_by(
    root: &PeerId,
    rows: impl Iterator<Item = Result<Row>>,
) -> Result<HashSet<Cid>> {
    let mut seen = HashSet::new();
    for row in rows {
        let row = row?;
        if row.author == *root || seen.contains(&row.record) {
            seen.extend(row.acl);
        }
    }
    Ok(seen)
}
