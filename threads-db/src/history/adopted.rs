//! What was adopted counts once, also where the record that it is from is applied itself after all.

use std::sync::Arc;

use threads_core::Result;
use threads_core::batch::EntityEvent;
use threads_core::record::Record;

use super::Events;
use crate::chain;
use crate::layout::EventPlace;
use crate::opened::Opened;

/// Events of one entity that were adopted, with the records that adopted them, in the order of events.
#[derive(Default)]
pub(super) struct Adopted(Vec<(Arc<Opened>, EntityEvent)>);

impl Adopted {
    /// Whether a record before this one adopted the same event from the same record.
    fn has(&self, opened: &Opened, event: &EntityEvent) -> bool {
        let record = opened.record.id();
        self.0.iter().any(|(other, its)| {
            let shares = || other.adopts.iter().any(|from| opened.adopts.contains(from));
            its == event && other.record.id() != record && shares()
        })
    }
}

impl Events<'_> {
    /// Whether an event does nothing because it was adopted from a record that has it among these rows itself,
    /// or that one before it adopted too. Notes it if it was adopted.
    pub(super) fn is_done(
        &mut self,
        (place, event): (&EventPlace, &EntityEvent),
        rows: &[EventPlace],
        adopted: &mut Adopted,
    ) -> Result<bool> {
        let thread = self.thread.number;
        let opened = self.record(place.of_record(thread))?;
        if opened.adopts.is_empty() {
            return Ok(false);
        }
        let mut done = adopted.has(&opened, event);
        for from in &opened.adopts {
            let Some(from) = chain::locate(self.txn, thread, from)? else {
                continue;
            };
            for row in rows.iter().filter(|row| row.of_record(thread) == from) {
                done |= self.event(row)? == *event;
            }
        }
        adopted.0.push((opened, event.clone()));
        Ok(done)
    }
}
