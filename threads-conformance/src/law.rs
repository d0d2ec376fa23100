//! What a law is, and how one is checked.

use std::any::Any;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use threads_core::Error;

/// How long a law may take, in seconds. What takes longer has stopped.
pub const SECONDS_MAX: u64 = 120;

/// One sentence of a contract, and the function that checks it.
///
/// `S` is what is checked: an implementation, and how to make a fresh one.
///
/// ```
/// let law = &threads_conformance::datastore::LAWS[0];
/// assert_eq!((law.id, law.sentence), ("DS-1", "Keys order bytewise."));
/// ```
pub struct Law<S> {
    /// What the trait's documentation cites, such as `DS-4`. It is never given to another law.
    pub id: &'static str,
    /// The name of the test.
    pub name: &'static str,
    /// What the contract wants.
    pub sentence: &'static str,
    /// What goes wrong elsewhere when it does not hold.
    pub why: &'static str,
    pub(crate) needs: Need<S>,
    pub(crate) check: fn(&S) -> Checked,
}

/// Says why a law does not apply, if it does not.
pub(crate) type Need<S> = fn(&S) -> Result<(), String>;

/// What the function of a law gives.
pub(crate) type Checked = Result<(), Violation>;

/// What became of checking a law.
///
/// ```
/// use threads_conformance::Outcome;
/// use threads_conformance::datastore::{LAWS, Subject};
/// use threads_core::datastore::Memory;
///
/// assert_eq!(LAWS[0].check(Subject::new(|_| Ok(Memory::new()))), Outcome::Held);
/// ```
#[expect(
    clippy::exhaustive_enums,
    reason = "a law applies or not, and holds or not"
)]
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The law holds.
    Held,
    /// The law does not apply, and why not.
    Skipped(String),
    /// The law does not hold: what was done, what was seen, and why it matters.
    Violated(String),
}

impl<S: Send + 'static> Law<S> {
    /// Checks the law. What panics, or takes longer than [`SECONDS_MAX`], does not hold.
    ///
    /// ```
    /// use threads_conformance::datastore::{LAWS, Subject};
    /// use threads_core::datastore::Memory;
    ///
    /// for law in LAWS {
    ///     println!("{}: {:?}", law.id, law.check(Subject::new(|_| Ok(Memory::new()))));
    /// }
    /// ```
    pub fn check(&self, subject: S) -> Outcome {
        self.check_within(subject, Duration::from_secs(SECONDS_MAX))
    }

    /// Checks the law within another time. When that is over, the check is left to itself, in
    /// its thread.
    ///
    /// ```
    /// use std::time::Duration;
    /// use threads_conformance::Outcome;
    /// use threads_conformance::datastore::{LAWS, Subject};
    /// use threads_core::datastore::Memory;
    ///
    /// let subject = Subject::new(|_| -> threads_core::Result<Memory> { loop { std::thread::park() } });
    /// let outcome = LAWS[0].check_within(subject, Duration::from_millis(50));
    /// assert!(matches!(outcome, Outcome::Violated(why) if why.contains("stopped")));
    /// ```
    pub fn check_within(&self, subject: S, time: Duration) -> Outcome {
        let (needs, check) = (self.needs, self.check);
        let (sender, receiver) = sync_channel(1);
        thread::spawn(move || {
            let run = move || match needs(&subject) {
                Ok(()) => check(&subject).map(|()| Outcome::Held),
                Err(reason) => Ok(Outcome::Skipped(reason)),
            };
            // Nobody may be waiting any more.
            let _ = sender.send(panic::catch_unwind(AssertUnwindSafe(run)));
        });
        let violation = match receiver.recv_timeout(time) {
            Ok(Ok(Ok(outcome))) => return outcome,
            Ok(Ok(Err(violation))) => violation,
            Ok(Err(panic)) => Violation::panicked(&*panic),
            Err(RecvTimeoutError::Timeout) => Violation::stopped(time),
            Err(RecvTimeoutError::Disconnected) => Violation::panicked(&"it ended at once"),
        };
        Outcome::Violated(format!(
            "contract violation: {}: {}\n{violation}\n  why it matters: {}",
            self.id, self.sentence, self.why
        ))
    }
}

impl<S> fmt::Debug for Law<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.sentence)
    }
}

/// Checks the law of this name, and panics when it does not hold: the body of each test.
///
/// ```
/// use threads_conformance::datastore::{LAWS, Subject};
/// use threads_core::datastore::Memory;
/// threads_conformance::enforce(LAWS, "keys_order_bytewise", Subject::new(|_| Ok(Memory::new())));
/// ```
///
/// # Panics
///
/// When the law does not hold, and when there is none of this name.
pub fn enforce<S: Send + 'static>(laws: &[Law<S>], name: &str, subject: S) {
    let Some(law) = laws.iter().find(|law| law.name == name) else {
        panic!("there is no law {name}");
    };
    if let Outcome::Violated(message) = law.check(subject) {
        panic!("{message}");
    }
}

/// How many laws apply to a subject, and which do not and why: one line, without checking them.
///
/// ```
/// use threads_conformance::datastore::{LAWS, Subject};
/// use threads_core::datastore::Memory;
/// let line = threads_conformance::summary(LAWS, || Subject::new(|_| Ok(Memory::new())));
/// assert!(line.contains("(durable = false)"), "{line}");
/// ```
pub fn summary<S>(laws: &[Law<S>], subject: impl Fn() -> S) -> String {
    let skips: Vec<_> = laws
        .iter()
        .filter_map(|law| Some(format!("{} ({})", law.id, (law.needs)(&subject()).err()?)))
        .collect();
    match skips.len() {
        0 => format!("checked {0} of {0} laws, skipped none", laws.len()),
        n => format!(
            "checked {} of {} laws, skipped {n}: {}",
            laws.len() - n,
            laws.len(),
            skips.join(", ")
        ),
    }
}

/// How a law was seen not to hold.
pub(crate) struct Violation {
    done: String,
    seen: String,
    place: Option<&'static Location<'static>>,
}

impl Violation {
    #[track_caller]
    pub(crate) fn new(done: impl fmt::Display, seen: impl fmt::Display) -> Self {
        Self {
            done: done.to_string(),
            seen: seen.to_string(),
            place: Some(Location::caller()),
        }
    }

    /// One that was seen in a case, by what [`Violation::brief`] says of it.
    pub(crate) fn in_case(case: impl fmt::Debug, brief: impl fmt::Display) -> Self {
        Self {
            done: format!("{case:?}"),
            seen: brief.to_string(),
            place: None,
        }
    }

    /// As part of another one.
    pub(crate) fn brief(&self) -> String {
        let brief = format!("{}: {}", self.done, self.seen);
        match self.place {
            Some(place) => format!("{brief}\n  at: {place}"),
            None => brief,
        }
    }

    /// One that was seen as a panic. The panic has said on the standard error where it was.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("with no message");
        Self {
            done: "the check was run".to_owned(),
            seen: format!("a panic, whose place stands above: {text}"),
            place: None,
        }
    }

    fn stopped(time: Duration) -> Self {
        Self {
            done: "the check was run".to_owned(),
            seen: format!("it has stopped: nothing in {time:?}; something waits for itself"),
            place: None,
        }
    }
}

/// An operation that a law takes for granted.
impl From<Error> for Violation {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(
            "an operation that has to work",
            format_args!("it failed: {error:?}"),
        )
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  done: {}\n  seen: {}", self.done, self.seen)?;
        match self.place {
            Some(place) => write!(f, "\n  at: {place}"),
            None => Ok(()),
        }
    }
}

/// Fails a law unless `holds`: says what was done and what was seen instead.
#[track_caller]
pub(crate) fn ensure(holds: bool, done: impl fmt::Display, seen: impl fmt::Display) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(Violation::new(done, seen)),
    }
}

/// Writes the list of a trait's laws once, and makes of it `LAWS` and the macro that makes tests.
macro_rules! laws {
    (
        $d:tt $(#[$doc:meta])* $tests:ident in $home:ident;
        $($id:literal $module:ident::$name:ident $(if $need:ident)?: $sentence:literal, $why:literal;)*
    ) => {
        /// Every law, in the order of the contract.
        ///
        /// | Id | Law | Why it matters | Only if |
        /// |---|---|---|---|
        $(#[doc = concat!("| ", $id, " | ", $sentence, " | ", $why, " | ", $(stringify!($need),)? " |")])*
        pub const LAWS: &[$crate::Law<Subject>] = &[$($crate::Law {
            id: $id,
            name: stringify!($name),
            sentence: $sentence,
            why: $why,
            needs: $crate::law::laws!(@need $($need)?),
            check: $module::$name,
        }),*];

        $(#[$doc])*
        #[macro_export]
        macro_rules! $tests {
            ($d subject:expr) => {
                $(
                    #[doc = concat!($id, ": ", $sentence)]
                    #[test]
                    fn $name() {
                        $d crate::enforce($d crate::$home::LAWS, stringify!($name), $d subject);
                    }
                )*

                /// Says which laws do not apply. One of them has to.
                #[test]
                fn skipped_laws_are_named_and_counted() {
                    let line = $d crate::summary($d crate::$home::LAWS, || $d subject);
                    println!("{line}");
                    assert!(!line.starts_with("checked 0 "), "{line}");
                }
            };
        }
    };
    (@need) => { |_| Ok(()) };
    (@need $need:ident) => { $need };
}

pub(crate) use laws;
