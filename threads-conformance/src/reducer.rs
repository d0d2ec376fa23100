//! The laws of [`Reducer`]: what every projection has to do.
//!
//! [`LAWS`] is the list; [`reducer_laws!`](crate::reducer_laws) makes a test of each:
//!
//! ```
//! # mod tests { // A doctest runs no tests; the crate's own tests run these.
//! use threads_conformance::reducer::Subject;
//! use threads_core::Result;
//! use threads_core::reducer::{DispatchedEvent, Reducer, View};
//!
//! /// Lists the entities.
//! #[derive(Debug)]
//! struct Names;
//!
//! impl Reducer for Names {
//!     fn name(&self) -> &str { "names" }
//!     fn version(&self) -> u32 { 1 }
//!     fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
//!         for event in events {
//!             let key = format!("{}/{}", event.collection, event.entity);
//!             match event.after {
//!                 Some(_) => view.put(key.as_bytes(), b"")?,
//!                 None => view.delete(key.as_bytes())?,
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! threads_conformance::reducer_laws!(Subject::new(|| Names).of_present_state());
//! # }
//! ```

use std::fmt;

use serde_json::{Value, json};
use threads_core::reducer::Reducer;

use crate::law::laws;

mod history;
mod view;

/// The reducer that is checked: how to make it, and what entities it is told of.
///
/// ```
/// # use threads_core::{Result, reducer::{DispatchedEvent, Reducer, View}};
/// # #[derive(Debug)]
/// # struct Names;
/// # impl Reducer for Names {
/// #     fn name(&self) -> &str { "names" }
/// #     fn version(&self) -> u32 { 1 }
/// #     fn reduce(&self, _: &mut View<'_>, _: &[DispatchedEvent]) -> Result<()> { Ok(()) }
/// # }
/// use serde_json::json;
/// use threads_conformance::reducer::Subject;
///
/// let subject = Subject::new(|| Names)
///     .with_values("Person", [json!({"name": "Ann", "age": 61}), json!({"name": "Bob", "age": 67})]);
/// ```
pub struct Subject {
    make: Box<dyn Fn() -> Box<dyn Reducer> + Send + Sync>,
    /// What entities of each collection look like, without their ids.
    values: Vec<(String, Vec<Value>)>,
    of_present_state: bool,
}

impl Subject {
    /// A reducer as `make` makes it: once for each node that is opened, as it were.
    ///
    /// ```
    /// # use threads_core::{Result, reducer::{DispatchedEvent, Reducer, View}};
    /// # #[derive(Debug)]
    /// # struct Names;
    /// # impl Reducer for Names {
    /// #     fn name(&self) -> &str { "names" }
    /// #     fn version(&self) -> u32 { 1 }
    /// #     fn reduce(&self, _: &mut View<'_>, _: &[DispatchedEvent]) -> Result<()> { Ok(()) }
    /// # }
    /// let subject = threads_conformance::reducer::Subject::new(|| Names);
    /// ```
    pub fn new<R: Reducer>(make: impl Fn() -> R + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(move || Box::new(make())),
            values: Vec::new(),
            of_present_state: false,
        }
    }

    /// Tells the reducer of entities with these values in `collection`, besides any others that
    /// were given. Without this, of people and pets.
    ///
    /// An `_id` is added to each.
    ///
    /// ```
    /// # use threads_core::{Result, reducer::{DispatchedEvent, Reducer, View}};
    /// # #[derive(Debug)]
    /// # struct Names;
    /// # impl Reducer for Names {
    /// #     fn name(&self) -> &str { "names" }
    /// #     fn version(&self) -> u32 { 1 }
    /// #     fn reduce(&self, _: &mut View<'_>, _: &[DispatchedEvent]) -> Result<()> { Ok(()) }
    /// # }
    /// # use threads_conformance::reducer::Subject;
    /// let subject = Subject::new(|| Names).with_values("City", [serde_json::json!({"name": "Oslo"})]);
    /// ```
    #[must_use]
    pub fn with_values(
        mut self,
        collection: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Self {
        self.values
            .push((collection.to_owned(), values.into_iter().collect()));
        self
    }

    /// Says that the view follows from what is there now, and not from how it came to be: that
    /// nothing is left of an entity which is gone.
    ///
    /// ```
    /// # use threads_core::{Result, reducer::{DispatchedEvent, Reducer, View}};
    /// # #[derive(Debug)]
    /// # struct Names;
    /// # impl Reducer for Names {
    /// #     fn name(&self) -> &str { "names" }
    /// #     fn version(&self) -> u32 { 1 }
    /// #     fn reduce(&self, _: &mut View<'_>, _: &[DispatchedEvent]) -> Result<()> { Ok(()) }
    /// # }
    /// let subject = threads_conformance::reducer::Subject::new(|| Names).of_present_state();
    /// ```
    #[must_use]
    pub fn of_present_state(mut self) -> Self {
        self.of_present_state = true;
        self
    }

    fn make(&self) -> Box<dyn Reducer> {
        (self.make)()
    }

    /// What entities look like.
    fn values(&self) -> Vec<(String, Vec<Value>)> {
        if !self.values.is_empty() {
            return self.values.clone();
        }
        let people = [
            json!({"name": "Ann", "n": 61, "tags": ["a", "b"], "home": {"city": "Oslo"}}),
            json!({"name": "Bob", "n": 7, "tags": [], "home": null}),
            json!({"name": "", "n": 0}),
            json!({}),
        ];
        let pets = [
            json!({"name": "Rex", "n": 3}),
            json!({"name": "Ann", "n": 61}),
        ];
        vec![
            ("Person".to_owned(), people.into()),
            ("Pet".to_owned(), pets.into()),
        ]
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("reducer", &self.make())
            .finish_non_exhaustive()
    }
}

fn of_present_state(subject: &Subject) -> Result<(), String> {
    match subject.of_present_state {
        true => Ok(()),
        false => Err("not said to be of the present state".to_owned()),
    }
}

laws! { $
    /// Makes a test of every law of [`Reducer`](threads_core::reducer::Reducer), and one that
    /// prints which laws do not apply. It takes an expression that gives a
    /// [`Subject`](crate::reducer::Subject), which each test makes anew.
    ///
    /// ```
    /// # use threads_core::{Result, reducer::{DispatchedEvent, Reducer, View}};
    /// # #[derive(Debug)]
    /// # struct Names;
    /// # impl Reducer for Names {
    /// #     fn name(&self) -> &str { "names" }
    /// #     fn version(&self) -> u32 { 1 }
    /// #     fn reduce(&self, _: &mut View<'_>, _: &[DispatchedEvent]) -> Result<()> { Ok(()) }
    /// # }
    /// threads_conformance::reducer_laws!(threads_conformance::reducer::Subject::new(|| Names));
    /// ```
    reducer_laws in reducer;

    "RE-1" view::its_name_stays: "A reducer has a name of 1 to 64 bytes, and it and the version are always the same.",
        "the name says where the view is, and the version whether it is the present one";
    "RE-2" view::the_same_events_give_the_same_view: "The same events give the same view, byte for byte.",
        "two nodes with the same thread would show different things, and verifying one would fail";
    "RE-3" view::it_goes_on_where_another_stopped: "It keeps nothing of its own: another one goes on where it stopped.",
        "a program ends, and is started again";
    "RE-4" view::it_works_on_many_threads: "What it did in one thread makes no difference in another.",
        "a node has one reducer, and many threads";
    "RE-5" view::a_call_that_was_dropped_leaves_no_trace: "Its writes are committed with the events, or nothing is left of the call.",
        "a transaction may fail after its reducers ran, and is tried again";
    "RE-6" view::a_replay_gives_the_same_view: "A view that is cleared and replayed is the one that was there.",
        "a view that fell behind is built anew, and verifying builds it to compare";
    "RE-7" view::a_fault_of_the_view_is_passed_on: "When its view cannot be read or written, it gives that error.",
        "what it takes for an absent row is a row, and what it writes then is committed";
    "RE-8" view::the_view_is_of_the_present_state if of_present_state: "A view of the present state is what a view of the last states alone would be: undo by `before`, do by `after`.",
        "late events change history, and are told as one net change";
}
