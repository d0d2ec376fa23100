//! What a live query tells, and how a list follows it.

use serde::Serialize;
use threads_core::EntityId;

/// What a [`LiveQuery`](crate::LiveQuery) tells: a whole result, or what changed in it.
///
/// ```
/// use threads_db::{LiveChange, LiveUpdate};
/// let id = "b".parse().unwrap();
/// let update = LiveUpdate::Changes(vec![LiveChange::Added { at: 1, id, row: "b" }]);
/// let mut list = vec!["a", "c"];
/// update.apply(&mut list);
/// assert_eq!(list, ["a", "b", "c"]);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LiveUpdate<T> {
    /// The result, from the beginning: whatever was there before goes.
    Reset {
        /// Why it is told whole.
        why: Renewed,
        /// The rows, in the query's order.
        rows: Vec<T>,
    },
    /// What changed, by one or more whole transactions. All of it belongs together.
    Changes(Vec<LiveChange<T>>),
}

/// Why a whole result is told.
///
/// ```
/// assert_eq!(threads_db::Renewed::Behind.as_str(), "behind");
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Renewed {
    /// It is the first one.
    First,
    /// More happened since the last look than is worth following: more than
    /// [`LIVE_RECORDS_MAX`](crate::LIVE_RECORDS_MAX) records, or
    /// [`LIVE_ENTITIES_MAX`](crate::LIVE_ENTITIES_MAX) entities; or the records were dropped meanwhile.
    Behind,
    /// The collection was defined anew, or a codec was installed.
    Redefined,
    /// The last look failed.
    Failed,
}

impl Renewed {
    /// A short, stable word for programs.
    ///
    /// ```
    /// assert_eq!(threads_db::Renewed::First.as_str(), "first");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Behind => "behind",
            Self::Redefined => "redefined",
            Self::Failed => "failed",
        }
    }
}

/// A change of a result. `from` counts in the result before the update, `at` and `to` in the one after
/// it: take out what goes and what moves, put in what comes and what moves, and replace what changed, as
/// [`LiveUpdate::apply`] does.
///
/// A row that was not written itself is never moved or changed; it comes and goes at the ends where a
/// limit cuts.
///
/// ```
/// use threads_db::LiveChange;
/// let moved: LiveChange<()> = LiveChange::Moved { from: 3, to: 0, id: "a".parse().unwrap() };
/// assert_eq!(moved.id().as_str(), "a");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum LiveChange<T> {
    /// A row that was not in the result is in it now.
    Added {
        /// Its index after the update.
        at: usize,
        /// The entity.
        id: EntityId,
        /// The row.
        row: T,
    },
    /// A row shows something else.
    Changed {
        /// Its index after the update.
        at: usize,
        /// The entity.
        id: EntityId,
        /// The row as it is now.
        row: T,
    },
    /// A row has another place among those that stay. When it shows something else too, that follows.
    Moved {
        /// Its index before the update.
        from: usize,
        /// Its index after the update.
        to: usize,
        /// The entity.
        id: EntityId,
    },
    /// A row is not in the result any more.
    Removed {
        /// Its index before the update.
        from: usize,
        /// The entity.
        id: EntityId,
    },
}

impl<T> LiveChange<T> {
    /// The entity it is about.
    ///
    /// ```
    /// # use threads_db::LiveChange;
    /// let gone: LiveChange<()> = LiveChange::Removed { from: 0, id: "a".parse().unwrap() };
    /// assert_eq!(gone.id().as_str(), "a");
    /// ```
    pub fn id(&self) -> &EntityId {
        match self {
            Self::Added { id, .. }
            | Self::Changed { id, .. }
            | Self::Moved { id, .. }
            | Self::Removed { id, .. } => id,
        }
    }
}

impl<T> LiveUpdate<T> {
    /// Brings a list up to date that followed every update before this one; what is not in the list is
    /// left out. Takes as long as the list.
    ///
    /// ```
    /// use threads_db::{LiveChange, LiveUpdate};
    /// let mut list = vec!["a", "b", "c"];
    /// let id = |text: &str| text.parse().unwrap();
    /// let update = LiveUpdate::Changes(vec![
    ///     LiveChange::Removed { from: 1, id: id("b") },
    ///     LiveChange::Moved { from: 2, to: 0, id: id("c") },
    ///     LiveChange::Changed { at: 0, id: id("c"), row: "C" },
    /// ]);
    /// update.apply(&mut list);
    /// assert_eq!(list, ["C", "a"]);
    /// ```
    pub fn apply(self, list: &mut Vec<T>) {
        let changes = match self {
            Self::Reset { rows, .. } => {
                *list = rows;
                return;
            }
            Self::Changes(changes) => changes,
        };
        let (mut gone, mut coming, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match change {
                LiveChange::Removed { from, .. } => gone.push((from, None)),
                LiveChange::Moved { from, to, .. } => gone.push((from, Some(to))),
                LiveChange::Added { at, row, .. } => coming.push((at, row)),
                LiveChange::Changed { at, row, .. } => changed.push((at, row)),
            }
        }
        if !gone.is_empty() || !coming.is_empty() {
            *list = rearranged(std::mem::take(list), &gone, coming);
        }
        for (at, row) in changed {
            if let Some(old) = list.get_mut(at) {
                *old = row;
            }
        }
    }
}

/// A list without the rows at some indexes, of which some come in again elsewhere, and with others.
fn rearranged<T>(
    list: Vec<T>,
    gone: &[(usize, Option<usize>)],
    mut coming: Vec<(usize, T)>,
) -> Vec<T> {
    let mut old: Vec<Option<T>> = list.into_iter().map(Some).collect();
    for (from, to) in gone {
        let row = old.get_mut(*from).and_then(Option::take);
        coming.extend(to.and_then(|to| Some((to, row?))));
    }
    coming.sort_by_key(|(at, _)| *at);
    let mut new = Vec::with_capacity(old.len() + coming.len());
    let mut staying = old.into_iter().flatten();
    for (at, row) in coming {
        let before = at.saturating_sub(new.len());
        new.extend(staying.by_ref().take(before));
        new.push(row);
    }
    new.extend(staying);
    new
}
