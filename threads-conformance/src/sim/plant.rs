//! A defect for a run to find.

use super::store::Lie;

/// A defect of what is around the nodes, to see that it is found.
///
/// ```
/// use threads_conformance::sim::{run::Plant, store::Lie};
/// assert_ne!(Plant::Disk(Lie::SyncsLater), Plant::SwapsReplies);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Disks break their promise.
    Disk(Lie),
    /// One page of records that was asked for is never taken in, nor said to have failed.
    DropsTakeIn,
    /// Two replies of one peer to another that are under way go to each other's request.
    SwapsReplies,
}
