//! Progress of long work.

/// How far long work has come. What is counted is said by the method that reports it.
///
/// ```
/// use threads_db::Progress;
/// let mut report = |progress: Progress| eprintln!("{} of {:?}", progress.done, progress.total);
/// report(Progress { done: 1, total: Some(2) });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is, if it is known.
    pub total: Option<u64>,
}
