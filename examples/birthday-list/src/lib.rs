//! A list of who is how old, by an author who likes functions, JSON and events: it was written when
//! the shared module `threads-module-person` had one version, and has never heard of any other
//! application.
//!
//! ```
//! use threads_codec_jsonpatch::JsonPatch;
//! use threads_core::datastore::Memory;
//!
//! let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
//! let people = example_birthday_list::people(&node.create("friends").unwrap()).unwrap();
//! let mut news = example_birthday_list::news(&people).unwrap();
//! people.create(&serde_json::json!({"_id": "ann", "firstName": "Ann", "lastName": "Lee", "age": 41})).unwrap();
//! example_birthday_list::celebrate(&people, "ann").unwrap();
//! assert_eq!(news().unwrap(), ["Ann Lee is 41", "Ann Lee is 42"]);
//! ```

use serde_json::{Value, json};
use threads_core::{Error, Result};
use threads_db::{ChangeFilter, Collection, Db, Notice};
use threads_module_person::{PERSON, People};

/// The most lines of news at a time.
pub const NEWS_MAX: usize = 1_000;

/// The people of a thread, as version 1 has them. See the example of the [module](self).
pub fn people(db: &Db) -> Result<Collection<Value>> {
    db.install_version(&People, 1)?.collection(PERSON)
}

/// Makes somebody a year older. See the example of the [module](self).
pub fn celebrate(people: &Collection<Value>, id: &str) -> Result<()> {
    let person = people.get(id)?;
    let person = person.ok_or_else(|| Error::not_found("nobody of this id"))?;
    let age = person["age"].as_u64().unwrap_or(0) + 1;
    people.patch(id, &json!({"age": age}))
}

/// What is new since the last time it was asked. See the example of the [module](self).
pub fn news(people: &Collection<Value>) -> Result<impl FnMut() -> Result<Vec<String>>> {
    let mut listener = people.listen(ChangeFilter::all())?;
    Ok(move || {
        let mut lines = Vec::new();
        while lines.len() < NEWS_MAX {
            let Some(notice) = listener.try_next()? else {
                break;
            };
            if let Notice::Change(change) = notice
                && let Some(person) = &change.after
            {
                lines.push(line(person));
            }
        }
        Ok(lines)
    })
}

/// What the list says of somebody.
fn line(person: &Value) -> String {
    let name = |member: &str| person[member].as_str().unwrap_or_default().to_owned();
    let (first, last) = (name("firstName"), name("lastName"));
    match person["age"].as_u64() {
        Some(age) => format!("{first} {last} is {age}"),
        None => format!("{first} {last} does not tell"),
    }
}
