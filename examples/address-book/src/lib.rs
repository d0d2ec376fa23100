//! An address book, by an author who likes types: every person is a [`Person`] of the shared module
//! `threads-module-person`, in its version 2. It has never heard of any other application.

use threads_core::{Error, Result};
use threads_db::query::{Query, field};
use threads_db::{Collection, Db};
use threads_module_person::{PERSON, People, Person};

/// The people of a thread, by family name.
///
/// ```
/// use threads_codec_jsonpatch::JsonPatch;
/// use threads_core::datastore::Memory;
/// use example_address_book::AddressBook;
///
/// let node = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
/// let book = AddressBook::open(&node.create("friends").unwrap()).unwrap();
/// let ann = book.add("Ann", "Lee", &["ann@example.org"]).unwrap();
/// book.reach(&ann, "lee@example.org").unwrap();
/// assert_eq!(book.lines().unwrap(), ["Lee, Ann: ann@example.org, lee@example.org"]);
/// ```
#[derive(Debug)]
pub struct AddressBook {
    people: Collection<Person>,
}

impl AddressBook {
    /// Opens the address book in a thread.
    ///
    /// ```
    /// # let node = threads_db::Node::builder(threads_core::datastore::Memory::new())
    /// #     .codec(threads_codec_jsonpatch::JsonPatch::new()).open().unwrap();
    /// assert!(example_address_book::AddressBook::open(&node.create("friends").unwrap()).is_ok());
    /// ```
    pub fn open(db: &Db) -> Result<Self> {
        let people = db.install(&People)?.typed(PERSON)?;
        Ok(Self { people })
    }

    /// Adds somebody, and gives their id. See the example of [`AddressBook`].
    ///
    /// ```
    /// # fn add(book: &example_address_book::AddressBook) -> threads_core::Result<()> {
    /// let id = book.add("Bo", "", &[])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add(&self, given: &str, family: &str, emails: &[&str]) -> Result<String> {
        let person = Person {
            emails: emails.iter().map(|&email| email.to_owned()).collect(),
            ..Person::named(given, family)
        };
        Ok(self.people.create(&person)?.as_str().to_owned())
    }

    /// Adds one more address at which somebody can be reached.
    ///
    /// ```
    /// # fn reach(book: &example_address_book::AddressBook, id: &str) -> threads_core::Result<()> {
    /// book.reach(id, "ann@example.org")
    /// # }
    /// ```
    pub fn reach(&self, id: &str, email: &str) -> Result<()> {
        let person = self.people.get(id)?;
        let mut person = person.ok_or_else(|| Error::not_found("nobody of this id"))?;
        person.emails.push(email.to_owned());
        self.people.save(&person).map(drop)
    }

    /// A line for each person, by family name.
    ///
    /// ```
    /// # fn print(book: &example_address_book::AddressBook) -> threads_core::Result<()> {
    /// for line in book.lines()? {
    ///     println!("{line}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn lines(&self) -> Result<Vec<String>> {
        let query = Query::new().sort("familyName").sort("givenName");
        let line = |person: Person| {
            let (family, given) = (person.family_name, person.given_name);
            format!("{family}, {given}: {}", person.emails.join(", "))
        };
        Ok(self.people.find(&query)?.into_iter().map(line).collect())
    }

    /// The ids of those of a family.
    ///
    /// ```
    /// # fn lees(book: &example_address_book::AddressBook) -> threads_core::Result<usize> {
    /// Ok(book.family("Lee")?.len())
    /// # }
    /// ```
    pub fn family(&self, name: &str) -> Result<Vec<String>> {
        let query = Query::new().filter(field("familyName").eq(name));
        let people = self.people.find(&query)?;
        Ok(people.into_iter().filter_map(|person| person.id).collect())
    }
}
