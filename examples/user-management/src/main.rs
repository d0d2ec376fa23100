//! The whitepaper's illustrative example (section "Illustrative Example"), point by point: a
//! user-management app. Each step prints the paper's words and what happened.
//!
//! ```text
//! cargo run -p example-user-management            # in a temporary directory
//! cargo run -p example-user-management -- DIR     # in DIR, which is new, and stays
//! ```
//!
//! The paper's Client is a [`Node`] here, its Store a [`Db`], its Model a [`Collection`]. Entities
//! have `_id` where the paper's have `ID`. Nothing awaits, because everything here is local.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{Error as ThreadsError, Result};
use threads_db::query::{Query, field};
use threads_db::{ChangeFilter, Collection, Db, Listener, Node, Notice};
use threads_store_lmdb::Lmdb;

/// The paper's `personSchema`, word for word but for `_id`.
const PERSON_SCHEMA: &str = include_str!("person.schema.json");

/// The paper's `interface Person`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    /// Made by the database when there is none.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    first_name: String,
    last_name: String,
    age: u32,
}

impl Person {
    fn john(age: u32) -> Self {
        Self {
            id: None,
            first_name: "John".into(),
            last_name: "Doe".into(),
            age,
        }
    }

    fn with_id(self, id: &str) -> Self {
        Self {
            id: Some(id.to_owned()),
            ..self
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let passing = tempfile::tempdir()?;
    let dir = match std::env::args_os().nth(1) {
        Some(dir) => PathBuf::from(dir),
        None => passing.path().join("user-management"),
    };
    run(&dir)?;
    Ok(())
}

fn run(dir: &Path) -> Result<()> {
    says("A Store is accessed via a Client instance");
    let client = Node::builder(Lmdb::open(dir)?)
        .codec(JsonPatch::new())
        .open()?;
    println!("  client {}", client.peer_id());

    says("An empty Store is created: a new Thread under the hood");
    let store = client.create("user-management")?;
    println!("  thread {}", store.id());

    let people = register_schema(&store)?;
    create_save_delete(&people)?;
    write_transaction(&store, &people)?;
    let existing = people.create(&Person::john(21))?;
    listen(&store, &people, existing.as_str())?;
    find_by_id(&people, existing.as_str())?;
    find(&people)?;
    verify(&store)
}

/// The paper's words for a step.
fn says(words: &str) {
    println!("\n# {words}");
}

fn register_schema(store: &Db) -> Result<Collection<Person>> {
    says("Register a Schema");
    let schema = serde_json::from_str(PERSON_SCHEMA)
        .map_err(|cause| ThreadsError::invalid("the schema is not JSON").caused_by(cause))?;
    // `store.define_typed::<Person>(…)` would derive the schema from the Rust type instead.
    let spec = CollectionSpec::new("Person".parse()?, "jsonpatch/1".parse()?)
        .with_schema(schema)
        .with_index(IndexSpec::on("age".parse()?));
    store.define(&spec)?;
    println!("  {}", store.collections()?[0].name);

    says("Start the Store");
    println!("  nothing to do: it is open as soon as it is there");
    store.typed("Person")
}

fn create_save_delete(people: &Collection<Person>) -> Result<()> {
    says("Create a Model Entity");
    let id = people.create(&Person::john(21))?;
    let created = expect(people, id.as_str())?;
    show(&created);

    says("Modify/mutate existing Entity");
    people.save(&Person { age: 26, ..created })?;
    show(&expect(people, id.as_str())?);

    says("What does not fit the Schema never becomes an Event");
    let untyped = people.db().collection("Person")?;
    let refused = untyped.patch(id.as_str(), &serde_json::json!({"age": -1}));
    println!("  refused: {}", refused.is_err());

    says("Delete existing Entity");
    people.delete(id.as_str())?;

    says("Check whether Entity exists");
    println!("  has: {}", people.has(id.as_str())?);
    Ok(())
}

fn write_transaction(store: &Db, people: &Collection<Person>) -> Result<()> {
    says("A write transaction: start");
    let mut transaction = store.begin()?;
    let id = transaction.create(people, &Person::john(30))?;
    println!(
        "  created; has inside: {}",
        transaction.has(people, id.as_str())?
    );
    println!("  has outside: {}", people.has(id.as_str())?);
    transaction.save(people, &Person::john(99).with_id(id.as_str()))?;
    let saved = transaction.get(people, id.as_str())?;
    println!(
        "  saved; age inside: {}",
        saved.map_or(0, |person| person.age)
    );
    transaction.delete(people, id.as_str())?;
    println!(
        "  deleted; has inside: {}",
        transaction.has(people, id.as_str())?
    );

    says("A write transaction: end");
    let events = transaction.staged_events();
    let commit = transaction.commit()?;
    println!("  {events} events in one record: {}", commit.is_some());
    Ok(())
}

/// The paper goes on with the entity that its transaction deleted. Deleting is final here, so
/// this listens to another one.
fn listen(store: &Db, people: &Collection<Person>, existing: &str) -> Result<()> {
    says("Subscriptions monitor updates, right down to individual Entities");
    let filter = ChangeFilter::all()
        .collection(people.name().clone())
        .entity(existing.parse()?);
    let mut listener = store.listen(filter)?;
    for age in [30, 40] {
        people.save(&Person::john(age).with_id(existing))?;
    }
    // Somebody else's change is not this listener's business.
    people.create(&Person::john(50))?;
    print_changes(&mut listener)
}

/// Takes what is there. `next_timeout` would wait for more, and a `Listener` is a `Stream` too.
fn print_changes(listener: &mut Listener) -> Result<()> {
    while let Some(notice) = listener.try_next()? {
        if let Notice::Change(change) = notice {
            let age = change.after.as_ref().map(|after| &after["age"]);
            println!(
                "  Entity modified: age {}",
                age.unwrap_or(&serde_json::Value::Null)
            );
        }
    }
    println!(
        "  resumes from cursor {}, also after a restart",
        listener.cursor()
    );
    Ok(())
}

fn find_by_id(people: &Collection<Person>, existing: &str) -> Result<()> {
    says("Find or search for a specific Entity");
    println!("  age {}", expect(people, existing)?.age);
    Ok(())
}

fn find(people: &Collection<Person>) -> Result<()> {
    says("Select all Persons where age is >= 60 and < 66, or equal to 67");
    people.db().write(|transaction| {
        for age in [59, 60, 65, 66, 67, 68] {
            transaction.create(people, &Person::john(age))?;
        }
        Ok(())
    })?;
    let query = Query::new()
        .filter(
            field("age")
                .ge(60)
                .and(field("age").lt(66))
                .or(field("age").eq(67)),
        )
        .sort("age");
    let found = people.find(&query)?;
    let ages: Vec<_> = found.iter().map(|person| person.age).collect();
    println!("  {} found: ages {ages:?}", found.len());

    let text = Query::parse("age >= 60 and age < 66 or age == 67")?.sort("age");
    println!("  the same query as text: {}", text == query);

    says("Queries take advantage of indexes when possible");
    for line in people.explain(&query)?.to_string().lines() {
        println!("  {line}");
    }
    Ok(())
}

fn verify(store: &Db) -> Result<()> {
    says("Every hash, signature, link and derived value is as it should be");
    let report = store.verify(&mut |_| ())?;
    println!(
        "  {} log, {} records, {} signatures, {} entities: {}",
        report.logs,
        report.records,
        report.signatures,
        report.entities,
        if report.is_clean() {
            "clean"
        } else {
            "DAMAGED"
        }
    );
    Ok(())
}

fn expect(people: &Collection<Person>, id: &str) -> Result<Person> {
    people
        .get(id)?
        .ok_or_else(|| ThreadsError::not_found("the entity is gone").with("_id", id))
}

fn show(person: &Person) {
    let Person {
        id,
        first_name,
        last_name,
        age,
    } = person;
    println!(
        "  {first_name} {last_name}, {age}, _id {}",
        id.as_deref().unwrap_or("none")
    );
}
