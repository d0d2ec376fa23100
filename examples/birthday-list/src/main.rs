//! `cargo run -p example-birthday-list -- DIR [ID]` lists the people of a thread, and makes one older.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use threads_codec_jsonpatch::JsonPatch;
use threads_core::{Error, Result};
use threads_db::Node;
use threads_db::query::Query;
use threads_store_lmdb::Lmdb;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let Some(dir) = words.next() else {
        return Err(Error::invalid("name a directory"));
    };
    let node = Node::builder(Lmdb::open(dir)?)
        .codec(JsonPatch::new())
        .open()?;
    let db = node.open("people").or_else(|_| node.create("people"))?;
    let people = example_birthday_list::people(&db)?;
    if let Some(id) = words.next() {
        example_birthday_list::celebrate(&people, &id)?;
    }
    people.for_each(&Query::new(), &mut |person| {
        println!("{person}");
        Ok(true)
    })
}
