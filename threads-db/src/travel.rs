//! Time travel: a thread as it was, what became of an entity and by whom, and taking changes back.
//!
//! All of it is read from the log, for every codec, by replaying events: nothing is kept for it, and no
//! index is used. What is asked of one entity costs as much as its history is long.

mod blame;
mod cut;
mod diff;
mod edit;
mod moments;
mod past;
mod point;
mod revert;
mod time;
mod undo;
mod walk;

pub use blame::Blame;
pub use diff::{DiffScope, EntityDiff};
pub use edit::Edit;
pub(crate) use edit::edits;
pub use moments::{Fate, History, Moment};
pub use past::Past;
pub use point::Point;
pub(crate) use undo::UNDONE;
pub use undo::{Finality, KeptField, Undone, UndoneEntity, UndoneHow};

use cut::Cut;
